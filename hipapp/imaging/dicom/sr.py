"""DICOM SR of a scored study: TID 1500 with UNet-score, its parts, automatic HIMRISS and volumes. No Django inside."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import highdicom
from highdicom import sr
from pydicom import Dataset
from pydicom.sr.codedict import codes

from ml.dicom.seg_write import Outline, strip_dates

SCHEME = "99HIPSPA"
SCHEME_NAME = "Hip inflammation in spondyloarthritis, private codes"
ONE = sr.CodedConcept("1", "UCUM", "no units")
POINTS = sr.CodedConcept("{score}", "UCUM", "score")
SLICES = sr.CodedConcept("{slices}", "UCUM", "slices")
ML = sr.CodedConcept("mL", "UCUM", "milliliter")
MRI_HIPS = sr.CodedConcept("36017-2", "LN", "MR Hip - bilateral")

# What is told of a hip: (private code, meaning, unit). No code of SNOMED CT, LOINC or DICOM exists for these.
MEASURES = {
    "unet_score": ("UNET-SCORE", "UNet-score", ONE),
    "interval_low": ("UNET-SCORE-LOW", "UNet-score, lower end of its interval", ONE),
    "interval_high": ("UNET-SCORE-HIGH", "UNet-score, upper end of its interval", ONE),
    "interval_level": ("UNET-SCORE-LEVEL", "Probability that the interval holds the true UNet-score", ONE),
    "bme_femoral": ("UNET-FEM-BME", "UNet-score, part from femoral bone marrow edema", ONE),
    "bme_acetabular": ("UNET-ACET-BME", "UNet-score, part from acetabular bone marrow edema", ONE),
    "synovitis": ("UNET-SE", "UNet-score, part from synovitis/effusion", ONE),
    "mean_per_slice": ("UNET-MEAN-SLICE", "UNet-score per assessable slice", ONE),
    "n_role_slices": ("N-ROLE-SLICES", "Slices with a role, of 15", SLICES),
    "n_assessable_slices": ("N-ASSESSABLE-SLICES", "Assessable slices, of 15", SLICES),
    "himriss_total": ("HIMRISS-TOTAL", "Automatic HIMRISS, compatible scheme", POINTS),
    "himriss_femoral": ("HIMRISS-FEM-BML", "Automatic HIMRISS, femoral bone marrow lesion", POINTS),
    "himriss_acetabular": ("HIMRISS-ACET-BML", "Automatic HIMRISS, acetabular bone marrow lesion", POINTS),
    "himriss_effusion": ("HIMRISS-SE", "Automatic HIMRISS, synovitis/effusion", POINTS),
}
VERDICTS = {
    "accepted": ("ACCEPTED", "Accepted by a radiologist"),
    "unreviewed": ("UNREVIEWED", "Not reviewed by a person"),
    "corrected": ("CORRECTED", "Corrected by a radiologist"),
}
_VOLUMES = {
    "femur": (codes.SCT.Femur, codes.SCT.Hip),
    "femoral_head": (codes.SCT.HeadOfFemur, codes.SCT.Hip),
    "bme": (codes.SCT.Edema, codes.SCT.BoneMarrow),
    "synovitis": (codes.SCT.Effusion, codes.SCT.HipJoint),
}


@dataclass(frozen=True)
class HipReport:
    """What is told of one hip: `measures` by the keys of MEASURES (missing ones are not told), `volumes_ml` by label."""

    side: str
    verdict: str
    algorithm: tuple[str, str]
    tracking_uid: str
    measures: dict[str, float]
    volumes_ml: dict[str, float] = field(default_factory=dict)


def write_sr(
    images: Sequence[Dataset],
    seg: Dataset,
    outlines: Sequence[Outline],
    hips: Sequence[HipReport],
    *,
    uid: str,
    series_uid: str,
    device_uid: str,
    product: str,
    version: str,
) -> Dataset:
    """A measurement report over the images and the segmentation of a study.

    Parameters
    ----------
    images : of the scored series, without identity: whose it is is taken over
    seg, outlines : the segmentation and the outlines it was made of, in the order of its segments

    References
    ----------
    DICOM PS3.16 TID 1500, TID 1411, TID 1501.
    """
    groups: list[Any] = []
    for hip in hips:
        groups.append(_scores(hip))
        for number, outline in enumerate(outlines, start=1):
            if outline.side == hip.side and outline.label in hip.volumes_ml:
                groups.append(_volume(hip, outline, seg, number))
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=device_uid, name=product, manufacturer_name=product, model_name=product, serial_number=version
    )
    observer = sr.ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=device)
    report = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=observer),
        procedure_reported=MRI_HIPS,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = sr.ComprehensiveSR(
            evidence=[*images, seg],
            content=report,
            series_instance_uid=series_uid,
            series_number=101,
            sop_instance_uid=uid,
            instance_number=1,
            manufacturer=product,
            is_complete=True,
            is_final=all(hip.verdict != "unreviewed" for hip in hips),
        )
    made.ManufacturerModelName, made.SoftwareVersions, made.DeviceSerialNumber = product, version, version
    made.SeriesDescription = "Hip inflammation, measurements"
    made.CodingSchemeIdentificationSequence = [_scheme()]
    strip_dates(made, images[0])
    return made


def read_sr(dataset: Dataset) -> dict[str, dict[str, float]]:
    """The figures of a report of ours: by side, then by the keys of MEASURES and `LABEL_ml`."""
    found: dict[str, dict[str, float]] = {}
    report: Any = sr.ComprehensiveSR.from_dataset(dataset).content
    known = {code: key for key, (code, _, _) in MEASURES.items()}
    labels = {kind.value: label for label, (kind, _) in _VOLUMES.items()}
    for group in [*report.get_image_measurement_groups(), *report.get_volumetric_roi_measurement_groups()]:
        site = group.finding_sites[0]
        side = "right" if site.laterality == codes.SCT.Right else "left"
        own = found.setdefault(side, {})
        for measure in group.get_measurements():
            if measure.name.value in known:
                own[known[measure.name.value]] = float(measure.value)
            elif measure.name == codes.SCT.Volume and group.finding_type is not None:
                own[f"{labels[group.finding_type.value]}_ml"] = float(measure.value)
    return found


def _scores(hip: HipReport) -> sr.MeasurementsAndQualitativeEvaluations:
    algorithm = sr.AlgorithmIdentification(name=hip.algorithm[0], version=hip.algorithm[1])
    verdict = VERDICTS[hip.verdict]
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=hip.tracking_uid, identifier=f"Hip, {hip.side}"),
        finding_type=codes.SCT.Lesion,
        finding_sites=[_site(codes.SCT.HipJoint, hip.side)],
        algorithm_id=algorithm,
        measurements=[_measure(key, hip.measures[key]) for key in MEASURES if key in hip.measures],
        qualitative_evaluations=[
            sr.QualitativeEvaluation(
                name=sr.CodedConcept("REVIEW", SCHEME, "Review"), value=sr.CodedConcept(verdict[0], SCHEME, verdict[1])
            )
        ],
    )


def _volume(
    hip: HipReport, outline: Outline, seg: Dataset, number: int
) -> sr.VolumetricROIMeasurementsAndQualitativeEvaluations | sr.MeasurementsAndQualitativeEvaluations:
    kind, place = _VOLUMES[outline.label]
    common = {
        "tracking_identifier": sr.TrackingIdentifier(uid=outline.tracking_uid, identifier=outline.name),
        "finding_type": kind,
        "finding_sites": [_site(place, hip.side)],
        "measurements": [sr.Measurement(name=codes.SCT.Volume, value=round(hip.volumes_ml[outline.label], 4), unit=ML)],
    }
    if not outline.mask.any():  # a segment without frames can't be pointed at
        return sr.MeasurementsAndQualitativeEvaluations(**common)
    segment = sr.ReferencedSegment.from_segmentation(seg, segment_number=number)
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(referenced_segment=segment, **common)


def _measure(key: str, value: float) -> sr.Measurement:
    code, meaning, unit = MEASURES[key]
    return sr.Measurement(name=sr.CodedConcept(code, SCHEME, meaning[:64]), value=float(f"{value:.10g}"), unit=unit)


def _site(place: highdicom.sr.CodedConcept, side: str) -> sr.FindingSite:
    return sr.FindingSite(anatomic_location=place, laterality=codes.SCT.Right if side == "right" else codes.SCT.Left)


def _scheme() -> Dataset:
    item = Dataset()
    item.CodingSchemeDesignator, item.CodingSchemeName = SCHEME, SCHEME_NAME
    item.CodingSchemeResponsibleOrganization = "hipapp"
    return item
