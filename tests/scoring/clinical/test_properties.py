"""Invariants of the clinical indices: bounds, monotony, change of unit, permutation, order of rows."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.clinical.asdas import asdas_crp, asdas_esr
from scoring.clinical.basdai import basdai
from scoring.clinical.basfi import basfi
from scoring.clinical.basmi import MEASURES, basmi, basmi_3point
from scoring.clinical.harris import MOTION_BANDS, POINTS, harris
from scoring.clinical.hoos import hoos_subscale
from scoring.clinical.response import asas_response
from scoring.clinical.vas import vas
from scoring.command import score_table

ITEM = st.floats(0, 10)
FOUR = st.tuples(ITEM, ITEM, ITEM, ITEM)
SIX = st.tuples(ITEM, ITEM, ITEM, ITEM, ITEM, ITEM)


@given(items=SIX, index=st.integers(0, 5), more=st.floats(0, 10))
def test_basdai_bounds_and_monotony(items, index, more):
    value = basdai(*items).value
    assert -1e-9 <= value <= 10 + 1e-9
    raised = list(items)
    raised[index] = min(10.0, items[index] + more)
    assert basdai(*raised).value >= value - 1e-12


@given(items=SIX, order=st.permutations(range(4)))
def test_basdai_permutation_of_the_first_four(items, order):
    permuted = [items[index] for index in order] + list(items[4:])
    assert basdai(*permuted).value == pytest.approx(basdai(*items).value)


@given(items=SIX, missing=st.integers(0, 5))
def test_a_missing_item_keeps_basdai_within_the_answered_ones(items, missing):
    answers = [None if index == missing else item for index, item in enumerate(items)]
    known = [answer for answer in answers if answer is not None]
    assert min(known) - 1e-9 <= basdai(*answers).value <= max(known) + 1e-9


@given(items=FOUR, crp=st.floats(0, 50), form=st.sampled_from(["3-decimal", "2-decimal"]))
def test_asdas_does_not_depend_on_the_unit_of_crp(items, crp, form):
    in_mg_dl = asdas_crp(*items, crp_mg_dl=crp, form=form)
    in_mg_l = asdas_crp(*items, crp * 10, form=form)
    assert in_mg_dl.value == pytest.approx(in_mg_l.value)
    assert in_mg_dl.value >= 0.6360


@given(items=FOUR, laboratory=st.tuples(st.floats(0, 300), st.floats(0, 300)), index=st.integers(0, 3), more=ITEM)
def test_asdas_monotony(items, laboratory, index, more):
    low, high = sorted(laboratory)
    raised = list(items)
    raised[index] = min(10.0, items[index] + more)
    for function in (asdas_crp, asdas_esr):
        assert function(*items, high).value >= function(*items, low).value
        assert function(*raised, low).value >= function(*items, low).value - 1e-12


@given(items=FOUR, crp=st.floats(0, 100), esr=st.floats(0, 100))
def test_the_two_forms_differ_by_as_little_as_stated(items, crp, esr):
    """domain.md §2.2: at most 0.039 for ASDAS-CRP and 0.067 for ASDAS-ESR."""
    by_crp = asdas_crp(*items, crp).value - asdas_crp(*items, crp, form="2-decimal").value
    by_esr = asdas_esr(*items, esr).value - asdas_esr(*items, esr, form="2-decimal").value
    assert abs(by_crp) <= 0.039 + 5e-4
    assert abs(by_esr) <= 0.067 + 5e-4


POINT_SETS = st.tuples(*(st.sampled_from(options) for options in POINTS.values()))
FLAGS = st.tuples(*[st.booleans()] * 4)
DEGREES = st.tuples(*[st.floats(0, 90)] * 4)


@given(points=POINT_SETS, flags=FLAGS, degrees=DEGREES, index=st.integers(0, 3), more=st.floats(0, 90))
def test_harris_bounds_parts_and_monotony(points, flags, degrees, index, more):
    result = harris(*points, *flags, *degrees)
    assert 0 <= result.value <= 100
    parts = [result.parts[name] for name in ("pain", "function", "deformity", "range_of_motion")]
    assert sum(parts) == pytest.approx(result.value)
    assert result.parts["deformity"] == (4 if all(flags) else 0)
    wider = list(degrees)
    wider[index] = min(90.0, degrees[index] + more)
    assert harris(*points, *flags, *wider).value >= result.value - 1e-9
    assert len(degrees) == len(MOTION_BANDS)


@given(items=st.lists(ITEM, min_size=10, max_size=10), data=st.data())
def test_basfi_bounds_and_permutation(items, data):
    value = basfi(*items).value
    assert min(items) - 1e-9 <= value <= max(items) + 1e-9
    assert basfi(*data.draw(st.permutations(items))).value == pytest.approx(value)


@given(measured=st.tuples(*(st.floats(0, measure.limit) for measure in MEASURES.values())))
def test_basmi_bounds(measured):
    result = basmi(*measured)
    assert 0 <= result.value <= 10
    assert 0 <= basmi_3point(*measured).value <= 10
    assert all(0 <= result.parts[name] <= 10 for name in MEASURES)


@given(items=st.lists(st.integers(0, 4), min_size=10, max_size=10), data=st.data())
def test_hoos_bounds_and_permutation(items, data):
    value = hoos_subscale("pain", items).value
    assert 0 <= value <= 100
    assert hoos_subscale("pain", data.draw(st.permutations(items))).value == pytest.approx(value)


@given(value=ITEM)
def test_vas_does_not_depend_on_its_unit(value):
    assert vas(value * 10, "mm").value == pytest.approx(vas(value, "cm").value)


@given(baseline=FOUR, follow_up=FOUR, order=st.permutations(range(4)))
def test_asas40_implies_asas20_and_domains_may_change_places(baseline, follow_up, order):
    result = asas_response(baseline, follow_up)
    assert result.parts["asas20"] or not result.parts["asas40"]
    permuted = asas_response([baseline[index] for index in order], [follow_up[index] for index in order])
    assert permuted.parts == result.parts


@settings(max_examples=20, deadline=None)
@given(rows=st.lists(SIX, min_size=1, max_size=6), data=st.data())
def test_order_of_the_rows_of_a_table_does_not_matter(rows, data):
    def recomputed(given_rows):
        text = "q1,q2,q3,q4,q5,q6\n" + "".join(",".join(map(repr, row)) + "\n" for row in given_rows)
        table, n_refused = score_table("basdai", text, {})
        assert n_refused == 0
        return [row["value"] for row in csv.DictReader(io.StringIO(table))]

    shuffled = data.draw(st.permutations(rows))
    assert sorted(recomputed(shuffled)) == sorted(recomputed(rows))
