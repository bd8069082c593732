"""Reads what a student handed in, without trusting it, and finds the answers in it.

`read` runs nothing. It drops the student's copies of the course's own cells, gives each
answer cell back its id where the metadata was lost, and says in plain sentences what it
had to repair. What cannot be read at all raises `Rejected`, with a sentence, too.
"""

import ast
import errno
import json
import os
import re
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from dot2gpt import sheet_tests

MAX_FILE = 100 << 20  # bytes; `python -m dot2gpt check` reads as much
MAX_CELLS = 5000
MAX_SOURCE = 1 << 20  # characters of one cell
MAX_PARSED = 200_000  # characters; a longer cell is searched for names as text
MAX_DEPTH = 60
MAX_ITEMS = 5_000_000  # values in the JSON; each takes memory once it is read
MAX_REPAIRS = 4  # times that a damaged file is gone through
NOTEBOOK = (".ipynb",)
SCRIPT = (".py",)
OTHER = (".txt", ".json", ".jupyter", ".md")  # a notebook or a script by another name
_TOKENS = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\Z)|[\[\]{},]', re.DOTALL)
_CELL = re.compile(
    r'\{\s*"(?:attachments|cell_type|collapsed|execution_count|id|input|level'
    r'|metadata|outputs|source)"'
)
_PERCENT = re.compile(r"^#[ \t]*(?:%%|In ?\[[ \d]*\]:?).*\n?", re.MULTILINE)
_COPY = re.compile(r"\.ipynb_checkpoints|^__MACOSX$|^\.")


class Rejected(Exception):
    """Nothing in the folder can be graded; the text says why to the student."""


@dataclass(frozen=True)
class Step:
    """One cell of the student's to run, in the student's order.

    grade_id: the answer cell of the sheet that it is, "" for a cell of the student's
        own. An id may come twice (a split cell): both run, the test after the last.
    """

    grade_id: str
    source: str
    cell_type: str  # "code" or "markdown"


@dataclass(frozen=True)
class Intake:
    """What was found in a submission."""

    name: str  # of the file that was read
    steps: tuple[Step, ...]
    answers: dict[str, str]  # grade_id -> source of the answers that tests judge
    manual: dict[str, str]  # grade_id -> text of the answers that a person judges
    extra: tuple[str, ...]  # sources of the student's own code cells
    notes: tuple[str, ...]  # sentences: what was odd, and what was done about it


def read(folder, bundle, max_file=MAX_FILE):
    """The submission in `folder`, lined up with the cells of `bundle`.

    The expected notebook is read; another one stands in for it if it is missing, cannot
    be read or holds no answer while another does.

    Raises Rejected, a sentence for the student, if nothing there can be graded.
    """
    expected = f"{bundle.notebook}.ipynb"
    found, refused = [], []
    for names in _candidates(folder, expected):
        for name in names:
            path = os.path.join(folder, name)
            try:
                found.append(_read_file(path, name, bundle, max_file))
            except Rejected as why:
                refused.append((name, str(why)))
        if found:
            break
    else:
        raise Rejected(_all_refused(refused, expected, bundle))
    best = max(found, key=lambda one: _rank(one, expected, bundle))
    notes = _notes_on_names(best, found, refused, expected)
    if not _rank(best, expected, bundle)[0]:
        notes.append("no answer is written: the sheet is as it was handed out")
    return replace(best, notes=(*notes, *best.notes))


def _all_refused(refused, expected, bundle):
    if not refused:
        return (
            f"no notebook was handed in for {bundle.assignment}: hand in {expected}, "
            "the file that you worked in"
        )
    return "; ".join(f"{shown(name)}: {why}" for name, why in refused[:3])


def _rank(intake, expected, bundle):
    """Best first: something is written, it is the expected file, more is written."""
    released = {cell.grade_id: cell.released.strip() for cell in bundle.cells}
    own = {**intake.answers, **intake.manual}
    written = sum(text.strip() not in ("", released[key]) for key, text in own.items())
    return written > 0, intake.name == expected, written


