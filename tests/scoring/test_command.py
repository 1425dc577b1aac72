"""`python -m scoring`: the vectors through the command line, tables, refusals, and the generated page."""

import csv
import inspect
import io
import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from scoring.catalogue import BY_NAME, ENTRIES
from scoring.command import main
from scoring.errors import ScoringError
from scoring.fields import compute
from scoring.reference import render_reference

ROOT = Path(__file__).parents[2]
HARRIS = BY_NAME["harris"].example
BOUNDARY = "back_pain=0 stiffness_duration=0 patient_global=0 peripheral_pain=10"
BASMI = "tragus_to_wall_cm=14 schober_cm=4.5 intermalleolar_cm=100 cervical_rotation_deg=60"


def run(capsys, *arguments):
    code = main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def answer(capsys, line):
    code, out, err = run(capsys, *line.split())
    assert (code, err) == (0, "")
    return json.loads(out)


@pytest.mark.parametrize(
    ("line", "value", "state"),
    [
        ("asdas_crp back_pain=4 stiffness_duration=3 patient_global=4 peripheral_pain=2 crp_mg_l=11.8", 2.7201, "high"),
        ("asdas_crp back_pain=4 stiffness_duration=3 patient_global=4 peripheral_pain=2 crp_mg_dl=1.18", 2.7201, "high"),
        (f"asdas_crp {BOUNDARY} crp_mg_l=10 form=2-decimal", 2.0908, "low"),
        (f"asdas_crp {BOUNDARY} crp_mg_l=10", 2.1184, "high"),
        ("asdas_esr back_pain=4 stiffness_duration=3 patient_global=4 peripheral_pain=2 esr_mm_h=18.25", 2.3987, "high"),
        ("basdai q1=1 q2=2 q3=3 q4=4 q5=5 q6=10", 3.5, "not active"),
        (f"harris {HARRIS}", 77.735, "fair"),
        (f"basmi lateral_flexion_cm=12 {BASMI}", 3.2746, None),
        (f"basmi lateral_flexion_cm=10,14 {BASMI}", 3.2746, None),
        ("asas_response baseline=6,6,5,6 follow_up=3,3,3,6", 40, "ASAS40"),
        ("basfi q1=7 q2=5 q3=6 q4=8 q5=4 q6=3 q7=9 q8=6 q9=7 q10=8", 6.3, None),
        ("hoos symptoms=1,1,2,,0", 75.0, None),
        ("modified_new_york grade_right=3 grade_left=0 limited_chest_expansion=yes", 1, "definite"),
        ("himriss femoral_bme=11 acetabular_bme=7 effusion=9", 27, None),
        ("himriss_patient right=27 left=14", 41, None),
        ("bme_grade share_percent=30", 3, "grade 3"),
    ],
)
def test_vectors(capsys, line, value, state):
    result = answer(capsys, line)
    assert result["value"] == pytest.approx(value, abs=5e-5)
    assert result["state"] == state
    assert result["warnings"] == []


def test_warnings_stand_in_the_answer(capsys):
    result = answer(capsys, "asdas_crp back_pain=4 stiffness_duration=3 patient_global=4 peripheral_pain=2 crp=1.18")
    assert "is this mg/dL?" in result["warnings"][0]


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ("basdai q1=1 q2=2 q3=3", ["q4", "q5", "q6"]),
        ("asdas_crp back_pain=4 stiffness_duration=NA patient_global=4 peripheral_pain=2 crp_mg_l=5", ["stiffness_duration"]),
        ("himriss femoral_bme=", ["femoral_bme", "acetabular_bme", "effusion"]),
        ("himriss_patient right=27", ["left"]),
        ("asas_response baseline=6,,5,6 follow_up=3,3,missing,6", ["baseline pain", "follow_up basfi"]),
        ("vas value=", ["value"]),
    ],
)
def test_missing_items_give_null_and_the_rule(capsys, line, missing):
    result = answer(capsys, line)
    assert result["value"] is None
    assert result["missing"] == missing
    assert result["missing_rule"]


def test_an_empty_optional_field_keeps_its_default(capsys):
    line = "asdas_crp back_pain=4 stiffness_duration=3 patient_global=4 peripheral_pain=2 crp_mg_l=11.8 form="
    assert answer(capsys, line)["form"] == "3-decimal"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nope q1=1", "score is 'nope'"),
        ("nope", "score is 'nope'"),
        ("basdai q7=1", "q7"),
        ("basdai q1=eleven", "q1 is 'eleven'; allowed: a number"),
        ("basdai q1=11", "q1 is 11.0; allowed: a number from 0 to 10"),
        ("basdai q1=nan", "q1 is nan"),
        ("basdai q1=1 q1=2", "each field once"),
        ("basdai q1", "field=value"),
        ("q1=1 q2=2", "score is None"),
        ("harris fixed_flexion_under_30=maybe", "fixed_flexion_under_30"),
        ("asas_response baseline=6,six,5,6", "six"),
        ("asas_response baseline= follow_up=1,1,1,1", "baseline is None"),
        ("basdai --csv nothing_there.csv", "nothing_there.csv"),
    ],
)
def test_refusals_are_one_line_and_exit_2(capsys, line, words):
    code, out, err = run(capsys, *line.split())
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


