"""Two arrows to drag: what Python draws, and what the browser makes of a move."""

import math
import re

import pytest
import torch

from dot2gpt.arrows_picture import PLANE, arrows
from dot2gpt.dot_product import cosine_similarity, gram
from tests import test_pictures_browser as pages
from tests.moves import among_others, assert_looks_as_alone, drag, place, swipe, written

visit = pages.visit  # the fixture: an open page that asks for nothing and has no errors
WORDS = list("早上好晚安你我的")
X = torch.tensor(
    [
        [1.0, 2, 1, 2, 1],
        [1, 1, 3, 2, 1],
        [3, 1, 2, 1, 1],
        [3, -2, 0, 0, 0],
        [2, -2, -1, 0, 1],
        [1, 2, -2, 2, 0],
        [2, 2, -2, 1, 0],
        [6, 0, 0, 7, 2],
    ]
).double()


def drawn(pair=(0, 1), caption="Two arrows."):
    return arrows(X, WORDS, pair, caption=caption)


def moved(first, second):
    """The rows once 早 and 上 stand at these points of their plane, (time, 5)."""
    along = X[1] / X[1].norm()
    up = X[0] - (X[0] @ along) * along
    plane = torch.stack([along, up / up.norm()])
    x = X.clone()
    x[:2] = torch.tensor([first, second]).double() @ plane
    return x


def assert_shows(fig, first, second, near=0.02):
    """near: how far a number may lie off, for arrows that stand within 0.005."""
    x = moved(first, second)
    products, cosines = gram(x)[0], cosine_similarity(x)[0, 1].item()
    lengths = x.norm(dim=-1)
    long_a, angle, cosine, shadow, long_b, product = (
        written(text)[0] for text in fig.locator(".pv-read td").all_inner_texts()
    )
    assert (long_a, long_b) == pytest.approx(lengths[:2].tolist(), abs=near)
    assert cosine == pytest.approx(cosines, abs=near)
    assert angle == pytest.approx(math.degrees(math.acos(cosines)), abs=60 * near)
    assert shadow == pytest.approx((products[1] / lengths[1]).item(), abs=near)
    assert product == pytest.approx(products[1].item(), abs=10 * near)
    row = [written(t)[0] for t in fig.locator(".pv-scroll tbody td").all_inner_texts()]
    assert row == pytest.approx(products.tolist(), abs=0.051 + 12 * near)


def knobs(fig):
    return fig.get_by_role("slider", name="tip of")


# --- without a browser --------------------------------------------------------------


def test_it_starts_from_the_numbers_of_the_lesson():
    picture = drawn(caption="`x` <")
    said = repr(picture).splitlines()
    assert said[0] == "length of 早  3.32" and said[-1] == "`x` <"
    assert "shadow of 早 on 上  2.75" in said and "angle  34.0°" in said
    page = picture._repr_html_()
    row = re.findall(r"<td[^>]*--w[^>]*>([^<]*)</td>", page)
    assert row == ["11.0", "11.0", "10.0", "−1.0", "−2.0", "7.0", "6.0", "22.0"]
    assert "<code>x</code> &lt;" in page and "https:" not in page
    assert page == arrows(X.float(), WORDS, caption="`x` <")._repr_html_()
    assert len(page.encode()) < 30_000


def test_words_are_escaped():
    page = arrows(X[:2], ["<b>", "</script>"], caption="c")._repr_html_()
    assert "<b>" not in page and page.count("</script>") == 2


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="not a table of finite numbers"):
        arrows([1.0, 2.0], "ab", caption="c")
    with pytest.raises(ValueError, match="not a table of finite numbers"):
        arrows([[1.0, math.inf], [0, 1]], "ab", caption="c")
    with pytest.raises(ValueError, match="3 tokens"):
        arrows([[1.0, 0], [0, 1]], "abc", caption="c")
    for line in ([[1.0, 2], [2, 4]], [[1.0, 2], [0, 0]]):
        with pytest.raises(ValueError, match="lie on one line"):
            arrows(line, "ab", caption="c")
    with pytest.raises(ValueError, match="row 7 of x does not fit"):
        drawn((7, 0))


# --- in the browser -----------------------------------------------------------------


def test_the_page_without_script_shows_the_same(visit):
    looks = """all => all.map(e => [e.textContent, ...['d', 'x', 'y', 'cx', 'cy']
      .map(name => e.getAttribute(name)), Number(e.style.getPropertyValue('--w'))
      .toFixed(1)])"""
    parts = ".pv-stage :is(path, text, circle), .pv-read td, .pv-scroll td"
    for pair in ((0, 1), (4, 0)):
        before = visit(drawn=[drawn(pair)], java_script_enabled=False)
        after = visit(drawn=[drawn(pair)])
        want = before.locator(parts).evaluate_all(looks)
        assert after.locator(parts).evaluate_all(looks) == want
        assert len(want) == 5 + 8 + 6 + 6 + 9
        assert before.locator("[role=slider]").count() == 0


@pytest.mark.parametrize("host", ["book", "lab"])
def test_a_dragged_arrow_has_torchs_numbers(visit, host):
    page = visit(host, drawn=[drawn()])
    fig = pages.figure(page, "arrows")
    first, second = knobs(fig).all()
    points = {"a": place(first), "b": place(second)}
    assert points["b"] == (4.0, 0.0)
    moves = [("a", (-2, 1)), ("b", (2.5, 3)), ("a", (1.5, -2)), ("b", (-1, -1))]
    for name, to in moves:
        drag(page, {"a": first, "b": second}[name], to, PLANE)
        points[name] = to
        assert_shows(fig, points["a"], points["b"], near=0.03)
        drawn_to = fig.locator(f"path.pv-{name}").get_attribute("d").split("L")[1]
        x, y = map(float, drawn_to.split())
        assert (x / 40 + PLANE[0], PLANE[3] - y / 40) == pytest.approx(to, abs=0.02)


