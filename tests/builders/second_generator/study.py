"""`make_study` and `make_negative`: a seed in, a scanned stack with its truth out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml import labels
from ml.dicom.volume import SourceSlice, Volume
from tests.builders.second_generator import body, elsewhere
from tests.builders.second_generator.canvas import Canvas
from tests.builders.second_generator.hip import Hip, draw_hip, paint_bone
from tests.builders.second_generator.lesions import Plan, draw_plans, paint_joint_fluid, paint_oedema
from tests.builders.second_generator.scanner import Protocol, acquire, draw_protocol, grid_for, slices_of
from tests.builders.second_generator.seeds import NEGATIVE_KINDS
from tests.builders.second_generator.shapes import Array, turn

Point = npt.NDArray[np.float64]
Scene = tuple[Canvas, tuple[Hip, Hip], Callable[[Point], Point]]
SIDES = ("right", "left")


@dataclass(frozen=True)
class Hip2:
    """Truth of one hip: head's centre (LPS) and radius in mm, lesion volumes in mL as masked."""

    centre_mm: tuple[float, float, float]
    radius_mm: float
    bme_ml: float
    bme_femoral_ml: float
    synovitis_ml: float

    @property
    def is_normal(self) -> bool:
        """Whether no voxel of the hip is masked as lesion."""
        return self.bme_ml == 0 and self.synovitis_ml == 0


@dataclass(frozen=True)
class Study2:
    """A scanned stack; `masks` uint8 bit planes (slice, row, column); `heads` and `hips` by side, empty in a negative."""

    volume: Volume
    masks: labels.Mask
    heads: dict[str, tuple[float, float, float]]
    hips: dict[str, Hip2]
    protocol: Protocol
    name: str


def make_study(seed: int) -> Study2:
    """A coronal STIR or T2 fat-saturated study of both hips; the same seed gives the same study."""
    rng = np.random.default_rng([seed, 2])
    protocol = draw_protocol(rng)
    plans = draw_plans(seed, rng)
    canvas, hips, place = _pelvis(rng, protocol, plans, "coronal")
    masks = _masks(canvas, protocol)
    volume = _volume(acquire(canvas, protocol, rng), protocol, f"study-{seed}")
    heads = {h.side: _tuple(place(canvas.unwarped(h.centre))) for h in hips}
    return Study2(volume, masks, heads, _truth(volume, masks, heads, hips), protocol, f"study-{seed}")


def make_negative(seed: int, kind: str) -> Study2:
    """A stack of 20 slices labelled coronal and fat-suppressed in which no hip can be scored.

    Parameters
    ----------
    kind : one of `NEGATIVE_KINDS`
        "axial_pelvis" and "sagittal_pelvis" cut the pelvis in that plane and call it coronal.
    """
    if kind not in NEGATIVE_KINDS:
        raise ValueError(f"kind is {kind!r}; it must be one of {', '.join(NEGATIVE_KINDS)}")
    rng = np.random.default_rng([seed, 3, NEGATIVE_KINDS.index(kind)])
    protocol = draw_protocol(rng, elsewhere.FIELDS_MM[kind], n_slices=20)
    name = f"{kind}-{seed}"
    if kind == "noise":
        pixels = elsewhere.noise(rng, protocol)
    else:
        canvas = _negative_canvas(rng, protocol, kind)
        pixels = acquire(canvas, protocol, rng)
    return Study2(_volume(pixels, protocol, name), np.zeros(pixels.shape, np.uint8), {}, {}, protocol, name)


def _negative_canvas(rng: np.random.Generator, protocol: Protocol, kind: str) -> Canvas:
    if kind.endswith("_pelvis"):
        aside = float(rng.choice([-90, 0, 0, 90])) if kind == "sagittal_pelvis" else 0.0
        plans = draw_plans(int(rng.integers(1000)), rng)
        return _pelvis(rng, protocol, plans, kind.removesuffix("_pelvis"), aside)[0]
    canvas = Canvas(grid_for(protocol, turn(rng.normal(0, 3, 3)), np.zeros(3), "coronal"), protocol.sequence, rng)
    elsewhere.PAINTERS[kind](canvas, rng)
    return canvas