def _notes_on_names(best, found, refused, expected):
    notes = []
    if best.name != expected:
        notes.append(
            f"the notebook should be called {expected}; {shown(best.name)} was read"
        )
    for name, why in refused:
        notes.append(f"{shown(name)} was left out: {why}")
    others = [shown(one.name) for one in found if one is not best]
    if others:
        notes.append(f"only {shown(best.name)} is graded, not {', '.join(others)}")
    return notes


def shown(name):
    """A file name that a student chose, short, on one line and free of control codes.

    Backquotes go, too, so that it stays text wherever it is shown.
    """
    text = "".join(c if c.isprintable() and c not in "`<>&" else "?" for c in name)
    return repr(text if len(text) <= 80 else f"{text[:60]}…{text[-16:]}")


# ---- files --------------------------------------------------------------------------


def _candidates(folder, expected):
    """Lists of files below `folder` that may hold the answers, the likeliest first."""
    if os.path.islink(folder):
        raise Rejected("the folder is a symbolic link: hand in the files themselves")
    try:
        names = _listed(folder)
    except OSError as error:
        raise Rejected(f"the folder cannot be read: {error.strerror}") from None
    names.sort(key=lambda name: (name != expected, name))
    lists = [
        [name for name in names if name.lower().endswith(endings)][:20]
        for endings in (NOTEBOOK, SCRIPT, OTHER)
    ]
    if names and not any(lists):
        raise Rejected(
            f"none of the files handed in is a notebook: {_several(names)}. "
            f"Hand in {expected}, the file that you worked in"
        )
    return lists


def _several(names):
    return ", ".join(map(shown, names[:5])) + (" …" if len(names) > 5 else "")


def _listed(folder):
    """Files in `folder` and in its subfolders, as paths below it; links not followed.

    Two levels are looked at: people hand in an unpacked folder within the folder.
    """
    found = []
    for top, folders, files in os.walk(folder):
        depth = os.path.relpath(top, folder).count(os.sep) + (top != str(folder))
        folders[:] = [f for f in folders if depth < 2 and not _COPY.search(f)]
        for file in files:
            if not _COPY.search(file) and file != "timestamp.txt":
                found.append(os.path.relpath(os.path.join(top, file), folder))
        if len(found) > 2000:
            raise Rejected("there are over 2000 files in the folder")
    return found


@contextmanager
def opened(path, max_file=MAX_FILE):
    """A regular file, opened to read; neither links nor pipes are followed.

    Raises Rejected for anything else, and for a file of over `max_file` bytes.
    """
    flags = os.O_RDONLY
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
        flags |= getattr(os, name, 0)  # Windows has only the last
    if os.path.islink(path):
        raise Rejected("it is a symbolic link: hand in the file itself")
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Rejected("it is a symbolic link: hand in the file itself") from None
        raise Rejected(f"it cannot be opened: {error.strerror}") from None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Rejected("it is not an ordinary file")
        if status.st_size > max_file:
            raise Rejected(
                f"it is {status.st_size >> 20} MiB: clear its outputs (Kernel, Restart "
                "and Clear Outputs), save it and hand it in again"
            )
        yield file


def read_bytes(path, max_file=MAX_FILE):
    """The bytes of a regular file; raises Rejected as `opened` does."""
    with opened(path, max_file) as file:
        return file.read(max_file)


def _read_file(path, name, bundle, max_file):
    """The Intake of one file."""
    text, notes = _decoded(read_bytes(path, max_file))
    if text.lstrip().startswith(("{", "[")):
        cells, said = _cells(text)
    else:
        cells, said = (
            _script(text, name),
            [f"{shown(name)} was read as a Python script"],
        )
    if not cells:
        raise Rejected("the notebook has no cells")
    steps, lined_up = _line_up(cells, bundle)
    answers, manual = {}, {}
    roles = _roles(bundle)
    for step in steps:
        place = answers if roles.get(step.grade_id) == "answer" else manual
        if step.grade_id:
            before = place.get(step.grade_id)
            place[step.grade_id] = (
                step.source if before is None else f"{before}\n\n{step.source}"
            )
    extra = tuple(s.source for s in steps if not s.grade_id and s.cell_type == "code")
    notes = (*notes, *said, *lined_up)
    return Intake(name, tuple(steps), answers, manual, extra, notes)


