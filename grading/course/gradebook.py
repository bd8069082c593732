"""The one writer of nbgrader's gradebook, through nbgrader's own API.

Everything here can be done again without harm: scores are set, never added to, and what
is there already is found and kept. A manual grade is never touched.
"""

import html
import logging
import os
import re
import tempfile
import time
import warnings
from contextlib import contextmanager
from pathlib import Path

import nbformat

from dot2gpt import handed_in
from grading.course import store
from grading.course.page import page

PATIENCE = 60  # seconds to wait for a gradebook that another program has locked


class GradebookError(Exception):
    """The gradebook cannot be read or written; the text says why and what to do."""


class Locked(GradebookError):
    """Another program holds the gradebook."""


class Writer:
    """Writes one assignment's results to the gradebook and to autograded/.

    root: the course's folder, with nbgrader_config.py.
    bundle: the assignment.
    """

    def __init__(self, root, bundle):
        self.root, self.bundle = Path(root), bundle
        self.course = course_directory(root)

    def register(self):
        """Tell the gradebook about the sheet, as `nbgrader generate_assignment` does.

        Raises GradebookError if a cell that has manual grades left the sheet.
        """
        notebook = self._marked_source()
        _create(self.course)
        with self._open() as gradebook:
            gradebook.update_or_create_assignment(self.bundle.assignment)
            _reconcile(gradebook, self.bundle, notebook)
        with _translated():
            _preprocess("SaveCells", notebook, self._resources())
        with self._open() as gradebook:
            _complete_submissions(gradebook, self.bundle)

    def write(self, results):
        """Write [(student, result, details)]: the scores, then the notebooks.

        details: {"first_name": ..., "lms_user_id": ..., ...} of the student, as far as
            known; what the gradebook says already stays.
        """
        with self._open() as gradebook:
            for student, result, details in results:
                self._write_scores(gradebook, student, result, details)
        try:
            for student, result, _ in results:
                self._write_notebook(student, result)
        except OSError as error:
            raise GradebookError(
                f"autograded/ cannot be written: {error.strerror}"
            ) from None

    def scores(self):
        """{student: {grade_id: score of the tests}} as the gradebook has them."""
        from nbgrader.api import Assignment, BaseCell, Grade, Student
        from nbgrader.api import SubmittedAssignment as Submission
        from nbgrader.api import SubmittedNotebook as Notebook

        with self._open() as gradebook:
            rows = (
                gradebook.db.query(Student.id, BaseCell.name, Grade.auto_score)
                .join(Submission, Submission.student_id == Student.id)
                .join(Assignment, Assignment.id == Submission.assignment_id)
                .join(Notebook, Notebook.assignment_id == Submission.id)
                .join(Grade, Grade.notebook_id == Notebook.id)
                .join(BaseCell, BaseCell.id == Grade.cell_id)
                .filter(Assignment.name == self.bundle.assignment)
            )
            found = {}
            for student, cell, score in rows:
                found.setdefault(student, {})[cell] = score
        return found

    def is_written(self, student, result, scores):
        """Whether gradebook (`scores()`) and autograded/ hold this result."""
        have = scores.get(student)
        want = _auto_scores(self.bundle, result)
        if have is None or any(have.get(key) != value for key, value in want.items()):
            return False
        try:
            there = self._notebook_path(student).read_bytes()
        except OSError:
            return False
        return there == self._notebook_text(result).encode("utf-8", "replace") and (
            self._timestamp(student, "submitted")
            == self._timestamp(student, "autograded")
        )

    def _write_scores(self, gradebook, student, result, details):
        from nbgrader.api import MissingEntry

        assignment = self.bundle.assignment
        try:
            known = gradebook.find_student(student)
        except MissingEntry:
            known = None
        new = {k: v for k, v in details.items() if v and not getattr(known, k, None)}
        gradebook.update_or_create_student(student, **new)
        stamp = self._timestamp(student, "submitted")
        gradebook.update_or_create_submission(
            assignment, student, **({"timestamp": stamp} if stamp else {})
        )
        notebook = gradebook.find_submission_notebook(
            self.bundle.notebook, assignment, student
        )
        want = _auto_scores(self.bundle, result)
        for grade in notebook.grades:
            if grade.name in want:
                grade.auto_score = want[grade.name]
                grade.needs_manual_grade = (
                    grade.manual_score is not None
                    or grade.auto_score is None
                    or result.status != "graded"
                )
        _comment(notebook, result, self.bundle)
        gradebook.db.commit()

    def _write_notebook(self, student, result):
        """The executed notebook, last: that it is there says that all is written."""
        folder = self._folder(student, "autograded")
        stamp = self._timestamp(student, "submitted")
        if stamp:
            store.write(folder / "timestamp.txt", stamp.encode())
        text = self._notebook_text(result)
        store.write(self._notebook_path(student), text.encode("utf-8", "replace"))

    def _notebook_text(self, result):
        text = result.notebook or page(self.bundle, (), {}, {})
        return _with_notes(text, result.notes) if result.notes else text

    def _notebook_path(self, student):
        return self._folder(student, "autograded") / f"{self.bundle.notebook}.ipynb"

    def _folder(self, student, kind):
        directory = getattr(self.course, f"{kind}_directory")
        path = self.course.format_path(directory, student, self.bundle.assignment)
        return Path(path)

    def _timestamp(self, student, kind):
        """When it was handed in, as timestamp.txt says it; "" if it says nothing."""
        from nbgrader.utils import parse_utc

        path = self._folder(student, kind) / "timestamp.txt"
        try:
            text = handed_in.read_bytes(path, 200).decode("utf-8").strip()
            parse_utc(text)
            return text
        except (handed_in.Rejected, ValueError, OverflowError):
            return ""

    def _marked_source(self):
        """The instructor's notebook as nbgrader saves its cells: locked, with sums."""
        folder = self.course.format_path(
            self.course.source_directory, ".", self.bundle.assignment
        )
        notebook = nbformat.read(
            os.path.join(folder, f"{self.bundle.notebook}.ipynb"), as_version=4
        )
        resources = self._resources()
        for name in ("LockCells", "ClearSolutions", "ClearOutput", "ComputeChecksums"):
            notebook = _preprocess(name, notebook, resources)
        return notebook

    def _resources(self):
        return {
            "nbgrader": {
                "notebook": self.bundle.notebook,
                "assignment": self.bundle.assignment,
                "student": ".",
                "db_url": self.course.db_url,
            }
        }

    def _open(self):
        return opened(self.course)


