"""The system's Chromium, for the PDF of the book, for tests and for benchmarks."""

import shutil
from contextlib import contextmanager

ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def chromium():
    """The path of the system's Chromium, or None.

    Debian's headless shell has no windows to make: it takes a quarter less time.
    """
    names = "chromium-headless-shell chromium chromium-browser google-chrome".split()
    return next(filter(None, map(shutil.which, names)), None)


@contextmanager
def headless(path):
    """A headless Chromium, driven by playwright."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGS)
        try:
            yield browser
        finally:
            browser.close()
