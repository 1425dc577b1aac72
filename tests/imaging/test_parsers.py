"""Parser processes: what a file does to its reader stays with the reader, and the next file is read all the same."""

import os
import signal
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hipapp.imaging import parsers
from hipapp.imaging.parsers import ParserDiedError, Pool
from hipapp.imaging.receiving import files
from hipapp.imaging.receiving.files import StoredFile, read_paths
from ml.dicom.errors import RefusedFileError
from tests.builders import dicom as build

MIB = 2**20
KEYS = {"uid_key": "00" * 32, "pseudonym_key": "11" * 32}


def content(n: int = 0, **tags) -> bytes:
    return build.to_bytes(build.classic(build.random_stack((n + 1, 12, 16)), **tags)[n])


def heavy() -> bytes:
    """A sound image that takes more memory than the small pool below allows."""
    dataset = build.classic(build.random_stack((1, 8, 8)))[0]
    build.set_pixels(dataset, np.zeros((4096, 4096), np.uint16))
    return build.to_bytes(dataset)


def receive(path: Path, skip: int = 0) -> dict[str, object]:
    return {"do": "receive", "path": str(path), "skip": skip, **KEYS}


@pytest.fixture
def pool():
    found = Pool(1, 1024 * MIB, 30)
    yield found
    found.close()


@pytest.fixture
def archive(tmp_path) -> Path:
    path = tmp_path / "00000001"
    with zipfile.ZipFile(path, "w") as packed:
        for n in range(4):
            packed.writestr(f"{n}.dcm", content(n))
    return path


def pid_of(pool: Pool) -> int:
    (parser,) = pool.idle()
    return parser.pid


