"""How numbers are shown."""

import pytest

from hipapp.core.templatetags.numbers import missing, number, signed


@pytest.mark.parametrize(("value", "decimals", "text"), [(2.345, 1, "2.3"), (-1.0, 2, "−1.00"), (None, 1, "—"), (0, 0, "0")])
def test_number(value, decimals, text):
    assert number(value, decimals) == text


@pytest.mark.parametrize(("value", "text"), [(1.24, "+1.2"), (-1.26, "−1.3"), (0.0, "0.0"), (-0.04, "0.0"), (None, "—")])
def test_signed(value, text):
    assert signed(value, 1) == text


def test_missing_says_why_and_escapes():
    assert "<b>" not in missing("<b>no MRI</b>")
    assert "—" in missing("no MRI")
