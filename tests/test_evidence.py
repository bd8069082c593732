"""The claims' mechanism, and that the page says what data and code say now."""

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tools.evidence import lesson, page, store
from tools.evidence.claims import Claim, load_all
from tools.evidence.source import Missing, Source, fingerprint, lesson_names
from tools.tree import ROOT

# Claims that wait for `make evidence`: new ones, and those whose code changed since.
# The page marks them, and this list names them.
WAITING = {
    "15_bert/real_words",
}
CHEAP = ["09_encoder/counting", "02_weighted_average/hull"]  # measured again here

LESSON = """\
import math
SIZE = 3
def steps(): return SIZE * math.pi
def other(): return 1
def learn(model): model.step()
model = learn(other())
def reads_it(): return model
"""


@pytest.fixture(scope="module")
def now():
    return page.gather()


def test_the_page_says_what_data_and_code_say(now):
    text = page.PAGE.read_text(encoding="utf-8")
    assert text == page.text(*now), "run `python -m tools.evidence --page`"


def test_every_claim_was_measured_with_the_code_as_it_is(now):
    assert set(page.waiting(now[0])) == WAITING, "run `make evidence`"


def test_no_claim_falls(now):
    assert not [name for name, row in now[0].items() if row.fell]


def test_no_assert_of_a_notebook_falls_under_other_seeds(now):
    assert not {name: found.fell for name, found in now[1].items() if found.fell}


def test_the_data_hold_nothing_else(now):
    data = store.read_data()
    assert set(data["claims"]) <= set(now[0])
    assert set(data["asserts"]) <= set(lesson_names())
    for name, row in now[0].items():
        assert set(data["claims"].get(name, {})) <= set(row.claim.units)


@pytest.mark.parametrize("name", CHEAP)
def test_a_cheap_claim_holds_when_it_is_measured_here(name):
    row = load_all()[name]
    unit, (seed, budget) = next(iter(row.units.items()))
    figures = row.measure(seed, budget)
    assert row.agrees(unit, figures), figures


def a_row(figures, code="now", holds=lambda f: min(f.values()) > f["budget"]):
    """A claim of two seeds and two budgets, with runs of {unit: gap}."""

    class Known(Claim):
        def code(self):
            return "now"

    row = Known("09_encoder/x", "It holds", None, (0, 1), (1, 4), "", holds, Path())
    runs = {u: {"code": code, "figures": {"gap": gap}} for u, gap in figures.items()}
    return page.Row(row, runs)


def test_a_claim_that_falls_is_said_to_fall_and_where():
    row = a_row({"0×1": 2.0, "1×1": 3.0, "0×4": 1.5, "1×4": 9.0})
    assert row.mark == "✗"
    assert "3 of 4 runs agree; not seed 0 at ×4" in row.text()
    assert "- gap: 2 … 3 (×1) · 1.5 … 9 (×4)" in row.text()


def test_a_claim_that_holds_is_said_to_hold():
    row = a_row({"0×1": 2.0, "1×1": 3.0, "0×4": 5.5, "1×4": 9.0})
    assert row.mark == "✓" and not row.waits
    assert "4 of 4 runs agree; 2 seeds; steps ×1, ×4" in row.text()


def test_figures_of_earlier_code_are_not_shown():
    row = a_row({"0×1": 2.0, "1×1": 3.0, "0×4": 5.5, "1×4": 9.0}, code="before")
    assert row.mark == "○" and row.waits and "gap" not in row.text()
    assert "its code has changed since it was measured" in row.text()
    assert "not measured yet" in a_row({}).text()


def test_runs_that_are_missing_are_counted():
    row = a_row({"0×1": 2.0, "1×1": 3.0})
    assert row.waits and "2 more are still to be made" in row.text()


def test_numbers_are_short_and_whole_where_they_are():
    said = [page.number(x) for x in (0.49812, 12288.0, 3.2e-7, 1234.6, -2.0, 0.9999)]
    assert said == ["0.498", "12,288", "3.2e-7", "1,235", "-2", "1"]


def code_of(text, *names):
    source = Source("lesson x", [(text, False)])
    return fingerprint([(source, source.slice(names))])


def test_a_claim_depends_on_what_it_runs_and_on_nothing_else():
    before = code_of(LESSON, "steps")
    assert before == code_of(LESSON.replace("return 1", "return 2"), "steps")
    assert before == code_of("# a comment\n\n" + LESSON, "steps")
    assert before != code_of(LESSON.replace("SIZE = 3", "SIZE = 5"), "steps")
    assert before != code_of(LESSON.replace("SIZE *", "SIZE +"), "steps")


def test_a_claim_depends_on_the_library_that_it_runs(monkeypatch):
    text = "from dot2gpt.encoder import Encoder\ndef make(): return Encoder(1, 2, 1, 2)"
    before = code_of(text, "make")
    from tools.evidence import source

    path = ROOT / "dot2gpt" / "multi_head.py"
    changed = path.read_text(encoding="utf-8").replace("super().__init__()", "pass")
    other = Source("dot2gpt/multi_head.py", [(changed, False)])
    real = source.file_source
    monkeypatch.setattr(
        source, "file_source", lambda p: other if p == path else real(p)
    )
    assert before != code_of(text, "make")


