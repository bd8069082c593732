"""The pinned packages fit together, with a wheel for each Python and computer."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tools.tree import ROOT

FILES = ("requirements.txt", "tests/requirements.txt")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PLATFORMS = (
    "x86_64-unknown-linux-gnu",
    "aarch64-apple-darwin",
    "x86_64-pc-windows-msvc",
)
UNREACHED = re.compile(
    r"Failed to fetch.*|error sending request.*|network was disabled"
)


def resolve(python, platform, *files):
    """Resolve the files' packages for a Python and a platform; returns uv's complaints.

    pip takes the markers of the Python that it runs under, whatever it is asked for.
    """
    run = subprocess.run(
        [
            *(Path(sys.executable).with_name("uv"), "pip", "compile", "--quiet"),
            *("--only-binary", ":all:", "--python-version", python),
            *("--python-platform", platform, *files),
        ],
        cwd=ROOT,
        env={**os.environ, "MACOSX_DEPLOYMENT_TARGET": "14.0"},  # torch has none below
        capture_output=True,
        text=True,
        timeout=600,
    )
    if run.returncode and (unreached := UNREACHED.search(run.stderr)):
        pytest.skip(f"no index of packages is reached: {unreached[0]}")
    return run.stderr if run.returncode else ""


def test_the_pins_resolve():
    runs = [(p, q, *FILES) for p in PYTHONS for q in PLATFORMS]
    with ThreadPoolExecutor(len(runs)) as pool:  # the index lets one wait
        wrong = list(pool.map(lambda run: resolve(*run), runs))
    assert not any(wrong), "\n".join(wrong)


def test_a_pin_that_a_python_has_no_wheel_for_is_told(tmp_path):
    pins = tmp_path / "requirements.txt"
    pins.write_text("numpy==1.26.4\n")  # the last one before 3.13
    assert resolve("3.12", PLATFORMS[0], pins) == ""
    assert "numpy==1.26.4 has no usable wheels" in resolve("3.13", PLATFORMS[0], pins)
