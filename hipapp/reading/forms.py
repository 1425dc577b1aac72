"""The form that takes a reader's three sub-scores of one hip."""

from typing import Any

from django import forms

from scoring.mri.himriss import MAXIMA

_LABELS = {"femoral_bme": "Femoral BME", "acetabular_bme": "Acetabular BME", "effusion": "Synovitis / effusion"}


class TotalsForm(forms.Form):
    """One hip; wholly empty means that this hip was not read now."""

    not_assessable = forms.BooleanField(label="Not assessable (prosthesis, not imaged)", required=False)
    comment = forms.CharField(label="Comment", required=False, max_length=300)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        scores = {
            name: forms.IntegerField(
                label=f"{_LABELS[name]}, 0–{maximum}",
                min_value=0,
                max_value=maximum,
                required=False,
                widget=forms.NumberInput(attrs={"inputmode": "numeric", "class": "form-control num", "data-sum": ""}),
            )
            for name, maximum in MAXIMA.items()
        }
        self.fields = {**scores, **self.fields}
        self.fields["comment"].widget.attrs["class"] = "form-control"
        self.fields["not_assessable"].widget.attrs["class"] = "form-check-input"

    @property
    def is_empty(self) -> bool:
        """Whether nothing was said about this hip."""
        data = self.cleaned_data
        return not data["not_assessable"] and all(data.get(name) is None for name in MAXIMA)

    def values(self) -> dict[str, Any]:
        """Keyword arguments of `services.save_totals`."""
        data = self.cleaned_data
        return {
            **{name: data.get(name) for name in MAXIMA},
            "is_assessable": not data["not_assessable"],
            "comment": data["comment"],
        }
