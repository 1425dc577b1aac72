"""What a centre has decided about its studies, and what that means for one: the defaults hold where it has decided nothing."""

from collections.abc import Iterable
from typing import Any

from hipapp.accounts.models import Centre
from hipapp.imaging import protocol
from hipapp.imaging.models import ImagingPolicy, Series, Study
from ml.dicom.series import Series as Stack

REFUSED = "protocol"  # Study.refused_code and Score.refused_code of what the protocol forbids


def policy_of(centre: Centre) -> ImagingPolicy:
    """The centre's policy, saved or not."""
    return ImagingPolicy.objects.filter(centre=centre).first() or ImagingPolicy(centre=centre)


def acquisition_values(stack: Stack, spacing_mm: tuple[float, float, float]) -> dict[str, Any]:
    """What the protocol compares and `Series.tags` doesn't have otherwise: field of view, acquisition matrix, sequence.

    `spacing_mm` is (slice, row, column) of the Volume; the sides of the field of view don't depend on its orientation.
    """
    frame = stack.frames[0]
    sides = sorted((round(frame.rows * frame.pixel_spacing_mm[0], 1), round(frame.columns * frame.pixel_spacing_mm[1], 1)))
    values: dict[str, Any] = {"fov_short_mm": sides[0], "fov_long_mm": sides[1]}
    thickness = frame.numbers.get("SliceThickness")
    if thickness is not None:
        values["gap_mm"] = round(max(spacing_mm[0] - thickness, 0.0), 2)
    sizes = [int(float(word)) for word in frame.words.get("AcquisitionMatrix", ()) if word.replace(".", "", 1).isdigit()]
    enhanced = [
        frame.numbers.get(key) for key in ("MRAcquisitionFrequencyEncodingSteps", "MRAcquisitionPhaseEncodingStepsInPlane")
    ]
    if len(sizes) == 4 and max(sizes[:2]) and max(sizes[2:]):  # PS3.3 C.8.3.1: frequency rows\columns\phase rows\columns
        values |= {"matrix_frequency": max(sizes[:2]), "matrix_phase": max(sizes[2:])}
    elif all(enhanced):
        values |= {"matrix_frequency": int(enhanced[0] or 0), "matrix_phase": int(enhanced[1] or 0)}
    is_inversion = "IR" in frame.words.get("ScanningSequence", ()) or "YES" in frame.words.get("InversionRecovery", ())
    return {**values, "is_inversion": is_inversion}


def check_series(series: Series, policy: ImagingPolicy, hip_slices: int | None = None) -> protocol.Check:
    """Where a series deviates from what its centre expects; `hip_slices` of the hip with fewer, once they are known."""
    found = {
        **series.tags,
        protocol.PLANE: series.plane or None,
        protocol.FAT: series.is_fat_suppressed,
        "n_slices": series.n_slices,
        protocol.HIP_SLICES: hip_slices,
    }
    return protocol.check(found, policy.protocol)


def check_study(study: Study, n_role_slices: Iterable[int]) -> protocol.Check | None:
    """As `check_series`, of the series that is scored; None where there is none. `n_role_slices` of its scored hips.

    Takes no query where `chosen_series` and `centre__imaging_policy` were selected with the study.
    """
    if study.chosen_series is None:
        return None
    policy = getattr(study.centre, "imaging_policy", None) or ImagingPolicy()
    return check_series(study.chosen_series, policy, min((n for n in n_role_slices if n), default=None))


def forbidden(study: Study, check: protocol.Check) -> str:
    """Why the protocol forbids a score, in words; empty where it doesn't or a radiologist has decided otherwise."""
    if study.protocol_decision:
        return ""
    reasons = [
        one.words
        for one in check.forbidding
        if not (study.is_sequence_overridden and one.key == protocol.FAT)  # that a radiologist has decided already
    ]
    return f"The protocol of the centre forbids it: {', '.join(reasons)}." if reasons else ""
