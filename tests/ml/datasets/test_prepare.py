"""Data sets from files: the same voxels whatever the layout, and a reason for everything that is left out."""

import itertools
import json
import shutil
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from ml.bundle import DEFAULT as DEFAULT_BUNDLE
from ml.datasets import command, read
from ml.labels import BITS, LABELS
from tests.ml.datasets.cases import (
    LEFT,
    RIGHT,
    Pelvis,
    cropped,
    images_of,
    pelvis,
    save,
    seg_of,
    volume_of,
    write_dicom,
    write_nifti,
)

pytestmark = pytest.mark.usefixtures("heads")


@pytest.fixture
def made(tmp_path):
    """Makes a data set; gives it (None where nothing could be used) and the report."""

    def make(*arguments):
        out = tmp_path / "out"
        status = command.command([str(out), *map(str, arguments)])
        text = (out / "report.md").read_text() if (out / "report.md").exists() else ""
        return (read(out) if status == 0 else None), text

    return make


def left_out(data) -> str:
    return " | ".join(f"{row['what']} {row['why']}" for row in data.left_out)


def reference(tmp_path):
    command.command([str(tmp_path / "reference"), "--nifti", str(write_nifti(tmp_path / "plain"))])
    return read(tmp_path / "reference")


def assert_same(data, expected):
    assert len(data.cases) == len(expected.cases)
    for case, other in zip(data.cases, expected.cases, strict=True):
        assert case.side == other.side
        mine, theirs = case.load(), other.load()
        np.testing.assert_array_equal(mine.masks, theirs.masks)
        np.testing.assert_allclose(mine.images.astype(float), theirs.images.astype(float), atol=0.01)


def test_both_hips_of_an_image_become_two_cases_centred_on_their_heads(tmp_path, made):
    data, text = made("--nifti", write_nifti(tmp_path / "in"))
    assert [case.id for case in data.cases] == ["P1_V1_left", "P1_V1_right"]
    assert "2 hips of 1 patients" in text
    for case in data.cases:
        head = np.argwhere(case.load().masks & BITS["femoral_head"])
        assert np.abs(head[:, 1:].mean(axis=0) - (91.5, 107.5)).max() < 1.5  # the middle of 184 × 216
        truth = pelvis().masks[case.side]["bme"].sum() * np.prod(pelvis().volume.spacing_mm) / 1000
        assert case.volumes_ml["bme"] == pytest.approx(truth, rel=0.15)
        assert case.involvement == "both"


@pytest.mark.parametrize(
    ("order", "flips"),
    [
        *((order, (False, False, False)) for order in itertools.permutations(range(3))),
        *(((2, 1, 0), flips) for flips in itertools.product((False, True), repeat=3)),
        ((1, 2, 0), (True, False, True)),
    ],
)
def test_any_layout_of_a_nifti_gives_the_same_voxels(tmp_path, made, order, flips):
    data, _ = made("--nifti", write_nifti(tmp_path / "in", order=order, flips=flips))
    assert_same(data, reference(tmp_path))


def test_a_mask_may_lie_in_another_order_than_its_image(tmp_path, made):
    folder = write_nifti(tmp_path / "in")
    for label in LABELS:
        save(folder / f"P1_V1_{label}.nii.gz", pelvis().volume, pelvis().plane(label), (0, 2, 1), (True, False, True))
    data, _ = made("--nifti", folder)
    assert_same(data, reference(tmp_path))


