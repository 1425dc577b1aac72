"""DICOM SEG and SR of a study: made from the outlines that count, noted so that they are known when they come back."""

import functools
import tomllib
from pathlib import Path

from django.conf import settings
from pydicom import Dataset

from hipapp.imaging.dicom.derived import content_hash
from hipapp.imaging.dicom.sr import HipReport, write_sr
from hipapp.imaging.export.contents import PRODUCT, Contents, HipContent, NothingToExportError, derived_uid
from hipapp.imaging.models import DerivedObject
from ml.dicom.errors import RefusedFileError
from ml.dicom.parse import parse
from ml.dicom.seg_write import Outline, to_bytes, write_seg
from ml.labels import BITS, LABELS
from scoring.errors import ScoringError
from scoring.mri.himriss_automatic import automatic_himriss

SEG, SR = DerivedObject.Kind.SEG, DerivedObject.Kind.SR
_SCORES = (
    *("unet_score", "interval_low", "interval_high", "interval_level"),
    *("bme_femoral", "bme_acetabular", "synovitis", "mean_per_slice"),
)
_COUNTS = ("n_role_slices", "n_assessable_slices")


@functools.cache
def product_version() -> str:
    """Version of this software."""
    text = (Path(settings.BASE_DIR) / "pyproject.toml").read_text(encoding="utf-8")
    return str(tomllib.loads(text)["project"]["version"])


def make_seg(contents: Contents) -> Dataset:
    """One segment for each label of each hip, with the network or the correction named; the same outlines give the same UIDs.

    Raises
    ------
    NothingToExportError
        The images can't carry a segmentation.
    """
    words = ", ".join(contents.models)
    try:
        made = write_seg(
            contents.images,
            contents.volume,
            outlines_of(contents),
            uid=derived_uid("seg", contents.key),
            series_uid=derived_uid("seg series", contents.key),
            series_number=100,
            creator="Reader" if any(hip.is_corrected for hip in contents.hips) else PRODUCT,
            description=f"Hip outlines, research use only{f' ({words})' if words else ''}",
            product=PRODUCT,
            version=product_version(),
        )
    except RefusedFileError as error:
        raise NothingToExportError(f"No segmentation can be made: the series {error}.", code="no_seg") from error
    _note(contents, made, SEG)
    return made


def make_sr(contents: Contents) -> Dataset:
    """UNet-score, its parts, automatic HIMRISS and volumes of each hip over the study's segmentation (TID 1500)."""
    seg = make_seg(contents)
    made = write_sr(
        contents.images,
        seg,
        outlines_of(contents),
        [_report(contents, hip) for hip in contents.hips],
        uid=derived_uid("sr", contents.key + _verdicts(contents)),
        series_uid=derived_uid("sr series", contents.key),
        device_uid=derived_uid("device", ""),
        product=PRODUCT,
        version=product_version(),
    )
    _note(contents, made, SR)
    return made


def outlines_of(contents: Contents) -> list[Outline]:
    """The segments of a study in a fixed order: right before left, the labels as `ml.labels` has them."""
    return [
        Outline(
            label=label,
            side=hip.side,
            mask=(hip.mask & BITS[label]) > 0,
            tracking_uid=derived_uid("tracking", f"{contents.study.pk} {hip.side} {label}"),
            algorithm_type=_algorithm_type(hip),
            algorithm=hip.model,
        )
        for hip in contents.hips
        for label in LABELS
    ]


def _algorithm_type(hip: HipContent) -> str:
    if not hip.is_corrected:
        return "AUTOMATIC"
    return "SEMIAUTOMATIC" if hip.model else "MANUAL"


def _report(contents: Contents, hip: HipContent) -> HipReport:
    result = hip.result
    measures = {key: float(value) for key in _SCORES if (value := getattr(result, key)) is not None}
    measures |= {key: float(getattr(result, key)) for key in _COUNTS}
    return HipReport(
        side=hip.side,
        verdict="corrected" if hip.is_corrected else result.review if result.review == "accepted" else "unreviewed",
        algorithm=hip.model or (PRODUCT, product_version()),
        tracking_uid=derived_uid("tracking", f"{contents.study.pk} {hip.side}"),
        measures=measures | _himriss(contents, hip),
        volumes_ml=contents.volumes_ml(hip),
    )


def _himriss(contents: Contents, hip: HipContent) -> dict[str, float]:
    """Automatic HIMRISS of a hip; nothing where its outlines show too little of the head."""
    try:
        score = automatic_himriss(hip.mask, contents.volume.spacing_mm, hip.side).score
    except ScoringError:
        return {}
    found = {
        "himriss_total": score.total,
        "himriss_femoral": score.femoral_bme,
        "himriss_acetabular": score.acetabular_bme,
        "himriss_effusion": score.effusion,
    }
    return {key: float(value) for key, value in found.items() if value is not None}


def _verdicts(contents: Contents) -> str:
    return " ".join(hip.result.review for hip in contents.hips)


def _note(contents: Contents, made: Dataset, kind: str) -> None:
    DerivedObject.objects.get_or_create(
        study=contents.study,
        sop_uid=str(made.SOPInstanceUID),
        defaults={"kind": kind, "content_sha256": content_hash(parse(to_bytes(made)))},
    )
