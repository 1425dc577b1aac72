"""A second generator of hip studies, for testing only: it shares no design and no code with the one that trains the network."""

from tests.builders.second_generator.seeds import NEGATIVE_KINDS, NEGATIVE_SEEDS, TEST_SEEDS

__all__ = ["NEGATIVE_KINDS", "NEGATIVE_SEEDS", "TEST_SEEDS"]
