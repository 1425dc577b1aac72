"""Erasing in a browser: the red button works only once the name of what goes was typed."""

import pytest

from tests.builders.rows import PASSWORD, make_centre, make_patient, make_user

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def test_the_button_waits_for_the_typed_name(page, live_server):
    centre = make_centre(name="North", code="NOR")
    patient, user = make_patient(centre), make_user("rheumatologist", centre)
    page.goto(f"{live_server.url}/accounts/sign-in/")
    page.get_by_label("User name").fill(user.username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{live_server.url}/")
    page.goto(f"{live_server.url}/patients/{patient.pk}/erase/")
    page.get_by_label("Reason").fill("consent withdrawn")
    page.get_by_role("button", name="Ask for the erasure").click()
    erase = page.get_by_role("button", name=f"Erase {patient.study_code}")
    assert erase.is_disabled()
    field = page.get_by_label(f"Type {patient.study_code} to confirm")
    field.fill("something else")
    field.press("Enter")
    assert erase.is_disabled()
    field.fill(patient.study_code)
    assert erase.is_enabled()
    page.get_by_role("button", name="Keep it and withdraw the order").click()
    page.get_by_text("Nothing is erased; the order is withdrawn.").wait_for()
