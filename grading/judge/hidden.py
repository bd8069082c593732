"""What learners are told of hidden tests: their names, and the mistake, no values.

An answer that a hidden test has asked may say what it was asked in all that it returns
and raises from then on, and in how it fails. So nothing is told of that, but for the
mistakes that the author has named.
"""

import ast
from collections import defaultdict
from dataclasses import dataclass

from dot2gpt import checks

LABEL = "hidden test"
NOTHING = "wrong, for an input that is not shown"
UNTIL = "right, until hidden tests were run"
# What learners are told of a row.
SHOWN = "shown"  # all
QUIET = "quiet"  # no values: a hidden test has asked before
HIDDEN = "hidden"  # no values: it is a hidden test's


@dataclass(frozen=True)
class Row:
    """A row of a table of checks, the error behind it, and what is told of it."""

    what: str
    passed: bool
    hint: str
    error: Exception | None
    stage: str

    def told(self, words, first, label):
        """(what, passed, hint) for the learner.

        words: what the author wrote. label: what a hidden test's name begins with.
        first: the row of that name that was judged before hidden tests; or None.
        """
        what, row = self.what, self
        if first and not self.passed:
            if first.passed:
                return what, False, UNTIL
            row = first
        elif self.stage == HIDDEN and not first:
            what = label + what
        if self.passed or row.stage == SHOWN:
            return what, self.passed, row.hint
        return what, False, hint(row.hint, row.error, words)


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

    def checks(self, words, first, label):
        """A Checks with what is told of the rows; see `Row.told`."""
        made = checks.Checks(self.title)
        for row in self.rows:
            before = first[row.what].pop(0) if first[row.what] else None
            made.rows.append(row.told(words, before, label))
        return made


def told(tables, error, stage, words, first=()):
    """(a Checks for each table, the error) of a test cell, as learners may read them.

    stage: when the error arose. words: what the author wrote. first: tables that the
    same cell has shown as learners have it, with the same answers.
    """
    before = defaultdict(list)
    for row in (row for table in first for row in table.rows):
        before[row.what].append(row)
    label = f"{LABEL}: " if error else ""
    shown = [table.checks(words, before, label) for table in tables]
    if error is None or stage == SHOWN:
        return shown, error
    failures = list(filter(None, map(failure, shown)))
    if failures and isinstance(error, checks.CheckFailed):
        return shown, failures[-1]
    if stage == QUIET:
        return shown, checks.Wrong(hint(str(error), error, words))
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


def constants(*sources):
    """The texts that stand in pieces of Python, whole, and what is before a colon.

    Parts of f-strings are such texts, too.
    """
    nodes = [node for source in sources for node in ast.walk(ast.parse(source))]
    whole = [n.value for n in nodes if isinstance(n, ast.Constant)]
    texts = {text for text in whole if type(text) is str}
    return texts | {text.partition(": ")[0] for text in texts}


def hint(said, error, words):
    """What a check that failed with `error` may say: nothing that an answer chose.

    said: what it says of its own. words: what the author wrote.
    """
    if hasattr(error, "_boundary_number"):  # raised by the answer, as it liked
        return NOTHING
    if said.startswith(checks.NOT_WRITTEN) or isinstance(error, checks.Overwritten):
        return said
    told = [_authors(mistake, words) for mistake in said.split(checks.OR)]
    return checks.OR.join(told) if all(told) else NOTHING


def _authors(text, words):
    """The longest of `words` that a text is, has before a colon, or ends with, or "".

    What is left out are values.
    """
    if text in words:
        return text
    ends = not text.startswith(checks.MESSAGE)  # the learner's own stands there
    found = [
        word.strip(" :,.")
        for word in words
        if text.startswith(f"{word}: ") or (ends and text.endswith(word))
    ]
    longest = max(found, key=_letters, default="")
    return longest if _letters(longest) > 3 else ""


def _letters(text):
    return sum(map(str.isalpha, text))