def test_list_shows_every_score_with_its_worked_example(capsys):
    code, out, _ = run(capsys)
    assert code == 0
    for entry in ENTRIES:
        assert f"{entry.name} — {entry.title}" in out
        assert entry.formula in out
        assert entry.range in out
        assert entry.source in out
        assert f"python -m scoring {entry.name} {entry.example}" in out


def test_a_name_alone_describes_the_score(capsys):
    code, out, _ = run(capsys, "basdai")
    assert code == 0
    assert out.startswith("basdai — BASDAI")
    assert '"value": 3.5' in out


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_table_in_table_out(capsys, tmp_path):
    table = tmp_path / "registry.csv"
    table.write_text(
        "id,back_pain,stiffness_duration,patient_global,peripheral_pain,crp_mg_l\n"
        "1,4,3,4,2,11.8\n2,4,3,4,2,\n3,14,3,4,2,5\n4,0,0,0,0,0\n",
        "utf-8",
    )
    code, out, err = run(capsys, "asdas_crp", "--csv", str(table), "form=2-decimal")
    assert code == 0
    assert err.startswith("1 row(s) refused")
    first, second, third, fourth = rows(out)
    assert float(first["value"]) == pytest.approx(2.7187, abs=5e-5)
    assert (first["id"], first["state"], first["form"], first["error"]) == ("1", "high", "2-decimal", "")
    assert (second["value"], second["missing"]) == ("", "crp_mg_l")
    assert "back_pain is 14.0" in third["error"]
    assert float(fourth["value"]) == pytest.approx(0.6372, abs=5e-5)


def test_table_with_a_score_in_each_row_and_a_file_out(capsys, tmp_path):
    table, target = tmp_path / "mixed.csv", tmp_path / "out.csv"
    table.write_text(
        "\ufeffscore,q1,q2,q3,q4,q5,q6,baseline,follow_up,value\n"
        'basdai,1,2,3,4,5,10,,,7\nasas_response,,,,,,,"6,6,5,6",3;3;3;6,8\nnothing,,,,,,,,,\n',
        "utf-8",
    )
    code, out, _ = run(capsys, "--csv", str(table), "--out", str(target))
    assert (code, out) == (0, "")
    first, second, third = rows(target.read_text("utf-8"))
    assert (first["result_value"], first["value"], first["state"]) == ("3.5", "7", "not active")
    assert second["state"] == "ASAS40"
    assert "nothing" in third["error"]


@pytest.mark.parametrize(
    ("text", "words"), [("", "header"), ("id,q1\n1,2\n", "column score"), ("score,q1\nbasdai,1,2\n", "no more cells")]
)
def test_bad_tables_are_refused(capsys, tmp_path, text, words):
    table = tmp_path / "bad.csv"
    table.write_text(text, "utf-8")
    code, _, err = run(capsys, "--csv", str(table))
    assert code == 2
    assert words in err


def test_short_rows_have_missing_items(capsys, tmp_path):
    table = tmp_path / "short.csv"
    table.write_text("q1,q2\n1\n", "utf-8")
    _, out, _ = run(capsys, "basdai", "--csv", str(table))
    assert rows(out)[0]["missing"] == "q2; q3; q4; q5; q6"


def test_reference_page_is_the_generated_one(capsys):
    code, out, _ = run(capsys, "--markdown")
    assert code == 0
    assert out == render_reference()
    assert (ROOT / "docs/reference/scores.md").read_text("utf-8") == out


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_entry_is_documented_and_its_example_has_a_value(entry):
    result = compute(entry.name, dict(pair.split("=", 1) for pair in entry.example.split()))
    assert result.name == entry.name
    assert result.value is not None
    assert result.version
    text = inspect.getdoc(entry.function)
    parameters = [name for name in inspect.signature(entry.function).parameters if not name.startswith("q")]
    assert [name for name in parameters if name not in text] == []


def test_compute_refuses_unknown_scores():
    with pytest.raises(ScoringError, match="score"):
        compute("nope", {})


def test_module_ends_with_the_exit_status(monkeypatch, capsys):
    for arguments, status in ((["basdai", "q1=1"], 0), (["nope"], 2)):
        monkeypatch.setattr(sys, "argv", ["scoring", *arguments])
        with pytest.raises(SystemExit) as end:
            runpy.run_module("scoring", run_name="__main__")
        assert end.value.code == status
    assert "nope" in capsys.readouterr().err


def test_module_runs_and_needs_no_django():
    code = "import sys, runpy; sys.argv = ['scoring', 'basdai', 'q1=1']\n"
    code += "try:\n    runpy.run_module('scoring', run_name='__main__')\nexcept SystemExit as end:\n    assert end.code == 0\n"
    code += "assert not {'django', 'torch', 'pandas.plotting._matplotlib', 'pingouin'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["value"] is None
