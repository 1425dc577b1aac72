"""Outlines of a prediction beside the corrected ones, for the viewer of the study page."""

import zlib

import pytest
from django.utils import timezone

from hipapp.imaging.models import ModelVersion, Score, Segmentation, Series, Study
from hipapp.imaging.services.reviews import review_hip
from hipapp.imaging.study_page import study_page

pytestmark = pytest.mark.django_db
SHAPE = (2, 8, 10)


@pytest.fixture
def model():
    return ModelVersion.objects.create(name="unet", version="1", sha256="1" * 64, is_in_force=True)


@pytest.fixture
def study(visit):
    study = Study.objects.create(centre=visit.patient.centre, visit=visit, study_uid="2.25.1", acquired_at=timezone.now())
    slices = [["2.25.1.1.1", None, False, False, False], ["2.25.1.1.2", None, False, False, False]]
    study.chosen_series = Series.objects.create(
        study=study, series_uid="2.25.1.1", plane="coronal", n_slices=2, slices=slices, spacing_mm=[4, 1, 1], window=[0, 1]
    )
    study.save()
    return study


def draw(study, side, model=None, author=None, supersedes=None, value=1.0):
    drawn = Segmentation.objects.create(
        series=study.chosen_series,
        side=side,
        model_version=model,
        author=author,
        supersedes=supersedes,
        shape=list(SHAPE),
        mask=zlib.compress(bytes(160)),
    )
    Score.objects.create(series=study.chosen_series, side=side, model_version=model, segmentation=drawn, unet_score=value)
    return drawn


def viewer(study, user):
    study.refresh_from_db()
    return study_page(study, user).viewer


def test_a_prediction_alone_has_nothing_beside_it(study, model, radiologist):
    for side in ("right", "left"):
        draw(study, side, model)
    assert (viewer(study, radiologist)["drawn"], viewer(study, radiologist)["others"]) == ("unet 1", [])
    review_hip(study.chosen_series, "right", "accept", radiologist)
    assert viewer(study, radiologist)["drawn"] == "R unet 1, accepted; L unet 1"


def test_a_corrected_hip_is_shown_and_the_prediction_can_be_seen_beside_it(study, model, radiologist):
    right, left = draw(study, "right", model), draw(study, "left", model)
    corrected = draw(study, "right", author=radiologist, supersedes=right)
    found = viewer(study, radiologist)
    assert found["drawn"] == "R corrected by hand; L unet 1"
    assert set(found["outlines"][0].split("?of=")[1].split("-")) == {str(corrected.pk), str(left.pk)}
    (other,) = found["others"]
    assert other["label"] == "unet 1, as predicted"
    assert len(other["outlines"]) == 2
    assert set(other["outlines"][0].split("?of=")[1].split("-")) == {str(right.pk), str(left.pk)}


def test_older_models_are_there_but_no_candidate(study, model, radiologist):
    older = ModelVersion.objects.create(name="unet", version="0", sha256="0" * 64, promoted_at=timezone.now())
    candidate = ModelVersion.objects.create(name="unet", version="2", sha256="2" * 64)
    for drawer in (older, candidate, model):
        draw(study, "right", drawer)
    assert [other["label"] for other in viewer(study, radiologist)["others"]] == ["unet 0, as predicted"]


def test_a_rejected_prediction_can_still_be_looked_at(study, model, radiologist):
    draw(study, "right", model)
    review_hip(study.chosen_series, "right", "reject", radiologist)
    found = viewer(study, radiologist)
    assert (found["outlines"], [other["label"] for other in found["others"]]) == ([], ["unet 1, as predicted"])


def test_the_page_offers_the_choice(client, study, model, radiologist):
    right = draw(study, "right", model)
    draw(study, "right", author=radiologist, supersedes=right)
    client.force_login(radiologist)
    page = client.get(f"/studies/{study.pk}/").content.decode()
    assert 'id="beside"' in page
    assert "unet 1, as predicted" in page
