"""The rooms of the autograder: what each is for, and which may use which."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

GRADING = Path(__file__).resolve().parents[1] / "grading"
MODULES = {
    ".".join(path.relative_to(GRADING.parent).with_suffix("").parts): path
    for path in GRADING.rglob("*.py")
    if path.name != "__init__.py"
}
# What a room may import of the others; what lies above the rooms may import all.
ALLOWED = {
    "boundary": set(),
    "course": set(),
    "sandbox": set(),
    "judge": {"boundary", "sandbox"},
}
ANYWHERE = set(ALLOWED)


def room(module):
    """The sub-package of a module; "" for what an instructor starts."""
    return module.split(".")[1] if module.count(".") > 1 else ""


def imported(path):
    """Modules of grading that a file imports, also within functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{name.name}" for name in node.names}
            found.add(node.module)
    return found & set(MODULES)


def test_no_module_needs_itself_by_way_of_others():
    graph = {name: imported(path) for name, path in MODULES.items()}
    assert sum(map(len, graph.values())) > 40
    list(TopologicalSorter(graph).static_order())  # CycleError for a circle


@pytest.mark.parametrize("name", sorted(MODULES))
def test_arrows_between_rooms_go_one_way(name):
    own = room(name)
    others = {room(other) for other in imported(MODULES[name])} - {own}
    assert others <= ALLOWED.get(own, ANYWHERE)


def test_each_room_says_what_lives_there_and_on_which_side():
    rooms = {path.parent.name: path for path in GRADING.glob("*/__init__.py")}
    assert set(rooms) == set(ALLOWED)
    for path in rooms.values():
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert "outside" in text or "sandbox" in text


def test_a_worker_waits_neither_for_torch_nor_for_grammars():
    """It asks benches and kernels, which the warm parent forks with torch at hand."""
    code = "import sys, grading.grade, grading.pool\n"
    code += "assert not {'torch', 'lark'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
