"""Tissues as water and fat with relaxation times, and the STIR / T2 fat-saturated spin-echo signal that they give."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Tissue:
    """Proton density (0-1), share of fat in it (0-1), T1 at 1.5 T and T2 of the water part in ms, and its grain."""

    density: float
    fat: float
    t1_ms: float
    t2_ms: float
    grain: float = 0.08


TISSUES = {
    "air": Tissue(0.0, 0.0, 1000, 50, 0),
    "fat": Tissue(0.95, 0.93, 800, 50, 0.10),
    "skin": Tissue(0.60, 0.2, 900, 45, 0.1),
    "muscle": Tissue(0.85, 0.04, 1000, 40, 0.06),
    "cortex": Tissue(0.06, 0.1, 800, 15, 0),
    "tendon": Tissue(0.15, 0.0, 700, 12, 0.1),
    "marrow": Tissue(0.88, 0.86, 800, 48, 0.10),
    "red_marrow": Tissue(0.85, 0.52, 850, 52, 0.18),
    "oedema": Tissue(0.92, 0.12, 1500, 125, 0.15),
    "fluid": Tissue(1.00, 0.0, 2900, 420, 0.05),
    "synovium": Tissue(0.92, 0.03, 1500, 130, 0.25),
    "cartilage": Tissue(0.80, 0.0, 1050, 36, 0.10),
    "urine": Tissue(1.00, 0.0, 3600, 900, 0.02),
    "gut": Tissue(0.85, 0.05, 1100, 75, 0.35),
    "gut_fluid": Tissue(0.95, 0.0, 2400, 250, 0.25),
    "gland": Tissue(0.88, 0.0, 1250, 95, 0.20),
    "slow_blood": Tissue(0.95, 0.0, 1500, 170, 0.10),
    "fast_blood": Tissue(0.06, 0.0, 1500, 170, 0),
    "disc": Tissue(0.80, 0.0, 1100, 80, 0.15),
    "grey_matter": Tissue(0.88, 0.0, 1050, 98, 0.06),
    "white_matter": Tissue(0.72, 0.0, 680, 80, 0.05),
}


@dataclass(frozen=True)
class Sequence:
    """Timing; `ti_ms` is None for T2 with fat saturation. `fat_t1_ms` and `fat_left` say how well fat is nulled."""

    tr_ms: float
    te_ms: float
    ti_ms: float | None
    field_t: float
    fat_t1_ms: float
    fat_left: float

    def _recovery(self, t1_ms: float) -> float:
        if self.ti_ms is None:
            return float(1 - np.exp(-self.tr_ms / t1_ms))
        return float(1 - 2 * np.exp(-self.ti_ms / t1_ms) + np.exp(-self.tr_ms / t1_ms))

    def signal(self, tissue: Tissue) -> tuple[float, float]:
        """Signed signal of the water and of the fat of a tissue, before the magnitude is taken.

        The sign is turned so that water is positive: inversion recovery leaves it negative at the time fat is nulled.
        """
        sign = 1 if self.ti_ms is None else -1
        t1_ms = tissue.t1_ms * (1.22 if self.field_t > 2 else 1.0)
        water = sign * self._recovery(t1_ms) * float(np.exp(-self.te_ms / tissue.t2_ms)) * (1 - tissue.fat)
        fat_recovery = self.fat_left if self.ti_ms is None else sign * self._recovery(self.fat_t1_ms) + self.fat_left
        fat = fat_recovery * float(np.exp(-self.te_ms / 95)) * tissue.fat
        return tissue.density * water, tissue.density * fat


def draw_sequence(rng: np.random.Generator) -> Sequence:
    """A plausible protocol: two thirds STIR, one third T2 with fat saturation, at 1.5 or 3 T."""
    field_t = float(rng.choice([1.5, 3.0], p=[0.6, 0.4]))
    tr_ms = float(rng.uniform(3000, 5800))
    if rng.random() < 0.67:
        ti_ms = float(rng.uniform(140, 170) if field_t < 2 else rng.uniform(190, 230))
        fat_t1_ms = ti_ms / np.log(2) * rng.uniform(0.94, 1.06)
        return Sequence(tr_ms, float(rng.uniform(28, 66)), ti_ms, field_t, fat_t1_ms, float(rng.uniform(0, 0.04)))
    return Sequence(tr_ms, float(rng.uniform(45, 80)), None, field_t, 300, float(rng.uniform(0.03, 0.15)))
