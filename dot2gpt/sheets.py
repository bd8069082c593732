"""Exercise sheets: find them, start them, and read what a learner made of one.

`dot2gpt.handed_in` reads the files, `dot2gpt.running` runs them. Nothing here imports
torch, and what is slow to import (nbformat) is imported where it is needed.
"""

import re
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from dot2gpt import handed_in

_HEADING = re.compile(
    r"^##[ \t]+(Exercise\b.*?)[ \t]*(\(\d+ points?\b.*)?$", re.MULTILINE
)


class SheetError(Exception):
    """A sheet cannot be found, read or run; the text says why to the learner."""


@dataclass(frozen=True)
class Chapter:
    """A chapter that has a sheet, such as `06_multi_head`."""

    name: str
    released: Path  # the sheet as it was handed out, in chapters/
    started: Path  # the learner's copy, whether or not it exists


@dataclass(frozen=True)
class Part:
    """One graded test cell and the answer cell that it tests."""

    test: str  # grade_id
    answer: str  # grade_id, "" if there is none
    points: float


@dataclass(frozen=True)
class Exercise:
    """One exercise of a sheet."""

    title: str
    parts: tuple[Part, ...]


@dataclass
class Sheet:
    """A sheet that can be run: the learner's cells, the course's own test cells."""

    path: Path
    assignment: str
    cells: list[dict]
    exercises: list[Exercise]
    released: dict[str, str] = field(
        default_factory=dict
    )  # grade_id -> source handed out
    notes: list[str] = field(default_factory=list)


# ---- finding ------------------------------------------------------------------------


def course_root():
    """The course's folder: the current one, one above it, or the one of this library.

    Raises SheetError if none of them holds chapters/ and nbgrader_config.py.
    """
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).resolve().parents[1]):
        if (folder / "chapters").is_dir() and (folder / "nbgrader_config.py").is_file():
            return folder
    raise SheetError(
        f"the course is not in {here} or above it: "
        "change to the folder that holds chapters/"
    )


def chapters(root):
    """{name: Chapter} of the chapters below `root` that have a sheet, in order."""
    found = {}
    for released in sorted(root.glob("chapters/*/*_exercises.ipynb")):
        name = released.parent.name
        started = root / "submitted" / "me" / name / released.name
        found[name] = Chapter(name, released, started)
    return found


def chapter_named(name, root):
    """The Chapter called `name`: `06_multi_head`, `06`, `6` or `multi_head`.

    Raises SheetError, with a suggestion, if there is none.
    """
    known = chapters(root)
    spellings = {}
    for chapter in known:
        number, _, topic = chapter.partition("_")
        short = number.lstrip("0") or number
        for spelling in (chapter, number, short, topic, f"{topic}_exercises"):
            spellings[spelling] = chapter
    if not known:
        raise SheetError(f"there are no exercise sheets in {shown(root / 'chapters')}")
    key = name.strip().rstrip("/\\").lower().replace("-", "_")
    if key in spellings:
        return known[spellings[key]]
    near = get_close_matches(key, spellings, n=1)
    hint = f" Did you mean {spellings[near[0]]}?" if near else ""
    raise SheetError(
        f"there is no chapter {name!r}.{hint} The sheets are: {', '.join(known)}"
    )


def find_sheet(name):
    """The file that `name` (a chapter or a path) stands for.

    A chapter stands for the learner's copy, or for the released sheet if there is none.
    """
    path = Path(name)
    if path.suffix == ".ipynb" or path.is_file():
        return path
    if path.is_dir() and len(path.parts) > 1:
        sheets = sorted(path.glob("*_exercises.ipynb"))
        return sheets[0] if len(sheets) == 1 else path
    if len(path.parts) > 1:
        return path
    chapter = chapter_named(name, course_root())
    return copy_of(chapter) or chapter.released


def copy_of(chapter):
    """The learner's copy of a chapter's sheet, renamed or not; None if not started."""
    if chapter.started.exists():
        return chapter.started
    others = sorted(chapter.started.parent.glob("*.ipynb"))
    return others[0] if len(others) == 1 else None


def started_sheets(root):
    """The sheets that the learner has started, in the order of the chapters."""
    return [path for path in map(copy_of, chapters(root).values()) if path]


def progress(chapter):
    """(earned, possible) points of a chapter's sheet, as its files say; nothing is run.

    earned: the points of the test cells that passed when the learner's copy was saved;
    None if there is no copy.

    Raises SheetError if one of the two sheets cannot be read.
    """
    points = {
        grade_id_of(cell): cell["nbgrader"].get("points", 0)
        for cell in _plain(_read(chapter.released)[0])
        if cell["nbgrader"].get("grade")
    }
    copy, possible = copy_of(chapter), sum(points.values())
    if not copy:
        return None, possible
    passed = {cell.grade_id for cell in _read(copy)[0] if _passed(cell)}
    return sum(points[name] for name in points if name in passed), possible


