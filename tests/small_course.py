"""A course of one lesson and one small sheet, written to a folder, for tests.

The sheet has two exercises: `double` (2 points, one of its tests hidden) and the pair
`axis` and `total` (1 and 3 points).
"""

import shutil
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

REPOSITORY = Path(__file__).resolve().parents[1]
STUB = "# YOUR CODE HERE\nraise NotImplementedError()"
RIGHT = {
    "double": "def double(x):\n    return 2 * x",
    "axis": "axis = -1",
    "total": "def total(row):\n    return sum(row)",
}
TEST_DOUBLE = """\
c = checks.Checks("Exercise 1")
c.close("of three", lambda: double(3), 6, mistakes={"you squared it": 9})
c.report()
"""
HIDDEN = """\
### BEGIN HIDDEN TESTS
assert double(-5) == -10
### END HIDDEN TESTS
"""
TEST_AXIS = """\
c = checks.Checks("Exercise 2")
c.that("the axis", axis == -1, "the rows add to 1 along the wrong axis")
c.report()
"""
TEST_TOTAL = """\
c = checks.Checks("Exercise 2")
c.close("a row", lambda: total([1, 2, 3]), 6, hint="add all numbers of the row")
c.close("nothing", lambda: total([]), 0)
c.report()
"""


def sheet(answers=None, *, source=False):
    """The sheet as a notebook: released with `answers` written in, or the source of it.

    answers: {"double": code, ...}; a missing one stays a stub. None for no answers.
    source: with solution marks and hidden tests, as in solutions/.
    """

    def answer(name):
        text = (answers or {}).get(name, STUB)
        if source:
            text = f"### BEGIN SOLUTION\n{RIGHT[name]}\n### END SOLUTION"
        return _graded(text, name, solution=True, goes_on=not source)

    def test(name, text, points):
        marks = {"grade": True, "locked": True, "points": points}
        return _graded(text, f"test_{name}", **marks, goes_on=not source)

    return _stable(
        new_markdown_cell(
            "# A small sheet\nRight answers give $x^2$ points: $$\\frac{a}{b}$$"
        ),
        _graded("from dot2gpt import checks", "setup", locked=True),
        new_markdown_cell("## Exercise 1 · Double it (2 points)\nTwice as much."),
        answer("double"),
        test("double", TEST_DOUBLE + (HIDDEN if source else ""), 2),
        new_markdown_cell("## Exercise 2 · Rows (4 points) ★\nTwo parts."),
        answer("axis"),
        test("axis", TEST_AXIS, 1),
        answer("total"),
        test("total", TEST_TOTAL, 3),
    )


def make(root, *, released=True):
    """Write the course to the folder `root`; returns `root`.

    released: write the sheet to chapters/, too, as nbgrader would.
    """
    root.mkdir(parents=True, exist_ok=True)
    shutil.copy(REPOSITORY / "nbgrader_config.py", root)
    lesson = _stable(new_markdown_cell("# Small\nA lesson."), new_code_cell("1 + 1"))
    save(lesson, root / "chapters" / "01_small" / "small.ipynb")
    save(sheet(source=True), root / "solutions" / "01_small" / "small_exercises.ipynb")
    if released:
        save(sheet(), root / "chapters" / "01_small" / "small_exercises.ipynb")
    return root


def save(notebook, path):
    """Write a notebook, and the folders above it; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def _graded(text, grade_id, *, goes_on=False, points=None, **marks):
    """A cell of a sheet. goes_on: Run All goes on past its error, as in a release."""
    marks = {
        "schema_version": 3,
        "grade_id": grade_id,
        "cell_type": "code",
        "solution": False,
        "grade": False,
        "locked": False,
        "task": False,
        **marks,
    }
    if points is not None:
        marks["points"] = points
    metadata = {"nbgrader": marks} | ({"tags": ["raises-exception"]} if goes_on else {})
    return new_code_cell(text.strip(), metadata=metadata)


def _stable(*cells):
    """A notebook whose cell ids do not change from run to run."""
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=list(cells), metadata={"kernelspec": kernel})
