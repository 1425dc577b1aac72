"""Receiving against parsing + hashing + writing the same files with pydicom alone; and the memory it takes for more files.

Run with `python -m bench.receiving`. Ours is timed whole: from files in the spool to rows, series and the ordered score
(`uploads.receive_now`, embedded database), and for its part that reads and stores (`read_paths`), which may use every core.
Beside the time stands the time of processors, of the process that receives and of its parsers: other work on the machine, and the
number of cores, change it less.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
N_FILES, SIDE = 150, 512  # the size of a hip study with its other series, and of their images
FEW, MANY, SMALL_SIDE = 10, 2000, 128
REPEATS = 3


def write_files(folder: Path, n_files: int, side: int) -> int:
    """A coronal series in numbered files, named as the spool names them: smooth shapes with 2 % noise; gives the bytes."""
    from scipy.ndimage import zoom

    from tests.builders.dicom import Stack, classic, to_bytes

    random, total = np.random.default_rng(5), 0
    folder.mkdir(parents=True)
    for n in range(0, n_files, 100):
        shapes = zoom(random.uniform(0, 1500, (1, 9, 9)), (1, side / 9, side / 9), order=3)
        noise = random.normal(0, 30, (min(100, n_files - n), side, side))
        pixels = np.clip(shapes + noise, 0, 4095).astype(np.uint16)
        origin = (-160.0, -20.0 + 4.4 * n, 120.0)
        for i, dataset in enumerate(classic(Stack(pixels, origin_mm=origin), PatientName="Bench^One", PatientID="B1")):
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{n + i + 1}"
            dataset.InstanceNumber = n + i + 1
            content = to_bytes(dataset)
            (folder / f"{n + i + 1:08d}").write_bytes(content)
            total += len(content)
    return total


def pydicom_alone(source: Path, target: Path) -> None:
    """Each file parsed, its pixels hashed, and written."""
    import pydicom

    target.mkdir()
    for path in sorted(source.iterdir()):
        dataset = pydicom.dcmread(path)
        hashlib.sha256(dataset.PixelData).hexdigest()
        pydicom.dcmwrite(target / path.name, dataset, enforce_file_format=True)


def set_up(folder: Path) -> None:
    """Django on a database and folders of its own."""
    for name in ("DATABASE_URL", "CELERY_BROKER_URL", "HIPAPP_PRODUCTION"):
        os.environ.pop(name, None)
    os.environ.update(HIPAPP_VAR=str(folder), DJANGO_SETTINGS_MODULE="hipapp.settings", HIPAPP_LOG_LEVEL="ERROR")
    from hipapp.core.embedded import prepare

    prepare()
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


@dataclass(frozen=True)
class Spent:
    """Seconds by the clock, and of processors."""

    wall: float
    processor: float


@contextmanager
def spending(found: list[Spent]) -> Iterator[None]:
    """Adds to `found` what the block takes, in this process and its parsers."""
    wall, processor = time.perf_counter(), time.process_time() + parser_seconds()
    yield
    found.append(Spent(time.perf_counter() - wall, time.process_time() + parser_seconds() - processor))


def parser_seconds() -> float:
    """Seconds of processors that the parsers have taken so far."""
    from hipapp.imaging.parsers import parser_pool

    ticks = 0
    for parser in parser_pool().idle():
        fields = Path(f"/proc/{parser.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # utime, stime
    return ticks / os.sysconf("SC_CLK_TCK")


def receive_whole(source: Path) -> Spent:
    """`receive_now` for a copy of these files in the spool of a new upload; the storage is emptied afterwards."""
    import shutil

    from django.conf import settings

    from hipapp.imaging.receiving import spool
    from hipapp.imaging.services import uploads
    from tests.builders.rows import make_centre, make_user

    user = make_user("radiologist", make_centre())
    upload = uploads.start_upload(user)
    shutil.copytree(source, spool.folder_of(upload.pk))
    found: list[Spent] = []
    with spending(found):
        uploads.receive_now(upload, user)
    upload.refresh_from_db()
    assert {row["outcome"] for row in upload.report} == {"accepted"}, upload.report[:3]
    shutil.rmtree(settings.STORAGES["default"]["OPTIONS"]["location"])
    return found[0]


def read_only(source: Path) -> Spent:
    """The part that parses, strips, hashes and stores."""
    import shutil

    from django.conf import settings

    from hipapp.imaging.receiving.files import read_paths

    keys = {"keeps_original": False, "uid_key": "00" * 32, "pseudonym_key": "11" * 32}
    found: list[Spent] = []
    with spending(found):
        n_read = sum(1 for _ in read_paths(sorted(source.iterdir()), keys))
    assert n_read == len(list(source.iterdir()))
    shutil.rmtree(settings.STORAGES["default"]["OPTIONS"]["location"])
    return found[0]


def measure_speed(folder: Path) -> dict[str, float]:
    """The least of some timings of each, taken in turn, and the bytes."""
    n_bytes = write_files(folder / "files", N_FILES, SIDE)
    set_up(folder)
    receive_whole(folder / "files")  # starts the parsers
    times: dict[str, list[Spent]] = {"pydicom alone": [], "read and stored": [], "whole": []}
    for n in range(REPEATS):
        with spending(times["pydicom alone"]):
            pydicom_alone(folder / "files", folder / f"copy-{n}")
        times["read and stored"].append(read_only(folder / "files"))
        times["whole"].append(receive_whole(folder / "files"))
    found: dict[str, float] = {"n_bytes": n_bytes}
    for name, spent in times.items():
        found[name] = min(one.wall for one in spent)
        found[f"{name}, processor"] = min(one.processor for one in spent)
    return found


def measure_memory(folder: Path, n_files: int) -> dict[str, float]:
    """Highest resident memory in MiB of a process that receives so many files, and of its largest parser."""
    write = "import sys, pathlib, bench.receiving as b; b.write_files(pathlib.Path(sys.argv[1]), int(sys.argv[2]), b.SMALL_SIDE)"
    # in a process of its own: making the files takes memory too
    subprocess.run([sys.executable, "-W", "ignore", "-c", write, str(folder / "files"), str(n_files)], cwd=ROOT, check=True)
    set_up(folder)
    seconds = receive_whole(folder / "files").wall
    from hipapp.imaging.parsers import parser_pool

    pool = parser_pool()
    pids = [parser.pid for parser in pool.idle()]
    found = {"worker": peak_mib(os.getpid()), "parser": max(map(peak_mib, pids)), "seconds": seconds}
    pool.close()
    return found


def peak_mib(pid: int) -> float:
    """Highest resident memory of a process so far."""
    return int(Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


def in_own_process(what: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="hipapp-bench-") as name:
        Path(name).chmod(0o755)  # the embedded database server drops root and has to reach its folder
        command = [sys.executable, "-W", "ignore", "-m", "bench.receiving", what, name]
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return found


def main() -> None:
    load = os.getloadavg()[0]
    found = in_own_process("speed")
    megabytes = found["n_bytes"] / 1e6
    print(f"receiving {N_FILES} MR files of {SIDE} × {SIDE}, {megabytes:.0f} MB, {os.cpu_count()} cores, load {load:.1f} before")
    print(f"  {'':<44}      s  ratio   processor ms a file  ratio   (aim of both ratios ≥ 0.8)")
    for name, title in (
        ("pydicom alone", "parsing + hashing + writing, pydicom alone"),
        ("read and stored", "ours, read, stripped, hashed, stored"),
        ("whole", "ours, and rows, series, order of the score"),
    ):
        wall, processor = found[name], found[f"{name}, processor"]
        ratios = [found["pydicom alone"] / wall, found["pydicom alone, processor"] / processor]
        print(f"  {title:<44} {wall:6.2f}  {ratios[0]:5.2f}   {1000 * processor / N_FILES:19.2f}  {ratios[1]:5.2f}")
    few, many = in_own_process(str(FEW)), in_own_process(str(MANY))
    print(f"peak memory, {FEW} → {MANY:,} files of {SMALL_SIDE} × {SMALL_SIDE} (aim: flat)")
    for name in ("worker", "parser"):
        print(f"  {name:<44} {few[name]:6.0f} → {many[name]:.0f} MiB   ratio {many[name] / few[name]:.2f}")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        place = Path(sys.argv[2])
        print(json.dumps(measure_speed(place) if sys.argv[1] == "speed" else measure_memory(place, int(sys.argv[1]))))
    else:
        main()