def test_a_tilted_stack_is_cut_where_its_affine_says(tmp_path, made):
    turn = np.eye(4)
    a = np.radians(12)
    turn[:3, :3] = [[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]
    plain = pelvis()
    tilted = Pelvis(replace(plain.volume, affine=turn @ plain.volume.affine), plain.masks)
    data, _ = made("--nifti", write_nifti(tmp_path / "in", made=tilted, order=(0, 1, 2), flips=(True, True, False)))
    assert_same(data, reference(tmp_path))


@pytest.mark.parametrize("layout", list(itertools.product((False, True), repeat=3)))
def test_any_layout_of_dicom_gives_the_same_voxels(tmp_path, made, layout):
    images = images_of(pelvis(), layout=layout)
    data, _ = made("--dicom", write_dicom(tmp_path / "in", images, seg_of(images, pelvis())))
    assert data.cases[0].source == "dicom"
    assert_same(data, reference(tmp_path))


def test_one_label_without_a_head_is_found_by_the_hip_finder(tmp_path, made, heads):
    folder = write_nifti(tmp_path / "in", labels=("bme",))
    del heads["left"]
    data, text = made("--nifti", folder)
    assert data.labels == ("bme",)
    assert [case.side for case in data.cases] == ["right"]
    masks = data.cases[0].load().masks
    assert set(np.unique(masks)) == {0, BITS["bme"]}
    assert data.cases[0].involvement == "bme"
    assert "has a left hip without an outline of its head, and the hip finder does not see it" in text


def test_a_hip_whose_lesion_mask_is_empty_is_a_normal_hip_and_is_said(tmp_path, made):
    folder = write_nifti(tmp_path / "in")
    save(folder / "P1_V1_bme.nii.gz", pelvis().volume, np.zeros(pelvis().volume.pixels.shape, bool))
    data, text = made("--nifti", folder)
    assert [case.involvement for case in data.cases] == ["synovitis", "synovitis"]
    assert "has an empty mask of bme" in text


def test_an_empty_head_is_a_missing_one(tmp_path, made):
    folder = write_nifti(tmp_path / "in", labels=("femur", "femoral_head"))
    save(folder / "P1_V1_femoral_head.nii.gz", pelvis().volume, np.zeros(pelvis().volume.pixels.shape, bool))
    data, _ = made("--nifti", folder)
    assert data.labels == ("femur",)
    assert "femoral_head mask is empty" in left_out(data)


def shifted(volume, mm):
    affine = volume.affine.copy()
    affine[:3, 3] += mm
    return replace(volume, affine=affine)


def save_bme(folder, volume, values):
    save(folder / "P1_V1_bme.nii.gz", volume, values)


def coarse(pixels):
    return pixels[:, ::2]


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda f, v, m: save_bme(f, shifted(v, (0, 4.4, 0)), m), "lies up to 4.4 mm away from the image"),
        (lambda f, v, m: save_bme(f, v, m[1:]), "the image has 14 × 90 × 170"),
        (lambda f, v, m: save_bme(f, v, m * 0.5), "no whole numbers"),
        (lambda f, v, m: save_bme(f, v, m + 2), "the values 2, 3"),
        (lambda f, v, m: (f / "P1_V1_bme.nii.gz").write_bytes(b"nonsense"), "P1_V1_bme.nii.gz, that can't be read"),
        (lambda f, v, m: (f / "P1_V1.nii.gz").unlink(), "is not there"),
        (lambda f, v, m: save(f / "P1_V1.nii.gz", v, v.pixels - 900), "that is no MR"),
        (lambda f, v, m: save(f / "P1_V1.nii.gz", v, v.pixels * 0), "the same intensity everywhere"),
        (lambda f, v, m: (f / "P1_V1.json").write_text('{"Modality": "CT"}'), "modality CT"),
        (
            lambda f, v, m: (f / "P1_V1.json").write_text('{"RepetitionTime": 0.5, "EchoTime": 0.012, "ScanningSequence": "SE"}'),
            "fat is not suppressed",
        ),
    ],
)
def test_an_image_that_is_left_out_says_why(tmp_path, made, spoil, why):
    folder = write_nifti(tmp_path / "in")
    write_nifti(folder, "P2_V1", pelvis(1))
    spoil(folder, pelvis().volume, pelvis().plane("bme"))
    data, _ = made("--nifti", folder)
    assert {case.patient for case in data.cases} == {"P2"}
    assert "P1 V1" in left_out(data)
    assert why in left_out(data)


def test_another_sequence_is_kept_and_marked_where_a_person_says_so(tmp_path, made):
    folder = write_nifti(tmp_path / "in")
    (folder / "P1_V1.json").write_text('{"RepetitionTime": 0.5, "EchoTime": 0.012, "ScanningSequence": "SE"}')
    data, text = made("--nifti", folder, "--any-sequence")
    assert len(data.cases) == 2
    assert "was kept although fat is not suppressed" in text


def test_an_affine_that_says_nothing_is_refused(tmp_path, made):
    folder = write_nifti(tmp_path / "in")
    image = nib.load(folder / "P1_V1.nii.gz")
    image.header["sform_code"] = image.header["qform_code"] = 0
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), None, image.header), folder / "P1_V1.nii.gz")
    data, text = made("--nifti", folder)
    assert data is None
    assert "sform and qform are unset" in text


def test_an_axial_stack_is_refused(tmp_path, made):
    plain = pelvis()
    steps = np.diag([2.2, 2.2, 6.0])
    affine = plain.volume.affine.copy()
    affine[:3, :3] = np.array([[0, 0, 1], [1, 0, 0], [0, -1, 0]]) @ np.diag([2.2, 6.0, 2.2])
    data, text = made("--nifti", write_nifti(tmp_path / "in", made=Pelvis(replace(plain.volume, affine=affine), plain.masks)))
    assert steps is not None
    assert data is None
    assert "is an axial stack" in text


