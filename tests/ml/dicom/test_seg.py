"""Segmentations over classic and enhanced images, and what other programs write."""

import numpy as np
import pytest

from ml.dicom import read_datasets
from ml.dicom.assemble import build_volume
from ml.dicom.errors import RefusedFileError
from ml.dicom.parse import parse
from ml.dicom.seg import from_bytes, read_seg
from ml.dicom.seg_write import Outline, to_bytes, write_seg
from ml.labels import find_label
from tests.builders import dicom as builder


def outline_of(volume, label="bme", side="right", seed=0, **values) -> Outline:
    mask = np.random.default_rng(seed).random(volume.pixels.shape) < 0.3
    return Outline(label, side, mask, f"2.25.{seed + 1}", **{"algorithm_type": "MANUAL", **values})


def seg_over(images, volume, *outlines):
    return write_seg(
        images,
        volume,
        outlines,
        uid="2.25.5",
        series_uid="2.25.6",
        series_number=9,
        creator="reader",
        description="test",
        product="hipapp",
        version="1",
    )


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("flip", [False, True])
def test_an_enhanced_image_carries_a_segmentation(transpose, flip):
    stack = builder.random_stack()
    image = builder.enhanced(stack, order=[3, 0, 5, 1, 4, 2], transpose=transpose, flip_columns=flip)
    image.FrameOfReferenceUID = "1.2.3"
    image.PerFrameFunctionalGroupsSequence[0].FrameContentSequence = []
    volume, _ = build_volume(read_datasets([("a", image)]).series[0])
    outline = outline_of(volume)
    back = from_bytes(to_bytes(seg_over([image], volume, outline)))
    np.testing.assert_array_equal(back.mask_of(back.segments[0], volume), outline.mask)


def test_an_image_without_a_frame_of_reference_carries_one_too():
    images = builder.classic(builder.random_stack())
    volume, _ = build_volume(read_datasets(builder.named(images)).series[0])
    outline = outline_of(volume, algorithm_type="AUTOMATIC", algorithm=("unet", "1"))
    back = read_seg(parse(to_bytes(seg_over(images[::-1], volume, outline))))
    np.testing.assert_array_equal(back.mask_of(back.segments[0], volume), outline.mask)
    assert "FrameOfReferenceUID" not in images[0]


def test_a_fractional_segmentation_is_cut_at_a_half():
    images = builder.classic(builder.random_stack(), FrameOfReferenceUID="1.2.3")
    volume, _ = build_volume(read_datasets(builder.named(images)).series[0])
    seg = seg_over(images, volume, outline_of(volume))
    n_frames, rows, columns = int(seg.NumberOfFrames), int(seg.Rows), int(seg.Columns)
    seg.SegmentationType, seg.SegmentationFractionalType, seg.MaximumFractionalValue = "FRACTIONAL", "PROBABILITY", 200
    seg.BitsAllocated, seg.BitsStored, seg.HighBit = 8, 8, 7
    values = np.random.default_rng(3).integers(0, 201, (n_frames, rows, columns)).astype(np.uint8)
    seg.PixelData = values.tobytes()
    back = read_seg(parse(to_bytes(seg)))
    np.testing.assert_array_equal(np.stack([frame.mask for frame in back.frames]), values > 100)


def test_a_segment_is_known_by_its_code_where_its_name_says_nothing():
    images = builder.classic(builder.random_stack(), FrameOfReferenceUID="1.2.3")
    volume, _ = build_volume(read_datasets(builder.named(images)).series[0])
    seg = seg_over(images, volume, outline_of(volume, "femoral_head", "left"))
    seg.SegmentSequence[0].SegmentLabel = "Segment_1"
    segment = read_seg(parse(to_bytes(seg))).segments[0]
    assert (segment.label, segment.side) == ("femoral_head", "left")
    seg.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeValue = "12345"
    assert read_seg(parse(to_bytes(seg))).segments[0].label == ""


@pytest.mark.parametrize("spoil", [lambda s: s.pop("SegmentSequence"), lambda s: setattr(s, "PixelData", b"\0\0")])
def test_a_damaged_one_is_refused_in_words(spoil):
    images = builder.classic(builder.random_stack(), FrameOfReferenceUID="1.2.3")
    volume, _ = build_volume(read_datasets(builder.named(images)).series[0])
    seg = seg_over(images, volume, outline_of(volume))
    spoil(seg)
    with pytest.raises(RefusedFileError, match="is a segmentation that can't be read"):
        read_seg(parse(to_bytes(seg)))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Femoral head, right", ("femoral_head", "right")),
        ("head_of_femur", ("femoral_head", "")),
        ("BME", ("bme", "")),
        ("bone marrow oedema LEFT", ("bme", "left")),
        ("Synovitis/effusion L", ("synovitis", "left")),
        ("femur", ("femur", "")),
        ("01_bme", None),
        ("pelvis", None),
        ("femur right left", None),
    ],
)
def test_labels_are_found_by_their_names(text, found):
    assert find_label(text) == found
