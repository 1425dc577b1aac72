"""Every score by name, with formula, range, source and a worked example: what `python -m scoring` and the reference show."""

from collections.abc import Callable
from dataclasses import dataclass

from scoring.clinical.asas import asas_axial, inflammatory_back_pain
from scoring.clinical.asdas import asdas_crp, asdas_esr
from scoring.clinical.basdai import basdai
from scoring.clinical.basfi import basfi
from scoring.clinical.basmi import basmi, basmi_3point
from scoring.clinical.basri import basri_hip
from scoring.clinical.change import asdas_change, basdai50, basdai_change, basfi_change
from scoring.clinical.harris import harris
from scoring.clinical.hoos import hoos
from scoring.clinical.new_york import modified_new_york
from scoring.clinical.response import asas_5_6, asas_response
from scoring.clinical.vas import vas
from scoring.mri.grading import grade_share
from scoring.mri.himriss import hip_totals, patient_totals
from scoring.mri.unet_score import score_sums
from scoring.result import IndexResult


@dataclass(frozen=True)
class Entry:
    """One score of the catalogue; `example` is what stands after its name on the command line."""

    name: str
    title: str
    function: Callable[..., IndexResult]
    formula: str
    range: str
    source: str
    example: str


def himriss(femoral_bme: float | None, acetabular_bme: float | None, effusion: float | None) -> IndexResult:
    """HIMRISS of one hip from three sub-scores: femoral BME + acetabular BME + effusion.

    Parameters
    ----------
    femoral_bme, acetabular_bme, effusion : float 0–65, 0–35, 0–30; all three None for a hip that is not assessable

    Notes
    -----
    Not assessable is not 0. Zero is not the normal value either: hips without involvement score about 14 (Man 2021).
    """
    totals = hip_totals(femoral_bme, acetabular_bme, effusion)
    missing = () if totals.total is not None else ("femoral_bme", "acetabular_bme", "effusion")
    return IndexResult(
        "himriss",
        totals.total,
        missing=missing,
        missing_rule="not assessable: no value" if missing else "",
        form="totals",
        parts={
            "femoral_bme": totals.femoral_bme,
            "acetabular_bme": totals.acetabular_bme,
            "effusion": totals.effusion,
            "bme": totals.bme,
        },
    )


def himriss_patient(right: float | None, left: float | None) -> IndexResult:
    """HIMRISS of both hips: sum, with mean and worst hip beside it.

    Parameters
    ----------
    right, left : float 0–130, or None for a hip that is not assessable

    Notes
    -----
    Sum and mean need both hips; the worst says which hips it could compare.
    """
    both = patient_totals(right, left)
    missing = tuple(side for side, score in (("right", both.right), ("left", both.left)) if score is None)
    return IndexResult(
        "himriss_patient",
        both.sum,
        missing=missing,
        missing_rule="a hip not assessable: no sum and no mean" if missing else "",
        form="totals",
        parts={
            "mean": both.mean,
            "worst": both.worst,
            "worst_score": both.worst_score,
            "worst_of": ", ".join(both.worst_of),
        },
    )


def bme_grade(share_percent: float) -> IndexResult:
    """3-D grade of BME by its share of the femoral head's volume.

    Parameters
    ----------
    share_percent : float 0–100
    """
    grade = grade_share(share_percent)
    return IndexResult("bme_grade", float(grade), state=f"grade {grade}")


_ITEMS = "back_pain=4 stiffness_duration=3 patient_global=4 peripheral_pain=2"
_HARRIS = (
    "pain=30 limp=8 support=11 distance=8 stairs=2 shoes=4 sitting=5 transport=1 fixed_flexion_under_30=true "
    "fixed_adduction_under_10=true fixed_internal_rotation_under_10=true leg_difference_under_3_2_cm=true "
    "flexion_deg=100 abduction_deg=18 external_rotation_deg=12 adduction_deg=10"
)
_BASMI = "lateral_flexion_cm=12 tragus_to_wall_cm=14 schober_cm=4.5 intermalleolar_cm=100 cervical_rotation_deg=60"
_LUKAS = "Lukas C et al. Ann Rheum Dis 2009;68:18; states Machado P et al. 2011;70:47 and 2018;77:1539"

