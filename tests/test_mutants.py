"""The sheets' tests kill mutants of the solutions, and the tool that says so works.

All mutants take long: `make mutants`. Here a fixed part of them is judged, of each
chapter whose answers say which mutants are no mistakes.
"""

import os

import nbformat
import pytest

from tests.answers import load_equivalent
from tools.mutants.__main__ import prove, report
from tools.mutants.bench import SAME, SURVIVED, VISIBLE, Broken, Case, judged
from tools.mutants.operators import OPERATORS, mutants
from tools.tree import Chapter, chapters

PROVED = [c for c in chapters() if load_equivalent(c.answers) is not None]
PART = 40  # one in so many: a minute


@pytest.mark.parametrize("chapter", PROVED, ids=lambda c: c.name)
def test_a_part_of_the_mutants_is_killed(chapter, tmp_path):
    results = list(prove([chapter], part=PART, store=tmp_path))
    assert not any(r.survivors or r.untrue for r in results), report(results)


@pytest.mark.parametrize(
    "kind, before, after",
    [
        ("arithmetic", "a + b", "a - b"),
        ("arithmetic", "a / b", "b / a"),
        ("arithmetic", "a / b", "a // b"),
        ("term_dropped", "a + b", "a"),
        ("term_dropped", "(a + b) * c", "(a + b)"),
        ("term_dropped", "a and b and c", "a and c"),
        ("term_dropped", "-a", "a"),
        ("rounding", "a // b", "-(-a // b)"),
        ("rounding", "math.ceil(a)", "round(a)"),
        ("rounding", "math.ceil(a)", "int((a) // 1) + 1"),
        ("comparison", "a < b", "a <= b"),
        ("comparison", "a < b < c", "a < b <= c"),
        ("condition", "a and b", "a or b"),
        ("condition", "[x for x in a if x]", "[x for x in a if True]"),
        ("constant", "a[3]", "a[2]"),
        ("constant", "32", "16"),
        ("constant", "a > 1e-6", "a > 0.01"),
        ("constant", "f(a, keepdim=True)", "f(a, keepdim=False)"),
        ("string", "einsum('ij,jk->ik', a, b)", "einsum('ij,jk->ki', a, b)"),
        ("dtype", "f(torch.float64)", "f(torch.float32)"),
        ("dtype", "-torch.inf", "-1e4"),
        ("first_or_last", "range(n)", "range(0, n - 1)"),
        ("first_or_last", "range(n)", "range(0 + 1, n)"),
        ("first_or_last", "a[b:]", "a[:]"),
        ("first_or_last", "a[b:]", "a[b + 1:]"),
        ("first_or_last", "[x for x in a]", "[x for x in list(a)[:-1]]"),
        ("element", "(a, b)", "(b, a)"),
        ("element", "[a, b, c]", "[a, c]"),
        ("order", "sorted(a)", "sorted(a, reverse=True)"),
        ("order", "a.sort(-1)", "a.sort(-1, descending=True)"),
        ("relative", "a.amax(0)", "a.amin(0)"),
        ("call_dropped", "sorted(a)", "a"),
        ("call_dropped", "a.clone()", "a"),
        ("call_dropped", "a.T", "a"),
        ("arguments", "f(a, b)", "f(b, a)"),
        ("arguments", "f(a, dtype=b)", "f(a)"),
        ("arguments", "f(dim=b)", "f()"),
        ("options", "a.sum(-1)", "a.sum(-1, keepdim=True)"),
        ("options", "a.var(-1)", "a.var(-1, correction=0)"),
        ("name", "a", "b"),
        ("branch", "a if b else c", "c"),
        ("returns_rounded", "a", "rounded(a)"),
        ("overwrites", "a", "spoiling(a, (a))"),
        ("detached", "a * b", "a.detach() * b"),
        ("forbidden", "a", "torch.special.softmax(torch.eye(2), -1)"),
    ],
)
def test_an_operator_makes_its_mistake(kind, before, after):
    test = 'with checks.forbid("torch.softmax"): pass'
    made = mutants(f"def f(a, b, c):\n    return {before}", test, gradients=True)
    changes = [m.new for m in made if m.kind == kind]
    assert any(change in (after, f"return {after}") for change in changes), changes


