"""People, roles, centres, passwords."""

import pytest
from django.contrib.auth import authenticate
from rest_framework.authtoken.models import Token

from hipapp.accounts import services
from hipapp.accounts.models import AccessEvent, Centre, Membership
from hipapp.accounts.permissions import ALLOWED, Act, can, centres_for, require
from hipapp.core.errors import ConflictError, DomainError, ForbiddenError
from tests.builders.rows import PASSWORD, make_centre, make_user

pytestmark = pytest.mark.django_db


def new_person(administrator, centre, **values):
    return services.create_person(
        administrator,
        **{
            "username": "new",
            "first_name": "N",
            "last_name": "W",
            "email": "",
            "centre": centre,
            "role": "radiologist",
            **values,
        },
    )


def test_every_act_is_allowed_to_somebody():
    assert set(ALLOWED) == set(Act)
    assert all(ALLOWED.values())


@pytest.mark.parametrize("role", ["radiologist", "rheumatologist", "coordinator", "administrator"])
def test_a_role_counts_only_at_its_own_centre(role, centre, other_centre):
    user = make_user(role, centre)
    for act in Act:
        assert can(user, act, centre) == (role in ALLOWED[act])
        assert not can(user, act, other_centre)


def test_identities_are_for_care_roles_and_never_for_coordinators_or_administrators():
    assert {"coordinator", "administrator"}.isdisjoint(ALLOWED[Act.VIEW_IDENTITY])
    assert "administrator" not in ALLOWED[Act.VIEW_PATIENTS]


def test_inactive_people_and_centres_count_for_nothing(centre):
    user = make_user("radiologist", centre)
    centre.is_active = False
    centre.save()
    assert not centres_for(user, Act.VIEW_PATIENTS).exists()
    with pytest.raises(ForbiddenError, match="Ask an administrator"):
        require(user, Act.UPLOAD, centre)


def test_a_new_person_signs_in_with_the_temporary_password(administrator, centre):
    person, password = new_person(administrator, centre)
    assert authenticate(username="new", password=password) == person
    assert person.must_change_password
    assert person.memberships.get().role == "radiologist"


def test_user_names_are_unique_whatever_the_capitals(administrator, centre):
    new_person(administrator, centre)
    with pytest.raises(ConflictError, match="taken"):
        new_person(administrator, centre, username="NEW")


def test_only_an_administrator_of_the_centre_adds_people(radiologist, administrator, centre, other_centre):
    with pytest.raises(ForbiddenError):
        new_person(radiologist, centre)
    with pytest.raises(ForbiddenError):
        new_person(administrator, other_centre)


def test_a_reset_password_ends_tokens_and_must_be_changed(administrator, radiologist):
    Token.objects.create(user=radiologist)
    password = services.reset_password(administrator, radiologist)
    radiologist.refresh_from_db()
    assert radiologist.check_password(password)
    assert radiologist.must_change_password
    assert not Token.objects.filter(user=radiologist).exists()


def test_nobody_resets_a_person_of_another_centre(administrator, other_centre):
    stranger = make_user("radiologist", other_centre)
    with pytest.raises(ForbiddenError):
        services.reset_password(administrator, stranger)
    assert stranger.check_password(PASSWORD)


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [("wrong", "a good long phrase", "old_password"), (PASSWORD, "short", "new_password")],
)
def test_own_password_needs_the_old_one_and_a_good_new_one(radiologist, old, new, field):
    with pytest.raises(DomainError) as error:
        services.change_own_password(radiologist, old=old, new=new)
    assert error.value.field == field
    radiologist.refresh_from_db()
    assert radiologist.check_password(PASSWORD)


def test_a_centre_keeps_one_administrator(administrator, centre):
    membership = administrator.memberships.get()
    with pytest.raises(ConflictError, match="no administrator left"):
        services.take_role(administrator, membership)
    make_user("administrator", centre)
    services.take_role(administrator, membership)
    assert not Membership.objects.filter(pk=membership.pk).exists()


def test_nobody_deactivates_themselves(administrator):
    with pytest.raises(DomainError, match="another administrator"):
        services.set_active(administrator, administrator, False)


def test_a_new_centre_is_administered_by_who_made_it(administrator, radiologist):
    made = services.create_centre(administrator, name="North", code="nor")
    assert made.code == "NOR"
    assert can(administrator, Act.MANAGE, made)
    with pytest.raises(ForbiddenError):
        services.create_centre(radiologist, name="South", code="sou")


def test_what_administrators_do_is_noted_by_ids(administrator, centre):
    person, _ = new_person(administrator, centre)
    event = AccessEvent.objects.get()
    assert (event.user, event.subject_type, event.subject_id) == (administrator, "user", str(person.pk))


def test_history_names_the_actor_and_never_the_password(administrator, centre, client):
    client.force_login(administrator)
    client.post("/accounts/centres/", {"name": "East", "code": "EAS"})
    made = Centre.objects.get(code="EAS")
    event = made.events.latest("pgh_id")
    assert event.pgh_context.metadata["user"] == administrator.pk
    assert not hasattr(administrator.events.latest("pgh_id"), "password")


def test_make_centre_builds_distinct_centres():
    assert make_centre().code != make_centre().code
