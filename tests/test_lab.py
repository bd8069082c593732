"""JupyterLab as `make lab` opens it: nbgrader works, and no questions are asked."""

import json
import os
import re
import shutil
import subprocess
import sys
import time

import pytest
from playwright.sync_api import expect

from tests import small_course

SHEET = "submitted/me/01_small/small_exercises.ipynb"
SLOW = 60_000  # milliseconds: the panels start kernels and import nbgrader


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course with a sheet that is half wrong, and one released to the exchange."""
    root = small_course.make(tmp_path_factory.mktemp("lab") / "course")
    answers = {**small_course.RIGHT, "double": "def double(x):\n    return x * x"}
    small_course.save(small_course.sheet(answers), root / SHEET)
    exchange = root / "exchange" / "x-to-gpt"
    shutil.copytree(root / "chapters" / "01_small", exchange / "outbound" / "01_small")
    (exchange / "inbound").mkdir()
    return root


@pytest.fixture(scope="module")
def lab(course):
    """The address of a JupyterLab on the course, with no settings of this user's."""
    private = course.parent
    env = {
        **os.environ,
        "JUPYTER_CONFIG_PATH": str(small_course.REPOSITORY / "tools" / "jupyter"),
        "JUPYTER_CONFIG_DIR": str(private / "config"),
        "JUPYTER_DATA_DIR": str(private / "data"),
        "JUPYTER_RUNTIME_DIR": str(private / "runtime"),
    }
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root"]
    command += ["--ServerApp.port=0", "--IdentityProvider.token="]
    with open(private / "log", "w") as log:
        server = subprocess.Popen(command, cwd=course, env=env, stdout=log, stderr=log)
    try:
        yield _address(server, private)
    finally:
        server.terminate()
        server.wait(30)


def _address(server, private):
    end = time.monotonic() + 90
    while time.monotonic() < end and server.poll() is None:
        for file in (private / "runtime").glob("jpserver-*.json"):
            if text := file.read_text():
                return json.loads(text)["url"]
        time.sleep(0.2)
    pytest.fail((private / "log").read_text())


@pytest.fixture
def page(browser, lab):
    """A page of that JupyterLab, which must not ask another server for anything."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.set_default_timeout(SLOW)
    expect.set_options(timeout=SLOW)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    yield page
    page.close()
    own = (lab, lab.replace("http:", "ws:"), "data:", "blob:")
    assert [url for url in asked if not url.startswith(own)] == []


def choose(page, item):
    """Open an item of nbgrader's menu."""
    page.click(".lm-MenuBar-itemLabel >> text=Nbgrader")
    page.click(f".lm-Menu-itemLabel >> text='{item}'")


def test_it_opens_with_no_questions_asked(page, lab):
    page.goto(f"{lab}lab/tree/{SHEET}?reset")
    page.wait_for_selector(".jp-NotebookPanel .katex")
    page.wait_for_timeout(3000)  # the question about news comes last
    assert page.locator(".jp-Dialog, .Toastify__toast").all_inner_texts() == []
    expect(page.get_by_role("button", name="Validate")).to_be_visible()
    # Formulas break in Notebook 7, so the button that opens it is gone.
    assert page.locator(".jp-NotebookPanel .jp-Toolbar >> text=Notebook").count() == 0


def test_validate_says_which_test_fails_and_why(page, lab):
    page.goto(f"{lab}lab/tree/{SHEET}?reset")
    page.get_by_role("button", name="Validate").click()
    dialog = page.locator(".jp-Dialog", has_text="Validation Results")
    expect(dialog).to_contain_text("✗ of three: you squared it")
    assert dialog.inner_text().count("The following cell failed") == 1


def test_run_all_goes_on_past_a_failing_check(page, lab):
    page.goto(f"{lab}lab/tree/{SHEET}?reset")
    page.wait_for_selector(".jp-NotebookPanel .katex")
    page.click(".lm-MenuBar-itemLabel >> text=Run")
    page.click(".lm-Menu-itemLabel >> text='Run All Cells'")
    cells = page.locator(".jp-CodeCell")
    expect(cells.last.locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]:"))
    failed = cells.filter(has_text="0 of 1 checks pass")
    assert "✗\tof three\tyou squared it" in failed.inner_text()
    assert "Traceback" not in failed.inner_text()


def test_formgrader_lists_the_assignment(page, lab):
    page.goto(f"{lab}lab?reset")
    choose(page, "Formgrader")
    frame = page.frame_locator("iframe[src*=formgrader]")
    expect(frame.locator("tbody tr").first).to_contain_text("01_small")
    expect(frame.locator("body")).not_to_contain_text("error")


def test_an_address_runs_nothing_in_formgrader(page, lab):
    """As a link in what a learner wrote could name it."""
    page.goto(f"{lab}formgrader/manage_students/x%22%3Btop.hit=1%3B%22")
    assert page.locator("h1").first.inner_text() == "nbgrader"
    assert page.evaluate("window.hit") is None


def test_assignment_list_fetches_with_no_error(page, lab, course):
    page.goto(f"{lab}lab?reset")
    choose(page, "Assignment List")
    panel = page.locator(".lm-DockPanel")
    expect(panel).to_contain_text("x-to-gpt")
    expect(panel).to_contain_text("01_small")
    red = page.locator(".alert-danger, .jp-Dialog, .Toastify__toast")
    assert red.filter(visible=True).all_inner_texts() == []
    panel.get_by_role("button", name="Fetch").click()
    expect(panel.get_by_role("button", name="Submit")).to_be_visible()
    assert (course / "x-to-gpt" / "01_small" / "small_exercises.ipynb").is_file()
