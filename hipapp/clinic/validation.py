"""What a clinical row has to satisfy before it is written, said in words that name the field."""

import re
from collections.abc import Collection, Mapping
from datetime import date, timedelta
from typing import Any, cast

from django.core.exceptions import ValidationError
from django.db.models import DecimalField, Field, Model
from django.utils import timezone

from hipapp.core.errors import DomainError

OLDEST = date(1900, 1, 1)
PLANNED_AHEAD = timedelta(days=2 * 366)


def fill(row: Model, values: Mapping[str, Any], allowed: Collection[str]) -> None:
    """Set fields and check each against its model field.

    Raises
    ------
    DomainError
        For a field that may not be set, or the first value that its field refuses.
    """
    for name, value in values.items():
        if name not in allowed:
            raise DomainError(f"There is no field {name!r} to enter here.", code="unknown_field", field=name)
        field = cast("Field", row._meta.get_field(name))
        try:
            setattr(row, name, field.clean(_plain(value, field), row))
        except ValidationError as error:
            raise DomainError(" ".join(error.messages), code="invalid", field=name) from error


def _plain(value: Any, field: Field) -> Any:
    """Text without surrounding space; missing text as the empty string, as the columns keep it."""
    if value is None and not field.null:
        return ""
    if isinstance(value, str):
        if "\x00" in value:
            raise DomainError("This contains a character that can't be stored.", code="invalid", field=field.name)
        return value.strip()
    if isinstance(value, float) and isinstance(field, DecimalField):
        return repr(value)  # the digits as written; Django would pad them to the width of the column
    return value


def check_study_code(code: str, centre_code: str) -> str:
    """The code in capitals; it begins with the centre's code, so that it can collide with no other centre's."""
    code = code.strip().upper()
    prefix = f"{centre_code.upper()}-"
    if not re.fullmatch(re.escape(prefix) + r"[A-Z0-9](?:[A-Z0-9-]*[A-Z0-9])?", code) or len(code) > 20:
        raise DomainError(
            f"A study code of this centre is written {prefix}0143: {prefix} and then letters, digits or hyphens, "
            "at most 20 characters.",
            code="study_code_form",
            field="study_code",
        )
    return code


def check_visit_date(visit_on: date, birth_year: int | None) -> None:
    """A visit lies in the patient's life and not more than two years ahead."""
    if visit_on < OLDEST or (birth_year is not None and visit_on.year < birth_year):
        raise DomainError("The visit is before the patient's birth.", code="too_early", field="visit_on")
    if visit_on > timezone.localdate() + PLANNED_AHEAD:
        raise DomainError("The visit is more than two years ahead.", code="too_late", field="visit_on")


def check_past(day: date | None, field: str, what: str, birth_year: int | None = None) -> None:
    """A day that has happened and lies in the patient's life."""
    if day is None:
        return
    if day > timezone.localdate():
        raise DomainError(f"{what} is in the future.", code="too_late", field=field)
    if day < OLDEST or (birth_year is not None and day.year < birth_year):
        raise DomainError(f"{what} is before the patient's birth.", code="too_early", field=field)


def check_birth_year(year: int | None) -> None:
    """A year of birth between 1900 and now."""
    if year is not None and not OLDEST.year <= year <= timezone.localdate().year:
        raise DomainError(
            f"The year of birth is between 1900 and {timezone.localdate().year}.", code="out_of_range", field="birth_year"
        )
