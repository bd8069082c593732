"""Reads a sheet that somebody worked in, without trusting it, and finds the answers.

`dot2gpt check` and grading read with it, so they agree on what can be read and on what
an answer is. It runs nothing. It drops the learner's copies of the course's own cells,
gives each answer its id where the metadata was lost, and says in plain sentences what
it had to repair. What cannot be read at all raises `Rejected`, with a sentence, too.
"""

import ast
import errno
import json
import os
import re
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from dot2gpt import sheet_tests

MAX_FILE = 100 << 20  # bytes
MAX_CELLS = 5000
MAX_SOURCE = 1 << 20  # characters of one cell
MAX_PARSED = 200_000  # characters; a longer cell is searched for names as text
MAX_DEPTH = 60
MAX_ITEMS = 5_000_000  # values in the JSON; each takes memory once it is read
MAX_REPAIRS = 4  # times that a damaged file is gone through
NOTEBOOK = (".ipynb",)
SCRIPT = (".py",)
_TOKENS = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\Z)|[\[\]{},]', re.DOTALL)
_CELL = re.compile(
    r'\{\s*"(?:attachments|cell_type|collapsed|execution_count|id|input|level'
    r'|metadata|outputs|source)"'
)
_PERCENT = re.compile(r"^#[ \t]*(?:%%|In ?\[[ \d]*\]:?).*\n?", re.MULTILINE)


class Rejected(Exception):
    """A file cannot be read, or holds no answer; the text says why to the learner."""


@dataclass(frozen=True)
class Cell:
    """One cell of a file.

    raw: as the file has it; {} for one of a script.
    """

    cell_type: str  # "code" or "markdown"
    source: str
    grade_id: str = ""  # as the file has it
    raw: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Course:
    """What an assignment asks for: {grade_id: …} of the cells that nbgrader knows.

    roles: "answer", "manual" (a person judges it) or "course". released: what was
    handed out. names: those that an answer has to define.
    """

    assignment: str
    roles: dict[str, str]
    released: dict[str, str]
    names: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Step:
    """One cell of the student's to run, in the student's order.

    grade_id: the answer cell of the sheet that it is, "" for a cell of the student's
        own. An id may come twice (a split cell): both run, the test after the last.
    """

    grade_id: str
    source: str
    cell_type: str  # "code" or "markdown"


def shown(name):
    """A file name that a student chose, short, on one line and free of control codes.

    Backquotes go, too, so that it stays text wherever it is shown.
    """
    text = "".join(c if c.isprintable() and c not in "`<>&" else "?" for c in name)
    return repr(text if len(text) <= 80 else f"{text[:60]}…{text[-16:]}")


# ---- files --------------------------------------------------------------------------


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


def cells(path, name=None, max_file=MAX_FILE):
    """(the Cells of a file, sentences on what was repaired in it).

    name: what to call the file, if not by its path.

    Raises Rejected if it is neither a notebook nor a script, or damaged as a whole.
    """
    text, notes = _decoded(read_bytes(path, max_file))
    name = name or os.path.basename(path)
    if text.lstrip().startswith(("{", "[")):
        found, said = _notebook(text)
    else:
        found, said = (
            _script(text, name),
            [f"{shown(name)} was read as a Python script"],
        )
    if not found:
        raise Rejected("the notebook has no cells")
    return found, [*notes, *said]


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
        return raw.decode("utf-8").lstrip("\ufeff"), []  # some programs add a second
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


def _notebook(text):
    """The Cells of a notebook, and notes on what was repaired."""
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
    found = [_cell(number, one, notes) for number, one in enumerate(raw, 1)]
    return [cell for cell in found if cell], notes


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
    """The Cell of one of a notebook's; None if it is none."""
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
    grade_id = marks_of(raw).get("grade_id")
    return Cell(
        "code" if raw.get("cell_type") == "code" else "markdown",
        _clean(source),
        grade_id if isinstance(grade_id, str) else "",
        raw,
    )


def marks_of(raw):
    """nbgrader's metadata of a cell as a file has it; {} if there are none."""
    metadata = raw.get("metadata")
    marks = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    return marks if isinstance(marks, dict) else {}


def _clean(source):
    """Source with plain line ends, without what UTF-8 or Python cannot hold."""
    source = source.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    return source.encode("utf-8", "replace").decode("utf-8")


def _script(text, name):
    """The Cells of a Python file, cut where an export marks cells."""
    text = _clean(text)
    parts = [part.strip("\n") for part in _PERCENT.split(text) if part.strip()]
    if not name.lower().endswith(SCRIPT) and not any(map(_parsed, parts)):
        raise Rejected(
            "it holds neither a notebook nor Python: hand in the .ipynb file that you "
            "worked in"
        )
    return [Cell("code", part) for part in parts if len(part) <= MAX_SOURCE]


