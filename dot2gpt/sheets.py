"""Exercise sheets: find them, start them, and read what a learner made of one.

`dot2gpt.running` runs them. Nothing here imports torch, and what is slow to import
(nbformat) is imported where it is needed.
"""

import json
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

MAX_SIZE = 100  # MiB
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
    released = _cells(_parse(chapter.released)[0], chapter.released)
    points = {
        grade_id_of(cell): cell["nbgrader"].get("points", 0)
        for cell in released
        if cell["nbgrader"].get("grade")
    }
    copy, possible = copy_of(chapter), sum(points.values())
    if not copy:
        return None, possible
    cells = _cells(_parse(copy)[0], copy)
    passed = {grade_id_of(cell) for cell in cells if cell["passed"]}
    return sum(points[name] for name in points if name in passed), possible


def title(chapter):
    """The title of a chapter, as its sheet has it: `# Exercises: Title`."""
    cells = _cells(_parse(chapter.released)[0], chapter.released)
    heads = re.search(r"^# (?:Exercises: )?(.+)$", cells[0]["source"], re.MULTILINE)
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

    Raises SheetError, one sentence, if it is not a sheet that can be run.
    """
    path = Path(path)
    notebook, notes = _parse(path)
    cells = _cells(notebook, path)
    try:
        known = chapters(course_root())
    except SheetError:
        known = {}
    chapter = _recognise(path, cells, known, notes)
    released, assignment = [], path.absolute().parent.name
    if chapter:
        assignment = chapter.name
        released = _cells(_parse(chapter.released)[0], chapter.released)
        if not _is_source(path, chapter):
            cells = _with_course_cells(cells, released, notes)
    exercises = _exercises(released or cells)
    if not exercises:
        raise SheetError(
            f"{shown(path)} has no test cells, so there is nothing to check"
        )
    texts = {
        grade_id_of(cell): cell["source"] for cell in released if grade_id_of(cell)
    }
    return Sheet(path, assignment, cells, exercises, texts, notes)


def _parse(path):
    """The notebook at `path` as a dictionary of format 4, and what is odd about it."""
    text = _text(path)
    name, notes = shown(path), []
    try:
        notebook = json.loads(text)
    except RecursionError:
        raise SheetError(f"{name} is nested too deep to be a notebook") from None
    except json.JSONDecodeError as error:
        if not text.lstrip().startswith("{"):
            raise SheetError(f"{name} is not a notebook: it holds no JSON") from None
        raise SheetError(
            f"{name} is damaged or only half there: its JSON breaks off at line "
            f"{error.lineno}. Take an older copy, or start the sheet again"
        ) from None
    version = notebook.get("nbformat") if isinstance(notebook, dict) else None
    if isinstance(version, str) and version.isdecimal() and len(version) < 4:
        version = notebook["nbformat"] = int(version)
    if not isinstance(version, int) or not {"cells", "worksheets"} & set(notebook):
        raise SheetError(f"{name} is JSON but not a notebook: it has no cells")
    if version > 4:
        raise SheetError(
            f"{name} is in notebook format {version}, which is too new: "
            "save it as format 4"
        )
    if version < 4:
        notebook = _upgrade(notebook, name)
        notes.append(f"it was in notebook format {version} and was read as format 4")
    return notebook, notes


def _text(path):
    name = shown(path)
    try:
        if path.is_dir():
            raise SheetError(f"{name} is a folder: name the .ipynb file in it")
        if path.stat().st_size > MAX_SIZE << 20:
            size = path.stat().st_size >> 20
            raise SheetError(
                f"{name} is {size} MiB: clear its outputs and save it again"
            )
        raw = path.read_bytes()
    except FileNotFoundError:
        raise SheetError(f"there is no file {name}") from None
    except OSError as error:
        raise SheetError(f"{name} cannot be read: {error.strerror}") from None
    if not raw.strip():
        raise SheetError(f"{name} is empty")
    if raw.startswith(b"PK"):
        raise SheetError(f"{name} is a zip archive: unpack it first")
    wide = raw[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        return raw.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise SheetError(
            f"{name} is not UTF-8 text (byte {error.start}): save it again as UTF-8"
        ) from None


def _upgrade(notebook, name):
    import nbformat

    try:
        node = nbformat.from_dict(notebook)
        if node.nbformat < 3:
            node = nbformat.convert(node, 3)
        return nbformat.convert(node, 4)
    except Exception:
        raise SheetError(
            f"{name} is in notebook format {notebook['nbformat']} and cannot be "
            "upgraded: open it in JupyterLab and save it"
        ) from None


def _cells(notebook, path):
    """The cells: dictionaries of `cell_type`, `source`, `nbgrader` and `passed`."""
    raw, cells = notebook.get("cells"), []
    for number, cell in enumerate(raw if isinstance(raw, list) else [None], start=1):
        source = cell.get("source") if isinstance(cell, dict) else None
        if isinstance(source, list) and all(isinstance(line, str) for line in source):
            source = "".join(source)
        if not isinstance(source, str):
            raise SheetError(f"{shown(path)} is damaged: cell {number} is not a cell")
        metadata = cell.get("metadata")
        marks = metadata.get("nbgrader") if isinstance(metadata, dict) else None
        cells.append(
            {
                "cell_type": cell.get("cell_type"),
                "source": source.replace("\r\n", "\n"),
                "nbgrader": marks if isinstance(marks, dict) else {},
                "passed": _passed(cell),
            }
        )
    return cells


def _passed(cell):
    """Whether a cell ran, by what is stored of it, without an error or a warning."""
    outputs = cell.get("outputs")
    if not cell.get("execution_count") or not isinstance(outputs, list):
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


def _ids(cells):
    return {grade_id_of(cell) for cell in cells} - {""}


def _locked(cell):
    """Whether the cell is the course's, as nbgrader.utils.is_locked says it."""
    marks = cell["nbgrader"]
    return not marks.get("solution") and bool(marks.get("grade") or marks.get("locked"))


