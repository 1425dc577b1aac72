"""What of a study can leave the house: its scored series with the outlines that count, read from the storage once."""

import uuid
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from django.db.models import Q
from pydicom import Dataset

from hipapp.core.crypto import keyed_digest
from hipapp.core.errors import DomainError
from hipapp.core.storage import read_content
from hipapp.imaging.drawing import unpack_mask
from hipapp.imaging.models import Segmentation, Series, Study
from hipapp.imaging.results import ACCEPTED, HipResult, results_of_studies
from hipapp.imaging.stacks import load_volume
from ml.dicom.errors import UnscorableError
from ml.dicom.parse import parse
from ml.dicom.volume import Volume
from ml.labels import BITS, LABELS, Mask

PRODUCT = "hipapp"


class NothingToExportError(DomainError):
    """The study has no outlines, or its images can't be read any more."""

    status = 409


@dataclass(frozen=True)
class HipContent:
    """One hip with the outlines that count for it; `result.review` says whether a person has looked at them."""

    result: HipResult
    segmentation: Segmentation
    mask: Mask = field(repr=False)

    @property
    def side(self) -> str:
        return self.result.side

    @property
    def is_corrected(self) -> bool:
        return self.segmentation.author_id is not None

    @property
    def model(self) -> tuple[str, str] | None:
        """Name and version of the network that drew the outlines or those that a person corrected."""
        row: Segmentation | None = self.segmentation
        while row is not None and row.model_version is None:
            row = row.supersedes
        return (row.model_version.name, row.model_version.version) if row and row.model_version else None


@dataclass(frozen=True)
class Contents:
    """The scored series of a study: its volume and its hips, right before left."""

    study: Study
    series: Series
    volume: Volume = field(repr=False)
    hips: tuple[HipContent, ...]

    @cached_property
    def images(self) -> list[Dataset]:
        """The stored files of the series, without identity, in the order of the slices."""
        paths = dict(self.series.instances.values_list("sop_uid", "path"))
        return [parse(read_content(paths[uid])) for uid in dict.fromkeys(self.volume.uids)]

    @property
    def masks(self) -> Mask:
        """Bit planes of all hips together."""
        return np.asarray(np.bitwise_or.reduce([hip.mask for hip in self.hips]))

    @property
    def models(self) -> tuple[str, ...]:
        """Names and versions of the networks behind the outlines."""
        return tuple(dict.fromkeys(" ".join(hip.model) for hip in self.hips if hip.model))

    def volumes_ml(self, hip: HipContent) -> dict[str, float]:
        """Volume of each label of a hip in mL."""
        voxel_ml = float(np.prod(self.volume.spacing_mm)) / 1000
        return {label: float(((hip.mask & BITS[label]) > 0).sum()) * voxel_ml for label in LABELS}

    @property
    def key(self) -> str:
        """Which outlines these are: the same for the same ones, another after a correction."""
        return f"{self.study.pk} " + " ".join(str(hip.segmentation.pk) for hip in self.hips)


def contents_of(study: Study, *, accepted_only: bool = False) -> Contents:
    """The outlines that count for a study, with its images.

    Parameters
    ----------
    accepted_only : leave out hips that no radiologist has accepted or corrected

    Raises
    ------
    NothingToExportError
        There are no such outlines, or the series can't be read as one stack any more.
    """
    results = results_of_studies([study])[study.pk]
    wanted = {
        result.segmentation_id: result
        for side in ("right", "left")
        if (result := results.get(side)) and result.segmentation_id and (result.review == ACCEPTED or not accepted_only)
    }
    rows = Segmentation.objects.filter(pk__in=wanted).select_related("model_version", "supersedes__model_version")
    by_key = {row.pk: row for row in rows}
    if not by_key or study.chosen_series is None:
        which = "accepted or corrected outlines" if accepted_only else "outlines"
        raise NothingToExportError(f"This study has no {which} that could be exported.", code="no_outlines")
    try:
        volume, _ = load_volume(study.chosen_series)
    except UnscorableError as error:
        raise NothingToExportError(f"The images can't be exported: {error.message}.", code=error.code) from error
    hips = tuple(HipContent(result, by_key[key], unpack_mask(by_key[key])) for key, result in wanted.items() if key in by_key)
    return Contents(study, study.chosen_series, volume, hips)


def predictions(contents: Contents) -> dict[str, Mask]:
    """What the newest network drew of each hip, by side, whatever a person has made of it."""
    rows = Segmentation.objects.filter(series=contents.series, author=None).order_by("side", "created_at")
    rows = rows.filter(Q(model_version__is_in_force=True) | Q(pk__in=[hip.segmentation.pk for hip in contents.hips]))
    return {row.side: unpack_mask(row) for row in rows}


def derived_uid(purpose: str, key: str) -> str:
    """A UID that is the same for the same thing here, and tells nothing of it elsewhere."""
    return f"2.25.{uuid.UUID(bytes=keyed_digest(f'derived {purpose}', key)[:16], version=5).int}"
