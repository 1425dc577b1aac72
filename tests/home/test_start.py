"""The start page and the frame of every page: what each role finds there, and nothing inline that the policy forbids."""

import re
from datetime import timedelta

import pytest
from django.template.loader import render_to_string
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from hipapp.accounts.models import User
from hipapp.clinic import services
from hipapp.home import selectors
from hipapp.home.navigation import ENTRIES
from hipapp.imaging.models import ModelVersion, Review, Score, Series, Study
from tests.builders import rows

pytestmark = pytest.mark.django_db


def page_of(user) -> str:
    client = Client()
    client.force_login(user)
    answer = client.get("/")
    assert answer.status_code == 200
    return answer.content.decode()


def menu_of(page: str) -> list[str]:
    return re.findall(r'data-go="[a-z]" title="g [a-z]"[^>]*>([^<]+)</a>', page)


def test_menu_follows_the_role(radiologist, rheumatologist, coordinator, administrator):
    assert menu_of(page_of(radiologist)) == ["Patients", "Studies", "Unassigned", "Reads", "Jobs"]
    clinical = ["Patients", "Studies", "Unassigned", "Cohort", "Jobs"]
    assert menu_of(page_of(rheumatologist)) == clinical
    assert menu_of(page_of(coordinator)) == [*clinical, "Networks"]
    assert menu_of(page_of(administrator)) == ["People", "Centres", "Models", "Networks", "Senders"]


def test_every_entry_leads_somewhere():
    assert all(reverse(entry.url_name).startswith("/") for entry in ENTRIES)
    assert len({entry.key for entry in ENTRIES}) == len(ENTRIES)


def test_person_without_a_role_is_told_what_to_do():
    assert "Ask the administrator of your centre" in page_of(User.objects.create(username="new"))


def test_person_of_an_inactive_centre_sees_nothing(rheumatologist, centre, patient):
    centre.is_active = False
    centre.save()
    assert menu_of(page_of(rheumatologist)) == []


def test_empty_pages_say_what_to_do_next(rheumatologist, radiologist):
    assert "Add the first patient" in page_of(rheumatologist)
    assert "Upload an MRI" in page_of(radiologist)


class TestLists:
    @pytest.fixture
    def today(self):
        return timezone.localdate()

    def test_seen_lately_newest_first_without_planned_visits(self, rheumatologist, patient, today):
        for days in (-10, -3, 5):
            rows.make_visit(patient, today + timedelta(days=days))
        shown = [row.visit.visit_on for row in selectors.seen_lately(rheumatologist)]
        assert shown == [today - timedelta(days=3), today - timedelta(days=10)]

    def test_gaps_are_named(self, rheumatologist, patient, today):
        visit = rows.make_visit(patient, today)
        services.save_assessment(rheumatologist, visit, **{f"basdai_q{n}": 1 for n in range(1, 7)})
        gaps = selectors.list_gaps(selectors.visits_with_gaps(rheumatologist))
        assert [row.gaps for row in gaps] == [("ASDAS", "Harris R and L")]

    def test_old_and_complete_visits_have_no_gaps(self, rheumatologist, patient, today):
        rows.make_visit(patient, today - timedelta(days=200))
        assert not selectors.visits_with_gaps(rheumatologist).exists()

    def test_other_centres_are_not_counted(self, other_centre, patient, today):
        rows.make_visit(patient, today)
        stranger = rows.make_user("rheumatologist", other_centre)
        assert selectors.seen_lately(stranger) == []
        assert not selectors.visits_with_gaps(stranger).exists()

    def test_number_of_queries_does_not_grow(self, rheumatologist, centre, today, django_assert_max_num_queries):
        for _ in range(6):
            visit = rows.make_visit(rows.make_patient(centre), today)
            services.save_assessment(rheumatologist, visit, patient_global=1)
        client = Client()
        client.force_login(rheumatologist)
        with django_assert_max_num_queries(20):
            client.get("/")


class TestResults:
    @pytest.fixture
    def study(self, visit):
        model = ModelVersion.objects.create(name="unet", version="1", sha256="0" * 64, is_in_force=True)
        study = Study.objects.create(centre=visit.patient.centre, visit=visit, study_uid="2.25.1")
        study.chosen_series = Series.objects.create(study=study, series_uid="2.25.2", plane="coronal", n_slices=20)
        study.save()
        for side, value in (("right", 0.81), ("left", 0.3)):
            Score.objects.create(series=study.chosen_series, side=side, model_version=model, unet_score=value)
        return study

    def test_unreviewed_result_stands_there_until_both_hips_are_reviewed(self, rheumatologist, radiologist, study):
        page = page_of(rheumatologist)
        assert "New results" in page
        assert f'href="/studies/{study.pk}/"' in page
        assert re.findall(r'<td class="num">(0\.\d\d)</td>', page) == ["0.81", "0.30"]
        assert "Research use only · model unet 1" in page
        for score in study.chosen_series.scores.all():
            Review.objects.create(
                series=study.chosen_series, side=score.side, score=score, verdict="accept", reviewer=radiologist
            )
        assert "Nothing waits for review" in page_of(rheumatologist)

    def test_counts_of_what_waits(self, radiologist, centre, study):
        Study.objects.create(centre=centre, study_uid="2.25.8", state="held")
        Study.objects.create(centre=centre, study_uid="2.25.9")
        assert selectors.waiting(radiologist) == selectors.Waiting(n_unreviewed=1, n_held=1, n_unassigned=1)

    def test_administrator_counts_people_and_centres(self, administrator, radiologist):
        User.objects.create(username="nobody-yet")
        assert selectors.administration(administrator) == selectors.Administration(3, 1, 0, 1)
        assert "people without a role" in page_of(administrator)


class TestFrame:
    def test_nothing_inline_and_no_other_host(self, rheumatologist, visit):
        page = page_of(rheumatologist)
        assert not re.search(r"<script(?![^>]*\bsrc=)", page)
        assert not re.search(r"\s(style|onclick|onload|onsubmit|hx-on[^=]*)=", page)
        assert not re.search(r'(src|href|action)="(https?:)?//', page)
        assert "Research use only" in page

    @pytest.mark.parametrize("name", ["400.html", "403.html", "403_csrf.html", "404.html", "500.html"])
    def test_error_pages_stand_without_a_request(self, name):
        page = render_to_string(name)
        assert "<h1" in page
        assert 'href="/"' in page

    def test_absent_page_is_said_in_words(self, client):
        answer = client.get("/nothing-here/")
        assert answer.status_code == 404
        assert b"nothing at this address that you may see" in answer.content
