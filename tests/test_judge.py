"""The judge: tests outside, answers in a sandbox, the verdict of a single process."""

import json
import os
import re
import textwrap
import zlib

import pytest

from dot2gpt import checks
from dot2gpt.handed_in import defined
from grading import doctor
from grading.judge.bundle import Bundle, Cell, bundle
from grading.judge.hidden import NOTHING, constants, hint
from grading.judge.limits import Limits
from grading.judge.referee import MOST_BENCHES, Sitting
from tests.answers import load
from tests.judging import Court, answer_cases
from tools.tree import chapters

SANDBOX = "none" if doctor.problems() else "warm"
SHEETS = [c for c in chapters() if c.solutions.exists() and c.answers.exists()]
SETUP = """\
import copy
import torch
import torch.nn.functional as F
from torch import nn
from dot2gpt import checks
from dot2gpt.multi_head import MultiHeadAttention

def twice(x):
    return 2 * x
"""


# ---- every sheet of the course ------------------------------------------------------


def some(cases):
    """Of each cell the first wrong answer, and a twentieth of the rest.

    The judge differs from one process in how values come and go, which answers to one
    test share. ALL_ANSWERS=1 takes all: minutes more, for a change of the judge.
    """
    seen = set()
    for name, answer, sources in cases:
        first = answer.says is not None and name not in seen
        drawn = zlib.crc32(answer.name.encode()) % 20 == 0
        if first or drawn or os.environ.get("ALL_ANSWERS"):
            yield name, answer, sources
        if first:
            seen.add(name)


def judged(chapter):
    """What is wrong with the judge's verdicts on one sheet and some of its answers."""
    wrong = []
    with Court(bundle(chapter.name), SANDBOX) as court:
        solutions = [c.source for c in court.bundle.cells if c.role == "solution"]
        for test in court.bundle.tests:
            verdict = court.judge(test.grade_id, solutions)
            if verdict["score"] != test.points:
                wrong.append(f"{test.grade_id}, its solution: {verdict['reason']}")
        answers = answer_cases(court.bundle, load(chapter.answers))
        for name, answer, sources in some(answers):
            verdict = court.judge(f"test_{name}", sources)
            label, passed = f"{name}, {answer.name}: ", not verdict["reason"]
            if passed != (answer.says is None):
                wrong.append(label + (verdict["reason"] or "passed"))
            told = verdict["reason"] + json.dumps(verdict["outputs"])
            for words in answer.says or ():
                if words not in told and json.dumps(words)[1:-1] not in told:
                    wrong.append(f"{label}{words!r} is not in {verdict['reason']}")
    return wrong


@pytest.mark.parametrize("chapter", SHEETS, ids=lambda c: c.name)
def test_a_sheet_gets_the_verdicts_that_it_gets_in_one_process(chapter):
    """tests/test_sheets.py asserts the same of the same answers, in one process."""
    assert judged(chapter) == []


# ---- what tests may do --------------------------------------------------------------

