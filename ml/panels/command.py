"""`python -m ml panels DATASET OUT`: image | truth | prediction of the hips of a data set."""

import argparse
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ml.assess import hip_logits, outline
from ml.bundle import DEFAULT, BundleError, load
from ml.crops import CROP_COLUMNS, CROP_ROWS, CROP_SPACING_MM
from ml.datasets import Case, DataSetError, read
from ml.device import choose
from ml.labels import BITS, Mask, join_planes
from ml.networks import Network
from ml.panels.draw import Column, contact_sheet, hip_slices, panels


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    p = argparse.ArgumentParser(prog="python -m ml panels", description="Pictures of hips for experts: image, truth, prediction.")
    p.add_argument("dataset", type=Path, help="data set folder")
    p.add_argument("out", type=Path, help="folder of the pictures; a folder a hip in it, and its contact sheet beside")
    p.add_argument("--bundle", type=Path, default=DEFAULT, help="bundle whose network is shown")
    p.add_argument("--cases", nargs="+", metavar="ID", help="ids of hips; all where not given")
    return p


def command(arguments: list[str]) -> int:
    """Draw the panels; 2 and one line on stderr where something is missing."""
    options = parser().parse_args(arguments)
    try:
        data = read(options.dataset)
        unknown = set(options.cases or ()) - {case.id for case in data.cases}
        if unknown:
            raise DataSetError(f"{options.dataset} has no hip {', '.join(sorted(unknown))}")
        bundle = load(options.bundle)
        for case in tqdm([c for c in data.cases if not options.cases or c.id in options.cases], unit="hip"):
            draw_case(case, bundle.unet, f"{bundle.name} {bundle.version}", options.out)
    except (DataSetError, BundleError, OSError) as error:
        print(f"python -m ml panels: {error}", file=sys.stderr)
        return 2
    return 0


def draw_case(case: Case, network: Network, model: str, out: Path) -> None:
    """Write `CASE/slice_NN.jpg` and `CASE_sheet.jpg`. All hips are shown as right ones, as the network sees them."""
    stack = case.load()
    predicted = predict_stack(case, network)
    window = _middle(stack.images.shape)
    pixels, truth = stack.images[window].astype(np.float32), stack.masks[window]
    columns = [Column("image"), Column(f"truth ({', '.join(case.labels)})", truth), Column(f"prediction ({model})", predicted)]
    slices = hip_slices(truth, predicted)
    pixel_mm = (CROP_SPACING_MM, CROP_SPACING_MM)
    (out / case.id).mkdir(parents=True, exist_ok=True)
    for index, content in zip(slices, panels(pixels, pixel_mm, columns, case.id, slices), strict=True):
        (out / case.id / f"slice_{index + 1:02d}.jpg").write_bytes(content)
    (out / f"{case.id}_sheet.jpg").write_bytes(contact_sheet(pixels, pixel_mm, columns, case.id, slices))


def predict_stack(case: Case, network: Network) -> Mask:
    """What a network draws of a case, of its annotated labels, uint8 (slice, 128, 160)."""
    logits, _ = hip_logits(network.eval(), case.load(), choose(None))
    planes = outline(1 / (1 + np.exp(-logits)))  # (slice, label, row, column)
    mask = join_planes(planes.transpose(1, 0, 2, 3))
    return mask & np.uint8(sum(BITS[label] for label in case.labels))


def _middle(shape: tuple[int, ...]) -> tuple[slice, slice, slice]:
    """The crop in the middle of a case's canvas."""
    top, left = (shape[1] - CROP_ROWS) // 2, (shape[2] - CROP_COLUMNS) // 2
    return slice(None), slice(top, top + CROP_ROWS), slice(left, left + CROP_COLUMNS)
