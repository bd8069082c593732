"""Kernels of nbval that are forked: warm, alone, and gone with the test process."""

import os
import subprocess
import sys
import time

from nbformat import v4

from tests.forked import CAN_FORK
from tests.stored import notebook, says
from tools.tree import ROOT

FIGURE = "import matplotlib.pyplot as plt\nplt.plot([0, 1])\nplt.show()"


def test_kernels_start_warm_know_nothing_of_each_other_and_show_figures(tmp_path):
    shown = v4.new_output(
        "display_data", data={"image/png": "", "text/plain": "<Figure>"}
    )
    for name in "ab":
        notebook(
            tmp_path / f"{name}.ipynb",
            ("import sys; print('torch' in sys.modules)", says(CAN_FORK)),
            ("print('left' in globals()); left = 1", says(False)),
            ("import os; open(f'{os.getpid()}.pid', 'x').close()", []),
            (FIGURE, [shown]),
        )
    (tmp_path / "clean.cfg").write_text(
        "[figures]\nregex: <Figure.*>\nreplace: <Figure>\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.warm_kernels"]
    command += ["--nbval", "--nbval-sanitize-with", tmp_path / "clean.cfg"]
    command += ["-c", ROOT / "pyproject.toml", tmp_path]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if k != "MPLBACKEND"},
        capture_output=True,
        text=True,
    )
    assert "8 passed" in done.stdout, done.stdout
    kernels = [int(path.stem) for path in tmp_path.glob("*.pid")]
    assert len(kernels) == 2
    until = time.monotonic() + 20
    while any(os.path.exists(f"/proc/{pid}") for pid in kernels):
        assert time.monotonic() < until, "a kernel outlives its tests"
        time.sleep(0.05)
