"""`manage.py data_dictionary`: writes docs/reference/data-dictionary.md from the same source as the export."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from hipapp.cohort import exports

PATH = "docs/reference/data-dictionary.md"
HEAD = """# Data dictionary of the raw export

Written by `manage.py data_dictionary` from the fields' help texts; the page *Cohort* gives the same as CSV.
"""


def as_markdown() -> str:
    """The dictionary as one Markdown table."""
    rows = [exports.DICTIONARY_COLUMNS, ["---"] * len(exports.DICTIONARY_COLUMNS), *exports.dictionary_rows()]
    lines = ["| " + " | ".join(str(value).replace("|", "\\|") for value in row) + " |" for row in rows]
    return HEAD + "\n" + "\n".join(lines) + "\n"


class Command(BaseCommand):
    help = f"Write {PATH}."

    def handle(self, *args: Any, **options: Any) -> None:
        (settings.BASE_DIR / PATH).write_text(as_markdown())
