"""The words a learner reads: each kind of wrong answer gives its own row."""

import math
import sys
import types
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import tiktoken
import tiktoken._educational
import torch
import torch.nn.attention.flex_attention
import torch.nn.functional as F
from torch.nn.functional import softmax as borrowed

from dot2gpt import checks


def hint_of(add):
    c = checks.Checks("title")
    add(c)
    with pytest.raises(checks.CheckFailed) as failed:
        c.report()
    return str(failed.value)


def test_a_right_answer_passes_quietly(capfd):
    c = checks.Checks("Exercise 1")
    assert c.that("true", True) and c.that("called", lambda: True)
    assert c.close("tensor", torch.ones(2, 3), np.ones((2, 3)))
    assert c.close("infinite", lambda: torch.tensor([float("inf"), 1.0]), [np.inf, 1])
    assert c.shape("shape", lambda: torch.ones(4, 5), (4, 5))
    assert c.raises("error", ValueError, lambda: int("five"), says=["five"])
    c.report()
    out, err = capfd.readouterr()
    assert "6 of 6 checks pass" in out and not err


@pytest.mark.parametrize(
    "add, words",
    [
        (lambda c: c.that("x", False, "the axis is wrong"), "✗ x: the axis is wrong"),
        (
            lambda c: c.close("x", lambda: 1.0, 2.0, mistakes={"no root": 1.0}),
            "✗ x: no root",
        ),
        (
            lambda c: c.close("x", [np.nan, 1], [0, 1], mistakes={"nan": [np.nan, 1]}),
            "✗ x: nan",
        ),
        (lambda c: c.close("x", [1.0, 5.0], [1.0, 2.0]), "got 5 at (1,), expected 2"),
        (
            lambda c: c.close("x", torch.ones(2), torch.ones(3)),
            "shape is (2,), expected (3,)",
        ),
        (lambda c: c.close("x", lambda: None, 2.0), "is a `return` missing?"),
        (lambda c: c.close("x", lambda: "two", 2.0), "expected numbers, got str"),
        (
            lambda c: c.close("x", torch.tensor([torch.nan, 1]), [0, 1]),
            "1 of 2 numbers are NaN",
        ),
        (
            lambda c: c.shape("x", torch.ones(2), (3,)),
            "its shape is (2,), expected (3,)",
        ),
        (lambda c: c.raises("x", ValueError, lambda: 1), "no ValueError was raised"),
        (
            lambda c: c.raises("x", ValueError, lambda: int("a"), says=["q"]),
            "should contain 'q'",
        ),
        (lambda c: c.that("x", lambda: ...), "✗ x: not written yet"),
        (
            lambda c: c.that("x", lambda: eval("answer")),
            "not written yet: there is no `answer`",
        ),
        (lambda c: c.that("x", lambda: 1 / 0), "ZeroDivisionError: division by zero"),
    ],
)
def test_each_mistake_has_its_words(add, words):
    assert words in hint_of(add)


def learners(source):
    """The names that a cell of a learner's defines."""
    scope = {"torch": torch, "np": np}
    exec(compile(source, "<cell of the learner>", "exec"), scope)
    return scope


def row(call, want=0, **how):
    """(whether a row passes, its hint)"""
    c = checks.Checks("title", **how)
    return c.close("x", call, want), c.rows[0][2]


@pytest.mark.parametrize(
    "kind, body, given",
    [
        ("tensor", "return x.zero_().sum()", torch.tensor([1.0, 2.0])),
        ("tensor", "x.data.fill_(0); return 0", torch.ones(2, requires_grad=True)),
        ("tensor", "x[0] = float('nan'); return 0", torch.ones(2)),
        ("tensor", "x.t_(); return 0", torch.ones(2, 3)),
        ("tensor", "x['a'][0].add_(1); return 0", {"a": [torch.zeros(2)]}),
        ("array", "x += 1; return 0", np.zeros(3)),
        ("list", "x.sort(); return 0", [3, 1, 2]),
        ("list", "x[0].append(1); return 0", ([], 5)),
        ("list", "x[0] = x[0].clone(); return 0", [torch.ones(2)]),
        ("dict", "x.pop('a'); return 0", {"a": 1, "b": 2}),
        ("set", "x.add(5); return 0", {1, 2}),
        ("list", "x.append(1); raise ValueError", []),
    ],
)
def test_an_answer_that_changes_what_it_was_given_fails_its_row(kind, body, given):
    answer = learners(f"def answer(x):\n    {body}")["answer"]
    before = checks.Given([given])
    passed, hint = row(lambda: answer(given))
    assert not passed
    assert hint == f"you changed the {kind} that you were given: work on a copy"
    assert before.restore() == ([] if "t_()" not in body else ["tensor"])
    if "raise" not in body:
        assert row(lambda: answer(x=given), in_place=True)[0]


