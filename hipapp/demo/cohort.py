"""The synthetic cohort as plain numbers: a latent inflammation per hip and visit that drives items, reads and phantoms alike.

Marginal means and SDs are those of Table 1 of Zheng et al., Front Physiol 2023;14:1132214 (here `ARTICLE`). Only raw items are
drawn; every index is computed later by `scoring`, from these items, as for real patients.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from scipy import special, stats

from scoring.clinical.harris import POINTS, harris

# (mean, SD) of Table 1; CRP in mg/dL, morning stiffness in hours, duration in months.
ARTICLE = {
    "age": (28.63, 12.04),
    "vas_pain": (3.68, 2.06),
    "esr_mm_h": (18.25, 14.76),
    "crp_mg_dl": (1.18, 0.76),
    "harris": (80.68, 14.10),
    "basdai": (4.0, 2.11),
    "stiffness_h": (0.44, 0.10),
    "duration_months": (6.48, 5.28),
    "bml": (17.88, 10.63),
    "synovitis": (8.80, 3.52),
}
MALE_SHARE, B27_SHARE, BILATERAL_SHARE = 0.79, 0.96, 110 / 195
# Drug, form, dose and share of patients (Table 1).
TREATMENTS = (
    ("methotrexate + sulfasalazine", "oral", "10 mg a week + 1 g twice a day", 0.313),
    ("adalimumab", "sc", "40 mg every 2 weeks", 0.21),
    ("infliximab", "iv", "5 mg/kg every 8 weeks", 0.041),
    ("etanercept", "sc", "50 mg a week", 0.436),
)
SIDES = ("right", "left")
BASELINE_LIFT = 0.15  # baseline a little above, later visits a little below the article's means


@dataclass(frozen=True)
class HipPlan:
    """One hip at one visit: latent inflammation 0–1 of marrow and joint, Harris items, a reader's three sub-scores."""

    bme: float
    synovitis: float
    harris: dict[str, Any]
    read: dict[str, Any]


@dataclass(frozen=True)
class VisitPlan:
    """One visit: raw items of the assessment (without any index) and both hips."""

    visit_on: date
    label: str
    items: dict[str, float | str]
    hips: dict[str, HipPlan]
    has_mri: bool


@dataclass(frozen=True)
class PatientPlan:
    """One synthetic patient with all visits."""

    number: int
    sex: str
    birth_on: date
    hla_b27: bool
    onset_on: date
    involvement: str
    criteria: str
    name: str
    record_number: str
    treatment: tuple[str, str, str]
    treatment_from: date
    treatment_until: date | None
    visits: tuple[VisitPlan, ...]


def draw_cohort(n_patients: int = 64, n_with_mri: int = 14, seed: int = 2023) -> list[PatientPlan]:
    """The whole cohort, the same for the same seed.

    Parameters
    ----------
    n_patients : at least 1
    n_with_mri : patients, of these, with an MRI at two visits
    """
    rng = np.random.default_rng(seed)
    activity = rng.permutation(special.ndtri((np.arange(n_patients) + 0.5) / n_patients))
    with_mri = set(rng.permutation(n_patients)[:n_with_mri].tolist())
    return [_patient(number, float(activity[number]), number in with_mri, rng) for number in range(n_patients)]


def _patient(number: int, activity: float, has_mri: bool, rng: np.random.Generator) -> PatientPlan:
    first_on = date(2025, 1, 6) + timedelta(days=int(rng.integers(0, 200)))
    weeks = [0, 12, 24, 52][: int(rng.integers(3, 5))]
    days = [first_on + timedelta(weeks=week, days=int(rng.integers(-4, 5)) if week else 0) for week in weeks]
    latent = _course(activity, len(days), rng)
    involvement = "both" if rng.random() < BILATERAL_SHARE else str(rng.choice(SIDES))
    offsets = {side: rng.normal(0, 0.35) for side in SIDES}
    mri_visits = {0, 2 if len(days) > 2 else 1} if has_mri else set()
    visits = tuple(
        VisitPlan(
            visit_on=day,
            label=f"week {week}" if week else "baseline",
            items=_items(z, rng),
            hips={side: _hip(z + offsets[side], involvement in (side, "both"), rng) for side in SIDES},
            has_mri=index in mri_visits,
        )
        for index, (day, week, z) in enumerate(zip(days, weeks, latent, strict=True))
    )
    drug = TREATMENTS[int(rng.choice(len(TREATMENTS), p=[t[3] for t in TREATMENTS]))]
    age = _gamma(rng.random(), ARTICLE["age"][0] - 18, 11.0) + 18
    stopped = rng.random() < 0.12
    return PatientPlan(
        number=number,
        sex="M" if rng.random() < MALE_SHARE else "F",
        birth_on=first_on - timedelta(days=round(min(age, 65) * 365.25)),
        hla_b27=bool(rng.random() < B27_SHARE),
        onset_on=first_on - timedelta(days=round(30.4 * max(3.0, _gamma(rng.random(), *ARTICLE["duration_months"])))),
        involvement=involvement,
        criteria="asas_axspa" if rng.random() < 0.7 else "mny",
        name=f"SYNTHETIC^PATIENT {number + 1:03d}",
        record_number=f"SYN{number + 1:05d}",
        treatment=drug[:3],
        treatment_from=first_on + timedelta(days=7),
        treatment_until=days[-1] - timedelta(days=20) if stopped else None,
        visits=visits,
    )


