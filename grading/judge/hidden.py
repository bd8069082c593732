"""What learners are told of hidden tests: their names, and the mistake, no values.

An answer that a hidden test has asked may say what it was asked in all that it returns
and raises from then on. Of that, only texts that the author wrote are told.
"""

import ast
import re
from collections import defaultdict
from dataclasses import dataclass

from dot2gpt import checks
from grading.boundary.peer import BoundaryError
from grading.judge.phases import constants

LABEL = "hidden test"
NOTHING = "wrong, for an input that is not shown"
UNREAD = "what your code returned can't be read"
# What learners are told of a row.
SHOWN = "shown"  # all
QUIET = "quiet"  # no values: a hidden test has asked before
HIDDEN = "hidden"  # no values: it is a hidden test's
MOST = 2000  # characters of a text that is looked at
# What dot2gpt.checks says of values, and what is told of it.
_PROBLEMS = {
    r"got [^ ]+(?: at \([^)]*\))?, expected [^ ]+": "",
    r"its shape is \(.*\), expected \(.*\)": "its shape is …, expected …",
    r"they differ by [^ ]+(?: at \([^)]*\))?: was something computed in float32\?": (
        "was something computed in float32?"
    ),
    r"\d+ of \d+ numbers are NaN": "… of … numbers are NaN",
    r"expected numbers, got \w+": "expected numbers",
    r"the message should contain .*": "the message should contain other words",
    r"it is None: is a `return` missing\?": "it is None: is a `return` missing?",
    r"no \w+ was raised": "no error was raised",
}
_PROBLEM = [
    (re.compile(rf"(?:(?P<hint>.*): )?{problem}", re.DOTALL), told)
    for problem, told in _PROBLEMS.items()
]


@dataclass(frozen=True)
class Row:
    """A row of a table of checks, the error behind it, and what is told of it."""

    what: str
    passed: bool
    hint: str
    error: Exception | None
    stage: str

    def told(self, texts, first, label):
        """(what, passed, hint) for the learner.

        first: the row of that name that was judged before hidden tests; or None.
        label: what a hidden test's name begins with.
        """
        what, row = self.what, self
        if first and not self.passed:
            both = not first.passed
            row = first if both else Row(what, False, self.hint, self.error, QUIET)
        elif self.stage == HIDDEN and not first:
            what = label + what
        if self.passed or row.stage == SHOWN:
            return what, self.passed, row.hint
        return what, False, texts.hint(row.hint, row.error)


@dataclass(frozen=True)
class Table:
    """What one Checks has shown: its Rows."""

    title: str
    rows: tuple

    @classmethod
    def of(cls, table):
        """A Table of a Checks that `Judge` has watched."""
        behind = zip(table.rows, table.errors, getattr(table, "stages", ()))
        return cls(table.title, tuple(Row(*row, *more) for row, *more in behind))

    def checks(self, texts, first, label):
        """A Checks with what is told of the rows; see `Row.told`."""
        made = checks.Checks(self.title)
        for row in self.rows:
            before = first[row.what].pop(0) if first[row.what] else None
            made.rows.append(row.told(texts, before, label))
        return made


def told(tables, error, stage, texts, first=()):
    """(a Checks for each table, the error) of a test cell, as learners may read them.

    stage: when the error arose. texts: the author's. first: tables that the same cell
    has shown as learners have it, with the same answers.
    """
    before = defaultdict(list)
    for row in (row for table in first for row in table.rows):
        before[row.what].append(row)
    label = f"{LABEL}: " if error else ""
    shown = [table.checks(texts, before, label) for table in tables]
    if error is None or stage == SHOWN:
        return shown, error
    failures = list(filter(None, map(failure, shown)))
    if failures and isinstance(error, checks.CheckFailed):
        return shown, failures[-1]
    if stage == QUIET or isinstance(error, BoundaryError):
        return shown, checks.Wrong(texts.hint(str(error), error))
    return shown, checks.Wrong(f"a {LABEL} fails")


def failure(table):
    """The CheckFailed that a Checks ends with; None if all its rows pass."""
    display, checks._display = checks._display, lambda table: None
    try:
        table.report()
    except checks.CheckFailed as failed:
        return failed
    finally:
        checks._display = display


class Texts:
    """What the author wrote into pieces of Python, and what may be told of a hint."""

    def __init__(self, *sources):
        trees = [ast.parse(source) for source in sources]
        self.words = constants(*trees)
        nodes = [node for tree in trees for node in ast.walk(tree)]
        forms = {_form(node) for node in nodes if isinstance(node, ast.JoinedStr)}
        long = [word for word in self.words if len(word) > 3]
        forms |= {form for word in long for form in [("", word), (word, "")]}  # sums
        self.forms = sorted(form for form in forms if len(form) > 1)

    def hint(self, hint, error):
        """What a check that failed with `error` may say: nothing that an answer made.

        hint: what it says of its own.
        """
        if isinstance(error, BoundaryError):
            return UNREAD if hint.startswith(UNREAD) else hint
        if hint in self.words or hint == checks.NOT_WRITTEN:
            return hint
        if isinstance(error, checks.Overwritten):
            return hint
        if not isinstance(error, checks.Wrong):
            return f"{_standard_name(error)}, for an input that is not shown"
        if hasattr(error, "_boundary_number"):  # raised by the answer
            names = self.words.union(*checks.KINDS.values())
            refusals = {str(checks.Forbidden(name)) for name in names}
            return hint if hint in refusals else NOTHING
        return self._known(hint) or NOTHING

    def _known(self, hint):
        if len(hint) > MOST:
            return ""
        for pattern, told in _PROBLEM:
            if found := pattern.fullmatch(hint):
                parts = self._authors(found["hint"] or ""), told
                return ": ".join(filter(None, parts))
        return self._authors(hint)

    def _authors(self, text):
        """A text of the author's, with "…" for values in it; "" if it is not one."""
        if text in self.words:
            return text
        fitting = (_filled(form, text, self.words) for form in self.forms)
        return max(filter(_letters, fitting), key=_letters, default="")


def _form(node):
    """The constant parts of an f-string, before, between and after its values."""
    parts = [""]
    for value in node.values:
        if isinstance(value, ast.Constant):
            parts[-1] += value.value
        else:
            parts.append("")
    return tuple(parts)


def _filled(form, text, words):
    """`text` with "…" for values, if the f-string may have made it; else None.

    A value that the author has written stays.
    """
    first, *middle, last = form
    if not (text.startswith(first) and text.endswith(last)):
        return None
    place, end, told = len(first), len(text) - len(last), [first]
    for part in (*middle, None):
        found = end if part is None else text.find(part, place, end)
        if found < place:
            return None
        value = text[place:found]
        told.append(value if len(value) > 3 and value in words else "…")
        told.append(part or "")
        place = found + len(part or "")
    return "".join([*told, last]).strip(" :")


def _letters(text):
    return sum(map(str.isalpha, text or ""))


def _standard_name(error):
    """The name of Python's own class of an error: others the learner may have named."""
    kinds = type(error).__mro__
    return next(kind.__name__ for kind in kinds if kind.__module__ == "builtins")
