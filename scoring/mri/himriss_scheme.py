"""HIMRISS schemes: slices, regions, effusion grades and thresholds as versioned data, checked when loaded."""

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from scoring import checks
from scoring.errors import ScoringError
from scoring.mri.himriss import MAXIMA
from scoring.mri.slices import ANTERIOR, CENTRAL, POSTERIOR

DEFAULT_SCHEME = "himriss-compatible-1"
FAMILY = "himriss"
PARTS = ("femoral", "acetabular")
ROLES = (CENTRAL, ANTERIOR, POSTERIOR)
GROUPS = {CENTRAL: "central", ANTERIOR: "outer", POSTERIOR: "outer"}
FIELDS = (
    "id",
    "version",
    "family",
    "title",
    "notice",
    "frame",
    "maxima",
    "slices",
    "regions",
    "positive_share",
    "effusion",
)

Point = tuple[float, float]


@dataclass(frozen=True)
class Region:
    """One region: a polygon in the frame of the head (unit = head radius, x medial, y superior)."""

    name: str
    part: str
    polygon: tuple[Point, ...]


@dataclass(frozen=True)
class Scheme:
    """A checked scheme: the regions of a slice follow from its role."""

    id: str
    version: int
    family: str
    title: str
    notice: str
    maxima: Mapping[str, int]
    slices: Mapping[str, int]
    regions: Mapping[str, tuple[Region, ...]]
    positive_share: float
    effusion_grades: tuple[int, ...]
    effusion_thresholds_mm: tuple[float, ...]

    @property
    def n_slices(self) -> int:
        """Slices of a complete read."""
        return sum(self.slices.values())

    def regions_of(self, role: str) -> tuple[Region, ...]:
        """Regions of a slice with that role."""
        return self.regions[GROUPS[role]]

    def grade_effusion(self, thickness_mm: float) -> int:
        """Effusion grade of a thickness: below the first threshold the lowest; a threshold itself is the lower grade's end.

        With thresholds 2 and 4 mm: < 2 mm 0, 2 to 4 mm 1, > 4 mm 2.
        """
        thickness = checks.number("thickness_mm", thickness_mm, 0.0, unit="mm")
        first, *further = self.effusion_thresholds_mm
        if thickness < first:
            return self.effusion_grades[0]
        return self.effusion_grades[1 + sum(thickness > limit for limit in further)]


def scheme_names() -> tuple[str, ...]:
    """Names of the schemes that come with the product."""
    folder = resources.files("scoring.mri") / "schemes"
    return tuple(sorted(entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json")))


@cache
def load_scheme(name: str = DEFAULT_SCHEME) -> Scheme:
    """A scheme that comes with the product, by its name.

    Raises
    ------
    ScoringError
        When there is no scheme of that name, or its file breaks a rule.
    """
    checks.choice("scheme", name, scheme_names())
    return parse_scheme((resources.files("scoring.mri") / "schemes" / f"{name}.json").read_text("utf-8"))


def read_scheme(path: Path) -> Scheme:
    """A scheme from a centre's own file."""
    return parse_scheme(path.read_text("utf-8"))


def parse_scheme(document: str | Mapping[str, Any]) -> Scheme:
    """A scheme from JSON text or from what JSON was read into.

    Raises
    ------
    ScoringError
        Naming the field: when it is missing or unknown, a polygon has no area, region names repeat, or the regions do
        not add up to the maxima (65 / 35 / 30 for the family "himriss").
    """
    raw = _object("scheme", _decoded(document), FIELDS)
    family = _text("family", raw["family"])
    slices = {role: _count(f"slices.{role}", raw_count) for role, raw_count in _object("slices", raw["slices"], ROLES).items()}
    groups = _object("regions", raw["regions"], ("central", "outer"))
    regions = {group: _regions(f"regions.{group}", entries) for group, entries in groups.items()}
    effusion = _object("effusion", raw["effusion"], ("grades", "thresholds_mm"))
    grades = _grades(effusion["grades"])
    maxima = {
        name: _count(f"maxima.{name}", raw_max) for name, raw_max in _object("maxima", raw["maxima"], tuple(MAXIMA)).items()
    }
    scheme = Scheme(
        id=_text("id", raw["id"]),
        version=_count("version", raw["version"]),
        family=family,
        title=_text("title", raw["title"]),
        notice=_text("notice", raw["notice"]),
        maxima=maxima,
        slices=slices,
        regions=regions,
        positive_share=_share(raw["positive_share"]),
        effusion_grades=grades,
        effusion_thresholds_mm=_thresholds(effusion["thresholds_mm"], len(grades)),
    )
    _refuse_wrong_maxima(scheme)
    return scheme


def polygon_area(polygon: Sequence[Point]) -> float:
    """Area of a polygon in square units of its frame (shoelace)."""
    pairs = zip(polygon, (*polygon[1:], polygon[0]), strict=True)
    return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairs)) / 2


