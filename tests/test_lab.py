"""JupyterLab as `make lab` opens it: nbgrader works, and no questions are asked."""

import base64
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time

import nbformat
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests import small_course
from tests.test_pictures_browser import assert_axe_finds_nothing

SHEET = "submitted/me/01_small/small_exercises.ipynb"
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
SLOW = 60_000  # milliseconds: the panels start kernels and import nbgrader


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course with a sheet that is half wrong, and one released to the exchange."""
    root = small_course.make(tmp_path_factory.mktemp("lab") / "course")
    answers = {**small_course.RIGHT, "double": "def double(x):\n    return x * x"}
    small_course.save(small_course.sheet(answers), root / SHEET)
    # A chapter with a sheet that nobody has started.
    shutil.copytree(root / "chapters" / "01_small", root / "chapters" / "02_more")
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
    page.wait_for_selector(".jp-NotebookPanel mjx-container")
    page.wait_for_timeout(3000)  # the question about news comes last
    assert page.locator(".jp-Dialog, .Toastify__toast").all_inner_texts() == []
    expect(page.get_by_role("button", name="Validate")).to_be_visible()
    # Formulas break in Notebook 7, so the button that opens it is gone.
    assert page.locator(".jp-NotebookPanel .jp-Toolbar >> text=Notebook").count() == 0


def test_the_first_page_shows_points_and_starts_a_sheet(page, lab, course):
    page.goto(lab)
    page.wait_for_url(re.compile(r"/course\??$"))
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("0 of 6")
    expect(rows.first.get_by_role("link", name="Go on")).to_be_visible()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert_axe_finds_nothing(page, "html")
    rows.last.get_by_role("button", name="Start").click()
    sheet = "submitted/me/02_more/small_exercises.ipynb"
    page.wait_for_url(f"{lab}lab/tree/{sheet}")
    page.wait_for_selector(".jp-NotebookPanel:not(.lm-mod-hidden) mjx-container")
    assert (course / sheet).is_file()
    notebook = nbformat.read(course / sheet, 4)
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("grade_id") == "test_double":
            cell.update(execution_count=1)
    nbformat.write(notebook, course / sheet)
    page.goto(f"{lab}course")
    expect(rows.last).to_contain_text("2 of 6")
    assert page.request.post(f"{lab}course", form={"chapter": "01_small"}).status == 403


def test_the_first_page_leads_to_the_book_once_it_is_built(page, lab, course):
    page.goto(f"{lab}course")
    link = page.get_by_role("link", name="The book")
    assert link.count() == 0
    built = course / "_build" / "html" / "index.html"
    built.parent.mkdir(parents=True)
    script = "document.querySelector('h1').append(localStorage.length)"
    built.write_text(f"<h1></h1><script>{script}</script>")
    page.reload()
    link.click()
    expect(page.locator("h1")).to_have_text(re.compile(r"\d"))  # it may store the theme
    assert page.url == f"{lab}course/book/index.html"
    for outside in ("..%2f..%2fnbgrader_config.py", "%2fetc%2fpasswd", "nothing.html"):
        assert page.request.get(f"{lab}course/book/{outside}").status in (403, 404)


def test_hints_open_one_by_one_and_draw_their_formulas(page, lab, course):
    hints = "".join(
        f"<details><summary>Hint {n}</summary>\n\nIt is $x_{n}^2$.\n\n</details>\n"
        for n in (1, 2)
    )
    cells = [
        nbformat.v4.new_markdown_cell(f"## Exercise\n\n{hints}\n> **Note.** Mind.")
    ]
    cells.append(nbformat.v4.new_code_cell("answer = True"))
    cells[-1].metadata = {"tags": ["hide-input"], "jupyter": {"source_hidden": True}}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=KERNEL)
    small_course.save(notebook, course / "hints.ipynb")
    page.goto(f"{lab}lab/tree/hints.ipynb?reset")
    hints = page.locator(".jp-NotebookPanel details")
    expect(hints).to_have_count(2)
    for hint in hints.all():
        assert hint.get_attribute("open") is None
        formula = hint.locator("mjx-container")
        expect(formula).to_be_hidden()
        hint.locator("summary").click()
        expect(formula).to_be_visible()
    style = "element => getComputedStyle(element).display"
    assert hints.first.locator("summary").evaluate(style) == "list-item"  # its sign
    expect(page.locator(".jp-NotebookPanel blockquote strong")).to_have_text("Note.")
    expect(page.locator(".jp-CodeCell .jp-InputArea-editor")).to_be_hidden()


def colours(figure):
    """The colour of a small figure, and of what lies beside it in its row."""
    image = Image.open(io.BytesIO(figure.screenshot())).convert("RGB")
    return [image.getpixel((x, image.height // 2)) for x in (30, image.width - 30)]


def test_figures_stand_on_the_page_in_the_dark(page, lab, course):
    cell = nbformat.v4.new_code_cell("figures", execution_count=1)
    for colour in ("white", "black"):
        image = io.BytesIO()
        Image.new("RGB", (60, 40), colour).save(image, "PNG")
        data = {"image/png": base64.b64encode(image.getvalue()).decode()}
        cell.outputs.append(nbformat.v4.new_output("display_data", data))
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata=KERNEL)
    small_course.save(notebook, course / "figures.ipynb")
    page.goto(f"{lab}lab/tree/figures.ipynb?reset")
    figures = page.locator(".jp-RenderedImage")
    expect(figures.locator("img")).to_have_count(2)
    light = (255,) * 3
    assert [colours(one)[0] for one in figures.all()] == [light, (0,) * 3]
    page.click(".lm-MenuBar-itemLabel >> text=Settings")
    page.hover(".lm-Menu-itemLabel >> text='Theme'")
    page.click(".lm-Menu-itemLabel >> text='JupyterLab Dark'")
    expect(page.locator("body")).to_have_attribute("data-jp-theme-light", "false")
    expect(page.locator(".lm-Menu")).to_have_count(0)
    white, black = figures.all()
    figure, ground = colours(white)
    assert figure == ground != light
    assert colours(black)[0] == light


def test_validate_says_which_test_fails_and_why(page, lab):
    page.goto(f"{lab}lab/tree/{SHEET}?reset")
    page.get_by_role("button", name="Validate").click()
    dialog = page.locator(".jp-Dialog", has_text="Validation Results")
    expect(dialog).to_contain_text("✗ of three: you squared it")
    assert dialog.inner_text().count("The following cell failed") == 1


def test_run_all_goes_on_past_a_failing_check(page, lab):
    page.goto(f"{lab}lab/tree/{SHEET}?reset")
    page.wait_for_selector(".jp-NotebookPanel mjx-container")
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
