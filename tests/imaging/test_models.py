"""Models imported, checked, put in force and taken back, by an administrator or by command."""

import pghistory
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from hipapp.core.errors import ConflictError, DomainError, ForbiddenError
from hipapp.imaging import inference
from hipapp.imaging.bundles import BundleRefusedError, calibration_of, read_bundle
from hipapp.imaging.models import ModelVersion, Promotion, Score, Study
from hipapp.imaging.registry import ensure_model_in_force
from hipapp.imaging.services import models
from hipapp.jobs.models import Job
from tests.builders import rows
from tests.imaging.bundles import calibrated, contents, write_bundle, zipped
from tests.imaging.studies import receive, run_job, stir_files

pytestmark = pytest.mark.django_db


def bundle(version: str, seed: int = 7):
    return read_bundle(zipped(contents(version, seed)))


@pytest.fixture
def current():
    return ensure_model_in_force()


@pytest.fixture
def tried(monkeypatch):
    """Versions that were tried; trying one called "broken" fails."""
    found = []

    def try_model(model):
        found.append(model.version)
        if model.version == "broken":
            raise inference.UnfitModelError("The model can't be used: the weights do not fit")

    monkeypatch.setattr(inference, "try_model", try_model)
    return found


@pytest.fixture
def ready(current, administrator, tried):
    """An imported model that was checked."""
    model = models.import_bundle(bundle("2"), administrator)
    models.check_model(model)
    model.refresh_from_db()
    return model


def in_force() -> list[str]:
    return [model.version for model in ModelVersion.objects.filter(is_in_force=True)]


def test_an_imported_model_is_checked_by_a_worker_and_not_in_force(current, administrator, tried):
    model = models.import_bundle(bundle("2"), administrator)
    models.order_check(model, administrator)
    job = run_job(Job.objects.get(task="imaging.check_model"))
    model.refresh_from_db()
    assert (job.state, job.message, tried) == ("succeeded", "unet 2 is ready", ["2"])
    assert (model.state, model.imported_by, model.promoted_at) == ("ready", administrator, None)
    assert in_force() == ["test"]


def test_a_model_that_does_not_work_is_refused_with_the_reason_and_can_be_sent_again(current, administrator, tried):
    model = models.import_bundle(bundle("broken"), administrator)
    models.order_check(model, administrator)
    job = run_job(Job.objects.get(task="imaging.check_model"))
    model.refresh_from_db()
    assert (job.state, model.state) == ("failed", "refused")
    assert "the weights do not fit" in model.refused_message
    with pytest.raises(ConflictError, match="refused"):
        models.promote_model(model, administrator, reason="trying")
    again = models.import_bundle(bundle("broken"), administrator)
    models.order_check(again, administrator)
    assert (again.pk, again.state, Job.objects.get(task="imaging.check_model").state) == (model.pk, "checking", "queued")


def test_the_same_bundle_or_the_same_version_does_not_come_twice(ready, administrator):
    with pytest.raises(ConflictError, match="here already, as unet 2"):
        models.import_bundle(bundle("2"), administrator)
    with pytest.raises(ConflictError, match="another version"):
        models.import_bundle(bundle("2", seed=99), administrator)


def test_the_same_weights_come_again_with_a_calibration(ready, administrator):
    files = calibrated(contents("2", 7, unet={"settings": {"base": 64}, "metrics": {"bme": 0.9}}))
    with pghistory.context(user=administrator.pk):
        model = models.import_bundle(read_bundle(zipped(files)), administrator)
    ready.refresh_from_db()
    assert (model, ready.state, ready.metrics) == (ready, "ready", {"unet": {"bme": 0.9}})
    assert calibration_of(ready.description)["factor"] == 1.6
    assert ready.description["unet"] == {"settings": {"base": 16}, "metrics": {"bme": 0.9}}, "what decides a score stays"
    newest = ready.events.order_by("-pgh_id").first()
    assert (newest.pgh_label, newest.pgh_context.metadata["user"]) == ("update", administrator.pk)
    assert newest.description == ready.description
    with pytest.raises(ConflictError, match="here already, as unet 2"):
        models.import_bundle(read_bundle(zipped(files)), administrator)
    models.import_bundle(read_bundle(zipped(calibrated(contents("2", 7), factor=1.9))), administrator)
    ready.refresh_from_db()
    assert calibration_of(ready.description)["factor"] == 1.9


