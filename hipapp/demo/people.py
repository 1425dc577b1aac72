"""The demo's centre, its people with fixed sign-ins, and their API tokens. For a server on 127.0.0.1 only."""

from django.db import transaction
from rest_framework.authtoken.models import Token

from hipapp.accounts.models import Centre, Membership, Role, User

CENTRE_NAME, CENTRE_CODE = "Synthetic demo centre", "SYN"
# user name → (first name, last name, role, password)
PEOPLE = {
    "radiologist": ("Rada", "Demo", Role.RADIOLOGIST, "look-at-hips-1"),
    "rheumatologist": ("Rhea", "Demo", Role.RHEUMATOLOGIST, "see-patients-2"),
    "coordinator": ("Cora", "Demo", Role.COORDINATOR, "count-cohorts-3"),
    "administrator": ("Ada", "Demo", Role.ADMINISTRATOR, "keep-accounts-4"),
}


@transaction.atomic
def make_people() -> Centre:
    """The centre and one person a role; those that exist stay as they are."""
    centre, _ = Centre.objects.get_or_create(code=CENTRE_CODE, defaults={"name": CENTRE_NAME})
    for username, (first_name, last_name, role, password) in PEOPLE.items():
        user, created = User.objects.get_or_create(username=username, defaults={"first_name": first_name, "last_name": last_name})
        if created:
            user.set_password(password)
            user.save(update_fields=["password"])
        Membership.objects.get_or_create(user=user, centre=centre, role=role)
    return centre


def person(role: Role) -> User:
    """The demo's person of a role."""
    return User.objects.get(username=role.value)


def sign_ins() -> list[tuple[str, str, str]]:
    """(role, user name, password) of each person whose password is still the demo's, else a note in its place."""
    rows = []
    for username, (_, _, role, password) in PEOPLE.items():
        is_unchanged = User.objects.get(username=username).check_password(password)
        rows.append((role.label, username, password if is_unchanged else "(as you changed it)"))
    return rows


def api_token(role: Role) -> str:
    """The API token of the demo's person of a role; the same at each start."""
    return Token.objects.get_or_create(user=person(role))[0].key
