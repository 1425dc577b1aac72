"""Numbers as the pages show them: fixed decimals, a real minus sign, an em dash for what is missing."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

MISSING = "—"


@register.filter
def number(value: float | str | None, decimals: int = 1) -> str:
    """`value` with a fixed number of decimals; an em dash when missing."""
    if value is None or value == "":
        return MISSING
    return f"{float(value):.{decimals}f}".replace("-", "−")


@register.filter
def signed(value: float | str | None, decimals: int = 1) -> str:
    """A change with its sign; 0 has none."""
    if value is None or value == "":
        return MISSING
    text = f"{float(value):+.{decimals}f}"
    return (text[1:] if float(text) == 0 else text).replace("-", "−")


@register.simple_tag
def missing(reason: str) -> SafeString:
    """An em dash that says on hover (and to screen readers) why the value is missing."""
    return format_html('<span class="missing" title="{}">—<span class="visually-hidden"> {}</span></span>', reason, reason)
