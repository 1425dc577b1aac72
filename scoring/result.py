"""What a score gives back: the value with its state, its warnings, its form and what was missing."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class IndexResult:
    """One computed index.

    Attributes
    ----------
    name : str
        Machine name, as `python -m scoring` knows it.
    value : float or None
        Unrounded; None where too many items were missing. Criteria: 1 met, 0 not met, None undetermined.
    state : str or None
        Category of the value, None where the index has none or the value is None.
    warnings : tuple of str
        Plausible but suspect input, for a person to read.
    missing : tuple of str
        Items that were not answered.
    missing_rule : str
        The rule by which they were handled, in words; "" when nothing was missing.
    form : str
        Which published form of the formula was used.
    version : str
        Version of this implementation's formula; changes when any value would change.
    parts : mapping of str to float, str or bool
        Sub-scores and converted inputs that belong beside the value.
    reasons : tuple of str
        For criteria: what was met and what was not, in words.
    """

    name: str
    value: float | None
    state: str | None = None
    warnings: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    missing_rule: str = ""
    form: str = "original"
    version: str = "1"
    parts: Mapping[str, float | str | bool | None] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
