"""Paint one hip joint slice by slice: pelvic bone, joint space, femur, capsule, fluid and oedema, with their labels."""

from collections.abc import Sequence

import numpy as np

from ml.labels import LABELS
from ml.phantom.anatomy import Anatomy, Hip, Tissue
from ml.phantom.canvas import Canvas
from ml.phantom.grid import Box, Field, Grid
from ml.phantom.hip import LABEL_FROM_MM, PHYSIOLOGICAL_MM, HipShapes, LesionShape, hip_box, hip_shapes, lesion_shape
from ml.phantom.lesions import Fluid, Oedema
from ml.phantom.shapes import coverage

MIN_WIDENED_MM = 1.8  # a joint space that fluid has widened; a film is thinner
MEDIAL_MM = 4.0  # from the acetabular fossa: where fluid widens the space; where the head bears on the cup it stays tight
LABEL = {name: index for index, name in enumerate(LABELS)}


def paint_hip(
    canvas: Canvas, fine: Grid, hip: Hip, anatomy: Anatomy, fluid: Fluid, lesions: Sequence[Oedema], marrow: Field
) -> None:
    """Paint a hip over the soft tissue and label it.

    Parameters
    ----------
    canvas : one sample a slice
    fine : the same in-plane points with several sub-slices for each slice, so that thick slices mix what lies in them
    marrow : float32, shape of the canvas; intensity of healthy marrow
    """
    box = hip_box(canvas.grid, hip, anatomy)
    if box is None:
        return
    shapes = hip_shapes(fine, _fine_box(box, canvas, fine), hip, anatomy, fluid)
    blobs = [blob for blob in (lesion_shape(fine, hip, lesion) for lesion in lesions) if blob is not None]
    # Red marrow is wetter than fatty marrow: brighter with fat suppression, darker without.
    red = anatomy.red_marrow * (1 if canvas.palette[Tissue.MARROW] < canvas.palette[Tissue.BME] else -0.6)
    for slab, layer in canvas.slabs(box, fine):
        _paint_slab(slab, shapes, blobs, hip, fluid, red, marrow[layer], layer)


def _fine_box(box: Box, canvas: Canvas, fine: Grid) -> Box:
    sub = fine.shape[0] // canvas.grid.shape[0]
    return slice(box[0].start * sub, box[0].stop * sub), box[1], box[2]


def _paint_slab(
    slab: Canvas,
    shapes: HipShapes,
    blobs: list[LesionShape],
    hip: Hip,
    fluid: Fluid,
    red: float,
    marrow: Field,
    layer: Box,
) -> None:
    femur, head, bone, fossa = (shapes.at(slab.grid, name) for name in ("femur", "head", "bone", "fossa"))
    pelvis = np.maximum(bone, -np.minimum(np.minimum(head, femur) - np.float32(hip.joint_space), fossa))
    core = femur + shapes.at(slab.grid, "cortex")
    pelvic_core = pelvis + np.float32(1.1 * hip.cortex)
    fill = marrow * (1 + np.float32(red) * np.clip(head * np.float32(0.08), 0, 1))  # the head itself is fatty
    slab.fill(slab.whole, pelvis, Tissue.CORTEX)
    slab.fill(slab.whole, pelvic_core, Tissue.MARROW, fill)
    slab.fill(slab.whole, np.maximum(fossa, -femur), Tissue.FAT, slab.palette[Tissue.FAT] * hip.pulvinar)
    if head.min() < hip.joint_space:
        _paint_space(slab, shapes, hip, fluid, femur, head, pelvis, fossa)
    share = coverage(femur, slab.edge_mm)
    slab.paint(slab.whole, share, Tissue.CORTEX)
    slab.fill(slab.whole, core, Tissue.MARROW, fill)
    slab.label(slab.whole, LABEL["femur"], share)
    if head.min() < 0:
        slab.label(slab.whole, LABEL["femoral_head"], np.minimum(share, coverage(head, slab.edge_mm)))
    _paint_fluid(slab, shapes, fluid, femur, pelvis)
    for blob in blobs:
        _paint_oedema(slab, blob, core if blob.lesion.femoral else pelvic_core, fill, layer)


