"""What a hostile submission is."""

import json
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.hostile import sheet


@dataclass(frozen=True)
class Case:
    """One hostile submission: the right answers, and what it does besides.

    family: forgery, theft, tampering, denial, network or broken.
    wins: what is seen where there is no defence; a name in `naive.WINS`.
    answers: {grade_id: source} in place of right ones.
    first, last: sources of cells of its own, before and after all others.
    write: writes the submission itself: write(folder, world, notebook).
    lost: exercises that do not deserve their points.
    says: words of a note or a reason of the result. shows: of its notebook.
    secrets: what must not be in the result, besides those of the world.
    as_it_is: without defence, the file is run as it is, its own test cells included.

    The cells know ROOT (the course's folder), OWN (the submission's), HOME (the
    grader's), PORT and SOCKET (where somebody listens), PID (a process of the
    grader's) and MARK (a word of this run).
    """

    name: str
    family: str
    wins: str
    answers: dict = field(default_factory=dict)
    first: tuple = ()
    last: tuple = ()
    write: Callable | None = None
    lost: tuple = ()
    says: str = ""
    shows: str = ""
    secrets: tuple = ()
    as_it_is: bool = False

    def __str__(self):
        return f"{self.family}: {self.name}"

    @property
    def deserved(self):
        """{grade_id of a test: points}."""
        points = sheet.POINTS.items()
        return {f"test_{n}": 0.0 if n in self.lost else p for n, p in points}

    def sources(self, facts):
        """The code that is run, in order."""
        answers = {**sheet.RIGHT, **self.answers}
        return [*self._first(facts), *(answers[n] for n in sheet.POINTS), *self.last]

    def hand_in(self, folder, world, facts):
        """Write the submission into a folder, which is made."""
        folder.mkdir(parents=True)
        made = sheet.notebook(self.answers, self._first(facts), self.last)
        if self.write:
            self.write(folder, world, made)
        else:
            (folder / sheet.NAME).write_text(json.dumps(made))

    def _first(self, facts):
        known = "; ".join(f"{name} = {value!r}" for name, value in facts.items())
        return [known, *self.first]


def collector(family):
    """(list, function that makes a Case of that family and adds it).

    Sources may be indented; one that stands for several cells is a tuple.
    """
    cases = []

    def add(name, wins, first=(), last=(), answers=None, **others):
        first, last = (((x,) if isinstance(x, str) else x) for x in (first, last))
        answers = {key: _plain(code) for key, code in (answers or {}).items()}
        first, last = tuple(map(_plain, first)), tuple(map(_plain, last))
        cases.append(Case(name, family, wins, answers, first, last, **others))

    return cases, add


def _plain(source):
    return textwrap.dedent(source).strip()
