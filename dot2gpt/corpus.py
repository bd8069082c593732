"""The textbook of the course: Python's own language reference."""

from functools import cache
from importlib.resources import files


@cache
def textbook():
    """The topics of Python's own `help()`, one after the other.

    Returns a string of 465,126 characters of English with code. Source: the
    `pydoc_data.topics` of CPython 3.11.7; each release of Python has another text, so
    the course brings its own copy.
    """
    path = files("dot2gpt") / "textbook" / "textbook.txt"
    return path.read_text(encoding="utf-8")
