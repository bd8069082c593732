"""Run an exercise sheet in a clean kernel and score it as nbgrader does.

`python -m dot2gpt check` shows what this module finds. Nothing here imports torch, and
what is slow to import (nbformat, nbclient, nbgrader) is imported where it is needed.
"""

import re
import sys
from dataclasses import dataclass, field
from subprocess import DEVNULL

from dot2gpt.sheets import Sheet, SheetError, grade_id_of, heading_of

TIMEOUT = 60  # seconds a cell may take
# What a kernel that grades is started with, here and in nbgrader_config.py: one thread,
# so that sums come out the same each time; no progress bars, because nbgrader takes the
# points from a test cell that writes to stderr.
KERNEL_ARGUMENTS = [
    "--HistoryManager.hist_file=:memory:",
    "--IPKernelApp.exec_lines=import os; os.environ.update("
    "OMP_NUM_THREADS='1', MKL_NUM_THREADS='1', TQDM_DISABLE='1'); del os",
]
_STUB = re.compile(r"^[ \t]*raise NotImplementedError(\(\))?[ \t]*$", re.MULTILINE)
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass
class Result:
    """What came of one exercise."""

    title: str
    earned: float
    possible: float
    status: str  # right, wrong, not written, timed out or not run
    wrong: list[str]  # one line for each thing that is wrong


@dataclass
class Report:
    """What came of a sheet."""

    sheet: Sheet
    results: list[Result]
    trouble: str = ""  # why the run ended before the last cell

    @property
    def earned(self):
        return sum(result.earned for result in self.results)

    @property
    def possible(self):
        return sum(result.possible for result in self.results)

    @property
    def right(self):
        return all(result.status == "right" for result in self.results)


@dataclass
class _Run:
    """What happened when the cells ran."""

    cells: list  # nbformat cells, with their outputs
    timeout: int  # seconds
    late: set[int] = field(default_factory=set)  # cells that took longer
    ended: int | None = None  # the cell at which the run ended early
    trouble: str = ""  # and why

    def index(self, grade_id):
        """The first cell of that id; None if there is none."""
        for index, cell in enumerate(self.cells):
            if cell.metadata.get("nbgrader", {}).get("grade_id") == grade_id:
                return index
        return None


def run_sheet(sheet, timeout=TIMEOUT):
    """Run a sheet in a clean kernel and score it as nbgrader does.

    The kernel works in the sheet's folder. The file stays as it is.

    timeout: seconds that one cell may take.

    Raises SheetError if no kernel can be started.
    """
    run = _execute(sheet, timeout)
    results = [
        _result(exercise, [_score(part, run, sheet) for part in exercise.parts])
        for exercise in sheet.exercises
    ]
    if run.trouble:
        place = _exercise_at(sheet, run.ended) or "before the first exercise"
        run.trouble += f" (cell {run.ended + 1}, {place})"
    return Report(sheet, results, run.trouble)


def _execute(sheet, timeout):
    """Run the cells one after the other, with a bar on the terminal."""
    from jupyter_client.kernelspec import NoSuchKernel
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from tqdm import tqdm

    client = _client(sheet, timeout)
    run, index = _Run(client.nb.cells, timeout), 0

    def note_timeout(cell, cell_index, execute_reply):
        if execute_reply["content"].get("ename") == "CellTimeoutError":
            run.late.add(cell_index)

    client.on_cell_executed = note_timeout
    bar = {"desc": sheet.assignment, "leave": False, "file": sys.stderr}
    try:
        with client.setup_kernel(stdout=DEVNULL, stderr=DEVNULL):
            # disable=None: a bar on a terminal, nothing in a log
            for index, cell in enumerate(tqdm(run.cells, disable=None, **bar)):
                client.execute_cell(cell, index)
    except NoSuchKernel:
        raise SheetError("there is no Python kernel: pip install ipykernel") from None
    except DeadKernelError:
        run.ended, run.trouble = index, "the kernel died: most often, memory was full"
    except CellTimeoutError:
        run.late.add(index)
        run.ended = index
        run.trouble = f"a cell did not stop after {timeout} s, nor when interrupted"
    return run


