"""QIDO-RS: searching for studies, series and instances (PS3.18 10.6)."""

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from django.db.models import Count, Min, Q, QuerySet
from django.http import HttpResponse, JsonResponse
from django.urls import reverse
from pydicom.datadict import keyword_for_tag, tag_for_keyword
from rest_framework.request import Request

from hipapp.core.errors import DomainError
from hipapp.imaging.dicom.dicomjson import SEARCHED, Json, attribute
from hipapp.imaging.dicomweb import described
from hipapp.imaging.dicomweb.accept import JSON, choose
from hipapp.imaging.dicomweb.door import (
    DicomWebView,
    keep_study_derived,
    known_as,
    learn_attributes,
    served_instances,
    served_studies,
)
from hipapp.imaging.models import Instance, Study

MAX_ROWS = {"study": 1000, "series": 2000, "instance": 20_000}
CONTROLS = {"limit", "offset", "includefield", "fuzzymatching", "accept", "charset"}
UID_FIELDS = {"StudyInstanceUID": "study__study_uid", "SeriesInstanceUID": "series_uid", "SOPInstanceUID": "sop_uid"}
EMPTY_HERE = {"AccessionNumber", "StudyID", "ReferringPhysicianName", "PatientBirthDate"}  # never stored
BY_STUDY = {"StudyDate", "StudyTime", "PatientID", "PatientName", "PatientSex", "ModalitiesInStudy", "StudyDescription"}
SERIES_LEVEL = ("Modality", "SeriesDescription", "SeriesNumber", "BodyPartExamined", "SeriesInstanceUID", "Manufacturer")


@dataclass(frozen=True)
class Search:
    """What a client searches for, checked: matches by keyword, page, and fields asked for besides the usual ones."""

    matches: dict[str, str]
    offset: int
    limit: int
    included: frozenset[str]
    warnings: tuple[str, ...]


def read_search(request: Request, level: str) -> Search:
    """The search of a request.

    Raises
    ------
    DomainError
        A parameter is no attribute that can be searched by, or `limit` or `offset` is no whole number.
    """
    asked, matches, warnings = request.query_params, {}, []
    for name in asked:
        if name in CONTROLS:
            continue
        keyword = _keyword(name)
        if keyword is None:
            raise DomainError(f"`{_shown(name)}` is no attribute that can be searched by.", code="unknown_attribute")
        if value := asked[name].strip():
            matches[keyword] = value
    if asked.get("fuzzymatching", "").lower() == "true":
        warnings.append("The fuzzymatching parameter is not supported. Only literal matching has been performed.")
    fields = [name for text in asked.getlist("includefield") for name in text.split(",")]
    included = frozenset(keyword for name in fields if (keyword := "all" if name == "all" else _keyword(name)))
    return Search(
        matches,
        _whole(asked, "offset", 0),
        min(_whole(asked, "limit", MAX_ROWS[level]), MAX_ROWS[level]),
        included,
        tuple(warnings),
    )


class StudiesQuery(DicomWebView):
    @described.search
    def get(self, request: Request) -> HttpResponse:
        """Studies that match, newest first."""
        choose(request, (JSON, "application/json"))
        search = read_search(request, "study")
        found = served_studies(self.person)
        images = served_instances(self.person)
        matching = _matched(images, search, known=self.person)
        found = found.filter(pk__in=matching.values("study"))
        page = list(found[search.offset : search.offset + search.limit + 1])
        rows, more = page[: search.limit], len(page) > search.limit
        facts = _facts(rows, images)
        return _answer([_study_row(request, study, facts[study.pk]) for study in rows], search, more)


class SeriesQuery(DicomWebView):
    @described.search
    def get(self, request: Request, study: str | None = None) -> HttpResponse:
        """Series that match, of one study or of all."""
        choose(request, (JSON, "application/json"))
        search = read_search(request, "series")
        images = served_instances(self.person)
        if study is not None:
            keep_study_derived(self.person, study)
            images = images.filter(study__study_uid__in=known_as(self.person, [study]))
        found = _matched(images, search, known=self.person).values("study_id", "series_uid").distinct()
        pairs = list(found.order_by("study_id", "series_uid")[search.offset : search.offset + search.limit + 1])
        pairs, more = pairs[: search.limit], len(pairs) > search.limit
        series = images.filter(series_uid__in=[pair["series_uid"] for pair in pairs]).values("study_id", "series_uid")
        counts = {(row["study_id"], row["series_uid"]): row for row in series.annotate(n=Count("pk"), first=Min("pk")).order_by()}
        firsts = images.select_related("study__visit__patient").in_bulk([row["first"] for row in counts.values()])
        learn_attributes(list(firsts.values()))
        rows = []
        for pair in pairs:
            row = counts[pair["study_id"], pair["series_uid"]]
            rows.append(_series_row(request, firsts[row["first"]], row["n"], search))
        return _answer(rows, search, more)


