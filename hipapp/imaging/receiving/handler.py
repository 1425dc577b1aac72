"""Django's upload handler that streams each file straight into the spool; no file is ever held in memory."""

from pathlib import Path
from typing import Any, BinaryIO

from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest

from hipapp.core.errors import DomainError
from hipapp.imaging.receiving import spool

NOT_STORED = (
    "The server could not store the file (is its disk full?). Nothing was lost here: send it again later, or "
    "tell the administrator."
)
MAX_FILES = 20_000  # of one upload; a study has some hundreds


class SpooledFile(UploadedFile):
    """What stands in `request.FILES` for a file that lies in the spool: its number and size."""

    def __init__(self, number: int, size: int) -> None:
        super().__init__(file=None, name=f"{number:08d}", size=size)

    def close(self) -> None:
        """Nothing is open: the handler closed the file when it was complete."""


class StoppedError(DomainError):
    """The bytes of this request could not be taken; nothing of it is kept."""


class SpoolHandler(FileUploadHandler):
    """Writes files in the order in which they come, numbered from 1, into a folder of this request.

    Whoever makes the handler has its folder adopted when the request is good, and calls `clear` in any case.
    """

    chunk_size = 256 * 1024

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request)
        self._folder: Path | None = None
        self.number = 0
        self.n_bytes = 0
        self.file: BinaryIO | None = None

    @property
    def folder(self) -> Path:
        """The folder of this request, made when it is first needed."""
        if self._folder is None:
            self._folder = spool.new_incoming()
        return self._folder

    def handle_raw_input(
        self, input_data: Any, META: dict[str, Any], content_length: int, boundary: Any, encoding: str | None = None
    ) -> None:
        spool.check_size(content_length)

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self.number += 1
        if self.number > MAX_FILES:
            raise StoppedError(f"An upload may have {MAX_FILES} files at most. Send one study at a time.", code="too_many")
        self.file = spool.open_new(self.folder, self.number)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self.n_bytes += len(raw_data)
        spool.check_size(self.n_bytes)
        assert self.file is not None  # new_file comes first
        try:
            self.file.write(raw_data)
        except OSError as error:
            raise StoppedError(NOT_STORED, code="not_stored") from error

    def file_complete(self, file_size: int) -> SpooledFile:
        self.close()
        return SpooledFile(self.number, file_size)

    def upload_interrupted(self) -> None:
        self.clear()

    def close(self) -> None:
        """Close the file being written, if one is."""
        if self.file is not None:
            self.file.close()
            self.file = None

    def clear(self) -> None:
        """Throw away what no upload has adopted."""
        self.close()
        if self._folder is not None:
            spool.discard(self._folder)
            self._folder = None
