"""A worker whose network waits in the middle of a study for as long as a gate file is there. Run as a script by test_worker."""

import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main(queue: str, bundle: Path, gate: Path, asked: Path) -> None:
    sys.path.insert(0, str(ROOT))
    import django

    django.setup()
    from django.core.management import call_command

    from hipapp.imaging import inference, registry
    from tests.imaging.studies import fake_segment

    def segment(series, model, say):
        with asked.open("a") as file:
            file.write(f"{series.pk}\n")
        while gate.exists():
            say(50, "In the middle of the study")
            time.sleep(0.05)
        return fake_segment(series, model, say)

    registry.bundle_folder = lambda: bundle
    inference.segment = segment
    call_command("worker", queue=queue)


if __name__ == "__main__":
    os.chdir(ROOT)
    main(sys.argv[1], *(Path(argument) for argument in sys.argv[2:5]))
