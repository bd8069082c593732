"""What several test files share: a Chromium, and who runs which tests."""

import shutil

import pytest

CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
# Fixtures that take seconds to make, once a file and process.
COSTLY = {"court", "elsewhere", "graded", "lab", "now", "project", "real", "released"}
COSTLY |= {"together", "trained"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Have one process run all tests of a file that use a costly fixture."""
    for item in items:
        if COSTLY & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


def chromium():
    """The path of the system's Chromium, or None.

    Debian's headless shell has no windows to make: it takes a quarter less time.
    """
    names = "chromium-headless-shell chromium chromium-browser google-chrome".split()
    return next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium of the system, driven by playwright.

    One a file: while playwright runs, no other test can use asyncio.
    """
    path = chromium()
    if path is None:
        pytest.skip("no Chromium found: install the package chromium to test the pages")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGS)
        yield browser
        browser.close()
