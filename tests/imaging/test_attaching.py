"""Held, attached, confirmed, moved, detached: a person decides where files and patient differ."""

from datetime import date

import pytest

from hipapp.accounts.models import AccessEvent
from hipapp.clinic import identity
from hipapp.core.errors import ConflictError, DomainError, ForbiddenError
from hipapp.imaging.models import Study, StudyIdentity
from hipapp.imaging.services import studies
from hipapp.imaging.services.studies import IdentityMismatchError
from hipapp.jobs.models import Job
from tests.builders import rows
from tests.imaging.studies import BIRTH_ON, T1, outcomes, receive, stir_files
from tests.imaging.test_receiving import stored_bytes

pytestmark = pytest.mark.django_db


@pytest.fixture
def named(patient):
    """The patient under the name that the files have."""
    identity.store(patient, identity.Identity("Ottokar Plantedname", "REC-778899", BIRTH_ON))
    return patient


@pytest.fixture
def stranger(centre):
    """Another patient of the centre."""
    other = rows.make_patient(centre, sex="F", birth_year=1950)
    identity.store(other, identity.Identity("Adele Other", "R-1", date(1950, 1, 1)))
    return other


def n_orders() -> int:
    return Job.objects.filter(task="imaging.segment_series").count()


def test_the_right_patient_is_attached_and_the_identity_dropped(radiologist, named, visit):
    receive(radiologist, stir_files(), visit=visit)
    assert Study.objects.get().visit == visit
    assert not StudyIdentity.objects.exists()


def test_another_person_stops_the_study_and_names_fields_only(radiologist, stranger):
    target = rows.make_visit(stranger)
    upload = receive(radiologist, stir_files(), visit=target)
    study = Study.objects.get()
    assert (study.state, study.visit, study.intended_visit, n_orders()) == ("held", None, target, 0)
    assert study.held_reasons == ["name differs", "birth date differs", "sex differs"]
    assert set(outcomes(upload)) == {"held"}
    assert StudyIdentity.objects.filter(study=study).exists()


def test_the_birth_year_counts_where_no_birth_date_is_known(radiologist, centre):
    other = rows.make_patient(centre, birth_year=1960)
    receive(radiologist, stir_files(), visit=rows.make_visit(other))
    assert Study.objects.get().held_reasons == ["birth year differs"]


def test_files_of_two_persons_in_one_study_are_held(radiologist):
    receive(radiologist, [*stir_files()[:5], *stir_files(PatientName="Another^Person")[5:]])
    assert Study.objects.get().held_reasons == ["the files name different persons"]


def test_text_burned_into_the_picture_is_held(radiologist, visit):
    receive(radiologist, stir_files(BurnedInAnnotation="YES"), visit=visit)
    study = Study.objects.get()
    assert study.state == "held"
    assert "burned into its pixels" in study.held_reasons[0]


def test_a_held_study_is_attached_to_the_right_patient_without_more_ado(radiologist, named, visit, stranger):
    receive(radiologist, stir_files(), visit=rows.make_visit(stranger))
    study = studies.attach_study(Study.objects.get(), radiologist, visit=visit)
    assert (study.state, study.visit, study.held_reasons, study.intended_visit, n_orders()) == ("ready", visit, [], None, 1)
    assert not StudyIdentity.objects.exists()


def test_an_unassigned_study_is_compared_again_and_confirmed_with_a_reason_only(radiologist, stranger):
    receive(radiologist, stir_files())
    study, target = Study.objects.get(), rows.make_visit(stranger)
    with pytest.raises(IdentityMismatchError, match="name differs, birth date differs, sex differs") as caught:
        studies.attach_study(study, radiologist, visit=target)
    assert "Plantedname" not in str(caught.value)
    with pytest.raises(DomainError, match="in a few words"):
        studies.attach_study(study, radiologist, visit=target, is_confirmed=True, reason=" ")
    study.refresh_from_db()
    assert study.visit is None
    done = studies.attach_study(study, radiologist, visit=target, is_confirmed=True, reason="mixed up at the scanner")
    assert (done.visit, done.decision, done.decided_by) == (target, "mixed up at the scanner", radiologist)
    assert AccessEvent.objects.filter(user=radiologist, action="confirm-identity", subject_id=str(study.pk)).count() == 1


def test_a_coordinator_attaches_but_confirms_nothing(coordinator, named, visit, stranger):
    receive(coordinator, stir_files())
    study = Study.objects.get()
    with pytest.raises(ForbiddenError):
        studies.attach_study(study, coordinator, visit=rows.make_visit(stranger), is_confirmed=True, reason="I say so")
    assert studies.attach_study(study, coordinator, visit=visit).visit == visit


def test_attaching_to_a_patient_makes_the_visit_of_the_day(radiologist, named):
    receive(radiologist, stir_files())
    assert studies.attach_study(Study.objects.get(), radiologist, patient=named).visit.visit_on == date(2026, 3, 2)


