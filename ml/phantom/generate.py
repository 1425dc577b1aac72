"""`generate`: one synthetic MR stack with its truth, from a seed."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.dicom.volume import SourceSlice, Volume
from ml.labels import BME, FEMUR, SYNOVITIS, enforce_rules, join_planes
from ml.phantom.acquisition import Acquisition, draw_acquisition
from ml.phantom.anatomy import SIDES, Anatomy, Tissue, draw_anatomy
from ml.phantom.appearance import (
    Look,
    add_ghost,
    add_noise,
    add_wrap,
    blur,
    draw_look,
    fat_leak,
    marrow_field,
    shading,
    texture,
)
from ml.phantom.body import paint_surroundings
from ml.phantom.canvas import Canvas
from ml.phantom.grid import Field, Grid, linear_weights
from ml.phantom.joint import paint_hip
from ml.phantom.lesions import Severity, draw_fluid, draw_oedema, draw_severities
from ml.phantom.scenes import SCENES
from ml.phantom.vendors import Header, draw_header, identity_free

Mask = npt.NDArray[np.uint8]
Protocol = Callable[[Acquisition, Look], tuple[Acquisition, Look]]
SUB_SLICES = 3


@dataclass(frozen=True)
class HipTruth:
    """What is known about one hip whose head's centre lies inside the stack.

    `centre_mm` is in LPS; `contrast` is the oedema's mean intensity over that of healthy femoral marrow, NaN without oedema.
    """

    centre_mm: tuple[float, float, float]
    radius_mm: float
    bme_ml: float
    synovitis_ml: float
    contrast: float
    severity: Severity
    synovitis_mm: float


@dataclass(frozen=True)
class Phantom:
    """A synthetic stack: `volume`, truth bit planes `masks`, tissue ids `tissues` (all slice, row, column) and `hips`."""

    volume: Volume
    masks: Mask
    tissues: Mask
    hips: dict[str, HipTruth]
    seed: int
    visit: int
    plane: str
    scene: str
    style: str
    female: bool
    thickness_mm: float
    header: Header

    @property
    def tags(self) -> dict[str, object]:
        """DICOM keywords and values of the series."""
        return self.header.tags


def _resample(values: Field, acquisition: Acquisition, canvas: Canvas) -> Field:
    """Slices of the canvas on the voxels of the acquisition."""
    pairs = zip(acquisition.pixel_grid().axes_mm[1:], canvas.grid.axes_mm[1:], strict=True)
    rows, columns = (linear_weights(target, source) for target, source in pairs)
    return np.asarray(rows.along(values, 1) @ columns.matrix(), np.float32)


def _nearest(values: Mask, acquisition: Acquisition, canvas: Canvas) -> Mask:
    target, source = acquisition.pixel_grid().axes_mm, canvas.grid.axes_mm
    rows, columns = (np.rint(np.interp(t, s, np.arange(len(s)))).astype(int) for t, s in zip(target[1:], source[1:], strict=True))
    return values[:, rows][:, :, columns]


def _paint_hips(
    canvas: Canvas, fine: Grid, anatomy: Anatomy, look: Look, severities: dict[str, Severity], marrow: Field
) -> dict[str, float]:
    """Paint the hips over the soft tissue; returns the greatest fluid thickness per hip in mm."""
    thickness = {}
    for index, side in enumerate(SIDES):
        hip, severity = anatomy.hips[side], severities[side]
        fluid = draw_fluid((anatomy.seed, 41, index), severity.synovitis)
        level = look.palette[Tissue.MARROW]
        lesions = draw_oedema((anatomy.seed, 42, index), hip, severity.bme, level, look.brightest, look.noise)
        paint_hip(canvas, fine, hip, anatomy, fluid, lesions, marrow)
        thickness[side] = fluid.thickness_mm
    return thickness


def finish(canvas: Canvas, acquisition: Acquisition, look: Look, rng: np.random.Generator) -> tuple[Field, Mask]:
    """Pixels and tissue ids on the acquisition's voxels, with every artefact of the look."""
    tissue, grid = canvas.tissue, canvas.grid
    pixels = texture(canvas.intensity, tissue, grid, look, rng)
    if look.style in ("stir", "random"):
        pixels += fat_leak(tissue, grid, look, rng)
    steps = [float(axis[1] - axis[0]) for axis in grid.axes_mm[1:]]
    pixels = blur(pixels, look, (steps[0], steps[1])) * shading(grid, look, rng)
    pixels = _resample(pixels, acquisition, canvas)
    pixels = add_wrap(add_ghost(pixels, look, rng), look, rng)
    pixels = add_noise(pixels, look, rng)
    return pixels * np.float32(look.scale), _nearest(tissue, acquisition, canvas)


def _truth_masks(canvas: Canvas, acquisition: Acquisition) -> Mask:
    planes = [_resample(plane, acquisition, canvas) >= 0.5 for plane in canvas.fractions]
    planes[1] &= planes[0]
    planes[3] &= ~planes[2]
    return enforce_rules(join_planes(np.stack(planes)))


