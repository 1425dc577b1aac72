"""MR headers as Siemens, GE, Philips, UIH and Canon write them for STIR and for T2 with fat saturation."""

from dataclasses import dataclass

import numpy as np

Tags = dict[str, object]


@dataclass(frozen=True)
class Vendor:
    """How one manufacturer fills the tags that tell a fat-suppressed sequence from another."""

    manufacturer: str
    models: tuple[str, ...]
    stir: Tags
    fat_sat: Tags
    plain: Tags
    stir_names: tuple[str, ...]
    fat_sat_names: tuple[str, ...]
    bits_stored: int
    signed: bool
    rescales: bool


SIEMENS = Vendor(
    "SIEMENS",
    ("Avanto", "Skyra", "Aera", "MAGNETOM Vida"),
    {
        "ScanningSequence": ["SE", "IR"],
        "SequenceVariant": ["SK", "SP", "MP"],
        "ScanOptions": ["IR", "PFP"],
        "SequenceName": "*tir2d1_11",
        "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "NORM"],
    },
    {
        "ScanningSequence": "SE",
        "SequenceVariant": ["SK", "SP", "OSP"],
        "ScanOptions": ["FS", "SAT1"],
        "SequenceName": "*tse2d1_13",
        "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "NORM"],
    },
    {
        "ScanningSequence": "SE",
        "SequenceVariant": ["SK", "SP", "OSP"],
        "ScanOptions": "",
        "SequenceName": "*tse2d1_5",
        "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"],
    },
    ("t2_tirm_cor_p2", "cor_stir", "t2_tirm_cor_384"),
    ("t2_tse_fs_cor", "pd_t2_tse_fs_cor_p2"),
    12,
    False,
    False,
)
GE = Vendor(
    "GE MEDICAL SYSTEMS",
    ("SIGNA EXCITE", "Optima MR450w", "DISCOVERY MR750"),
    {
        "ScanningSequence": ["SE", "IR"],
        "SequenceVariant": "SK",
        "ScanOptions": ["FAST_GEMS", "NPW", "TRF_GEMS", "FILTERED_GEMS"],
        "ImageType": ["ORIGINAL", "PRIMARY", "OTHER"],
    },
    {
        "ScanningSequence": "SE",
        "SequenceVariant": "SK",
        "ScanOptions": ["FAST_GEMS", "FS", "TRF_GEMS", "FILTERED_GEMS"],
        "ImageType": ["ORIGINAL", "PRIMARY", "OTHER"],
    },
    {
        "ScanningSequence": "SE",
        "SequenceVariant": "SK",
        "ScanOptions": ["FAST_GEMS", "NPW", "FILTERED_GEMS"],
        "ImageType": ["ORIGINAL", "PRIMARY", "OTHER"],
    },
    ("COR STIR", "Cor STIR Hips", "COR FSE-IR"),
    ("COR T2 FS", "Cor FRFSE T2 FATSAT"),
    16,
    True,
    False,
)
PHILIPS = Vendor(
    "Philips Medical Systems",
    ("Achieva", "Ingenia", "Ingenia Elition X"),
    {
        "ScanningSequence": "IR",
        "SequenceVariant": ["SK", "OSP"],
        "ScanOptions": "OTHER",
        "ImageType": ["ORIGINAL", "PRIMARY", "M_IR", "M", "IR"],
    },
    {
        "ScanningSequence": "SE",
        "SequenceVariant": ["SK", "OSP"],
        "ScanOptions": ["FS", "OTHER"],
        "ImageType": ["ORIGINAL", "PRIMARY", "M_SE", "M", "SE"],
    },
    {
        "ScanningSequence": "SE",
        "SequenceVariant": "SK",
        "ScanOptions": "OTHER",
        "ImageType": ["ORIGINAL", "PRIMARY", "M_SE", "M", "SE"],
    },
    ("STIR_TSE_COR", "STIR_longTE COR", "COR STIR SENSE"),
    ("T2W_SPAIR_COR", "T2W_TSE_SPIR COR"),
    12,
    False,
    True,
)
UIH = Vendor(
    "UIH",
    ("uMR 570", "uMR 770", "uMR 790"),
    {
        "ScanningSequence": ["SE", "IR"],
        "SequenceVariant": "SK",
        "ScanOptions": "IR",
        "SequenceName": "fse_ir",
        "ImageType": ["ORIGINAL", "PRIMARY", "M", "NORM"],
    },
    {
        "ScanningSequence": "SE",
        "SequenceVariant": "SK",
        "ScanOptions": "FS",
        "SequenceName": "fse",
        "ImageType": ["ORIGINAL", "PRIMARY", "M", "NORM"],
    },
    {
        "ScanningSequence": "SE",
        "SequenceVariant": "SK",
        "ScanOptions": "",
        "SequenceName": "fse",
        "ImageType": ["ORIGINAL", "PRIMARY", "M", "NORM"],
    },
    ("t2_fse_stir_cor", "stir_fse_cor"),
    ("t2_fse_fs_cor", "t2_fse_cor_fs"),
    16,
    False,
    False,
)
CANON = Vendor(
    "CANON_MEC",
    ("Vantage Orian", "Vantage Galan 3T", "Vantage Elan"),
    {
        "ScanningSequence": "IR",
        "SequenceVariant": "SK",
        "ScanOptions": "",
        "ImageType": ["ORIGINAL", "PRIMARY", "OTHER"],
    },
    {
        "ScanningSequence": "SE",
        "SequenceVariant": "SK",
        "ScanOptions": "FS",
        "ImageType": ["ORIGINAL", "PRIMARY", "OTHER"],
    },
    {
        "ScanningSequence": "SE",
        "SequenceVariant": "NONE",
        "ScanOptions": "",
        "ImageType": ["ORIGINAL", "PRIMARY", "OTHER"],
    },
    ("Cor STIR", "FASE STIR COR"),
    ("Cor T2 FatSat", "FSE T2 FS Cor"),
    16,
    True,
    False,
)
VENDORS = (SIEMENS, GE, PHILIPS, UIH, CANON)


