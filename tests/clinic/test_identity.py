"""Identities: unreadable in the database, one per record number and centre, gone with their key."""

from datetime import date

import pytest
from django.db import connection

from hipapp.clinic import services
from hipapp.clinic.identity import Identity, open_identity
from hipapp.clinic.models import PatientIdentity
from hipapp.clinic.selectors import identity_for, names_for, search_patients
from hipapp.core.errors import ConflictError, DomainError, ForbiddenError
from tests.builders import rows

pytestmark = pytest.mark.django_db
WHO = Identity("Planted Name", "MRN-4711", date(1995, 5, 6))


def test_no_table_holds_it_in_clear(rheumatologist, patient):
    who = Identity("Planted Name", "MRN-QZXKW", date(1995, 5, 6))  # no digits alone: a time's microseconds may be the same
    services.set_identity(rheumatologist, patient, who)
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT CAST(row AS text) FROM "{table}" row')
            text = "".join(row[0] for row in cursor.fetchall()).lower()
            for secret in ("Planted", "QZXKW", "1995-05-06"):
                assert secret.lower() not in text, table
                assert not any(form.encode().hex() in text for form in (secret, secret.lower())), table
    assert open_identity(patient) == who


def test_record_number_is_found_again_whatever_its_case_and_spaces(rheumatologist, patient):
    services.set_identity(rheumatologist, patient, WHO)
    assert list(search_patients(rheumatologist, "mrn -4711").patients) == [patient]


def test_record_number_is_taken_once_per_centre(rheumatologist, patient, centre, other_centre):
    services.set_identity(rheumatologist, patient, WHO)
    with pytest.raises(ConflictError) as caught:
        services.set_identity(rheumatologist, rows.make_patient(centre), WHO)
    assert caught.value.field == "record_number"
    elsewhere = rows.make_patient(other_centre)
    services.set_identity(rows.make_user("radiologist", other_centre), elsewhere, WHO)
    assert open_identity(elsewhere) == WHO


def test_empty_identity_removes_what_was_known(rheumatologist, patient):
    services.set_identity(rheumatologist, patient, WHO)
    services.set_identity(rheumatologist, patient, Identity())
    assert open_identity(patient) is None


def test_without_its_key_it_is_gone(rheumatologist, patient):
    services.set_identity(rheumatologist, patient, WHO)
    patient.data_key.delete()
    patient.refresh_from_db()
    assert PatientIdentity.objects.filter(patient=patient).exists()
    assert open_identity(patient) is None


@pytest.mark.parametrize(
    ("identity", "field"),
    [
        (Identity("x" * 121), "name"),
        (Identity("a\u0000b"), "name"),
        (Identity("a", "1" * 41), "record_number"),
        (Identity("a", "", date(2999, 1, 1)), "birth_on"),
        (Identity("a", "", date(1994, 1, 1)), "birth_on"),
    ],
)
def test_refuses_what_cannot_be(rheumatologist, patient, identity, field):
    with pytest.raises(DomainError) as caught:
        services.set_identity(rheumatologist, patient, identity)
    assert caught.value.field == field
    assert not PatientIdentity.objects.exists()


def test_only_care_roles_of_the_centre_read_and_write_it(rheumatologist, patient, coordinator, other_centre):
    services.set_identity(rheumatologist, patient, WHO)
    stranger = rows.make_user("rheumatologist", other_centre)
    for user in (coordinator, stranger):
        assert identity_for(user, patient) is None
        assert names_for(user, [patient]) == {}
        assert not search_patients(user, "Planted").patients.exists()
        with pytest.raises(ForbiddenError):
            services.set_identity(user, patient, Identity("Other"))
    assert identity_for(rheumatologist, patient) == WHO


def test_name_search_takes_all_words_in_any_order(rheumatologist, patient, centre):
    services.set_identity(rheumatologist, patient, WHO)
    services.set_identity(rheumatologist, rows.make_patient(centre), Identity("Planted Other"))
    assert list(search_patients(rheumatologist, "name plan").patients) == [patient]
    assert search_patients(rheumatologist, "planted").patients.count() == 2


def test_name_search_stops_where_there_are_too_many(rheumatologist, patient, monkeypatch):
    services.set_identity(rheumatologist, patient, WHO)
    monkeypatch.setattr("hipapp.clinic.selectors.NAME_SEARCH_LIMIT", 0)
    found = search_patients(rheumatologist, "Planted")
    assert not found.patients.exists()
    assert "exact record number" in found.remark
    assert list(search_patients(rheumatologist, "MRN-4711").patients) == [patient]
