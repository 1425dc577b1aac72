"""What a bundle says of itself, as `ml train`, `ml crossval`, `ml evaluate` and `ml join` write it, on the page of the model."""

import pytest

from hipapp.imaging.model_page import networks_of
from hipapp.imaging.models import ModelVersion

SINGLE = {"network": "unet", "settings": {"base": 16, "levels": 4}}
TRAINED = SINGLE | {"metrics": {"validation": {"femur": 0.95, "bme": None}, "calibration": {"bme": -2.0}, "steps": 900}}
FOLD = SINGLE | {"metrics": {"cross_validation": {"fold": 3, "fingerprint": "6cf1", "test_dice": {"bme": 0.71}}}}
EVALUATED = {"settings": {}, "metrics": {"first_generator": {"bme": {"dice": 0.75, "n": 35}, "icc_all": {"icc": 0.9}}}}
JOINED = {
    "network": "ensemble",
    "settings": {"members": [{"name": "unet", "base": 16}, {"name": "unet25d", "base": 16}]},
    "metrics": {
        "members": [
            {"name": "unet", "version": "3", "files": {"unet.safetensors": "a" * 64}, "unet": EVALUATED},
            {"name": "unet25d", "version": "5", "files": {}, "unet": TRAINED},
        ],
        "second_generator": {"bme": {"dice": 0.687, "n": 40}},
    },
}


def of(unet: object) -> list:
    return networks_of(ModelVersion(name="own", version="1", description={"unet": unet}))


def said(unet: object) -> list:
    """(network, measured on, label, Dice, hips) of each figure."""
    return [
        (network.title, row.where, label, figure.dice, figure.n)
        for network in of(unet)
        for row in network.measured
        for label, figure in row.figures.items()
        if figure is not None
    ]


def test_training_says_the_dice_of_its_validation_patients():
    assert said(TRAINED) == [("own 1", "Validation patients while training", "Femur", 0.95, None)]


def test_a_fold_says_the_dice_of_its_test_patients():
    assert said(FOLD) == [("own 1", "Test patients of fold 3", "BME", 0.71, None)]


def test_an_evaluation_says_dice_and_hips():
    assert said(EVALUATED) == [("own 1", "First generator", "BME", 0.75, 35)]


def test_an_ensemble_says_what_it_does_together_and_what_each_member_does():
    assert said(JOINED) == [
        ("own 1", "Second generator", "BME", 0.687, 40),
        ("unet 3", "First generator", "BME", 0.75, 35),
        ("unet25d 5", "Validation patients while training", "Femur", 0.95, None),
    ]
    own, first, second = of(JOINED)
    assert (own.kind, own.settings, own.sha256) == ("ensemble", "members 2", "")
    assert (first.kind, first.settings, first.sha256) == ("unet", "", "a" * 64)
    assert (second.kind, second.settings) == ("unet", "base 16, levels 4")


def test_what_is_doubted_is_said():
    (network,) = of(SINGLE | {"metrics": {"sure": {"synovitis": 9.0}}})
    assert network.settings == "base 16, levels 4, synovitis that nowhere reaches a logit of 9 is drawn smaller"
    for nothing in ({"synovitis": 0.0}, {}, [9.0], {"other": 3}, *({"synovitis": odd} for odd in (-1, True, "9", [9], None))):
        assert of(SINGLE | {"metrics": {"sure": nothing}})[0].settings == "base 16, levels 4"


def test_the_members_of_an_ensemble_doubt_nothing():
    member = SINGLE | {"metrics": {"sure": {"synovitis": 7.0}}}
    own, first = of({"network": "ensemble", "settings": {}, "metrics": {"members": [{"unet": member}]}})
    assert (own.settings, first.settings) == ("", "base 16, levels 4")


@pytest.mark.parametrize(
    "unet",
    [
        None,
        [],
        {"metrics": []},
        {"metrics": {"validation": [0.9]}},
        {"metrics": {"validation": {"bme": True, "femur": 10**400, "lesion": "0.9", "synovitis": {"dice": "high"}}}},
        {"metrics": {"cross_validation": {"fold": 1}}},
        {"metrics": {"members": {"a": 1}}},
        {"settings": 5, "network": ["unet"]},
    ],
)
def test_what_is_not_known_shows_nothing(unet):
    assert said(unet) == []


def test_members_that_are_nothing_known_show_nothing():
    assert said({"metrics": {"members": [5, {"unet": 3}, {"name": {}, "version": None, "unet": TRAINED}]}}) == [
        ("a member", "Validation patients while training", "Femur", 0.95, None)
    ]


@pytest.mark.django_db
def test_the_page_shows_members_with_their_settings_and_figures(client, administrator):
    model = ModelVersion.objects.create(name="unet", version="4", sha256="4" * 64, description={"unet": JOINED})
    client.force_login(administrator)
    text = client.get(f"/models/{model.pk}/").content.decode()
    for words in ("2 networks answer together", "unet25d 5", "0.687", "0.750", "Validation patients while training", "levels 4"):
        assert words in text
