"""The cohort is entered and delivered through the same services as real data; a second run adds nothing."""

import pytest

from hipapp.accounts.models import Role, User
from hipapp.clinic.models import Assessment, HipExamination, Patient, Visit
from hipapp.demo import build
from hipapp.demo.cohort import draw_cohort
from hipapp.demo.people import PEOPLE, api_token, make_people, sign_ins
from hipapp.demo.phantoms import MriOrder, make_files
from hipapp.imaging.models import Upload
from hipapp.reading.models import Read

pytestmark = pytest.mark.django_db


@pytest.fixture
def centre():
    return make_people()


@pytest.fixture
def plans():
    return draw_cohort(n_patients=2, n_with_mri=1)


def test_every_role_has_a_sign_in_and_changed_passwords_are_not_shown(centre):
    assert {role for role, _, _ in sign_ins()} == {str(role.label) for role in Role}
    user = User.objects.get(username="radiologist")
    user.set_password("another long one")
    user.save()
    assert PEOPLE["radiologist"][3] not in str(sign_ins())
    assert api_token(Role.RADIOLOGIST) == api_token(Role.RADIOLOGIST)


def test_patients_are_entered_once_with_computed_indices(centre, plans):
    list(build.build_patients(plans, centre))
    counts = [model.objects.count() for model in (Patient, Visit, Assessment, HipExamination, Read)]
    n_visits = sum(len(plan.visits) for plan in plans)
    assert counts == [2, n_visits, n_visits, 2 * n_visits, 2 * n_visits]
    assert Patient.objects.filter(is_synthetic=True).count() == 2
    assert not Assessment.objects.filter(basdai=None).exists()
    assert not HipExamination.objects.filter(harris=None).exists()
    list(build.build_patients(plans, centre))
    assert [model.objects.count() for model in (Patient, Visit, Assessment, HipExamination, Read)] == counts


def test_an_mri_is_uploaded_to_its_visit_and_ordered_once(centre, plans, tmp_path, monkeypatch):
    list(build.build_patients(plans, centre))
    orders = build.mri_orders(plans, centre)
    assert len(orders) == 2
    files = tmp_path / "files" / "dicom"
    files.mkdir(parents=True)
    (files / "IM0001.dcm").write_bytes(b"not read in this test")
    job = build.deliver(User.objects.get(username="radiologist"), Visit.objects.get(pk=orders[0].visit_pk), tmp_path / "files")
    assert job.task == "imaging.receive"
    assert Upload.objects.get().visit_id == orders[0].visit_pk
    assert [order.visit_pk for order in build.mri_orders(plans, centre)] == [orders[1].visit_pk]
    assert build.open_jobs(centre) == 1
    assert build.count_scored(centre) == (0, 1)


@pytest.mark.slow
def test_the_files_of_an_order_carry_its_made_up_identity(centre, plans, tmp_path):
    import pydicom

    list(build.build_patients(plans, centre))
    order: MriOrder = build.mri_orders(plans, centre)[0]
    make_files(order, tmp_path / "out")
    dataset = pydicom.dcmread(next((tmp_path / "out").rglob("*.dcm")), stop_before_pixels=True)
    assert str(dataset.PatientName).startswith("SYNTHETIC")
    assert dataset.StudyDate == order.identity.study_date
