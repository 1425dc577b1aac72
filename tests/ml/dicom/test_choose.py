"""Which series is scored, which is refused, and in what words."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ml.dicom import UnscorableError, best_coronal, choose_series, read_datasets, weigh
from tests.builders import dicom as build

ABSENT = {k: None for k in build.STIR}
LARGE = (12, 20, 24)


def study_of(*series: list) -> object:
    return read_datasets(build.named([dataset for datasets in series for dataset in datasets]))


def series(uid: str, shape=LARGE, spacing_mm=(4.0, 15.0, 15.0), rotation=None, **tags) -> list:
    stack = build.random_stack(shape, spacing_mm=spacing_mm, rotation=rotation)
    return build.classic(stack, series_uid=f"{build.STUDY_UID}.{uid}", **tags)


def refusal(*all_series: list, **kwargs) -> UnscorableError:
    with pytest.raises(UnscorableError) as caught:
        choose_series(study_of(*all_series), **kwargs)
    return caught.value


@pytest.mark.parametrize(
    ("tags", "evidence"),
    [
        (build.STIR, "inversion recovery, TI 145 ms"),
        ({**build.STIR, "ScanningSequence": "IR", "InversionTime": 220, "SeriesDescription": "x"}, "TI 220 ms"),
        ({**ABSENT, **build.T2, "InversionTime": 160, "SeriesDescription": "t2_tirm_cor"}, "TI 160 ms and its name"),
        ({**ABSENT, **build.T2, "ScanOptions": ["PFP", "FS"], "SeriesDescription": "x"}, "Scan Options FS"),
        ({**ABSENT, **build.T2, "ScanOptions": "SAT1\\SFS", "SeriesDescription": "x"}, "Scan Options SFS"),
        ({**ABSENT, **build.T2, "ImageType": ["DERIVED", "PRIMARY", "M", "WATER"], "SeriesDescription": "x"}, "water"),
        ({**ABSENT, "SeriesDescription": "COR STIR HIPS"}, "STIR by its name only"),
        ({**ABSENT, **build.T2, "SeriesDescription": "T2_TIRM_COR"}, "STIR by its name only"),
        ({**ABSENT, **build.T2, "SeriesDescription": "t2_tse_fs_cor"}, "by its name only ('fs')"),
        ({**ABSENT, **build.T2, "SeriesDescription": "COR T2 FatSat"}, "by its name only ('fatsat')"),
        ({**ABSENT, **build.T2, "SeriesDescription": "PDFS cor"}, "by its name only ('fs')"),
        ({**ABSENT, **build.T2, "SeriesDescription": "T2 SPAIR cor"}, "by its name only ('spair')"),
        ({**ABSENT, **build.T2, "SeriesDescription": "t2_dixon_cor_W"}, "by its name only"),
    ],
)
def test_accepted_with_its_evidence(tags, evidence):
    choice = choose_series(study_of(series("1", **tags)))
    assert choice.fat_suppressed
    assert choice.plane == "coronal"
    assert evidence.lower() in choice.why.lower()


@pytest.mark.parametrize(
    ("tags", "code", "words"),
    [
        ({**ABSENT, **build.T2, "SeriesDescription": "t2_tse_cor"}, "not_fat_suppressed", "T2-weighted"),
        ({**ABSENT, **build.T2, "SeriesDescription": "t2_tse_cor_noFS"}, "not_fat_suppressed", "fat is not"),
        ({**ABSENT, **build.T2, "SeriesDescription": "T2 cor without fat sat"}, "not_fat_suppressed", "fat is not"),
        ({**ABSENT, **build.T1, "SeriesDescription": "t1_cor"}, "not_fat_suppressed", "T1-weighted"),
        ({**build.STIR, "InversionTime": 2200, "SeriesDescription": "stir"}, "not_fat_suppressed", "fat is not"),
        ({**ABSENT, **build.T2, "ImageType": ["DERIVED", "PRIMARY", "M", "FAT"]}, "not_fat_suppressed", "fat is not"),
        ({**ABSENT, **build.T1, "ScanOptions": "FS", "ContrastBolusAgent": "Gd"}, "not_fluid_sensitive", "enhancement"),
        ({**ABSENT, **build.T1, "SeriesDescription": "t1_fs_cor_KM"}, "not_fluid_sensitive", "after contrast"),
        ({**ABSENT, **build.T1, "SeriesDescription": "COR STIR"}, "not_fluid_sensitive", "T1-weighted"),
        ({**ABSENT, "ScanningSequence": "GR", "ScanOptions": "FS"}, "not_fluid_sensitive", "gradient echo"),
        ({**ABSENT, "ScanOptions": "FS", "SeriesDescription": "x"}, "not_fluid_sensitive", "neither TR and TE"),
        ({**build.STIR, "ImageType": ["ORIGINAL", "PRIMARY", "P"]}, "not_fat_suppressed", "phase"),
        ({**build.STIR, "ImageType": ["DERIVED", "SECONDARY", "MIP"]}, "not_fat_suppressed", "projection"),
    ],
)
def test_refused_with_the_reason(tags, code, words):
    error = refusal(series("1", **tags))
    assert error.code == code
    assert words in error.message
    assert len(error.candidates) == 1


def test_a_person_may_override_the_sequence_but_not_the_plane():
    study = study_of(series("1", **{**ABSENT, **build.T2, "SeriesDescription": "t2_tse_cor"}))
    choice = choose_series(study, any_sequence=True)
    assert not choice.fat_suppressed
    assert any("because a person asked" in warning for warning in choice.warnings)
    axial = Rotation.from_euler("x", 90, degrees=True).as_matrix()
    assert refusal(series("1", rotation=axial), any_sequence=True).code == "wrong_plane"
    few = series("1", (4, 8, 8), **{**ABSENT, **build.T2, "SeriesDescription": "t2_tse_cor"})
    assert refusal(few, any_sequence=True).code == "too_few_slices"


def test_plane_is_within_25_degrees():
    for degrees, code in ((24.0, None), (26.0, "wrong_plane")):
        rotation = Rotation.from_euler("x", degrees, degrees=True).as_matrix()
        if code is None:
            assert choose_series(study_of(series("1", rotation=rotation))).plane == "coronal"
        else:
            error = refusal(series("1", rotation=rotation))
            assert (error.code, "oblique" in error.message) == (code, True)


def test_too_few_slices_is_said_with_everything_else_that_is_wrong():
    assert refusal(series("1", (4, 8, 8))).code == "too_few_slices"
    t2 = {**ABSENT, **build.T2, "SeriesDescription": "t2"}
    error = refusal(series("1", (5, 8, 8), spacing_mm=(10.5, 40, 40), **t2))
    assert error.code == "not_fat_suppressed"
    assert "too few slices: 5, of which about 4" in error.message
    found = best_coronal(study_of(series("1", (5, 8, 8), spacing_mm=(10.5, 40, 40), **t2)))
    assert found is not None
    assert found.volume.pixels.shape == (5, 8, 8)


def test_most_hip_slices_win_and_both_hips_count_twice():
    small_field = series("1", (20, 20, 24), spacing_mm=(3.0, 8.0, 8.0))  # 192 mm: one hip
    both_hips = series("2", (15, 20, 24))  # 360 mm
    t1 = series("3", (30, 20, 24), **{**ABSENT, **build.T1, "SeriesDescription": "t1"})
    choice = choose_series(study_of(small_field, both_hips, t1))
    assert choice.series.uid.endswith(".2")
    assert "preferred to 1 other" in choice.why
    assert [c.code for c in choice.candidates] == ["", "", "not_fat_suppressed"]


def test_a_series_of_three_planes_is_split():
    turns = [None, Rotation.from_euler("x", 90, degrees=True), Rotation.from_euler("z", 90, degrees=True)]
    datasets = []
    for i, turn in enumerate(turns):
        rotation = None if turn is None else turn.as_matrix()
        part = series("1", (5 + i, 8, 8), rotation=rotation)
        for dataset in part:
            dataset.SOPInstanceUID += f".{i}"
        datasets += part
    study = study_of(datasets[::-1])
    assert sorted((s.plane, s.n_slices) for s in study.series) == [("axial", 6), ("coronal", 5), ("sagittal", 7)]
    assert {s.uid for s in study.series} == {f"{build.STUDY_UID}.1"}
    assert sorted(s.part for s in study.series) == [0, 1, 2]


def test_a_missing_slice_is_refused_and_named():
    datasets = series("1")
    error = refusal(datasets[:5] + datasets[6:])
    assert error.code == "inconsistent"
    assert "between slices 5 and 6 lie 8.0 mm instead of 4.0 mm: 1 slice(s) missing" in error.message
    found = best_coronal(study_of(datasets[:5] + datasets[6:]))
    assert found is not None
    assert any("missing" in warning for warning in found.warnings)


def test_uneven_spacing_is_a_warning():
    datasets = series("1")
    datasets[-1].ImagePositionPatient[1] += 0.5
    assert any("uneven" in warning for warning in choose_series(study_of(datasets)).warnings)


def test_tilted_and_shifted_slices_are_refused():
    tilted = series("1")
    tilted[3].ImageOrientationPatient = [1, 0, 0, 0, np.sin(np.radians(3)), -np.cos(np.radians(3))]
    assert "not parallel" in refusal(tilted).message
    shifted = series("1")
    for dataset in shifted[::2]:
        dataset.ImagePositionPatient[0] += 9
    assert "shifted" in refusal(shifted).message


def test_duplicates_are_dropped_with_a_warning():
    datasets = series("1")
    choice = choose_series(study_of(datasets + datasets[:3]))
    assert choice.volume.pixels.shape[0] == len(datasets)
    assert any("came twice" in warning for warning in choice.warnings)


def test_repeats_told_apart_by_a_tag_are_two_stacks():
    first, second = series("1", AcquisitionNumber=1), series("1", AcquisitionNumber=2)
    for dataset in second:
        dataset.SOPInstanceUID += ".2"
    assert [s.n_slices for s in study_of(first, second).series] == [12, 12]
    for dataset in second:
        dataset.AcquisitionNumber = 1
    (only,) = study_of(first, second).series
    assert any("another one lies" in warning for warning in only.warnings)


def test_repeats_told_apart_by_two_tags_together_are_as_many_stacks():
    stack = build.random_stack((5, 12, 16))
    datasets = []
    for number, (b_value, time) in enumerate([(0, 1), (0, 2), (800, 1), (800, 2)]):
        tags = {"DiffusionBValue": float(b_value), "TemporalPositionIdentifier": time}
        for dataset in build.classic(stack, **tags):
            dataset.SOPInstanceUID = f"{dataset.SOPInstanceUID}.{number}"
            datasets.append(dataset)
    study = read_datasets(build.named(datasets))
    assert [series.n_slices for series in study.series] == [5, 5, 5, 5]
    assert {series.frames[0].numbers["DiffusionBValue"] for series in study.series} == {0.0, 800.0}
    assert all(series.warnings == () for series in study.series)


@pytest.mark.parametrize(
    "tags",
    [
        [{"EchoNumbers": 1}, {"EchoNumbers": 2}],
        [{"EchoTime": 20}, {"EchoTime": 90}],
        [{"ImageType": ["ORIGINAL", "PRIMARY", "M"]}, {"ImageType": ["ORIGINAL", "PRIMARY", "P"]}],
        [{"ImageType": ["ORIGINAL", "PRIMARY", "M"]}, {"ImageType": ["DERIVED", "PRIMARY", "MIP"]}],
        [{"ImageType": ["ORIGINAL", "PRIMARY", "M"]}, {"ImageType": ["DERIVED", "PRIMARY", "M"]}],
        [{"DiffusionBValue": 0.0}, {"DiffusionBValue": 800.0}],
        [{"TemporalPositionIdentifier": 1}, {"TemporalPositionIdentifier": 2}],
        [{"TriggerTime": 0.0}, {"TriggerTime": 400.0}],
        [{"InversionTime": 145}, {"InversionTime": 2200}],
        [{"AcquisitionNumber": 1}, {"AcquisitionNumber": 2}],
    ],
)
def test_one_series_of_two_kinds_is_two_stacks_whatever_order_the_files_have(tags):
    stack = build.random_stack((5, 12, 16))
    datasets = []
    for number, values in enumerate(tags):
        for dataset in build.classic(stack, **values):
            dataset.SOPInstanceUID = f"{dataset.SOPInstanceUID}.{number}"
            datasets.append(dataset)
    for ordered in (datasets, datasets[::-1], datasets[::2] + datasets[1::2]):
        study = read_datasets(build.named(ordered))
        assert [(series.n_slices, series.warnings) for series in study.series] == [(5, ()), (5, ())]


def test_another_series_is_taken_where_the_best_is_broken():
    broken = series("1", (14, 8, 8))
    choice = choose_series(study_of(broken[:5] + broken[6:], series("2", (12, 8, 8))))
    assert choice.series.uid.endswith(".2")
    assert "inconsistent" in {c.code for c in choice.candidates}


def test_nothing_to_read():
    with pytest.raises(UnscorableError) as caught:
        choose_series(read_datasets([]))
    assert caught.value.code == "no_images"
    ct = series("1", (1, 8, 8), Modality="CT", SOPClassUID="1.2.840.10008.5.1.4.1.1.2")
    assert refusal(ct).code == "no_mr"
    unplaced = series("1", (5, 8, 8))
    for dataset in unplaced:
        del dataset.ImagePositionPatient
    assert refusal(unplaced).code == "no_geometry"


def test_every_candidate_is_listed_whatever_becomes_of_it():
    axial = Rotation.from_euler("x", 90, degrees=True).as_matrix()
    candidates = weigh(study_of(series("1"), series("2", rotation=axial), series("3", **{**ABSENT, **build.T1})))
    assert [(c.code, c.plane, c.n_slices) for c in candidates] == [
        ("", "coronal", 12),
        ("not_fluid_sensitive", "coronal", 12),
        ("wrong_plane", "axial", 12),
    ]
    assert all(c.why for c in candidates)
