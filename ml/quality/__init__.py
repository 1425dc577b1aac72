"""Is this picture good enough for a score? Numbers taken from the picture, thresholds set on synthetic ones."""

from ml.quality.flags import Flag, Thresholds, check, read_thresholds

__all__ = ["Flag", "Thresholds", "check", "read_thresholds"]
