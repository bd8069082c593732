"""All that grading needs to know of an assignment, in one value that can be sent."""

import hashlib
import json
import logging
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import nbformat

from dot2gpt.handed_in import Course, defined

ROOT = Path(__file__).resolve().parents[2]
FORMAT = 2  # part of the checksum: a new way of grading grades again


@dataclass(frozen=True)
class Cell:
    """One cell of the sheet that nbgrader knows."""

    grade_id: str
    role: str  # solution, test, manual (a person grades it), task, locked
    cell_type: str  # code or markdown
    source: str  # the instructor's: with solutions and hidden tests
    released: str  # the learner's
    points: float | None  # None for a cell without points

    @property
    def has_more(self):
        """Whether it holds hidden tests."""
        return self.source != self.released


@dataclass(frozen=True)
class Bundle:
    """One assignment.

    names: {grade_id: names that this answer cell has to define}.
    """

    assignment: str  # "06_multi_head"
    notebook: str  # "multi_head_exercises"
    cells: tuple[Cell, ...]
    names: dict[str, tuple[str, ...]]

    @property
    def tests(self):
        """The cells whose points a test decides."""
        return [cell for cell in self.cells if cell.role == "test"]

    @property
    def manual(self):
        """The cells that a person grades."""
        return [cell for cell in self.cells if cell.role in ("manual", "task")]

    @property
    def setup(self):
        """Sources of the locked code cells, in order."""
        locked = [cell for cell in self.cells if cell.role == "locked"]
        return [cell.source for cell in locked if cell.cell_type == "code"]

    @cached_property
    def course(self):
        """What it asks for, as whoever reads a submission needs to know it."""
        kinds = {"solution": "answer", "manual": "manual", "task": "manual"}
        return Course(
            self.assignment,
            {cell.grade_id: kinds.get(cell.role, "course") for cell in self.cells},
            {cell.grade_id: cell.released for cell in self.cells},
            self.names,
        )

    @cached_property
    def digest(self):
        """Checksum of everything in it."""
        text = json.dumps([FORMAT, asdict(self)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def answers_before(self, test):
        """grade_ids of the answer cells that stand before a test cell."""
        answers = []
        for cell in self.cells:
            if cell == test:
                break
            if cell.role == "solution":
                answers.append(cell.grade_id)
        return answers


def bundle(name, root=ROOT):
    """The Bundle of the assignment `name`, from its solutions below `root`.

    Raises FileNotFoundError if there are none, ValueError if nbgrader would refuse
    them.
    """
    topic = name.partition("_")[2]
    path = Path(root, "solutions", name, f"{topic}_exercises.ipynb")
    source = nbformat.read(path, as_version=4)
    released = {
        cell.metadata.nbgrader.grade_id: cell.source
        for cell in _released(source, path).cells
        if "nbgrader" in cell.metadata
    }
    cells = []
    for cell in source.cells:
        if "nbgrader" in cell.metadata and (role := _role(cell.metadata.nbgrader)):
            marks = cell.metadata.nbgrader
            points = marks.get("points") if role in ("test", "manual", "task") else None
            text = released[marks.grade_id]
            cells.append(
                Cell(
                    marks.grade_id,
                    role,
                    "code" if cell.cell_type == "code" else "markdown",
                    cell.source,
                    text,
                    None if points is None else float(points),
                )
            )
    names = {c.grade_id: _public(c.source) for c in cells if c.role == "solution"}
    return Bundle(name, path.stem, tuple(cells), names)


def _public(source):
    """Names that an answer has to define."""
    return tuple(name for name in defined(source) if not name.startswith("_"))


def _role(marks):
    if marks.get("task"):
        return "task"
    if marks.get("grade"):
        return "manual" if marks.get("solution") else "test"
    if marks.get("solution"):
        return "solution"
    return "locked" if marks.get("locked") else None


def _released(source, path):
    """The sheet as nbgrader hands it out: its own preprocessors make it."""
    from nbgrader.preprocessors import ClearHiddenTests, ClearSolutions

    notebook = nbformat.from_dict(json.loads(json.dumps(source)))
    for preprocessor in (ClearSolutions(), ClearHiddenTests()):
        preprocessor.log.setLevel(logging.CRITICAL)
        try:
            notebook, _ = preprocessor.preprocess(
                notebook, {"metadata": {}, "nbgrader": {}}
            )
        except RuntimeError as error:
            raise ValueError(f"{path.name}: {error}") from None
    return notebook
