"""The synthetic cohort: near the article's Table 1, driven by one latent inflammation, the same for the same seed."""

import numpy as np
import pytest
from scipy import stats

from hipapp.demo.cohort import ARTICLE, draw_cohort
from scoring.clinical.harris import harris


@pytest.fixture(scope="module")
def plans():
    return draw_cohort()


def values(plans, name, first_only):
    visits = [visit for plan in plans for visit in (plan.visits[:1] if first_only else plan.visits)]
    hips = [hip for visit in visits for hip in visit.hips.values()]
    items = [visit.items for visit in visits]
    return {
        "vas_pain": lambda: [item["vas_pain"] for item in items],
        "esr_mm_h": lambda: [item["esr_mm_h"] for item in items],
        "crp_mg_dl": lambda: [
            item["crp_value"] / (10 if item["crp_unit"] == "mg/L" else 1) for item in items if "crp_value" in item
        ],
        "stiffness_h": lambda: [item["basdai_q6"] / 5 for item in items],
        "basdai": lambda: [
            (sum(item[f"basdai_q{n}"] for n in range(1, 5)) + (item["basdai_q5"] + item["basdai_q6"]) / 2) / 5 for item in items
        ],
        "harris": lambda: [harris(**hip.harris).value for hip in hips],
        "bml": lambda: [hip.read["femoral_bme"] + hip.read["acetabular_bme"] for hip in hips],
        "synovitis": lambda: [hip.read["effusion"] for hip in hips],
        "age": lambda: [(plan.visits[0].visit_on - plan.birth_on).days / 365.25 for plan in plans],
        "duration_months": lambda: [(plan.visits[0].visit_on - plan.onset_on).days / 30.4 for plan in plans],
    }[name]()


@pytest.mark.parametrize("first_only", [True, False])
@pytest.mark.parametrize("name", sorted(ARTICLE))
def test_means_are_within_a_quarter_of_the_articles_sd(plans, name, first_only):
    mean, sd = ARTICLE[name]
    assert abs(np.mean(values(plans, name, first_only)) - mean) < 0.25 * sd


def test_size(plans):
    assert len(plans) >= 60
    assert {len(plan.visits) for plan in plans} == {3, 4}
    assert sum(sum(visit.has_mri for visit in plan.visits) == 2 for plan in plans) >= 12


def test_the_same_seed_gives_the_same_cohort(plans):
    assert draw_cohort() == plans
    assert draw_cohort(seed=7) != plans


def test_one_latent_inflammation_drives_clinic_reads_and_phantoms(plans):
    visits = [visit for plan in plans for visit in plan.visits]
    bme = [sum(hip.bme for hip in visit.hips.values()) for visit in visits]
    read = [sum(hip.read["femoral_bme"] for hip in visit.hips.values()) for visit in visits]
    vas = [visit.items["vas_pain"] for visit in visits]
    assert stats.spearmanr(bme, read).statistic > 0.6
    assert stats.spearmanr(bme, vas).statistic > 0.3


def test_a_hip_that_is_not_involved_has_no_lesion_in_its_phantom(plans):
    for plan in plans:
        for visit in plan.visits:
            for side, hip in visit.hips.items():
                if plan.involvement not in (side, "both"):
                    assert (hip.bme, hip.synovitis) == (0.0, 0.0)
