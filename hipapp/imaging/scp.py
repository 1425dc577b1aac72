"""The DICOM door: C-ECHO and C-STORE, each association's files through the one receiving service.

A file is acknowledged when it lies in the spool and was read; its rows are written when the association ends (or has brought
BATCH files). What was acknowledged when the database went away stays in the spool and is received later (`uploads.finish_left`).
"""

import logging
import os
import ssl
import tempfile
import threading
import uuid
from pathlib import Path
from typing import Any

from django.db import DatabaseError, InterfaceError, close_old_connections, connection
from pydicom import Dataset
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, _config, evt
from pynetdicom.events import Event
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from hipapp.core.errors import DomainError
from hipapp.imaging.models import Sender, Upload
from hipapp.imaging.receiving import spool
from hipapp.imaging.receiving.files import Outcome, StoredFile, read_file
from hipapp.imaging.services import uploads
from ml.dicom.header import MR_CLASSES

log = logging.getLogger(__name__)
SUCCESS, CLASS_NOT_SUPPORTED, OUT_OF_RESOURCES, CANNOT_UNDERSTAND = 0x0000, 0x0122, 0xA700, 0xC000  # PS3.7 C, PS3.4 B.2.3
REJECTED_CALLER = (0x01, 0x01, 0x03)  # permanent, by the service user, calling AE title not recognised
BATCH = 100  # files whose rows are written at a time, so that memory stays flat
LEFT_S = 120  # an unfinished delivery that nobody has touched for so long is finished by itself
PDU_BYTES = 256 * 1024
NO_DATABASE = (DatabaseError, InterfaceError)


class Delivery:
    """What one association brings; used by its thread only, but for the end."""

    def __init__(self, sender: Sender) -> None:
        self.sender = sender
        self._upload: Upload | None = None
        self._outcomes: list[Outcome] = []
        self._stored: list[StoredFile] = []
        self._lock = threading.Lock()

    @property
    def n_files(self) -> int:
        """Files whose rows are not written yet."""
        return len(self._outcomes)

    @property
    def upload_id(self) -> uuid.UUID | None:
        """The upload that is being filled."""
        return self._upload.pk if self._upload else None

    def take(self, path: Path, sop_class: str) -> int | Dataset:
        """Receive one file; the status for its sender."""
        with self._lock:
            try:
                close_old_connections()
                if self._upload is None:
                    self._upload = uploads.start_sender_upload(self.sender)
                    spool.folder_of(self._upload.pk).mkdir(parents=True, mode=0o700)
                elif not Upload.objects.filter(pk=self._upload.pk, state=Upload.State.RECEIVING).exists():
                    raise DomainError("The delivery was ended from elsewhere.", code="upload_complete")
                target = spool.folder_of(self._upload.pk) / f"{len(self._outcomes) + 1:08d}"
                _to_disk(path)
                path.replace(target)
            except (*NO_DATABASE, OSError, DomainError) as error:
                log.warning("a file of %s was not taken, it may send it again: %s", self.sender, type(error).__name__)
                connection.close()
                path.unlink(missing_ok=True)
                return _status(OUT_OF_RESOURCES, "Not stored, send it again later")
            return self._read(target, sop_class)

    def finish(self) -> None:
        """Write the rows of what has come; without a database it stays in the spool."""
        with self._lock:
            upload, outcomes, stored = self._upload, self._outcomes, self._stored
            self._upload, self._outcomes, self._stored = None, [], []
            if upload is None:
                return
            try:
                close_old_connections()
                uploads.write_received(upload, outcomes, stored)
                log.info("%s sent %s files", self.sender, len(outcomes))
            except NO_DATABASE:
                log.warning("%s files of %s wait in the spool for the database", len(outcomes), self.sender)
            finally:
                connection.close()

    def _read(self, path: Path, sop_class: str) -> int | Dataset:
        try:
            (found, *_) = read_file(path, self.sender.centre)
        except OSError as error:
            log.warning("a file of %s could not be stored: %s", self.sender, error.strerror)
            path.unlink(missing_ok=True)
            return _status(OUT_OF_RESOURCES, "Not stored, send it again later")
        outcome = found.outcome if isinstance(found, StoredFile) else found
        self._outcomes.append(outcome)
        if isinstance(found, StoredFile):
            self._stored.append(found)
            return SUCCESS
        code = CANNOT_UNDERSTAND if sop_class in MR_CLASSES else CLASS_NOT_SUPPORTED
        return _status(code, f"The file {outcome.reason}")