def _pelvis(rng: np.random.Generator, protocol: Protocol, plans: dict[str, Plan], plane: str, aside_mm: float = 0) -> Scene:
    """Canvas with the whole pelvis, its hips, and the function from the body's coordinates to LPS.

    The stack is centred `aside_mm` to the left of the midline.
    """
    pose = turn(rng.normal(0, 1, 3) * np.array([4.0, 2.0, 2.0]))
    shift = rng.normal(0, 1, 3) * np.array([8.0, 5.0, 12.0]) + protocol.middle_mm - pose @ np.array([aside_mm, 4.0, 6.0])
    canvas = Canvas(grid_for(protocol, pose, shift, plane), protocol.sequence, rng, float(rng.uniform(1.0, 2.8)))
    right = draw_hip(rng, "right", offset=float(rng.uniform(84, 97)))
    hips = (right, draw_hip(rng, "left", like=right))
    trunk = body.paint_trunk(canvas, rng, hips)
    body.paint_pelvic_cavity(canvas, rng, hips)
    body.paint_spine(canvas, rng, right.redness)
    body.paint_perineum(canvas, rng)
    for hip in hips:
        _paint_hip(canvas, rng, hip, plans[hip.side], trunk)
    return canvas, hips, lambda point: pose @ point + shift


def _paint_hip(canvas: Canvas, rng: np.random.Generator, hip: Hip, plan: Plan, trunk: Array) -> None:
    body.paint_muscles(canvas, rng, hip, trunk)
    body.paint_vessels(canvas, rng, hip)
    body.paint_bursae(canvas, rng, hip)
    paint_joint_fluid(canvas, rng, hip, plan)
    paint_bone(canvas, hip)
    paint_oedema(canvas, rng, hip, plan)


def _masks(canvas: Canvas, protocol: Protocol) -> labels.Mask:
    """Bit planes of what fills at least half of a pixel through the slice's thickness."""
    planes = []
    fluid = canvas.labels.get("synovitis")
    if fluid is not None:
        fluid *= 1 - canvas.labels["bone"]
    for label in labels.LABELS:
        plane = canvas.labels.get(label)
        if plane is None:
            planes.append(np.zeros((protocol.n_slices, protocol.rows, protocol.columns), bool))
        else:
            planes.append(slices_of(plane, protocol, canvas.grid) >= 0.5)
    return labels.enforce_rules(labels.join_planes(np.stack(planes)))


def _volume(pixels: npt.NDArray[np.float32], protocol: Protocol, name: str) -> Volume:
    sequence = protocol.sequence
    stir = sequence.ti_ms is not None
    tags: dict[str, object] = {
        "series_description": "COR STIR" if stir else "COR T2 FS",
        "manufacturer": protocol.vendor,
        "tr_ms": sequence.tr_ms,
        "te_ms": sequence.te_ms,
        "ti_ms": sequence.ti_ms,
        "slice_thickness_mm": protocol.thickness_mm,
        "field_strength_t": sequence.field_t,
        "scan_options": "" if stir else "FS",
    }
    sources = tuple(SourceSlice(f"2.25.{_uid_number(name, index)}") for index in range(protocol.n_slices))
    return Volume(pixels, protocol.spacing_mm, protocol.affine, sources, tags)


def _uid_number(name: str, index: int) -> int:
    """A number below 2**126 that belongs to a name and an index."""
    seed = [*name.encode(), index]
    return int.from_bytes(np.random.default_rng(seed).bytes(15), "big") + 1


def _truth(
    volume: Volume, masks: labels.Mask, heads: dict[str, tuple[float, float, float]], hips: tuple[Hip, ...]
) -> dict[str, Hip2]:
    """Lesion volumes of each hip; a voxel belongs to the nearer head."""
    voxel_ml = float(np.prod(volume.spacing_mm)) / 1000
    lesions = np.argwhere((masks & (labels.BME | labels.SYNOVITIS)) > 0)
    where = volume.to_lps(lesions) if len(lesions) else np.zeros((0, 3))
    values = masks[tuple(lesions.T)]
    away = np.stack([np.linalg.norm(where - np.array(heads[side]), axis=1) for side in SIDES])
    nearer = away.argmin(0)
    truth = {}
    for number, hip in enumerate(hips):
        own = values[nearer == number]
        bme = (own & labels.BME) > 0
        counts = (bme.sum(), (bme & ((own & labels.FEMUR) > 0)).sum(), ((own & labels.SYNOVITIS) > 0).sum())
        truth[hip.side] = Hip2(heads[hip.side], hip.radius_mm, *(float(n) * voxel_ml for n in counts))
    return truth


def _tuple(point: Point) -> tuple[float, float, float]:
    return (float(point[0]), float(point[1]), float(point[2]))