# ---- answers ------------------------------------------------------------------------


def line_up(cells, course):
    """(Steps, sentences on what was odd): the answers, and cells of the learner's own.

    Raises Rejected if none of the answers is there.
    """
    roles, notes, steps = course.roles, [], []
    own = {course.released[key].strip() for key in roles if roles[key] == "course"}
    tested = [key.removeprefix("test_") for key in roles if key.startswith("test_")]
    own |= {sheet_tests.line(name, course.assignment) for name in tested}
    for cell in cells:
        kind, grade_id, role = cell.cell_type, cell.grade_id, roles.get(cell.grade_id)
        if role == "course" or (role is None and cell.source.strip() in own):
            continue  # the course's own cell is used, whatever became of the copy
        if role == "answer" and kind != "code":
            notes.append(f"the answer {grade_id} was a text cell and was run as code")
            kind = "code"
        steps.append(Step(grade_id if role else "", cell.source, kind))
    steps = _found_by_content(steps, course, notes)
    _check_answers(steps, course, notes)
    return steps, notes


def _check_answers(steps, course, notes):
    """Note what comes twice and what is missing; Rejected if no answer is there."""
    wanted = [key for key, role in course.roles.items() if role != "course"]
    ids = [step.grade_id for step in steps if step.grade_id]
    for key in dict.fromkeys(key for key in ids if ids.count(key) > 1):
        notes.append(f"the answer {key} is there {ids.count(key)} times; all were run")
    missing = [key for key in wanted if key not in ids]
    if wanted and len(missing) == len(wanted):
        raise Rejected(
            f"none of the answers of {course.assignment} is in it: is it the right "
            "notebook?"
        )
    if missing:
        notes.append(f"not found in the notebook: {', '.join(missing)}")


def _found_by_content(steps, course, notes):
    """The steps, with ids for cells that lost theirs: by text, then by names defined.

    Google Colab and exports to .py drop the metadata that holds the ids.
    """
    there = {step.grade_id for step in steps}
    names = {
        key: frozenset(course.names.get(key, ()))
        for key, role in course.roles.items()
        if role != "course" and key not in there
    }
    steps = [part for step in steps for part in _split(step, names)]
    found = _match(steps, names, course.released)
    for index, key in found.items():
        kind = "code" if course.roles[key] == "answer" else steps[index].cell_type
        steps[index] = replace(steps[index], grade_id=key, cell_type=kind)
    if found:
        notes.append(
            "these answers had lost their marks (Google Colab drops them) and were "
            "found by what they define: "
            + ", ".join(key for key in names if key in found.values())
        )
    return steps


def _is_free(step):
    return not step.grade_id and step.cell_type == "code" and bool(step.source.strip())


def _match(steps, names, released):
    """{index of a step: grade_id of the lost answer in it}, the surest finds first."""
    given = [set(defined(s.source)) if _is_free(s) else set() for s in steps]
    free = {i for i, s in enumerate(steps) if not s.grade_id and s.source.strip()}

    def all_names(key, index):
        return names[key] and names[key] <= given[index]

    def one_name(key, index):
        return names[key] & given[index]

    def same_text(key, index):
        return steps[index].source.strip() == released[key].strip()

    found = {}
    for fits in (all_names, one_name, same_text):
        for key in names:
            if key not in found.values():
                left = sorted(free - set(found))
                index = next((i for i in left if fits(key, i)), None)
                found |= {index: key} if index is not None else {}
    return found


def _split(step, names):
    """A step that holds several lost answers, cut behind each of them."""
    if not _is_free(step):
        return [step]
    given = set(defined(step.source))
    inside = [wanted for wanted in names.values() if wanted and wanted <= given]
    if len(inside) < 2:
        return [step]
    parts, lines, have = [], [], set()
    for text in _statements(step.source):
        lines.append(text)
        have |= set(defined(text))
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
    # Not splitlines: for Python a page's end, say, ends no line.
    lines = re.findall(r".*\n|.+", source)
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


def defined(source):
    """Names that a cell defines at its top level, in order, as far as can be told."""
    tree = _parsed(source)
    if tree is None:
        pattern = r"^(?:(?:async )?def|class)[ \t]+(\w+)|^(\w+)[ \t]*=(?!=)"
        pairs = re.findall(pattern, source, re.MULTILINE)
        return tuple(dict.fromkeys(name for pair in pairs for name in pair if name))
    names = []
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.append(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            found = [n for n in ast.walk(node) if isinstance(n, ast.Name)]
            names += [n.id for n in found if isinstance(n.ctx, ast.Store)]
    return tuple(dict.fromkeys(names))
