"""The page of DICOM senders."""

import pytest
from django.test import Client
from django.urls import reverse

from hipapp.accounts.models import AccessEvent
from hipapp.core.errors import ConflictError, DomainError, ForbiddenError
from hipapp.imaging.models import Sender
from hipapp.imaging.services.senders import save_sender

pytestmark = pytest.mark.django_db


def signed_in(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_an_administrator_adds_changes_and_stops_a_sender(administrator, centre):
    client = signed_in(administrator)
    values = {"ae_title": "MR1 ", "centre": centre.pk, "host": "10.0.0.7", "description": "1.5 T, room 3", "is_active": "on"}
    assert client.post(reverse("imaging:senders"), values).status_code == 302
    sender = Sender.objects.get()
    assert (sender.ae_title, sender.centre, sender.host, sender.is_active) == ("MR1", centre, "10.0.0.7", True)
    assert "1.5 T, room 3" in client.get(reverse("imaging:senders")).content.decode()
    del values["is_active"]
    assert client.post(reverse("imaging:sender-edit", args=[sender.pk]), values | {"host": ""}).status_code == 302
    sender.refresh_from_db()
    assert (sender.host, sender.is_active) == (None, False)
    assert AccessEvent.objects.filter(action="save-sender", subject_id=str(sender.pk)).count() == 2


def test_a_title_is_unique_whoever_has_it(administrator, centre, other_centre):
    Sender.objects.create(ae_title="MR1", centre=other_centre)
    answer = signed_in(administrator).post(reverse("imaging:senders"), {"ae_title": "MR1", "centre": centre.pk})
    assert answer.status_code == 400
    assert "already" in answer.content.decode()
    with pytest.raises(ConflictError):
        save_sender(administrator, None, ae_title="MR1", centre=centre)


@pytest.mark.parametrize("title", ["", "   ", "A\\B", "X" * 17, "A\nB", "Ä"])
def test_a_senseless_title_is_refused(administrator, centre, title):
    with pytest.raises(DomainError):
        save_sender(administrator, None, ae_title=title, centre=centre)


def test_senders_of_another_centre_are_not_there(administrator, radiologist, centre, other_centre):
    foreign = Sender.objects.create(ae_title="CT9", centre=other_centre)
    client = signed_in(administrator)
    assert "CT9" not in client.get(reverse("imaging:senders")).content.decode()
    assert client.get(reverse("imaging:sender-edit", args=[foreign.pk])).status_code == 404
    with pytest.raises(ForbiddenError):
        save_sender(administrator, foreign, ae_title="CT9", centre=centre)
    with pytest.raises(ForbiddenError):
        save_sender(radiologist, None, ae_title="MR2", centre=centre)
