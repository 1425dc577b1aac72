"""A second generator of hip studies, for testing only: it shares no design and no code with the one that trains the network."""

from tests.builders.second_generator.dicom_out import write_dicom
from tests.builders.second_generator.seeds import NEGATIVE_KINDS, NEGATIVE_SEEDS, TEST_SEEDS
from tests.builders.second_generator.study import Hip2, Study2, make_negative, make_study

__all__ = [
    "NEGATIVE_KINDS",
    "NEGATIVE_SEEDS",
    "TEST_SEEDS",
    "Hip2",
    "Study2",
    "make_negative",
    "make_study",
    "write_dicom",
]
