"""Free text of a scanner kept only as far as it consists of known words of the trade."""

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_DESCRIPTOR_WORDS = _words(
    # contrast and fat suppression
    "t1 t1w t2 t2w t2star pd pdw stir tirm tir ir fs sfs fsat fatsat fat sat fatsup fatsuppressed fatsuppression "
    "suppressed suppression sup spair spir chess pasta wats we water dixon mdixon ideal flex flair dwi diff dti "
    "adc b0 swi nofs no non not without wo w o mit ohne sans with "
    # sequence families
    "se tse fse frfse ffe gre gr fl flash spgr fspgr vibe lava thrive mprage space cube vista medic dess trufi "
    "fiesta haste ssfse epi blade propeller multivane turbo fast mobiview sms caipi grappa sense ipat p2 p3 norm "
    "2d 3d iso "
    # planes and places
    "cor coronal sag sagittal tra trans transversal transverse ax axial obl oblique hip hips hueft huefte pelvis "
    "becken femur acetabulum joint si sij sacrum sacroiliac lumbar spine prostate head brain abdomen thigh knee "
    "whole body right left bilateral both re li rechts links "
    # order, contrast agent, hints
    "pre post gd gad gado gadolinium gadovist dotarem km kontrast contrast ce nativ native dyn dynamic delayed "
    "sub mip mpr multi stack localizer localiser loc scout survey asset cal calibration map thin high low res hr "
    "large small fov mr mri mrt rm irm "
    # the product's own
    "synthetic phantom research demo "
)
_COMPOUND_WORDS = "t1w|t1|t2w|t2|pdw|pd|fatsat|fsat|spair|spir|stir|tirm|fs|tse|fse|cor|sag|tra|ax|dixon|2d|3d|ir|se|km|gd|w"
_COMPOUND = re.compile(f"(?:{_COMPOUND_WORDS}){{2,4}}")

_MODEL_WORDS = _words(
    "aera amira altea avanto avantofit biograph mmr espree essenza lumina magnetom prisma prismafit skyra skyrafit sola "
    "spectra sempra symphony symphonytim terra trio triotim verio vida free max achieva ambition ingenia elition intera "
    "multiva panorama prodiva evolution architect artist brivo creator discovery explorer hdx hdxt hde mr355 mr360 mr430s "
    "mr450 mr450w mr750 mr750w optima pioneer premier signa voyager vantage titan galan orian elan excelart atlas airis "
    "aperto echelon oasis oval supernova umr 560 570 580 588 670 680 770 780 790 880 scan g brio artoscan opera s phantom "
    "synthetic xr x tx dstream nx fit tim 3t 1t 5t"
)
_MANUFACTURERS = (
    *("SIEMENS", "PHILIPS", "GE MEDICAL SYSTEMS", "GE HEALTHCARE", "CANON", "TOSHIBA", "HITACHI", "FUJIFILM", "UIH"),
    *("ESAOTE", "PARAMED", "HYPERFINE", "NEUSOFT", "ALLTECH", "XINGAOYI"),
)


def clean_descriptor(text: str) -> str:
    """The known words of a description, in order, lower case; everything else (names, numbers, free text) is gone.

    References
    ----------
    DICOM PS3.15 E.3.5 (Clean Descriptors Option).
    """
    tokens = re.findall(r"[a-z0-9]+", text.lower())
    return " ".join(t for t in tokens if t in _DESCRIPTOR_WORDS or _COMPOUND.fullmatch(t))[:64]


def clean_sequence_name(text: str) -> str:
    """The letters of a vendor's sequence name where they are known words (`*tir2d1_11` gives `tir`)."""
    return clean_descriptor(" ".join(re.findall(r"[a-z]+", text.lower())))[:16]


def clean_model(text: str) -> str:
    """The known words of a scanner's model name."""
    tokens = re.findall(r"[a-z0-9]+", text.lower())
    return " ".join(t for t in tokens if t in _MODEL_WORDS)[:64]


def clean_manufacturer(text: str) -> str:
    """The vendor where it is a known one, else nothing."""
    upper = text.upper()
    return next((name for name in _MANUFACTURERS if upper.startswith(name) or f" {name}" in upper), "")
