"""The patient page: who sees what of whom, empty states, a fixed number of queries."""

import re
from datetime import date, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from hipapp.accounts.models import AccessEvent
from hipapp.clinic import services as clinic
from hipapp.clinic.identity import Identity
from hipapp.followup.detectable import himriss_sdc
from tests.builders import rows
from tests.followup.builders import add_mri, add_read, add_visit

pytestmark = pytest.mark.django_db


def page(client, user, patient):
    client.force_login(user)
    return client.get(reverse("followup:patient", args=[patient.pk]))


def test_patient_of_another_centre_is_absent(client, rheumatologist, other_centre):
    assert page(client, rheumatologist, rows.make_patient(other_centre)).status_code == 404


def test_administrator_sees_no_patient(client, administrator, patient):
    assert page(client, administrator, patient).status_code == 404


def test_name_is_shown_to_care_roles_only(client, rheumatologist, radiologist, coordinator, patient):
    clinic.set_identity(rheumatologist, patient, Identity("Planted, Name", "R-77123", date(1995, 5, 6)))
    for user, is_shown in ((rheumatologist, True), (radiologist, True), (coordinator, False)):
        body = page(client, user, patient).content
        assert (b"Planted" in body) is is_shown
        assert (b"R-77123" in body) is is_shown
        assert (b"1995-05-06" in body) is is_shown


def test_look_at_a_patient_is_recorded(client, coordinator, patient):
    page(client, coordinator, patient)
    event = AccessEvent.objects.get(user=coordinator)
    assert (event.action, event.subject_type, event.subject_id) == ("view", "patient", str(patient.pk))


def test_patient_without_visits_offers_the_first_one(client, rheumatologist, radiologist, patient):
    body = page(client, rheumatologist, patient).content.decode()
    assert "Enter the first visit" in body
    assert "Upload the first MRI" in body
    assert "plotly.js" not in body
    assert "Enter the first visit" not in page(client, radiologist, patient).content.decode()


def test_one_visit_has_tiles_and_no_change(client, rheumatologist, patient):
    add_visit(patient, date(2026, 1, 5), rheumatologist, level=4)
    body = page(client, rheumatologist, patient).content.decode()
    assert "One visit so far" in body
    assert "timeline-figure" in body
    assert "No MRI at this visit" in body


def test_two_visits_are_compared(client, rheumatologist, radiologist, patient):
    for day, level, score in ((date(2026, 1, 5), 7, 1.9), (date(2026, 3, 2), 2, 0.8)):
        visit = add_visit(patient, day, rheumatologist, level=level)
        add_mri(visit, score, 0.3, reviewer=radiologist)
    body = page(client, rheumatologist, patient).content.decode()
    assert "Since 2026-01-05 (8 weeks)" in body
    assert "BASDAI 7.0 → 2.0 (−5.0, improvement ≥ 1.1 reached, BASDAI50 reached)" in body
    assert "UNet-score R 1.90 → 0.80 (−1.10, no threshold known)" in body
    assert "Research use only · model unet 1" in body
    assert ">unreviewed<" not in body


def test_unreviewed_and_mixed_model_versions_are_said(client, rheumatologist, patient):
    for day, version in ((date(2026, 1, 5), "1"), (date(2026, 3, 2), "2")):
        add_mri(add_visit(patient, day), 1.0, 0.5, version=version)
    body = page(client, rheumatologist, patient).content.decode()
    assert "different model versions (unet 1, unet 2)" in body
    assert "not comparable: unet 1, then unet 2" in body
    assert "The UNet-score of this visit is not reviewed yet." in body


def test_missing_values_have_their_reason(client, rheumatologist, patient):
    visit = add_visit(patient, date(2026, 1, 5), rheumatologist, level=4, crp_value=None, crp_unit=None)
    add_mri(visit, 1.0, None)
    body = page(client, rheumatologist, patient).content.decode()
    for reason in ("CRP was not measured", "Items or CRP are missing", "The MRI is not scored yet", "This hip was not examined"):
        assert reason in body


def test_synthetic_patient_is_called_synthetic(client, rheumatologist, centre):
    patient = rows.make_patient(centre, is_synthetic=True)
    assert b'class="synthetic"' in page(client, rheumatologist, patient).content


