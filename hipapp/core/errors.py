"""Errors that are written for people: what happened, where, and what to do. Pages, API and commands only translate them."""


class DomainError(Exception):
    """Something the user can understand and act on.

    Parameters
    ----------
    message : a whole sentence without names, record numbers or birth dates
    code : short stable word for programs
    field : the form field or API key that is wrong, if one is
    """

    status = 400

    def __init__(self, message: str, *, code: str = "invalid", field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.field = field


class ConflictError(DomainError):
    """The row is in another state than the request expects."""

    status = 409


class ForbiddenError(DomainError):
    """The role may see the thing but not do this with it."""

    status = 403
