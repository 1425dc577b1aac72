"""Making and changing people, roles and centres."""

import secrets

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from rest_framework.authtoken.models import Token

from hipapp.accounts.models import Centre, Membership, Role, User
from hipapp.accounts.permissions import Act, record_access, require
from hipapp.accounts.selectors import managed_centres, managed_people
from hipapp.core.errors import ConflictError, DomainError, ForbiddenError


@transaction.atomic
def create_person(
    actor: User, *, username: str, first_name: str, last_name: str, email: str, centre: Centre, role: str
) -> tuple[User, str]:
    """A person with one role and a temporary password, which is returned once and must be changed at the first sign-in."""
    require(actor, Act.MANAGE, centre)
    if User.objects.filter(username__iexact=username).exists():
        raise ConflictError(f"The user name {username} is taken. Choose another.", code="taken", field="username")
    user = User(username=username, first_name=first_name, last_name=last_name, email=email, must_change_password=True)
    password = _temporary_password()
    user.set_password(password)
    user.full_clean(exclude=["password"])
    user.save()
    Membership.objects.create(user=user, centre=centre, role=Role(role))
    record_access(actor, "create person", "user", user.pk)
    return user, password


@transaction.atomic
def reset_password(actor: User, person: User) -> str:
    """A new temporary password for a person of the administrator's centres; ends their API tokens."""
    _require_manager(actor, person)
    password = _temporary_password()
    person.set_password(password)
    person.must_change_password = True
    person.save(update_fields=["password", "must_change_password"])
    Token.objects.filter(user=person).delete()
    record_access(actor, "reset password", "user", person.pk)
    return password


@transaction.atomic
def change_own_password(user: User, *, old: str, new: str) -> None:
    """Change the password of the person who is signed in."""
    if not user.check_password(old):
        raise DomainError("That is not your present password.", code="wrong_password", field="old_password")
    try:
        validate_password(new, user)
    except ValidationError as error:
        raise DomainError(" ".join(error.messages), code="weak_password", field="new_password") from error
    user.set_password(new)
    user.must_change_password = False
    user.save(update_fields=["password", "must_change_password"])


@transaction.atomic
def set_active(actor: User, person: User, is_active: bool) -> None:
    """Let a person sign in, or no longer. Nobody can lock themselves out."""
    _require_manager(actor, person)
    if person == actor:
        raise DomainError("You can't deactivate yourself. Ask another administrator.", code="self")
    person.is_active = is_active
    person.save(update_fields=["is_active"])
    if not is_active:
        Token.objects.filter(user=person).delete()
    record_access(actor, "activate" if is_active else "deactivate", "user", person.pk)


@transaction.atomic
def give_role(actor: User, person: User, centre: Centre, role: str) -> Membership:
    """Give a person a role at a centre; giving it twice changes nothing."""
    require(actor, Act.MANAGE, centre)
    if not managed_people(actor).filter(pk=person.pk).exists():
        raise ForbiddenError("You don't administer a centre of this person.", code="forbidden")
    membership, created = Membership.objects.get_or_create(user=person, centre=centre, role=Role(role))
    if created:
        record_access(actor, f"give role {role}", "user", person.pk)
    return membership


@transaction.atomic
def take_role(actor: User, membership: Membership) -> None:
    """Take a role away; a centre always keeps one active administrator."""
    require(actor, Act.MANAGE, membership.centre)
    if membership.role == Role.ADMINISTRATOR:
        others = Membership.objects.filter(centre=membership.centre, role=Role.ADMINISTRATOR, user__is_active=True).exclude(
            pk=membership.pk
        )
        if not others.exists():
            raise ConflictError(
                f"{membership.centre} would have no administrator left. Make somebody else one first.", code="last_admin"
            )
    record_access(actor, f"take role {membership.role}", "user", membership.user_id)
    membership.delete()


@transaction.atomic
def create_centre(actor: User, *, name: str, code: str) -> Centre:
    """A new centre, administered by the person who made it."""
    if not managed_centres(actor).exists():
        raise ForbiddenError("Only an administrator can add a centre.", code="forbidden")
    centre = Centre(name=name, code=code.upper())
    centre.full_clean()
    try:
        with transaction.atomic():
            centre.save()
    except IntegrityError as error:
        raise ConflictError(f"There is a centre with the code {centre.code} already.", code="taken", field="code") from error
    Membership.objects.create(user=actor, centre=centre, role=Role.ADMINISTRATOR)
    record_access(actor, "create centre", "centre", centre.pk)
    return centre


@transaction.atomic
def update_centre(actor: User, centre: Centre, *, name: str, is_active: bool) -> Centre:
    """Rename a centre, or (de)activate it. The code stays: study codes begin with it."""
    if not managed_centres(actor).filter(pk=centre.pk).exists():
        raise ForbiddenError("You don't administer this centre.", code="forbidden")
    centre.name, centre.is_active = name, is_active
    centre.full_clean()
    centre.save()
    record_access(actor, "update centre", "centre", centre.pk)
    return centre


def renew_token(user: User) -> str:
    """A fresh API token of the person's own; the old one stops working."""
    Token.objects.filter(user=user).delete()
    return Token.objects.create(user=user).key


def _require_manager(actor: User, person: User) -> None:
    centres = managed_centres(actor)
    elsewhere = person.memberships.exclude(centre__in=centres).exists()
    if elsewhere or not managed_people(actor).filter(pk=person.pk).exists():
        raise ForbiddenError(
            "This person has roles at centres that you don't administer. Take away their role at yours instead.",
            code="forbidden",
        )


def _temporary_password() -> str:
    return "-".join(secrets.token_hex(3) for _ in range(3))
