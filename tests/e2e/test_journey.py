"""The journey: a radiologist drops a study and watches it being scored; the rheumatologist sees it on the timeline."""

import base64
import io
import zipfile
from datetime import date
from urllib.parse import urlsplit

import pytest

from hipapp.clinic import services
from hipapp.clinic.identity import Identity
from hipapp.imaging.models import Score
from ml.phantom import Identity as PhantomIdentity
from ml.phantom import Severity, generate, write
from tests.builders.rows import PASSWORD, make_centre, make_user

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

DROP = """([name, content]) => {
  const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, {type: "application/zip"}));
  return transfer;
}"""


def study_zip(folder, seed: int, identity: PhantomIdentity) -> bytes:
    phantom = generate(
        seed, severity={"right": Severity(0.8, 0.7), "left": Severity(0.0, 0.0)}, target="both", style="stir", n_slices=20
    )
    write(phantom, folder, identity)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(folder.rglob("*.dcm")):
            archive.write(path, path.name)
    return packed.getvalue()


def sign_in(page, server: str, username: str) -> None:
    page.goto(f"{server}/accounts/sign-in/")
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{server}/")


@pytest.fixture
def people(transactional_db):
    centre = make_centre(name="North", code="NOR")
    return {role: make_user(role, centre) for role in ("radiologist", "rheumatologist")} | {"centre": centre}


def test_from_a_dropped_study_to_the_timeline(page, live_server, start_worker, people, tmp_path):
    rheumatologist = people["rheumatologist"]
    patient = services.create_patient(
        rheumatologist,
        centre=people["centre"],
        sex="M",
        birth_year=1996,
        identity=Identity("Phantom, Journey", "J1", date(1996, 5, 4)),
    )
    visit = services.create_visit(rheumatologist, patient, visit_on=date(2026, 3, 2))
    services.save_assessment(
        rheumatologist, visit, basdai_q1=5, basdai_q2=4, basdai_q3=2, basdai_q4=3, basdai_q5=4, basdai_q6=3, patient_global=4,
        crp_value="11.8", crp_unit="mg/L", esr_mm_h=18,
    )  # fmt: skip
    identity = PhantomIdentity("PHANTOM^JOURNEY", "J1", "19960504", "M", "20260302")
    content = base64.b64encode(study_zip(tmp_path / "study", 41_001, identity)).decode()
    start_worker("all")

    sign_in(page, live_server.url, people["radiologist"].username)
    page.goto(f"{live_server.url}/uploads/?visit={visit.pk}")
    transfer = page.evaluate_handle(DROP, ["study.zip", content])
    page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})
    page.get_by_role("button", name="Upload and score").click()
    page.wait_for_url("**/uploads/*/", timeout=60_000)
    page.get_by_text("20 stored").first.wait_for(timeout=120_000)
    page.locator("a[href*='/studies/']:not([href='/studies/'])").filter(has_text="2026-03-02").first.click()
    page.locator("section[aria-labelledby=scores] td.num", has_text=".").first.wait_for(timeout=240_000)
    score = Score.objects.get(side="right")
    assert score.unet_score is not None
    assert page.get_by_text(f"{score.unet_score:.2f}").first.is_visible()
    page.wait_for_function("() => { const i = document.querySelector('#slice'); return i && i.complete && i.naturalWidth > 100 }")

    page.context.clear_cookies()
    sign_in(page, live_server.url, rheumatologist.username)
    page.goto(f"{live_server.url}/patients/{patient.pk}/")
    page.locator(".js-plotly-plot .plot-container").first.wait_for()
    text = page.inner_text("main")
    assert f"{score.unet_score:.2f}" in text
    assert "unreviewed" in text.lower()
    assert "2.7" in text  # ASDAS-CRP of the items above (2.7201 with these, domain.md §2.2)
    assert "Research use only" in page.inner_text("footer")
    assert page.watch.hosts <= {urlsplit(live_server.url).netloc, ""}
    assert page.watch.complaints == []


def test_files_that_are_no_mri_are_refused_in_words(page, live_server, start_worker, people):
    start_worker("all")
    sign_in(page, live_server.url, people["radiologist"].username)
    page.goto(f"{live_server.url}/uploads/")
    page.set_input_files("#pick-files", {"name": "letter.txt", "mimeType": "text/plain", "buffer": b"Dear colleague"})
    page.get_by_role("button", name="Upload and score").click()
    page.wait_for_url("**/uploads/*/", timeout=60_000)
    page.get_by_text("1 refused").first.wait_for(timeout=60_000)
    assert "DICOM" in page.inner_text("main")


def test_an_upload_goes_on_by_itself_when_the_connection_drops(page, live_server, start_worker, people):
    start_worker("default")
    sign_in(page, live_server.url, people["radiologist"].username)
    page.goto(f"{live_server.url}/uploads/")
    sent = []
    is_cut = []

    def cut_once(route):
        if route.request.method == "PATCH" and not is_cut:
            is_cut.append(route.request.headers["upload-offset"])
            route.abort("connectionreset")
            return
        if route.request.method in ("POST", "PATCH"):
            sent.append(int(route.request.headers.get("upload-offset", 0)))
        route.continue_()

    page.route("**/uploads/*/files/*", cut_once)
    letter = b"Dear colleague, " * (20 * 2**20 // 16)  # three pieces of 8 MiB
    page.set_input_files("#pick-files", {"name": "letter.txt", "mimeType": "text/plain", "buffer": letter})
    page.get_by_role("button", name="Upload and score").click()
    page.wait_for_url("**/uploads/*/", timeout=60_000)
    page.get_by_text("1 refused").first.wait_for(timeout=60_000)
    assert is_cut == [str(8 * 2**20)]
    assert [offset for offset in sent if offset] == [8 * 2**20, 16 * 2**20]  # nothing that had arrived was sent again