@dataclass(frozen=True)
class Header:
    """Tags of one series, and how its pixels are stored."""

    tags: Tags
    bits_stored: int
    signed: bool
    slope: float


def draw_header(rng: np.random.Generator, style: str) -> Header:
    """A vendor's header for a contrast: STIR or T2 with fat saturation for "stir" and "random", plain T1 or T2 otherwise."""
    vendor = VENDORS[int(rng.integers(len(VENDORS)))]
    field_t = float(rng.choice([1.5, 3.0]))
    tags: Tags = {
        "Manufacturer": vendor.manufacturer,
        "ManufacturerModelName": str(rng.choice(vendor.models)),
        "MagneticFieldStrength": field_t,
        "EchoTrainLength": int(rng.integers(5, 20)),
        "FlipAngle": float(rng.choice([90, 120, 150, 180])),
    }
    is_stir = style in ("stir", "random") and rng.random() < 0.65
    tr, te = float(rng.integers(3000, 5600)), float(rng.integers(30, 75))
    if is_stir:
        tags |= vendor.stir
        tags |= {
            "SeriesDescription": str(rng.choice(vendor.stir_names)),
            "InversionTime": float(rng.integers(130, 235)),
        }
    elif style in ("stir", "random"):
        tags |= vendor.fat_sat | {"SeriesDescription": str(rng.choice(vendor.fat_sat_names))}
    else:
        tags |= vendor.plain | {"SeriesDescription": f"{style} tse cor"}
        if style == "t1":
            tr, te = float(rng.integers(450, 750)), float(rng.integers(8, 18))
    tags |= {"RepetitionTime": tr, "EchoTime": te}
    slope = round(float(rng.uniform(0.4, 4.0)), 6) if vendor.rescales else 1.0
    return Header(tags, vendor.bits_stored, vendor.signed, slope)


def identity_free(tags: Tags, thickness_mm: float) -> dict[str, object]:
    """The tags that a Volume carries, under the Volume's names."""
    names = {
        "series_description": "SeriesDescription",
        "manufacturer": "Manufacturer",
        "tr_ms": "RepetitionTime",
        "te_ms": "EchoTime",
        "ti_ms": "InversionTime",
        "field_strength_t": "MagneticFieldStrength",
        "scan_options": "ScanOptions",
        "scanning_sequence": "ScanningSequence",
        "sequence_variant": "SequenceVariant",
    }
    kept = {name: tags[keyword] for name, keyword in names.items() if keyword in tags}
    return kept | {"slice_thickness_mm": thickness_mm}
