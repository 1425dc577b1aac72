"""What a stack's header says of its contrast: is fluid bright, is fat dark, and how do we know."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

# Inversion times that null fat: about 110 ms at 0.2–0.5 T, 130–180 ms at 1.5 T, 190–260 ms at 3 T (article: 145 ms).
# Longer ones null fluid (FLAIR, from 1,700 ms) or weight T1 (MPRAGE, from 600 ms). General knowledge, class [M] of
# domain.md.
STIR_TI_MS = (70.0, 300.0)
LONG_TR_MS = 1500.0  # below it a spin echo is T1-weighted
FLUID_TE_MS = 25.0  # from it, with a long TR, fluid is bright: intermediate and T2 weighting

_FAT_OPTIONS = {"FS", "SFS", "FATSAT", "FAT_SAT", "FATSUP", "SPIR", "SPAIR", "PASTA", "CHESS", "WE", "WATER_EXC"}
_FAT_SELECTIVE = {"FAT", "FAT_AND_WATER", "SILICON_AND_FAT", "WATER"}  # WATER: Spectrally Selected Excitation
_WATER_TYPES = {"W", "WATER", "WATER_IMAGE"}
_OTHER_DIXON_TYPES = {"F", "FAT", "IP", "OP", "IN_PHASE", "OUT_PHASE", "OPP_PHASE", "FAT_FRACTION", "FF"}
_NO_INTENSITIES = {
    "P": "a phase image",
    "PHASE MAP": "a phase image",
    "R": "a real-part image",
    "I": "an imaginary-part image",
    "ADC": "a diffusion map",
    "MIP": "a projection",
    "MNIP": "a projection",
    "MIN IP": "a projection",
    "PROJECTION IMAGE": "a projection",
    "T2 MAP": "a parameter map",
    "T1 MAP": "a parameter map",
}

_EDGE, _END = r"(?:(?<![a-z])|(?<=pd)|(?<=pdw)|(?<=tse)|(?<=fse)|(?<=t1w)|(?<=t2w)|(?<=t2))", r"(?![a-z])"
_STIR_WORD = re.compile(_EDGE + r"(stir|tirm)")
_FAT_WORD = re.compile(_EDGE + r"(fs|sfs|fatsat|fat sat|fsat|fatsup\w*|fat sup\w*|spair|spir|chess|wats|we)" + _END)
_WATER_WORD = re.compile(r"(?<![a-z])(?:dixon|ideal|mdixon|flex|lava flex)\b.*(?<![a-z])(w|water)(?![a-z])|^water ")
_NOT_FAT = re.compile(r"(?<![a-z])(no|non|not|without|w o|ohne|sans|nicht)\s?(fs|fatsat|fat sat|fat sup\w*|stir)" + _END)
_T1_WORD = re.compile(r"(?<![a-z])(t1|t1w|vibe|mprage|lava|thrive|flash|spgr)(?![a-z])")
_T2_WORD = re.compile(r"(?<![a-z])(t2|t2w|pd|pdw)(?![a-z])|(?<![a-z])(t2|pd)(w?)(fs|spair|spir|tse)")
_CONTRAST_WORD = re.compile(r"(?<![a-z])(gd|gad|gado\w*|km|post|contrast|ce|dotarem)(?![a-z])")


class Described(Protocol):
    """What tells the contrast of an image: a `Frame`, or the same words and numbers from elsewhere."""

    @property
    def words(self) -> Mapping[str, tuple[str, ...]]: ...

    @property
    def numbers(self) -> Mapping[str, float]: ...


@dataclass(frozen=True)
class Sequence:
    """Contrast of a stack.

    `words` names the sequence with its evidence; `problem` says why fluid and marrow oedema can't be measured on it
    (empty where they can); `by_name_only` is true where nothing but a series name says that fat is suppressed. `is_open` is true
    where neither header nor name says anything about fat, and nothing speaks against bright fluid: the pictures may then tell.
    """

    fat_suppressed: bool
    fluid_sensitive: bool
    by_name_only: bool
    words: str
    problem: str = ""
    is_open: bool = False


def describe_sequence(frame: Described) -> Sequence:
    """What the header of one frame says of its contrast.

    Notes
    -----
    Parameters of the acquisition (TI, TR, TE, Scanning Sequence, Scan Options, image type, the macros of enhanced MR)
    go before names; a name that they contradict does not count.
    """
    name = _name(frame)
    image_type = [v.upper() for k in ("ImageType", "FrameType") for v in frame.words.get(k, ())]
    for value in [*image_type[2:], *(v.upper() for v in frame.words.get("ComplexImageComponent", ()))]:
        if value in _NO_INTENSITIES:
            return Sequence(False, False, False, _NO_INTENSITIES[value], f"is {_NO_INTENSITIES[value]}")
    fat, by_name_only = _fat_evidence(frame, name, image_type)
    weighting = _weighting(frame, name, is_stir="STIR" in fat)
    words = ", ".join(part for part in (fat, weighting.words) if part) or "sequence not named"
    if not fat:
        is_open = weighting.may_be_fluid and not _denies_fat(frame, image_type)
        said = "nothing says that fat is suppressed" if is_open else "fat is not suppressed"
        return Sequence(False, weighting.is_fluid, False, words, f"{said} ({words})", is_open)
    problem = "" if weighting.is_fluid else f"fluid is not bright on it: {weighting.why_not}"
    return Sequence(True, weighting.is_fluid, by_name_only, words, problem)


@dataclass(frozen=True)
class _Weighting:
    is_fluid: bool
    words: str
    why_not: str = ""
    is_unknown: bool = False

    @property
    def may_be_fluid(self) -> bool:
        return self.is_fluid or self.is_unknown


def _name(frame: Described) -> str:
    return _NOT_FAT.sub(" ", _whole_name(frame)).strip()


def _whole_name(frame: Described) -> str:
    keywords = ("SeriesDescription", "ProtocolName", "SequenceName", "PulseSequenceName")
    joined = " ".join(v for k in keywords for v in frame.words.get(k, ())).lower()
    return re.sub(r"[^a-z0-9]+", " ", joined)


def _denies_fat(frame: Described, image_type: list[str]) -> bool:
    """Whether the header or a name says that fat is not suppressed."""
    is_denied = _fat_by_header(frame, image_type) == "" or _is_inversion_for_else(frame)
    return is_denied or _NOT_FAT.search(_whole_name(frame)) is not None


def _number(frame: Described, *keywords: str) -> float | None:
    return next((frame.numbers[k] for k in keywords if frame.numbers.get(k, 0.0) > 0), None)


def _fat_evidence(frame: Described, name: str, image_type: list[str]) -> tuple[str, bool]:
    """(how fat is suppressed, whether only a name says so); ("", False) where nothing says so."""
    found = _fat_by_header(frame, image_type)
    if found is not None:
        return found, False
    stir = _STIR_WORD.search(name)
    if stir and not _is_inversion_for_else(frame):
        return "STIR by its name only", True
    word = _FAT_WORD.search(name) or _WATER_WORD.search(name)
    return (f"fat suppression by its name only ({word.group(0).strip()!r})", True) if word else ("", False)


def _fat_by_header(frame: Described, image_type: list[str]) -> str | None:
    """How fat is suppressed as the acquisition says; "" where it says that it is not; None where it says nothing."""
    if _OTHER_DIXON_TYPES & set(image_type):
        return ""
    ti = _number(frame, "InversionTime", "InversionTimes")
    if _inverts(frame) and ti is not None and STIR_TI_MS[0] <= ti <= STIR_TI_MS[1]:
        return f"STIR (inversion recovery, TI {ti:g} ms)"
    if "STIR" in frame.words.get("AcquisitionContrast", ()):
        return "STIR (Acquisition Contrast)"
    if ti is not None and STIR_TI_MS[0] <= ti <= STIR_TI_MS[1] and _STIR_WORD.search(_name(frame)):
        return f"STIR (TI {ti:g} ms and its name)"
    options = {v.upper() for v in frame.words.get("ScanOptions", ())} & _FAT_OPTIONS
    if options:
        return f"fat suppression (Scan Options {', '.join(sorted(options))})"
    for keyword in ("SpectrallySelectedSuppression", "SpectrallySelectedExcitation"):
        values = {v.upper() for v in frame.words.get(keyword, ())} & _FAT_SELECTIVE
        if values - ({"WATER"} if keyword == "SpectrallySelectedSuppression" else {"FAT"}):
            return "fat suppression (spectral selection)"
    if _WATER_TYPES & set(image_type):
        return "fat suppression (Dixon water image)"
    return None


def _inverts(frame: Described) -> bool:
    return "IR" in frame.words.get("ScanningSequence", ()) or "YES" in frame.words.get("InversionRecovery", ())


def _is_inversion_for_else(frame: Described) -> bool:
    ti = _number(frame, "InversionTime", "InversionTimes")
    return ti is not None and not STIR_TI_MS[0] <= ti <= STIR_TI_MS[1]


def _weighting(frame: Described, name: str, is_stir: bool) -> _Weighting:
    tr, te = _number(frame, "RepetitionTime"), _number(frame, "EffectiveEchoTime", "EchoTime")
    shown = ", ".join(f"{n} {v:g} ms" for n, v in (("TR", tr), ("TE", te)) if v is not None)
    scanning = set(frame.words.get("ScanningSequence", ()))
    echo = set(frame.words.get("EchoPulseSequence", ()))
    if (frame.numbers.get("DiffusionBValue") or 0.0) > 0 or re.search(r"(?<![a-z])(dwi|diff\w*|dti)(?![a-z])", name):
        return _Weighting(False, "diffusion", "it is a diffusion sequence")
    if "GR" in scanning or "GRADIENT" in echo:
        return _Weighting(False, f"gradient echo, {shown}", "it is a gradient echo")
    if tr is not None and tr < LONG_TR_MS:
        return _Weighting(False, f"T1-weighted, {shown}", _t1_reason(frame, name, shown))
    if tr is None and _T1_WORD.search(name):
        return _Weighting(False, "T1-weighted by its name", _t1_reason(frame, name, "by its name"))
    if is_stir:
        return _Weighting(True, shown)
    if tr is not None and te is not None:
        if te < FLUID_TE_MS:
            return _Weighting(False, f"proton density, {shown}", f"its echo time is too short ({shown})")
        return _Weighting(True, f"{'T2-weighted' if te >= 60 else 'intermediate weighting'}, {shown}")
    if _T2_WORD.search(name):
        return _Weighting(True, "T2-weighted by its name")
    return _Weighting(False, shown, "neither TR and TE nor its name say how it is weighted", is_unknown=True)


def _t1_reason(frame: Described, name: str, shown: str) -> str:
    agent = frame.words.get("ContrastBolusAgent") or frame.words.get("ContrastBolusAgentAdministered")
    has_agent = agent is not None and agent[0].upper() not in ("", "NO", "NONE")
    if has_agent or _CONTRAST_WORD.search(name):
        return f"it is T1-weighted after contrast ({shown}), which shows enhancement and not fluid"
    return f"it is T1-weighted ({shown})"
