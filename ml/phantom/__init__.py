"""Synthetic hip MRI with truth: `generate(seed)` gives a `Phantom`, `write` its DICOM files; no torch anywhere."""

from ml.phantom.files import Identity, write
from ml.phantom.generate import HipTruth, Phantom, generate
from ml.phantom.lesions import Severity

__all__ = ["HipTruth", "Identity", "Phantom", "Severity", "generate", "write"]
