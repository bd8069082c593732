"""W_Q and W_K as sliders: what Python draws, and what the browser makes of them."""

import itertools
import math

import pytest
import torch

from dot2gpt.look_picture import look
from dot2gpt.weighted_average import softmax
from tests import test_pictures_browser as pages
from tests.moves import among_others, assert_looks_as_alone, slide

visit = pages.visit  # the fixture: an open page that asks for nothing and has no errors
WORDS = "Ada took it and she left".split()
FEATURES = ["noun", "pronoun"]
X = torch.tensor([[1.0, 0], [0, 0], [0, 1], [0.5, 0.5], [0, 1], [0, 0]]).double()
UNIT = torch.eye(2).double()
W_Q, W_K = (torch.tensor(w).double() for w in ([[0.0, 0], [4, 0]], [[1.0, 0], [-1, 0]]))


def drawn(x=X, words=WORDS, caption="Who looks at whom."):
    return look(x, words, FEATURES, W_Q, W_K, caption=caption)


def assert_shows(fig, w_q, w_k):
    weights = softmax((X @ w_q) @ (X @ w_k).T)
    torch.testing.assert_close(pages.shown(fig), weights, atol=0.0051, rtol=0)
    others = ~torch.eye(6, dtype=torch.bool)
    strong = "all => all.map(e => Number(e.style.getPropertyValue('--w')))"
    arcs = fig.locator(".pv-arc")
    assert arcs.evaluate_all(strong) == pytest.approx(
        weights[others].tolist(), abs=0.00051
    )
    seen = "all => all.map(e => getComputedStyle(e).visibility === 'visible')"
    assert arcs.evaluate_all(seen) == (weights[others] > 1 / 6 + 0.005).tolist()
    kept = fig.locator(".pv-self").evaluate_all(strong)
    assert kept == pytest.approx(weights.diagonal().tolist(), abs=0.00051)


# --- without a browser --------------------------------------------------------------


def test_it_starts_with_the_weights_of_x_xt():
    picture = drawn(words=["a", "<b>", "c", "d", "e", "f"], caption="`x` <")
    lines = repr(picture).splitlines()
    shown = [[float(n) for n in line.split()[1:]] for line in lines[:-1]]
    assert torch.tensor(shown) == pytest.approx(softmax(X @ X.T), abs=0.0051)
    page = picture._repr_html_()
    assert "<b>" not in page and "&lt;b&gt;" in page and "https:" not in page
    assert len(page.encode()) < 35_000
    assert drawn(X.float())._repr_html_() == drawn()._repr_html_()


def test_what_cannot_be_drawn_is_refused():
    for bad in ([1.0, 2.0], [[1.0, 2, 3]], [[1.0, math.inf]]):
        with pytest.raises(ValueError, match="not a table of finite numbers"):
            drawn(bad, "a")
    with pytest.raises(ValueError, match="2 tokens"):
        drawn(X, "ab")
    for bad in (torch.eye(3), [[5.0, 0], [0, 1]], [[math.nan, 0], [0, 1]]):
        with pytest.raises(ValueError, match="w_k is not"):
            look(X, WORDS, FEATURES, UNIT, bad, caption="c")


# --- in the browser -----------------------------------------------------------------


def test_the_page_without_script_shows_the_same(visit):
    looks = """all => all.map(e => [e.textContent, e.getAttribute('class'),
      Number(e.style.getPropertyValue('--w')).toFixed(3)])"""
    parts = ".pv-stage :is(path, rect, text), :is(th, td)"
    before = visit(drawn=[drawn()], java_script_enabled=False)
    after = visit(drawn=[drawn()])
    want = before.locator(parts).evaluate_all(looks)
    assert after.locator(parts).evaluate_all(looks) == want
    assert len(want) == 6 + 30 + 6 + 49
    assert_shows(pages.figure(before, "look"), UNIT, UNIT)


@pytest.mark.parametrize("host", ["book", "lab"])
def test_each_slider_is_one_number_of_its_matrix(visit, host):
    fig = pages.figure(visit(host, drawn=[drawn()]), "look")
    matrices = {"W_Q": UNIT.clone(), "W_K": UNIT.clone()}
    values = itertools.cycle((3.5, -2, 1, -4))
    for name, i, n in itertools.product(matrices, (0, 1), (0, 1)):
        value = next(values)
        slide(fig, f"{name} {FEATURES[i]} {n + 1}", value)
        matrices[name][i, n] = value
        assert_shows(fig, matrices["W_Q"], matrices["W_K"])


def test_two_matrices_make_a_look_that_is_not_returned(visit):
    fig = pages.figure(visit(drawn=[drawn()]), "look")
    fig.get_by_role("button", name="made by hand").click()
    assert_shows(fig, W_Q, W_K)
    values = [f"{v:.1f}".replace("-", "−") for v in [*W_Q.flatten(), *W_K.flatten()]]
    assert fig.locator(".pv-shown").all_inner_texts() == values
    weights = softmax((X @ W_Q) @ (X @ W_K).T)
    said = fig.get_by_role("status").inner_text()
    assert said.startswith(
        f"“it” looks at “Ada” with {100 * weights[2, 0]:.0f} %, "
        f"and is looked at with {100 * weights[0, 2]:.0f} %."
    )
    assert fig.locator("svg").get_attribute("aria-label") == said
    fig.get_by_role("button", name="both the unit matrix").click()
    assert_shows(fig, UNIT, UNIT)


def test_the_keyboard_moves_sliders_and_reads_cells(visit):
    page = visit(drawn=[drawn()])
    fig = pages.figure(page, "look")
    fig.get_by_label("W_Q pronoun 1").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    w_q = torch.tensor([[1.0, 0], [1.5, 1]]).double()
    assert_shows(fig, w_q, UNIT)
    fig.locator("tbody td").first.focus()
    page.keyboard.press("ArrowDown")
    said = fig.get_by_role("status").inner_text()
    assert said == "“took” puts 17 % of its attention on “Ada”."


@pytest.mark.parametrize(("host", "theme"), pages.HOSTS)
def test_axe_finds_nothing_and_a_phone_is_wide_enough(visit, host, theme):
    page = visit(host, theme, [drawn(), drawn()], width=390, reduced_motion="reduce")
    page.get_by_role("button", name="made by hand").first.click()
    pages.assert_axe_finds_nothing(page, ".pv")
    looked = ".pv :is(th, td, p, label)"
    contrasts = page.locator(looked).evaluate_all(pages.CONTRAST)
    assert len(contrasts) > 100 and min(contrasts) >= 4.5
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("host", ["book", "lab"])
def test_it_shares_a_page_with_others_and_looks_as_alone(visit, host):
    together = among_others("look", drawn())
    parts = ":is(svg, path, text, table, td, th, li)"
    styles = "stroke strokeWidth strokeOpacity backgroundColor"
    assert_looks_as_alone(visit, host, together, parts, styles, reduced_motion="reduce")


def test_print_has_the_drawing_and_no_controls(visit):
    page = visit("book", "dark", drawn=[drawn()])
    page.emulate_media(media="print")
    assert page.locator("input:visible, button:visible").count() == 0
    assert page.locator("svg:visible, table:visible").count() == 2
