"""Pages of networks compared by cross-validation, for coordinators and administrators."""

from typing import Any

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from hipapp.accounts.http import SignedInRequest
from hipapp.accounts.permissions import Act, can
from hipapp.core.errors import ForbiddenError
from hipapp.core.storage import read_content
from hipapp.core.templatetags.numbers import number
from hipapp.imaging.export.service import ExportedFile
from hipapp.imaging.selectors import visible_cross_validations
from hipapp.imaging.views.export import attachment

PAGE_SIZE = 50
HEADLINE = (("femoral_head", "Femoral head"), ("lesion", "Lesion"))
LABELS = {"femur": "Femur", "femoral_head": "Femoral head", "bme": "BME", "synovitis": "Synovitis", "lesion": "Lesion"}
LESIONS = ("bme", "synovitis", "lesion")


@require_GET
def cross_validation_list(request: SignedInRequest) -> HttpResponse:
    """Every comparison, the newest first."""
    if not can(request.user, Act.COMPARE_NETWORKS):
        raise ForbiddenError("Comparisons of networks are for coordinators and administrators.", code="forbidden")
    return render(request, "imaging/cross_validations.html", {"rows": visible_cross_validations(request.user).defer("result")})


@require_GET
def cross_validation_detail(request: SignedInRequest, pk: int) -> HttpResponse:
    """The tables of one comparison."""
    row = get_object_or_404(visible_cross_validations(request.user), pk=pk)
    result = row.result
    shown = _shown(result)
    about = {network["network"]: network for network in result["networks"]}
    context = {
        "row": row,
        "result": result,
        "headline": [word for _, word in shown],
        "overall": [_overall(line, about[line["network"]], shown) for line in result["overall"]],
        "folds": [_folds(table, shown) for table in result["folds"]],
        "labels": [_group(label, word, result["by_label"]) for label, word in LABELS.items() if label in result["labels"]],
        "tests": [_test(test) for test in result["tests"]],
    }
    return render(request, "imaging/cross_validation.html", context)


@require_GET
def cross_validation_hips(request: SignedInRequest, pk: int) -> HttpResponse:
    """Every hip of one comparison with its Dice by each network, the lowest lesion Dice first."""
    row = get_object_or_404(visible_cross_validations(request.user).exclude(cases=""), pk=pk)
    result = row.result
    query = request.GET.get("q", "").strip()
    found = [case for case in result["cases"] if query.lower() in case["case"].lower()]
    page = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    shown = _shown(result)[::-1]
    networks = result["networks"]
    context = {
        "row": row,
        "q": query,
        "page": page,
        "headline": [word for _, word in shown],
        "networks": networks,
        "hips": [(case, [_dices(case.get(label, {}), networks) for label, _ in shown]) for case in page],
    }
    return render(request, "imaging/cross_validation_hips.html", context)


@require_GET
def cross_validation_csv(request: SignedInRequest, pk: int) -> HttpResponse:
    """The whole per-case table, as it was imported."""
    row = get_object_or_404(visible_cross_validations(request.user).exclude(cases="").defer("result"), pk=pk)
    return attachment(ExportedFile(f"cases-{row.pk}.csv", "text/csv; charset=utf-8", read_content(row.cases)))


def _shown(result: dict[str, Any]) -> list[tuple[str, str]]:
    return [(label, word) for label, word in HEADLINE if label in result["labels"]]


def _dices(dice_of: dict[str, float | None], networks: list[dict[str, Any]]) -> list[float | None]:
    """Of one hip by each network, in percent."""
    return [_percent(dice_of.get(network["network"])) for network in networks]


def _overall(line: dict[str, Any], network: dict[str, Any], shown: list[tuple[str, str]]) -> dict[str, Any]:
    return {
        "name": line["name"],
        "cells": [_percents(line[label]) for label, _ in shown],
        "parameters": network["n_parameters"] / 1e6,
        "ms_per_slice": network["ms_per_slice"],
        "steps": sorted(network["steps"])[len(network["steps"]) // 2],
        "devices": network["devices"],
        "training": network.get("training", ""),
    }


def _folds(table: dict[str, Any], shown: list[tuple[str, str]]) -> dict[str, Any]:
    rows = [(row["fold"], [_percent(row[label]["mean"]) for label, _ in shown]) for row in table["rows"]]
    return {"name": table["name"], "rows": rows, "average": [_percents(table["average"][label]) for label, _ in shown]}


def _group(label: str, word: str, lines: list[dict[str, Any]]) -> dict[str, Any]:
    """One label of every network."""
    return {"label": word, "is_lesion": label in LESIONS, "lines": [_label(line) for line in lines if line["label"] == label]}


def _label(line: dict[str, Any]) -> dict[str, Any]:
    shares = {name: _percent(line.get(name)) for name in ("dice_pooled", "lesion_sensitivity")}
    return line | shares | {"dice": _percents(line["dice"])}


def _test(test: dict[str, Any]) -> dict[str, Any]:
    p_values = {key: _p(test[key]) for key in ("p", "p_holm")}
    return test | _percents(test) | p_values | {"label": LABELS.get(test["label"], test["label"])}


def _p(value: float | None) -> str:
    return "< 0.001" if value is not None and value < 0.001 else number(value, 3)


def _percents(figures: dict[str, Any]) -> dict[str, Any]:
    """The shares of a row in percent; None stays None."""
    return {key: _percent(figures[key]) for key in ("mean", "sd", "low", "high", "article", "difference") if key in figures}


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value