@pytest.mark.parametrize(
    "source",
    [
        "def answer(*x, **more): x[0].zero_(); return 0",
        "answer = lambda x: 0 * x.zero_().sum()",
        "def make():\n    def inner(x): x.zero_(); return 0\n    return inner\n"
        "answer = make()",
        "class Layer(torch.nn.Module):\n"
        "    def forward(self, x): return 0 * x.mul_(2)[0]\n"
        "answer = Layer()",
        "@torch.no_grad()\ndef answer(x): x += 1; return 0",
    ],
)
def test_a_change_is_seen_however_the_answer_is_written(source):
    answer, x = learners(source)["answer"], torch.ones(1)
    want = x.expand(1) * 0
    assert row(lambda: answer(x), want[0])[1].startswith("you changed the tensor")
    assert row(lambda: answer(x[:1]), want[0])[1].startswith("you changed the tensor")


def test_what_an_answer_does_with_its_own_things_is_its_own_business():
    source = """
def add(out, x):
    out.append(x)
    x += 1
def answer(x, ask):
    out = []
    for _ in range(3):
        add(out, x.clone())
    x = x.clone()
    x.zero_()
    ask(x)
    return x
def lines(x):
    own = list(x)
    while own:
        own.pop()
        yield len(own)
"""
    scope, asked = learners(source), []
    assert row(lambda: scope["answer"](torch.ones(2), asked.append), [0, 0])[0]
    assert len(asked) == 1
    assert row(lambda: list(scope["lines"]([5, 6])), [1, 0])[0]


def test_the_expected_value_is_no_view_of_what_is_overwritten():
    answer, x = learners("def answer(x): return x.zero_()")["answer"], torch.ones(3)
    assert row(lambda: answer(x), x[:3], in_place=True) == (
        False,
        "got 0 at (0,), expected 1",
    )


def test_numbers_of_every_kind_are_compared():
    third = Fraction(1, 3)
    for given, want in [
        (third, 1 / 3),
        ([third, 2], [1 / 3, 2]),
        (Decimal("0.5"), 0.5),
        ([1j, third], [1j, 1 / 3]),
        ([torch.tensor(2.0, requires_grad=True), 1.0], [2, 1]),
        ([torch.ones(2, requires_grad=True), np.ones(2)], [[1, 1], [1, 1]]),
        (torch.ones(2, dtype=torch.bfloat16), [1, 1]),
        (np.float32(2), 2),
        (range(3), [0, 1, 2]),
    ]:
        assert row(lambda given=given: given, want) == (True, "")
    for given in ("2", {1: 2}, [object()], [[1], [2, 3]]):
        passed, hint = row(lambda given=given: given, 2)
        assert not passed and hint.startswith("expected numbers, got ")


def test_a_difference_that_printing_hides_is_told():
    got = torch.tensor([1.0, 1.50281])
    c = checks.Checks("title")
    passed = c.close("x", got, got.double() + torch.tensor([0, 3e-8]), atol=1e-12)
    hint = c.rows[0][2]
    assert not passed and "expected" not in hint
    assert "they differ by 3e-08 at (1,)" in hint
    assert "was something computed in float32?" in hint


def test_all_mistakes_that_it_may_be_are_told():
    c, wrong = checks.Checks("title"), {"no root": 4.0, "none here": None, "twice": 4}
    c.close("x", 4.0, 2.0, mistakes=wrong)
    c.close("x", 3.0, 2.0, mistakes=wrong)
    assert [hint for *_, hint in c.rows] == [
        "no root; or: twice",
        "got 3, expected 2",
    ]


def test_a_nan_in_a_mistake_is_no_error():
    c = checks.Checks("title")
    c.close("x", 1.0, 2.0, mistakes={"zero by zero": math.nan, "all": 7.0})
    assert c.rows[0][2] == "got 1, expected 2"
    c.close("x", lambda: [1.0, math.nan], [math.nan, 2.0])
    assert c.rows[1][2] == "got 1 at (0,), expected nan"


