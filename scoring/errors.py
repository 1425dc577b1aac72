"""The one error that every score and statistic raises when it refuses its input."""


class ScoringError(ValueError):
    """An input that a score cannot be computed from.

    Attributes
    ----------
    field : str
        Name of the argument that was refused.
    value : object
        What was given.
    allowed : str
        What would be accepted, in words.
    """

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field = field
        self.value = value
        self.allowed = allowed
        super().__init__(f"{field} is {value!r}; allowed: {allowed}")