def test_every_operator_is_tried():
    (mark,) = [
        m
        for m in test_an_operator_makes_its_mistake.pytestmark
        if m.name == "parametrize"
    ]
    tried = {kind for kind, *_ in mark.args[1]}
    assert tried == {*OPERATORS, "forbidden"} - {"statement_dropped"}  # tried below


def _f():
    return """
def f(a):
    \"\"\"What stands here, is not mutated: 1 + 1.\"\"\"
    b = 1 + a
    ### BEGIN SOLUTION
    if a < 0:
        raise ValueError(f"{a - 1} is below 0: 2")
    b += 3
    return b
    ### END SOLUTION
"""


def test_mutants_are_made_of_the_solution_alone_and_say_what_changed():
    made = mutants(_f())
    assert len({m.source for m in made}) == len(made)
    for m in made:
        compile(m.source, "mutant", "exec")
        assert "1 + a" in m.source and "1 + 1" in m.source
        assert '{a - 1} is below 0: 2")' in m.source or m.new == "pass"
    changes = {m.change for m in made}
    assert {"without b += 3", "b -= 3", "b += 4", "if a <= 0:"} <= changes
    assert 'without raise ValueError(f"{a - 1} is below 0: 2")' in changes
    assert any(change.startswith("raise RuntimeError") for change in changes)


def _sheet(root, test, equivalent=""):
    """A course in `root` with one exercise: f(a, b) is a if a > b else b."""
    chapter = Chapter("00_small", root)
    answer = "def f(a, b):\n    return a if a > b else b\n"
    cells = []
    for source, grade_id, grade in (
        ("from dot2gpt import checks", "setup", False),
        (answer, "f", False),
        (test, "test_f", True),
    ):
        cell = nbformat.v4.new_code_cell(source)
        solution = grade_id == "f"
        cell.metadata["nbgrader"] = dict(
            grade_id=grade_id, grade=grade, solution=solution, points=1
        )
        cells.append(cell)
    chapter.solutions.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), chapter.solutions)
    chapter.answers.parent.mkdir(parents=True, exist_ok=True)
    chapter.answers.write_text(f"ANSWERS = {{}}\nEQUIVALENT = {{{equivalent}}}\n")
    return chapter


WEAK = """
c = checks.Checks("small")
c.close("one", lambda: f(2, 1), 2)
### BEGIN HIDDEN TESTS
c.close("two", lambda: f(3, 5), 5)
### END HIDDEN TESTS
c.report()
"""
SAME_LINE = '"f": {"return a if a >= b else b": "where both are equal, either does"}'


def test_what_survives_is_shown_with_its_change(tmp_path):
    (result,) = prove([_sheet(tmp_path, WEAK)], store=tmp_path / "store")
    changes = {m.change for m in result.survivors}
    assert "return a if a >= b else b" in changes and "return a" not in changes
    assert [m.change for m in result.of("hidden")].count("return a") == 1
    text = report([result])
    assert "  - return a if a > b else b\n  + return a if a >= b else b\n" in text


def test_an_equivalent_mutant_is_explained_and_no_other_line_is(tmp_path):
    chapter = _sheet(tmp_path, WEAK, SAME_LINE)
    (result,) = prove([chapter], store=tmp_path / "store")
    assert [m.new for m in result.explained] == ["return a if a >= b else b"]
    assert not result.untrue
    chapter = _sheet(tmp_path, WEAK, SAME_LINE.replace("a >= b", "a …"))
    (result,) = prove([chapter], store=tmp_path / "store")
    assert result.explained and not result.untrue
    for untrue in ("return b if a > b else b", "return nothing"):
        chapter = _sheet(tmp_path, WEAK, f'"f": {{"{untrue}": "it is not"}}')
        (result,) = prove([chapter], store=tmp_path / "store")
        assert result.untrue == [untrue] and untrue in report([result])