# ---- text ---------------------------------------------------------------------------


def _decoded(raw):
    """The text of a file, and a note where it had to be repaired."""
    if not raw.strip():
        raise Rejected("the file is empty: it was saved or uploaded before it was done")
    for magic, kind in ((b"PK", "a zip archive"), (b"%PDF", "a PDF")):
        if raw.startswith(magic):
            raise Rejected(f"it is {kind}, not a notebook: hand in the .ipynb file")
    if raw.lstrip()[:1] == b"<":
        raise Rejected("it is a web page, not a notebook: hand in the .ipynb file")
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        with suppress(UnicodeDecodeError):
            return raw.decode("utf-16"), ["the file was UTF-16 and was read as such"]
    try:
        return raw.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace"), [
            "the file is not UTF-8 text; letters with accents may look wrong"
        ]


def _check_size(text):
    """Refuse JSON that would take much memory, before it is read."""
    depth = items = 0
    for token in _TOKENS.finditer(text):
        sign = text[token.start()]
        items += 1
        if sign in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise Rejected("it is nested too deep to be a notebook")
        elif sign in "]}":
            depth -= 1
        if items > MAX_ITEMS:
            raise Rejected(
                f"it holds over {MAX_ITEMS // 1_000_000} million values: clear its "
                "outputs, save it and hand it in again"
            )


def _cells(text):
    """[(cell type, source, grade_id)] of a notebook, and notes on what was repaired."""
    _check_size(text)
    notes = []
    try:
        notebook = json.loads(text)
    except ValueError as error:
        raw = _salvaged(text)
        line = getattr(error, "lineno", 1)
        if not raw:
            raise Rejected(
                f"the file is damaged at line {line} and no cell in it is whole: "
                "hand in an undamaged copy"
            ) from None
        notes.append(
            f"the file is damaged at line {line}: {len(raw)} whole cells were found "
            "in it, the rest is lost"
        )
    else:
        raw = _raw_cells(notebook)
    if len(raw) > MAX_CELLS:
        raise Rejected(f"it has {len(raw)} cells, and {MAX_CELLS} are allowed")
    cells = [_cell(number, one, notes) for number, one in enumerate(raw, 1)]
    return [cell for cell in cells if cell], notes


def _raw_cells(notebook):
    """The list of cells of a notebook in format 3 or 4."""
    raw = notebook.get("cells") if isinstance(notebook, dict) else None
    if raw is None and isinstance(notebook, dict):
        sheets = notebook.get("worksheets")
        sheets = [s for s in sheets if isinstance(s, dict)] if _is_list(sheets) else []
        lists = [s["cells"] for s in sheets if _is_list(s.get("cells"))]
        raw = [cell for cells in lists for cell in cells] if lists else None
    if not _is_list(raw):
        raise Rejected("it is JSON but not a notebook: it has no cells")
    return raw


def _is_list(value):
    return isinstance(value, list)