def test_a_docstring_changes_nothing():
    long = 'def f(x):\n    """{}"""\n    return x\n'
    assert code_of(long.format("a"), "f") == code_of(long.format("b"), "f")


def test_a_lesson_gives_definitions_and_takes_other_sizes():
    encoder = lesson("09_encoder")
    assert encoder.N_STEPS > 100
    encoder.N_STEPS = 2
    assert encoder.train.__globals__["N_STEPS"] == 2
    with pytest.raises(Missing, match="09_encoder defines no `trian`"):
        getattr(encoder, "trian")  # noqa: B009
    with pytest.raises(Missing, match="defines no `N_STEP`"):
        encoder.N_STEP = 3
    with pytest.raises(Missing, match="there is no lesson '99_nothing'"):
        lesson("99_nothing")


def test_an_assigned_name_leaves_what_its_statement_binds_besides():
    encoder = lesson("09_encoder")
    encoder.N_STEPS = 7  # the lesson says N_STEPS, FRAMES = 600, …
    assert encoder.FRAMES == lesson("09_encoder").FRAMES
    assert encoder.N_STEPS == encoder.train.__globals__["N_STEPS"] == 7


@pytest.mark.parametrize("name", ["model", "reads_it"])
def test_what_an_experiment_makes_is_refused(name):
    source = Source("lesson x", [(LESSON, False)])
    with pytest.raises(Missing, match="`model` comes from an experiment"):
        source.refuse_experiments(source.slice([name]))
    tagged = Source("lesson x", [(LESSON, True)])
    tagged.refuse_experiments(tagged.slice([name]))


def test_many_functions_that_call_one_another_are_searched_once():
    names = [f"f{n}" for n in range(40)]  # 2^38 ways lead from the last to the first
    lines = [f"def {n}(): return [{', '.join(names[:i])}]" for i, n in enumerate(names)]
    assert not Source("lesson x", [("\n".join(lines), False)]).trains("f39")
    lines[0] = "def f0(model): model.step()"
    assert Source("lesson x", [("\n".join(lines), False)]).trains("f39")


def test_a_notebook_with_other_seeds_counts_its_asserts(tmp_path):
    cells = [
        "import random\nimport numpy as np\nimport torch",
        "a = torch.rand(1, generator=torch.Generator().manual_seed(0)).item()\n"
        "torch.manual_seed(0)\nb = torch.rand(1).item()",
        "for x in (a, b):\n    assert abs(x - 0.4963) > 1e-3, 'both are moved'",
        "assert np.random.default_rng(1).random() == 0.5118216247002567",
        "assert random.Random(1).random() != 0.13436424411240122",
        "1 / 0",
        "assert True",
    ]
    notebook = nbformat.v4.new_notebook(
        cells=list(map(nbformat.v4.new_code_cell, cells))
    )
    nbformat.write(notebook, tmp_path / "x.ipynb")
    command = (
        "import json, sys; from pathlib import Path\n"
        "from tools.evidence.asserts import run\n"
        "print(json.dumps(run(Path(sys.argv[1]), 1000)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", command, tmp_path / "x.ipynb"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found["asserts"] == 4
    assert [cell for cell, _ in found["fell"]] == [4, 6]
    assert found["fell"][1][1] == "ZeroDivisionError: division by zero"


def test_an_unknown_chapter_is_named():
    done = subprocess.run(
        [sys.executable, "-m", "tools.evidence", "99_nothing"],
        cwd=ROOT,
        text=True,
        stderr=subprocess.PIPE,
    )
    assert done.returncode == 2 and "no chapter or claim '99_nothing'" in done.stderr


def test_ctrl_c_ends_at_once_and_says_what_is_stored():
    command = (
        "import os, signal, threading\n"
        "from tools.evidence.__main__ import run\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # nohup has none
        "stop = lambda: os.kill(os.getpid(), signal.SIGINT)\n"
        "threading.Timer(1, stop).start()\n"
        "run([[('claims', '09_encoder/no_positions', 'x', ['0×1'])]], 1)"
    )
    done = subprocess.run(
        [sys.executable, "-c", command], cwd=ROOT, text=True, stderr=subprocess.PIPE
    )
    assert done.returncode == 130
    assert "stopped; 0 of 1 runs are stored" in done.stderr


def test_a_picture_is_no_part_of_what_a_lesson_computes(monkeypatch):
    from tools.evidence import source

    text = """\
from dot2gpt import pictures
from dot2gpt.look_picture import look
from dot2gpt.dot_product import gram
pictures.quiz("Is it?", [])
look([[1, 0]], "a")
look = gram(look)
gram(look)
"""
    lesson = source.Source("a lesson", [(text, False)])
    monkeypatch.setattr(source, "lesson_source", lambda name: lesson)
    assert source.whole("01_any") == [0, 2, 5, 6]
