"""A score's interval and the faults of its pictures: stored, shown on the study's page, given by the API."""

import json
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest

from hipapp.imaging import inference
from hipapp.imaging.inference import segment  # before conftest replaces it
from hipapp.imaging.models import ModelVersion, Score, Segmentation, Series, Study
from hipapp.imaging.outcome import StackOutcome
from hipapp.imaging.results import results_of_studies
from hipapp.imaging.services.scores import store_outcome
from ml.bundle import Bundle
from ml.quality import Flag
from tests.imaging.bundles import calibrated, contents
from tests.imaging.studies import _hip

pytestmark = pytest.mark.django_db
SHAPE = (9, 64, 80)
NOISE = Flag("noise", "right", 0.3, 0.1, False, "right hip: the picture is noisy")
MOTION = Flag("motion", "", 0.9, 0.5, True, "edges repeat at one distance")


@pytest.fixture
def model():
    return ModelVersion.objects.create(name="unet", version="2", sha256="2" * 64, is_in_force=True)


@pytest.fixture
def study(visit):
    study = Study.objects.create(centre=visit.patient.centre, visit=visit, study_uid="2.25.1")
    study.chosen_series = Series.objects.create(study=study, series_uid="2.25.1.1", plane="coronal", n_slices=9)
    study.save()
    return study


def outcome(**right):
    pixels = np.random.default_rng(0).uniform(50, 100, SHAPE).astype(np.float32)
    hips = (replace(_hip("right", SHAPE), **right), _hip("left", SHAPE))
    return StackOutcome(hips, pixels, (4.4, 4.0, 4.0), tuple(str(k) for k in range(9)))


def test_interval_and_flags_are_stored_with_the_score_and_stand_in_its_result(study, model):
    store_outcome(study.chosen_series, model, outcome(interval=(0.4, 0.9, 0.9, "by hand"), flags=(asdict(NOISE),)))
    right, left = Score.objects.get(side="right"), Score.objects.get(side="left")
    assert (right.interval_low, right.interval_high, right.interval_level, right.interval_method) == (0.4, 0.9, 0.9, "by hand")
    assert right.flags == [asdict(NOISE)]
    assert (left.interval_low, left.interval_method, left.flags) == (None, "", [])
    result = results_of_studies([study])[study.pk]["right"]
    assert (result.interval_low, result.interval_high, result.interval_level) == (0.4, 0.9, 0.9)
    assert result.flags[0]["code"] == "noise"


def test_a_flag_that_stops_leaves_the_outlines_and_no_score(study, model):
    refused = ("quality_motion", MOTION.message)
    store_outcome(study.chosen_series, model, outcome(refused=refused, flags=(asdict(MOTION),)))
    right = Score.objects.get(side="right")
    assert (right.unet_score, right.refused_code, right.refused_message) == (None, *refused)
    assert right.segmentation == Segmentation.objects.get(side="right")
    assert Score.objects.get(side="left").unet_score is not None


def test_the_page_and_the_api_show_both(client, radiologist, study, model):
    store_outcome(study.chosen_series, model, outcome(interval=(0.41, 0.93, 0.9, "by hand"), flags=(asdict(NOISE),)))
    client.force_login(radiologist)
    page = client.get(f"/studies/{study.pk}/").content.decode()
    assert "0.41–0.93" in page
    assert "Right hip: the picture is noisy" in page
    hip = client.get(f"/api/v1/studies/{study.pk}/").json()["hips"]["right"]
    assert (hip["interval_low"], hip["interval_high"], hip["interval_level"]) == (0.41, 0.93, 0.9)
    assert hip["flags"][0]["message"] == NOISE.message


@pytest.mark.parametrize(
    ("is_on", "has_calibration", "is_asked", "words"),
    [(True, True, True, ""), (True, False, False, "No interval: unet 2 holds no calibration"), (False, False, False, "")],
)
def test_a_model_without_a_calibration_scores_without_an_interval_and_says_so(
    study, model, monkeypatch, settings, is_on, has_calibration, is_asked, words
):
    asked = []

    def score_volume(volume, bundle, any_sequence, with_interval):
        asked.append((bundle.description, with_interval))
        return SimpleNamespace(hips=(), flags=())

    settings.SCORE_INTERVALS = is_on
    files = calibrated(contents()) if has_calibration else contents()
    model.description = json.loads(files["bundle.json"])
    monkeypatch.setattr("ml.study_score.score_volume", score_volume)
    monkeypatch.setattr(inference, "_bundle", lambda sha256: Bundle(None, None, "unet", "2", sha256, {"kept": "before"}))
    volume = SimpleNamespace(pixels=None, spacing_mm=(), uids=())
    monkeypatch.setattr(inference, "load_volume", lambda series: (volume, ["as read"]))
    outcome = segment(study.chosen_series, model, lambda percent, said: None)
    assert asked == [(model.description, is_asked)], "what the row says counts, not this machine's copy"
    assert outcome.warnings[0] == "as read"
    assert "".join(outcome.warnings[1:]).startswith(words)
    assert len(outcome.warnings) == 1 + bool(words)


def test_inference_passes_on_what_the_network_half_says():
    from ml.hips import FoundHip
    from ml.interval import Interval
    from ml.predict import HipOutline, Refusal
    from ml.study_score import ScoredHip

    mask = np.ones((2, 3, 3), np.uint8)
    found = FoundHip("right", True, 0.9, (0.0, 0.0, 0.0), 24.0, "")
    outline = HipOutline("right", found, (0.0, 0.0, 0.0), None, mask, None)
    stopped = ScoredHip(outline, None, Refusal("quality_motion", MOTION.message))
    passed = inference._hip(stopped, (MOTION, NOISE, replace(NOISE, side="left")))
    assert passed.refused == ("quality_motion", MOTION.message)
    assert passed.mask is mask
    assert [flag["code"] for flag in passed.flags] == ["motion", "noise"]
    few = inference._hip(ScoredHip(outline, None, Refusal("too_few_slices", "…")), ())
    assert few.refused is None  # the service finds that again, on the stored outline
    scored = inference._hip(ScoredHip(outline, None, None, Interval(0.1, 0.2, 0.9, "so")), ())
    assert scored.interval == (0.1, 0.2, 0.9, "so")
