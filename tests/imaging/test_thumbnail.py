"""The small picture of a hip where it is most inflamed: the right slice, the right hip, for the right people."""

import io

import numpy as np
import pytest
from PIL import Image

from hipapp.imaging.models import SliceMeasure, Study
from hipapp.imaging.results import results_of_studies
from hipapp.imaging.thumbnail import WIDTH_PX, draw_thumbnail, most_inflamed_slice
from hipapp.jobs.models import Job
from tests.builders import rows
from tests.imaging.studies import receive, run_job, stir_files

pytestmark = pytest.mark.django_db


@pytest.fixture
def study(radiologist, visit):
    receive(radiologist, stir_files(), visit=visit)
    run_job(Job.objects.get(task="imaging.segment_series"))
    return Study.objects.get()


def result_of(study, side="right"):
    return results_of_studies([study])[study.pk][side]


def test_the_slice_that_adds_most_is_taken(study):
    result = result_of(study)
    SliceMeasure.objects.filter(score=result.score_id).update(ratio=0.1)
    SliceMeasure.objects.filter(score=result.score_id, index=6).update(ratio=0.7)
    assert most_inflamed_slice(result) == 6
    SliceMeasure.objects.filter(score=result.score_id).update(ratio=None, lesion_mm2=0, head_mm2=100)
    SliceMeasure.objects.filter(score=result.score_id, index=3).update(head_mm2=900)
    assert most_inflamed_slice(result) == 3
    SliceMeasure.objects.all().delete()
    assert most_inflamed_slice(result) is None
    with pytest.raises(IndexError):
        draw_thumbnail(result)


def test_the_picture_has_its_hip_with_outlines(client, study, rheumatologist):
    client.force_login(rheumatologist)
    for side in ("right", "left"):
        answer = client.get(f"/studies/{study.pk}/{side}.png")
        assert (answer.status_code, answer["Content-Type"]) == (200, "image/png")
        picture = Image.open(io.BytesIO(answer.content))
        assert picture.width == WIDTH_PX
        assert not picture.info
        pixels = np.asarray(picture.convert("RGB")).astype(int)
        assert (np.ptp(pixels, axis=2) > 60).any(), "there are coloured outlines"
    assert client.get(f"/studies/{study.pk}/middle.png").status_code == 404


def test_strangers_and_administrators_do_not_get_it(client, study, other_centre, administrator):
    for person in (rows.make_user("rheumatologist", other_centre), administrator):
        client.force_login(person)
        assert client.get(f"/studies/{study.pk}/right.png").status_code == 404


def test_a_held_study_shows_it_to_care_roles_only(client, study, coordinator, radiologist):
    Study.objects.update(state="held")
    for person, status in ((coordinator, 404), (radiologist, 200)):
        client.force_login(person)
        assert client.get(f"/studies/{study.pk}/right.png").status_code == status