class Receiver:
    """The application entity with its listening socket.

    Parameters
    ----------
    ae_title : its own title; callers have to name it where `is_strict`
    """

    def __init__(self, ae_title: str, *, is_strict: bool = False, max_associations: int = 20) -> None:
        self._senders: dict[str, Sender] = {}
        self._deliveries: dict[int, Delivery] = {}
        self._lock = threading.Lock()
        self._incoming = spool.new_incoming()
        tempfile.tempdir = str(self._incoming)  # pynetdicom writes a data set into a temporary file as it comes
        _config.STORE_RECV_CHUNKED_DATASET = True
        _config.LOG_HANDLER_LEVEL = "none"
        self._ae = AE(ae_title=ae_title)
        self._ae.require_called_aet = is_strict
        self._ae.maximum_associations = max_associations
        self._ae.maximum_pdu_size = PDU_BYTES
        self._ae.add_supported_context(Verification)
        for context in AllStoragePresentationContexts:
            self._ae.add_supported_context(str(context.abstract_syntax), ALL_TRANSFER_SYNTAXES)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that it listens on."""
        host, port = self._server.server_address[:2]
        return str(host), int(port)

    def start(self, host: str, port: int, ssl_context: ssl.SSLContext | None = None) -> None:
        """Listen, each association in a thread of its own."""
        handlers: list[Any] = [
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_C_ECHO, lambda event: SUCCESS),
            (evt.EVT_C_STORE, self._store),
            *((kind, self._ended) for kind in (evt.EVT_RELEASED, evt.EVT_ABORTED, evt.EVT_CONN_CLOSE)),
        ]
        server = self._ae.start_server((host, port), block=False, ssl_context=ssl_context, evt_handlers=handlers)
        assert server is not None  # as it does not block
        self._server = server

    def watch(self, stop: threading.Event, every_s: float = 10) -> None:
        """Finish deliveries that were left, until `stop` is set."""
        while not stop.wait(every_s):
            self.finish_left()

    def finish_left(self) -> int:
        """Receive what earlier associations left in the spool; gives how many deliveries."""
        self._incoming.mkdir(mode=0o700, exist_ok=True)
        os.utime(self._incoming)  # else it is stale after a quiet day, and swept
        try:
            close_old_connections()
            return uploads.finish_left(LEFT_S, except_for=self._live())
        except NO_DATABASE:
            log.warning("the database is away; files that were acknowledged wait in the spool")
            return 0
        finally:
            connection.close()

    def stop(self, patience_s: float = 30) -> None:
        """Take no new association, let the running ones end for a while, then abort them; nothing acknowledged is lost."""
        self._server.shutdown()
        waiting = threading.Event()
        for _ in range(int(patience_s * 10)):
            if not self._ae.active_associations:
                break
            waiting.wait(0.1)
        self._ae.shutdown()
        with self._lock:
            left = list(self._deliveries.values())
            self._deliveries.clear()
        for delivery in left:
            delivery.finish()
        spool.discard(self._incoming)

    def _live(self) -> set[uuid.UUID]:
        with self._lock:
            return {delivery.upload_id for delivery in self._deliveries.values() if delivery.upload_id}

    def _requested(self, event: Event) -> None:
        primitive = event.assoc.requestor.primitive
        title = str(primitive.calling_ae_title).strip() if primitive else ""
        host = event.assoc.requestor.address
        sender = self._find(title)
        if sender is None or (sender.host and sender.host != host):
            log.warning("an association of an unknown sender was rejected (host %s)", host)
            event.assoc.acse.send_reject(*REJECTED_CALLER)
            event.assoc.kill()
            return
        with self._lock:
            self._deliveries[id(event.assoc)] = Delivery(sender)

    def _find(self, title: str) -> Sender | None:
        """The active sender of this title; without a database as it was last known, so that files are answered with a status."""
        try:
            close_old_connections()
            sender = (
                Sender.objects.filter(ae_title=title, is_active=True, centre__is_active=True).select_related("centre").first()
            )
        except NO_DATABASE:
            return self._senders.get(title)
        finally:
            connection.close()
        if sender is None:
            self._senders.pop(title, None)
        else:
            self._senders[title] = sender
        return sender

    def _store(self, event: Event) -> int | Dataset:
        path = event.dataset_path
        delivery = self._deliveries.get(id(event.assoc))
        if delivery is None:
            path.unlink(missing_ok=True)
            return OUT_OF_RESOURCES
        status = delivery.take(path, str(event.request.AffectedSOPClassUID))
        if delivery.n_files >= BATCH:
            delivery.finish()
        return status

    def _ended(self, event: Event) -> None:
        with self._lock:
            delivery = self._deliveries.pop(id(event.assoc), None)
        if delivery is not None:
            delivery.finish()
        connection.close()  # of the association's thread, also where the connection's thread was here first


def _to_disk(path: Path) -> None:
    """Have the file written through: it is acknowledged before its rows are written."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _status(code: int, comment: str) -> Dataset:
    status = Dataset()
    status.Status = code
    status.ErrorComment = comment.encode("ascii", "replace").decode()[:64]
    return status