def test_heads_outside_the_femur_and_double_lesions_are_mended_and_said(tmp_path, made):
    folder = write_nifti(tmp_path / "in")
    femur, bme = pelvis().plane("femur").copy(), pelvis().plane("bme")
    femur[:, 40:45] = False
    save(folder / "P1_V1_femur.nii.gz", pelvis().volume, femur)
    save(folder / "P1_V1_synovitis.nii.gz", pelvis().volume, pelvis().plane("synovitis") | bme)
    data, text = made("--nifti", folder)
    assert "of the femoral head outside the femur: added to the femur" in text
    assert "called both BME and synovitis" in text
    for case in data.cases:
        masks = case.load().masks
        assert not ((masks & BITS["femoral_head"] > 0) & (masks & BITS["femur"] == 0)).any()
        assert not ((masks & BITS["bme"] > 0) & (masks & BITS["synovitis"] > 0)).any()


def test_a_speck_that_nobody_draws_is_taken_out_and_said(tmp_path, made):
    folder = write_nifti(tmp_path / "in")
    speck = pelvis().plane("bme").copy()
    n_before = int(speck.sum())
    free = np.argwhere(pelvis().plane("femur") & ~speck & ~pelvis().plane("synovitis"))
    at = next(place for place in free if not speck[tuple(slice(max(0, i - 1), i + 2) for i in place)].any())
    speck[tuple(at)] = True
    save(folder / "P1_V1_bme.nii.gz", pelvis().volume, speck)
    data, text = made("--nifti", folder)
    voxel_ml = float(np.prod(pelvis().volume.spacing_mm)) / 1000
    assert f"had {voxel_ml:.3f} mL of lesions in specks below 0.02 mL each: taken out" in text
    assert n_before > 0
    assert sum(case.volumes_ml["bme"] for case in data.cases) > 0


def test_one_hip_tells_its_side_by_its_femur_or_the_finder(tmp_path, made, heads):
    heads.clear()
    write_nifti(tmp_path / "in", "P1_V1", cropped(pelvis(), RIGHT))
    write_nifti(tmp_path / "in", "P2_V1", cropped(pelvis(), LEFT))
    write_nifti(tmp_path / "in", "P3_V1", cropped(pelvis(1), LEFT), labels=("femoral_head", "bme"))
    data, _ = made("--nifti", tmp_path / "in")
    assert [case.id for case in data.cases] == ["P1_V1_right", "P2_V1_left"]
    assert "P3 V1) has one head outlined, and nothing tells its side" in left_out(data)


def test_a_side_by_the_table_is_held_against_the_image(tmp_path, made):
    folder = write_nifti(tmp_path / "in", "a", cropped(pelvis(), RIGHT))
    write_nifti(folder, "b", cropped(pelvis(1), RIGHT))
    table = folder / "cases.csv"
    masks = [f"mask_{label}" for label in LABELS]
    lines = [",".join(["file", "patient", "visit", "side", *masks])]
    for name, patient, side in (("a", "Ann 1", "right"), ("b", "Bob", "left")):
        lines.append(",".join([f"{name}.nii.gz", patient, "W0", side, *(f"{name}_{label}.nii.gz" for label in LABELS)]))
    table.write_text("\n".join(lines))
    data, _ = made("--table", table)
    assert [case.id for case in data.cases] == ["Ann-1_W0_right"]
    assert "sides swapped: the hip called left is a right one" in left_out(data)


def test_masks_with_a_side_of_their_own_are_held_against_each_other(tmp_path, made):
    for name, exchanged in (("P1", False), ("P2", True)):
        made_by = pelvis(int(exchanged))
        save(tmp_path / "in" / f"{name}_V1.nii.gz", made_by.volume, made_by.volume.pixels)
        for side in ("right", "left"):
            other = {"right": "left", "left": "right"}[side] if exchanged else side
            for label in LABELS:
                save(tmp_path / "in" / f"{name}_V1_{label}_{other}.nii.gz", made_by.volume, made_by.masks[side][label])
    data, _ = made("--nifti", tmp_path / "in")
    assert {case.patient for case in data.cases} == {"P1"}
    assert "the head called right lies on the patient's left" in left_out(data)


def test_lesions_alone_with_swapped_sides_are_seen_by_the_finder(tmp_path, made):
    images = images_of(pelvis())
    seg = seg_of(images, pelvis(), ("right",), ("bme",), called={"right": "left"})
    data, text = made("--dicom", write_dicom(tmp_path / "in", images, seg))
    assert data is None
    assert "(S1 V1) has its sides swapped: the bme called left lies on the right hip" in text


