"""`manage.py dicom_scp`: receives studies by C-STORE and answers C-ECHO, from senders that an administrator has listed."""

import signal
import ssl
import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from hipapp.imaging.scp import Receiver


class Command(BaseCommand):
    help = "Receive DICOM by C-STORE. Senders and their centres are kept on the page Senders. SIGTERM or Ctrl-C ends it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="0.0.0.0", help="address to listen on (default: all)")
        parser.add_argument("--port", type=int, default=11112, help="port (default: 11112; 0: any free one, printed)")
        parser.add_argument("--ae-title", default="HIPINFLAM", help="own AE title (default: HIPINFLAM)")
        parser.add_argument("--strict", action="store_true", help="reject callers that name another called AE title")
        parser.add_argument("--max-associations", type=int, default=20)
        parser.add_argument("--tls-cert", help="PEM certificate: DICOM over TLS")
        parser.add_argument("--tls-key", help="PEM key of the certificate")
        parser.add_argument("--tls-ca", help="PEM certificates of clients; given, clients have to show one of these")
        parser.add_argument(
            "--patience", type=float, default=30, help="seconds for running associations at the end (default: 30)"
        )

    def handle(self, *args: Any, host: str, port: int, ae_title: str, strict: bool, patience: float, **options: Any) -> None:
        stop = threading.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: stop.set())
        context = _tls(options["tls_cert"], options["tls_key"], options["tls_ca"])
        receiver = Receiver(ae_title, is_strict=strict, max_associations=options["max_associations"])
        try:
            receiver.start(host, port, context)
        except OSError as error:
            raise CommandError(f"can't listen on {host}:{port}: {error.strerror}") from error
        self.stdout.write(f"{ae_title} listens on {receiver.address[0]}:{receiver.address[1]}")
        self.stdout.flush()
        receiver.finish_left()
        receiver.watch(stop)
        receiver.stop(patience)
        self.stdout.write("stopped")


def _tls(certificate: str | None, key: str | None, clients: str | None) -> ssl.SSLContext | None:
    if not certificate:
        if key or clients:
            raise CommandError("--tls-key and --tls-ca need --tls-cert")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
        if clients:
            context.load_verify_locations(clients)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise CommandError(f"the certificate or key can't be read: {error}") from error
    return context
