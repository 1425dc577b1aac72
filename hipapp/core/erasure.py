"""Rows deleted so that their history tells nothing any more: the events stay, with ids, times and actors only."""

from collections import defaultdict
from datetime import UTC, date, datetime, time
from typing import Any

import pgtrigger
from django.apps import apps
from django.db import models, transaction
from django.db.models.deletion import Collector

_LONG_AGO = date(1900, 1, 1)
Keys = dict[type[models.Model], set[Any]]


def erase_rows(rows: models.QuerySet) -> dict[str, int]:
    """Delete the rows with everything that hangs on them, and blank what the history keeps of all these; counts by model.

    Raises
    ------
    ProtectedError
        Something refers to them that may not be deleted with them.
    """
    events = event_models()
    with transaction.atomic():
        keys = _doomed(rows, set(events))
        _, counts = rows.delete()
        for model, gone in keys.items():
            _blank(events[model], gone)
    return counts


def event_models() -> dict[type[models.Model], type[models.Model]]:
    """The event model of every model whose rows have a history."""
    found = [(getattr(model, "pgh_tracked_model", None), model) for model in apps.get_models()]
    return {tracked: model for tracked, model in found if tracked is not None}


def _doomed(rows: models.QuerySet, wanted: set[type[models.Model]]) -> Keys:
    """Keys of all rows of the wanted models that go when these rows go."""
    collector = Collector(using=rows.db)
    collector.collect(rows)
    keys: Keys = defaultdict(set)
    for model, instances in collector.data.items():
        if model in wanted:
            keys[model] |= {instance.pk for instance in instances}
    for queryset in collector.fast_deletes:
        if queryset.model in wanted:
            keys[queryset.model] |= set(queryset.values_list("pk", flat=True))
    return keys


def _blank(events: type[models.Model], keys: set[Any]) -> None:
    values = {
        field.name: _nothing(field)
        for field in events._meta.concrete_fields
        if not field.name.startswith("pgh_") and not field.is_relation and field.name not in ("id", "pk")
    }
    with pgtrigger.ignore(f"{events._meta.label}:append_only"):
        events._default_manager.filter(pgh_obj_id__in=keys).update(**values)


def _nothing(field: models.Field) -> Any:
    """What tells nothing in a column of this kind."""
    if field.null:
        return None
    if field.has_default() and isinstance(field, models.JSONField):
        return field.get_default()
    for kind, value in (
        ((models.CharField, models.TextField), ""),
        (models.BooleanField, False),
        (models.BinaryField, b""),
        (models.DateTimeField, datetime.combine(_LONG_AGO, time(), UTC)),
        (models.DateField, _LONG_AGO),
        ((models.IntegerField, models.FloatField, models.DecimalField), 0),
    ):
        if isinstance(field, kind):
            return value
    raise TypeError(f"how to blank {field} is not said")