ENTRIES = (
    Entry(
        "basdai",
        "BASDAI, disease activity",
        basdai,
        "(q1 + q2 + q3 + q4 + (q5 + q6) / 2) / 5",
        "0 to 10; active from 4",
        "Garrett S et al. J Rheumatol 1994;21:2286",
        "q1=1 q2=2 q3=3 q4=4 q5=5 q6=10",
    ),
    Entry(
        "asdas_crp",
        "ASDAS-CRP, disease activity",
        asdas_crp,
        "0.121·back_pain + 0.058·stiffness_duration + 0.110·patient_global + 0.073·peripheral_pain + 0.579·ln(CRP + 1), CRP in "
        "mg/L and at least 2; form=2-decimal: 0.12, 0.06, 0.11, 0.07, 0.58",
        "0.636 upwards; inactive < 1.3 ≤ low < 2.1 ≤ high ≤ 3.5 < very high",
        _LUKAS + "; floor Machado P et al. Arthritis Rheumatol 2015;67:408",
        f"{_ITEMS} crp_mg_l=11.8",
    ),
    Entry(
        "asdas_esr",
        "ASDAS-ESR, disease activity where CRP is missing",
        asdas_esr,
        "0.079·back_pain + 0.069·stiffness_duration + 0.113·patient_global + 0.086·peripheral_pain + 0.293·√ESR, ESR in mm/h; "
        "form=2-decimal: 0.08, 0.07, 0.11, 0.09, 0.29",
        "0 upwards; states as ASDAS-CRP",
        _LUKAS,
        f"{_ITEMS} esr_mm_h=18.25",
    ),
    Entry(
        "asdas_change",
        "Change of ASDAS",
        asdas_change,
        "follow_up − baseline",
        "major improvement ≤ −2.0, clinically important improvement ≤ −1.1, clinically important worsening ≥ +0.9",
        "Machado P et al. Ann Rheum Dis 2011;70:47; Moltó A et al. Ann Rheum Dis 2018;77:124",
        "baseline=2.8 follow_up=1.7",
    ),
    Entry(
        "basdai50",
        "BASDAI50 response",
        basdai50,
        "100 · (baseline − follow_up) / baseline",
        "percent; responder from 50",
        "Braun J et al. Ann Rheum Dis 2003;62:817",
        "baseline=6 follow_up=3",
    ),
    Entry(
        "basdai_change",
        "Change of BASDAI",
        basdai_change,
        "follow_up − baseline",
        "−10 to 10; clinically important improvement from −0.7, or −1.1 when the baseline was 4 or more",
        "Kviatkovsky MJ et al. J Rheumatol 2016;43:1680",
        "baseline=5.4 follow_up=4.2",
    ),
    Entry(
        "harris",
        "Harris hip score, one hip",
        harris,
        "pain (44) + limp, support, distance, stairs, shoes, sitting, transport (47) + absence of deformity (4, all or "
        "nothing) + range of motion (0.05 · index, at most 5)",
        "0 to 100; excellent from 90, good from 80, fair from 70, else poor",
        "Harris WH. J Bone Joint Surg Am 1969;51:737",
        _HARRIS,
    ),
    Entry(
        "basfi",
        "BASFI, function",
        basfi,
        "mean of q1 … q10",
        "0 to 10",
        "Calin A et al. J Rheumatol 1994;21:2281",
        "q1=2 q2=3 q3=1 q4=4 q5=2 q6=0 q7=5 q8=3 q9=2 q10=6",
    ),
    Entry(
        "basfi_change",
        "Change of BASFI",
        basfi_change,
        "follow_up − baseline",
        "−10 to 10; clinically important improvement from −0.4, or −0.6 when BASDAI was 4 or more",
        "Kviatkovsky MJ et al. J Rheumatol 2016;43:1680",
        "baseline=5 follow_up=4.5 baseline_basdai=5",
    ),
    Entry(
        "basmi",
        "BASMI, linear",
        basmi,
        "mean of (21.1 − lateral flexion)/2.1, (tragus to wall − 8)/3, (7.4 − Schober)/0.7, (124.5 − intermalleolar)/10, "
        "(89.3 − cervical rotation)/8.5, each within 0 to 10",
        "0 to 10",
        "van der Heijde D et al. Ann Rheum Dis 2008;67:489",
        _BASMI,
    ),
    Entry(
        "basmi_3point",
        "BASMI, 3-point",
        basmi_3point,
        "sum of five measurements of 0, 1 or 2 points",
        "0 to 10",
        "Jenkinson TR et al. J Rheumatol 1994;21:1694",
        _BASMI,
    ),
    Entry(
        "hoos",
        "HOOS subscales",
        hoos,
        "100 − mean of the answered items · 100 / 4, for each subscale",
        "0 to 100 (no problems); no total",
        "Nilsdotter AK et al. BMC Musculoskelet Disord 2003;4:10",
        "pain=1,2,1,0,3,2,1,1,2,0",
    ),
    Entry(
        "vas",
        "Pain, visual analogue scale",
        vas,
        "value in cm, or mm / 10",
        "0 to 10",
        "Huskisson EC. Lancet 1974;2:1127",
        "value=37 unit=mm",
    ),
    Entry(
        "basri_hip",
        "BASRI-hip, radiographic grade of one hip",
        basri_hip,
        "grade by joint space, + 1 (at most 4) with two of erosions, osteophytes, protrusio",
        "0 normal, 1 suspicious, 2 mild, 3 moderate, 4 severe; definite involvement from 2",
        "MacKay K et al. J Rheumatol 2000;27:2866",
        "grade=2 erosions=true osteophytes=true",
    ),
    Entry(
        "inflammatory_back_pain",
        "Inflammatory back pain",
        inflammatory_back_pain,
        "at least four of five parameters",
        "1 met, 0 not met",
        "Sieper J et al. Ann Rheum Dis 2009;68:784",
        "onset_under_40=true insidious_onset=true improves_with_exercise=true no_improvement_with_rest=true night_pain=false",
    ),
    Entry(
        "asas_axial",
        "ASAS criteria, axial spondyloarthritis",
        asas_axial,
        "entry (back pain ≥ 3 months, onset < 45 years) and: sacroiliitis + 1 SpA feature (imaging arm), or HLA-B27 + 2 other "
        "features (clinical arm)",
        "1 met, 0 not met",
        "Rudwaleit M et al. Ann Rheum Dis 2009;68:777",
        "back_pain_months=6 age_at_onset_years=30 sacroiliitis_mri=true inflammatory_back_pain=true",
    ),
    Entry(
        "modified_new_york",
        "Modified New York criteria",
        modified_new_york,
        "radiological criterion (grade ≥ 2 on both sides or ≥ 3 on one) and at least one clinical criterion",
        "1 definite, 0 probable or not met",
        "van der Linden S et al. Arthritis Rheum 1984;27:361",
        "grade_right=2 grade_left=2 inflammatory_back_pain=true",
    ),
    Entry(
        "asas_response",
        "ASAS20, ASAS40, partial remission",
        asas_response,
        "≥ 20 % and 1 unit (ASAS40: ≥ 40 % and 2 units) better in 3 of patient global, pain, BASFI, inflammation; the fourth not "
        "worse by 20 % and 1 unit (ASAS40: not worse at all)",
        "40, 20 or 0: the highest level reached",
        "Anderson JJ et al. Arthritis Rheum 2001;44:1876; Brandt J et al. Ann Rheum Dis 2004;63:1438",
        "baseline=6,6,5,6 follow_up=3,3,3,6",
    ),
    Entry(
        "asas_5_6",
        "ASAS 5/6 response",
        asas_5_6,
        "≥ 20 % better in five of patient global, pain, BASFI, inflammation, CRP, lateral flexion",
        "0 to 6 domains improved; responder from 5",
        "Brandt J et al. Ann Rheum Dis 2004;63:1438",
        "baseline=6,6,5,6,20,8 follow_up=4,4,4,5.5,5,10",
    ),
    Entry(
        "unet_score",
        "UNet-score, one hip, from sums per slice",
        score_sums,
        "Σ over slices with a role of (Σ intensity over the lesion ÷ Σ intensity over the femoral head)",
        "0 upwards, not bounded by 1",
        "Zheng Y et al. Front Physiol 2023;14:1132214",
        "lesion=0,120,340,510,260,80,0,0,40,10 head=2100,2600,2900,3000,2950,2800,2500,2200,1900,1500",
    ),
    Entry(
        "himriss",
        "HIMRISS, one hip, from sub-scores",
        himriss,
        "femoral BME (0–65) + acetabular BME (0–35) + effusion (0–30)",
        "0 to 130; BME 0 to 100",
        "Maksymowych WP et al. ACR 2012, abstract 1033; J Rheumatol 2014;41:370",
        "femoral_bme=11 acetabular_bme=7 effusion=9",
    ),
    Entry(
        "himriss_patient",
        "HIMRISS, both hips",
        himriss_patient,
        "right + left",
        "0 to 260",
        "Zheng Y et al. Int J Rheum Dis 2019",
        "right=27 left=14",
    ),
    Entry(
        "bme_grade",
        "3-D grade of BME in the femoral head",
        bme_grade,
        "1: share < 15 %; 2: 15 to below 30 %; 3: 30 % and more of the head's volume",
        "1 to 3",
        "Han Q et al. Mod Rheumatol 2021, roab073",
        "share_percent=18",
    ),
)
BY_NAME = {entry.name: entry for entry in ENTRIES}
