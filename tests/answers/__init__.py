"""Wrong and right answers to every exercise: the tests of the tests.

A module `tests/answers/NN_topic.py` holds `ANSWERS`, which maps the grade_id of a
solution cell to a list of `wrong(...)` and `right(...)` answers, each the whole source
of that cell. Its `EQUIVALENT` maps a grade_id to {the line as a mutant has it: why this
is no mistake}, where … stands for any text and a line left out is "without …";
`python -m tools.mutants` makes the mutants and shows their lines.
"""

import importlib.util
import textwrap
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """A way to fill one solution cell, and what the grader must make of it."""

    name: str  # the misconception, or what is different about this right answer
    code: str
    says: (
        tuple[str, ...] | None
    )  # words the feedback must contain; None: a right answer


def wrong(name, says, code):
    """An answer that must lose its points; `says`: what the feedback contains."""
    says = (says,) if isinstance(says, str) else tuple(says)
    return Answer(name, textwrap.dedent(code).strip(), says)


def right(name, code):
    """An answer that must get full marks."""
    return Answer(name, textwrap.dedent(code).strip(), None)


def load(path):
    """The ANSWERS of one file."""
    return _module(path).ANSWERS


def load_equivalent(path):
    """The EQUIVALENT mutants of one file, {grade_id: {changed line: reason}}, or None."""
    return getattr(_module(path), "EQUIVALENT", None) if path.exists() else None


def _module(path):
    # Their names begin with a digit, so `import` cannot.
    spec = importlib.util.spec_from_file_location(f"answers_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