def test_reader_never_gets_another_readers_read(client, centre, radiologist, rheumatologist, patient):
    visit = add_visit(patient, date(2026, 1, 5))
    other = rows.make_user("radiologist", centre)
    add_read(visit, other, "right", 57)
    add_read(visit, radiologist, "right", 13)
    own, mean = (page(client, user, patient).content.decode() for user in (radiologist, rheumatologist))
    assert "HIMRISS R 13" in own
    assert "HIMRISS R 35" in mean  # the mean of 57 and 13
    planted = re.compile(r">\s*57\s*<|HIMRISS R 57")
    assert planted.search(page(client, other, patient).content.decode())
    assert not planted.search(own)
    assert not planted.search(mean)
    assert own.count("HIMRISS read ") == 1


def test_history_names_people_and_rows_by_id(client, rheumatologist, patient):
    client.force_login(rheumatologist)
    client.post(reverse("clinic:patient-edit", args=[patient.pk]), {"study_code": patient.study_code, "sex": "F"})
    body = client.get(reverse("followup:patient", args=[patient.pk])).content.decode()
    assert f"person {rheumatologist.pk}" in body
    assert f"patient {patient.pk} changed" in body


def test_number_of_queries_does_not_grow_with_visits(client, rheumatologist, radiologist, centre):
    counts = []
    himriss_sdc(centre)  # kept for ten minutes
    for n_visits in (3, 30):
        patient = rows.make_patient(centre)
        for number in range(n_visits):
            visit = add_visit(patient, date(2024, 1, 1) + timedelta(weeks=number), rheumatologist, level=3)
            add_mri(visit, 1.0, 0.5, reviewer=radiologist)
            add_read(visit, radiologist, "right", 10)
        client.force_login(rheumatologist)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(reverse("followup:patient", args=[patient.pk])).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_sdc_comes_from_the_double_reads_of_the_centre(centre, radiologist):
    """Golden numbers of domain.md §3.2: SD of differences of change 2.2208, SDC 3.0778 for one reader, 2.1764 for two."""
    a0, b0 = (12, 30, 8, 45, 22, 15, 60, 5, 18, 33, 27, 40), (14, 27, 9, 48, 20, 17, 55, 6, 21, 30, 29, 38)
    a1, b1 = (10, 18, 8, 30, 20, 10, 41, 4, 15, 25, 28, 26), (11, 17, 7, 35, 17, 13, 40, 6, 16, 21, 27, 27)
    other = rows.make_user("radiologist", centre)
    for values in zip(a0, b0, a1, b1, strict=True):
        patient = rows.make_patient(centre)
        for number, day in enumerate((date(2026, 1, 5), date(2026, 3, 2))):
            visit = add_visit(patient, day)
            add_read(visit, radiologist, "right", values[2 * number])
            add_read(visit, other, "right", values[2 * number + 1])
    found = himriss_sdc(centre)
    assert found[1] == pytest.approx(3.0778, abs=1e-4)
    assert found[2] == pytest.approx(2.1764, abs=1e-4)


def test_few_double_reads_give_no_sdc(centre, visit, radiologist):
    add_read(visit, radiologist, "right", 10)
    assert himriss_sdc(centre) == {}


def test_studies_that_wait_for_this_patient_are_listed(client, radiologist, patient, visit):
    from hipapp.imaging.models import Study

    other = rows.make_patient(patient.centre)
    held = Study.objects.create(
        centre=patient.centre, study_uid="2.25.1", state="held", held_reasons=["birth date differs"], intended_visit=visit
    )
    loose = Study.objects.create(centre=patient.centre, study_uid="2.25.2", intended_patient=patient)
    foreign = Study.objects.create(centre=patient.centre, study_uid="2.25.3", state="held", intended_patient=other)
    client.force_login(radiologist)
    page = client.get(f"/patients/{patient.pk}/").content.decode()
    assert f"/studies/{held.pk}/" in page
    assert "Held: birth date differs" in page
    assert f"/studies/{loose.pk}/attach/" in page
    assert str(foreign.pk) not in page
    assert "No MRI yet" not in page