def test_a_calibration_of_other_weights_renews_nothing(ready, administrator):
    files = calibrated(contents("2", 7), unet_sha256="0" * 64)
    with pytest.raises(ConflictError, match="here already, as unet 2"):
        models.import_bundle(read_bundle(zipped(files)), administrator)


def test_the_command_says_that_the_calibration_is_renewed(current, tried, tmp_path, capsys):
    write_bundle(tmp_path / "one")
    (tmp_path / "one" / "bundle.json").write_bytes(calibrated(contents())["bundle.json"])
    call_command("models", "import", str(tmp_path / "one"))
    assert "unet test was here already; its calibration and figures are renewed" in capsys.readouterr().out
    assert tried == []


def test_only_administrators_change_models(ready, radiologist, rheumatologist, coordinator):
    for person in (radiologist, rheumatologist, coordinator):
        with pytest.raises(ForbiddenError):
            models.import_bundle(bundle("3"), person)
        with pytest.raises(ForbiddenError):
            models.promote_model(ready, person, reason="because")
        with pytest.raises(ForbiddenError):
            models.rollback_model(person, reason="because")
    assert in_force() == ["test"]


def test_promotion_and_rollback_are_noted_with_person_and_reason(current, ready, administrator):
    models.promote_model(ready, administrator, reason="better on BME")
    assert in_force() == ["2"]
    models.rollback_model(administrator, reason="worse on the left")
    assert in_force() == ["test"]
    newest = [(str(row.model_version), str(row.replaced), row.by, row.reason) for row in Promotion.objects.all()[:2]]
    assert newest == [
        ("unet test", "unet 2", administrator, "worse on the left"),
        ("unet 2", "unet test", administrator, "better on BME"),
    ]


def made(version: str) -> ModelVersion:
    return ModelVersion.objects.create(name="unet", version=version, sha256=version * 64, files={"unet.safetensors": "x"})


def test_each_rollback_goes_one_further_back(current, administrator):
    two, three = made("2"), made("3")
    for model in (two, three):
        models.promote_model(model, administrator, reason="better")
    for before in (two, current):
        assert models.model_before() == before
        models.rollback_model(administrator, reason="worse")
        assert in_force() == [before.version]
    assert models.model_before() is None
    with pytest.raises(ConflictError, match="No model was in force before"):
        models.rollback_model(administrator, reason="worse")
    assert [row.is_rollback for row in Promotion.objects.all()] == [True, True, False, False, False]


def test_a_promotion_after_a_rollback_goes_back_to_the_model_that_it_replaced(current, administrator):
    two, three = made("2"), made("3")
    models.promote_model(two, administrator, reason="better")
    models.rollback_model(administrator, reason="worse")
    models.promote_model(three, administrator, reason="better")
    models.promote_model(current, administrator, reason="as it was")
    assert models.model_before() == three
    models.rollback_model(administrator, reason="worse")
    assert models.model_before() == current


def test_there_is_nothing_to_go_back_to_at_first(current, administrator):
    with pytest.raises(ConflictError, match="No model was in force before"):
        models.rollback_model(administrator, reason="because")


@pytest.mark.parametrize("reason", ["", "  ", "a"])
def test_a_reason_is_needed(ready, administrator, reason):
    with pytest.raises(DomainError, match="Say in a few words why"):
        models.promote_model(ready, administrator, reason=reason)


