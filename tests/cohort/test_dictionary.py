"""The page of the data dictionary is the one that the code writes."""

from django.conf import settings

from hipapp.cohort.management.commands.data_dictionary import PATH, as_markdown


def test_the_page_is_current():
    assert (settings.BASE_DIR / PATH).read_text() == as_markdown(), "run manage.py data_dictionary"
