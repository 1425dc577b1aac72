"""`find_hips`: the two femoral heads of a coronal Volume, or the plain answer that there is none."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from ml.device import device_of, fetch, full_precision, send
from ml.dicom.volume import Volume
from ml.hips.network import HipNet
from ml.hips.prepare import CELL_MM, PIXEL_MM, Canvas, prepare
from ml.hips.spheres import Answer
from ml.hips.verify import FEATURES, SIDES, Candidate, Side, Verdict, candidates, choose

BATCH = 8
BEYOND_STACK_MM = 8.0
WEIGHTS_NAME, SETTINGS_NAME = "hips.safetensors", "hips.json"


@dataclass(frozen=True)
class FoundHip:
    """One hip of a study.

    Attributes
    ----------
    side : "right" or "left", the patient's
    found : whether the hip is there
    confidence : probability, 0 … 1, that the place given is a hip of this side; of the best candidate where none was found
    centre_mm : LPS of the middle of the femoral head, None where not found
    radius_mm : of the femoral head, None where not found
    why : one sentence for people
    """

    side: Side
    found: bool
    confidence: float
    centre_mm: tuple[float, float, float] | None
    radius_mm: float | None
    why: str


@dataclass(frozen=True)
class Finder:
    """A trained network and the verdict that goes with it."""

    net: HipNet
    verdict: Verdict


def load_finder(folder: Path | str) -> Finder:
    """The finder of a bundle folder (`hips.safetensors` and `hips.json`).

    Raises
    ------
    FileNotFoundError
        When one of the two files is missing.
    ValueError
        When the settings do not fit this version of the code.
    """
    folder = Path(folder)
    for name in (WEIGHTS_NAME, SETTINGS_NAME):
        if not (folder / name).is_file():
            commands = f"`python -m ml.hips.train {folder}` and `python -m ml.hips.calibrate {folder}`"
            raise FileNotFoundError(f"{folder / name} is missing; {commands} make it")
    settings = json.loads((folder / SETTINGS_NAME).read_text())
    if list(settings["verdict"]["features"]) != list(FEATURES):
        raise ValueError(f"{folder / SETTINGS_NAME} weighs other features than this version of ml.hips; train it again")
    net = load_net(folder / WEIGHTS_NAME, tuple(settings["widths"]))
    return Finder(net, read_verdict(settings["verdict"]))


def load_net(path: Path, widths: tuple[int, ...]) -> HipNet:
    """The network of a weights file, in evaluation mode."""
    net = HipNet(widths)
    missing, unexpected = net.load_state_dict(load_file(path), strict=False)
    wrong = [name for name in missing if not name.endswith("num_batches_tracked")] + list(unexpected)
    if wrong:
        raise ValueError(f"{path} does not fit the network: {', '.join(wrong[:3])}")
    return net.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload, no-any-return]


def read_verdict(settings: dict[str, object]) -> Verdict:
    """The verdict of the settings' `verdict` part."""
    arrays = {name: np.asarray(settings[name], np.float64) for name in ("mean", "spread", "weights")}
    return Verdict(**arrays, bias=float(str(settings["bias"])), threshold=float(str(settings["threshold"])))


def ask(volume: Volume, net: HipNet) -> Answer:
    """The network's answer for a study."""
    canvas = prepare(volume)
    with torch.inference_mode(), full_precision():
        images = send(canvas.images, device_of(net)).contiguous(memory_format=torch.channels_last)
        shares = fetch(net(images[k : k + BATCH]).softmax(1) for k in range(0, len(images), BATCH))
    merged = shares.transpose(1, 0, 2, 3)  # (parts, slice, row, column)
    step = int(CELL_MM / PIXEL_MM)
    seen = canvas.seen[:, ::step, ::step] & canvas.seen[:, step - 1 :: step, step - 1 :: step]
    shares_seen = np.where(seen[None], merged, 0).astype(np.float32)
    slice_mm = canvas.slices.astype(np.float64) * float(volume.spacing_mm[0])
    return Answer(shares_seen, seen, slice_mm, canvas)


def find_hips(volume: Volume, finder: Finder) -> tuple[FoundHip, FoundHip]:
    """Both hips of a coronal Volume of any contrast.

    Parameters
    ----------
    volume : one slice or more; its order and orientation are the Volume's own, so the side comes from patient space
    finder : from `load_finder`

    Returns
    -------
    (right, left)
        Each found or not, with a confidence. A head that metal wipes out is not found, and `why` says so. A head whose
        centre lies outside the field of view is not found.
    """
    if not np.isfinite(volume.pixels).any() or min(volume.pixels.shape) == 0:
        return _absent("right", 0.0, "the images are empty"), _absent("left", 0.0, "the images are empty")
    answer = ask(volume, finder.net)
    best = choose(candidates(answer), finder.verdict)
    right, left = (_report(volume, answer, side, best.get(side), finder.verdict) for side in SIDES)
    return right, left


def _report(volume: Volume, answer: Answer, side: Side, best: tuple[Candidate, float] | None, verdict: Verdict) -> FoundHip:
    """What is said of one side."""
    if best is None:
        return _absent(side, 0.0, f"nothing in these images looks like a {side} femoral head")
    candidate, confidence = best
    index = to_volume_index(answer.canvas, volume, candidate.ball.centre_mm)
    if candidate.is_void:
        return _absent(side, confidence, f"metal or another void hides the {side} femoral head")
    if confidence < verdict.threshold:
        return _absent(side, confidence, f"what looks most like a {side} femoral head is too doubtful")
    index[0] = _into_stack(float(index[0]), volume)
    if np.any(index < -0.5) or np.any(index > np.array(volume.pixels.shape) - 0.5):
        return _absent(side, confidence, f"the middle of the {side} femoral head lies outside the images")
    x, y, z = (float(value) for value in volume.to_lps(index))
    why = f"{side} femoral head with a radius of {candidate.ball.radius_mm:.0f} mm"
    return FoundHip(side, True, confidence, (x, y, z), candidate.ball.radius_mm, why)


def _into_stack(slice_index: float, volume: Volume) -> float:
    """A centre just in front of the first slice or behind the last is drawn to the stack's face: so far the fit can err."""
    faces = -0.5, len(volume.pixels) - 0.5
    inside = float(np.clip(slice_index, *faces))
    return inside if abs(slice_index - inside) * float(volume.spacing_mm[0]) <= BEYOND_STACK_MM else slice_index


def _absent(side: Side, confidence: float, why: str) -> FoundHip:
    return FoundHip(side, False, confidence, None, None, why)


def to_volume_index(canvas: Canvas, volume: Volume, place_mm: np.ndarray) -> np.ndarray:
    """Continuous (slice, row, column) index in the Volume of a place on the answer's grid in mm."""
    row, column = canvas.to_index(place_mm[1] / CELL_MM, place_mm[2] / CELL_MM)
    return np.array([place_mm[0] / float(volume.spacing_mm[0]), row, column])
