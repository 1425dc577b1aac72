"""Forms of imaging: they check what was typed, the services do the rest."""

from typing import Any

from django import forms

from hipapp.accounts.forms import StyledForm
from hipapp.accounts.models import User
from hipapp.accounts.permissions import Act, centres_for
from hipapp.imaging.models import Sender


class SenderForm(StyledForm, forms.ModelForm):
    class Meta:
        model = Sender
        fields = ["ae_title", "centre", "host", "description", "is_active"]
        labels = {"ae_title": "Calling AE title", "host": "IP address", "is_active": "Active"}

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        centres = list(centres_for(user, Act.MANAGE)[:2])
        self.fields["centre"].queryset = centres_for(user, Act.MANAGE)  # type: ignore[attr-defined]
        if len(centres) == 1:
            self.fields["centre"].initial = centres[0]

    def validate_unique(self) -> None:
        """The service says it, in words that don't depend on the form."""