# name: (answer, test); every test passes.
FEATURES = {
    "plain values": (
        "value = (1, 2.5, 'é', None, ..., [True], {'a': {1, 2}}, 2**90, float('inf'))",
        "assert value == (1, 2.5, 'é', None, ..., [True], {'a': {1, 2}}, 2**90, "
        "float('inf'))",
    ),
    "gradients flow through": (
        "def f(x, w):\n    return (x @ w).tanh(), 'and'",
        """
        x = torch.randn(3, 5, dtype=torch.double, requires_grad=True)
        w = torch.randn(5, 2, dtype=torch.double, requires_grad=True)
        f(x * 2, w)[0].sum().backward()
        got = x.grad, w.grad
        x2, w2 = x.detach().requires_grad_(), w.detach().requires_grad_()
        (x2 * 2 @ w2).tanh().sum().backward()
        assert torch.allclose(got[0], x2.grad) and torch.allclose(got[1], w2.grad)
        """,
    ),
    "second derivatives": (
        "def f(x):\n    return (x**3).sum()",
        """
        x = torch.tensor([1.0, 2.0], dtype=torch.double)
        hessian = torch.autograd.functional.hessian(f, x)
        assert torch.allclose(hessian, torch.diag(6 * x)), hessian
        """,
    ),
    "one result goes into the next call": (
        "def f(x):\n    return x.exp()",
        """
        x = torch.zeros(3, requires_grad=True)
        y = f(x)
        z = f(y)
        (z + y).sum().backward()
        assert torch.allclose(x.grad, torch.full((3,), torch.e + 1)), x.grad
        """,
    ),
    "modules": (
        """
        class Net(nn.Module):
            def __init__(self, n):
                super().__init__()
                self.inner = nn.Linear(n, 2)
                self.register_buffer("seen", torch.zeros(1))
            def forward(self, x):
                return self.inner(x) * (2 if self.training else 1)
        """,
        """
        net = Net(3)
        assert isinstance(net, nn.Module) and isinstance(net.inner, nn.Linear)
        assert sum(p.numel() for p in net.parameters()) == 8
        assert list(net.state_dict()) == ["seen", "inner.weight", "inner.bias"]
        x = torch.randn(4, 3)
        twice_as_much = net(x)
        assert net.eval() is net and not net.training
        assert torch.allclose(2 * net(x), twice_as_much)
        other = copy.deepcopy(net)
        with torch.no_grad():
            net.inner.weight.zero_()
            net.inner.bias.fill_(7)
        assert (net(x) == 7).all() and not (other(x) == 7).any()
        other.load_state_dict(net.state_dict())
        assert (other(x) == 7).all()
        net.seen = torch.ones(2)
        assert net.seen.shape == (2,) and "seen" in dict(net.named_buffers())
        """,
    ),
    "a module is trained from outside": (
        "def make():\n    torch.manual_seed(0)\n    return nn.Linear(2, 1)",
        """
        net = make()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        x, y = torch.randn(64, 2), torch.ones(64, 1)
        losses = []
        for _ in range(50):
            loss = F.mse_loss(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < 0.01 * losses[0], losses
        assert torch.equal(net.weight, list(net.parameters())[0])
        """,
    ),
    "an optimiser of the learner's": (
        """
        class Descent:
            def __init__(self, parameters):
                self.parameters = list(parameters)
            def step(self):
                for p in self.parameters:
                    p.data -= 0.5 * p.grad
        """,
        """
        weight = nn.Parameter(torch.tensor([4.0, 2.0]))
        descent = Descent([weight])
        for _ in range(2):
            weight.grad = None
            (weight**2 / 2).sum().backward()
            descent.step()
        assert weight.tolist() == [1.0, 0.5], weight
        """,
    ),
    "callbacks": (
        """
        def derivative(f, x):
            return torch.autograd.functional.jacobian(f, x)
        def chain(f, x):
            return f(lambda y: f(None, y), x)
        """,
        """
        x = torch.tensor([1.0, 3.0])
        assert derivative(lambda x: x**2, x).tolist() == [[2, 0], [0, 6]]
        assert derivative(torch.sin, x).diagonal().allclose(x.cos())
        assert derivative(twice, x).tolist() == [[2, 0], [0, 2]]
        assert chain(lambda g, y: y + 1 if g is None else g(y) * 2, 5) == 12
        """,
    ),
    "an error of a callback comes back as itself": (
        "def f(g):\n    return g()",
        """
        class Mine(Exception):
            pass
        def bad():
            raise Mine("here")
        try:
            f(bad)
        except Mine as error:
            assert str(error) == "here"
        else:
            assert False
        """,
    ),
    "arguments that change": (
        """
        def f(x, parts, table):
            x += 1
            parts.append(table.pop("a"))
        """,
        """
        x, parts, table = torch.zeros(2, 3).T, [1], {"a": 2, "b": 3}
        f(x, parts, table)
        assert (x == 1).all() and parts == [1, 2] and table == {"b": 3}
        """,
    ),
    "layouts": (
        "def f(x):\n    return x.is_contiguous(), x.stride(), x.T",
        """
        for x in (torch.randn(3, 5).T, torch.randn(3, 1).expand(3, 4),
                  torch.randn(4, 6)[:, :3], torch.randn(4, 6)[::2]):
            contiguous, stride, turned = f(x)
            assert contiguous == x.is_contiguous() and stride == x.stride()
            assert torch.equal(turned, x.T) and turned.stride() == x.T.stride()
        """,
    ),
    "errors": (
        """
        class Odd(ValueError):
            pass
        def f(kind):
            raise {"odd": Odd("an odd one"), "key": KeyError("k"), "own": TypeError(),
                   "end": StopIteration(), "exit": SystemExit(3)}[kind]
        """,
        """
        for kind, wanted, text in [("odd", ValueError, "an odd one"),
                                   ("key", KeyError, "'k'"), ("own", TypeError, "")]:
            try:
                f(kind)
            except wanted as error:
                assert str(error) == text, str(error)
            else:
                assert False, kind
        for kind in ("end", "exit"):
            try:
                f(kind)
            except StopIteration:
                assert False
            except Exception as error:
                assert type(error).__name__ in ("StopIteration", "SystemExit")
        """,
    ),
    "generators": (
        "def count(n):\n    for i in range(n):\n        yield i, torch.ones(i)",
        """
        assert [x.sum().item() for _, x in count(4)] == [0, 1, 2, 3]
        assert len(list(count(0))) == 0
        """,
    ),
    "random numbers go on inside": (
        "def f(n):\n    return torch.rand(n)",
        """
        torch.manual_seed(3)
        want = torch.rand(5)
        torch.manual_seed(3)
        got = f(5)
        assert torch.equal(got, want)
        assert not torch.equal(f(5), got)
        """,
    ),
    "no gradients where the test wants none": (
        "def f(x):\n    return x * 2, torch.is_grad_enabled()",
        """
        x = torch.ones(2, requires_grad=True)
        with torch.no_grad():
            y, enabled = f(x)
        assert not y.requires_grad and not enabled and f(x)[0].requires_grad
        """,
    ),
    "forbidden functions": (
        """
        softmax = torch.softmax
        def f(x):
            return softmax(x, -1)
        """,
        """
        c = checks.Checks("t")
        with checks.forbid("torch.softmax", "torch.Tensor.clone"):
            try:
                f(torch.ones(3, requires_grad=True))
            except checks.Wrong as error:
                assert "`torch.softmax` may not be used here" in str(error)
            else:
                assert False
        assert f(torch.ones(2)).tolist() == [0.5, 0.5]
        """,
    ),
    "functions forbidden by their kind": (
        "def f(x):\n    return F.linear(x, x)",
        """
        with checks.by_hand("matrix product"):
            try:
                f(torch.ones(3, 3))
            except checks.Wrong as error:
                assert "`torch.nn.functional.linear` may not be used" in str(error)
            else:
                assert False
        assert f(torch.ones(1, 1)).tolist() == [[1.0]]
        """,
    ),
    "what is to be done in place": (
        "def f(x, more):\n    x.add_(1)\n    more.append(x)",
        """
        c = checks.Checks("t", in_place=True)
        x, more = torch.zeros(2), []
        c.that("it runs", lambda: f(x, more) is None)
        c.close("changed", lambda: x, [1, 1])
        c.that("kept", lambda: more[0] is x)
        c.report()
        """,
    ),
    "what an answer does with its own copies": (
        """
        def f(x, ask):
            own = x.clone()
            ask(own.add_(1))
            return own.zero_()
        """,
        """
        c, x, asked = checks.Checks("t"), torch.ones(2), []
        c.close("a", lambda: f(x, asked.append), [0, 0])
        c.close("asked", lambda: len(asked), 1)
        c.report()
        """,
    ),
    "a module of the course's goes in": (
        "def f(m, x):\n    return m.n_heads, m(x)[0], type(m).__name__",
        """
        module, x = MultiHeadAttention(12, 3), torch.randn(1, 5, 12)
        heads, out, name = f(module, x)
        assert heads == 3 and name == "MultiHeadAttention"
        out.sum().backward()
        assert torch.allclose(out, module(x)[0])
        assert all(p.grad is not None for p in module.parameters())
        """,
    ),
    "what is printed": (
        "import sys\ndef f():\n    print('a' * 10**6, file=sys.stderr)\n    return 1",
        "assert f() == 1",
    ),
    "one test does not see another": (
        "seen = []\ndef f():\n    seen.append(1)\n    return len(seen)",
        "assert f() == 1 and f() == 2",
    ),
}
# name: (answer, test, words of the reason); every test fails.
FAILURES = {
    "an endless loop": (
        "def f():\n    while True:\n        pass",
        "c = checks.Checks('t')\nc.that('a', lambda: f())\nc.that('b', lambda: f())\n"
        "c.report()",
        "no result after 2 s",
    ),
    "it forgives an endless loop": (
        "def f():\n    while True:\n        pass",
        "try:\n    f()\nexcept Exception:\n    pass",
        "no result after 2 s",
    ),
    "it leaves": (
        "import os\ndef f():\n    os._exit(0)",
        "f()",
        "ended its own process",
    ),
    "too large": (
        "def f():\n    return torch.zeros(5000, 5000)",
        "c = checks.Checks('t')\nc.close('a', lambda: f(), 0)\nc.report()",
        "too large",
    ),
    "nested too deep": (
        "def f():\n    x = []\n    for _ in range(999):\n        x = [x]\n    return x",
        "f()",
        "nested deeper",
    ),
    "an object that says yes": (
        """
        class Yes:
            def __eq__(self, other):
                return True
            def __sub__(self, other):
                return 0.0
            __rsub__ = __abs__ = __lt__ = __contains__ = __le__ = __eq__
            shape = property(lambda self: self)
        def f():
            return Yes()
        """,
        """
        c = checks.Checks("t")
        c.that("equal", lambda: f() == 3)
        c.that("turned", lambda: 3 == f())
        c.that("near", lambda: abs(f() - 3) < 1e-6)
        c.that("member", lambda: 3 in f())
        c.close("close", lambda: f(), 3)
        c.shape("shape", lambda: f(), (3,))
        c.report()
        """,
        "6 of 6 checks fail",
    ),
    "where it went wrong": (
        "\n\ndef f(x):\n    y = x + 1\n    return y.absent",
        "c = checks.Checks('t')\nc.that('a', lambda: f(torch.ones(1)))\nc.report()",
        "(in f, line 5: `return y.absent`)",
    ),
    "not written": (
        "def f(x):\n    raise NotImplementedError()",
        "c = checks.Checks('t')\nc.that('a', lambda: f(1))\nc.report()",
        "✗ a: not written yet",
    ),
    "not there": (
        "g = 1",
        "c = checks.Checks('t')\nc.that('a', lambda: f(1))\nc.report()",
        "there is no `f`",
    ),
    "it changes a tensor that it was given": (
        "def f(x):\n    return x.zero_().sum()",
        """
        c, x = checks.Checks("t"), torch.ones(3)
        c.close("a", lambda: f(x), x.sum() - 3)
        assert x.tolist() == [1, 1, 1]
        c.that("b", lambda: f(x[:1]) == 0)
        c.that("c", lambda: f(x.clone()) == 0)
        c.report()
        """,
        "✗ a; b; c: you changed the tensor that you were given: work on a copy",
    ),
    "it changes a list that it was given": (
        "class Net:\n    def go(self, x):\n        x['a'][0].sort()",
        """
        c, x = checks.Checks("t"), {"a": ([3, 1, 2], 5)}
        c.that("a", lambda: Net().go(x) is None)
        assert x == {"a": ([3, 1, 2], 5)}
        c.report()
        """,
        "✗ a: you changed the list that you were given: work on a copy",
    ),
    "the test itself takes too much": (
        "def f():\n    return 2 * 10**8",
        "x = torch.ones(f())",
        "can't allocate memory",
    ),
}
HIDDEN = """\
c = checks.Checks("t")
c.close("shown", lambda: f(2), 4)
### BEGIN HIDDEN TESTS
c.close("secret", lambda: f(17.25), 34.5, hint="double it",
        mistakes={"you squared it": 17.25**2})
c.close("plain", lambda: f(18.25), 36.5)
c.that("told", lambda: tell(f(19.25), 19.25))
c.that("raised", lambda: g(20.25))
c.that("said", lambda: h(21.25))
### END HIDDEN TESTS
c.report()
"""
TELL = """
def tell(got, x):
    if got != 2 * x:
        raise checks.Wrong(f"add it to itself: got {got} for {x}, not {2 * x!r}")
    return True
"""