def _recognise(path, cells, known, notes):
    """The chapter that the cells belong to; None if the course has no such sheet."""
    own, name = _ids(cells), shown(path)
    folder = path.absolute().parent.name
    expected = known.get(folder) or next(
        (chapter for chapter in known.values() if chapter.released.name == path.name),
        None,
    )
    if not own:
        raise SheetError(_why_unmarked(path, expected, known))
    shared = {
        chapter: len(own & _ids(_cells(_parse(chapter.released)[0], chapter.released)))
        for chapter in known.values()
    }
    best = max(shared, key=lambda c: (shared[c], c is expected), default=None)
    if best is None or not shared[best]:
        if expected:
            raise SheetError(
                f"{name} holds none of the cells of the sheet of {expected.name}"
            )
        return None
    if expected and best is not expected and shared[best] > shared[expected]:
        raise SheetError(
            f"{name} holds the sheet of {best.name}, not of {expected.name}"
        )
    if path.name != best.released.name:
        notes.append(
            f"by its cells it is the sheet of {best.name} ({best.released.name})"
        )
    return best


def _why_unmarked(path, expected, known):
    name = shown(path)
    topics = {chapter.partition("_")[2]: chapter for chapter in known}
    if path.stem in topics:
        chapter = topics[path.stem]
        return (
            f"{name} is the lesson of {chapter}, not its sheet: "
            f"python -m dot2gpt start {chapter}"
        )
    if expected:
        return (
            f"{name} has lost the marks by which its cells are graded (Google Colab "
            "drops them): start the sheet again and copy your answers into it"
        )
    return f"{name} is a notebook, but not an exercise sheet: no cell of it is graded"


def _is_source(path, chapter):
    """Whether this is the instructor's own notebook, which has the hidden tests."""
    solutions = chapter.released.parents[2] / "solutions"
    return path.resolve().is_relative_to(solutions.resolve())


def _with_course_cells(cells, released, notes):
    """The learner's cells, with the course's text of every locked cell, each once."""
    course = {grade_id_of(cell): cell for cell in released if grade_id_of(cell)}
    merged, changed, seen = [], [], set()
    for cell in cells:
        own = course.get(grade_id_of(cell), cell)
        if not _locked(own):
            if own["cell_type"] == "code" != cell["cell_type"]:
                notes.append(
                    f"the answer {grade_id_of(cell)} is a text cell: run as code"
                )
                cell = {**cell, "cell_type": "code"}
            merged.append(cell)
        elif own is not cell and grade_id_of(cell) not in seen:
            merged.append(own)
            if not _same(cell, own):
                changed.append(grade_id_of(cell))
        seen.add(grade_id_of(cell))
    missing = [grade_id for grade_id in course if grade_id not in seen]
    _put_back(merged, course, missing)
    if changed:
        notes.append(
            f"changed cells of the course are run as released: {', '.join(changed)}"
        )
    if missing:
        notes.append(f"cells are missing: {', '.join(missing)}")
    return merged


def _same(cell, other):
    one, two = ((c["cell_type"], c["source"].rstrip()) for c in (cell, other))
    return one == two


def _put_back(cells, course, missing):
    """Insert the locked ones of the missing cells behind the cell they followed."""
    place = 0
    for grade_id, cell in course.items():
        if grade_id in missing and _locked(cell):
            cells.insert(place, cell)
        places = [i for i, c in enumerate(cells, 1) if grade_id_of(c) == grade_id]
        place = places[0] if places else place


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