def _decoded(document: str | Mapping[str, Any]) -> object:
    if not isinstance(document, str):
        return document
    try:
        return json.loads(document)
    except json.JSONDecodeError as error:
        raise ScoringError("scheme", document[:40], f"JSON ({error})") from error


def _object(field: str, value: object, names: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ScoringError(field, value, "an object with " + ", ".join(names))
    for name in value:
        if name not in names:
            raise ScoringError(f"{field}.{name}", value[name], "no such field; known are " + ", ".join(names))
    for name in names:
        if name not in value:
            raise ScoringError(f"{field}.{name}", None, "this field must be given")
    return value


def _text(field: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ScoringError(field, value, "a text that is not empty")
    return value


def _count(field: str, value: object) -> int:
    number = checks.number(field, value, 1)
    if number != int(number):
        raise ScoringError(field, value, "a whole number of at least 1")
    return int(number)


def _share(value: object) -> float:
    share = checks.number("positive_share", value, 0.0, 1.0)
    if share == 0.0:
        raise ScoringError("positive_share", value, "a number above 0, up to 1")
    return share


def _list(field: str, value: object, n_least: int) -> Sequence[Any]:
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) < n_least:
        raise ScoringError(field, value, f"a list of at least {n_least}")
    return value


def _regions(field: str, entries: object) -> tuple[Region, ...]:
    regions = tuple(_region(f"{field}[{index}]", entry) for index, entry in enumerate(_list(field, entries, 1)))
    names = [region.name for region in regions]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ScoringError(f"{field}[{index}].name", name, "a name that no other region of the slice has")
    return regions


def _region(field: str, entry: object) -> Region:
    raw = _object(field, entry, ("name", "part", "polygon"))
    checks.choice(f"{field}.part", raw["part"], PARTS)
    polygon = tuple(
        _point(f"{field}.polygon[{index}]", point) for index, point in enumerate(_list(f"{field}.polygon", raw["polygon"], 3))
    )
    if polygon_area(polygon) <= 0.0:
        raise ScoringError(f"{field}.polygon", raw["polygon"], "a polygon with an area")
    return Region(_text(f"{field}.name", raw["name"]), raw["part"], polygon)


def _point(field: str, value: object) -> Point:
    pair = _list(field, value, 2)
    if len(pair) != 2:
        raise ScoringError(field, value, "x and y in units of the head's radius")
    return checks.number(field, pair[0]), checks.number(field, pair[1])


def _grades(value: object) -> tuple[int, ...]:
    grades = [checks.number("effusion.grades", grade, 0.0) for grade in _list("effusion.grades", value, 2)]
    if grades != list(range(len(grades))):
        raise ScoringError("effusion.grades", value, "0, 1, 2 … without a gap")
    return tuple(int(grade) for grade in grades)


def _thresholds(value: object, n_grades: int) -> tuple[float, ...]:
    field = "effusion.thresholds_mm"
    limits = tuple(checks.number(field, limit, 0.0, math.inf, "mm") for limit in _list(field, value, 1))
    if len(limits) != n_grades - 1 or any(b <= a for a, b in itertools.pairwise(limits)):
        raise ScoringError(field, value, f"{n_grades - 1} rising limits in mm, one fewer than grades")
    return limits


def _refuse_wrong_maxima(scheme: Scheme) -> None:
    possible = {
        f"{part}_bme": sum(scheme.slices[role] * sum(region.part == part for region in scheme.regions_of(role)) for role in ROLES)
        for part in PARTS
    }
    possible["effusion"] = scheme.n_slices * scheme.effusion_grades[-1]
    for name, maximum in scheme.maxima.items():
        if scheme.family == FAMILY and maximum != MAXIMA[name]:
            raise ScoringError(f"maxima.{name}", maximum, f"{MAXIMA[name]}, as the family {FAMILY} has it")
        if possible[name] != maximum:
            raise ScoringError(f"maxima.{name}", maximum, f"{possible[name]}, which its slices, regions and grades add up to")