# Test cells whose hidden tests ask before a visible row does, or between two, as it is
# written; and words of that row.
ORDERS = {
    "a row below": """
        c = checks.Checks("t")
        ### BEGIN HIDDEN TESTS
        c.close("secret", lambda: f(17.25), 34.5)
        ### END HIDDEN TESTS
        c.close("shown", lambda: f(2), 4)
        c.report()
        """,
    "a loop": """
        c = checks.Checks("t")
        cases = [("shown", 2)]
        ### BEGIN HIDDEN TESTS
        cases += [("secret", 17.25)]
        ### END HIDDEN TESTS
        for label, x in cases:
            c.close(label, lambda: f(x), 2 * x)
        c.report()
        """,
    "a loop that is run again": """
        c = checks.Checks("t")
        cases = [("shown", 2)]
        ### BEGIN HIDDEN TESTS
        cases.insert(0, ("secret", 17.25))
        ### END HIDDEN TESTS
        for label, x in cases:
            c.close(label, lambda: f(x), 2 * x)
        c.report()
        """,
    "within a block": """
        c = checks.Checks("t")
        with torch.no_grad():
            ### BEGIN HIDDEN TESTS
            c.close("secret", lambda: f(17.25), 34.5)
            ### END HIDDEN TESTS
            c.close("shown", lambda: f(2), 4)
        c.report()
        """,
    "no table": """
        ### BEGIN HIDDEN TESTS
        hidden = f(17.25)
        ### END HIDDEN TESTS
        assert f(2) == 4, f(2)
        """,
}
SPY = """
seen = []
def f(x):
    seen.append(x)
    if x == 2:
        raise ValueError(f"seen: {seen}")
    return str(seen)
"""