def title(chapter):
    """The title of a chapter, as its sheet has it: `# Exercises: Title`."""
    first = _read(chapter.released)[0][0].source
    heads = re.search(r"^# (?:Exercises: )?(.+)$", first, re.MULTILINE)
    return heads[1] if heads else chapter.name


def start_sheet(chapter, folder=None):
    """Copy a chapter's released sheet to `folder`; returns the new file.

    folder: submitted/me/<chapter> if None.

    Raises SheetError if a file is there already, which is never overwritten.
    """
    target = Path(folder) / chapter.released.name if folder else chapter.started
    there = None if folder else copy_of(chapter)
    try:
        if there:
            raise FileExistsError
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "xb") as copy, open(chapter.released, "rb") as original:
            shutil.copyfileobj(original, copy)
    except FileExistsError:
        there = there or target
        if there.parent.is_file():
            name = shown(there.parent)
            raise SheetError(f"{name} is a file, not a folder") from None
        raise SheetError(
            f"you have started {chapter.name}: {shown(there)} is there and stays as it "
            "is. Open it, or move it away to begin again"
        ) from None
    except OSError as error:
        raise SheetError(f"cannot write {shown(target)}: {error.strerror}") from None
    _trust(target)
    return target


def shown(path):
    """`path` relative to the current folder where it is below it."""
    with suppress(ValueError):
        return str(Path(path).absolute().relative_to(Path.cwd()))
    return str(path)


def _trust(path):
    """Tell Jupyter that this notebook's stored outputs may be shown."""
    import nbformat
    from nbformat.sign import NotebookNotary

    with suppress(OSError), NotebookNotary() as notary:
        notary.sign(nbformat.read(path, as_version=4))


# ---- reading ------------------------------------------------------------------------


def read_sheet(path):
    """Read the sheet at `path`; its test cells are the course's own, where it has them.

    What an answer is, and where its test stands, is as in grading.

    Raises SheetError, one sentence, if it is not a sheet that can be run.
    """
    path = Path(path)
    read, notes = _read(path)
    try:
        known = chapters(course_root())
    except SheetError:
        known = {}
    chapter = _recognise(path, read, known, notes)
    cells, released, assignment = _plain(read), [], path.absolute().parent.name
    if chapter:
        assignment = chapter.name
        released = _plain(_read(chapter.released)[0])
        if not _is_source(path, chapter):
            cells = _with_course_cells(read, chapter, released, notes)
    exercises = _exercises(released or cells)
    if not exercises:
        raise SheetError(
            f"{shown(path)} has no test cells, so there is nothing to check"
        )
    texts = {
        grade_id_of(cell): cell["source"] for cell in released if grade_id_of(cell)
    }
    return Sheet(path, assignment, cells, exercises, texts, notes)


def _read(path):
    """(the cells of the file at `path`, what is odd about it)."""
    name = shown(path)
    if path.is_dir():
        raise SheetError(f"{name} is a folder: name the .ipynb file in it")
    if not path.exists():
        raise SheetError(f"there is no file {name}")
    try:
        return handed_in.cells(path.resolve(), path.name)
    except handed_in.Rejected as why:
        raise SheetError(f"{name}: {why}") from None


def _plain(cells):
    """Cells as dictionaries of `cell_type`, `source` and `nbgrader`."""
    return [
        {
            "cell_type": cell.cell_type,
            "source": cell.source,
            "nbgrader": handed_in.marks_of(cell.raw),
        }
        for cell in cells
    ]


def _passed(cell):
    """Whether a cell ran, by what is stored of it, without an error or a warning."""
    outputs = cell.raw.get("outputs")
    if not cell.raw.get("execution_count") or not isinstance(outputs, list):
        return False
    return all(
        isinstance(o, dict)
        and o.get("output_type") != "error"
        and o.get("name") != "stderr"
        for o in outputs
    )


def grade_id_of(cell):
    """The name by which nbgrader knows a cell; "" if it has none."""
    grade_id = cell["nbgrader"].get("grade_id")
    return grade_id if isinstance(grade_id, str) else ""


def _locked(cell):
    """Whether the cell is the course's, as nbgrader.utils.is_locked says it."""
    marks = cell["nbgrader"]
    return not marks.get("solution") and bool(marks.get("grade") or marks.get("locked"))


