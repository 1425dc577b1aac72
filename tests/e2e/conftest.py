"""A real browser on a live server. Screenshots and the page's text are kept under test-results/ when a test fails."""

import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest

CHROMIUM = Path("/usr/bin/chromium")
RESULTS = Path(__file__).resolve().parents[2] / "test-results"
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # Playwright's loop runs in the test's thread


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, f"report_{call.when}", outcome.get_result())


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:
        options = {"executable_path": str(CHROMIUM)} if CHROMIUM.exists() else {}
        try:
            found = playwright.chromium.launch(
                args=["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"],
                **options,
            )
        except Error as error:
            reason = f"no Chromium at {CHROMIUM} and none of Playwright's own: {str(error).splitlines()[0]}"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
        yield found
        found.close()


class Watch:
    """What a page asked for and complained about."""

    def __init__(self, page):
        self.hosts = set()
        self.complaints = []
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))


@pytest.fixture
def page(browser, request):
    """A fresh page; `page.watch` knows its requests' hosts and its console errors."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(30_000)
    page = context.new_page()
    page.watch = Watch(page)
    yield page
    if getattr(request.node, "report_call", None) is not None and request.node.report_call.failed:
        RESULTS.mkdir(exist_ok=True)
        page.screenshot(path=RESULTS / f"{request.node.name}.png", full_page=True)
        (RESULTS / f"{request.node.name}.html").write_text(page.content())
    context.close()
