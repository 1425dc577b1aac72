"""A score of the catalogue from text fields: reads each by the type of the function's argument."""

import inspect
import types
import typing
from collections.abc import Mapping, Sequence

from scoring import checks
from scoring.catalogue import BY_NAME, Entry
from scoring.errors import ScoringError
from scoring.result import IndexResult

WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
MISSING = ("", "none", "null", "na")


def compute(name: str, fields: Mapping[str, str]) -> IndexResult:
    """A score from text fields, as the command line and a table give them.

    Raises
    ------
    ScoringError
        For an unknown score or field, or a value that cannot be read or is refused.
    """
    checks.choice("score", name, tuple(BY_NAME))
    entry = BY_NAME[name]
    kinds = field_kinds(entry)
    for field in fields:
        if field not in kinds:
            raise ScoringError(field, fields[field], f"the fields of {name}: " + ", ".join(kinds))
    values = {field: _read(field, text, kinds[field]) for field, text in fields.items()}
    signature = inspect.signature(entry.function)
    for field, parameter in signature.parameters.items():
        if parameter.default is inspect.Parameter.empty:
            values.setdefault(field, None)
    given = {field: value for field, value in values.items() if not _is_defaulted(value, signature.parameters[field])}
    return entry.function(**given)


def field_kinds(entry: Entry) -> dict[str, str]:
    """Fields of a score and how their text is read: "number", "boolean", "text", "numbers" or "number or pair"."""
    hints = typing.get_type_hints(entry.function)
    return {field: _kind(hints[field]) for field in inspect.signature(entry.function).parameters}


def _kind(hint: object) -> str:
    """How a field's text is read, from the type of the function's argument."""
    options = set(typing.get_args(hint)) if isinstance(hint, types.UnionType) else {hint}
    names = {_name(option) for option in options if option not in (type(None), IndexResult)}
    if "numbers" in names:
        return "number or pair" if "number" in names else "numbers"
    return names.pop()


def _name(option: object) -> str:
    if typing.get_origin(option) is Sequence:
        return "numbers"
    return {float: "number", int: "number", bool: "boolean", str: "text"}[typing.cast(type, option)]


def _read(field: str, text: str, kind: str) -> object:
    stripped = text.strip()
    if kind == "numbers" or (kind == "number or pair" and _separated(stripped)):
        return _numbers(field, stripped)
    if stripped.lower() in MISSING:
        return None
    if kind == "text":
        return stripped
    if kind == "boolean":
        checks.choice(field, stripped.lower(), tuple(WORDS))
        return WORDS[stripped.lower()]
    return _number(field, stripped)


def _separated(text: str) -> bool:
    return "," in text or ";" in text


def _numbers(field: str, text: str) -> tuple[float | None, ...] | None:
    if text.lower() in MISSING:
        return None
    parts = [part.strip() for part in text.replace(";", ",").split(",")]
    return tuple(None if part.lower() in (*MISSING, "missing") else _number(field, part) for part in parts)


def _number(field: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ScoringError(field, text, "a number with a decimal point") from error


def _is_defaulted(value: object, parameter: inspect.Parameter) -> bool:
    """True for an empty field whose argument has a default of its own, which then applies."""
    return value is None and parameter.default is not inspect.Parameter.empty
