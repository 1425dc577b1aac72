"""Which lesions a patient has: severity per hip, oedema blobs and joint fluid, growing with severity."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.phantom.anatomy import SIDES, Hip, Vec

INVOLVEMENTS = ("normal", "right", "left", "both")
LEAST_EFFUSION_MM = 2.8  # a thinner one could not be told from the film and lining of a healthy joint
FAINTEST = 1.4  # oedema over fatty marrow; islands of red marrow are fainter


@dataclass(frozen=True)
class Severity:
    """How much inflammation one hip shows, each from 0 (none) to 1 (most)."""

    bme: float = 0.0
    synovitis: float = 0.0

    def __post_init__(self) -> None:
        for name, value in (("bme", self.bme), ("synovitis", self.synovitis)):
            if not 0 <= value <= 1:
                raise ValueError(f"severity {name} is {value}; it must lie between 0 and 1")


@dataclass(frozen=True)
class Oedema:
    """One blob of marrow oedema: centre in the hip's frame, mm; `value` is its intensity at the core."""

    centre: Vec
    radius_mm: float
    aspect: Vec
    turn_deg: Vec
    edge_mm: float
    value: float
    femoral: bool
    key: tuple[int, ...]

    def rng(self) -> np.random.Generator:
        """The blob's own stream: its shape stays the same at every visit."""
        return np.random.default_rng(self.key)


@dataclass(frozen=True)
class Fluid:
    """Joint fluid: greatest thickness in mm and how it spreads over the recesses (weights 0 … 1).

    `in_space` is the share of the joint space between head and cup that fluid fills beside the acetabular fossa; 0 leaves
    the film alone.
    `lining_mm` is the synovial lining outside the fluid, as bright as `lining` of it; every joint may have one.
    """

    thickness_mm: float
    anterior: float
    posterior: float
    superior: float
    inferior: float
    start: float
    stop: float
    patchy: float
    in_space: float
    lining_mm: float
    lining: float
    key: tuple[int, ...]

    def rng(self) -> np.random.Generator:
        """The layer's own stream."""
        return np.random.default_rng(self.key)


def draw_severities(rng: np.random.Generator, involvement: str | None) -> dict[str, Severity]:
    """Severity of both hips; without a given involvement 34 % of patients are normal, 28 % one-sided, 38 % two-sided."""
    if involvement is None:
        involvement = str(rng.choice(INVOLVEMENTS, p=(0.34, 0.14, 0.14, 0.38)))
    if involvement not in INVOLVEMENTS:
        raise ValueError(f"involvement is {involvement!r}; it must be one of {', '.join(INVOLVEMENTS)}")
    drawn = {}
    for side in SIDES:
        kind = rng.choice(3, p=(0.18, 0.17, 0.65))
        bme, synovitis = rng.uniform(0.05, 1, 2) ** 1.3
        if involvement not in (side, "both"):
            bme = synovitis = 0.0
        drawn[side] = Severity(float(bme) if kind != 1 else 0.0, float(synovitis) if kind != 0 else 0.0)
    return drawn


def _femoral_site(rng: np.random.Generator, hip: Hip, radius: float) -> Vec:
    r = hip.radius_mm
    if rng.random() < 0.22:  # in the neck
        along = hip.neck_direction * rng.uniform(0.7 * r, 0.8 * hip.neck_length)
        return np.asarray(along + rng.normal(0, 0.15 * r, 3))
    toward = np.array([rng.normal(-0.1, 0.55), rng.normal(-0.15, 0.5), abs(rng.normal(0.75, 0.45))])
    depth = max(r - 0.45 * radius - rng.uniform(0, 4), 0.15 * r)
    return np.asarray(toward / np.linalg.norm(toward) * depth)


def _pelvic_site(rng: np.random.Generator, hip: Hip, radius: float) -> Vec:
    r = hip.radius_mm + hip.joint_space
    if rng.random() < 0.7:  # the roof
        toward = np.array([rng.normal(-0.1, 0.4), rng.normal(0, 0.5), 1.0])
    else:
        toward = np.array([-1.0, rng.normal(0, 0.7), rng.normal(-0.1, 0.5)])
    return np.asarray(toward / np.linalg.norm(toward) * (r + hip.cortex + 0.4 * radius))


def _brightness(marrow: float, brightest: float, step: float, noise: float) -> float:
    """Intensity of oedema: from what stands out of red marrow and noise up to the brightest; on T1 it is dark, down to that."""
    if brightest < marrow:
        return marrow + (brightest - marrow) * (0.3 + 0.7 * step)
    low = marrow * FAINTEST + 2.5 * noise
    return low + max(brightest - low, 0.3 * marrow) * step


def draw_oedema(key: tuple[int, ...], hip: Hip, severity: float, marrow: float, brightest: float, noise: float) -> list[Oedema]:
    """The blobs of one hip: sites and shapes belong to the person, size and brightness follow severity."""
    if severity <= 0:
        return []
    rng = np.random.default_rng(key)
    blobs = []
    n = int(rng.integers(1, 6))
    whole_head = rng.random() < 0.25
    contrast = rng.uniform(0, 1) ** 1.2
    for index in range(n):
        femoral = bool(index == 0 or rng.random() < 0.55) if rng.random() < 0.85 else False
        onset = 0.0 if index == 0 else rng.uniform(0.05, 0.8)
        most = hip.radius_mm * (1.15 if whole_head and index == 0 else rng.uniform(0.25, 0.75))
        least = rng.uniform(1.5, 4.0)
        u = max(0.0, (severity - onset) / (1 - onset))
        aspect = np.exp(rng.normal(0, 0.22, 3))
        turn = rng.uniform(0, 180, 3)
        edge = float(rng.uniform(0.8, 5))
        radius = float(least + (most - least) * u**1.1)
        site = (_femoral_site if femoral else _pelvic_site)(rng, hip, 0.5 * (least + most))
        step = float(np.clip(contrast + rng.normal(0, 0.12) + 0.15 * (severity - 0.5), 0, 1))
        value = _brightness(marrow, brightest, step, noise)
        if u > 0 or index == 0:
            blobs.append(Oedema(site, radius, aspect, turn, min(edge, radius), value, femoral, (*key, index)))
    return blobs


def draw_fluid(key: tuple[int, ...], severity: float) -> Fluid:
    """The fluid of one hip: a physiological film at severity 0, up to 10 mm at 1."""
    rng = np.random.default_rng(key)
    normal, most = rng.uniform(0.3, 1.3), rng.uniform(5, 10)
    thickness = normal if severity <= 0 else LEAST_EFFUSION_MM + (most - LEAST_EFFUSION_MM) * severity
    weights: npt.NDArray[np.float64] = rng.uniform(0.1, 1, 4)
    weights[int(rng.integers(4))] = 1
    return Fluid(
        thickness_mm=float(thickness),
        anterior=float(weights[0]),
        posterior=float(weights[1] * 0.7),
        superior=float(weights[2]),
        inferior=float(weights[3]),
        start=float(rng.uniform(0.0, 0.5)),
        stop=float(rng.uniform(0.72, 1.0)),
        patchy=float(rng.uniform(0.02, 0.15)),
        in_space=float(rng.uniform(0.5, 0.9) if thickness > 4 and rng.random() < 0.5 else 0),
        lining_mm=float(rng.uniform(0.2, 0.9) if rng.random() < 0.6 else 0),
        lining=float(rng.uniform(0.45, 0.95)),
        key=key,
    )
