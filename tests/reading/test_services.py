"""Taking down totals: ranges, halves left out, newer reads in place of older ones, withdrawing."""

import pytest

from hipapp.accounts.models import AccessEvent
from hipapp.core.errors import ConflictError, DomainError, ForbiddenError
from hipapp.reading.models import Read
from hipapp.reading.selectors import himriss_by_visit, visible_reads
from hipapp.reading.services import save_totals, withdraw_read
from tests.builders import rows
from tests.followup.builders import add_mri

pytestmark = pytest.mark.django_db
PARTS = {"femoral_bme": 20, "acetabular_bme": 10, "effusion": 5}


def test_total_is_the_sum_of_the_three(radiologist, visit):
    read = save_totals(radiologist, visit, "right", **PARTS)
    assert (read.total, read.method, read.reader, read.is_current) == (35, "totals", radiologist, True)
    assert AccessEvent.objects.get(user=radiologist).subject_id == str(visit.pk)


@pytest.mark.parametrize(("field", "highest"), [("femoral_bme", 65), ("acetabular_bme", 35), ("effusion", 30)])
def test_ranges(radiologist, visit, field, highest):
    """Maksymowych WP et al. ACR 2012, abstract 1033: 65 + 35 + 30 = 130."""
    assert getattr(save_totals(radiologist, visit, "right", **{**PARTS, field: highest}), field) == highest
    assert getattr(save_totals(radiologist, visit, "right", **{**PARTS, field: 0}), field) == 0
    for wrong in (highest + 1, -1):
        with pytest.raises(DomainError) as raised:
            save_totals(radiologist, visit, "right", **{**PARTS, field: wrong})
        assert (raised.value.field, raised.value.code) == (field, "out_of_range")


def test_highest_total_is_130(radiologist, visit):
    assert save_totals(radiologist, visit, "left", femoral_bme=65, acetabular_bme=35, effusion=30).total == 130


@pytest.mark.parametrize("field", PARTS)
def test_a_missing_sub_score_is_refused(radiologist, visit, field):
    with pytest.raises(DomainError) as raised:
        save_totals(radiologist, visit, "right", **{**PARTS, field: None})
    assert raised.value.field == field
    assert not Read.objects.exists()


def test_not_assessable_is_not_zero(radiologist, visit):
    assert save_totals(radiologist, visit, "right", is_assessable=False).total is None
    found = himriss_by_visit([visit.pk])[visit.pk]["right"]
    assert (found.is_assessable, found.total, found.n_readers) == (False, None, 0)
    with pytest.raises(DomainError):
        save_totals(radiologist, visit, "right", is_assessable=False, **PARTS)


def test_a_newer_read_takes_the_place_of_the_older_which_stays(radiologist, visit):
    old = save_totals(radiologist, visit, "right", **PARTS)
    new = save_totals(radiologist, visit, "right", **{**PARTS, "effusion": 9})
    old.refresh_from_db()
    assert (old.is_current, new.is_current, old.total, new.total) == (False, True, 35, 39)
    assert himriss_by_visit([visit.pk])[visit.pk]["right"].total == 39


def test_reads_of_two_readers_and_of_two_hips_stand_side_by_side(centre, radiologist, visit):
    other = rows.make_user("radiologist", centre)
    save_totals(radiologist, visit, "right", **PARTS)
    save_totals(radiologist, visit, "left", **PARTS)
    save_totals(other, visit, "right", femoral_bme=30, acetabular_bme=11, effusion=6)
    assert Read.objects.filter(is_current=True).count() == 3
    mean = himriss_by_visit([visit.pk])[visit.pk]["right"]
    assert (mean.femoral_bme, mean.acetabular_bme, mean.effusion, mean.total, mean.n_readers) == (25, 10.5, 5.5, 41, 2)


def test_reads_by_region_are_never_mixed_with_totals(centre, radiologist, visit):
    save_totals(radiologist, visit, "right", **PARTS)
    Read.objects.create(
        visit=visit, side="right", reader=rows.make_user("radiologist", centre), method="regions", total=60,
        femoral_bme=40, acetabular_bme=10, effusion=10,
    )  # fmt: skip
    found = himriss_by_visit([visit.pk])[visit.pk]["right"]
    assert (found.total, found.method, found.n_readers) == (60, "regions", 1)


def test_withdrawn_read_no_longer_counts(radiologist, visit):
    read = save_totals(radiologist, visit, "right", **PARTS)
    withdraw_read(radiologist, read)
    assert himriss_by_visit([visit.pk]) == {}
    assert Read.objects.filter(pk=read.pk, total=35, is_current=False).exists()
    with pytest.raises(ConflictError):
        withdraw_read(radiologist, read)


def test_nobody_withdraws_another_readers_read(centre, radiologist, visit):
    read = save_totals(radiologist, visit, "right", **PARTS)
    with pytest.raises(ForbiddenError):
        withdraw_read(rows.make_user("radiologist", centre), read)
    read.refresh_from_db()
    assert read.is_current


@pytest.mark.parametrize("role", ["rheumatologist", "coordinator", "administrator"])
def test_only_radiologists_read(centre, visit, role):
    with pytest.raises(ForbiddenError):
        save_totals(rows.make_user(role, centre), visit, "right", **PARTS)


def test_radiologist_of_another_centre_may_not_read(other_centre, visit):
    with pytest.raises(ForbiddenError):
        save_totals(rows.make_user("radiologist", other_centre), visit, "right", **PARTS)


def test_study_has_to_belong_to_the_visit(radiologist, patient, visit):
    elsewhere = rows.make_visit(patient, visit.visit_on.replace(year=2025))
    study = add_mri(elsewhere, 1.0, 1.0)
    with pytest.raises(DomainError) as raised:
        save_totals(radiologist, visit, "right", study=study, **PARTS)
    assert raised.value.field == "study"
    assert save_totals(radiologist, elsewhere, "right", study=study, **PARTS).study == study


def test_a_reader_sees_the_own_reads_and_others_see_all(centre, radiologist, rheumatologist, coordinator, administrator, visit):
    other = rows.make_user("radiologist", centre)
    mine, theirs = (save_totals(reader, visit, "right", **PARTS) for reader in (radiologist, other))
    assert list(visible_reads(radiologist)) == [mine]
    assert list(visible_reads(other)) == [theirs]
    assert set(visible_reads(rheumatologist)) == set(visible_reads(coordinator)) == {mine, theirs}
    assert not visible_reads(administrator).exists()


def test_a_second_role_does_not_unblind_a_reader(centre, radiologist, visit):
    save_totals(rows.make_user("radiologist", centre), visit, "right", **PARTS)
    radiologist.memberships.create(centre=centre, role="rheumatologist")
    assert not visible_reads(radiologist).exists()


def test_a_reader_of_one_centre_sees_all_reads_where_another_role_is_held(radiologist, other_centre):
    radiologist.memberships.create(centre=other_centre, role="rheumatologist")
    visit = rows.make_visit(rows.make_patient(other_centre))
    read = save_totals(rows.make_user("radiologist", other_centre), visit, "right", **PARTS)
    assert list(visible_reads(radiologist)) == [read]