def _course(activity: float, n_visits: int, rng: np.random.Generator) -> list[float]:
    """Latent inflammation per visit, in SDs: most get better under treatment, some flare."""
    step = rng.normal(-0.28, 0.45)
    return [
        activity + BASELINE_LIFT + step * (1 - 0.5**index) * 1.6 + rng.normal(0, 0.15 if index else 0)
        for index in range(n_visits)
    ]


def _quantile(z: float, loading: float, rng: np.random.Generator) -> float:
    """A uniform number that goes with the latent inflammation: a Gaussian copula of correlation `loading`."""
    mixed = loading * z + np.sqrt(1 - loading**2) * rng.normal()
    return float(np.clip(special.ndtr(mixed), 0.001, 0.999))


def _gamma(quantile: float, mean: float, sd: float) -> float:
    return float(stats.gamma.ppf(quantile, (mean / sd) ** 2, scale=sd**2 / mean))


def _scale(quantile: float, mean: float, sd: float) -> float:
    """A rating 0–10 of a beta distribution with this mean and SD, to one decimal."""
    share, variance = mean / 10, (sd / 10) ** 2
    total = share * (1 - share) / variance - 1
    return round(float(10 * stats.beta.ppf(quantile, share * total, (1 - share) * total)), 1)


def _items(z: float, rng: np.random.Generator) -> dict[str, float | str]:
    mean, sd = ARTICLE["basdai"]
    items: dict[str, float | str] = {f"basdai_q{n}": _scale(_quantile(z, 0.8, rng), mean + 0.22, sd) for n in range(1, 6)}
    items["basdai_q6"] = round(float(np.clip(10 * rng.normal(*ARTICLE["stiffness_h"]) / 2, 0, 10)), 1)
    items["patient_global"] = _scale(_quantile(z, 0.75, rng), mean, sd)
    items["vas_pain"] = _scale(_quantile(z, 0.7, rng), *ARTICLE["vas_pain"])
    crp_mg_dl = _gamma(_quantile(z, 0.7, rng), *ARTICLE["crp_mg_dl"])
    in_mg_l = rng.random() < 0.5
    items["crp_value"] = round(crp_mg_dl * 10, 1) if in_mg_l else round(crp_mg_dl, 2)
    items["crp_unit"] = "mg/L" if in_mg_l else "mg/dL"
    items["esr_mm_h"] = float(round(max(1.0, _gamma(_quantile(z, 0.6, rng), *ARTICLE["esr_mm_h"]))))
    if rng.random() < 0.04:
        del items["crp_value"], items["crp_unit"]
    return items


def _hip(z: float, is_involved: bool, rng: np.random.Generator) -> HipPlan:
    z = z + 0.2 if is_involved else min(z - 1.0, -0.5)
    marrow, joint = _quantile(z, 0.85, rng), _quantile(z, 0.8, rng)
    bml = _gamma(_quantile(special.ndtri(marrow), 0.9, rng), *ARTICLE["bml"])
    femoral = int(np.clip(round(0.62 * bml), 0, 65))
    effusion = _gamma(_quantile(special.ndtri(joint), 0.9, rng), *ARTICLE["synovitis"])
    read = {
        "femoral_bme": femoral,
        "acetabular_bme": int(np.clip(round(bml) - femoral, 0, 35)),
        "effusion": int(np.clip(round(effusion), 0, 30)),
    }
    function = 1 - _quantile(z, 0.6, rng)
    return HipPlan(
        bme=_severity(marrow, is_involved),
        synovitis=_severity(joint, is_involved),
        harris=_harris_items(function, rng),
        read=read,
    )


def _severity(quantile: float, is_involved: bool) -> float:
    """Severity 0–1 for the phantom; a hip that is not involved has (almost) none."""
    return float(max(0.0, (quantile - 0.15) / 0.85)) if is_involved else 0.0


def _harris_items(function: float, rng: np.random.Generator) -> dict[str, Any]:
    """Items whose total lies near the article's distribution at this quantile (1 = best)."""
    mean, sd = ARTICLE["harris"]
    share, variance = mean / 100, (sd / 100) ** 2
    total = share * (1 - share) / variance - 1
    wanted = 100 * float(stats.beta.ppf(function, share * total, (1 - share) * total))
    jitter = {name: rng.normal(0, 0.08) for name in POINTS}
    low, high = 0.0, 1.0
    for _ in range(12):  # bisection on how bad the hip is
        middle = (low + high) / 2
        if _harris_total(_at(middle, jitter)) > wanted:
            low = middle
        else:
            high = middle
    return min((_at(bad, jitter) for bad in (low, high)), key=lambda items: abs(_harris_total(items) - wanted))


def _at(badness: float, jitter: dict[str, float]) -> dict[str, Any]:
    items: dict[str, Any] = {}
    for name, points in POINTS.items():
        place = np.clip(badness + jitter[name] * min(1.0, 4 * badness), 0, 0.999)
        items[name] = points[int(place * len(points))]
    items |= {"fixed_flexion_under_30": badness < 0.85, "fixed_adduction_under_10": badness < 0.9}
    items |= {"fixed_internal_rotation_under_10": badness < 0.8, "leg_difference_under_3_2_cm": True}
    items |= {
        "flexion_deg": round(120 - 70 * badness),
        "abduction_deg": round(40 - 30 * badness),
        "external_rotation_deg": round(35 - 30 * badness),
        "adduction_deg": round(25 - 18 * badness),
    }
    return items


def _harris_total(items: dict[str, Any]) -> float:
    value = harris(**items).value
    if value is None:
        raise ValueError("all items are given, so there is a total")
    return value
