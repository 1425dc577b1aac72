"""The demo's MRIs as DICOM files. Knows no Django, so that it runs in processes of its own."""

from dataclasses import dataclass
from pathlib import Path

from ml.phantom import Identity as PhantomIdentity
from ml.phantom import Severity, generate, write


@dataclass(frozen=True)
class MriOrder:
    """One MRI to make and deliver: a phantom of this person, visit and severity, under this fictitious identity."""

    visit_pk: int
    seed: int
    index: int
    severity: dict[str, Severity]
    identity: PhantomIdentity


def make_files(order: MriOrder, folder: Path) -> None:
    """Write the DICOM files of one order into a folder; runs in a process of its own."""
    phantom = generate(order.seed, visit=order.index, severity=order.severity, target="both", style="stir", n_slices=22)
    write(phantom, folder, identity=order.identity)
