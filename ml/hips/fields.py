"""How the finder fares by field of view, with one hip or both in view, level or tilted: `python -m ml.hips.fields [FOLDER]`."""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from scipy.spatial.transform import Rotation

from ml.dicom.volume import Volume
from ml.docs_table import put_block
from ml.hips.finder import load_finder
from ml.hips.reliability import DEFAULT, Case, group_rows, summarise, survey
from ml.phantom import generate
from ml.phantom.acquisition import Acquisition
from ml.phantom.appearance import Look

FIRST_SEED = 22_000  # test patients that no other table has
FIELDS_MM = (180, 250, 350, 500)
ONE_HIP_MM = 250  # up to here a picture is aimed at one hip, beyond at both
TILTS_DEG = (0, 15)
WANDER_MM = 20.0
SOURCE_MM, PIXEL_MM = 560, 1.0

Heads = dict[str, np.ndarray]


def view(volume: Volume, middle_mm: np.ndarray, field_mm: float, tilt_deg: float = 0) -> Volume:
    """A square picture around a point, turned in its plane; every place keeps its LPS, what the source doesn't show is 0."""
    n = round(field_mm / PIXEL_MM)
    slice_step, row_step, column_step = volume.affine[:3, :3].T
    turn = Rotation.from_rotvec(np.radians(tilt_deg) * slice_step / np.linalg.norm(slice_step))
    row_step, column_step = (PIXEL_MM * turn.apply(step / np.linalg.norm(step)) for step in (row_step, column_step))
    first = middle_mm - volume.to_index(middle_mm)[0] * slice_step - (n - 1) / 2 * (row_step + column_step)
    affine = np.eye(4)
    affine[:3] = np.stack([slice_step, row_step, column_step, first], axis=1)
    into = (np.linalg.inv(volume.affine) @ affine)[1:3]
    slices = [ndimage.affine_transform(one, into[:, 1:3], into[:, 3], (n, n), order=1) for one in volume.pixels]
    return replace(volume, pixels=np.stack(slices), spacing_mm=(volume.spacing_mm[0], PIXEL_MM, PIXEL_MM), affine=affine)


def views(name: str, volume: Volume, heads: Heads, seed: int) -> Iterator[Case]:
    """A study in every field of view, level and tilted to either side; a small one of each hip."""
    rng = np.random.default_rng([seed, 91])
    for field_mm in FIELDS_MM:
        aims = list(heads.values()) if field_mm <= ONE_HIP_MM else [np.mean(list(heads.values()), axis=0)]
        for tilt_deg in TILTS_DEG:
            for aim in aims:
                middle = aim + rng.uniform(-WANDER_MM, WANDER_MM, 3) * (1, 0, 1)
                seen = view(volume, middle, field_mm, tilt_deg * rng.choice([-1, 1]))
                shown = "one hip" if field_mm <= ONE_HIP_MM else "both hips"
                words = f"{name}: {field_mm} mm, {shown}{f', tilted by {tilt_deg}°' if tilt_deg else ''}"
                yield Case(words, seen, {side: head for side, head in heads.items() if _is_in(seen, head)})


def _is_in(volume: Volume, place_mm: np.ndarray) -> bool:
    index = volume.to_index(place_mm)
    return bool(np.all(index > -0.5) and np.all(index < np.array(volume.pixels.shape) - 0.5))


def first_study(seed: int) -> tuple[Volume, Heads]:
    """Both hips of a patient of the first generator in a field of view as wide as any."""
    phantom = generate(seed, target="both", protocol=_wide)
    return phantom.volume, {side: np.array(hip.centre_mm) for side, hip in phantom.hips.items()}


def _wide(acquisition: Acquisition, look: Look) -> tuple[Acquisition, Look]:
    """The same slices around the same middle, each `SOURCE_MM` wide and high."""
    old, n = np.array(acquisition.shape), round(SOURCE_MM / PIXEL_MM)
    shape, spacing_mm = (acquisition.shape[0], n, n), (acquisition.spacing_mm[0], PIXEL_MM, PIXEL_MM)
    grown = (np.array(shape) - 1) / 2 * spacing_mm - (old - 1) / 2 * acquisition.spacing_mm
    origin_mm = acquisition.origin_mm - acquisition.directions @ grown
    return replace(acquisition, shape=shape, spacing_mm=spacing_mm, origin_mm=origin_mm), look


def second_study(seed: int) -> tuple[Volume, Heads]:
    """The second generator lives with the tests; it shows 340 to 440 mm, beyond which a wider picture is empty."""
    study = import_module("tests.builders.second_generator").make_study(seed)
    return study.volume, {side: np.array(hip.centre_mm) for side, hip in study.hips.items()}


def cases(n: int) -> Iterator[Case]:
    """So many patients of each generator in every view."""
    seeds = import_module("tests.builders.second_generator").TEST_SEEDS
    for k in range(n):
        yield from views("first", *first_study(FIRST_SEED + k), k)
        yield from views("second", *second_study(seeds[-1 - k]), k)


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m ml.hips.fields", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=DEFAULT, help="a bundle or a trained finder")
    parser.add_argument("--patients", type=int, default=8, help="of each generator")
    parser.add_argument("--docs", type=Path, metavar="FILE.md", help="put the table here")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    asked = survey({"": load_finder(given.folder)}, cases(given.patients))[""]
    text = "\n".join([f"`--patients {given.patients}`:", "", *group_rows(summarise(asked)["groups"])])
    print(text)
    if given.docs is not None:
        put_block(given.docs, "hip-fields", text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
