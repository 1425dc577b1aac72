"""Studies that come in parts: in any order, interleaved, twice, with contradictions; scored when they are quiet, once."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from hipapp.accounts.models import AccessEvent
from hipapp.core.errors import ConflictError, DomainError, ForbiddenError
from hipapp.imaging.models import Instance, Score, Series, Study
from hipapp.imaging.receiving import spool
from hipapp.imaging.results import results_of_studies
from hipapp.imaging.services import conflicts, quiet, uploads
from hipapp.jobs.models import Job
from tests.builders.rows import make_user
from tests.imaging.studies import SHAPE, outcomes, receive, run_job, spool_files, stir_files

pytestmark = pytest.mark.django_db
N = SHAPE[0]
SEGMENT = "imaging.segment_series"


def part(user, files):
    """One delivery that does not say that its studies are whole."""
    upload = spool_files(uploads.start_upload(user, is_whole=False, door="dicomweb"), files)
    return uploads.receive_now(upload, user)


def let_time_pass():
    """Every study has been quiet long enough."""
    Study.objects.exclude(scoring_due_at=None).update(scoring_due_at=timezone.now() - timedelta(seconds=1))


def work(task):
    """Work off the waiting jobs of a task; gives how many."""
    jobs = list(Job.objects.filter(task=task, state="queued"))
    for job in jobs:
        assert run_job(job).state == "succeeded", job.message
    return len(jobs)


def settle():
    let_time_pass()
    n = quiet.order_due()
    assert work("imaging.settle_study") == n
    return n


def test_a_study_in_interleaved_parts_is_scored_once_when_it_is_quiet(radiologist, network):
    one, other = stir_files(), stir_files(study="1.2.8", series="1.2.8.1")
    part(radiologist, [one[4], other[8], one[0]])
    part(radiologist, [*other[:8], one[8]])
    assert (Study.objects.count(), Series.objects.count(), Job.objects.count()) == (2, 0, 0)
    assert quiet.order_due() == 0  # not quiet yet
    part(radiologist, [one[k] for k in (7, 1, 6, 2, 5, 3)])
    assert settle() == 2
    assert quiet.order_due() == 0
    assert sorted(Series.objects.values_list("n_slices", flat=True)) == [N, N]
    assert work(SEGMENT) == 2
    assert (Score.objects.count(), len(network)) == (4, 2)


def test_more_slices_are_scored_again_once(radiologist, network):
    files = stir_files()
    part(radiologist, files[:6])
    settle()
    work(SEGMENT)
    former = Study.objects.get().chosen_series
    part(radiologist, files[6:8])
    part(radiologist, files[8:])
    settle()
    assert work(SEGMENT) == 1
    study = Study.objects.get()
    former.refresh_from_db()
    assert (former.is_superseded, former.scores.count()) == (True, 2)
    assert (study.chosen_series.n_slices, study.chosen_series.scores.count()) == (N, 2)
    assert len(network) == 2
    result = results_of_studies([study])[study.pk]["right"]
    assert result.score_id in study.chosen_series.scores.values_list("pk", flat=True)
    part(radiologist, files)
    assert (settle(), Job.objects.filter(task=SEGMENT).count()) == (0, 2)


def test_a_job_that_waits_for_a_changed_series_does_nothing(radiologist, network):
    files = stir_files()
    part(radiologist, files[:6])
    settle()
    (outdated,) = Job.objects.filter(task=SEGMENT)
    part(radiologist, files[6:])
    run_job(outdated)
    settle()
    outdated.refresh_from_db()
    assert outdated.state in ("cancelled", "succeeded")
    work(SEGMENT)
    assert Study.objects.get().chosen_series.scores.count() == 2


def test_the_sender_may_say_that_the_study_is_whole(radiologist, visit):
    part(radiologist, stir_files()[:5])
    receive(radiologist, stir_files(), visit=visit)
    study = Study.objects.get()
    assert (study.scoring_due_at, study.chosen_series.n_slices) == (None, N)
    assert Job.objects.filter(task=SEGMENT).count() == 1
    assert settle() == 0


def test_a_person_may_have_it_scored_at_once(radiologist):
    part(radiologist, stir_files())
    client = Client()
    client.force_login(radiologist)
    assert client.post(reverse("imaging:score", args=[Study.objects.get().pk])).status_code == 302
    assert Job.objects.filter(task=SEGMENT).count() == 1
    assert Study.objects.get().scoring_due_at is None


def test_two_processes_settle_a_study_once(radiologist):
    part(radiologist, stir_files())
    let_time_pass()
    assert [quiet.order_due(), quiet.order_due()] == [1, 0]
    assert Job.objects.filter(task="imaging.settle_study").count() == 1


@pytest.fixture
def contested(radiologist, visit):
    """A scored study, and three later files with its UIDs and other pixels."""
    receive(radiologist, stir_files(), visit=visit)
    work(SEGMENT)
    upload = receive(radiologist, stir_files(seed=5)[:3], visit=visit)
    assert outcomes(upload) == {"conflict": 3}
    return Study.objects.get()


def test_contradicting_images_wait_for_a_person_and_change_nothing(contested, radiologist, visit):
    again = receive(radiologist, stir_files(seed=5)[:3], visit=visit)
    assert outcomes(again) == {"conflict": 3}
    assert contested.instances.filter(state="conflict").count() == 3
    assert contested.chosen_series.instances.filter(state="current").count() == N
    assert Job.objects.filter(task=SEGMENT).count() == 1
    client = Client()
    client.force_login(radiologist)
    waiting = client.get(reverse("imaging:unassigned")).content.decode()
    assert "Same UID, other pixels" in waiting
    page = client.get(reverse("imaging:conflict", args=[contested.pk])).content.decode()
    assert page.count('class="conflict-pair"') == 3
    row = contested.instances.filter(state="conflict").first()
    address = reverse("imaging:instance", args=[contested.pk, row.pk])
    ours = contested.instances.get(sop_uid=row.sop_uid, state="current")
    assert f"{address}?like={ours.pk}" in page
    pictures = [client.get(address + query) for query in ("", f"?like={ours.pk}")]
    assert {picture["Content-Type"] for picture in pictures} == {"image/png"}
    assert pictures[0].content != pictures[1].content  # over another window
    other = contested.instances.exclude(sop_uid=row.sop_uid).first()
    assert client.get(f"{address}?like={other.pk}").status_code == 404


def test_ours_are_kept(contested, radiologist, visit):
    client = Client()
    client.force_login(radiologist)
    address = reverse("imaging:conflict", args=[contested.pk])
    assert client.post(address, {"decision": "ours", "reason": ""}).status_code == 400
    assert client.post(address, {"decision": "what", "reason": "a test"}).status_code == 400
    assert client.post(address, {"decision": "ours", "reason": "the repeat is blurred"}).status_code == 302
    assert set(contested.instances.values_list("state", flat=True)) == {"current", "replaced"}
    contested.refresh_from_db()
    assert (contested.decision, contested.decided_by) == ("the repeat is blurred", radiologist)
    assert AccessEvent.objects.filter(action="conflict-keep-ours", subject_id=str(contested.pk)).count() == 1
    again = receive(radiologist, stir_files(seed=5)[:3], visit=visit)
    assert outcomes(again) == {"duplicate": 3}
    assert "set aside" in again.report[0]["reason"]
    assert Job.objects.filter(task=SEGMENT).count() == 1
    with pytest.raises(ConflictError):
        conflicts.keep_ours(contested, radiologist, reason="once more")


def test_theirs_are_taken_and_scored_again(contested, radiologist, visit, network):
    former = contested.chosen_series
    kept = set(former.instances.values_list("path", flat=True))
    assert conflicts.take_theirs(contested, radiologist, reason="the scanner repeated the series") == 3
    contested.refresh_from_db()
    former.refresh_from_db()
    assert former.is_superseded
    assert set(former.instances.values_list("path", flat=True)) == kept  # former scores stay with what they were made of
    assert contested.chosen_series != former
    assert contested.chosen_series.instances.filter(state="current").count() == N
    assert work(SEGMENT) == 1
    assert (len(network), contested.chosen_series.scores.count()) == (2, 2)
    assert outcomes(receive(radiologist, stir_files(seed=5)[:3], visit=visit)) == {"duplicate": 3}
    assert outcomes(receive(radiologist, stir_files()[:3], visit=visit)) == {"duplicate": 3}
    assert Instance.objects.filter(state="replaced").count() == 3


def test_only_those_who_may_upload_decide(contested, administrator, radiologist):
    with pytest.raises(ForbiddenError):
        conflicts.take_theirs(contested, administrator, reason="I would like to")
    with pytest.raises(DomainError, match="Say in a few words"):
        conflicts.keep_ours(contested, radiologist, reason=" ")


def test_nothing_is_left_in_the_spool(radiologist, settings):
    part(radiologist, [*stir_files(), b"Dear colleague"])
    assert not list(spool.Path(settings.SPOOL_DIR).iterdir())


def elsewhere(seed=0, **tags):
    """The images of `stir_files`, with their SOP Instance UIDs, under another Study Instance UID."""
    return stir_files(study="1.2.9", series="1.2.3.4.5", seed=seed, **tags)


def test_an_image_is_stored_once_whatever_study_it_says_it_is_of(radiologist, visit):
    receive(radiologist, stir_files()[:6], visit=visit)
    study = Study.objects.get()
    again = receive(radiologist, elsewhere()[:6])
    assert outcomes(again) == {"duplicate": 6}
    assert {row["study"] for row in again.report} == {str(study.pk)}
    assert "another Study Instance UID" in again.report[0]["reason"]
    assert (Study.objects.count(), Instance.objects.count()) == (1, 6)
    more = receive(radiologist, elsewhere())  # three of them are new: a study of their own
    assert outcomes(more) == {"duplicate": 6, "accepted": 3}
    assert Study.objects.exclude(pk=study.pk).get().instances.count() == 3


def test_of_two_studies_in_one_delivery_an_image_is_stored_once(radiologist):
    upload = receive(radiologist, [*stir_files(), *elsewhere()])
    assert outcomes(upload) == {"accepted": N, "duplicate": N}
    assert Study.objects.count() == 1


def test_another_centre_may_have_the_same_images(radiologist, centre, other_centre):
    receive(radiologist, stir_files())
    theirs = receive(make_user("radiologist", other_centre), elsewhere())
    assert outcomes(theirs) == {"accepted": N}


@pytest.fixture
def contested_elsewhere(radiologist, visit):
    """A study, and a later one of the same SOP Instance UIDs but other pixels; gives both."""
    receive(radiologist, stir_files(), visit=visit)
    first = Study.objects.get()
    upload = receive(radiologist, elsewhere(seed=5), visit=visit)
    assert outcomes(upload) == {"conflict": N}
    assert "of another study" in upload.report[0]["reason"]
    return first, Study.objects.exclude(pk=first.pk).get()


def test_the_uid_of_another_study_with_other_pixels_waits_for_a_person(contested_elsewhere, radiologist, visit):
    first, second = contested_elsewhere
    assert second.chosen_series is None
    assert set(second.instances.values_list("state", flat=True)) == {"conflict"}
    assert set(first.instances.values_list("state", flat=True)) == {"current"}
    assert outcomes(receive(radiologist, elsewhere(seed=5), visit=visit)) == {"conflict": N}
    assert second.instances.count() == N
    client = Client()
    client.force_login(radiologist)
    page = client.get(reverse("imaging:conflict", args=[second.pk])).content.decode()
    assert "The stored ones belong to" in page
    ours = first.instances.get(sop_uid=second.instances.first().sop_uid)
    assert reverse("imaging:instance", args=[first.pk, ours.pk]) in page
    assert (
        reverse("imaging:conflict", args=[second.pk]) in client.get(reverse("imaging:study", args=[second.pk])).content.decode()
    )


def test_they_may_be_used_as_images_of_their_own_study(contested_elsewhere, radiologist, visit, network):
    first, second = contested_elsewhere
    assert conflicts.take_theirs(second, radiologist, reason="the scanner numbers its images anew every day") == N
    second.refresh_from_db()
    assert second.chosen_series.n_slices == N
    assert set(first.instances.values_list("state", flat=True)) == {"current"}
    assert outcomes(receive(radiologist, elsewhere(seed=5), visit=visit)) == {"duplicate": N}
    assert outcomes(receive(radiologist, stir_files(), visit=visit)) == {"duplicate": N}


def test_or_be_set_aside(contested_elsewhere, radiologist, visit):
    _, second = contested_elsewhere
    assert conflicts.keep_ours(second, radiologist, reason="sent by mistake") == N
    again = receive(radiologist, elsewhere(seed=5), visit=visit)
    assert outcomes(again) == {"duplicate": N}
    assert "set aside" in again.report[0]["reason"]
    client = Client()
    client.force_login(radiologist)
    assert "Nothing to decide" in client.get(reverse("imaging:conflict", args=[second.pk])).content.decode()


def test_a_conflict_outlives_the_erasure_of_the_other_study(contested_elsewhere, radiologist, network):
    first, second = contested_elsewhere
    first.instances.all().delete()
    client = Client()
    client.force_login(radiologist)
    assert "was erased meanwhile" in client.get(reverse("imaging:conflict", args=[second.pk])).content.decode()
    assert conflicts.take_theirs(second, radiologist, reason="only these are left") == N
