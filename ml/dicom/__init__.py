"""DICOM files → series → Volume; the one reader of images in the tree, free of torch and Django."""

from ml.dicom.choose import Candidate, Choice, best_coronal, choose_series, weigh
from ml.dicom.errors import RefusedFileError, UnscorableError
from ml.dicom.series import Series
from ml.dicom.study import Study, read_datasets, read_study
from ml.dicom.volume import SourceSlice, Volume

__all__ = [
    "Candidate",
    "Choice",
    "RefusedFileError",
    "Series",
    "SourceSlice",
    "Study",
    "UnscorableError",
    "Volume",
    "best_coronal",
    "choose_series",
    "read_datasets",
    "read_study",
    "weigh",
]