@contextmanager
def opened(course):
    """nbgrader's Gradebook of a course; its errors are raised as GradebookError."""
    from nbgrader.api import Gradebook

    with _translated():
        with Gradebook(course.db_url, course.course_id) as gradebook:
            yield gradebook


def _create(course):
    """Make a gradebook where there is none: whole, or not at all if it is killed."""
    from sqlalchemy.engine import make_url

    path = Path(make_url(course.db_url).database or "")
    if not course.db_url.startswith("sqlite:///") or path.exists():
        return
    from nbgrader.api import Gradebook

    try:
        with tempfile.TemporaryDirectory() as plain:  # nbgrader takes no % in a path
            new = Path(plain, path.name)
            with _translated(), Gradebook(f"sqlite:///{new}", course.course_id):
                pass
            store.write(path, new.read_bytes())
    except OSError as error:
        raise GradebookError(f"{path} cannot be made: {error.strerror}") from None


def course_directory(root):
    """nbgrader's CourseDirectory, as nbgrader_config.py in `root` sets it up."""
    from nbgrader.coursedir import CourseDirectory
    from traitlets.config import PyFileConfigLoader

    config = PyFileConfigLoader("nbgrader_config.py", path=str(root)).load_config()
    config.CourseDirectory.setdefault("root", str(root))
    return CourseDirectory(config=config)


def patiently(action, patience=PATIENCE):
    """What `action()` returns, once no other program has the gradebook locked.

    Raises Locked after `patience` seconds.
    """
    end = time.monotonic() + patience
    while True:
        try:
            return action()
        except Locked:
            if time.monotonic() > end:
                raise
            time.sleep(min(1.0, patience / 10))


@contextmanager
def _translated():
    """Database errors as sentences, without nbgrader's tracebacks in the log."""
    from nbgrader.api import InvalidEntry
    from sqlalchemy.exc import SAWarning, SQLAlchemyError

    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():  # SQLAlchemy's, on how nbgrader uses it
            warnings.simplefilter("ignore", SAWarning)
            yield
    except (InvalidEntry, SQLAlchemyError) as error:
        raise _sentence(str(error)) from error
    finally:
        logging.disable(before)


def _sentence(said):
    known = {
        "is locked": "the gradebook is locked by another program (Formgrader?)",
        "disk is full": "the disk is full: the gradebook cannot be written",
        "disk I/O": "the disk refuses: the gradebook cannot be read or written",
        "readonly": "gradebook.db is write-protected",
        "read-only": "gradebook.db is write-protected",
        "not a database": "gradebook.db is damaged: put a backup in its place",
        "malformed": "gradebook.db is damaged: put a backup in its place",
        "no such column": "gradebook.db is of an older nbgrader: nbgrader db upgrade",
        "unable to open": "gradebook.db cannot be opened",
    }
    for words, sentence in known.items():
        if words in said:
            return (Locked if words == "is locked" else GradebookError)(sentence)
    return GradebookError(f"the gradebook refuses: {said.splitlines()[0]}")


def _preprocess(name, notebook, resources):
    from nbgrader import preprocessors

    notebook, _ = getattr(preprocessors, name)().preprocess(notebook, resources)
    return notebook


def _auto_scores(bundle, result):
    """{grade_id: score of its test, None where a person grades} for every graded cell.

    A test that the result does not speak of counts 0, so that no old score stays.
    """
    usual = {
        cell.grade_id: 0.0 if cell.role == "test" else None for cell in graded(bundle)
    }
    return {key: result.scores.get(key, none) for key, none in usual.items()}


