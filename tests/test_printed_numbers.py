"""What nbval forgives: the last digits of numbers, and nothing else."""

import subprocess
import sys

import pytest

from tests.printed_numbers import Printed
from tests.stored import notebook, says
from tools.tree import ROOT

SAME = [
    ("loss 0.44493", "loss 0.44494"),
    ("21.1772 ± 0.30", "21.1774 ± 0.29"),
    ("gap 9.99e-07", "gap 1.00e-06"),
    ("| 9.99 |", "|10.01 |"),
    ("-0.00 0.50", " 0.00 0.50"),
    ("tensor([[0.1000, 0.2000]])", "tensor([[0.1001, 0.1999]])"),
]
DIFFERENT = [
    ("loss 0.44493", "loss 0.44496"),  # three units
    ("loss 0.5", "rate 0.5"),  # a word
    ("103 letters", "104 letters"),  # a whole number
    ("step 10: 0.5", "step 11: 0.5"),
    ("0.5 0.5", "0.5"),
    ("0.5", "0.50"),  # another format
    ("tensor([1., 1.])", "tensor([1.0000, 1.0000])"),
    ("1.2.3", "1.2.4"),  # a version
    ("gap 1.00e-06", "gap 1.00e-05"),
    ("inf 0.5", "nan 0.5"),
    ("0.5\n0.5", "0.5 0.5"),
]


@pytest.mark.parametrize("a, b", SAME)
def test_last_digits_may_differ(a, b):
    assert Printed(a) == Printed(b) and not Printed(a) != Printed(b)


@pytest.mark.parametrize("a, b", DIFFERENT)
def test_all_else_must_be_equal(a, b):
    assert Printed(a) != Printed(b) and not Printed(a) == Printed(b)


def test_nbval_compares_by_it(tmp_path):
    source = "print(f'{0.5:.4f} of 3')"
    outputs = says("0.5001 of 3"), says("0.5003 of 3")
    notebook(tmp_path / "a.ipynb", *((source, output) for output in outputs))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.printed_numbers"]
    command += ["--nbval", "-c", ROOT / "pyproject.toml", tmp_path / "a.ipynb"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
    assert "1 failed, 1 passed" in said and "Cell 1" in said, said
