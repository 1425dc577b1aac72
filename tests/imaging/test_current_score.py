"""The current score of a hip: corrected, accepted, in force, older; rejected never."""

import zlib
from datetime import timedelta

import pytest
from django.utils import timezone

from hipapp.core.errors import ConflictError, DomainError, ForbiddenError
from hipapp.imaging.models import ModelVersion, Review, Score, Segmentation, Series, Study
from hipapp.imaging.selectors import results_of_studies, scores_by_visit, search_studies, visible_studies
from hipapp.imaging.services.reviews import review_hip
from tests.builders import rows

pytestmark = pytest.mark.django_db


@pytest.fixture
def model():
    return ModelVersion.objects.create(name="unet", version="2", sha256="2" * 64, is_in_force=True)


@pytest.fixture
def older():
    return ModelVersion.objects.create(name="unet", version="1", sha256="1" * 64, promoted_at=timezone.now())


@pytest.fixture
def candidate():
    return ModelVersion.objects.create(name="unet", version="3", sha256="3" * 64)


@pytest.fixture
def study(visit):
    return make_study(visit)


def make_study(visit, uid="2.25.1", acquired_at=None):
    study = Study.objects.create(centre=visit.patient.centre, visit=visit, study_uid=uid, acquired_at=acquired_at)
    study.chosen_series = Series.objects.create(study=study, series_uid=f"{uid}.1", plane="coronal", n_slices=9)
    study.save()
    return study


def make_score(study, model, value, side="right", **values):
    return Score.objects.create(series=study.chosen_series, side=side, model_version=model, unet_score=value, **values)


def correct(study, person, value, side="right"):
    drawn = Segmentation.objects.create(
        series=study.chosen_series, side=side, author=person, shape=[1, 1, 1], mask=zlib.compress(b"\0")
    )
    return Score.objects.create(series=study.chosen_series, side=side, segmentation=drawn, unet_score=value)


def current(study, side="right"):
    study.refresh_from_db()
    return results_of_studies([study])[study.pk].get(side)


def test_the_model_in_force_goes_before_an_older_one_that_scored_later(study, model, older):
    make_score(study, model, 1.0)
    make_score(study, older, 2.0)
    found = current(study)
    assert (found.unet_score, found.model, found.review, found.is_model_in_force) == (1.0, "unet 2", "unreviewed", True)


def test_an_accepted_older_score_goes_before_the_model_in_force(study, model, older, radiologist):
    old = make_score(study, older, 2.0)
    review_hip(study.chosen_series, "right", "accept", radiologist, score_id=old.pk)
    make_score(study, model, 1.0)
    found = current(study)
    assert (found.unet_score, found.review, found.is_model_in_force) == (2.0, "accepted", False)


def test_a_score_of_a_model_that_never_was_in_force_does_not_count(study, older, candidate):
    make_score(study, candidate, 3.0)
    assert current(study) is None
    make_score(study, older, 2.0)
    assert current(study).unet_score == 2.0


def test_after_a_rollback_the_scores_of_the_model_before_count_again(study, model, older):
    make_score(study, older, 2.0)
    make_score(study, model, 1.0)
    assert current(study).unet_score == 1.0
    ModelVersion.objects.filter(pk=model.pk).update(is_in_force=False, promoted_at=timezone.now())
    ModelVersion.objects.filter(pk=older.pk).update(is_in_force=True)
    assert current(study).unet_score == 2.0


def test_a_correction_goes_before_all(study, model, radiologist):
    make_score(study, model, 1.0)
    review_hip(study.chosen_series, "right", "accept", radiologist)
    correct(study, radiologist, 0.7)
    found = current(study)
    assert (found.unet_score, found.review, found.is_corrected) == (0.7, "accepted", True)


def test_a_rejected_score_never_counts_and_an_older_one_takes_its_place(study, model, older, radiologist):
    make_score(study, model, 1.0)
    review_hip(study.chosen_series, "right", "reject", radiologist)
    assert (current(study).unet_score, current(study).review) == (None, "rejected")
    make_score(study, older, 2.0)
    assert (current(study).unet_score, current(study).review) == (2.0, "unreviewed")


def test_a_prosthesis_hides_every_score_and_undo_brings_the_verdict_before_it_back(study, model, radiologist):
    make_score(study, model, 1.0)
    review_hip(study.chosen_series, "right", "accept", radiologist)
    review_hip(study.chosen_series, "right", "not_assessable", radiologist)
    assert (current(study).unet_score, current(study).review) == (None, "not_assessable")
    review_hip(study.chosen_series, "right", "withdrawn", radiologist)
    assert (current(study).unet_score, current(study).review) == (1.0, "accepted")