def test_an_error_is_placed_in_the_learners_code_alone():
    scope = learners("def answer(x):\n    return 1 / x\nother = lambda x: x.y")
    assert "(in answer, line 2)" in row(lambda: scope["answer"](0))[1]
    assert "(in a lambda, line 3)" in row(lambda: scope["other"](0))[1]
    code = """
def given(): return answer(2)
def divides(): return 1 / 0
c = checks.Checks("title")
c.that("x", lambda: given())
c.that("y", lambda: divides())
"""
    tests = {"checks": checks}
    exec(compile(code, "<cell of the tests>", "exec"), tests)
    missing, error = (hint for _, _, hint in tests["c"].rows)
    assert missing == "not written yet: there is no `answer` (or its cell has not run)"
    assert error == "ZeroDivisionError: division by zero"


def test_a_name_that_the_learners_code_lacks_is_no_unwritten_answer():
    answer = learners("def answer(x):\n    return scroes(x)")["answer"]
    hint = row(lambda: answer(1))[1]
    assert hint.startswith("there is no `scroes`: is it misspelt, or has its cell")


def test_the_tests_of_a_sheet_run_with_the_notebooks_names_and_leave_none(capsys):
    names = {"checks": checks, "torch": torch}
    call = 'checks.check("table", "00_basics")'
    with pytest.raises(checks.CheckFailed, match="not written yet"):
        exec(call, names)
    wrong = learners("table, seen = torch.arange(12.).reshape(4, 3), torch.ones(1)")
    with pytest.raises(checks.CheckFailed, match="the number of rows comes first"):
        exec(call, names | wrong)
    right = "table = torch.arange(12.).reshape(3, 4); seen = torch.ones(2, 3).bool()"
    names |= learners(right)
    before = set(names)
    exec(call, names)
    assert set(names) == before
    assert "4 of 4 checks pass" in capsys.readouterr().out
    exec('checks.source("table")', names)
    assert "they begin at 1" in capsys.readouterr().out


def test_a_name_of_the_set_up_that_is_missing_is_one_sentence():
    with pytest.raises(checks.CheckFailed, match="yet: there is no `torch`"):
        exec('checks.check("tail_above", "00_basics")', {"checks": checks})


def test_tests_that_there_are_none_of_are_refused_with_a_reason():
    with pytest.raises(ValueError, match="no tests of 'tabel' in 00_basics"):
        checks.check("tabel", "00_basics")
    with pytest.raises(ValueError, match="'limits' is in 02_w.* and 14_g.*: say in"):
        checks.source("limits")


def test_a_person_sees_the_table_alone_and_a_program_every_line(monkeypatch):
    import IPython

    asked = {"content": {"allow_stdin": True}}
    shell = types.SimpleNamespace(get_parent=lambda: asked)
    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    error = checks.CheckFailed("1 of 1 checks fail\n✗ x")
    assert error._render_traceback_() == ["1 of 1 checks fail"]
    asked["content"]["allow_stdin"] = False
    assert error._render_traceback_() == ["1 of 1 checks fail", "✗ x"]


def test_not_implemented_is_not_written_yet():
    def stub():
        raise NotImplementedError()

    def add(c):
        c.close("one", lambda: stub(), 1)
        c.raises("two", ValueError, lambda: stub())

    assert hint_of(add).splitlines()[1:] == ["✗ one; two: not written yet"]


def test_the_table_escapes_what_it_shows():
    c = checks.Checks("<b>")
    c.that("<script>", False, "a < b")
    assert "<script>" not in c._repr_html_() and "a &lt; b" in c._repr_html_()


def test_jupyter_shows_lines_and_no_traceback():
    error = checks.CheckFailed("title\n✗ x")
    assert error._render_traceback_() == ["title", "✗ x"]


