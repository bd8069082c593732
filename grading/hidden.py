"""What learners are told of hidden tests: their names, and the mistake, no values."""

import ast
import re
import traceback
from collections import Counter
from dataclasses import dataclass

from dot2gpt import checks
from grading.boundary import BoundaryError

FILE = "<test>"  # what tracebacks call a test cell
LABEL = "hidden test"
NOTHING = "wrong, for an input that is not shown"
_DIFFERENCE = re.compile(r"(: )?\bgot [^ ]+( at \([^)]*\))?, expected [^ ]+$")
_KIND = re.compile(r"(?<=expected numbers), got \w+$")  # a class that learners name
_VALUES = re.compile(
    r"\([^()]*\d[^()]*\)|\[[^\[\]]*\]|'[^']*'|\"[^\"]*\""
    r"|(?<![A-Za-z_])[-+]?\d[\d.]*(?:e[-+]?\d+)?"
)


@dataclass(frozen=True)
class Table:
    """What one Checks has shown: (what, passed, hint) and the error, of each row."""

    title: str
    rows: tuple
    errors: tuple

    @classmethod
    def of(cls, table):
        return cls(table.title, tuple(table.rows), tuple(getattr(table, "errors", ())))

    def checks(self):
        """A Checks with these rows."""
        made = checks.Checks(self.title)
        made.rows = list(self.rows)
        return made

    def failure(self):
        """The CheckFailed of these rows; None if all pass."""
        display, checks._display = checks._display, lambda table: None
        try:
            self.checks().report()
        except checks.CheckFailed as failed:
            return failed
        finally:
            checks._display = display


def without_hidden(cell, tables, released, error):
    """(tables, error) of a test cell that failed, without what is to stay hidden.

    released: the tables of the same cell as learners have it, with the same answers;
        None if it could not be run.
    """
    if released is None:  # then only what is named in it as it stands
        seen = Counter(dict.fromkeys(constants(cell.released), 1 << 30))
    else:
        seen = Counter(row[0] for table in released for row in table.rows)
    words = constants(cell.source)
    told = []
    for table in tables:
        rows = [
            row if _take(seen, row[0]) else _hide(row, cause, words)
            for row, cause in zip(table.rows, table.errors)
        ]
        told.append(Table(table.title, tuple(rows), table.errors))
    failures = list(filter(None, (table.failure() for table in told)))
    if failures and isinstance(error, checks.CheckFailed):
        return told, failures[-1]
    return told, _hidden_error(cell, error)


def _take(seen, what):
    """Whether a row of that name is left among those that learners see."""
    seen[what] -= 1
    return seen[what] >= 0


def _hide(row, error, words):
    what, passed, hint = row
    return f"{LABEL}: {what}", passed, "" if passed else hidden_hint(hint, error, words)


def hidden_hint(hint, error, words):
    """What a failed hidden check may say: the author's words, without values.

    words: the constant texts of the test cell.
    """
    if hint in words or hint == checks.NOT_WRITTEN or isinstance(error, BoundaryError):
        return hint
    if not isinstance(error, checks.Wrong):
        return f"{_standard_name(error)}, for an input that is not shown"
    if hasattr(error, "_boundary_number"):
        # The learner's own code may have written this: it could hold what it was shown.
        refusals = {str(checks.Forbidden(word)) for word in words}
        return hint if hint in refusals else NOTHING
    return _scrubbed(hint, words).strip(" :") or NOTHING


def _standard_name(error):
    """The name of Python's own class of an error: others the learner may have named."""
    kinds = type(error).__mro__
    return next(kind.__name__ for kind in kinds if kind.__module__ == "builtins")


def _scrubbed(hint, words):
    """A text without numbers and quotations, except in the author's own words."""
    hint = _DIFFERENCE.sub("", _KIND.sub("", hint))
    parts, place = [], 0
    own = sorted((w for w in words if len(w) > 3 and w in hint), key=len, reverse=True)
    pattern = "|".join(map(re.escape, own)) or "(?!)"
    for match in re.finditer(pattern, hint):
        parts += [_VALUES.sub("…", hint[place : match.start()]), match.group()]
        place = match.end()
    parts.append(_VALUES.sub("…", hint[place:]))
    return "".join(parts)


def constants(source):
    """The texts that stand in a piece of Python, whole and as parts of f-strings."""
    nodes = ast.walk(ast.parse(source))
    return {
        n.value for n in nodes if isinstance(n, ast.Constant) and type(n.value) is str
    }


def _hidden_error(cell, error):
    """An error that a test cell ended with, unless it arose in its hidden part."""
    lines = cell.source.splitlines()
    frames = traceback.extract_tb(error.__traceback__)
    numbers = [frame.lineno for frame in frames if frame.filename == FILE]
    if numbers and _is_hidden(lines, numbers[0]):
        return checks.Wrong(f"a {LABEL} fails")
    return error


def _is_hidden(lines, number):
    """Whether a line stands between the marks of hidden tests."""
    inside = False
    for line in lines[:number]:
        if "### BEGIN HIDDEN TESTS" in line:
            inside = True
        if "### END HIDDEN TESTS" in line:
            inside = False
    return inside