class _Bar:
    """Counts the verdicts; Ctrl-C comes at the one called `stop`."""

    def __init__(self, stop=None):
        self.total, self.done, self.stop = 0, 0, stop

    def set_description(self, *_):
        pass

    def update(self):
        self.done += 1
        if self.done == self.stop:
            raise KeyboardInterrupt


def test_a_stopped_run_goes_on_where_it_was_and_judges_nothing_twice(tmp_path):
    chapter, store = _sheet(tmp_path, WEAK), tmp_path / "store"
    others = _children()  # the warm parent of another test, say
    with pytest.raises(KeyboardInterrupt):
        list(prove([chapter], jobs=2, store=store, bar=_Bar(stop=3)))
    assert _children() <= others
    rest, again, other = _Bar(), _Bar(), _Bar()
    (result,) = prove([chapter], store=store, bar=rest)
    assert rest.done == len(result.mutants) - 3
    (same,) = prove([chapter], store=store, bar=again)
    assert again.done == 0 and same.verdicts == result.verdicts
    chapter = _sheet(tmp_path, WEAK.replace("3, 5", "3, 4").replace("), 5", "), 4"))
    list(prove([chapter], store=store, bar=other))
    assert other.done == len(result.mutants)  # its test changed


def test_a_line_that_was_cut_short_is_judged_again(tmp_path):
    chapter, store = _sheet(tmp_path, WEAK), tmp_path / "store"
    list(prove([chapter], store=store))
    path = store / "00_small.jsonl"
    path.write_text(path.read_text()[:-9])
    bar = _Bar()
    list(prove([chapter], store=store, bar=bar))
    assert bar.done == 1


def _children():
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return set(file.read().split())


def _case(**changes):
    parts = dict(
        grade_id="f",
        source="def f(x):\n    return x",
        before=("import torch\nfrom dot2gpt import checks",),
        between=(),
        test="c = checks.Checks('c')\nc.close('one', lambda: f(1.5), 1.5)\nc.report()",
    )
    parts |= changes
    return Case(**parts, visible=parts["test"])


def test_what_never_ends_or_eats_memory_or_kills_itself_is_killed():
    before = sum(os.times()[2:4])  # seconds of CPU, of the children
    bad = [
        "def f(x):\n    while True: pass",
        "def f(x):\n    kept = []\n    while True: kept.append(torch.ones(2**24))",
        "def f(x):\n    import os\n    os._exit(0)",
        "def f(x):\n    raise SystemExit",
        "def f(x):\n    import sys\n    print('!', file=sys.stderr)\n    return 2",
        "def f(",
    ]
    good = ["def f(x):\n    return 1.5", "f = float"]
    wanted = [VISIBLE] * len(bad) + [SURVIVED] * len(good)
    assert judged(_case(), bad + good) == wanted
    assert sum(os.times()[2:4]) - before < 30


def test_a_mutant_that_does_the_same_by_its_kind_is_not_counted():
    test = _case().test.replace("1.5", "2")
    sources = [
        "def f(x):\n    return rounded(x)",
        "def f(x):\n    return spoiling(x, x)",
    ]
    assert judged(_case(test=test), sources) == [SAME, SAME]
    assert judged(_case(), sources) == [VISIBLE, SAME]


def test_the_names_of_a_test_are_not_the_answers():
    case = _case(test="want = 1.5\n" + _case().test)
    assert judged(case, ["def f(x):\n    return want"]) == [VISIBLE]


def test_a_solution_that_fails_its_own_test_is_an_error():
    with pytest.raises(Broken, match="fails its own test"):
        judged(_case(source="def f(x):\n    return 0"), ["def f(x):\n    return 1"])