@pytest.mark.parametrize(
    "name, call",
    [
        ("torch.softmax", lambda x: torch.softmax(x, -1)),
        ("torch.Tensor.softmax", lambda x: x.softmax(-1)),
        ("torch.nn.functional.softmax", lambda x: F.softmax(x, -1)),
        ("torch.nn.functional.softmax", lambda x: borrowed(x, -1)),
        ("torch.nn.functional.softmax", lambda x: torch.nn.Softmax(-1)(x)),
        ("torch.nn.Linear", lambda x: torch.nn.Linear(4, 4)(x)),
        (
            "torch.nn.functional.scaled_dot_product_attention",
            lambda x: F.scaled_dot_product_attention(x, x, x),
        ),
        ("numpy.linalg.eigh", lambda x: np.linalg.eigh(x.numpy())),
        ("html.escape", lambda x: __import__("html").escape("x")),
        (
            "torch.autograd.functional.jacobian",
            lambda x: torch.autograd.functional.jacobian(torch.sum, x),
        ),
        ("torch.func.jacrev", lambda x: torch.func.jacrev(torch.sum)(x)),
        ("math.exp", lambda x: __import__("math").exp(1.0)),
    ],
)
def test_forbid_stops_the_call_wherever_it_was_imported_and_only_inside(name, call):
    x = torch.eye(4)
    with checks.forbid(name):
        with pytest.raises(checks.Forbidden, match="may not be used here"):
            call(x)
    call(x)


def test_forbid_refuses_a_name_that_does_not_exist():
    with pytest.raises(ValueError, match="torch.sofmax"):
        with checks.forbid("torch.sofmax"):
            pass


X, Y = torch.tensor([[1.0, 2.0], [3.0, 5.0]]), torch.tensor([[2.0, 7.0], [4.0, 1.0]])
ATEN, NN = torch.ops.aten, torch.nn


def sloped():
    return X.clone().requires_grad_()


def cubed(x):
    return (x**3).sum()


def ready(module, name, *arguments):
    """A call of what a module of the library has."""

    def call():
        found = __import__(f"dot2gpt.{module}", fromlist=[name])
        return getattr(found, name)(*arguments)

    return call


