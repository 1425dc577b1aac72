"""Programs of the system that the tests drive."""

import os
import shutil
import sys
from pathlib import Path

import pytest


def program(name: str) -> str:
    """The system's program; skips with the reason where it is absent.

    Our own environment is left out: pynetdicom installs an ``echoscu`` and a ``storescu`` there, which are not dcmtk's.
    """
    own = Path(sys.executable).parent
    folders = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if Path(folder) != own]
    found = shutil.which(name, path=os.pathsep.join(folders))
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found
