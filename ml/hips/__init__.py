"""Finding both hips in a coronal stack: `load_finder`, `find_hips`."""

from ml.hips.finder import Finder, FoundHip, find_hips, load_finder

__all__ = ["Finder", "FoundHip", "find_hips", "load_finder"]