# What does by itself what each kind asks for, under as many names as there are.
READY = {
    "matrix product": [
        lambda: X @ Y,
        lambda: X.matmul(Y),
        lambda: Y.__rmatmul__(X),
        lambda: torch.mm(X, Y),
        lambda: X.mv(Y[0]),
        lambda: X[0] @ Y[0],
        lambda: torch.dot(X[0], Y[0]),
        lambda: torch.vdot(X[0], Y[0]),
        lambda: torch.inner(X, Y),
        lambda: torch.einsum("id,jd->ij", X, Y),
        lambda: torch.einsum("id,id->id", X, Y),
        lambda: torch.tensordot(X, Y, 1),
        lambda: torch.addmm(X, X, Y),
        lambda: torch.addmv(X[0], X, Y[0]),
        lambda: torch.bmm(X[None], Y[None]),
        lambda: torch.baddbmm(X[None], X[None], Y[None]),
        lambda: X.clone().addmm_(X, Y),
        lambda: torch.zeros(2, 2).addbmm_(X[None], Y[None]),
        lambda: torch.chain_matmul(X, Y),
        lambda: torch.linalg.matmul(X, Y),
        lambda: torch.linalg.multi_dot([X, Y]),
        lambda: torch.linalg.vecdot(X, Y),
        lambda: torch.linalg.matrix_power(X, 3),
        lambda: torch.sparse.mm(X.to_sparse(), Y),
        lambda: torch.cdist(X, Y),
        lambda: X.cov(),
        lambda: torch.corrcoef(X),
        lambda: F.linear(X, Y),
        lambda: F.bilinear(X, Y, torch.ones(1, 2, 2)),
        lambda: F.conv1d(X[None], Y[:, :, None]),
        lambda: F.embedding_bag(
            torch.tensor([[0, 1]]), Y, mode="sum", per_sample_weights=X[:1]
        ),
        lambda: F.scaled_dot_product_attention(X[None], X[None], Y[None]),
        lambda: NN.Linear(2, 2)(X),
        lambda: torch.func.vmap(torch.dot)(X, Y),
        lambda: ATEN.mm(X, Y),
        lambda: ATEN.mm.default(X, Y),
        lambda: ATEN.matmul(X, Y),
        lambda: torch._C._VariableFunctions.mm(X, Y),
        lambda: torch.mm(X, Y, out=torch.zeros(2, 2)),
        lambda: X.numpy() @ Y.numpy(),
        lambda: np.asarray(X) @ np.asarray(Y),
        lambda: np.from_dlpack(X) @ np.eye(2),
        lambda: np.matmul(X.tolist(), Y.tolist()),
        lambda: np.dot(X.tolist(), Y.tolist()),
        lambda: np.inner(X.tolist(), Y.tolist()),
        lambda: np.vdot(X.tolist(), Y.tolist()),
        lambda: np.vecdot(X.tolist(), Y.tolist()),
        lambda: np.tensordot(X.tolist(), Y.tolist(), 1),
        lambda: np.einsum("id,jd->ij", X.tolist(), Y.tolist()),
        lambda: np.linalg.multi_dot([X.tolist(), Y.tolist()]),
        lambda: np.linalg.matmul(X.tolist(), Y.tolist()),
        lambda: np.linalg.tensordot(X.tolist(), Y.tolist()),
        lambda: np.linalg.vecdot(X.tolist(), Y.tolist()),
        ready("dot_product", "gram", X),
        ready("weighted_average", "attend", X),
        ready("scaling", "scaled_dot_product_attention", X, X, Y),
    ],
    "softmax": [
        lambda: torch.softmax(X, -1),
        lambda: X.softmax(-1),
        lambda: X.log_softmax(-1),
        lambda: borrowed(X, -1),
        lambda: F.softmin(X, -1),
        lambda: F.gumbel_softmax(X),
        lambda: F.log_softmax(X, -1),
        lambda: NN.Softmax(-1)(X),
        lambda: NN.Softmin(-1)(X),
        lambda: NN.LogSoftmax(-1)(X),
        lambda: torch.special.softmax(X, -1),
        lambda: torch.special.log_softmax(X, -1),
        lambda: torch.special.logsumexp(X, -1),
        lambda: torch.logsumexp(X, -1),
        lambda: torch.logcumsumexp(X, -1),
        lambda: torch.logaddexp(X, Y),
        lambda: torch.sparse.softmax(X.to_sparse(), -1),
        lambda: torch._masked_softmax(X, X < 2, -1, 0),
        lambda: F.cross_entropy(X, torch.tensor([0, 1])),
        lambda: F.scaled_dot_product_attention(X[None], X[None], Y[None]),
        lambda: NN.TransformerEncoderLayer(2, 1, 3, batch_first=True).eval()(X[None]),
        lambda: ATEN.softmax(X, -1),
        lambda: ATEN._softmax(X, -1, False),
        lambda: ATEN._safe_softmax(X, -1),
        lambda: torch.func.vmap(lambda x: x.softmax(-1))(X),
        lambda: np.logaddexp(1.0, 2.0),
        ready("weighted_average", "softmax", X),
        ready("weighted_average", "attend", X),
        ready("masking", "masked_softmax", X, X > 1),
        ready("scaling", "scaled_dot_product_attention", X, X, Y),
    ],
    "exponential": [
        lambda: X.exp(),
        lambda: X.clone().exp_(),
        lambda: torch.exp(X, out=torch.zeros(2, 2)),
        lambda: torch.exp2(X),
        lambda: torch.special.exp2(X),
        lambda: torch.expm1(X),
        lambda: math.e**X,
        lambda: torch.pow(math.e, X),
        lambda: torch.float_power(math.e, X),
        lambda: X.sigmoid(),
        lambda: torch.special.expit(X),
        lambda: F.sigmoid(X),
        lambda: NN.Tanh()(X),
        lambda: X.sinh() + X.cosh(),
        lambda: ATEN.exp(X),
        lambda: math.exp(1),
        lambda: math.expm1(1),
        lambda: math.exp2(1),
        lambda: np.exp([1.0]),
        lambda: np.exp2([1.0]),
        lambda: np.expm1([1.0]),
        lambda: np.tanh([1.0]),
        lambda: np.sinh([1.0]),
        lambda: np.cosh([1.0]),
    ],
    "masked softmax": [
        lambda: torch._masked_softmax(X, X < 2, -1, 0),
        lambda: ATEN._safe_softmax(X, -1),
        lambda: F.scaled_dot_product_attention(X[None], X[None], Y[None]),
        ready("weighted_average", "softmax", X),
        ready("masking", "masked_softmax", X, X > 1),
        ready("scaling", "scaled_dot_product_attention", X, X, Y, X > 1),
    ],
    "fused attention": [
        lambda: F.scaled_dot_product_attention(X[None], X[None], Y[None]),
        lambda: torch._C._nn.scaled_dot_product_attention(X[None], X[None], Y[None]),
        lambda: torch._scaled_dot_product_attention_math(*[X[None, None]] * 3),
        lambda: ATEN.scaled_dot_product_attention(*[X[None, None]] * 3),
        lambda: ATEN.scaled_dot_product_attention.default(*[X[None, None]] * 3),
        lambda: NN.MultiheadAttention(2, 1)(X, X, X),
        lambda: NN.TransformerEncoderLayer(2, 1, 3)(X),
        lambda: NN.attention.flex_attention.flex_attention(*[X[None, None]] * 3),
    ],
    "cross-entropy": [
        lambda: F.cross_entropy(X, torch.tensor([0, 1])),
        lambda: F.cross_entropy(X, Y),
        lambda: torch._C._nn.cross_entropy_loss(X, torch.tensor([0, 1])),
        lambda: ATEN.cross_entropy_loss(X, Y),
        lambda: F.nll_loss(X, torch.tensor([0, 1])),
        lambda: (
            torch.nll_loss(X, torch.tensor([0, 1]))
            if hasattr(torch, "nll_loss")
            else NN.NLLLoss()(X, torch.tensor([0, 1]))
        ),
        lambda: ATEN.nll_loss_forward(X, torch.tensor([0, 1]), None, 1, -100),
        lambda: NN.CrossEntropyLoss()(X, torch.tensor([0, 1])),
        lambda: NN.CrossEntropyLoss()(X, Y),
        lambda: F.kl_div(X, Y),
        lambda: torch.kl_div(X, Y),
        lambda: F.binary_cross_entropy(X.sigmoid(), Y.sigmoid()),
        lambda: F.binary_cross_entropy_with_logits(X, Y),
        lambda: NN.AdaptiveLogSoftmaxWithLoss(2, 3, [1])(X, torch.tensor([0, 1])),
        ready("training", "cross_entropy", X[None], torch.tensor([[0, 1]])),
    ],
    "autograd": [
        lambda: cubed(sloped()).backward(),
        lambda: torch.Tensor.backward(cubed(sloped())),
        lambda: torch.autograd.backward(cubed(sloped())),
        lambda: (lambda x: torch.autograd.grad(cubed(x), x))(sloped()),
        lambda: torch.autograd.functional.jacobian(cubed, X),
        lambda: torch.autograd.functional.hessian(cubed, X),
        lambda: torch.autograd.functional.vjp(cubed, X),
        lambda: torch.autograd.functional.jvp(cubed, X, Y),
        lambda: torch.autograd.functional.hvp(cubed, X, Y),
        lambda: torch.autograd.functional.vhp(cubed, X, Y),
        lambda: torch.func.grad(cubed)(X),
        lambda: torch.func.grad_and_value(cubed)(X),
        lambda: torch.func.vjp(cubed, X)[1](torch.tensor(1.0)),
        lambda: torch.func.jacrev(cubed)(X),
        lambda: torch.func.jacfwd(cubed)(X),
        lambda: torch.func.jvp(cubed, (X,), (Y,)),
        lambda: torch.func.hessian(cubed)(X),
        lambda: torch.func.linearize(cubed, X),
        lambda: torch.autograd.forward_ad.dual_level().__enter__(),
        lambda: torch.autograd.graph._engine_run_backward(
            [cubed(sloped())], (None,), False, False, (), True, True
        ),
        lambda: torch.autograd.gradcheck(cubed, sloped()),
    ],
    "embedding": [
        lambda: F.embedding(torch.tensor([0]), X),
        lambda: torch.embedding(X, torch.tensor([0])),
        lambda: NN.Embedding(2, 2)(torch.tensor([0])),
        lambda: NN.EmbeddingBag(2, 2)(torch.tensor([[0]])),
        lambda: F.embedding_bag(torch.tensor([[0]]), X),
        lambda: torch.embedding_bag(X, torch.tensor([0]), torch.tensor([0])),
        lambda: ATEN.embedding(X, torch.tensor([0])),
        lambda: ATEN.embedding_backward(X, torch.tensor([0, 1]), 2, -1, False, False),
        lambda: ATEN.embedding_dense_backward(X, torch.tensor([0, 1]), 2, -1, False),
        lambda: (
            torch.embedding_dense_backward(X, torch.tensor([0, 1]), 2, -1, False)
            if hasattr(torch, "embedding_dense_backward")
            else F.embedding(torch.tensor([0]), X)
        ),
    ],
    "models": [
        lambda: NN.Linear(2, 2),
        lambda: NN.TransformerEncoder(NN.TransformerEncoderLayer(2, 1), 1),
        ready("encoder", "Encoder", 1, 2, 1, 3),
        ready("encoder", "EncoderLayer", 2, 1, 3),
        ready("multi_head", "MultiHeadAttention", 2, 1),
        ready("block", "FeedForward", 2, 3),
    ],
    "byte pair encoding": [
        ready("tokens", "encoding", []),
        lambda: tiktoken.Encoding(
            "x", pat_str=".", mergeable_ranks={b"a": 0}, special_tokens={}
        ),
        lambda: tiktoken._tiktoken.CoreBPE({b"a": 0}, {}, "."),
        lambda: tiktoken._educational.bpe_encode({b"a": 0}, b"a", None),
    ],
    "nucleus": [ready("generation", "next_probabilities", X, 1.0, None, 0.5)],
    "key-value cache": [ready("generation", "KVCache", 1, 2)],
    "corruption": [ready("bert", "corrupt", X)],
    "relative buckets": [ready("t5", "relative_bucket", torch.arange(3))],
    "relative biases": [ready("t5", "RelativeBias", 2)],
    "permutation masks": [ready("xlnet", "permutation_masks", torch.arange(3))],
    "soft-target loss": [ready("distilbert", "soft_target_loss", X, Y)],
    "swapped pairs": [ready("albert", "swap_pairs", X, Y)],
}
ALLOWED = {
    "matrix product": lambda: (X[:, None] * Y).sum(-1) + X.mean(0) - X.norm(),
    "softmax": lambda: X.exp() / X.exp().sum(-1, keepdim=True) @ Y,
    "exponential": lambda: (X == X.amax(-1, keepdim=True)).float() @ Y + X**2,
    "masked softmax": lambda: X.masked_fill(X > 2, -math.inf).softmax(-1),
    "fused attention": lambda: (X @ X.mT).softmax(-1) @ Y,
    "cross-entropy": lambda: -X.log_softmax(-1)[[0, 1], [1, 0]].mean(),
    "autograd": lambda: cubed(sloped()),
    "embedding": lambda: X[torch.tensor([0, 1])].index_add(0, torch.tensor([1]), Y[:1]),
    "byte pair encoding": ready("tokens", "join_pair", [1, 2], (1, 2), 3),
    "nucleus": lambda: X.sort(dim=-1, descending=True),
}


