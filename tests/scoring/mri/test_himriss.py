"""HIMRISS totals, schemes and region marks: vectors of domain.md §1.7."""

import copy
import json
from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.errors import ScoringError
from scoring.mri.himriss import hip_totals, patient_totals
from scoring.mri.himriss_read import SliceMarks, mark_slice, score_marks, score_patient
from scoring.mri.himriss_scheme import load_scheme, parse_scheme, polygon_area, read_scheme, scheme_names

NINE, SEVEN = "himriss-compatible-1", "himriss-compatible-2"
ROLES = ["anterior"] * 5 + ["central"] * 5 + ["posterior"] * 5


def names(scheme, role, part):
    return [region.name for region in scheme.regions_of(role) if region.part == part]


def read(scheme, roles=ROLES, femoral=(), acetabular=(), effusion=0):
    """A read in which all femoral / acetabular regions of the named roles are positive."""
    slices = []
    for index, role in enumerate(roles):
        positive = names(scheme, role, "femoral") * (role in femoral) + names(scheme, role, "acetabular") * (role in acetabular)
        slices.append(mark_slice(scheme, index, role, positive, effusion))
    return score_marks(scheme, slices)


def sums(score):
    return score.femoral_bme, score.acetabular_bme, score.effusion


ALL = ("anterior", "central", "posterior")


@pytest.mark.parametrize("name", [NINE, SEVEN])
def test_nothing_and_everything(name):
    scheme = load_scheme(name)
    nothing = read(scheme)
    assert sums(nothing) == (0, 0, 0)
    assert (nothing.total, nothing.percent_of_possible, nothing.coverage) == (0, 0.0, 1.0)
    everything = read(scheme, femoral=ALL, acetabular=ALL, effusion=2)
    assert sums(everything) == (65, 35, 30)
    assert (everything.bme, everything.total, everything.percent_of_possible) == (100, 130, 100.0)


@pytest.mark.parametrize(("name", "femoral", "acetabular"), [(NINE, 45, 10), (SEVEN, 35, 20)])
def test_central_femoral_and_outer_acetabular(name, femoral, acetabular):
    scheme = load_scheme(name)
    assert sums(read(scheme, femoral=("central",))) == (femoral, 0, 0)
    assert sums(read(scheme, acetabular=("anterior", "posterior"))) == (0, acetabular, 0)
    assert sums(read(scheme, effusion=1)) == (0, 0, 15)


def test_article_like_read():
    scheme = load_scheme()
    marks = [mark_slice(scheme, index, role, effusion=int(index < 9)) for index, role in enumerate(ROLES)]
    femoral, acetabular = names(scheme, "central", "femoral"), names(scheme, "central", "acetabular")
    marks[5] = mark_slice(scheme, 5, "central", femoral + acetabular, 1)
    marks[6] = mark_slice(scheme, 6, "central", femoral[:2] + acetabular[:2], 1)
    score = score_marks(scheme, marks)
    assert sums(score) == (11, 7, 9)
    assert (score.bme, score.total) == (18, 27)
    assert hip_totals(11, 7, 9).total == 27


@pytest.mark.parametrize(("name", "expected", "possible"), [(NINE, (55, 30, 20), 105), (SEVEN, (50, 25, 20), 95)])
def test_ten_slices_imaged(name, expected, possible):
    score = read(load_scheme(name), ROLES[:10], femoral=ALL, acetabular=ALL, effusion=2)
    assert sums(score) == expected
    assert score.possible["total"] == score.total == possible
    assert score.percent_of_possible == 100.0
    assert (score.n_slices_scored, score.coverage) == (10, pytest.approx(10 / 15))
    assert "10 of 15" in score.warnings[0]


def test_patient():
    both = patient_totals(27, 14)
    assert (both.sum, both.worst_score, both.worst, both.mean) == (41, 27, "right", 20.5)
    one = patient_totals(None, 14)
    assert (one.sum, one.mean, one.worst, one.worst_of) == (None, None, "left", ("left",))


def test_hip_totals_not_assessable_is_not_zero():
    assert hip_totals(None, None, None).total is None
    assert hip_totals(0, 0, 0).total == 0


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ((66, 0, 0), "femoral_bme"),
        ((0, 36, 0), "acetabular_bme"),
        ((0, 0, 31), "effusion"),
        ((-1, 0, 0), "femoral_bme"),
        ((float("nan"), 0, 0), "femoral_bme"),
        ((1, None, 2), "acetabular_bme"),
    ],
)
def test_hip_totals_refusals(values, field):
    with pytest.raises(ScoringError) as caught:
        hip_totals(*values)
    assert caught.value.field == field


def test_patient_totals_refuse_beyond_130():
    with pytest.raises(ScoringError, match="left"):
        patient_totals(1, 131)


