"""The sweeper: a thread of each worker's main process that looks for lost jobs at the start and then regularly."""

import logging
import threading
from collections.abc import Callable

from celery.signals import worker_ready
from django.conf import settings
from django.db import close_old_connections, connection

from hipapp.jobs.services import sweep

log = logging.getLogger(__name__)
also_swept: list[Callable[[], int]] = []  # what other apps look for in each round; gives how many rows it set going


@worker_ready.connect  # type: ignore[untyped-decorator]
def start_sweeper(**_: object) -> None:
    """Start sweeping once a worker is up."""
    threading.Thread(target=_sweep_forever, name="sweeper", daemon=True).start()


def _sweep_forever() -> None:
    pause = threading.Event()
    while True:
        try:
            close_old_connections()
            for look in also_swept:
                look()
            if n := sweep():
                log.info("sweeper sent %s jobs again", n)
        except Exception:  # the database may be away for a while; the next round tries again
            log.exception("sweeper could not look for lost jobs")
        finally:
            connection.close()
        pause.wait(settings.JOB_SWEEP_S)
