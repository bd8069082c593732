"""A plug-in for nbval: a stored output holds on another processor too.

    python -m pytest -p tests.printed_numbers --nbval chapters

Processors add in different orders, so the last printed digit of a number may differ.
Words and whole numbers must be equal; a number with decimals may be two units of its
last printed digit away. How wide a column is padded does not count.
"""

import re
from decimal import Decimal

NUMBER = re.compile(r"(?<![\w.])-?\d+\.(\d+)(?:e[+-]?\d+)?(?!\.?\w)")
UNITS = 2


class Printed(str):
    """A printed text that equals another one up to the last digits of its numbers."""

    def __eq__(self, other):
        if str(self) == str(other):
            return True
        return _words(self) == _words(other) and all(
            map(_near, *map(_numbers, (self, other)))
        )

    def __ne__(self, other):
        return not self == other

    __hash__ = str.__hash__


def _words(text):
    """What stands between the numbers, and the count of each number's decimals."""
    words = [re.sub(" +", " ", part).strip(" ") for part in NUMBER.split(text)]
    words[1::2] = map(len, words[1::2])
    return words


def _numbers(text):
    return [Decimal(found[0]) for found in NUMBER.finditer(text)]


def _near(a, b):
    unit = Decimal(1).scaleb(max(a.as_tuple().exponent, b.as_tuple().exponent))
    return abs(a - b) <= UNITS * unit


def pytest_configure(config):
    from nbval.plugin import IPyNbCell

    before = IPyNbCell.sanitize

    def sanitize(self, text):
        text = before(self, text)
        return Printed(text) if isinstance(text, str) else text

    IPyNbCell.sanitize = sanitize
