"""The processes of a demo: workers and web server, started together and stopped together."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from django.conf import settings

HOST, PORT = "127.0.0.1", 8000


class Workers:
    """One worker process a queue, with its log under var/log; a context manager that ends them."""

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Workers":
        for queue in ("default", "gpu"):
            self._processes.append(_start([sys.executable, "manage.py", "worker", "--queue", queue], f"worker-{queue}"))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        stop(self._processes)

    def check(self) -> None:
        """Raise RuntimeError with the log's name when a worker has ended."""
        for queue, process in zip(("default", "gpu"), self._processes, strict=True):
            if process.poll() is not None:
                raise RuntimeError(f"The {queue} worker ended with {process.returncode}. See {log_path(f'worker-{queue}')}")


def log_path(name: str) -> Path:
    """The log file of one process."""
    return Path(settings.VAR_DIR) / "log" / f"{name}.log"


def _start(command: list[str], name: str) -> subprocess.Popen[bytes]:
    path = log_path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as log:
        return subprocess.Popen(command, cwd=settings.BASE_DIR, stdout=log, stderr=log, start_new_session=True)


def stop(processes: list[subprocess.Popen[bytes]], patience_s: float = 10) -> None:
    """Ask the processes to end, and end those that don't."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    deadline = time.monotonic() + patience_s
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def end_on_sigterm() -> None:
    """Let SIGTERM end this process as Ctrl-C does, so that the processes it started end with it."""

    def interrupted(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupted)


def port_is_free() -> bool:
    """Whether something listens on the demo's address already."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, PORT)) != 0


def serve(workers: Workers) -> None:
    """Serve until interrupted; ends too when a worker ends."""
    command = [sys.executable, "-m", "gunicorn", "hipapp.wsgi", "--bind", f"{HOST}:{PORT}", "--workers", "2", "--threads", "4"]
    server = _start([*command, "--access-logfile", "-", "--timeout", "120", "--worker-tmp-dir", "/tmp"], "web")

    try:
        while server.poll() is None:
            workers.check()
            time.sleep(1)
        raise RuntimeError(f"The web server ended with {server.returncode}. See {log_path('web')}")
    except KeyboardInterrupt:
        print("\nStopping.")
    finally:
        stop([server])
