"""Spooled files → stored contents: each is parsed by the pool, stripped of the person and stored; or refused with the reason."""

import json
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from hipapp.accounts.models import Centre
from hipapp.core.crypto import keyed_digest, new_data_key, seal_bytes
from hipapp.core.storage import put_content, read_content
from hipapp.imaging.dicom.derived import Returned
from hipapp.imaging.dicom.identity import Identity
from hipapp.imaging.parsers import ParserDiedError, StoredPixels, parser_pool
from hipapp.imaging.policy import policy_of
from ml.dicom import limits
from ml.dicom.errors import RefusedFileError
from ml.dicom.header import Frame, frame_from

FOLDER, ORIGINALS = "dicom", "originals"
MAX_DEATHS = 3  # of parsers, at one archive, before the rest of it is given up
UNPLACED = "is stored, but can't be scored: it"


@dataclass
class Outcome:
    """What became of one file (or member of an archive), in words.

    `n` is the number of the file in the upload, `member` counts within an archive; 0 where the file is no archive. `returned` is
    set for a segmentation or report, which may be one of ours.
    """

    n: int
    member: int
    outcome: str  # accepted | duplicate | conflict | held | refused
    reason: str = ""
    study: str = ""
    returned: Returned | None = None

    def row(self) -> dict[str, object]:
        """As kept in Upload.report."""
        return {"n": self.n, "member": self.member, "outcome": self.outcome, "reason": self.reason, "study": self.study}


@dataclass(frozen=True)
class SealedOriginal:
    """The file as it came, encrypted with a key of its own, in the storage."""

    data_key: bytes = field(repr=False)
    path: str
    n_bytes: int


@dataclass(frozen=True)
class StoredFile:
    """One image without identity in the storage, with what the rows need of it. UIDs are the remapped ones.

    `frames` is empty, and `unplaced` says why, where the image does not say where in the body it lies.
    """

    outcome: Outcome
    study_uid: str
    series_uid: str
    sop_uid: str
    originals: dict[str, str] = field(repr=False)
    pixel_sha256: str
    path: str
    n_bytes: int
    identity: Identity
    frames: tuple[Frame, ...] = field(repr=False)
    unplaced: str = ""
    description: str = ""
    acquired_at: datetime | None = None
    concerns: tuple[str, ...] = ()
    removed: dict[str, str] = field(default_factory=dict, repr=False)
    attributes_json: str = field(default="{}", repr=False)  # as text, which takes less memory: thousands are kept
    original: SealedOriginal | None = None

    @property
    def attributes(self) -> dict[str, Any]:
        """What DICOMweb searches by, as DICOM JSON."""
        found: dict[str, Any] = json.loads(self.attributes_json)
        return found


def read_files(folder: Path, centre: Centre) -> Iterator[StoredFile | Outcome]:
    """Every file of a spool folder, archives opened: stored, or refused; in the order of their numbers.

    As many files are read at a time as the pool has parsers.
    """
    return read_paths(sorted(folder.iterdir()), keys_of(centre))


def read_paths(paths: list[Path], keys: dict[str, Any]) -> Iterator[StoredFile | Outcome]:
    """As `read_files`, of these files, with what `keys_of` gave; the database is not touched."""
    if len(paths) > limits.MAX_FILES:
        yield Outcome(0, 0, "refused", f"Only the first {limits.MAX_FILES} files were read; send one study at a time.")
    yield from _Ahead(paths[: limits.MAX_FILES], keys)


def read_file(path: Path, centre: Centre) -> list[StoredFile | Outcome]:
    """As `read_files`, of one file; its number is the path's name."""
    return list(_read_path(path, keys_of(centre)))


def keys_of(centre: Centre) -> dict[str, Any]:
    """What a parser has to know of a centre: its secrets for UIDs and pseudonyms, and whether originals are kept."""
    return {
        "keeps_original": policy_of(centre).keeps_originals,
        "uid_key": keyed_digest("uid", str(centre.pk)).hex(),
        "pseudonym_key": keyed_digest("pseudonym", str(centre.pk)).hex(),
    }


