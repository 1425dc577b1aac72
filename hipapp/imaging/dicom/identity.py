"""Whose study a file says it is, and whether that agrees with the patient it is put to."""

import re
import unicodedata
import warnings
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from itertools import product

from pydicom import Dataset

from hipapp.imaging.dicom.names import person_name

_TITLES = {"dr", "med", "prof", "mr", "mrs", "ms", "miss", "herr", "frau", "mme", "sr", "jr"}
_LETTERS = str.maketrans({"ß": "ss", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "æ": "ae", "œ": "oe", "þ": "th", "ı": "i"})
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})
_DATES = (
    ("AcquisitionDateTime", ""),
    ("AcquisitionDate", "AcquisitionTime"),
    ("SeriesDate", "SeriesTime"),
    ("StudyDate", "StudyTime"),
    ("ContentDate", "ContentTime"),
)
# What `identity_of` looks at; the times are kept apart, since they differ between the images of a series.
TIMES = tuple(clock or day for day, clock in _DATES)
IDENTIFYING = (
    *("SpecificCharacterSet", "PatientIdentityRemoved", "PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *(day for day, clock in _DATES if clock),
    "TimezoneOffsetFromUTC",
)


@dataclass(frozen=True)
class Identity:
    """What a file says of its person. It prints nothing of it."""

    name: str = field(default="", repr=False)
    patient_id: str = field(default="", repr=False)
    birth_on: date | None = field(default=None, repr=False)
    sex: str = field(default="", repr=False)
    acquired_at: datetime | None = field(default=None, repr=False)


def identity_of(dataset: Dataset) -> Identity:
    """Name (all writings, as `alphabetic=ideographic=phonetic`), ID, birth date, sex and time of acquisition.

    Notes
    -----
    What is missing or can't be read is empty or None. Where the file says that its identity was removed, name and ID are
    pseudonyms and are given as empty. A time without Timezone Offset From UTC is taken as UTC. Texts are decoded by the file's
    Specific Character Set (PS3.5 6.1), names also where that is wrong (`names.person_name`).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        is_removed = _text(dataset, "PatientIdentityRemoved").upper() == "YES"
        sex = _text(dataset, "PatientSex").upper()
        return Identity(
            name="" if is_removed else person_name(dataset),
            patient_id="" if is_removed else _text(dataset, "PatientID"),
            birth_on=_date(_text(dataset, "PatientBirthDate")),
            sex=sex if sex in ("M", "F", "O") else "",
            acquired_at=acquired_at(dataset),
        )


def compare_identity(identity: Identity, *, name: str = "", birth_on: date | None = None, sex: str = "") -> list[str]:
    """Which of `name`, `birth date`, `sex` differ from the chosen patient's; values are never told.

    Parameters
    ----------
    name, birth_on, sex
        Of the patient; sex as M, F, O or a word that begins so. What is missing on either side is not compared.

    Notes
    -----
    Names agree whatever their case, accents, order and punctuation, with umlauts spelt out, with middle names or titles
    missing, or with a given name as its initial. A family name alone agrees with nothing but itself.
    """
    differences = []
    if identity.name and name and not _same_name(identity.name, name):
        differences.append("name")
    if identity.birth_on and birth_on and identity.birth_on != birth_on:
        differences.append("birth date")
    letters = {identity.sex[:1].upper(), sex[:1].upper()}
    if letters == {"M", "F"}:
        differences.append("sex")
    return differences


def _text(dataset: Dataset, keyword: str) -> str:
    try:
        value = dataset.get(keyword)
        return "" if value is None else str(value).replace("\0", "").strip()
    except Exception:  # noqa: BLE001 - an unreadable value counts as a missing one
        return ""


def _date(text: str) -> date | None:
    digits = re.fullmatch(r"(\d{4})[.\-]?(\d{2})[.\-]?(\d{2})", text)
    try:
        return date(*(int(part) for part in digits.groups())) if digits else None
    except ValueError:
        return None


def _time(text: str) -> time:
    digits = re.match(r"(\d{2}):?(\d{2})?:?(\d{2})?", text)
    try:
        hour, minute, second = (int(part or 0) for part in digits.groups()) if digits else (0, 0, 0)
        return time(hour, minute, second)
    except ValueError:
        return time()


def acquired_at(dataset: Dataset) -> datetime | None:
    """When the image was acquired, by the first of its dates that can be read; None where there is none."""
    for date_keyword, time_keyword in _DATES:
        text = _text(dataset, date_keyword)
        day = _date(text if time_keyword else text[:8])
        if day is not None:
            clock = _time(_text(dataset, time_keyword) if time_keyword else text[8:])
            offset = text[-5:] if not time_keyword and re.search(r"[+-]\d{4}$", text) else ""
            zone = _zone(offset or _text(dataset, "TimezoneOffsetFromUTC"))
            return datetime.combine(day, clock, zone)
    return None


def _zone(text: str) -> timezone:
    found = re.fullmatch(r"([+-])(\d{2})(\d{2})", text)
    if not found or int(found.group(2)) > 14:
        return UTC
    offset = timedelta(hours=int(found.group(2)), minutes=int(found.group(3)))
    return timezone(offset if found.group(1) == "+" else -offset)


def _same_name(one: str, other: str) -> bool:
    ours, theirs = _writings(one), _writings(other)
    return not ours or not theirs or any(_agree(a, b) for a, b in product(ours, theirs))


def _writings(name: str) -> list[list[str]]:
    """The words of a name in each of its writings (`=` groups; umlauts bare or spelt out)."""
    writings = []
    for group in name.split("="):
        components = group.split("^")
        text = " ".join(components[:3]) if len(components) > 1 else group  # prefix and suffix left out
        for table in ({}, _UMLAUTS):
            plain = _without_accents(unicodedata.normalize("NFC", text).casefold().translate(table))
            words = re.findall(r"\w+", re.sub(r"[’'`´.]", "", plain))
            writings.append([word for word in words if word not in _TITLES])
    return [words for words in writings if words]


def _without_accents(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def _agree(one: list[str], other: list[str]) -> bool:
    if "".join(sorted("".join(one))) == "".join(sorted("".join(other))) and "".join(one) in _joins(other):
        return True
    fewer, more = sorted((one, other), key=len)
    if len(fewer) < 2:
        return fewer == more
    left = list(more)
    n_whole = 0
    for word in sorted(fewer, key=len, reverse=True):
        match = next((w for w in left if w == word), None) or next((w for w in left if _is_initial(w, word)), None)
        if match is None:
            return False
        n_whole += match == word
        left.remove(match)
    return n_whole >= 1


def _is_initial(one: str, other: str) -> bool:
    return min(len(one), len(other)) == 1 and one[0] == other[0]


def _joins(words: list[str]) -> set[str]:
    """A name written without its spaces or hyphens, in either order."""
    return {"".join(words), "".join(words[1:] + words[:1]), "".join(words[-1:] + words[:-1])}
