"""`python -m scoring`: the catalogue, one score from `field=value` pairs, or a table of rows."""

import argparse
import csv
import io
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from scoring import checks
from scoring.catalogue import BY_NAME, ENTRIES
from scoring.errors import ScoringError
from scoring.fields import compute, field_kinds
from scoring.reference import describe, render_reference
from scoring.result import IndexResult

RESULT_COLUMNS = ("value", "state", "warnings", "missing", "missing_rule", "form", "version", "error")
SCORE_COLUMN = "score"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 when it did what was asked, 2 (and one line on stderr) when the input was refused."""
    parser = _parser()
    options = parser.parse_intermixed_args(arguments)
    try:
        sys.stdout.write(_answer(options))
    except (ScoringError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def to_json(result: IndexResult) -> str:
    """A result as JSON; numbers that are not finite become null."""
    document = {
        "name": result.name,
        "value": _plain(result.value),
        "state": result.state,
        "warnings": list(result.warnings),
        "missing": list(result.missing),
        "missing_rule": result.missing_rule,
        "form": result.form,
        "version": result.version,
        "parts": {name: _plain(part) for name, part in result.parts.items()},
        "reasons": list(result.reasons),
    }
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def score_table(name: str | None, text: str, fixed: Mapping[str, str]) -> tuple[str, int]:
    """A CSV table with the result of each row beside it, and the number of rows refused.

    Parameters
    ----------
    name : str or None
        Score of every row; None takes it from the column `score`.
    text : str
        CSV with a header. Columns that are fields of the score are read, all are kept.
    fixed : field → text
        The same for every row; a column of that name goes before it.
    """
    reader = csv.DictReader(io.StringIO(text.lstrip("\ufeff")))
    columns = list(reader.fieldnames or ())
    if not columns:
        raise ScoringError("csv", "an empty file", "a table with a header line")
    if name is None and SCORE_COLUMN not in columns:
        raise ScoringError("csv", columns, f"a column {SCORE_COLUMN}, or a score's name on the command line")
    renamed = {column: f"result_{column}" if column in columns else column for column in RESULT_COLUMNS}
    out = io.StringIO()
    writer = csv.DictWriter(out, [*columns, *renamed.values()], lineterminator="\n")
    writer.writeheader()
    n_refused = 0
    for row in reader:
        if None in row:
            raise ScoringError(f"csv line {reader.line_num}", row[None], f"no more cells than the header has, {len(columns)}")
        result = _score_row(name, row, fixed)
        n_refused += bool(result["error"])
        kept = {column: row[column] for column in columns}
        writer.writerow(kept | {renamed[column]: result[column] for column in RESULT_COLUMNS})
    return out.getvalue(), n_refused


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scoring",
        description="Without arguments: every score with formula, range, source and a worked example.",
    )
    parser.add_argument("name", nargs="?", help="name of a score, for example asdas_crp")
    parser.add_argument("fields", nargs="*", help="field=value; several values with commas; empty means missing")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="compute every row of a table; the columns are the fields")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the answer there instead of to the screen")
    parser.add_argument("--markdown", action="store_true", help="print the reference page docs/reference/scores.md")
    return parser


def _answer(options: argparse.Namespace) -> str:
    text = _text(options)
    if options.out is None:
        return text
    options.out.write_text(text, "utf-8")
    return ""


def _text(options: argparse.Namespace) -> str:
    if options.markdown:
        return render_reference()
    name, pairs = options.name, list(options.fields)
    if name is not None and "=" in name:
        name, pairs = None, [name, *pairs]
    fields = _fields(pairs)
    if options.csv is not None:
        table, n_refused = score_table(name, options.csv.read_text("utf-8"), fields)
        if n_refused:
            sys.stderr.write(f"{n_refused} row(s) refused; the column error says why\n")
        return table
    if name is None:
        if fields:
            raise ScoringError("score", None, "one of " + ", ".join(BY_NAME))
        return "\n".join(describe(entry) for entry in ENTRIES)
    if not fields:
        checks.choice("score", name, tuple(BY_NAME))
        return describe(BY_NAME[name])
    return to_json(compute(name, fields))


def _fields(pairs: Sequence[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for pair in pairs:
        field, separator, text = pair.partition("=")
        if not separator or field in fields:
            raise ScoringError(field, pair, "field=value, each field once")
        fields[field] = text
    return fields


def _score_row(name: str | None, row: Mapping[str, str | None], fixed: Mapping[str, str]) -> dict[str, str]:
    score = name or (row[SCORE_COLUMN] or "").strip()
    known = field_kinds(BY_NAME[score]) if score in BY_NAME else {}
    fields = dict(fixed) | {field: row[field] or "" for field in known if field in row}
    try:
        result = compute(score, fields)
    except ScoringError as error:
        return dict.fromkeys(RESULT_COLUMNS, "") | {"error": str(error)}
    return {
        "value": "" if result.value is None else repr(float(result.value)),
        "state": result.state or "",
        "warnings": "; ".join(result.warnings),
        "missing": "; ".join(result.missing),
        "missing_rule": result.missing_rule,
        "form": result.form,
        "version": result.version,
        "error": "",
    }


def _plain(value: float | str | bool | None) -> float | str | bool | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value
