"""A cohort scored with another model: once a hip, resumable, and without touching what stands for the patients."""

from datetime import date
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest

from hipapp.core.errors import ConflictError, ForbiddenError
from hipapp.imaging import inference
from hipapp.imaging.bundles import read_bundle
from hipapp.imaging.comparison import compare
from hipapp.imaging.models import Rescoring, Score, Segmentation, Series, Study
from hipapp.imaging.registry import ensure_model_in_force
from hipapp.imaging.results import results_of_studies
from hipapp.imaging.services import models, rescoring
from hipapp.imaging.services.reviews import review_hip
from hipapp.jobs.models import Job
from hipapp.jobs.shell import Unfinished
from ml.dicom.errors import UnscorableError
from ml.labels import BME
from tests.builders import rows
from tests.imaging.bundles import contents, zipped
from tests.imaging.studies import fake_segment, receive, run_job, stir_files

pytestmark = pytest.mark.django_db
_number = count(1)


@pytest.fixture(autouse=True)
def network(monkeypatch):
    """The second model outlines more BME in right hips than the first; gives what was asked of which model."""
    asked = []

    def segment(series, model, say):
        asked.append((series.pk, model.version))
        outcome = fake_segment(series, model, say)
        if model.version == "2":
            mask = outcome.hips[0].mask
            mask[:, mask.shape[1] // 2 - 2 : mask.shape[1] // 2 + 2, np.nonzero(mask.any(axis=(0, 1)))[0][2:6]] |= BME
        return outcome

    monkeypatch.setattr(inference, "segment", segment)
    return asked


@pytest.fixture
def candidate(administrator, monkeypatch):
    monkeypatch.setattr(inference, "try_model", lambda model: None)
    ensure_model_in_force()
    model = models.import_bundle(read_bundle(zipped(contents("2", 7))), administrator)
    models.check_model(model)
    model.refresh_from_db()
    return model


@pytest.fixture
def make_study(radiologist):
    """Makes a study of a visit, scored by the model in force."""

    def make(visit):
        n = next(_number)
        receive(radiologist, stir_files(seed=n, study=f"1.2.3.{n}", series=f"1.2.3.{n}.5", PatientBirthDate=None), visit=visit)
        run_job(Job.objects.filter(task="imaging.segment_series").latest("created_at"))
        return Study.objects.latest("created_at")

    return make


@pytest.fixture
def studies(make_study, patient):
    return [make_study(rows.make_visit(patient, date(2026, month, 2))) for month in (1, 2, 3)]


def ordered(candidate, administrator, centre):
    row = rescoring.order_rescoring(candidate, administrator, [centre])
    return row, Job.objects.get(task="imaging.rescore", subject_id=str(row.pk))


def test_every_study_is_scored_once_and_what_stands_does_not_change(studies, candidate, administrator, centre, network):
    before = {study.pk: results_of_studies([study])[study.pk]["right"].score_id for study in studies}
    row, job = ordered(candidate, administrator, centre)
    job = run_job(job)
    row.refresh_from_db()
    assert (job.state, job.message) == ("succeeded", "3 studies scored with unet 2")
    assert (row.n_series, row.n_done, row.failures) == (3, 3, [])
    assert Score.objects.filter(model_version=candidate).count() == 6
    assert {study.pk: results_of_studies([study])[study.pk]["right"].score_id for study in studies} == before
    models.promote_model(candidate, administrator, reason="better")
    for study in studies:
        assert results_of_studies([study])[study.pk]["right"].model == "unet 2"
    _, again = ordered(candidate, administrator, centre)
    run_job(again)
    assert len(network) == 6  # three studies, two models
    assert Score.objects.filter(model_version=candidate).count() == 6


def test_it_goes_on_in_shares_and_lets_others_in_between(studies, candidate, administrator, centre, monkeypatch):
    monkeypatch.setattr(rescoring, "SHARE_S", -1.0)
    row, job = ordered(candidate, administrator, centre)
    assert rescoring.rescore(Rescoring.objects.get(pk=row.pk), lambda *_: None) == Unfinished(0.0, "0 of 3 studies")
    times = iter([0.0, 0.0, 10.0] * 9)
    monkeypatch.setattr(rescoring, "SHARE_S", 5.0)
    monkeypatch.setattr(rescoring, "time", SimpleNamespace(monotonic=lambda: next(times)))
    for n_done in (1, 2):
        job = run_job(job)
        row.refresh_from_db()
        assert (job.state, job.attempt, row.n_done) == ("queued", 0, n_done)
        assert job.message == f"{n_done} of 3 studies"
    assert Score.objects.filter(model_version=candidate).count() == 4


def test_a_stopped_one_goes_on_with_the_next_study(studies, candidate, administrator, centre, network, monkeypatch):
    row, job = ordered(candidate, administrator, centre)
    real = inference.segment
    calls = iter(range(99))

    def failing(series, model, say):
        if next(calls) == 1:
            raise inference.BrokenModelError("The model can't be loaded")
        return real(series, model, say)

    monkeypatch.setattr(inference, "segment", failing)
    job = run_job(job)
    row.refresh_from_db()
    assert (job.state, row.n_done) == ("failed", 1)
    from hipapp.jobs.services import retry_job

    job = run_job(retry_job(job))
    row.refresh_from_db()
    assert (job.state, row.n_done) == ("succeeded", 3)
    assert [version for _, version in network].count("2") == 3


def test_a_study_that_can_not_be_scored_is_named_and_keeps_its_score(studies, candidate, administrator, centre, monkeypatch):
    real = inference.segment
    bad = studies[1].chosen_series_id

    def segment(series, model, say):
        if series.pk == bad:
            raise UnscorableError("inconsistent", "the slices do not make one stack")
        return real(series, model, say)

    monkeypatch.setattr(inference, "segment", segment)
    row, job = ordered(candidate, administrator, centre)
    job = run_job(job)
    row.refresh_from_db()
    assert job.message == "2 studies scored with unet 2, 1 could not be"
    assert row.failures == [[str(studies[1].pk), "the slices do not make one stack"]]
    studies[1].refresh_from_db()
    assert (studies[1].refused_code, results_of_studies([studies[1]])[studies[1].pk]["right"].model) == ("", "unet test")


def test_an_unexpected_error_is_of_one_study_and_is_logged(studies, candidate, administrator, centre, monkeypatch, caplog):
    real = inference.segment

    def segment(series, model, say):
        if series.pk == studies[0].chosen_series_id:
            raise RuntimeError("out of memory on the device")
        return real(series, model, say)

    monkeypatch.setattr(inference, "segment", segment)
    row, job = ordered(candidate, administrator, centre)
    run_job(job)
    row.refresh_from_db()
    assert [words for _, words in row.failures] == ["An unexpected error; the log of the worker has it."]
    assert "out of memory" in caplog.text


def test_one_that_runs_is_not_ordered_twice(studies, candidate, administrator, centre):
    first, _ = ordered(candidate, administrator, centre)
    assert rescoring.order_rescoring(candidate, administrator, [centre]) == first
    other = rescoring.order_rescoring(candidate, administrator, [centre], {"hip_involvement": ""})
    assert other != first


def test_patients_are_chosen(studies, candidate, administrator, centre, make_study):
    synthetic = rows.make_visit(rows.make_patient(centre, is_synthetic=True))
    wanted = make_study(synthetic)
    row = rescoring.order_rescoring(candidate, administrator, [centre], {"is_synthetic": True})
    assert list(rescoring.series_of(row)) == [wanted.chosen_series]
    with pytest.raises(ConflictError, match="No study of these patients"):
        rescoring.order_rescoring(candidate, administrator, [centre], {"criteria": "mny"})


def test_only_the_administrator_of_the_centre_orders_it(studies, candidate, radiologist, other_centre, centre):
    for person in (radiologist, rows.make_user("administrator", other_centre)):
        with pytest.raises(ForbiddenError):
            rescoring.order_rescoring(candidate, person, [centre])


def test_a_model_that_is_not_ready_does_not_score(studies, administrator, centre):
    model = models.import_bundle(read_bundle(zipped(contents("3", 8))), administrator)
    with pytest.raises(ConflictError, match="being checked"):
        rescoring.order_rescoring(model, administrator, [centre])


def test_old_against_new(studies, candidate, administrator, centre, radiologist):
    review_hip(studies[0].chosen_series, "right", "accept", radiologist)
    row, job = ordered(candidate, administrator, centre)
    run_job(job)
    found = compare(row.baseline, candidate, rescoring.series_of(row).values_list("pk", flat=True))
    rights = [hip for hip in found.pairs if hip.side == "right"]
    lefts = [hip for hip in found.pairs if hip.side == "left"]
    assert (len(rights), len(lefts)) == (3, 3)
    assert all(hip.difference > 0 for hip in rights)
    assert all(hip.difference == 0 for hip in lefts)
    differences = np.array([hip.difference for hip in found.pairs])
    assert found.agreement.bias.estimate == pytest.approx(differences.mean())
    assert found.agreement.upper.estimate == pytest.approx(differences.mean() + 1.96 * differences.std(ddof=1))
    assert found.n_equal == 3
    assert Segmentation.objects.filter(model_version=candidate).count() == 6


def hip_scores(study, side, old_model, new_model, old, new):
    for model, value in ((old_model, old), (new_model, new)):
        refused = {} if value is not None else {"refused_code": "hip_not_found", "refused_message": "the hip was not found"}
        Score.objects.create(series=study.chosen_series, side=side, model_version=model, unet_score=value, **refused)


def bare_study(visit, uid):
    from django.utils import timezone

    study = Study.objects.create(centre=visit.patient.centre, visit=visit, study_uid=uid, acquired_at=timezone.now())
    study.chosen_series = Series.objects.create(study=study, series_uid=f"{uid}.1", plane="coronal", n_slices=9)
    study.save()
    return study


def test_what_would_change_for_patients_is_listed(candidate, centre, radiologist):
    old = ensure_model_in_force()
    values = {  # side: (old, new) at two visits of a patient
        "lesion gone": {"right": [(0.5, 0.5), (0.2, 0.0)], "left": [(0.0, 0.0), (0.0, 0.0)]},
        "refused": {"right": [(1.0, None), (1.0, 1.0)], "left": [(1.0, 1.0), (1.0, 1.0)]},
        "risen": {"right": [(1.0, 1.0), (1.0, 3.0)], "left": [(1.0, 1.0), (1.0, 1.0)]},
        "other hip": {"right": [(9.0, 6.0), (9.0, 6.0)], "left": [(6.0, 9.0), (6.0, 9.0)]},
        "same": {"right": [(2.0, 2.1), (2.0, 2.1)], "left": [(2.0, 2.1), (2.0, 2.1)]},
    }
    for n in range(30):  # many equal hips, so that the limits are narrow
        values[f"equal {n}"] = {"right": [(0.3, 0.3)], "left": [(0.4, 0.4)]}
    for number, (code, sides) in enumerate(values.items()):
        patient = rows.make_patient(centre, study_code=code)
        for month in range(len(sides["right"])):
            study = bare_study(rows.make_visit(patient, date(2026, month + 1, 1)), f"2.25.{number}.{month}")
            for side, pairs in sides.items():
                hip_scores(study, side, old, candidate, *pairs[month])
            if code == "risen" and month == 1:
                review_hip(study.chosen_series, "right", "accept", radiologist)
    found = compare(old, candidate, Series.objects.values_list("pk", flat=True))
    assert 0.2 < found.margin < 2.0
    said = {(c.hip.study_code, c.what, c.side): (c.before, c.after, c.stands) for c in found.changes}
    assert said == {
        ("lesion gone", "Lesion", "right"): ("a lesion", "no lesion", ""),
        ("refused", "Scored", "right"): ("scored", "not scored: the hip was not found", ""),
        ("risen", "Since the study before", "right"): ("about the same", "risen", "accepted: stays"),
        ("other hip", "Worse hip", ""): ("right", "left", ""),
    }
    assert (found.n_only_old, found.n_only_new, found.n_changed_patients) == (1, 0, 4)


def test_too_few_hips_have_no_limits(candidate, centre):
    old = ensure_model_in_force()
    study = bare_study(rows.make_visit(rows.make_patient(centre)), "2.25.1")
    hip_scores(study, "right", old, candidate, 1.0, 2.0)
    found = compare(old, candidate, [study.chosen_series_id])
    assert (found.agreement, found.concordance, len(found.pairs), found.changes) == (None, None, 1, ())