def _hip_truths(
    acquisition: Acquisition,
    anatomy: Anatomy,
    pixels: Field,
    tissues: Mask,
    masks: Mask,
    severities: dict[str, Severity],
    thickness: dict[str, float],
) -> dict[str, HipTruth]:
    """Measure each hip whose head's centre lies inside the stack."""
    affine, voxel_ml = acquisition.affine, float(np.prod(acquisition.spacing_mm)) / 1000
    marked = np.argwhere(masks)
    bits, at = masks[tuple(marked.T)], (marked @ affine[:3, :3].T + affine[:3, 3]).astype(np.float32)
    to_left = (at - acquisition.shift_mm) @ acquisition.pose[:, 0]
    values, kinds = pixels[tuple(marked.T)], tissues[tuple(marked.T)]
    truths = {}
    for side, hip in anatomy.hips.items():
        centre = acquisition.to_lps(hip.centre)
        if not acquisition.contains(centre):
            continue
        mine = to_left * hip.sign > 0
        bme = mine & ((bits & BME) > 0)
        near = np.linalg.norm(at - centre, axis=1) < 2 * hip.radius_mm
        healthy = values[mine & near & (kinds == Tissue.MARROW) & ((bits & (FEMUR | BME)) == FEMUR)]
        truths[side] = HipTruth(
            centre_mm=(float(centre[0]), float(centre[1]), float(centre[2])),
            radius_mm=hip.radius_mm,
            bme_ml=float(bme.sum() * voxel_ml),
            synovitis_ml=float((mine & ((bits & SYNOVITIS) > 0)).sum() * voxel_ml),
            contrast=float(values[bme].mean() / healthy.mean()) if bme.any() and healthy.size else float("nan"),
            severity=severities[side],
            synovitis_mm=thickness[side],
        )
    return truths


def _severities(seed: int, severity: dict[str, Severity] | None, involvement: str | None) -> dict[str, Severity]:
    if severity is None:
        return draw_severities(np.random.default_rng([seed, 12]), involvement)
    unknown = set(severity) - set(SIDES)
    if unknown:
        raise ValueError(f"severity names {', '.join(sorted(unknown))}; sides are right and left")
    return {side: severity.get(side, Severity()) for side in SIDES}


def generate(
    seed: int,
    *,
    visit: int = 0,
    severity: dict[str, Severity] | None = None,
    involvement: str | None = None,
    plane: str = "coronal",
    hips: bool = True,
    scene: str | None = None,
    target: str | None = None,
    style: str | None = None,
    n_slices: int | None = None,
    protocol: Protocol | None = None,
) -> Phantom:
    """A synthetic MRI of the hips with its truth, or one without hips.

    Parameters
    ----------
    seed : int
        The person. The same seed gives the same anatomy and the same lesion sites.
    visit : int
        Changes positioning, contrast, noise and bowel and bladder filling.
    severity : per side, optional
        Inflammation of each hip; a side that is missing has none. Drawn where not given.
    involvement : "normal", "right", "left" or "both", optional
        Restricts the drawn severities; drawn (30 % normal) where not given.
    plane : "coronal", "axial" or "sagittal"
    hips : bool
        False paints a `scene` without hips, with empty masks.
    scene : a key of `ml.phantom.scenes.SCENES`, optional
        What a picture without hips shows: "pelvis" (bladder and muscle only), "knee", "abdomen", "head", "objects" or "noise";
        drawn where not given.
    target : "right", "left" or "both", optional
        What the field of view is aimed at; about 8 % single hips where not given.
    style : "stir", "t1", "t2" or "random", optional
        Where not given 70 % fat-suppressed as seen in practice, 30 % strongly randomised (lesions stay brighter than marrow).
    n_slices : int, optional
        Number of slices; 14 to 30 where not given.
    protocol : function of the drawn geometry and look, optional
        Gives those that are used instead: the same person under another protocol, or with another fault.

    Returns
    -------
    Phantom

    Raises
    ------
    ValueError
        For an unknown plane, scene, style, involvement or side, or a severity outside 0 … 1.
    """
    anatomy = draw_anatomy(seed)
    severities = _severities(seed, severity, involvement)
    rng = np.random.default_rng([seed, 13, visit])
    acquisition = draw_acquisition(rng, anatomy, plane, target, n_slices)
    look = draw_look(rng, style if style is not None else ("stir" if rng.random() < 0.7 else "random"))
    if protocol is not None:
        acquisition, look = protocol(acquisition, look)
    if not hips:
        scene = scene if scene is not None else str(rng.choice(list(SCENES)))
        if scene not in SCENES:
            raise ValueError(f"scene is {scene!r}; it must be one of {', '.join(SCENES)}")
    canvas = Canvas.blank(acquisition.grid(look.resolution_mm, 1), look.palette)
    marrow = marrow_field(canvas.grid, look, rng)
    thickness: dict[str, float] = {}
    if scene is not None and not hips:
        SCENES[scene](canvas, anatomy, marrow, rng)
    else:
        paint_surroundings(canvas, anatomy, marrow, rng)
        fine = acquisition.grid(look.resolution_mm, SUB_SLICES)
        thickness = _paint_hips(canvas, fine, anatomy, look, severities, marrow)
    pixels, tissues = finish(canvas, acquisition, look, rng)
    masks = _truth_masks(canvas, acquisition)
    truths = _hip_truths(acquisition, anatomy, pixels, tissues, masks, severities, thickness) if hips else {}
    header = draw_header(np.random.default_rng([seed, 14, visit]), look.style)
    tags = identity_free(header.tags, acquisition.thickness_mm)
    sources = tuple(SourceSlice(_uid(seed, visit, plane, scene or "hips", k)) for k in range(acquisition.shape[0]))
    return Phantom(
        volume=Volume(pixels, acquisition.spacing_mm, acquisition.affine, sources, tags),
        masks=masks,
        tissues=tissues,
        hips=truths,
        seed=seed,
        visit=visit,
        plane=plane,
        scene=scene or "hips",
        style=look.style,
        female=anatomy.female,
        thickness_mm=acquisition.thickness_mm,
        header=header,
    )


def _uid(seed: int, visit: int, plane: str, scene: str, index: int) -> str:
    """A UID that is the same for the same arguments and different otherwise (`2.25.` + a 120-bit number)."""
    digest = hashlib.sha256(f"{seed}/{visit}/{plane}/{scene}/{index}".encode()).hexdigest()
    return f"2.25.{int(digest[:30], 16)}"
