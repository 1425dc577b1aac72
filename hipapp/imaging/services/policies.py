"""A centre's decisions about its studies: the acquisition it expects, originals, second persons. Its administrators make them."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from hipapp.accounts.models import Centre, User
from hipapp.accounts.permissions import Act, record_access, require
from hipapp.imaging.models import ImagingPolicy
from hipapp.imaging.protocol import clean_template


def save_policy(
    user: User,
    centre: Centre,
    *,
    protocol: Mapping[str, Mapping[str, Any]],
    keeps_originals: bool,
    needs_second_person: bool,
) -> ImagingPolicy:
    """Set the whole policy of a centre; items of the protocol that are not named are the article's.

    What is stored already is not touched: a study is compared with the new protocol when it is looked at, and refused or
    scored by it when its score is ordered again.

    Raises
    ------
    ForbiddenError
        The person doesn't administer the centre.
    DomainError
        A bound that can't be; `field` is `KEY-low` or `KEY-high`.
    """
    require(user, Act.MANAGE, centre)
    values = {
        "protocol": clean_template(protocol),
        "keeps_originals": keeps_originals,
        "needs_second_person": needs_second_person,
    }
    with transaction.atomic():
        policy, _ = ImagingPolicy.objects.update_or_create(centre=centre, defaults=values)
        record_access(user, "imaging-policy", "centre", centre.pk)
    return policy
