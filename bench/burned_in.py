"""How often the detector of burned-in text is right: `python -m bench.burned_in [CORPUS]` prints the tables of privacy.md."""

import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from pydicom import dcmread

from hipapp.imaging.dicom.burned_in import find_text
from ml.dicom.pixels import decode
from ml.phantom.generate import generate
from tests.builders.second_generator.study import make_study

Picture = npt.NDArray[np.float32]
TEXTS = ("DOE^JOHN 19500101", "Quimby, Zebulon", "ID 4711-0815", "St. Elsewhere 2026-03-02", "WANG LI M 045Y")
SIZES, LEVELS, PLACES = (9, 12, 16, 24, 32), (0.7, 1.0, 2.0), ("top", "bottom", "inside")
PATIENTS = 1  # of each generator; making one takes half a minute


def real(corpus: Path) -> Iterator[Picture]:
    """Every picture of the corpus' MR files that can be decoded."""
    for path in sorted(path for path in corpus.rglob("*") if path.is_file()):
        try:
            dataset = dcmread(path, force=True)
            if str(dataset.get("Modality", "")) != "MR" or int(dataset.get("SamplesPerPixel", 1)) != 1:
                continue
            n_frames = int(dataset.get("NumberOfFrames") or 1)
            pictures = [decode(dataset, number if n_frames > 1 else None) for number in range(1, n_frames + 1)]
        except Exception:  # noqa: BLE001 - files broken on purpose
            continue
        yield from pictures


def burn(picture: Picture, text: str, size: int, level: float, place: str) -> Picture:
    """The picture with a text in it, `level` times as bright as its brightest pixel."""
    rows, columns = picture.shape
    at = {"top": (4, 4), "bottom": (4, rows - 1.5 * size), "inside": (columns // 3, rows // 2)}[place]
    layer = Image.new("L", (columns, rows), 0)
    ImageDraw.Draw(layer).text(at, text, fill=255, font=ImageFont.load_default(size))
    share = np.asarray(layer, np.float32) / 255
    low, high = float(picture.min()), float(picture.max())
    return picture * (1 - share) + share * (low + level * (high - low))


def main(corpus: Path) -> None:
    phantoms = [np.round(p) for seed in range(40_000, 40_000 + PATIENTS) for p in generate(seed).volume.pixels]
    second = [np.round(p) for seed in range(50_000, 50_000 + PATIENTS) for p in make_study(seed).volume.pixels]
    pictures = [np.nan_to_num(p) for p in real(corpus)] if corpus.is_dir() else []
    print("| Pictures without text | n | taken for text |\n|---|---|---|")
    for name, those in (("real MR of the corpus", pictures), ("phantoms", phantoms), ("second generator", second)):
        print(f"| {name} | {len(those)} | {sum(bool(find_text(p)) for p in those)} |")
    rng = np.random.default_rng(1)
    hits: dict[tuple[str, object], list[int]] = defaultdict(lambda: [0, 0])
    for picture in [*pictures[::3], *phantoms[::5], *second[::5]]:
        for size in SIZES if min(picture.shape) >= 120 else ():
            level, place = float(rng.choice(LEVELS)), str(rng.choice(PLACES))
            found = bool(find_text(burn(picture, str(rng.choice(TEXTS)), size, level, place)))
            for key in (("all", ""), ("letters of", f"{size} px"), ("brightness", f"× {level:g}"), ("place", place)):
                hits[key][0] += found
                hits[key][1] += 1
    print("\n| Pictures with a line of text | n | found |\n|---|---|---|")
    for (kind, value), (found_n, n) in sorted(hits.items(), key=str):
        print(f"| {kind} {value} | {n} | {100 * found_n / n:.0f} % |")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/dicom"))