def _salvaged(text):
    """The whole cells in a notebook that was cut off or damaged."""
    decoder, cells, position, wasted = json.JSONDecoder(), [], 0, 0
    while wasted <= MAX_REPAIRS * len(text):
        match = _CELL.search(text, position)
        if not match:
            break
        try:
            value, position = decoder.raw_decode(text, match.start())
        except ValueError as error:
            position = match.end()
            reached = getattr(error, "pos", len(text)) - match.start()
            wasted += max(reached, len(text) // 100)  # an error counts lines from 1
        else:
            if isinstance(value.get("cell_type"), str):
                cells.append(value)
    return cells


def _cell(number, raw, notes):
    """(cell type, source, grade_id) of one cell; None if it is none."""
    if not isinstance(raw, dict):
        notes.append(f"cell {number} is damaged and was left out")
        return None
    source = raw.get("source", raw.get("input", ""))
    if _is_list(source):
        source = "".join(line for line in source if isinstance(line, str))
    if not isinstance(source, str):
        notes.append(f"cell {number} is damaged and was left out")
        return None
    if len(source) > MAX_SOURCE:
        notes.append(
            f"cell {number} is longer than {MAX_SOURCE >> 20} MiB and was left out"
        )
        return None
    marks = raw.get("metadata")
    marks = marks.get("nbgrader") if isinstance(marks, dict) else None
    grade_id = marks.get("grade_id") if isinstance(marks, dict) else None
    kind = "code" if raw.get("cell_type") == "code" else "markdown"
    return kind, _clean(source), grade_id if isinstance(grade_id, str) else ""


def _clean(source):
    """Source with plain line ends, without what UTF-8 or Python cannot hold."""
    source = source.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    return source.encode("utf-8", "replace").decode("utf-8")


def _script(text, name):
    """[(cell type, source, "")] of a Python file, cut where an export marks cells."""
    text = _clean(text)
    parts = [part.strip("\n") for part in _PERCENT.split(text) if part.strip()]
    if not name.lower().endswith(SCRIPT) and not any(map(_parsed, parts)):
        raise Rejected(
            "it holds neither a notebook nor Python: hand in the .ipynb file that you "
            "worked in"
        )
    return [("code", part, "") for part in parts if len(part) <= MAX_SOURCE]


# ---- answers ------------------------------------------------------------------------


def _roles(bundle):
    """{grade_id: "answer", "manual" or "course"} of the sheet's cells."""
    kinds = {"solution": "answer", "manual": "manual", "task": "manual"}
    return {cell.grade_id: kinds.get(cell.role, "course") for cell in bundle.cells}


def _line_up(cells, bundle):
    """(steps, notes): the student's cells as answers and as cells of their own."""
    roles, notes, steps = _roles(bundle), [], []
    course = {c.released.strip() for c in bundle.cells if roles[c.grade_id] == "course"}
    tested = [test.grade_id.removeprefix("test_") for test in bundle.tests]
    course |= {sheet_tests.line(name, bundle.assignment) for name in tested}
    for kind, source, grade_id in cells:
        role = roles.get(grade_id)
        if role == "course" or (role is None and source.strip() in course):
            continue  # the course's own cell is used, whatever became of the copy
        if role == "answer" and kind != "code":
            notes.append(f"the answer {grade_id} was a text cell and was run as code")
        if role is None:
            grade_id = ""
        if role == "answer":
            kind = "code"
        steps.append(Step(grade_id, source, kind))
    steps = _found_by_content(steps, bundle, notes)
    _check_answers(steps, bundle, notes)
    return steps, notes


def _check_answers(steps, bundle, notes):
    """Note what comes twice and what is missing; Rejected if no answer is there."""
    roles = _roles(bundle)
    wanted = [key for key, role in roles.items() if role != "course"]
    ids = [step.grade_id for step in steps if step.grade_id]
    for key in dict.fromkeys(key for key in ids if ids.count(key) > 1):
        notes.append(f"the answer {key} is there {ids.count(key)} times; all were run")
    missing = [key for key in wanted if key not in ids]
    if wanted and len(missing) == len(wanted):
        raise Rejected(
            f"none of the answers of {bundle.assignment} is in it: is it the right "
            "notebook?"
        )
    if missing:
        notes.append(f"not found in the notebook: {', '.join(missing)}")


def _found_by_content(steps, bundle, notes):
    """The steps, with ids for cells that lost theirs: by text, then by names defined.

    Google Colab and exports to .py drop the metadata that holds the ids.
    """
    there = {step.grade_id for step in steps}
    lost = [
        cell
        for cell in bundle.cells
        if _roles(bundle)[cell.grade_id] != "course" and cell.grade_id not in there
    ]
    names = {
        cell.grade_id: frozenset(bundle.names.get(cell.grade_id, ())) for cell in lost
    }
    steps = [part for step in steps for part in _split(step, names)]
    found = _match(steps, lost, names)
    for index, cell in found.items():
        kind = "code" if cell.role == "solution" else steps[index].cell_type
        steps[index] = replace(steps[index], grade_id=cell.grade_id, cell_type=kind)
    found = [cell.grade_id for cell in lost if cell in found.values()]
    if found:
        notes.append(
            "these answers had lost their marks (Google Colab drops them) and were "
            f"found by what they define: {', '.join(found)}"
        )
    return steps


def _is_free(step):
    return not step.grade_id and step.cell_type == "code" and bool(step.source.strip())


def _match(steps, lost, names):
    """{index of a step: the lost cell that it is}, the surest finds first."""
    defined = [_defined(s.source) if _is_free(s) else frozenset() for s in steps]
    free = {i for i, s in enumerate(steps) if not s.grade_id and s.source.strip()}

    def all_names(cell, index):
        return names[cell.grade_id] and names[cell.grade_id] <= defined[index]

    def one_name(cell, index):
        return names[cell.grade_id] & defined[index]

    def same_text(cell, index):
        return steps[index].source.strip() == cell.released.strip()

    found = {}
    for fits in (all_names, one_name, same_text):
        for cell in lost:
            if cell not in found.values():
                left = sorted(free - set(found))
                index = next((i for i in left if fits(cell, i)), None)
                found |= {index: cell} if index is not None else {}
    return found


def _split(step, names):
    """A step that holds several lost answers, cut behind each of them."""
    if not _is_free(step):
        return [step]
    defined = _defined(step.source)
    inside = [wanted for wanted in names.values() if wanted and wanted <= defined]
    if len(inside) < 2:
        return [step]
    parts, lines, have = [], [], set()
    for text in _statements(step.source):
        lines.append(text)
        have |= _defined(text)
        complete = [wanted for wanted in inside if wanted <= have]
        if complete:
            inside = [wanted for wanted in inside if wanted not in complete]
            parts.append("".join(lines))
            lines, have = [], set()
    if lines:
        parts.append("".join(lines))
    return [replace(step, source=part.strip("\n")) for part in parts]


def _statements(source):
    """The source in pieces: a top-level statement each, with what is before it."""
    lines = source.splitlines(keepends=True)
    tree = _parsed(source)
    if tree:
        ends = [node.end_lineno for node in tree.body]
    else:  # one mistake should not hide the other answers
        starts = re.compile(r"(?:@|async def |def |class |\w+ *=[^=])")
        ends = [i for i, line in enumerate(lines) if i and starts.match(line)]
        ends = [i for i in ends if not lines[i - 1].startswith("@")]
    ends = sorted({*ends, len(lines)})
    return ["".join(lines[a:b]) for a, b in zip([0, *ends], ends)]


def _parsed(source):
    """The syntax tree of a cell, magics left out; None if it is not Python."""
    if len(source) > MAX_PARSED:
        return None
    plain = re.sub(r"^([ \t]*)[%!].*$", r"\1pass", source, flags=re.MULTILINE)
    try:
        return ast.parse(plain)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _defined(source):
    """Names that a cell defines at its top level, as far as can be told."""
    tree = _parsed(source)
    if tree is None:
        pattern = r"^(?:(?:async )?def|class)[ \t]+(\w+)|^(\w+)[ \t]*=(?!=)"
        found = re.findall(pattern, source, re.MULTILINE)
        return frozenset(name for pair in found for name in pair if name)
    names = set()
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        for target in _targets(node):
            names |= {n.id for n in ast.walk(target) if isinstance(n, ast.Name)}
    return frozenset(names)


def _targets(node):
    if isinstance(node, ast.Assign):
        return node.targets
    return [node.target] if isinstance(node, (ast.AnnAssign, ast.AugAssign)) else []
