"""The words a learner reads: each kind of wrong answer gives its own row."""

import numpy as np
import pytest
import torch
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
