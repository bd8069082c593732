"""The instructor's round trip: nbgrader's commands, on a small course."""

import csv
import json
import os
import re
import shutil
import sqlite3
import sys
from pathlib import Path

import nbformat
import nbgrader as nbgrader_itself
import pytest

from tests import forked, small_course

NAME = "small_exercises.ipynb"
SOURCES = sorted((small_course.REPOSITORY / "solutions").glob("*/*_exercises.ipynb"))
# Several commands in one process, which is forked; each starts afresh.
SCRIPT = """\
import shlex, sys
from nbgrader.apps import NbGraderApp
for command in sys.argv[1:]:
    print("$ nbgrader", command, file=sys.stderr)
    try:
        NbGraderApp.launch_instance(shlex.split(command))
    except SystemExit as left:
        if left.code:
            sys.exit(f"exit code {left.code}")
    NbGraderApp.clear_instance()
"""


def nbgrader(root, *commands, fails=False, cold=False):
    """Run nbgrader's commands in the folder `root`; returns what they said.

    cold: its kernels start as a user's do. Else they are forked.
    """
    private = root.parent / "jupyter"
    bare = os.pathsep.join(
        folder
        for folder in os.environ["PATH"].split(os.pathsep)
        if folder != os.path.dirname(sys.executable)
    )  # as if no environment were activated
    done = forked.run(
        [sys.executable, "-c", SCRIPT, *commands],
        first=None if cold else forked.kernels,
        cwd=root,
        env={
            **os.environ,
            "PATH": bare,
            "JUPYTER_CONFIG_DIR": str(private),
            "JUPYTER_DATA_DIR": str(private),
        },
        timeout=180,
    )
    assert bool(done.returncode) == fails, done.stderr
    return done.stderr


def submit(root, student, notebook):
    """Put a student's sheet where `nbgrader collect` puts it."""
    small_course.save(notebook, root / "submitted" / student / "01_small" / NAME)


def scores(root):
    """{(assignment, student): (score, points possible)} of grades.csv."""
    with open(root / "grades.csv", newline="") as file:
        return {
            (row["assignment"], row["student_id"]): (
                float(row["score"]),
                float(row["max_score"]),
            )
            for row in csv.DictReader(file)
        }


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """A course handed out, handed in by four students, graded, with feedback."""
    root = small_course.make(tmp_path_factory.mktemp("nbgrader") / "c", released=False)
    lesson = root / "chapters" / "01_small" / "small.ipynb"
    before = lesson.read_bytes()
    nbgrader(
        root,
        "generate_assignment 01_small",
        "generate_assignment 01_small --force",
        "release_assignment 01_small",
        "fetch_assignment 01_small",
    )
    fetched = root / "x-to-gpt" / "01_small" / NAME
    assert fetched.read_bytes() == (root / "chapters" / "01_small" / NAME).read_bytes()
    small_course.save(small_course.sheet(small_course.RIGHT), fetched)
    submit(
        root, "bob", small_course.sheet({"double": "def double(x): return abs(2 * x)"})
    )
    submit(root, "cleo", nbformat.read(root / "chapters" / "01_small" / NAME, 4))
    slow = {"double": "while True: pass", "axis": "axis = -1; import tqdm"}
    submit(root, "dan", small_course.sheet(slow))
    nbgrader(
        root,
        "submit 01_small --student=ada",
        "collect 01_small",
        "autograde 01_small --Execute.timeout=3",
        "generate_feedback 01_small",
        "release_feedback 01_small --student=ada",  # the others have no receipt
        "export",
        cold=True,
    )
    assert lesson.read_bytes() == before
    return root


def test_right_wrong_and_blank_get_their_points(graded):
    assert scores(graded) == {
        ("01_small", "ada"): (6, 6),
        ("01_small", "bob"): (0, 6),  # the hidden test sees that abs() is wrong
        ("01_small", "cleo"): (0, 6),
        ("01_small", "dan"): (1, 6),  # the endless loop costs its own points alone
    }


def test_the_gradebook_says_which_form_it_has(graded):
    """As `alembic heads` says: the one migration that no other follows."""
    files = Path(nbgrader_itself.__file__).parent.glob("alembic/versions/*.py")
    text = "\n".join(file.read_text() for file in files)
    before = set(re.findall(r"^down_revision = ['\"](\w+)", text, re.M))
    newest = set(re.findall(r"^revision = ['\"](\w+)", text, re.M)) - before
    with sqlite3.connect(graded / "gradebook.db") as book:
        assert set(book.execute("select * from alembic_version")) == {tuple(newest)}


def test_the_released_sheet_has_no_solutions_and_no_hidden_tests(graded):
    text = (graded / "chapters" / "01_small" / NAME).read_text()
    assert "YOUR CODE HERE" in text and "of three" in text
    assert "return 2 * x" not in text and "HIDDEN" not in text and "-10" not in text


def test_the_sheet_that_tests_write_is_the_one_nbgrader_makes(graded):
    made = nbformat.read(graded / "chapters" / "01_small" / NAME, 4)
    written = small_course.sheet()
    assert [c.source for c in made.cells] == [c.source for c in written.cells]


def test_feedback_shows_formulas_with_no_network(graded, browser):
    page_file = graded / "feedback" / "ada" / "01_small" / "small_exercises.html"
    page = browser.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(page_file.as_uri())
    page.wait_for_selector("mjx-container svg")
    assert page.locator("mjx-container").count() == 2
    assert "Score: 6.0 / 6.0" in page.locator("h4").first.inner_text()
    assert asked == [page_file.as_uri()]
    page.close()


def test_feedback_says_what_is_wrong(graded):
    page = graded / "feedback" / "cleo" / "01_small" / "small_exercises.html"
    assert "not written yet" in page.read_text()


def test_a_sheet_that_cannot_be_made_leaves_the_lesson_alone(tmp_path):
    root = small_course.make(tmp_path / "course")
    lesson = root / "chapters" / "01_small" / "small.ipynb"
    before = lesson.read_bytes()
    source = root / "solutions" / "01_small" / NAME
    source.write_text(source.read_text().replace("### END SOLUTION", "", 1))
    said = nbgrader(root, "generate_assignment 01_small --force", fails=True)
    assert "no end solution" in said.lower()
    assert lesson.read_bytes() == before
    assert sorted(os.listdir(lesson.parent)) == ["small.ipynb"]


@pytest.mark.parametrize("source", SOURCES[:1], ids=lambda path: path.parent.name)
def test_a_real_sheet_grades_its_own_solutions(tmp_path, source):
    """Full points for the solutions, none for the sheet as handed out."""
    name = source.parent.name
    root = small_course.make(tmp_path / "course")
    shutil.copytree(source.parent, root / "solutions" / name)
    nbgrader(root, f"generate_assignment {name}")
    made = root / "chapters" / name / source.name
    kept = small_course.REPOSITORY / "chapters" / name / source.name
    assert made.read_text() == kept.read_text(), "as `make sync` makes it"
    assert "checks.check(" in made.read_text()
    for student, sheet in {
        "ada": source,
        "bob": root / "chapters" / name / source.name,
    }.items():
        folder = root / "submitted" / student / name
        folder.mkdir(parents=True)
        shutil.copy(sheet, folder)
    nbgrader(root, f"autograde {name}", "export")
    possible = sum(points_of(source))
    assert possible > 0
    got = scores(root)
    assert got[name, "ada"] == (possible, possible)
    assert got[name, "bob"] == (0, possible)


def points_of(path):
    for cell in json.loads(Path(path).read_text())["cells"]:
        yield cell["metadata"].get("nbgrader", {}).get("points") or 0
