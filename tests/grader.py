"""Runs the cells of a sheet in a forked process: one answer in a fraction of a second.

The parent has imported torch; each child is as fresh as a new kernel. It scores as
nbgrader does: a test cell gets its points unless it raises or writes to stderr.
"""

import contextlib
import functools
import io
import linecache
import multiprocessing
import re
import sys
import traceback
import types
from dataclasses import dataclass, field

# Imported before the fork, so that the children need not.
import matplotlib
import matplotlib.pyplot  # noqa: F401
import torch
import torch._dynamo  # noqa: F401 (seeds and optimisers import it, for a second)
import torch.nn.attention  # noqa: F401
import torch.utils.flop_counter  # noqa: F401

from grading.sandbox.warm import use_huge_pages

TIMEOUT = 120  # seconds for one run
prepare = functools.cache(use_huge_pages)  # once, so that forks copy less


@dataclass(frozen=True)
class Cell:
    """A code cell of a sheet. grade_id is "" for a cell that nbgrader does not know."""

    grade_id: str
    source: str
    points: float = 0.0
    is_test: bool = False
    is_solution: bool = False


@dataclass
class Outcome:
    """What came of one run."""

    feedback: dict = field(
        default_factory=dict
    )  # grade_id → the error text, "" if it passed
    shown: dict = field(default_factory=dict)  # grade_id → what was printed
    broken: list = field(
        default_factory=list
    )  # errors of cells that are not test cells

    def passed(self, grade_id):
        return self.feedback.get(grade_id) == ""


def code_cells(notebook):
    """The code cells of a notebook in order."""
    cells = []
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        meta = cell.metadata.get("nbgrader", {})
        cells.append(
            Cell(
                meta.get("grade_id", "")
                if meta.get("grade") or meta.get("solution")
                else "",
                cell.source,
                float(meta.get("points", 0)),
                bool(meta.get("grade")) and not meta.get("solution"),
                bool(meta.get("solution")),
            )
        )
    return cells


def blanked(source):
    """A solution cell as nbgrader releases it."""
    pattern = r"^([ \t]*)### BEGIN SOLUTION.*?### END SOLUTION[^\n]*$"
    return re.sub(
        pattern,
        r"\1# YOUR CODE HERE\n\1raise NotImplementedError()",
        source,
        flags=re.S | re.M,
    )


def run(cells):
    """Run code cells in a process of their own and return the Outcome."""
    prepare()
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(cells, theirs), daemon=True)
    child.start()
    theirs.close()
    try:
        if not ours.poll(TIMEOUT):
            raise TimeoutError(f"the cells did not end in {TIMEOUT} s")
        return ours.recv()
    except EOFError:
        raise RuntimeError("the cells ended their own process") from None
    finally:
        child.kill()
        child.join()


def grade(cells, grade_id, code):
    """Run a sheet up to one test cell, with `code` as the answer in `grade_id`.

    Returns (whether it got its points, the feedback: table and error text).
    """
    test_id = f"test_{grade_id}"
    wanted = []
    for cell in cells:
        if cell.grade_id == grade_id:
            cell = Cell(grade_id, code, is_solution=True)
        if not cell.is_test or cell.grade_id == test_id:
            wanted.append(cell)
        if cell.grade_id == test_id:
            break
    outcome = run(wanted)
    text = outcome.shown.get(test_id, "") + outcome.feedback[test_id]
    return outcome.passed(test_id), text


def _child(cells, pipe):
    scope = fresh_scope()
    outcome = Outcome()
    for number, cell in enumerate(cells):
        error, err, out = run_cell(cell.source, f"<cell {number}>", scope)
        if cell.is_test:
            outcome.feedback[cell.grade_id] = error or err
            outcome.shown[cell.grade_id] = out
        elif error:
            outcome.broken.append(error)
    pipe.send(outcome)
    pipe.close()


def fresh_scope():
    """Make this process a new kernel; returns the names that its cells share."""
    matplotlib.use("agg")
    torch.set_num_threads(1)
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    main.__dict__["display"] = print
    return main.__dict__


def run_cell(source, name, scope):
    """Run one cell; returns the error as text ("" if none), its stderr and stdout."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        error = _exec(source, name, scope)
    return error, err.getvalue(), out.getvalue()


def _exec(source, name, scope):
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    try:
        exec(compile(source, name, "exec"), scope)
        return ""
    except BaseException as error:
        if hasattr(error, "_render_traceback_"):
            return "\n".join(error._render_traceback_())
        return "".join(traceback.format_exception_only(error)).strip()
