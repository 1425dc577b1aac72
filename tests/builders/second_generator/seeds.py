"""The seeds that the second generator is tested with, fixed before any network was trained and never tuned to one."""

from types import MappingProxyType

TEST_SEEDS = range(500, 540)  # one study each
NEGATIVE_KINDS = ("bladder_muscle", "knee", "noise", "brain", "axial_pelvis", "sagittal_pelvis")
NEGATIVE_SEEDS = MappingProxyType({kind: range(600 + 10 * n, 604 + 10 * n) for n, kind in enumerate(NEGATIVE_KINDS)})
