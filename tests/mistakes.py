"""Finds out whether what a sheet's tests call a mistake is one.

Within `recorded`, whatever runs a sheet with its solutions notes the `mistakes` of each
row of `Checks.close`, over all its cases: whatever a test cell gives the same ones.
`untrue` tells what is wrong with them.
"""

import itertools
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from dot2gpt import checks

_rows = {}  # (title of the checks, its mistakes) -> Row


@dataclass
class Row:
    """What holds in all cases so far."""

    right: set  # mistakes that give the right value
    alike: set  # pairs that give one value
    nan: set  # or, in one case: NaN where none is asked and the words tell of none


@contextmanager
def recorded():
    """Forget what is known, and note what is called inside."""
    close = checks.Checks.close

    def noted(self, what, got, want, *, mistakes=None, hint="", atol=1e-6):
        if mistakes:
            case = _seen(mistakes, want, atol)
            row = _rows.setdefault((self.title, *mistakes), case)
            row.right &= case.right
            row.alike &= case.alike
            row.nan |= case.nan
        return close(self, what, got, want, mistakes=mistakes, hint=hint, atol=atol)

    _rows.clear()
    checks.Checks.close = noted
    try:
        yield
    finally:
        checks.Checks.close = close


def untrue():
    """A line for each mistake that cannot be made and each pair that is one."""
    found = []
    for (title, *_), row in _rows.items():
        found += [f"{title}: never wrong: {m!r}" for m in sorted(row.right)]
        found += [f"{title}: any NaN is called {m!r}" for m in sorted(row.nan)]
        found += [
            f"{title}: always the same: {a!r} and {b!r}"
            for a, b in sorted(row.alike)
            if not {a, b} & row.right
        ]
    return found


def _seen(mistakes, want, atol):
    """The Row of one case."""
    want = checks._array(checks._value(want))
    values = {m: _or(checks._value(wrong), want) for m, wrong in mistakes.items()}

    def same(one, other):
        return checks._difference(one, other, atol) is None

    return Row(
        {m for m, value in values.items() if same(value, want)},
        {
            (a, b)
            for a, b in itertools.combinations(values, 2)
            if same(values[a], values[b])
        },
        {m for m, value in values.items() if "NaN" not in m and _nans(value, want)},
    )


def _or(wrong, want):
    return want if wrong is None else checks._array(wrong)


def _nans(value, want):
    return bool(np.isnan(value).any() and not np.isnan(want).any())