def test_a_multi_label_file_needs_its_table(tmp_path, made):
    values = np.zeros(pelvis().volume.pixels.shape, np.uint8)
    for value, label in enumerate(LABELS, start=1):
        values[pelvis().plane(label)] = value
    save(tmp_path / "in" / "P1_V1.nii.gz", pelvis().volume, pelvis().volume.pixels)
    save(tmp_path / "in" / "P1_V1_labels.nii.gz", pelvis().volume, values)
    table = tmp_path / "labels.csv"
    table.write_text("value,label\n1,femur\n2,femur+femoral_head\n3,femur+femoral_head+bme\n4,synovitis\n9,\n")
    data, _ = made("--nifti", tmp_path / "in", "--label-map", table)
    assert_same(data, reference(tmp_path))


def test_a_value_that_the_label_map_does_not_name_is_told(tmp_path, made):
    save(tmp_path / "in" / "P1_V1.nii.gz", pelvis().volume, pelvis().volume.pixels)
    save(tmp_path / "in" / "P1_V1_labels.nii.gz", pelvis().volume, pelvis().plane("bme") * 7)
    (tmp_path / "labels.csv").write_text("value,label\n1,bme\n")
    data, text = made("--nifti", tmp_path / "in", "--label-map", tmp_path / "labels.csv")
    assert data is None
    assert "with the value 7, which the label map does not name" in text


def test_the_same_image_under_two_patients_is_taken_from_neither(tmp_path, made):
    write_nifti(tmp_path / "in", "P1_V1")
    write_nifti(tmp_path / "in", "P2_V1", order=(0, 1, 2), flips=(True, False, True))
    write_nifti(tmp_path / "in", "P3_V1", pelvis(1))
    write_nifti(tmp_path / "in", "P3_V2", pelvis(1))
    data, _ = made("--nifti", tmp_path / "in")
    assert {case.id for case in data.cases} == {"P3_V1_right", "P3_V1_left"}
    assert left_out(data).count("the same image under the patients P1, P2: none of them was taken") == 2
    assert "is the same image as P3_V1.nii.gz (P3 V1), which was taken" in left_out(data)
    assert len(list((data.folder / "cases").iterdir())) == 2


def test_the_same_uids_under_two_patients_are_duplicates(tmp_path, made):
    for name, seed in (("a", 0), ("b", 1)):
        images = images_of(pelvis(seed))
        write_dicom(tmp_path / name, images, seg_of(images, pelvis(seed)))
    (tmp_path / "cases.csv").write_text("file,patient\na,P1\nb,P2\n")
    data, text = made("--table", tmp_path / "cases.csv")
    assert data is None
    assert "under the patients P1, P2" in text


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda s: setattr(s, "FrameOfReferenceUID", "1.2.3.77"), "lies in another frame of reference"),
        (lambda s: shift(s, 2.2), "mm from the nearest slice"),
        (lambda s: stretch(s), "pixels of another size"),
        (lambda s: orphan(s), "is a segmentation of images that are not here"),
    ],
)
def test_a_segmentation_that_does_not_lie_on_its_image_is_left_out(tmp_path, made, spoil, why):
    images = images_of(pelvis())
    seg = seg_of(images, pelvis())
    spoil(seg)
    data, text = made("--dicom", write_dicom(tmp_path / "in", images, seg))
    assert data is None
    assert why in text


def shift(seg, mm):
    for group in seg.PerFrameFunctionalGroupsSequence:
        position = group.PlanePositionSequence[0]
        position.ImagePositionPatient = [
            position.ImagePositionPatient[0],
            position.ImagePositionPatient[1] + mm,
            position.ImagePositionPatient[2],
        ]


def stretch(seg):
    seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = [2.5, 2.5]


def orphan(seg):
    for group in seg.PerFrameFunctionalGroupsSequence:
        group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID = "1.9.9"
    for item in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence:
        item.ReferencedSOPInstanceUID = "1.9.9"


def test_dicom_that_is_no_mr_not_fat_suppressed_or_not_coronal_is_told(tmp_path, made):
    good = images_of(pelvis())
    t1 = images_of(
        pelvis(1), study="1.2.5", PatientID="S2", ScanningSequence="SE", RepetitionTime=600, EchoTime=12, InversionTime=None
    )
    ct = images_of(pelvis(2), study="1.2.6")[0]
    ct.Modality = "CT"
    write_dicom(tmp_path / "in" / "a", good, seg_of(good, pelvis()))
    write_dicom(tmp_path / "in" / "b", t1, seg_of(t1, pelvis(1), uid="2.25.88"))
    write_dicom(tmp_path / "in" / "c", [ct])
    (tmp_path / "in" / "broken.dcm").write_bytes(b"DICM")
    data, _ = made("--dicom", tmp_path / "in")
    assert {case.patient for case in data.cases} == {"S1"}
    for why in ("is no MR image (modality CT", "it is T1-weighted", "broken.dcm is no DICOM file"):
        assert why in left_out(data)