def _paint_space(
    slab: Canvas, shapes: HipShapes, hip: Hip, fluid: Fluid, femur: Field, head: Field, pelvis: Field, fossa: Field
) -> None:
    """Cartilage between head and cup with the film in its middle, which an effusion can widen on the side of the fossa."""
    space = np.float32(hip.joint_space)
    in_cup = shapes.at(slab.grid, "in_cup")
    slab.fill(slab.whole, np.maximum(head - space, in_cup), Tissue.CARTILAGE)
    middle = np.abs(head - space / 2)
    slab.fill(slab.whole, np.maximum(middle - np.float32(hip.film / 2), in_cup), Tissue.FLUID)
    width = fluid.in_space * hip.joint_space
    if width < MIN_WIDENED_MM:
        return
    medial = np.maximum(fossa - np.float32(MEDIAL_MM), in_cup)
    widened = np.maximum(middle - np.float32(width / 2), medial)
    share = coverage(np.maximum(widened, np.maximum(-femur, -pelvis)), slab.edge_mm)
    slab.paint(slab.whole, share, Tissue.SYNOVITIS)
    slab.label(slab.whole, LABEL["synovitis"], share)


def _paint_fluid(slab: Canvas, shapes: HipShapes, fluid: Fluid, femur: Field, pelvis: Field) -> None:
    """Distend the capsule and label what exceeds the physiological film."""
    thickness = shapes.at(slab.grid, "fluid")
    wet = thickness > 0.05
    if not wet.any():
        return
    layer = np.maximum(np.maximum(femur - thickness, -femur), -pelvis)
    layer[~wet] = 9
    lined = thickness + np.float32(fluid.lining_mm)
    rim = np.maximum(np.abs(femur - lined) - np.float32(1.1), np.float32(0.5) - femur)
    rim[~wet | (pelvis < 0)] = 9
    slab.fill(slab.whole, rim, Tissue.TENDON)
    if fluid.lining_mm:
        lining = np.maximum(np.maximum(femur - lined, -femur), -pelvis)
        lining[~wet] = 9
        slab.fill(slab.whole, lining, Tissue.FLUID, slab.palette[Tissue.FLUID] * fluid.lining)
    shade = slab.palette[Tissue.SYNOVITIS] * shapes.at(slab.grid, "fluid_shade")
    share = coverage(layer, slab.edge_mm)
    slab.paint(slab.whole, share, Tissue.SYNOVITIS if fluid.thickness_mm > PHYSIOLOGICAL_MM else Tissue.FLUID, shade)
    thick = np.clip((thickness - np.float32(LABEL_FROM_MM)) * 4 + 0.5, 0, 1)
    if fluid.thickness_mm > PHYSIOLOGICAL_MM:
        slab.label(slab.whole, LABEL["synovitis"], share * thick)


def _paint_oedema(slab: Canvas, blob: LesionShape, core: Field, marrow: Field, layer: Box) -> None:
    """Brighten the marrow inside one irregular soft-edged blob, and label it."""
    sub = slab.grid.shape[0]
    if not blob.box[0].start < (layer[0].start + 1) * sub or not layer[0].start * sub < blob.box[0].stop:
        return
    rows, columns = (
        slice(max(b.start, p.start) - p.start, min(b.stop, p.stop) - p.start)
        for b, p in zip(blob.box[1:], layer[1:], strict=True)
    )
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return
    box = (slice(0, sub), rows, columns)
    grid = slab.grid.crop(box)
    lesion = blob.lesion
    outline = grid.upsample(blob.outline, blob.coarse)
    inside = coverage(core[box], slab.edge_mm)
    extra = 1.25 * (marrow[box] - slab.palette[Tissue.MARROW])  # keeps the contrast to the marrow that is there
    value = lesion.value * grid.upsample(blob.patchy, blob.coarse) + extra
    slab.paint(box, coverage(outline, max(lesion.edge_mm, slab.edge_mm)) * inside, Tissue.BME, value)
    slab.label(box, LABEL["bme"], coverage(outline, slab.edge_mm) * inside)