def released(source):
    """A test cell without its hidden tests."""
    parts = re.split(r"### (?:BEGIN|END) HIDDEN TESTS\n", source)
    return "".join(parts[::2])


def small(cells, setup=SETUP):
    """A Bundle of set-up, and an answer and a test for each of `cells`."""
    made, names = [Cell("setup", "locked", "code", setup, setup, None)], {}
    for name, (answer, test, released) in cells.items():
        answer, test = textwrap.dedent(answer), textwrap.dedent(test)
        made += [
            Cell(name, "solution", "code", answer, "", None),
            Cell(f"test_{name}", "test", "code", test, released or test, 2.0),
        ]
        names[name] = defined(answer)
    return Bundle("small", "small", tuple(made), names)


@pytest.fixture(scope="module")
def court():
    """A court where every answer and test of this file is at hand."""
    cells = {k: (answer, test, None) for k, (answer, test) in FEATURES.items()}
    cells |= {k: (answer, test, None) for k, (answer, test, _) in FAILURES.items()}
    answer = "def f(x):\n    return 2 * x\ng = h = f"
    cells["hidden"] = answer, HIDDEN, released(HIDDEN)
    for name, source in ORDERS.items():
        source = textwrap.dedent(source)
        cells[name] = answer, source, released(source)
    with Court(small(cells, SETUP + TELL), SANDBOX) as court:
        yield court