@pytest.mark.parametrize("kind", checks.KINDS)
def test_by_hand_refuses_every_ready_function_under_every_name(kind):
    for number, call in enumerate(READY[kind]):
        with checks.by_hand(kind):
            with pytest.raises(checks.Forbidden, match="may not be used here"):
                pytest.fail(f"number {number} gets through: {call()}")
    with checks.by_hand(kind):
        ALLOWED.get(kind, lambda: None)()


@pytest.mark.parametrize("kind", checks.KINDS)
def test_each_name_of_a_kind_is_one_that_there_is(kind):
    for name in checks.KINDS[kind]:
        assert callable(checks._resolve(name)), name


def test_a_refusal_names_what_was_called():
    for call, name in {
        lambda: X @ Y: "torch.Tensor.matmul",
        lambda: F.linear(X, Y): "torch.nn.functional.linear",
        lambda: ATEN.mm(X, Y): "aten.mm",
    }.items():
        with checks.by_hand("matrix product"):
            with pytest.raises(checks.Forbidden, match=f"`{name}` may not"):
                call()


def test_by_hand_lets_the_row_compare_and_says_which_kinds_there_are():
    with checks.by_hand("matrix product"):
        assert row(lambda: (X[:, None] * Y).sum(-1), torch.tensor([[16, 6], [41, 17]]))[
            0
        ]
    with pytest.raises(ValueError, match="no kind 'sofmax'; there are .*'softmax'"):
        checks.by_hand("sofmax")


def test_a_rows_watch_is_not_told_of_what_forbid_itself_does():
    told = []

    def watch(frame, event, _):
        told.append(event)

    sys.setprofile(watch)
    try:
        with checks.by_hand("cross-entropy", "autograd"):
            kept = sys.getprofile()
        with pytest.raises(ValueError, match="no 'torch.nothing'"):
            with checks.forbid("torch.nothing"):
                pass
        kept_after_an_error = sys.getprofile()
    finally:
        sys.setprofile(None)
    assert kept is watch and kept_after_an_error is watch
    assert 0 < len(told) < 1000  # tens of thousands else: a second for each check