def test_a_visit_of_another_centre_is_no_target(radiologist, other_centre):
    receive(radiologist, stir_files())
    foreign = rows.make_visit(rows.make_patient(other_centre))
    with pytest.raises(ConflictError, match="another centre"):
        studies.attach_study(Study.objects.get(), radiologist, visit=foreign)


def test_moving_to_another_patient_needs_a_reason_and_keeps_it(radiologist, named, visit, stranger):
    receive(radiologist, stir_files(), visit=visit)
    study, target = Study.objects.get(), rows.make_visit(stranger)
    with pytest.raises(DomainError, match="moved to another patient"):
        studies.move_study(study, radiologist, visit=target)
    moved = studies.move_study(study, radiologist, visit=target, reason="wrong patient chosen")
    assert (moved.visit, moved.decision) == (target, "wrong patient chosen")
    later = rows.make_visit(stranger, date(2026, 5, 4))
    assert studies.move_study(study, radiologist, visit=later).visit == later


def test_detaching_puts_it_into_the_unassigned_list(radiologist, visit):
    receive(radiologist, stir_files(), visit=visit)
    study = studies.detach_study(Study.objects.get(), radiologist, reason="wrong patient")
    assert (study.visit, study.state) == (None, "ready")
    with pytest.raises(ConflictError):
        studies.detach_study(study, radiologist, reason="again")


def test_releasing_a_held_study_has_it_scored(radiologist, stranger):
    receive(radiologist, stir_files(), visit=rows.make_visit(stranger))
    study = studies.release_study(Study.objects.get(), radiologist, reason="anonymous research scan")
    assert (study.state, study.visit, n_orders()) == ("ready", None, 1)


def test_later_files_of_another_person_are_not_added_to_an_attached_study(radiologist, named, visit):
    receive(radiologist, stir_files()[:5], visit=visit)
    upload = receive(radiologist, stir_files(PatientName="Another^Person")[5:], visit=visit)
    assert outcomes(upload) == {"refused": 4}
    assert "name differs" in upload.report[0]["reason"]
    assert Study.objects.get().instances.count() == 5


def test_later_files_of_another_person_are_not_added_to_a_waiting_study_either_and_leave_nothing(
    radiologist, django_capture_on_commit_callbacks
):
    receive(radiologist, stir_files()[:5])
    kept = stored_bytes()
    with django_capture_on_commit_callbacks(execute=True):
        upload = receive(radiologist, stir_files(PatientName="Another^Person", seed=3)[5:])
    assert outcomes(upload) == {"refused": 4}
    assert stored_bytes() == kept


def test_later_files_with_burned_in_text_hold_the_study(radiologist, visit):
    receive(radiologist, stir_files()[:5], visit=visit)
    upload = receive(radiologist, stir_files(BurnedInAnnotation="YES")[5:], visit=visit)
    assert outcomes(upload) == {"held": 4}
    assert "burned into its pixels" in upload.report[0]["reason"]
    assert Study.objects.get().state == Study.State.HELD


def test_a_study_that_is_attached_elsewhere_is_left_there_with_a_note(radiologist, named, visit):
    receive(radiologist, stir_files()[:6], visit=visit)
    upload = receive(radiologist, stir_files(), visit=rows.make_visit(named, date(2026, 6, 1)))
    assert Study.objects.get().visit == visit
    assert upload.report[-1]["outcome"] == "note"
    assert "left there" in upload.report[-1]["reason"]


def test_another_series_is_scored_by_a_radiologist_only_and_the_study_says_so(radiologist, rheumatologist, visit, network):
    receive(radiologist, stir_files(**T1), visit=visit)
    study = Study.objects.get()
    series = study.series.get()
    with pytest.raises(ForbiddenError):
        studies.choose_series(study, rheumatologist, series)
    study = studies.choose_series(study, radiologist, series)
    assert (study.chosen_series, study.is_sequence_overridden, study.refused_code, n_orders()) == (series, True, "", 1)


def test_what_a_person_chose_stays_when_more_images_come(radiologist, visit, network):
    first, second = stir_files(series="1.2.3.4.5"), stir_files(series="1.2.3.4.6", shape=(7, 64, 80), seed=2)
    receive(radiologist, [*first[:8], *second[:6]], visit=visit)
    study = Study.objects.get()
    assert (study.chosen_series.n_slices, study.series_chosen_by) == (8, None)
    other = study.series.get(n_slices=6)
    studies.choose_series(study, radiologist, other)
    receive(radiologist, first, visit=visit)
    study.refresh_from_db()
    assert (study.chosen_series, study.series_chosen_by, study.is_sequence_overridden) == (other, radiologist, False)
    receive(radiologist, second, visit=visit)  # its own stack grows
    study.refresh_from_db()
    assert (study.chosen_series.series_uid, study.chosen_series.n_slices) == (other.series_uid, 7)
    assert study.series_chosen_by == radiologist