def test_the_model_in_force_can_not_be_promoted_again(current, administrator):
    with pytest.raises(ConflictError, match="in force already"):
        models.promote_model(current, administrator, reason="because")


def test_a_model_that_was_not_compared_is_put_in_force_only_on_purpose(ready, administrator, radiologist, visit):
    receive(radiologist, stir_files(), visit=visit)
    run_job(Job.objects.get(task="imaging.segment_series"))
    with pytest.raises(ConflictError, match="was not compared with unet test"):
        models.promote_model(ready, administrator, reason="because")
    models.promote_model(ready, administrator, reason="because", is_uncompared_accepted=True)
    assert in_force() == ["2"]


def test_a_study_ordered_before_a_promotion_is_scored_with_the_new_model(ready, administrator, radiologist, visit):
    receive(radiologist, stir_files(), visit=visit)
    old = Job.objects.get(task="imaging.segment_series")
    models.promote_model(ready, administrator, reason="because")
    assert "another model is in force by now" in run_job(old).message
    run_job(Job.objects.exclude(pk=old.pk).get(task="imaging.segment_series"))
    assert set(Score.objects.values_list("model_version__version", flat=True)) == {"2"}


def test_the_next_study_after_a_promotion_is_scored_with_it(ready, administrator, radiologist, visit):
    models.promote_model(ready, administrator, reason="because")
    receive(radiologist, stir_files(), visit=visit)
    run_job(Job.objects.get(task="imaging.segment_series"))
    assert set(Score.objects.values_list("model_version__sha256", flat=True)) == {ready.sha256}
    assert Study.objects.get().chosen_series.scores.count() == 2


def test_the_command_imports_promotes_and_rolls_back(current, tried, tmp_path, capsys):
    folder = write_bundle(tmp_path / "two", version="2", seed=7)
    call_command("models", "import", str(folder))
    assert "unet 2" in capsys.readouterr().out
    call_command("models", "promote", "unet 2", "--reason", "better on BME")
    assert in_force() == ["2"]
    call_command("models", "rollback", "--reason", "worse")
    assert in_force() == ["test"]
    capsys.readouterr()
    call_command("models", "list")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["unet test", "unet 2"]
    assert "in force" in lines[0]
    assert "earlier in force" in lines[1]
    call_command("models", "promote", ModelVersion.objects.get(version="2").sha256[:8], "--reason", "by hash")
    assert in_force() == ["2"]


def test_the_command_says_what_is_wrong(current, tried, tmp_path):
    for arguments, words in (
        (("import", str(tmp_path / "absent")), "is not there"),
        (("import", str(write_bundle(tmp_path / "b", version="broken", seed=3))), "do not fit"),
        (("promote", "unet 9", "--reason", "because"), "No model is 'unet 9'. There are: unet test"),
        (("rollback", "--reason", "because"), "No model was in force before"),
        (("compare", "unet test"), "in force itself"),
    ):
        with pytest.raises(CommandError, match=words):
            call_command("models", *arguments)


def test_weights_that_fit_no_network_are_refused_by_the_real_trial(current, administrator):
    model = models.import_bundle(bundle("2"), administrator)
    with pytest.raises(BundleRefusedError, match="can't be used"):
        models.check_model(model)
    model.refresh_from_db()
    assert model.state == "refused"
    assert "/" not in model.refused_message.split(": ", 1)[1].split()[0]


def test_the_shipped_bundle_passes_the_real_trial(monkeypatch):
    from pathlib import Path

    from django.conf import settings

    from hipapp.imaging import registry

    monkeypatch.setattr(registry, "bundle_folder", lambda: Path(settings.BASE_DIR) / "ml" / "weights" / "default")
    model = ensure_model_in_force()
    models.check_model(model)
    model.refresh_from_db()
    assert model.state == "ready"


def test_another_administrator_of_another_centre_sees_the_same_models(ready, other_centre):
    models.promote_model(ready, rows.make_user("administrator", other_centre), reason="because")
    assert in_force() == ["2"]