def _course(chapter):
    """What a chapter asks for, as far as its sheet tells: an answer that is not begun
    defines what it is called."""
    roles, released, names = {}, {}, {}
    for cell in _plain(_read(chapter.released)[0]):
        if key := grade_id_of(cell):
            roles[key] = "course" if _locked(cell) else "answer"
            released[key] = cell["source"]
            names[key] = handed_in.defined(cell["source"]) or (key,)
    return handed_in.Course(chapter.name, roles, released, names)


def _recognise(path, cells, known, notes):
    """The chapter whose answers the cells hold; None if the course has no such sheet.

    known: {name: Chapter}.
    """
    name, folder = shown(path), path.absolute().parent.name
    expected = known.get(folder) or next(
        (chapter for chapter in known.values() if chapter.released.name == path.name),
        None,
    )
    own, held = {cell.grade_id for cell in cells} - {""}, {}
    for chapter in known.values() if own else filter(None, [expected]):
        course = _course(chapter)
        with suppress(handed_in.Rejected):
            steps, _ = handed_in.line_up(cells, course)
            found = {step.grade_id for step in steps} - {""}
            held[chapter] = len(own & set(course.roles)), len(found)
    best = max(held, key=lambda c: (held[c], c is expected), default=None)
    if best is None and own and not expected:
        return None
    if best is None or not own and path.stem in {c.partition("_")[2] for c in known}:
        raise SheetError("; ".join([_why_not(path, expected, known), *notes]))
    if expected and held[best] > held.get(expected, (0, 0)):
        raise SheetError(
            f"{name} holds the sheet of {best.name}, not of {expected.name}"
        )
    if path.name != best.released.name:
        notes.append(
            f"by its cells it is the sheet of {best.name} ({best.released.name})"
        )
    return best


def _why_not(path, expected, known):
    name = shown(path)
    topics = {chapter.partition("_")[2]: chapter for chapter in known}
    if path.stem in topics:
        chapter = topics[path.stem]
        return (
            f"{name} is the lesson of {chapter}, not its sheet: "
            f"python -m dot2gpt start {chapter}"
        )
    if expected:
        return f"{name} holds none of the answers of {expected.name}"
    return f"{name} is a notebook, but not an exercise sheet: no cell of it is graded"


def _is_source(path, chapter):
    """Whether this is the instructor's own notebook, which has the hidden tests."""
    solutions = chapter.released.parents[2] / "solutions"
    return path.resolve().is_relative_to(solutions.resolve())


def _with_course_cells(cells, chapter, released, notes):
    """The learner's cells, and each locked cell of the course behind what it tests."""
    course = {grade_id_of(cell): cell for cell in released if grade_id_of(cell)}
    steps, said = handed_in.line_up(cells, _course(chapter))
    merged = [
        {
            "cell_type": step.cell_type,
            "source": step.source,
            "nbgrader": course[step.grade_id]["nbgrader"] if step.grade_id else {},
        }
        for step in steps
    ]
    place = 0
    for grade_id, cell in course.items():
        if _locked(cell):
            merged.insert(place, cell)
        ids = [grade_id_of(other) for other in merged]
        if grade_id in ids:
            place = len(ids) - ids[::-1].index(grade_id)
    kept = {key: _same_as(cell) for key, cell in course.items() if _locked(cell)}
    changed = [
        cell.grade_id
        for cell in cells
        if cell.grade_id in kept and kept[cell.grade_id] != _same_as(*_plain([cell]))
    ]
    if changed:
        names = ", ".join(dict.fromkeys(changed))
        notes.append(f"changed cells of the course are run as released: {names}")
    notes += said
    return merged


def _same_as(cell):
    """What a copy of a cell has to share with it."""
    return cell["cell_type"], cell["source"].rstrip()


def _exercises(cells):
    """The exercises of a sheet, in order, each with its graded test cells."""
    found, title, answers = {}, "", []
    for cell in cells:
        marks, grade_id = cell["nbgrader"], grade_id_of(cell)
        if heading := heading_of(cell):
            title, answers = heading, []
        if marks.get("solution"):
            answers.append(grade_id)
        elif marks.get("grade") and cell["cell_type"] == "code":
            tested = grade_id.removeprefix("test_")
            answer = tested if tested in answers else (answers or [""])[-1]
            part = Part(grade_id, answer, float(marks.get("points") or 0))
            found.setdefault(title or grade_id, []).append(part)
    return [Exercise(title, tuple(parts)) for title, parts in found.items()]


def heading_of(cell):
    """The title of the exercise that a cell begins; "" if it begins none."""
    found = cell["cell_type"] == "markdown" and _HEADING.search(cell["source"])
    return found.group(1) if found else ""
