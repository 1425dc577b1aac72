"""The two ways in which reading ends early, each with a sentence for people."""


class RefusedFileError(Exception):
    """One file that can't be used; its text is the reason, to stand behind the file's name as one sentence."""


class UnplacedFileError(RefusedFileError):
    """One MR image that does not say where in the body it lies: it may be kept, but no volume comes of it."""


class UnscorableError(Exception):
    """A study from which no score can come.

    Attributes
    ----------
    code : str
        `no_images`, `no_mr`, `no_geometry`, `wrong_plane`, `not_fat_suppressed`, `not_fluid_sensitive`,
        `too_few_slices`, `inconsistent`, `unreadable_pixels`, `too_large`; later steps add their own (`no_hips`).
    message : str
        What is wrong and what to do, for people.
    candidates : tuple
        The `Candidate` rows that were looked at, for the caller to show.
    """

    def __init__(self, code: str, message: str, candidates: tuple[object, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.candidates = candidates
