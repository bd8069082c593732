"""Answers to the sheet of chapter 22."""

from tests.answers import right, wrong

ANSWERS = {
    f"add_{n}": [
        wrong("taken off", "taken off", f"def add_{n}(x):\n    return x - {n}"),
        right("the other way round", f"def add_{n}(x):\n    return {n} + x"),
    ]
    for n in (1, 2, 3)
}
