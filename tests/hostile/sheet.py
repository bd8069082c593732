"""The sheet that hostile submissions answer: three tested exercises and an essay."""

import json

from grading.judge.bundle import Bundle, Cell

NAME = "hostile_exercises.ipynb"
SOLUTION, HIDDEN = "heron-4c1d", "osprey-9e27"  # stand in what learners may not see
SECRET_NUMBERS = ("7919.25", "15838.5", "8317249")  # of hidden tests
SETUP = """\
import torch
from dot2gpt import checks

def reference(x):
    return torch.softmax(x, -1)
"""
RIGHT = {
    "double": "def double(x):\n    return 2 * x",
    "softmax": """\
def softmax(x):
    e = (x - x.max(-1, keepdim=True).values).exp()
    return e / e.sum(-1, keepdim=True)""",
    "compose": """\
def compose(f, n):
    def repeated(x):
        for _ in range(n):
            x = f(x)
        return x
    return repeated""",
    "essay": "The largest number wins.",
}
TESTS = {
    "double": f"""\
c = checks.Checks("Exercise 1")
c.close("of three", lambda: double(3), 6, mistakes={{"you squared it": 9}})
### BEGIN HIDDEN TESTS
# {HIDDEN}
c.close("of another number", lambda: double(7919.25), 15838.5)
### END HIDDEN TESTS
c.close("of one", lambda: double(1), 2)
c.report()""",
    "softmax": f"""\
torch.manual_seed(0)
x = torch.randn(4, 5)
want = reference(x)
with checks.forbid("torch.softmax", "torch.Tensor.softmax"):
    got = softmax(x.clone())
assert torch.allclose(got, want), "it differs from the reference"
### BEGIN HIDDEN TESTS
# {HIDDEN}
got = softmax(torch.tensor([[8317249.0, 8317249.0]]))
assert torch.allclose(got, torch.tensor([[0.5, 0.5]]))
### END HIDDEN TESTS""",
    "compose": """\
c = checks.Checks("Exercise 3")
c.that("three times", lambda: compose(lambda x: x + 1, 3)(0) == 3)
c.that("never", lambda: compose(lambda x: x + 1, 0)(5) == 5)
c.report()""",
}
POINTS = {"double": 2.0, "softmax": 3.0, "compose": 1.0}


def _released(test):
    lines, keep = [], True
    for line in test.splitlines():
        keep = keep and "### BEGIN HIDDEN" not in line
        if keep:
            lines.append(line)
        keep = keep or "### END HIDDEN" in line
    return "\n".join(lines)


def _cells():
    yield Cell("setup", "locked", "code", SETUP, SETUP, None)
    for name, points in POINTS.items():
        solution = f"{RIGHT[name]}\n# {SOLUTION}"
        yield Cell(
            name, "solution", "code", solution, "raise NotImplementedError", None
        )
        test = TESTS[name]
        yield Cell(f"test_{name}", "test", "code", test, _released(test), points)
    yield Cell("essay", "manual", "markdown", SOLUTION, "Write here.", 4.0)


BUNDLE = Bundle("hostile", NAME[:-6], tuple(_cells()), {n: (n,) for n in POINTS})


def marks(cell, **others):
    """The metadata that nbgrader gives a cell of the sheet."""
    return {
        "nbgrader": {
            "grade_id": cell.grade_id,
            "grade": cell.role in ("test", "manual"),
            "solution": cell.role in ("solution", "manual"),
            "locked": cell.role in ("test", "locked"),
            "points": cell.points,
            "schema_version": 3,
            "task": False,
            **others,
        }
    }


def code(source, metadata=None):
    """A code cell as it is in a file."""
    return {
        "cell_type": "code",
        "metadata": metadata or {},
        "source": source,
        "outputs": [],
        "execution_count": None,
    }


def notebook(answers=None, first=(), last=()):
    """A submission as a dict: right answers but for `answers`, cells before and after.

    answers: {grade_id: source}.
    """
    answers = {**RIGHT, **(answers or {})}
    cells = [code(source) for source in first]
    for cell in BUNDLE.cells:
        source = answers.get(cell.grade_id, cell.released)
        made = code(source, marks(cell))
        if cell.cell_type == "markdown":
            made = {"cell_type": "markdown", "metadata": marks(cell), "source": source}
        cells.append(made)
    cells += [code(source) for source in last]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}


def solutions():
    """The instructor's notebook, as text."""
    made = notebook({cell.grade_id: cell.source for cell in BUNDLE.cells})
    return json.dumps(made)
