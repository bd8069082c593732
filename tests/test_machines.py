"""Notebooks as other processors run them: what differs is listed, what passed rests."""

import re
import subprocess
import sys

import nbformat

from tests.stored import notebook, says
from tools import machines
from tools.processors import EXECUTES, PROCESSORS, SURVEYED, environment
from tools.tree import ROOT, read, written_notebooks

CODE = "open('ran', 'a').write('x')\nimport os\nprint('loss 0.1234', os.getenv('{}'))"


def asks(path, stored):
    """A notebook of one cell, which notes that it ran and says which ISA it has."""
    return notebook(path, (CODE.format("ATEN_CPU_CAPABILITY"), says(stored)))


def test_what_differs_is_listed_and_what_passed_is_not_run_again(tmp_path, monkeypatch):
    (tmp_path / "tests").mkdir()
    monkeypatch.setattr(machines, "KINDS", [("old", 1)])
    good = asks(tmp_path / "good.ipynb", "loss 0.1235 default")
    bad = asks(tmp_path / "bad.ipynb", "loss 0.1235 avx2")
    found = machines.survey([good, bad], 1, tmp_path)
    assert found == {("old", 1): ["bad.ipynb, Cell 0"]}
    assert (tmp_path / "ran").read_text() == "xx"
    assert machines.survey([good], 1, tmp_path) == {}
    assert (tmp_path / "ran").read_text() == "xx", "what passed was run again"
    monkeypatch.setattr(
        machines, "cells_run", lambda paths, *_: [(good, "Cell 0", False, 1)]
    )
    asks(good, "loss 0.1236 default")
    assert machines.survey([good], 1, tmp_path), "what changed was not run again"


def test_a_kernel_that_does_not_start_is_said(tmp_path, monkeypatch, capfd):
    (tmp_path / "tests").mkdir()
    monkeypatch.setattr(machines, "KINDS", [("old", 1)])
    page = asks(tmp_path / "page.ipynb", "a")
    notebook = read(page)
    notebook.metadata.kernelspec = {"name": "absent", "display_name": "absent"}
    nbformat.write(notebook, page)
    assert machines.survey([page], 1, tmp_path)
    assert "absent" in capfd.readouterr().out


def test_only_what_is_long_and_passed_on_all_machines_is_left_out(
    tmp_path, monkeypatch
):
    (tmp_path / "tests").mkdir()
    paths = [asks(tmp_path / f"{name}.ipynb", "a") for name in ("long", "short")]
    long = paths[0]

    def survey(kinds):
        def cells_run(waiting, *_):
            return [(path, "Cell 0", True, 90 * (path == long)) for path in waiting]

        monkeypatch.setattr(machines, "cells_run", cells_run)
        with monkeypatch.context() as some:
            some.setattr(machines, "KINDS", kinds)
            assert machines.survey(paths, 1, tmp_path) == {}

    assert machines.left(paths, tmp_path) == paths
    survey(machines.KINDS[:-1])
    assert machines.left(paths, tmp_path) == paths, "one kind of machine is missing"
    survey(machines.KINDS)
    assert machines.left(paths, tmp_path) == paths[1:]
    asks(long, "b")
    assert machines.left(paths, tmp_path) == paths, "its output changed"


def test_what_takes_one_thread_itself_passes_on_each_processor_once(tmp_path):
    page = read(asks(tmp_path / "page.ipynb", "a"))
    assert list(machines.keys(page)) == machines.KINDS
    page.cells[0].source = f"import torch\n{machines.ONE_THREAD}"
    kinds = list(machines.keys(page))
    assert [processor for processor, _ in kinds] == list(SURVEYED)
    assert {threads for _, threads in kinds} == {1, 2}
    assert set(kinds) < set(machines.KINDS)


def test_a_verdict_depends_on_the_pins_and_on_what_is_compared(tmp_path, monkeypatch):
    page = read(asks(tmp_path / "page.ipynb", "a"))
    before = machines.keys(page)
    assert len(set(before.values())) == len(machines.KINDS) == 6
    monkeypatch.setattr(machines, "PINNED", re.compile("^nbval==.*", re.MULTILINE))
    assert machines.keys(page) != before, "another torch may print other digits"
    monkeypatch.undo()
    page.cells[0].metadata["tags"] = ["nbval-ignore-output"]
    ignored = machines.keys(page)
    page.cells[0].outputs = []
    assert machines.keys(page) == ignored != before


def test_the_record_names_notebooks_that_there_are():
    names = {p.relative_to(ROOT).as_posix() for p in written_notebooks()}
    assert set(machines.recall()) <= names


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
