"""A temporary password opens one page only."""

import pytest

from hipapp.accounts.middleware import TemporaryPasswordMiddleware

pytestmark = pytest.mark.django_db


def test_with_a_temporary_password_every_page_leads_to_the_one_that_changes_it(client, radiologist):
    radiologist.must_change_password = True
    radiologist.save()
    client.force_login(radiologist)
    for address in ("/", "/patients/", "/studies/"):
        answer = client.get(address)
        assert (answer.status_code, answer["Location"]) == (302, "/accounts/password/")
    assert client.get("/accounts/password/").status_code == 200


def test_others_pass(rf, radiologist):
    request = rf.get("/patients/")
    request.user = radiologist
    assert TemporaryPasswordMiddleware(lambda _: "the page")(request) == "the page"
