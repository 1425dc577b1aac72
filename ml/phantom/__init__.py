"""Synthetic hip MRI with truth: `generate(seed)` gives a `Phantom`; no torch anywhere."""

from ml.phantom.generate import HipTruth, Phantom, generate
from ml.phantom.lesions import Severity

__all__ = ["HipTruth", "Phantom", "Severity", "generate"]
