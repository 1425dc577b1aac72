"""Which DICOM senders may deliver to which centre: kept by the administrators of the centre."""

import re

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from hipapp.accounts.models import Centre, User
from hipapp.accounts.permissions import Act, record_access, require
from hipapp.core.errors import ConflictError, DomainError
from hipapp.imaging.models import Sender

_TITLE = re.compile(r"[\x20-\x5b\x5d-\x7e]{1,16}")  # VR AE: no backslash, no control characters


def save_sender(
    user: User,
    sender: Sender | None,
    *,
    ae_title: str,
    centre: Centre,
    host: str | None = None,
    description: str = "",
    is_active: bool = True,
) -> Sender:
    """A new sender, or a changed one.

    Raises
    ------
    ForbiddenError
        The person does not administer the centre, or the one that the sender belongs to now.
    ConflictError
        Another sender has the AE title.
    """
    require(user, Act.MANAGE, centre)
    if sender is None:
        sender = Sender()
    else:
        require(user, Act.MANAGE, sender.centre)
    title = ae_title.strip()
    if not _TITLE.fullmatch(title):
        raise DomainError("An AE title has 1 to 16 letters, digits or signs, no backslash.", code="bad_title", field="ae_title")
    sender.ae_title, sender.centre, sender.host = title, centre, host or None
    sender.description, sender.is_active = description, is_active
    try:
        sender.full_clean(validate_unique=False, validate_constraints=False)
        with transaction.atomic():
            sender.save()
            record_access(user, "save-sender", "sender", sender.pk)
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise DomainError(messages[0], code="invalid", field=field) from error
    except IntegrityError as error:
        raise ConflictError(
            "Another sender has this AE title already. Titles are unique, so that each study finds its centre.",
            code="taken",
            field="ae_title",
        ) from error
    return sender