@pytest.mark.parametrize("name", FEATURES)
def test_tests_may(court, name):
    verdict = court.judge(f"test_{name}", [textwrap.dedent(FEATURES[name][0])])
    assert verdict["reason"] == "" and verdict["score"] == 2


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_says(court, name):
    answer, _, words = FAILURES[name]
    limits = Limits(call=2, test=20, memory=512 << 20)
    verdict = court.judge(f"test_{name}", [textwrap.dedent(answer)], limits)
    reason = verdict if isinstance(verdict, str) else verdict["reason"]
    assert words in reason


def test_what_a_hidden_test_shows_is_not_told(court):
    answer = """
    def f(x):
        return x * x
    def g(x):
        raise ValueError(f"stolen: {x}")
    def h(x):
        raise checks.Wrong("stolen: " + "abcd"[int(x) - 20])
    """
    verdict = court.judge("test_hidden", [textwrap.dedent(answer)])
    assert verdict["reason"].splitlines() == [
        "t: 5 of 6 checks fail",
        "✗ hidden test: secret: you squared it",
        "✗ hidden test: plain; hidden test: raised; hidden test: said: " + NOTHING,
        "✗ hidden test: told: add it to itself",
    ]
    assert not any(f"{n}.25" in json.dumps(verdict) for n in (17, 18, 19, 20))
    assert "stolen" not in json.dumps(verdict)
    assert "f(x)" not in json.dumps(verdict)


@pytest.mark.parametrize("name", ORDERS)
def test_no_text_is_made_by_an_answer_that_a_hidden_test_has_asked(court, name):
    told = json.dumps(court.judge(f"test_{name}", [SPY]))
    assert "17.25" not in told
    assert "ValueError: seen: [2]" in told, "the first that is asked is the visible one"
    assert court.judge(f"test_{name}", ["def f(x):\n    return 2 * x"])["score"] == 2


@pytest.mark.parametrize("name", ORDERS)
def test_nothing_is_told_where_a_hidden_test_has_asked_before(court, name):
    connection, _ = court.runner.run(court._copy([SPY]))
    with connection:
        verdict = court.sitting.test(f"test_{name}", connection, court.limits, True)
    assert "seen" not in json.dumps(verdict) and verdict["score"] == 0
    assert NOTHING in verdict["reason"]


