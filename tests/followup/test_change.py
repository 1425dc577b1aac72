"""Change since the visit before against thresholds; the numbers are those of the sources named in scoring.clinical.change."""

from datetime import date

import pytest

from hipapp.clinic.models import Assessment, Patient, Visit
from hipapp.followup import measures
from hipapp.followup.change import asdas_measure, last_change
from hipapp.followup.rows import VisitRow
from hipapp.followup.summary import summarise
from hipapp.imaging.results import HipResult
from hipapp.reading.selectors import HipHimriss

DAYS = (date(2026, 1, 12), date(2026, 3, 9), date(2026, 6, 1))


def row(number: int, mri=None, himriss=None, form="3-decimal", **values) -> VisitRow:
    visit = Visit(visit_on=DAYS[number])
    assessment = Assessment(asdas_form=form, **values) if values else None
    return VisitRow(Patient(), visit, 8.0 * number, assessment, {}, mri or {}, himriss or {}, bool(mri))


def mri(value: float, version: str = "1") -> dict[str, HipResult]:
    return {"right": HipResult("right", None, "accepted", unet_score=value, model_name="unet", model_version=version)}


def himriss(total: float, n_readers: int = 1) -> dict[str, HipHimriss]:
    return {"right": HipHimriss("right", total, 0, 0, total, n_readers, "totals")}


@pytest.mark.parametrize(
    ("before", "after", "verdict", "words"),
    [
        (2.7, 1.5, "better", "improvement ≥ 1.1 reached"),
        (2.6, 1.5, "better", "improvement ≥ 1.1 reached"),
        (3.6, 1.6, "better", "major improvement ≥ 2.0 reached"),
        (2.0, 1.0, "same", "improvement ≥ 1.1 not reached"),
        (1.5, 2.4, "worse", "worsening ≥ 0.9 reached"),
        (1.5, 2.3, "same", "worsening ≥ 0.9 not reached"),
    ],
)
def test_asdas_thresholds(before, after, verdict, words):
    found = last_change([row(0, asdas_crp=before), row(1, asdas_crp=after)], measures.ASDAS_CRP)
    assert (found.verdict, found.words) == (verdict, words)


def test_change_is_written_with_sign_and_threshold():
    found = last_change([row(0, asdas_crp=2.7), row(1, asdas_crp=1.5)], measures.ASDAS_CRP)
    assert str(found) == "ASDAS-CRP 2.70 → 1.50 (−1.20, improvement ≥ 1.1 reached)"
    assert found.weeks == 8


@pytest.mark.parametrize(
    ("before", "after", "verdict", "words"),
    [
        (3.9, 3.2, "better", "improvement ≥ 0.7 reached, BASDAI50 not reached"),
        (4.0, 3.0, "same", "improvement ≥ 1.1 not reached"),
        (4.0, 2.0, "better", "improvement ≥ 1.1 reached, BASDAI50 reached"),
        (2.0, 6.0, "", "no published threshold for worsening"),
    ],
)
def test_basdai_thresholds_depend_on_the_baseline(before, after, verdict, words):
    found = last_change([row(0, basdai=before), row(1, basdai=after)], measures.BASDAI)
    assert (found.verdict, found.words) == (verdict, words)


def test_other_coefficients_are_not_compared():
    found = last_change([row(0, asdas_crp=3.0, form="2-decimal"), row(1, asdas_crp=1.0)], measures.ASDAS_CRP)
    assert found.verdict == ""
    assert found.words.startswith("not comparable")


def test_asdas_by_esr_is_never_set_against_asdas_by_crp():
    rows = [row(0, asdas_crp=3.0), row(1, asdas_esr=1.0)]
    assert asdas_measure(rows) is measures.ASDAS_ESR
    assert last_change(rows, asdas_measure(rows)) is None


def test_visit_without_the_value_is_passed_over():
    rows = [row(0, basdai=5.0), row(1, asdas_crp=2.0), row(2, basdai=3.0)]
    assert last_change(rows, measures.BASDAI).since_on == DAYS[0]


def test_unet_score_has_no_threshold():
    found = last_change([row(0, mri(1.9)), row(1, mri(0.8))], measures.UNET, "right")
    assert (found.delta, found.verdict, found.words) == ("−1.10", "", "no threshold known")


def test_scores_of_two_model_versions_are_not_compared():
    found = last_change([row(0, mri(1.9, "1")), row(1, mri(0.8, "2"))], measures.UNET, "right")
    assert found.words == "not comparable: unet 1, then unet 2"


@pytest.mark.parametrize(
    ("after", "n_readers", "verdict", "words"),
    [
        (27, 1, "same", "within the centre’s SDC 3.1"),
        (26, 1, "better", "beyond the centre’s SDC 3.1"),
        (34, 1, "worse", "beyond the centre’s SDC 3.1"),
        (27, 2, "better", "beyond the centre’s SDC 2.2"),
    ],
)
def test_himriss_against_the_centres_own_sdc(after, n_readers, verdict, words):
    rows = [row(0, himriss=himriss(30, n_readers)), row(1, himriss=himriss(after, n_readers))]
    found = last_change(rows, measures.HIMRISS, "right", {1: 3.0778, 2: 2.1764})
    assert (found.verdict, found.words) == (verdict, words)


def test_without_an_sdc_himriss_has_no_threshold():
    found = last_change([row(0, himriss=himriss(30)), row(1, himriss=himriss(10))], measures.HIMRISS, "right")
    assert (found.verdict, found.words) == ("", "no threshold known")


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        ({"asdas_crp": 3.0, "basdai": 5.0}, {"asdas_crp": 1.0, "basdai": 2.0}, "better"),
        ({"asdas_crp": 1.0, "basdai": 2.0}, {"asdas_crp": 3.0, "basdai": 5.0}, "worse"),
        ({"asdas_crp": 1.0, "basdai": 5.0}, {"asdas_crp": 2.0, "basdai": 2.0}, "mixed: some scores better, some worse"),
        ({"asdas_crp": 1.0, "basdai": 2.0}, {"asdas_crp": 1.1, "basdai": 2.0}, "no clinically important change"),
        ({"asdas_crp": 1.0}, {"basdai": 2.0}, "no change can be judged"),
    ],
)
def test_verdict(first, second, verdict):
    assert summarise([row(0, **first), row(1, **second)]).verdict == verdict


def test_summary_leaves_out_what_was_not_measured_at_the_newest_visit():
    found = summarise([row(0, mri(1.0), basdai=5.0), row(1, mri(0.5), basdai=4.0), row(2, basdai=3.0)])
    assert [change.label for change in found.changes] == ["BASDAI"]
    assert found.remark == "No MRI at this visit."
    assert (found.since_on, found.weeks) == (DAYS[1], 12)


def test_one_visit_has_no_summary():
    assert summarise([row(0, basdai=5.0)]) is None