def _client(sheet, timeout):
    """What runs the cells of a sheet: an nbclient that goes on after errors."""
    from logging import CRITICAL, Logger

    import nbformat
    from nbclient import NotebookClient

    make = {
        "code": nbformat.v4.new_code_cell,
        "markdown": nbformat.v4.new_markdown_cell,
    }
    cells = [
        make.get(cell["cell_type"], nbformat.v4.new_raw_cell)(
            cell["source"],
            metadata={"nbgrader": cell["nbgrader"]} if grade_id_of(cell) else {},
        )
        for cell in sheet.cells
    ]
    return NotebookClient(
        nbformat.v4.new_notebook(cells=cells),
        kernel_name="python3",
        timeout=timeout,
        allow_errors=True,
        interrupt_on_timeout=True,
        error_on_timeout={"ename": "CellTimeoutError", "evalue": "", "traceback": []},
        raise_on_iopub_timeout=True,
        shutdown_kernel="immediate",
        extra_arguments=list(KERNEL_ARGUMENTS),
        resources={"metadata": {"path": str(sheet.path.absolute().parent)}},
        log=Logger("sheets", CRITICAL + 1),
    )


def _exercise_at(sheet, index):
    """The title of the exercise that a cell stands in; "" before the first."""
    titles = (heading_of(cell) for cell in reversed(sheet.cells[: index + 1]))
    return next(filter(None, titles), "")


def _score(part, run, sheet):
    """(points, status, what is wrong) of one test cell."""
    from nbgrader.utils import determine_grade

    answer, test = run.index(part.answer), run.index(part.test)
    if run.late & {answer, test}:
        line = f"no result after {run.timeout} s: is there a loop that does not end?"
        return 0.0, "timed out", [line]
    if run.ended is not None and test >= run.ended:
        return 0.0, "not run", []
    points, _ = determine_grade(run.cells[test])
    if points == part.points:
        return points, "right", []
    lines = _error(run.cells[test]) or _stderr(run.cells[test])
    if answer is None:
        return points, "wrong", lines
    return points, *_why(run.cells[answer], sheet.released.get(part.answer), lines)


def _why(answer, released, lines):
    """(status, what is wrong) of an answer whose test has said `lines`."""
    from dot2gpt.checks import NOT_WRITTEN

    raised = _error(answer)
    if raised and not raised[0].startswith("NotImplementedError"):
        others = [line for line in lines if NOT_WRITTEN not in line]
        return "wrong", [f"the answer cell raises {raised[0]}", *others]
    if answer.source == released or not answer.source.strip():
        return "not written", []
    if lines and lines[0].startswith("✗"):
        unwritten = all(NOT_WRITTEN in line for line in lines)
    else:
        unwritten = _STUB.search(answer.source)
    return ("not written", []) if unwritten else ("wrong", lines)


def _error(cell):
    """What a cell's error says, as lines without colours; [] if it raised nothing."""
    for output in cell.outputs:
        if output.output_type == "error":
            lines = _ANSI.sub("", output.evalue).splitlines()
            if output.ename == "CheckFailed":
                return [line for line in lines if line.startswith("✗")] or lines
            return [": ".join([output.ename, *lines[:1]])]
    return []


def _stderr(cell):
    """Why a cell without an error has no points: nbgrader takes them for any stderr."""
    for output in cell.outputs:
        if output.output_type == "stream" and output.name == "stderr":
            last = _ANSI.sub("", output.text).strip().splitlines()[-1:]
            return [f"it wrote to stderr, which costs the points: {''.join(last)}"]
    return []


def _result(exercise, outcomes):
    earned = sum(points for points, _, _ in outcomes)
    states = [status for _, status, _ in outcomes]
    order = ["timed out", "wrong", "not run", "not written"]
    status = next((s for s in order if s in states), "right")
    if status == "not written" and "right" in states:
        status = "wrong"
    wrong = []
    for part, (_, state, lines) in zip(exercise.parts, outcomes):
        if state == "not written" and len(set(states)) > 1:
            lines = [f"✗ {part.answer or part.test}: not written yet"]
        wrong += [line for line in lines if line not in wrong]
    possible = sum(part.points for part in exercise.parts)
    return Result(exercise.title, earned, possible, status, wrong)
