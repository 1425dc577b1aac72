"""Panels show the image plain, then each outline in its colour, and the sheet holds every slice."""

import io

import numpy as np
import pytest
from PIL import Image

from ml.datasets.format import write, write_case
from ml.labels import BME, FEMORAL_HEAD, FEMUR, LABELS
from ml.panels import Column, contact_sheet, hip_slices, panels
from ml.panels import command as panels_command
from tests.ml.toys import make_stack


def opened(content: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(content))
    assert image.format == "JPEG"
    return np.asarray(image.convert("RGB"), np.int16)


@pytest.fixture
def drawn():
    pixels = np.random.default_rng(0).random((6, 40, 50)).astype(np.float32)
    mask = np.zeros(pixels.shape, np.uint8)
    mask[2:5, 10:30, 10:30] = FEMUR | FEMORAL_HEAD
    mask[3, 15:20, 15:20] |= BME
    return pixels, mask


def coloured(picture: np.ndarray) -> np.ndarray:
    return np.abs(picture - picture.mean(axis=2, keepdims=True)).max(axis=2) > 40


def test_only_slices_with_a_head_or_a_lesion_are_shown(drawn):
    _, mask = drawn
    assert hip_slices(mask, None) == [2, 3, 4]
    assert hip_slices(np.zeros_like(mask)) == [3]


def test_the_first_column_is_plain_and_the_others_are_outlined(drawn):
    pixels, mask = drawn
    columns = [Column("image"), Column("truth", mask), Column("prediction", np.zeros_like(mask))]
    (picture,) = panels(pixels, (1.0, 1.0), columns, "right hip", [3])
    seen = coloured(opened(picture))
    width = seen.shape[1] // 3
    assert not seen[:, :width].any()
    assert seen[:, width : 2 * width].sum() > 200
    assert not seen[:, 2 * width + 10 :].any()


def test_pictures_keep_the_proportions_of_the_body(drawn):
    pixels, _ = drawn
    (square,) = panels(pixels, (1.0, 1.0), [Column("image")], "", [0])
    (tall,) = panels(pixels, (2.0, 1.0), [Column("image")], "", [0])
    assert opened(tall).shape[0] - opened(square).shape[0] == 320  # 40 rows of twice the height at 8 px a column


def test_the_sheet_holds_every_slice(drawn):
    pixels, mask = drawn
    columns = [Column("image"), Column("truth", mask)]
    one, three = (opened(contact_sheet(pixels, (1.0, 1.0), columns, "", slices)) for slices in ([3], [2, 3, 4]))
    assert three.shape[0] * three.shape[1] > 2 * one.shape[0] * one.shape[1]
    assert coloured(three).sum() > coloured(one).sum()


def test_the_command_draws_each_hip_of_a_data_set(tmp_path, monkeypatch, capsys):
    stack = make_stack(0, 4)
    case = write_case(
        tmp_path / "set",
        patient="P1",
        visit="V1",
        side="left",
        labels=LABELS,
        stack=stack,
        positions_mm=np.arange(4, dtype=np.float32),
        volumes_ml={label: 1.0 for label in LABELS},
        spacing_mm=(4.0, 0.8, 0.8),
        source="phantom",
    )
    write(tmp_path / "set", "one", "", [case])
    monkeypatch.setattr(panels_command, "predict_stack", lambda case, network: np.zeros((4, 128, 160), np.uint8))
    assert panels_command.command([str(tmp_path / "set"), str(tmp_path / "out")]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["P1_V1_left", "P1_V1_left_sheet.jpg"]
    assert len(list((tmp_path / "out" / "P1_V1_left").iterdir())) == len(hip_slices(stack.masks))
    assert panels_command.command([str(tmp_path / "set"), str(tmp_path / "out"), "--cases", "P9"]) == 2
    assert "has no hip P9" in capsys.readouterr().err


def test_a_prediction_has_the_annotated_labels_alone(tmp_path):
    from ml.bundle import DEFAULT, load

    case = write_case(
        tmp_path,
        patient="P1",
        visit="V1",
        side="right",
        labels=("femur", "bme"),
        stack=make_stack(0, 2),
        positions_mm=np.arange(2, dtype=np.float32),
        volumes_ml={"femur": 1.0, "bme": 1.0},
        spacing_mm=(4.0, 0.8, 0.8),
        source="nifti",
    )
    mask = panels_command.predict_stack(case, load(DEFAULT).unet)
    assert mask.shape == (2, 128, 160)
    assert set(np.unique(mask)) <= {0, FEMUR, BME, FEMUR | BME}