class _Ahead:
    """Reads files ahead of the one whose results are taken: a thread a parser, results in the order of the paths."""

    def __init__(self, paths: list[Path], keys: dict[str, Any]) -> None:
        self._paths, self._keys = paths, keys
        self._results: list[queue.SimpleQueue[Any]] = [queue.SimpleQueue() for _ in paths]
        self._next = iter(range(len(paths)))
        self._lock = threading.Lock()
        self._may_start = threading.Semaphore(4 * parser_pool().size)
        self._is_over = False

    def __iter__(self) -> Iterator[StoredFile | Outcome]:
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(min(parser_pool().size, len(self._paths)))]
        for thread in threads:
            thread.start()
        try:
            for results in self._results:
                while (found := results.get()) is not None:
                    if isinstance(found, BaseException):
                        raise found
                    yield found
                self._may_start.release()
        finally:
            self._is_over = True
            for _ in threads:
                self._may_start.release()
            for thread in threads:
                thread.join()

    def _work(self) -> None:
        while True:
            self._may_start.acquire()
            with self._lock:
                i = next(self._next, None)
            if i is None or self._is_over:
                self._may_start.release()
                return
            results = self._results[i]
            try:
                for found in _read_path(self._paths[i], self._keys):
                    results.put(found)
                    if self._is_over:
                        return
                results.put(None)
            except Exception as error:  # noqa: BLE001 - raised where the results are taken
                results.put(error)


def _read_path(path: Path, keys: dict[str, Any]) -> Iterator[StoredFile | Outcome]:
    """One file of the spool, or the members of one archive. It runs in a thread of its own and touches no database."""
    n, n_found, n_deaths = int(path.name) if path.name.isdecimal() else 0, 0, 0
    while True:
        is_member = n_found > 0
        try:
            for reply, content in parser_pool().ask({"do": "receive", "path": str(path), "skip": n_found, **keys}):
                n_found += 1
                is_member = bool(reply["is_member"])
                outcome = Outcome(n, n_found if is_member else 0, "accepted")
                if "returned" in reply:
                    outcome.returned = Returned(**reply["returned"])
                if "refused" in reply:
                    yield _refused(outcome, reply["refused"])
                else:
                    yield _store(reply, content, outcome)
            return
        except ParserDiedError as death:
            n_deaths += 1
            n_found += 1
            yield _refused(Outcome(n, n_found if is_member else 0, "refused"), str(death))
            if n_deaths == MAX_DEATHS:
                yield _refused(Outcome(n, n_found + 1, "refused"), "and what follows it in the archive was not read any more")
                return
        except RefusedFileError as refusal:
            yield _refused(Outcome(n, n_found + 1 if is_member else 0, "refused"), str(refusal))
            return


def _store(reply: dict[str, Any], blob: bytes, outcome: Outcome) -> StoredFile:
    content, original = blob[: reply["n_content"]], blob[reply["n_content"] :]
    path = put_content(content, FOLDER, ".dcm")
    study_uid, series_uid, sop_uid = reply["uids"][:3]
    source = StoredPixels(path)
    frames = [frame_from(values, "a file", source) for values in reply["frames"]]
    outcome.reason = f"{UNPLACED} {reply['unplaced']}" if reply["unplaced"] else ""
    identity = _identity(reply["identity"])
    return StoredFile(
        outcome=outcome,
        study_uid=study_uid,
        series_uid=series_uid,
        sop_uid=sop_uid,
        originals=dict(zip(reply["uids"], reply["originals"], strict=True)),
        pixel_sha256=reply["pixel_sha256"],
        path=path,
        n_bytes=len(content),
        identity=identity,
        frames=tuple(frames),
        unplaced=reply["unplaced"],
        description=reply["description"],
        acquired_at=identity.acquired_at,
        concerns=tuple(reply["concerns"]),
        removed=_removed(json.dumps(reply["removed"])),
        attributes_json=json.dumps(reply["attributes"]),
        original=_seal(original) if original else None,
    )


def _seal(original: bytes) -> SealedOriginal:
    data_key = new_data_key()
    return SealedOriginal(data_key, put_content(seal_bytes(data_key, original), ORIGINALS, ".sealed"), len(original))


@lru_cache(maxsize=256)
def _removed(text: str) -> dict[str, str]:
    """What was removed from a file: one object for all the files of a series, from which the same is removed."""
    found: dict[str, str] = json.loads(text)
    return found


def _identity(values: dict[str, str]) -> Identity:
    return Identity(
        name=values["name"],
        patient_id=values["patient_id"],
        birth_on=date.fromisoformat(values["birth_on"]) if values["birth_on"] else None,
        sex=values["sex"],
        acquired_at=datetime.fromisoformat(values["acquired_at"]) if values["acquired_at"] else None,
    )


def read_stored_frames(path: str) -> tuple[Frame, ...]:
    """The frames of a file that is in the storage already; none where it does not say where in the body it lies."""
    source = StoredPixels(path)
    ((reply, _),) = parser_pool().ask({"do": "frames"}, read_content(path))
    return tuple(frame_from(values, "a file", source) for values in reply["frames"])


def _refused(outcome: Outcome, reason: str) -> Outcome:
    outcome.outcome, outcome.reason = "refused", reason
    return outcome