class InstancesQuery(DicomWebView):
    @described.search
    def get(self, request: Request, study: str | None = None, series: str | None = None) -> HttpResponse:
        """Instances that match, of a series, of a study or of all."""
        choose(request, (JSON, "application/json"))
        search = read_search(request, "instance")
        images = served_instances(self.person)
        if study is not None:
            keep_study_derived(self.person, study)
            images = images.filter(study__study_uid__in=known_as(self.person, [study]))
        if series is not None:
            images = images.filter(series_uid__in=known_as(self.person, [series]))
        found = _matched(images, search, known=self.person).select_related("study__visit__patient")
        page = list(found.order_by("study_id", "series_uid", "pk")[search.offset : search.offset + search.limit + 1])
        rows, more = page[: search.limit], len(page) > search.limit
        learn_attributes(rows)
        return _answer([_instance_row(request, row, search) for row in rows], search, more)


def patient_words(study: Study, attributes: Json) -> Json:
    """Who the study is of, as DICOMweb says it: the study code, or the files' own pseudonym while it has no patient."""
    patient = study.visit.patient if study.visit else None
    stored = (attributes.get("00100020", {}).get("Value") or [""])[0]
    code = patient.study_code if patient else stored
    return dict(
        [attribute("PatientName", code), attribute("PatientID", code), attribute("PatientSex", patient.sex if patient else "")]
    )


def _facts(studies: list[Study], images: QuerySet[Instance]) -> dict[Any, dict[str, Any]]:
    facts: dict[Any, dict[str, Any]] = defaultdict(lambda: {"n": 0, "series": set(), "modalities": set(), "attributes": {}})
    rows = images.filter(study__in=studies).values_list(
        "study_id", "series_uid", "attributes__00080060__Value__0", "attributes__00100020__Value__0"
    )
    for study_id, series_uid, modality, pseudonym in rows:
        fact = facts[study_id]
        fact["n"] += 1
        fact["series"].add(series_uid)
        fact["modalities"].add(modality or "MR")
        fact["attributes"] = dict([attribute("PatientID", pseudonym)])
    return facts


def _study_row(request: Request, study: Study, fact: dict[str, Any]) -> Json:
    return {
        **_study_words(study),
        **patient_words(study, fact["attributes"]),
        **dict(
            [
                attribute("InstanceAvailability", "ONLINE"),
                attribute("ModalitiesInStudy", *sorted(fact["modalities"])),
                attribute("NumberOfStudyRelatedSeries", len(fact["series"])),
                attribute("NumberOfStudyRelatedInstances", fact["n"]),
                attribute("RetrieveURL", request.build_absolute_uri(reverse("dicomweb:study", args=[study.study_uid]))),
            ]
        ),
    }


def _study_words(study: Study) -> Json:
    at = study.acquired_at
    return dict(
        [
            attribute("StudyDate", f"{at:%Y%m%d}" if at else ""),
            attribute("StudyTime", f"{at:%H%M%S}" if at else ""),
            attribute("StudyDescription", study.description),
            attribute("StudyInstanceUID", study.study_uid),
            *(attribute(keyword) for keyword in EMPTY_HERE),
        ]
    )


def _series_row(request: Request, first: Instance, n: int, search: Search) -> Json:
    address = reverse("dicomweb:series", args=[first.study.study_uid, first.series_uid])
    return {
        **(_study_words(first.study) | patient_words(first.study, first.attributes)),
        **_picked(first.attributes, (*SERIES_LEVEL, *search.included)),
        **dict(
            [
                attribute("NumberOfSeriesRelatedInstances", n),
                attribute("RetrieveURL", request.build_absolute_uri(address)),
            ]
        ),
    }


def _instance_row(request: Request, row: Instance, search: Search) -> Json:
    address = reverse("dicomweb:instance", args=[row.study.study_uid, row.series_uid, row.sop_uid])
    found = dict(row.attributes)
    found.update([attribute("InstanceAvailability", "ONLINE"), attribute("RetrieveURL", request.build_absolute_uri(address))])
    return {**found, **patient_words(row.study, row.attributes), **_study_words(row.study)} if search.included else found


def _picked(attributes: Json, keywords: tuple[str, ...]) -> Json:
    tags = {f"{tag_for_keyword(keyword):08X}" for keyword in keywords if keyword != "all"}
    return {tag: value for tag, value in attributes.items() if tag in tags or "all" in keywords}


