"""`manage.py worker`: a real Celery worker on the database and broker of this installation."""

import os
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from hipapp.celery import app

QUEUES = ("gpu", "default")


class Command(BaseCommand):
    help = "Run a Celery worker. One process a queue; the gpu queue holds the network and scores one series at a time."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--queue", choices=[*QUEUES, "all"], default="all", help="queue to work on (default: all)")
        parser.add_argument("--loglevel", default="INFO")

    def handle(self, *args: Any, queue: str, loglevel: str, **options: Any) -> None:
        # The machine is shared with the web server and other workers: threads that wait should sleep, and leave cores to others.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // 2)))
        queues = ",".join(QUEUES) if queue == "all" else queue
        app.worker_main(
            ["worker", "--pool=solo", "-Q", queues, "-n", f"{queue}-%i@%h", "--loglevel", loglevel, "--without-mingle",
             "--without-gossip", "--without-heartbeat"]
        )  # fmt: skip
