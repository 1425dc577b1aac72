"""`manage.py models`: the same as the administrator's pages of models, for scripts and for machines without a browser."""

import csv
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import pghistory
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from hipapp.accounts.models import Centre
from hipapp.core.errors import DomainError
from hipapp.imaging.bundles import read_bundle
from hipapp.imaging.comparison import Comparison, compare
from hipapp.imaging.model_page import model_rows
from hipapp.imaging.models import ModelVersion, Series, Study
from hipapp.imaging.selectors import model_in_force
from hipapp.imaging.services import models, rescoring
from hipapp.jobs.models import Job

MODEL_HELP = 'name and version ("unet 2"), or the first characters of its SHA-256'


class Command(BaseCommand):
    help = "List models; import one; compare two; put one in force; go back to the one before."

    def add_arguments(self, parser: ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        acts.add_parser("list", help="every model, the one in force first")
        importing = acts.add_parser("import", help="import a bundle, check it and try it; it is not put in force")
        importing.add_argument("path", type=Path, help="folder or zip with bundle.json and its weights")
        comparing = acts.add_parser("compare", help="the scores of a model against those of another")
        comparing.add_argument("model", help=MODEL_HELP)
        comparing.add_argument("--against", help="the other model; the one in force unless given")
        comparing.add_argument("--centre", help="code of a centre; all unless given")
        comparing.add_argument("--score", action="store_true", help="have the workers score the studies with the model first")
        comparing.add_argument("--csv", type=Path, help="write the pairs into this file, by study and side")
        for name, words in (("promote", "put a model in force"), ("rollback", "put the one before in force again")):
            act = acts.add_parser(name, help=words)
            if name == "promote":
                act.add_argument("model", help=MODEL_HELP)
                act.add_argument("--uncompared", action="store_true", help="although it was not compared with the one in force")
            act.add_argument("--reason", required=True, help="why, in a few words; it is kept")

    def handle(self, *args: Any, act: str, **options: Any) -> None:
        try:
            with pghistory.context(door="command"):
                getattr(self, f"do_{act}")(**options)
        except DomainError as error:
            raise CommandError(error.message) from error

    def do_list(self, **options: Any) -> None:
        model: Any  # with the counts of model_rows
        for model in model_rows():
            state = "in force" if model.is_in_force else model.get_state_display().lower()
            state = f"{state}, earlier in force" if model.promoted_at and not model.is_in_force else state
            self.stdout.write(
                f"{model!s:<20} {model.sha256[:12]}  {model.n_scores:>7} hips  {state}  {model.refused_message}".rstrip()
            )

    def do_import(self, path: Path, **options: Any) -> None:
        if not path.exists():
            raise CommandError(f"{path} is not there.")
        model = models.import_bundle(read_bundle(path), None)
        if model.state != ModelVersion.State.CHECKING:
            self.stdout.write(f"{model} was here already; its calibration and figures are renewed.")
            return
        models.check_model(model)
        self.stdout.write(f"{model} ({model.sha256[:12]}) is ready. It is not in force: compare it, then promote it.")

    def do_promote(self, model: str, reason: str, uncompared: bool, **options: Any) -> None:
        found = find_model(model)
        models.promote_model(found, None, reason=reason, is_uncompared_accepted=uncompared)
        self.stdout.write(f"{found} is in force.")

    def do_rollback(self, reason: str, **options: Any) -> None:
        promotion = models.rollback_model(None, reason=reason)
        self.stdout.write(f"{promotion.model_version} is in force again.")

    def do_compare(
        self, model: str, against: str | None, centre: str | None, score: bool, csv: Path | None, **options: Any
    ) -> None:
        new = find_model(model)
        old = find_model(against) if against else model_in_force()
        if old is None or old == new:
            raise CommandError(f"{new} is in force itself: name another model with --against.")
        centres = list(Centre.objects.filter(code=centre) if centre else Centre.objects.filter(is_active=True))
        if not centres:
            raise CommandError(f"There is no centre {centre}." if centre else "There is no centre.")
        if score:
            self.score(new, centres)
        chosen = Study.objects.filter(centre__in=centres, state=Study.State.READY).values("chosen_series")
        found = compare(old, new, Series.objects.filter(pk__in=chosen).values_list("pk", flat=True))
        for line in lines(found):
            self.stdout.write(line)
        if csv is not None:
            write_pairs(found, csv)
            self.stdout.write(f"{csv}: {len(found.pairs)} hips")

    def score(self, model: ModelVersion, centres: list[Centre]) -> None:
        """Order the job and wait for it."""
        row = rescoring.order_rescoring(model, None, centres)
        assert row.job is not None
        with tqdm(total=row.n_series, desc=f"Scored with {model}", unit="study") as bar:
            while True:
                job = Job.objects.get(pk=row.job.pk)
                row.refresh_from_db(fields=["n_done", "n_series"])
                bar.total, bar.n = row.n_series, row.n_done
                bar.refresh()
                if job.is_final:
                    break
                time.sleep(0.5)
        if job.state != Job.State.SUCCEEDED:
            raise CommandError(f"The re-scoring ended as {job.get_state_display().lower()}: {job.message}")
        self.stdout.write(job.message)


def find_model(words: str) -> ModelVersion:
    """The model of a name and version, or of the beginning of a hash."""
    name, _, version = words.strip().rpartition(" ")
    found = list(ModelVersion.objects.filter(name=name, version=version))
    if not found and len(words) >= 6:
        found = list(ModelVersion.objects.filter(sha256__startswith=words.strip().lower()))
    if len(found) != 1:
        known = ", ".join(f"{model} ({model.sha256[:12]})" for model in model_rows()) or "none"
        raise CommandError(f"{len(found) or 'No'} model{'s are' if len(found) > 1 else ' is'} {words!r}. There are: {known}.")
    return found[0]


def lines(found: Comparison) -> list[str]:
    """The comparison in words."""
    said = [f"{found.new} against {found.old}: {len(found.pairs)} hips of {found.n_patients} patients scored by both"]
    said.append(f"scored by {found.old} only: {found.n_only_old}; by {found.new} only: {found.n_only_new}")
    if found.agreement is None or found.concordance is None:
        return [*said, "bias and limits of agreement need at least 3 hips"]
    agreement, concordance = found.agreement, found.concordance
    for name, estimate in (("bias", agreement.bias), ("lower limit", agreement.lower), ("upper limit", agreement.upper)):
        said.append(f"{name:<12} {estimate.estimate:+.3f} (95 % interval {estimate.low:+.3f} to {estimate.high:+.3f})")
    said.append(f"Lin's CCC    {concordance.estimate:.3f} ({concordance.low:.3f} to {concordance.high:.3f})")
    said.append(f"patients whose state changes: {found.n_changed_patients}")
    for change in found.changes:
        where = f"study {change.hip.short_id} {change.letter or 'both'}"
        said.append(f"  {where}: {change.what.lower()}: {change.before} → {change.after} {change.stands}".rstrip())
    return said


def write_pairs(found: Comparison, path: Path) -> None:
    """The pairs as CSV; studies by their key, patients not at all."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("study", "side", f"unet_score {found.old}", f"unet_score {found.new}", "difference"))
        writer.writerows((hip.study_id, hip.side, hip.old, hip.new, hip.difference) for hip in found.widest)