def test_unassessable_region_lowers_what_was_possible():
    scheme = load_scheme()
    marks = mark_slice(scheme, 0, "central", effusion=None)
    first = names(scheme, "central", "femoral")[0]
    score = score_marks(scheme, [SliceMarks(0, "central", {**marks.regions, first: None}, None)])
    assert (score.possible["femoral_bme"], score.possible["effusion"]) == (8, 0)
    assert score.effusion == 0


def test_hip_without_a_scored_slice_is_not_assessable():
    scheme = load_scheme()
    empty = SliceMarks(0, "anterior", dict.fromkeys((r.name for r in scheme.regions_of("anterior")), None), None)
    for slices in ([], [empty]):
        score = score_marks(scheme, slices)
        assert (*sums(score), score.bme, score.total, score.percent_of_possible) == (None,) * 6
        assert score.coverage == 0.0
        assert score.warnings == ()


def test_patient_of_two_reads():
    right = read(load_scheme(), femoral=("central",))
    left = read(load_scheme(), effusion=1)
    assert score_patient(right, left).sum == 60.0
    assert score_patient(None, left).sum is None
    assert score_patient(score_marks(load_scheme(), []), left).worst_of == ("left",)
    with pytest.raises(ScoringError, match="himriss-compatible-2"):
        score_patient(right, read(load_scheme(SEVEN)))


def outer(scheme, **changes):
    marks = mark_slice(scheme, 0, "anterior")
    return SliceMarks(**{"index": 0, "role": "anterior", "regions": dict(marks.regions), "effusion": 0, **changes})


@pytest.mark.parametrize("value", [2, -1, 0.5, float("nan"), "1"])
def test_region_values_other_than_0_and_1_are_refused(value):
    scheme = load_scheme()
    regions = dict(mark_slice(scheme, 0, "anterior").regions)
    regions["head_superior"] = value
    with pytest.raises(ScoringError, match="slice 0 head_superior"):
        score_marks(scheme, [outer(scheme, regions=regions)])


@pytest.mark.parametrize("value", [3, -1, 1.5, float("nan")])
def test_effusions_other_than_the_grades_are_refused(value):
    scheme = load_scheme()
    with pytest.raises(ScoringError, match="slice 0 effusion"):
        score_marks(scheme, [outer(scheme, effusion=value)])


def test_wrong_sets_of_slices_are_refused():
    scheme = load_scheme()
    sixteen = [mark_slice(scheme, index, role) for index, role in enumerate([*ROLES, "central"])]
    with pytest.raises(ScoringError, match="16 slices"):
        score_marks(scheme, sixteen)
    with pytest.raises(ScoringError, match=r"slices\.central"):
        score_marks(scheme, [mark_slice(scheme, index, "central") for index in range(6)])
    with pytest.raises(ScoringError, match="each slice once"):
        score_marks(scheme, [mark_slice(scheme, 1, "central")] * 2)
    with pytest.raises(ScoringError, match="index"):
        score_marks(scheme, [outer(scheme, index=0.5)])
    with pytest.raises(ScoringError, match="role"):
        score_marks(scheme, [outer(scheme, role="lateral")])
    with pytest.raises(ScoringError, match="method"):
        score_marks(scheme, [], method="totals")


def test_unknown_and_forgotten_regions_are_refused():
    scheme = load_scheme()
    regions = dict(mark_slice(scheme, 0, "anterior").regions)
    with pytest.raises(ScoringError, match="patella"):
        score_marks(scheme, [outer(scheme, regions={**regions, "patella": 1})])
    del regions["acetabulum"]
    with pytest.raises(ScoringError, match="acetabulum is 'left out'"):
        score_marks(scheme, [outer(scheme, regions=regions)])
    with pytest.raises(ScoringError, match="positive"):
        mark_slice(scheme, 0, "central", ["patella"])
    with pytest.raises(ScoringError, match="role"):
        mark_slice(scheme, 0, "lateral")


@settings(max_examples=25, deadline=None)
@given(data=st.data(), n=st.integers(1, 15))
def test_order_of_slices_does_not_matter_and_sums_stay_in_bounds(data, n):
    scheme = load_scheme()
    slices = []
    for index, role in enumerate(ROLES[:n]):
        known = [region.name for region in scheme.regions_of(role)]
        positive = data.draw(st.sets(st.sampled_from(known)))
        slices.append(mark_slice(scheme, index, role, positive, data.draw(st.sampled_from([None, 0, 1, 2]))))
    score = score_marks(scheme, slices)
    assert score_marks(scheme, data.draw(st.permutations(slices))) == score
    for name, maximum in scheme.maxima.items():
        assert 0 <= getattr(score, name) <= score.possible[name] <= maximum
    assert score.total == score.femoral_bme + score.acetabular_bme + score.effusion