def test_a_parser_knows_neither_django_nor_torch_nor_a_database():
    script = "import sys, hipapp.imaging.dicom.process; print([m for m in sys.modules if m in %r])"
    names = ("django", "celery", "kombu", "torch", "psycopg")
    found = subprocess.run([sys.executable, "-c", script % (names,)], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_parser_has_no_secrets_and_may_write_no_file(pool, archive, monkeypatch):
    monkeypatch.setenv("HIPAPP_IDENTITY_KEY_PLANTED", "planted")
    list(pool.ask(receive(archive)))
    proc = Path(f"/proc/{pid_of(pool)}")
    if not proc.exists():
        pytest.skip("there is no /proc here")
    assert b"planted" not in (proc / "environ").read_bytes()
    assert b"HIPAPP" not in (proc / "environ").read_bytes()
    limits = {line[:26].strip(): line[26:].split() for line in (proc / "limits").read_text().splitlines()}
    assert limits["Max file size"][:2] == ["0", "0"]
    assert limits["Max address space"][:2] == [str(1024 * MIB)] * 2


def test_a_parser_is_used_again(pool, archive):
    list(pool.ask(receive(archive)))
    pid = pid_of(pool)
    replies = list(pool.ask(receive(archive)))
    assert (pid_of(pool), len(replies)) == (pid, 4)


def test_a_parser_that_dies_is_replaced(pool, archive, tmp_path):
    list(pool.ask(receive(archive)))
    pid = pid_of(pool)
    large = tmp_path / "00000002"  # more than a pipe holds: the parser waits for its reader and can't have ended
    with zipfile.ZipFile(large, "w") as packed:
        for n in range(4):
            packed.writestr(f"{n}.dcm", build.to_bytes(build.classic(build.random_stack((4, 512, 512)))[n]))
    asked = pool.ask(receive(large))
    next(asked)
    os.kill(pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(ParserDiedError, match="crash"):
        list(asked)
    assert len(list(pool.ask(receive(archive)))) == 4
    assert pid_of(pool) != pid


def test_a_parser_that_takes_too_long_is_ended(archive):
    pool = Pool(1, 1024 * MIB, 30)
    list(pool.ask(receive(archive)))
    pid = pid_of(pool)
    os.kill(pid, signal.SIGSTOP)
    pool._timeout_s = 1
    with pytest.raises(ParserDiedError, match="takes longer than 1 s"):
        list(pool.ask(receive(archive)))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    pool.close()


def test_a_file_that_needs_too_much_memory_is_refused_in_words(tmp_path):
    pool = Pool(1, 330 * MIB, 30)
    (tmp_path / "large").write_bytes(heavy())
    (tmp_path / "small").write_bytes(content())
    with pytest.raises(ParserDiedError, match="more memory"):
        list(pool.ask(receive(tmp_path / "large")))
    ((reply, _),) = pool.ask(receive(tmp_path / "small"))
    assert "refused" not in reply
    pool.close()


def test_a_reader_that_goes_away_leaves_the_pool_sound(pool, archive):
    asked = pool.ask(receive(archive))
    next(asked)
    asked.close()
    assert len(list(pool.ask(receive(archive)))) == 4


def test_what_can_not_be_decoded_is_a_refusal_and_the_parser_lives(pool, archive):
    list(pool.ask(receive(archive)))
    pid = pid_of(pool)
    with pytest.raises(RefusedFileError, match="no DICOM file"):
        list(pool.ask({"do": "decode", "numbers": [None]}, b"x" * 500))
    with pytest.raises(RefusedFileError, match="KeyError"):
        list(pool.ask({"do": "nothing of the kind"}))
    assert pid_of(pool) == pid


def test_many_threads_share_a_pool(pool, archive):
    counts = []
    threads = [threading.Thread(target=lambda: counts.append(len(list(pool.ask(receive(archive)))))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [4] * 6


def test_the_pixels_of_a_stored_file_are_those_that_were_sent(pool, tmp_path):
    stack = build.random_stack((1, 12, 16))
    (tmp_path / "1").write_bytes(build.to_bytes(build.classic(stack)[0]))
    ((reply, clean),) = pool.ask(receive(tmp_path / "1"))
    ((head, blob),) = pool.ask({"do": "decode", "numbers": [None]}, clean)
    np.testing.assert_array_equal(np.frombuffer(blob, np.float32).reshape(head["shape"]), stack.pixels[0])
    assert reply["frames"][0]["look"]["high"] == stack.pixels.max()


@pytest.fixture
def small_pool(monkeypatch):
    pool = Pool(2, 330 * MIB, 30)
    monkeypatch.setattr(files, "parser_pool", lambda: pool)
    monkeypatch.setattr(parsers, "parser_pool", lambda: pool)
    yield pool
    pool.close()


def spooled(tmp_path: Path, contents: list[bytes]) -> Path:
    folder = tmp_path / "spooled"
    folder.mkdir()
    for n, data in enumerate(contents, start=1):
        (folder / f"{n:08d}").write_bytes(data)
    return folder


def endings(folder: Path) -> list[tuple[int, int, str]]:
    found = list(read_paths(sorted(folder.iterdir()), KEYS))
    outcomes = [one.outcome if isinstance(one, StoredFile) else one for one in found]
    return [(outcome.n, outcome.member, outcome.outcome) for outcome in outcomes]


def test_a_file_that_breaks_its_reader_costs_no_other_file(small_pool, tmp_path):
    folder = spooled(tmp_path, [content(0), heavy(), content(1), content(2)])
    assert endings(folder) == [(1, 0, "accepted"), (2, 0, "refused"), (3, 0, "accepted"), (4, 0, "accepted")]


def test_a_member_that_breaks_its_reader_costs_no_other_member(small_pool, tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for n, data in enumerate([content(0), heavy(), content(1)]):
            packed.writestr(f"{n}.dcm", data)
    assert endings(spooled(tmp_path, [path.read_bytes()])) == [(1, 1, "accepted"), (1, 2, "refused"), (1, 3, "accepted")]


def test_an_archive_that_breaks_reader_after_reader_is_given_up(small_pool, tmp_path):
    path = tmp_path / "x.zip"
    large = heavy()
    with zipfile.ZipFile(path, "w") as packed:
        for n, data in enumerate([content(0), *[large] * 3, content(1)]):
            packed.writestr(f"{n}.dcm", data)
    found = list(read_paths(sorted(spooled(tmp_path, [path.read_bytes()]).iterdir()), KEYS))
    assert [one.outcome if isinstance(one, str) else getattr(one, "outcome", None) for one in found][1:] == ["refused"] * 4
    assert "not read any more" in found[-1].reason


def test_files_are_read_in_the_order_of_their_numbers_and_none_is_lost(tmp_path):
    folder = spooled(tmp_path, [content(n % 5) for n in range(40)])
    assert [n for n, _, _ in endings(folder)] == list(range(1, 41))


def test_stopping_in_the_middle_ends_the_threads(tmp_path):
    folder = spooled(tmp_path, [content(n % 5) for n in range(40)])
    before = threading.active_count()
    reading = read_paths(sorted(folder.iterdir()), KEYS)
    next(reading)
    reading.close()
    assert threading.active_count() == before


def test_a_sparse_file_of_4_gb_is_refused_at_once(tmp_path):
    folder = spooled(tmp_path, [content()])
    for n, head in ((2, b""), (3, b"PK\x03\x04"), (4, b"\x1f\x8b"), (5, b"\0" * 128 + b"DICM")):
        with (folder / f"{n:08d}").open("wb") as file:
            file.write(head)
            file.truncate(4 * 2**30)
    assert [outcome for _, _, outcome in endings(folder)] == ["accepted"] + ["refused"] * 4


def test_no_files_are_no_files(tmp_path):
    assert endings(spooled(tmp_path, [])) == []