def test_record_numbers_of_files_with_identity_get_into_no_name(tmp_path, made):
    images = images_of(pelvis(), PatientIdentityRemoved=None, PatientID="REC-4711")
    data, text = made("--dicom", write_dicom(tmp_path / "in", images, seg_of(images, pelvis())))
    assert [case.id for case in data.cases] == ["P0001_V1_left", "P0001_V1_right"]
    assert "4711" not in text + json.dumps(json.loads((data.folder / "dataset.json").read_text()))


def test_frames_that_were_left_out_as_empty_are_empty_again(tmp_path):
    images = images_of(pelvis())
    seg = seg_of(images, pelvis())
    from ml.dicom.seg import read_seg

    back, volume = read_seg(seg), volume_of(images)
    assert len(back.frames) < len(images) * len(back.segments)
    for segment in back.segments:
        np.testing.assert_array_equal(back.mask_of(segment, volume), pelvis().masks[segment.side][segment.label])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("file,visit\na,b\n", "lacks the column patient"),
        ("file,patient,mask_pelvis\na,b,c\n", "mask_pelvis names no label"),
        ("file,patient,side\na,b,upper\n", "line 2: side is 'upper'"),
        ("file,patient,colour\na,b,red\n", "column colour is not known"),
        ("file,patient\n", "has no rows"),
        (f"file,patient\n{'x' * 140_000},P1\n", "line 2: field larger than field limit"),
    ],
)
def test_a_wrong_table_is_told_with_its_line(tmp_path, made, capsys, text, why):
    (tmp_path / "cases.csv").write_text(text)
    made("--table", tmp_path / "cases.csv")
    assert why in capsys.readouterr().err


def test_a_name_with_more_parts_is_no_guess(tmp_path, made, capsys):
    write_nifti(tmp_path / "in", "sub_01_V1")
    made("--nifti", tmp_path / "in")
    assert "has more parts than PATIENT_VISIT_LABEL" in capsys.readouterr().err


def test_the_folder_must_be_new(tmp_path, made, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "something").write_text("")
    assert command.command([str(tmp_path / "out"), "--phantoms", "1"]) == 2
    assert "is not an empty folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--phantoms", "0"], "at least one synthetic patient"),
        (["--phantoms", "1", "--seed", "-1"], "the seed is -1; it can't be below 0"),
        (["--phantoms", "1", "--processes", "0"], "at least one process"),
    ],
)
def test_a_number_that_makes_no_phantom_is_told(made, capsys, arguments, why):
    data, _ = made(*arguments)
    assert data is None
    assert why in capsys.readouterr().err


@pytest.mark.parametrize("file", ["hips.safetensors", "hips.json"])
def test_a_bundle_whose_finder_is_damaged_is_told_in_one_line(tmp_path, capsys, monkeypatch, file):
    monkeypatch.undo()
    folder = shutil.copytree(DEFAULT_BUNDLE, tmp_path / "bundle")
    (folder / file).write_bytes(b"nonsense")
    write_nifti(tmp_path / "in", labels=("bme",))
    assert command.command([str(tmp_path / "out"), "--nifti", str(tmp_path / "in"), "--bundle", str(folder)]) == 2
    assert f"{folder} has no hip finder that can be used" in capsys.readouterr().err


def test_a_table_may_have_a_row_for_each_side_of_an_image(tmp_path, made):
    save(tmp_path / "a.nii.gz", pelvis().volume, pelvis().volume.pixels)
    lines = ["file,patient,side," + ",".join(f"mask_{label}" for label in LABELS)]
    for side in ("right", "left"):
        for label in LABELS:
            save(tmp_path / f"a_{side}_{label}.nii.gz", pelvis().volume, pelvis().masks[side][label])
        lines.append(f"a.nii.gz,P1,{side}," + ",".join(f"a_{side}_{label}.nii.gz" for label in LABELS))
    (tmp_path / "cases.csv").write_text("\n".join(lines))
    data, _ = made("--table", tmp_path / "cases.csv")
    assert [case.id for case in data.cases] == ["P1_V1_left", "P1_V1_right"]
    assert data.left_out == ()
