"""The tables of studies in and out, by topic."""

from hipapp.imaging.models.networks import CrossValidation, ModelVersion, Promotion, Rescoring
from hipapp.imaging.models.privacy import Erasure, ImagingPolicy
from hipapp.imaging.models.receiving import Sender, Upload
from hipapp.imaging.models.scores import DerivedObject, HipBox, Review, Score, Segmentation, SliceMeasure
from hipapp.imaging.models.studies import DeidentificationReport, Instance, OriginalFile, Series, Study, StudyIdentity, UidLink

__all__ = [
    "CrossValidation",
    "DeidentificationReport",
    "DerivedObject",
    "Erasure",
    "HipBox",
    "ImagingPolicy",
    "Instance",
    "ModelVersion",
    "OriginalFile",
    "Promotion",
    "Rescoring",
    "Review",
    "Score",
    "Segmentation",
    "Sender",
    "Series",
    "SliceMeasure",
    "Study",
    "StudyIdentity",
    "UidLink",
    "Upload",
]
