"""What becomes of each file of the DICOM corpus at the door, as the table docs/reference/dicom-corpus.md.

`python -m tests.imaging.corpus_table` writes it anew; tests/imaging/test_corpus.py compares it.
"""

import csv
import os
import shutil
import tempfile
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

TABLE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "dicom-corpus.md"
KEYS = {"keeps_original": False, "uid_key": "00" * 32, "pseudonym_key": "11" * 32}
FOLDERS = (
    "hip_mr/ProstateX-0218/t2_localizer_512",
    "hip_mr/ProstateX-0218/t2_tse_cor",
    "hip_mr/STS_044",
    "vendor_mr",
    "enhanced_mr",
    "transfer_syntax",
    "malformed_series",
    "phi",
)
HEAD = """# The DICOM corpus at the door

What the product makes of each file of the corpus of real and broken DICOM (`HIPAPP_DICOM_CORPUS`), beside what its MANIFEST.csv
proposes. Written by `python -m tests.imaging.corpus_table`; `tests/imaging/test_corpus.py` fails where the product does else.

*stored*: without identity, and part of a stack. *stored, no place*: kept, but in no stack, because the image does not say where
in the body it lies. *refused*: not kept, for the reason given. `[1–3]`: members of an archive. Where the MANIFEST says else is
argued in [decision 0050](../decisions/0050-corpus-disagreements.md).
"""


@dataclass(frozen=True)
class Ending:
    """How one file (or member of an archive) ended."""

    file: str
    member: int
    outcome: str  # stored | stored, no place | refused
    reason: str


def rows_of(corpus: Path) -> list[dict[str, str]]:
    """The rows of MANIFEST.csv."""
    with (corpus / "MANIFEST.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def endings(corpus: Path, files: list[str]) -> list[Ending]:
    """How these files end when they are received, one folder of the spool for all of them. The database is not touched."""
    from hipapp.imaging.receiving.files import StoredFile, read_paths

    spool = Path(tempfile.mkdtemp(prefix="hipapp-corpus-"))
    try:
        for number, file in enumerate(files, start=1):
            shutil.copyfile(corpus / file, spool / f"{number:08d}")
        found = []
        for one in read_paths(sorted(spool.iterdir()), KEYS):
            outcome = one.outcome if isinstance(one, StoredFile) else one
            words = "refused" if outcome.outcome == "refused" else "stored"
            if isinstance(one, StoredFile) and one.unplaced:
                words = "stored, no place"
            found.append(Ending(files[outcome.n - 1], outcome.member, words, outcome.reason))
        return found
    finally:
        shutil.rmtree(spool)


def table(corpus: Path) -> str:
    """The whole page."""
    from ml.dicom import UnscorableError, choose_series, read_study

    rows = rows_of(corpus)
    by_file: dict[str, list[Ending]] = {row["file"]: [] for row in rows}
    for ending in endings(corpus, list(by_file)):
        by_file[ending.file].append(ending)
    lines = [HEAD, "## Files", "", "| file | MANIFEST proposes | outcome | reason |", "|---|---|---|---|"]
    for row in rows:
        found = by_file[row["file"]] or [Ending(row["file"], 0, "empty", "holds no files")]
        for (outcome, reason), group in groupby(found, key=lambda ending: (ending.outcome, ending.reason)):
            members = [ending.member for ending in group]
            span = f"{members[0]}" if len(members) == 1 else f"{members[0]}–{members[-1]}"
            place = f"{row['file']} [{span}]" if members[0] else row["file"]
            lines.append(f"| {place} | {_cell(row['expected_ingest_outcome'])} | {outcome} | {_cell(reason)} |")
    lines += ["", "## Series", "", "Each folder read as one delivery: its stacks, and why none of them is scored.", ""]
    lines += ["| folder | stacks: plane × slices | code | why |", "|---|---|---|---|"]
    for folder in FOLDERS:
        study = read_study(corpus / folder)
        stacks = ", ".join(f"{series.plane} × {series.n_slices}" for series in study.series)
        try:
            choice = choose_series(study)
            lines.append(f"| {folder} | {stacks} | | {_cell(choice.why)} |")
        except UnscorableError as error:
            lines.append(f"| {folder} | {stacks} | {error.code} | {_cell(error.message)} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def main() -> None:
    """Write the table; a storage of its own is thrown away afterwards."""
    folder = tempfile.mkdtemp(prefix="hipapp-corpus-")
    os.environ.update(DJANGO_SETTINGS_MODULE="hipapp.settings", HIPAPP_VAR=folder)
    from hipapp.core.embedded import prepare

    prepare(database=False)
    import django

    django.setup()
    from tests.conftest import corpus_folder

    try:
        TABLE.write_text(table(corpus_folder()), encoding="utf-8")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