def graded(bundle):
    """The cells of a sheet that give points."""
    return [cell for cell in bundle.cells if cell.points is not None]


def _comment(notebook, result, bundle):
    """nbgrader's own "No response." where an answer is as it was handed out."""
    released = {cell.grade_id: cell.released.strip() for cell in bundle.cells}
    sources = {}
    if result.notebook:
        for cell in nbformat.reads(result.notebook, as_version=4).cells:
            marks = cell.metadata.get("nbgrader", {})
            sources[marks.get("grade_id")] = cell.source.strip()
    for comment in notebook.comments:
        untouched = sources.get(comment.name) == released.get(comment.name)
        comment.auto_comment = "No response." if untouched else None


# ---- a sheet that changed -----------------------------------------------------------


def _cells_of(notebook):
    """{(kind, grade_id)} of the cells that a gradebook holds."""
    from nbgrader import utils

    kinds = {
        "grade": utils.is_grade,
        "solution": utils.is_solution,
        "task": utils.is_task,
    }
    pairs = set()
    for cell in notebook.cells:
        for kind, test in kinds.items():
            if test(cell):
                pairs.add((kind, cell.metadata.nbgrader.grade_id))
        if any(test(cell) for test in kinds.values()) or utils.is_locked(cell):
            pairs.add(("source", cell.metadata.nbgrader.grade_id))
    return pairs


def _reconcile(gradebook, bundle, source):
    """Make the gradebook's cells those of the sheet, where nbgrader itself refuses to.

    nbgrader takes no new cells once there are submissions. A cell that left the sheet
    goes, unless a person graded it.
    """
    from nbgrader.api import MissingEntry

    try:
        notebook = gradebook.find_notebook(bundle.notebook, bundle.assignment)
    except MissingEntry:
        return
    if not notebook.submissions:
        return
    wanted, there = _cells_of(source), {}
    for kind in ("grade", "solution", "task", "source"):
        for cell in getattr(notebook, f"{kind}_cells"):
            there[kind, cell.name] = cell
    gone = [there[key] for key in there if key not in wanted]
    _refuse_to_lose(gone, bundle)
    for cell in gone:
        for kind in ("grades", "comments"):
            for row in list(getattr(cell, kind, [])):
                gradebook.db.delete(row)
        gradebook.db.delete(cell)
    gradebook.db.commit()
    _add_cells(gradebook, bundle, source, wanted - set(there))


def _refuse_to_lose(cells, bundle):
    kept = [
        cell.name
        for cell in cells
        if any(grade.manual_score is not None for grade in getattr(cell, "grades", []))
        or any(one.manual_comment for one in getattr(cell, "comments", []))
    ]
    if kept:
        raise GradebookError(
            f"the sheet {bundle.assignment} has no cell {', '.join(sorted(set(kept)))} "
            "any more, and the gradebook holds grades or comments that a person gave "
            "for it: put the cell back"
        )


def _add_cells(gradebook, bundle, source, missing):
    """Add cells of the sheet that the gradebook does not know; SaveCells fills them."""
    marks = {
        cell.metadata.nbgrader.grade_id: cell
        for cell in source.cells
        if cell.metadata.get("nbgrader", {}).get("grade_id")
    }
    for kind, name in sorted(missing):
        cell = marks[name]
        more = {"cell_type": cell.cell_type} if kind != "solution" else {}
        if kind in ("grade", "task"):
            more["max_score"] = float(cell.metadata.nbgrader.points)
        add = getattr(gradebook, f"add_{kind}_cell")
        add(name, bundle.notebook, bundle.assignment, **more)


def _complete_submissions(gradebook, bundle):
    """Give each submission a grade and a comment for every cell of the sheet."""
    from nbgrader.api import Comment, Grade

    notebook = gradebook.find_notebook(bundle.notebook, bundle.assignment)
    graded = [*notebook.grade_cells, *notebook.task_cells]
    commented = [*notebook.solution_cells, *notebook.task_cells]
    for submission in notebook.submissions:
        have = {grade.cell_id for grade in submission.grades}
        for cell in graded:
            if cell.id not in have:
                gradebook.db.add(Grade(cell_id=cell.id, notebook=submission))
        have = {comment.cell_id for comment in submission.comments}
        for cell in commented:
            if cell.id not in have:
                gradebook.db.add(Comment(cell_id=cell.id, notebook=submission))
    gradebook.db.commit()


# ---- notebooks ----------------------------------------------------------------------


def _with_notes(text, notes):
    """The executed notebook with a first cell that says what was noted."""
    notebook = nbformat.reads(text, as_version=4)
    lines = [f"- {_plain(note)}" for note in notes]
    source = "\n".join(["**About this submission**", "", *lines])
    cell = nbformat.v4.new_markdown_cell(source, id="about-this-submission")
    notebook.cells.insert(0, cell)
    return nbformat.writes(notebook)


def _plain(note):
    """A note as Markdown that shows it as it is: it may quote a student's words."""
    return re.sub(r"([\\`*_\[\]!$#|~])", r"\\\1", html.escape(note))