def test_the_shadow_ends_where_the_drop_does(visit):
    page = visit(drawn=[drawn()])
    fig = pages.figure(page, "arrows")
    drag(page, knobs(fig).nth(1), (3, 3), PLANE)
    drag(page, knobs(fig).nth(0), (-1, 2), PLANE)
    shadow, drop = (
        [
            written(point)
            for point in fig.locator(name).get_attribute("d")[1:].split("L")
        ]
        for name in (".pv-shadow", ".pv-drop")
    )
    assert shadow[1] == drop[1]
    x, y = shadow[1][0] / 40 + PLANE[0], PLANE[3] - shadow[1][1] / 40
    assert (x, y) == pytest.approx((0.5, 0.5), abs=0.03)


def test_arrow_keys_move_it_and_stay_in_the_picture(visit):
    page = visit(drawn=[drawn()])
    page.evaluate(
        "document.addEventListener('keydown', e => { window.leaked = e.key; })"
    )
    fig = pages.figure(page, "arrows")
    second = knobs(fig).nth(1)
    second.focus()
    for key in ("ArrowRight", "ArrowUp", "ArrowUp", "Shift+ArrowLeft", "ArrowDown"):
        page.keyboard.press(key)
    assert place(second) == (3.1, 0.1)
    assert_shows(fig, (2.75, 1.8540), (3.1, 0.1), near=0.006)
    for _ in range(20):
        page.keyboard.press("Shift+ArrowRight")
    assert place(second) == (7.0, 0.1), "it does not leave the drawing"
    assert page.evaluate("[window.leaked, scrollY]") == ["Shift", 0]
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.ariaLabel") == "tip of 早"


def test_a_finger_drags_an_arrow_and_not_the_page(visit):
    page = visit(drawn=[drawn()], width=390, has_touch=True)
    fig = pages.figure(page, "arrows")
    first = knobs(fig).first
    before = place(first)
    swipe(page, first, (0, -40))
    pixels = fig.locator(".pv-stage").bounding_box()["width"] / (PLANE[1] - PLANE[0])
    assert place(first)[0] == pytest.approx(before[0], abs=0.02)
    assert place(first)[1] == pytest.approx(before[1] + 40 / pixels, abs=0.05)
    assert page.evaluate("scrollY") == 0
    box = first.bounding_box()
    assert min(box["width"], box["height"]) >= 44


def test_the_buttons_set_an_arrow(visit):
    fig = pages.figure(visit(drawn=[drawn()]), "arrows")
    fig.get_by_role("button", name="right angle").click()
    assert_shows(fig, (0, 11**0.5), (4, 0))
    assert fig.get_by_role("status").inner_text().endswith("= 0.00: a right angle.")
    fig.get_by_role("button", name="上 of length 1").click()
    fig.get_by_role("button", name="start again").click()
    assert_shows(fig, (2.75, 1.854), (4, 0))
    fig.get_by_role("button", name="上 of length 1").click()
    assert_shows(fig, (2.75, 1.854), (1, 0))
    said = "早 · 上 = 2.75 × 1.00 = 2.75: they make less than 90°."
    assert fig.get_by_role("status").inner_text() == said
    assert fig.locator("svg").get_attribute("aria-label").endswith(said)


def test_an_arrow_of_length_0_has_no_direction(visit):
    page = visit(drawn=[drawn()])
    fig = pages.figure(page, "arrows")
    knobs(fig).nth(1).focus()
    for _ in range(4):
        page.keyboard.press("Shift+ArrowLeft")
    texts = fig.locator(".pv-read td").all_inner_texts()
    assert texts == ["3.32", "none", "none", "none", "0.00", "0.00"]
    assert "has no direction" in fig.get_by_role("status").inner_text()
    assert "NaN" not in fig.inner_html()
    fig.get_by_role("button", name="right angle").click()
    assert place(knobs(fig).first) == (2.75, 1.85)


@pytest.mark.parametrize(("host", "theme"), pages.HOSTS)
def test_axe_finds_nothing_and_a_phone_is_wide_enough(visit, host, theme):
    page = visit(host, theme, [drawn(), drawn()], width=390, reduced_motion="reduce")
    pages.assert_axe_finds_nothing(page, ".pv")
    looked = ".pv :is(th, td, p, .pv-a, .pv-b)"
    contrasts = page.locator(looked).evaluate_all(pages.CONTRAST)
    assert len(contrasts) > 40 and min(contrasts) >= 4.5
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("host", ["book", "lab"])
def test_it_shares_a_page_with_others_and_looks_as_alone(visit, host):
    together = among_others("arrows", drawn())
    parts = ":is(svg, path, text, table, td, th, li)"
    styles = "stroke strokeWidth color fill"
    assert_looks_as_alone(visit, host, together, parts, styles)


def test_print_has_the_drawing_and_no_handles(visit):
    page = visit("book", "dark", drawn=[drawn()])
    page.emulate_media(media="print")
    assert page.locator("[role=slider]:visible, .pv-hint:visible").count() == 0
    assert page.locator("svg:visible, table:visible").count() == 3