def _matched(images: QuerySet[Instance], search: Search, known: Any) -> QuerySet[Instance]:
    for keyword, value in search.matches.items():
        if keyword in UID_FIELDS:
            uids = [uid for uid in re.split(r"[,\\]", value) if uid]
            images = images.filter(**{f"{UID_FIELDS[keyword]}__in": known_as(known, uids)})
        elif keyword in ("StudyDate", "StudyTime"):
            images = images.filter(_between(keyword, value))
        elif keyword in ("PatientID", "PatientName"):
            images = images.filter(
                Q(study__visit__patient__study_code__iregex=_pattern(value))
                | Q(study__visit=None, **{"attributes__00100020__Value__0__iregex": _pattern(value)})
            )
        elif keyword == "PatientSex":
            images = images.filter(study__visit__patient__sex=value)
        elif keyword == "StudyDescription":
            images = images.filter(study__description__iregex=_pattern(value))
        elif keyword == "ModalitiesInStudy":
            images = images.filter(**{"attributes__00080060__Value__0__in": re.split(r"[,\\]", value)})
        elif keyword in EMPTY_HERE:
            images = images if value.strip("*") == "" else images.none()
        else:
            path = f"attributes__{tag_for_keyword(keyword):08X}__Value__0"
            images = images.filter(**{f"{path}__iregex": _pattern(value)})
    return images


def _pattern(value: str) -> str:
    """A DICOM wildcard (* any, ? one character) as a regular expression of the whole value."""
    return "^" + "".join({"*": ".*", "?": "."}.get(c) or re.escape(c) for c in value[:200]) + "$"


def _between(keyword: str, value: str) -> Q:
    first, dash, last = value.partition("-")
    if keyword == "StudyTime":
        low, high = _clock(first) if first else time.min, _clock(last or "", time.max) if dash else _clock(first, time.max)
        return Q(study__acquired_at__time__gte=low, study__acquired_at__time__lte=high)
    found = Q(study__acquired_at__isnull=False)
    if first:
        found &= Q(study__acquired_at__gte=datetime.combine(_day(first), time.min, UTC))
    if last or not dash:
        found &= Q(study__acquired_at__lte=datetime.combine(_day(last or first), time.max, UTC))
    return found


def _day(text: str) -> date:
    try:
        return datetime.strptime(text.strip(), "%Y%m%d").date()
    except ValueError as error:
        raise DomainError("A date is written YYYYMMDD, a range YYYYMMDD-YYYYMMDD.", code="bad_date", field="StudyDate") from error


def _clock(text: str, otherwise: time = time.min) -> time:
    digits = text.strip().split(".")[0]
    if not digits:
        return otherwise
    if not digits.isdecimal() or len(digits) not in (2, 4, 6):
        raise DomainError("A time is written HH, HHMM or HHMMSS.", code="bad_time", field="StudyTime")
    parts = [int(digits[i : i + 2]) for i in range(0, len(digits), 2)]
    hour, minute, second = [*parts, *(otherwise.hour, otherwise.minute, otherwise.second)[len(parts) :]]
    try:
        return time(hour, minute, second, otherwise.microsecond)
    except ValueError as error:
        raise DomainError("A time is written HH, HHMM or HHMMSS.", code="bad_time", field="StudyTime") from error


def _keyword(name: str) -> str | None:
    known = {*SEARCHED, *UID_FIELDS, *EMPTY_HERE, *BY_STUDY}
    if re.fullmatch(r"[0-9A-Fa-f]{8}", name):
        name = keyword_for_tag(int(name, 16))
    return name if name in known else None


def _shown(name: str) -> str:
    return "".join(c for c in name[:40] if c.isalnum() or c in "._-")


def _whole(asked: Any, name: str, default: int) -> int:
    text = asked.get(name, str(default))
    if not text.isdecimal() or len(text) > 9:
        raise DomainError(f"`{name}` has to be a whole number.", code="bad_number", field=name)
    return int(text)


def _answer(rows: list[Json], search: Search, more: bool) -> HttpResponse:
    warnings = [*search.warnings]
    if more:
        warnings.append("There are more results: ask for them with `offset`.")
    if not rows:
        answer = HttpResponse(status=204)
    else:
        answer = JsonResponse([dict(sorted(row.items())) for row in rows], safe=False, content_type=JSON)
    if warnings:
        answer["Warning"] = ", ".join(f'299 dicomweb "{text}"' for text in warnings)
    answer["Cache-Control"] = "no-store"
    return answer