def test_undoing_an_acceptance_makes_it_unreviewed_and_nothing_is_left_to_undo(study, model, radiologist):
    make_score(study, model, 1.0)
    review_hip(study.chosen_series, "right", "accept", radiologist)
    review_hip(study.chosen_series, "right", "withdrawn", radiologist)
    assert current(study).review == "unreviewed"
    with pytest.raises(ConflictError, match="no review"):
        review_hip(study.chosen_series, "right", "withdrawn", radiologist)


def test_a_review_of_one_hip_leaves_the_other(study, model, radiologist):
    make_score(study, model, 1.0)
    make_score(study, model, 3.0, side="left")
    review_hip(study.chosen_series, "right", "accept", radiologist)
    assert (current(study).review, current(study, "left").review) == ("accepted", "unreviewed")


def test_a_refused_hip_says_why_and_can_not_be_accepted(study, model, radiologist):
    make_score(study, model, None, refused_code="too_few_slices", refused_message="too few slices")
    assert (current(study).review, current(study).refused_message) == ("refused", "too few slices")
    with pytest.raises(ConflictError, match="no score"):
        review_hip(study.chosen_series, "right", "accept", radiologist)


def test_a_verdict_on_a_score_that_no_longer_counts_is_not_noted(study, model, older, radiologist):
    seen = make_score(study, older, 2.0)
    make_score(study, model, 1.0)
    with pytest.raises(ConflictError, match="Another score"):
        review_hip(study.chosen_series, "right", "accept", radiologist, score_id=seen.pk)
    assert not Review.objects.exists()


def test_only_radiologists_of_the_centre_review(study, model, rheumatologist, coordinator, administrator, other_centre):
    make_score(study, model, 1.0)
    foreign = rows.make_user("radiologist", other_centre)
    for person in (rheumatologist, coordinator, administrator, foreign):
        with pytest.raises(ForbiddenError):
            review_hip(study.chosen_series, "right", "accept", person)


@pytest.mark.parametrize(("side", "verdict"), [("middle", "accept"), ("right", "maybe")])
def test_an_unknown_side_or_verdict_is_refused(study, model, radiologist, side, verdict):
    make_score(study, model, 1.0)
    with pytest.raises(DomainError):
        review_hip(study.chosen_series, side, verdict, radiologist)


def test_a_hip_that_is_still_being_scored_is_missing(study):
    assert results_of_studies([study])[study.pk] == {}


def test_a_study_that_was_refused_says_so_for_both_hips(study):
    study.chosen_series, study.refused_code, study.refused_message = None, "no_mr", "there are no MR images"
    study.save()
    assert [current(study, side).refused_message for side in ("right", "left")] == ["there are no MR images"] * 2


def test_the_newest_study_with_a_score_counts_for_a_visit(visit, model):
    now = timezone.now()
    first = make_study(visit, "2.25.1", now - timedelta(days=1))
    make_score(first, model, 1.0)
    second = make_study(visit, "2.25.2", now)
    make_score(second, model, None, refused_code="hip_not_found", refused_message="not found")
    make_score(second, model, 4.0, side="left")
    found = scores_by_visit([visit.pk])[visit.pk]
    assert (found["right"].unet_score, found["right"].study_id) == (1.0, first.pk)
    assert (found["left"].unet_score, found["left"].study_id) == (4.0, second.pk)


def test_held_studies_and_visits_without_studies_are_left_out(visit, model):
    study = make_study(visit)
    make_score(study, model, 1.0)
    Study.objects.update(state="held")
    assert scores_by_visit([visit.pk, visit.pk + 1]) == {}


def test_many_visits_take_three_queries(patient, model, radiologist, django_assert_num_queries):
    from datetime import date

    visits = [rows.make_visit(patient, date(2026, 1, day)) for day in range(1, 11)]
    for number, visit in enumerate(visits):
        study = make_study(visit, f"2.25.{number}")
        make_score(study, model, float(number))
        review_hip(study.chosen_series, "right", "accept", radiologist)
    with django_assert_num_queries(3):
        found = scores_by_visit([visit.pk for visit in visits])
    assert [found[visit.pk]["right"].unet_score for visit in visits] == [float(n) for n in range(10)]


def test_the_list_of_unreviewed_studies_follows_the_reviews(study, model, radiologist):
    def unreviewed():
        return list(search_studies(visible_studies(radiologist), kind="unreviewed"))

    make_score(study, model, 1.0)
    assert unreviewed() == [study]
    review_hip(study.chosen_series, "right", "accept", radiologist)
    assert unreviewed() == []
    review_hip(study.chosen_series, "right", "withdrawn", radiologist)
    assert unreviewed() == [study]