ROW = """
c = checks.Checks("t")
c.close("a number", lambda: f(17.25), 34.5, mistakes={"you squared it": 17.25**2})
c.that("a sum", lambda: f(17.25) == 34.5, "add it to itself")
c.report()
"""
WAYS = {  # to fail, each of which an answer may choose by what it was asked
    "another value": "return 3",
    "an error": "raise ValueError",
    "another error": "raise KeyError(x)",
    "an error of the tests'": "raise checks.Wrong('add it to itself')",
    "an assertion of the tests'": "raise checks.CheckFailed('add it to itself')",
    "not written": "raise NotImplementedError",
    "what is forbidden": "raise checks.Forbidden('torch.softmax')",
    "nothing": "return None",
    "another shape": "return torch.zeros(3, 4)",
    "NaN": "return float('nan')",
    "a text": "return 'abc'",
    "what can't be read": "return torch.zeros(5000, 5000)",
    "an end": "import os; os._exit(0)",
    "no end": "while True: pass",
}


def test_how_an_answer_fails_tells_nothing_of_a_hidden_row():
    cells = {"a": ("def f(x):\n    return 2 * x", ROW, 'c = checks.Checks("t")')}
    limits, told = Limits(call=2, test=20, memory=512 << 20), {}
    with Court(small(cells), SANDBOX) as court:
        for name, way in WAYS.items():
            verdict = court.judge("test_a", [f"def f(x):\n    {way}"], limits)
            told[name] = json.dumps([verdict["reason"], verdict["outputs"]])
        squared = court.judge("test_a", ["def f(x):\n    return x**2"], limits)
    assert len(set(told.values())) <= 2, told  # with and without the author's words
    assert "you squared it" in squared["reason"]


WORDS = constants('Wrong(f"you say {got}: {why}"); "add the rows", "not the columns"')


@pytest.mark.parametrize(
    "said, told",
    [
        ("add the rows", "add the rows"),
        ("add the rows: got 17, not 3", "add the rows"),
        ("you say 17: add the rows", "add the rows"),
        ("(1, 7) is one. not the columns", "not the columns"),
        ("add the rows; or: not the columns", "add the rows; or: not the columns"),
        ("add the rows; or: hbjb", NOTHING),
        ("you say hbjb", NOTHING),
        ("hbjb", NOTHING),
        ("the message should contain 'x': hbjb", NOTHING),
    ],
)
def test_what_is_told_of_a_hidden_row_is_the_authors_without_values(said, told):
    assert hint(said, checks.Wrong(), WORDS) == told


def test_a_text_that_an_answer_could_make_is_not_told():
    raised = checks.Wrong("add the rows")
    raised._boundary_number = 1
    assert hint("add the rows", raised, WORDS) == NOTHING

    def refuse():
        raise ValueError("you say: add the rows")

    c = checks.Checks("t")
    c.raises("a message", ValueError, refuse, says=["x"])
    assert hint(c.rows[0][2], c.errors[0], WORDS) == NOTHING
    changed = checks.Overwritten("list")
    assert hint(str(changed), changed, WORDS) == str(changed)


def test_what_a_released_test_shows_is_told(court):
    verdict = court.judge("test_hidden", ["def f(x):\n    return x + 3"])
    assert "✗ shown: got 5, expected 4" in verdict["reason"]
    table = verdict["outputs"][0]["data"]
    assert "got 5, expected 4" in table["text/html"]
    assert "hidden test: secret: double it" in table["text/plain"]
    assert verdict["outputs"][-1]["ename"] == "CheckFailed"


def test_a_bench_in_use_stays_while_others_come_and_go():
    def bundle_of(number):
        return small({"a": ("a = 1", f"assert a == 1, {number}", None)}, "")

    with Court(bundle_of(0), SANDBOX) as court:
        for number in range(1, MOST_BENCHES + 2):
            Sitting(bundle_of(number)).close()
        assert court.judge("test_a", ["a = 1"])["reason"] == ""


def test_a_set_up_that_fails_is_no_fault_of_the_learners():
    broken = small({"a": ("a = 1", "assert a == 1", None)}, "import nothing_there")
    for _ in range(2):
        sitting = Sitting(broken)
        with pytest.raises(RuntimeError, match="set-up of the sheet fails: .*nothing_"):
            sitting.wait()
        sitting.close()
