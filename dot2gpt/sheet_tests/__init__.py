"""The tests that learners may see, of every sheet: what `checks.check` runs.

The files beside this one are made from solutions/ by `make sync`, one a chapter. The
test cells of a sheet are one line each, and these are their tests.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
_HEAD = re.compile(r"^# %% (\w+)( \(more is tested when it is handed in\))?\n", re.M)


@dataclass(frozen=True)
class Test:
    """The tests of one answer.

    more: whether there are others, which learners do not have.
    """

    source: str
    more: bool


@cache
def tests(chapter):
    """{name of an answer: its Test} of a chapter; {} if the package has none of it."""
    path = FOLDER / f"{chapter}.py"
    return parsed(path.read_text(encoding="utf-8")) if path.is_file() else {}


def find(name, chapter=None):
    """The Test of an answer; chapter: needed where two chapters have the name.

    Raises ValueError if there is none, or more than one.
    """
    known = [chapter] if chapter else sorted(path.stem for path in FOLDER.glob("*.py"))
    found = {one: tests(one)[name] for one in known if name in tests(one)}
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        raise ValueError(f"{name!r} is in {' and '.join(found)}: say in which")
    place = f" in {chapter}" if chapter else ""
    raise ValueError(f"there are no tests of {name!r}{place}: is dot2gpt up to date?")


def line(name, chapter):
    """What stands in the sheet in place of the tests of an answer."""
    return f'checks.check("{name}", "{chapter}")'


def written(tests):
    """The text of a chapter's file."""
    parts = ["# Made from solutions/ by `make sync`: do not edit.\n"]
    for name, test in tests.items():
        more = " (more is tested when it is handed in)" if test.more else ""
        parts.append(f"# %% {name}{more}\n{test.source}\n")
    return "\n".join(parts)


def parsed(text):
    """{name: Test} of the text that `written` makes."""
    _, *parts = _HEAD.split(text)
    names, more, sources = parts[::3], parts[1::3], parts[2::3]
    return {
        name: Test(source.strip("\n"), bool(others))
        for name, others, source in zip(names, more, sources)
    }
