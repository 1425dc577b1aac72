"""Forms of sign-in, own password, people and centres."""

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm

from hipapp.accounts.models import Centre, Role, User
from hipapp.accounts.selectors import managed_centres


class StyledForm:
    """Bootstrap's classes on every widget."""

    fields: dict[str, forms.Field]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            select = isinstance(field.widget, forms.Select)
            field.widget.attrs.setdefault("class", "form-select" if select else "form-control")


class SignInForm(StyledForm, AuthenticationForm):
    """User name and password; says the same for an unknown name and a wrong password."""

    error_messages = {
        "invalid_login": "User name and password don't match. Both mind capitals.",
        "inactive": "This account is not active. Ask an administrator of your centre.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "User name"


class PasswordForm(StyledForm, forms.Form):
    old_password = forms.CharField(
        label="Present password", strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )
    new_password = forms.CharField(
        label="New password",
        strip=False,
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least 10 characters; not a common word, not your name, not only digits.",
    )
    repeated = forms.CharField(
        label="New password again",
        strip=False,
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("new_password") != cleaned.get("repeated"):
            self.add_error("repeated", "The two new passwords differ. Type the same in both fields.")
        return cleaned


class PersonForm(StyledForm, forms.Form):
    """A new person with their first role."""

    username = forms.CharField(label="User name", max_length=150, help_text="Letters, digits and @ . + - _")
    first_name = forms.CharField(label="First name", max_length=150)
    last_name = forms.CharField(label="Last name", max_length=150)
    email = forms.EmailField(label="E-mail", required=False)
    centre = forms.ModelChoiceField(label="Centre", queryset=Centre.objects.none())
    role = forms.ChoiceField(label="Role", choices=Role.choices)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["centre"].queryset = managed_centres(user).filter(is_active=True)  # type: ignore[attr-defined]


class RoleForm(StyledForm, forms.Form):
    """One more role for a person."""

    centre = forms.ModelChoiceField(label="Centre", queryset=Centre.objects.none())
    role = forms.ChoiceField(label="Role", choices=Role.choices)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["centre"].queryset = managed_centres(user).filter(is_active=True)  # type: ignore[attr-defined]


class CentreForm(StyledForm, forms.ModelForm):
    class Meta:
        model = Centre
        fields = ["name", "code"]


class CentreEditForm(StyledForm, forms.ModelForm):
    class Meta:
        model = Centre
        fields = ["name", "is_active"]
        labels = {"is_active": "Active"}
