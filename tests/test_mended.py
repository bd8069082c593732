"""A course's folder that was moved or copied: .venv is mended, and commands say so."""

import os
import subprocess
import sys

from grading import doctor
from tools import mended


def environment(root, made_in):
    """What names the folder in an environment that was made in `made_in`."""
    files = {
        "bin/jupyter": f"#!{made_in}/.venv/bin/python\nprint(1)\n",
        "lib/python3/site-packages/__editable___x.py": f"M = '{made_in}/dot2gpt'",
        "lib/python3/site-packages/other.py": f"'{made_in}/dot2gpt'",
        "pyvenv.cfg": f"command = /usr/bin/python3 -m venv {made_in}/.venv\n",
    }
    for name, text in files.items():
        path = root / ".venv" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / ".venv/bin/jupyter").chmod(0o755)
    return root / ".venv"


def test_a_copy_is_mended_and_its_original_stays(tmp_path):
    first = environment(tmp_path / "a course", tmp_path / "a course")
    copy = tmp_path / "100% b"
    subprocess.run(["cp", "-al", tmp_path / "a course", copy], check=True)
    before = {p: p.read_bytes() for p in first.rglob("*") if p.is_file()}
    assert mended.mend(tmp_path / "a course") is None
    assert mended.mend(copy) == tmp_path / "a course"
    assert {p: p.read_bytes() for p in before} == before
    jupyter = copy / ".venv/bin/jupyter"
    assert jupyter.read_text().startswith(f"#!{copy}/.venv/bin/python\n")
    assert os.access(jupyter, os.X_OK)
    left = [p for p in (copy / ".venv").rglob("*") if p.is_file()]
    old = [p.name for p in left if "a course" in p.read_text()]
    assert old == ["other.py"]
    assert mended.mend(copy) is None


def test_an_environment_of_another_course_is_said(tmp_path, monkeypatch, capsys):
    assert doctor.elsewhere() == ""
    other = tmp_path / "bin/python"
    other.parent.mkdir()
    for said, words in {
        "echo /old/course/dot2gpt": "holds the dot2gpt of /old/course, not of",
        "exit 1": "has no dot2gpt: the course's folder was moved or renamed",
    }.items():
        other.write_text(f"#!/bin/sh\n{said}\n")
        other.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(other))
        assert words in doctor.elsewhere()
        assert doctor.report() == 1
        assert "python3 -m tools.mended" in " ".join(capsys.readouterr().out.split())
