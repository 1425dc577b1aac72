"""`manage.py export_dataset DIR`: accepted and corrected outlines as DICOM with DICOM SEG."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from hipapp.accounts.models import Centre
from hipapp.core.errors import DomainError
from hipapp.imaging.export.dataset import MANIFEST, Exported, export_dataset
from hipapp.imaging.models import Study


class Command(BaseCommand):
    help = (
        "Write the outlines that radiologists accepted or corrected as a data set: de-identified DICOM images with DICOM SEG, "
        "pseudonyms, no dates. Whoever may run this command on the server gets the studies of all centres, whatever "
        "anybody's role is; --centre takes one. `python -m ml prepare OUT --table DIR/cases.csv` reads it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("dir", type=Path, help="folder of the data set; it must be new or empty")
        parser.add_argument("--centre", metavar="CODE", help="studies of this centre only")

    def handle(self, *args: Any, **options: Any) -> None:
        studies = Study.objects.filter(state=Study.State.READY)
        if code := options["centre"]:
            centre = Centre.objects.filter(code=code).first()
            if centre is None:
                raise CommandError(f"There is no centre with the code {code}.")
            studies = studies.filter(centre=centre)
        try:
            found = export_dataset(studies, options["dir"], self._say)
        except (DomainError, OSError) as error:
            raise CommandError(str(error)) from error
        n_hips, n_studies = sum(one.n_hips for one in found), sum(one.n_hips > 0 for one in found)
        words = f"{n_hips} hips of {n_studies} studies in {options['dir']} ({MANIFEST}); left out: {len(found) - n_studies}"
        self.stdout.write(words)

    def _say(self, one: Exported) -> None:
        if one.why:
            self.stdout.write(f"study {one.study_key} left out: {one.why}")
