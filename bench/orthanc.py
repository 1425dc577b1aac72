"""Receiving by REST against Orthanc (Debian's package): the same files, one after the other in one run.

Ours is timed twice: until the request is answered (files in the spool), and until the job has stored them, sorted them and
ordered the score. Orthanc stores within the request. Both run as their own processes on this machine.
Run with `python -m bench.orthanc`; skipped with a word where Orthanc is not installed.
"""

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

N_FILES, SIDE = 150, 512
JOB_TIMEOUT_S = 120
ROOT = Path(__file__).resolve().parent.parent
SET_UP = """
from django.core.management import call_command
call_command("migrate", verbosity=0)
from rest_framework.authtoken.models import Token
from tests.builders.rows import make_centre, make_user
print(Token.objects.create(user=make_user("radiologist", make_centre())).key)
"""


def make_files() -> list[bytes]:
    """The files that `bench.receiving` takes: smooth shapes with noise, so that no file is like another."""
    from bench.receiving import write_files

    with tempfile.TemporaryDirectory(prefix="hipapp-bench-") as name:
        write_files(Path(name) / "files", N_FILES, SIDE)
        return [path.read_bytes() for path in sorted((Path(name) / "files").iterdir())]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def wait_for(is_ready: Callable[[], bool], what: str, timeout_s: float = 600) -> None:
    """Wait for a process to get ready."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if is_ready():
                return
        except requests.RequestException:
            time.sleep(0.05)
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} did not get ready in {timeout_s:.0f} s")
        time.sleep(0.05)


@contextmanager
def started(*command: str, log: Path, **environment: str) -> Iterator[None]:
    """A process for as long as the block lasts."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stdout=output, stderr=output)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def time_orthanc(files: list[bytes], folder: Path) -> dict[str, float]:
    """Seconds for the files one by one over one connection, and as one zip into an emptied store."""
    port = free_port()
    settings = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "HttpPort": port,
        "DicomServerEnabled": False,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [],
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    url = f"http://127.0.0.1:{port}"
    with started("Orthanc", str(folder / "orthanc.json"), log=folder / "orthanc.log"):
        wait_for(lambda: requests.get(f"{url}/system", timeout=60).ok, "Orthanc")
        session = requests.Session()
        start = time.perf_counter()
        for content in files:
            session.post(f"{url}/instances", content, timeout=60).raise_for_status()
        one_by_one = time.perf_counter() - start
        for study in session.get(f"{url}/studies", timeout=60).json():
            session.delete(f"{url}/studies/{study}", timeout=600).raise_for_status()
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for number, content in enumerate(files):
                archive.writestr(f"{number}.dcm", content)
        start = time.perf_counter()
        session.post(f"{url}/instances", packed.getvalue(), timeout=600).raise_for_status()
        return {"one by one": one_by_one, "one zip": time.perf_counter() - start}


def time_ours(files: list[bytes], folder: Path) -> dict[str, float]:
    """Seconds until the one request is answered, and until its job is done."""
    own = {"HIPAPP_VAR": str(folder), "DJANGO_SETTINGS_MODULE": "hipapp.settings"}
    for name in ("DATABASE_URL", "CELERY_BROKER_URL", "HIPAPP_PRODUCTION"):
        os.environ.pop(name, None)
    os.environ.update(own)
    from hipapp.core.embedded import prepare

    prepare()
    setting_up = [sys.executable, "manage.py", "shell", "-v", "0", "-c", SET_UP]
    token = subprocess.run(setting_up, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()[-1]
    port = free_port()
    url, headers = f"http://127.0.0.1:{port}", {"Authorization": f"Token {token}"}
    web = ("-m", "gunicorn", "hipapp.wsgi:application", "--bind", f"127.0.0.1:{port}", "--threads", "4")
    with (
        started(sys.executable, *web, log=folder / "web.log"),
        started(sys.executable, "manage.py", "worker", "--queue", "default", log=folder / "worker.log"),
    ):
        wait_for(lambda: requests.get(f"{url}/healthz", timeout=60).status_code < 500, "the web server")
        wait_for(lambda: " ready." in (folder / "worker.log").read_text(), "the worker")
        send(url, headers, files[:1])  # starts the parsers, as Orthanc is started before it is timed
        start = time.perf_counter()
        job = post(url, headers, files)
        answered = time.perf_counter() - start
        finish(url, headers, job)
        return {"answered": answered, "stored": time.perf_counter() - start}


def post(url: str, headers: dict[str, str], files: list[bytes]) -> str:
    """Send files in one request; gives its job."""
    form = [("files", (f"{number}.dcm", content)) for number, content in enumerate(files)]
    answer = requests.post(f"{url}/api/v1/studies/", files=form, headers=headers, timeout=600)
    answer.raise_for_status()
    job: str = answer.json()["job"]
    return job


def finish(url: str, headers: dict[str, str], job: str) -> None:
    """Wait until a job has stored its files."""
    deadline = time.monotonic() + JOB_TIMEOUT_S
    while (state := requests.get(f"{url}/api/v1/jobs/{job}/", headers=headers, timeout=60).json())["state"] != "succeeded":
        if state["state"] in ("failed", "cancelled"):
            raise RuntimeError(state["message"])
        if time.monotonic() > deadline:
            raise RuntimeError(f"the job is still {state['state']} after {JOB_TIMEOUT_S} s: did its worker end?")
        time.sleep(0.02)


def send(url: str, headers: dict[str, str], files: list[bytes]) -> None:
    finish(url, headers, post(url, headers, files))


def main() -> None:
    if shutil.which("Orthanc") is None:
        print("receiving by REST against Orthanc: skipped, Orthanc is not installed (apt install orthanc)")
        return
    files = make_files()
    megabytes = sum(map(len, files)) / 1e6
    with tempfile.TemporaryDirectory(prefix="hipapp-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the embedded database server drops root and has to reach its folder
        for part in ("orthanc", "ours"):
            (folder / part).mkdir()
        theirs = time_orthanc(files, folder / "orthanc")
        ours = time_ours(files, folder / "ours")
    print(f"receiving by REST, {N_FILES} MR files, {megabytes:.0f} MB, {os.cpu_count()} cores")
    for title, seconds in theirs.items():
        print(f"  Orthanc, {title:<28} {seconds:7.2f} s {megabytes / seconds:7.1f} MB/s")
    best = min(theirs.values())
    for title, seconds in ours.items():
        print(f"  ours, {title:<30} {seconds:7.2f} s {megabytes / seconds:7.1f} MB/s   ratio {best / seconds:.2f} (aim ≥ 1)")


if __name__ == "__main__":
    main()
