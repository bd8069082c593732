"""Notebooks as other processors run them: what differs is listed, what passed rests."""

import subprocess
import sys

from tests.stored import notebook, says
from tools import machines
from tools.processors import EXECUTES, PROCESSORS, SURVEYED, environment
from tools.tree import ROOT

CODE = "open('ran', 'a').write('x')\nimport os\nprint('loss 0.1234', os.getenv('{}'))"


def asks(path, stored):
    """A notebook of one cell, which notes that it ran and says which ISA it has."""
    return notebook(path, (CODE.format("ATEN_CPU_CAPABILITY"), says(stored)))


def test_what_differs_is_listed_and_what_passed_is_not_run_again(tmp_path, monkeypatch):
    monkeypatch.setattr(machines, "KINDS", [("old", 1)])
    good = asks(tmp_path / "good.ipynb", "loss 0.1235 default")
    bad = asks(tmp_path / "bad.ipynb", "loss 0.1235 avx2")
    found = machines.survey([good, bad], 1, tmp_path)
    assert found == {("old", 1): ["bad.ipynb, Cell 0"]}
    assert (tmp_path / "ran").read_text() == "xx"
    assert machines.survey([good], 1, tmp_path) == {}
    assert (tmp_path / "ran").read_text() == "xx", "what passed was run again"
    monkeypatch.setattr(machines, "cells_run", lambda paths, *_: [(good, "Cell 0", 0)])
    asks(good, "loss 0.1236 default")
    assert machines.survey([good], 1, tmp_path), "what changed was not run again"


def test_a_command_runs_as_another_processor():
    asked = "import torch; print(torch.backends.cpu.get_cpu_capability())"
    command = [sys.executable, "-m", "tools.machines", "--as", "old", "--"]
    command += [sys.executable, "-c", asked]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "DEFAULT", done.stderr


def test_processors_differ_from_each_other_and_from_the_one_that_executes():
    kinds = [tuple(sorted(PROCESSORS[name].items())) for name in PROCESSORS]
    assert len(set(kinds)) == len(PROCESSORS) and len(SURVEYED) >= 3
    assert EXECUTES not in SURVEYED, "no computer may be the one that executes"
    assert environment("old", A="b")["A"] == "b"
