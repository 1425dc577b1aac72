"""The acquisition a centre expects, and where a series deviates from it. Pure: no rows, no requests."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hipapp.core.errors import DomainError

PLANE, FAT, HIP_SLICES = "plane", "fat_suppressed", "hip_slices"
Template = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Item:
    """One thing that is compared. `low` and `high` (both included, None: no bound) are the defaults about the article's value.

    References
    ----------
    Zheng et al., Front Physiol 2023;14:1132214, methods: coronal STIR, slices of 4 mm, field of view 400 × 400 mm, matrix
    512 × 256, TR 3550, TE 51, TI 145 ms, 5 slices through a hip at least. It gives no tolerances: the ranges are this product's.
    """

    key: str
    label: str
    article: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    digits: int = 0
    forbids: bool = False

    @property
    def is_number(self) -> bool:
        return self.low is not None or self.high is not None


ITEMS = (
    Item(PLANE, "Plane", "coronal", forbids=True),
    Item(FAT, "Fat suppression", "STIR", forbids=True),
    Item("tr_ms", "Repetition time", "3550", "ms", 2500, 6500),
    Item("te_ms", "Echo time", "51", "ms", 30, 80),
    Item("ti_ms", "Inversion time (where it is an inversion recovery)", "145", "ms", 120, 260),
    Item("slice_thickness_mm", "Slice thickness", "4", "mm", 3, 5, 1),
    Item("gap_mm", "Gap between slices", "not given", "mm", 0, 1.5, 1),
    Item("fov_short_mm", "Field of view, short side", "400", "mm", 280, 450),
    Item("fov_long_mm", "Field of view, long side", "400", "mm", 320, 480),
    Item("matrix_frequency", "Acquisition matrix, frequency", "512", "", 256, 1024),
    Item("matrix_phase", "Acquisition matrix, phase", "256", "", 192, 1024),
    Item("n_slices", "Slices of the stack", "15 scored", "", 15, 80),
    Item(HIP_SLICES, "Slices through each hip, of 15 (known once it is outlined)", "5 at least", "", 5, 15, forbids=True),
)
BY_KEY = {item.key: item for item in ITEMS}


@dataclass(frozen=True)
class Deviation:
    """One item that is not as expected, in words with its unit."""

    key: str
    label: str
    found: str
    expected: str
    forbids: bool

    @property
    def words(self) -> str:
        return f"{self.label[:1].lower()}{self.label[1:].partition(' (')[0]} {self.found} ({self.expected} expected)"


@dataclass(frozen=True)
class Check:
    """What became of a series: its deviations, and the items that its header doesn't tell."""

    deviations: tuple[Deviation, ...] = ()
    unknown: tuple[str, ...] = field(default=())

    @property
    def forbidding(self) -> tuple[Deviation, ...]:
        return tuple(one for one in self.deviations if one.forbids)

    @property
    def is_met(self) -> bool:
        return not self.deviations


@dataclass(frozen=True)
class Row:
    """An item as a centre has set it."""

    item: Item
    low: float | None
    high: float | None
    forbids: bool

    @property
    def expected(self) -> str:
        if not self.item.is_number:
            return "coronal" if self.item.key == PLANE else "yes"
        unit = f" {self.item.unit}" if self.item.unit else ""
        if self.low is None and self.high is None:
            return "any"
        if self.low is None or self.high is None:
            bound = f"at least {_number(self.low)}" if self.high is None else f"at most {_number(self.high)}"
            return f"{bound}{unit}"
        return f"{_number(self.low)} to {_number(self.high)}{unit}"


def rows_of(template: Template) -> tuple[Row, ...]:
    """Every item with what the template says of it, else its default."""
    rows = []
    for item in ITEMS:
        said = template.get(item.key, {})
        low, high = (said.get("low", item.low), said.get("high", item.high)) if item.is_number else (None, None)
        rows.append(Row(item, low, high, bool(said.get("forbids", item.forbids)) if item.is_number else item.forbids))
    return tuple(rows)


def check(found: Mapping[str, Any], template: Template) -> Check:
    """Compare what was found (by item; None or missing: not known) with a template.

    Notes
    -----
    An inversion time is asked for only where `is_inversion` says that there was an inversion.
    """
    deviations, unknown = [], []
    for row in rows_of(template):
        key = row.item.key
        value = found.get(key)
        if value is None:
            if key != HIP_SLICES and not (key == "ti_ms" and not found.get("is_inversion")):
                unknown.append(row.item.label.partition(" (")[0])
            continue
        if _is_as_expected(row, value):
            continue
        deviations.append(Deviation(key, row.item.label, _words(row.item, value), row.expected, row.forbids))
    return Check(tuple(deviations), tuple(unknown))


def _is_as_expected(row: Row, value: Any) -> bool:
    if row.item.key == PLANE:
        return bool(value == "coronal")
    if row.item.key == FAT:
        return bool(value)
    slack = 0.5 * 10**-row.item.digits  # a value that is shown as the bound is within it
    return (row.low is None or value >= row.low - slack) and (row.high is None or value <= row.high + slack)


def _words(item: Item, value: Any) -> str:
    if item.key == FAT:
        return "yes" if value else "no"
    if not item.is_number:
        return str(value)
    return f"{value:.{item.digits}f}{f' {item.unit}' if item.unit else ''}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def clean_template(said: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """A template as it is stored, from numbers or texts; `low` and `high` may be empty for no bound.

    Raises
    ------
    DomainError
        An item or value that can't be; `field` is `KEY-low` or `KEY-high`.
    """
    template: dict[str, dict[str, Any]] = {}
    for key, values in said.items():
        item = BY_KEY.get(key)
        if item is None:
            raise DomainError(f"{key!r} is no item of the protocol; there are {', '.join(BY_KEY)}.", field=key)
        if not item.is_number:
            raise DomainError(f"{item.label} is always asked for; a radiologist may choose another series.", field=key)
        low, high = (_bound(item, side, values.get(side)) for side in ("low", "high"))
        if low is not None and high is not None and low > high:
            raise DomainError("The lower bound is above the upper one.", field=f"{key}-high")
        template[key] = {"low": low, "high": high, "forbids": bool(values.get("forbids"))}
    return template


def _bound(item: Item, side: str, value: Any) -> float | None:
    if value is None or str(value).strip() == "":
        return None
    try:
        number = float(str(value).strip().replace(",", "."))
    except ValueError as error:
        raise DomainError("Enter a number, or nothing for no bound.", field=f"{item.key}-{side}") from error
    if not (math.isfinite(number) and 0 <= number <= 100_000):
        raise DomainError("Enter a number from 0 to 100000.", field=f"{item.key}-{side}")
    return number