@pytest.mark.parametrize(("thickness", "grade"), [(0, 0), (1.99, 0), (2.0, 1), (3.0, 1), (4.0, 1), (4.01, 2), (20, 2)])
def test_effusion_grades(thickness, grade):
    assert load_scheme().grade_effusion(thickness) == grade


@pytest.fixture
def document():
    text = (resources.files("scoring.mri") / "schemes" / f"{NINE}.json").read_text("utf-8")
    return json.loads(text)


def test_shipped_schemes_load_and_say_what_they_are(document, tmp_path):
    assert scheme_names() == (NINE, SEVEN)
    for name in scheme_names():
        scheme = load_scheme(name)
        assert scheme.id == name
        assert "not the official" in scheme.notice
        assert scheme.maxima == {"femoral_bme": 65, "acetabular_bme": 35, "effusion": 30}
    path = tmp_path / "own.json"
    path.write_text(json.dumps(document), "utf-8")
    assert read_scheme(path) == load_scheme()


def test_other_family_may_have_its_own_maxima(document):
    document["family"] = "own"
    document["slices"] = {"central": 3, "anterior": 1, "posterior": 1}
    document["maxima"] = {"femoral_bme": 31, "acetabular_bme": 17, "effusion": 10}
    assert parse_scheme(document).n_slices == 5


def test_himriss_family_refuses_other_maxima_even_if_they_add_up(document):
    document["slices"] = {"central": 3, "anterior": 1, "posterior": 1}
    document["maxima"] = {"femoral_bme": 31, "acetabular_bme": 17, "effusion": 10}
    with pytest.raises(ScoringError, match=r"maxima\.femoral_bme is 31; allowed: 65"):
        parse_scheme(document)


def changed(document, path, value):
    """A copy with the entry at `path` replaced, or removed where the value is `...`."""
    copied = copy.deepcopy(document)
    place = copied
    for step in path[:-1]:
        place = place[step]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return copied


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("id",), "", "id"),
        (("family",), 5, "family"),
        (("notice",), ..., "scheme.notice"),
        (("extra",), 1, "scheme.extra"),
        (("version",), 0, "version"),
        (("version",), 1.5, "version"),
        (("maxima",), [65, 35, 30], "maxima"),
        (("maxima", "effusion"), 31, "maxima.effusion"),
        (("slices", "central"), 4, "maxima.femoral_bme"),
        (("slices", "central"), True, "slices.central"),
        (("slices", "middle"), 5, "slices.middle"),
        (("positive_share",), 0, "positive_share"),
        (("positive_share",), 1.2, "positive_share"),
        (("regions", "central"), "all", "regions.central"),
        (("regions", "outer"), [], "regions.outer"),
        (("regions", "outer", 0), ..., "maxima.femoral_bme"),
        (("regions", "outer", 0, "part"), "pelvic", "regions.outer[0].part"),
        (("regions", "outer", 1, "name"), "head_superior", "regions.outer[1].name"),
        (("regions", "outer", 1, "name"), " ", "regions.outer[1].name"),
        (("regions", "outer", 0, "polygon"), [[0, 0], [1, 1]], "regions.outer[0].polygon"),
        (("regions", "outer", 0, "polygon"), [[0, 0], [1, 1], [2, 2]], "regions.outer[0].polygon"),
        (("regions", "outer", 0, "polygon", 2), [1, 2, 3], "regions.outer[0].polygon[2]"),
        (("regions", "outer", 0, "polygon", 2), [1, None], "regions.outer[0].polygon[2]"),
        (("effusion", "grades"), [0, 2, 1], "effusion.grades"),
        (("effusion", "grades"), [1, 2], "effusion.grades"),
        (("effusion", "thresholds_mm"), [4, 2], "effusion.thresholds_mm"),
        (("effusion", "thresholds_mm"), [2], "effusion.thresholds_mm"),
        (("effusion", "thresholds_mm"), [-2, 2], "effusion.thresholds_mm"),
    ],
)
def test_bad_schemes_are_refused_by_the_name_of_the_field(document, path, value, field):
    with pytest.raises(ScoringError) as caught:
        parse_scheme(changed(document, path, value))
    assert caught.value.field == field


def test_text_that_is_no_json_and_unknown_names_are_refused():
    with pytest.raises(ScoringError, match="JSON"):
        parse_scheme("{")
    with pytest.raises(ScoringError, match="an object"):
        parse_scheme("[]")
    with pytest.raises(ScoringError, match="himriss-compatible-1"):
        load_scheme("official")


def test_polygon_area():
    assert polygon_area([(0, 0), (2, 0), (2, 1), (0, 1)]) == 2.0
