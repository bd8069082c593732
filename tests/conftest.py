"""What several test files share: a Chromium, and who runs which tests."""

import pytest

from tools.chromium import chromium, headless

# Fixtures that take seconds to make, once a file and process.
COSTLY = {"court", "elsewhere", "graded", "lab", "now", "project", "real", "released"}
COSTLY |= {"together", "trained"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Have one process run all tests of a file that use a costly fixture."""
    for item in items:
        if COSTLY & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium of the system, driven by playwright.

    One a file: while playwright runs, no other test can use asyncio.
    """
    path = chromium()
    if path is None:
        pytest.skip("no Chromium found: install the package chromium to test the pages")
    with headless(path) as browser:
        yield browser
