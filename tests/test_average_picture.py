"""A query to drag among keys: what Python draws, and what the browser makes of it."""

import math

import numpy as np
import pytest
import torch

from dot2gpt.average_picture import FACTORS, PLANE, START, average
from dot2gpt.weighted_average import attend
from tests import test_pictures_browser as pages
from tests.moves import (
    among_others,
    assert_looks_as_alone,
    drag,
    place,
    slide,
    swipe,
    written,
)

visit = pages.visit  # the fixture: an open page that asks for nothing and has no errors
POINTS = torch.randn(
    8, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64
)

# How much of its cell a bar fills, the cell's padding aside.
BARS = """all => all.map(i => {
  const cell = i.parentElement, { paddingLeft } = getComputedStyle(cell);
  return i.getBoundingClientRect().width / (cell.clientWidth - parseFloat(paddingLeft));
})"""


def drawn(points=POINTS, names="ABCDEFGH", caption="A query among keys."):
    return average(points, names, caption=caption)


def disc(fig):
    """Where the average is drawn, in the plane."""
    x, y = (
        float(fig.locator("circle.pv-b").get_attribute(name)) for name in ("cx", "cy")
    )
    return x / PLANE[4] + PLANE[0], PLANE[3] - y / PLANE[4]


def corners(fig):
    """The corners of the polygon that is drawn, in the plane; the last is the first."""
    x, y = np.array(
        [written(p) for p in fig.locator(".pv-hull").get_attribute("d")[1:].split("L")]
    ).T
    return np.stack([x / PLANE[4] + PLANE[0], PLANE[3] - y / PLANE[4]], axis=1)


def outside(fig):
    """How far the disc lies outside the polygon that is drawn; 0 or less is inside."""
    at = corners(fig)
    ways = np.diff(at, axis=0)
    gap = np.array(disc(fig)) - at[:-1]
    turns = ways[:, 0] * gap[:, 1] - ways[:, 1] * gap[:, 0]
    return (-turns / np.linalg.norm(ways, axis=1)).max()


def assert_shows(fig, query, factor, near=0.001):
    """near: how far a weight may lie off, for a query within 0.005 of this one."""
    query = factor * torch.tensor([query]).double()
    output, weights = attend(query, POINTS)
    rows = fig.locator("tbody tr").all()
    shown = [written(row.locator(".pv-n").nth(1).inner_text())[0] for row in rows]
    assert shown == pytest.approx((100 * weights[0]).tolist(), abs=0.06 + 100 * near)
    assert disc(fig) == pytest.approx(output[0].tolist(), abs=0.02 + 5 * near)
    scores = [written(row.locator(".pv-n").nth(0).inner_text())[0] for row in rows]
    want = (query @ POINTS.T)[0].tolist()
    assert scores == pytest.approx(want, abs=0.006 + 6 * near * max(factor, 1))
    ties = fig.locator(".pv-tie").evaluate_all(
        "all => all.map(tie => parseFloat(getComputedStyle(tie).strokeWidth))"
    )
    assert ties == pytest.approx((14 * weights[0]).tolist(), abs=0.01 + 14 * near)
    bars = fig.locator(".pv-bar i").evaluate_all(BARS)
    assert bars == pytest.approx(weights[0].tolist(), abs=0.006 + near)
    assert outside(fig) < 0.01


def knob(fig):
    return fig.get_by_role("slider", name="tip of the query")


# --- without a browser --------------------------------------------------------------


def test_it_shows_the_scores_weights_and_the_hull():
    picture = drawn(
        [[1, 0], [0, 1.0], [-1, 0], [0, 0.5]], ["a", "<b>", "c", "d"], "`x`"
    )
    weights = torch.tensor([1, 0.5, -1, 0.25]).softmax(0)
    lines = repr(picture).splitlines()
    assert lines[1] == f"<b>  0.50  {100 * weights[1]:.1f} %" and lines[-1] == "`x`"
    page = picture._repr_html_()
    assert "&lt;b&gt;" in page and "<b>" not in page and "https:" not in page
    hull = page.split('class="pv-hull" d="M')[1].split('"')[0]
    assert hull == "120 150L240 150L180 90L120 150", "d lies inside"
    assert (
        page
        == drawn(
            torch.tensor([[1, 0], [0, 1.0], [-1, 0], [0, 0.5]]),
            ["a", "<b>", "c", "d"],
            "`x`",
        )._repr_html_()
    )
    assert len(page.encode()) < 30_000


def test_what_cannot_be_drawn_is_refused():
    for bad in ([1.0, 2.0], [[1.0, 2, 3]], [[1.0, math.nan]]):
        with pytest.raises(ValueError, match="not a table of finite numbers"):
            drawn(bad, "a")
    with pytest.raises(ValueError, match="point 1 is outside the drawing"):
        drawn([[0.0, 0], [9, 0]], "ab")
    with pytest.raises(ValueError, match="3 names"):
        drawn([[0.0, 0], [1, 0]], "abc")


# --- in the browser -----------------------------------------------------------------


def test_the_page_without_script_shows_the_same(visit):
    looks = """all => all.map(e => [e.textContent, e.style.width,
      parseFloat(e.style.getPropertyValue('--w')).toFixed(3),
      ...['d', 'x', 'y', 'cx', 'cy'].map(name => e.getAttribute(name))])"""
    parts = ".pv-stage :is(path, text, circle), tbody :is(th, td, i)"
    before = visit(drawn=[drawn()], java_script_enabled=False)
    after = visit(drawn=[drawn()])
    want = before.locator(parts).evaluate_all(looks)
    assert after.locator(parts).evaluate_all(looks) == want
    assert len(want) == (1 + 8 + 1) + (8 + 2) + (8 + 1) + 8 * 5


@pytest.mark.parametrize("host", ["book", "lab"])
def test_a_dragged_query_has_torchs_weights(visit, host):
    page = visit(host, drawn=[drawn()])
    fig = pages.figure(page, "average")
    assert_shows(fig, START, 1)
    for to, factor in (((-2.5, 1), 0.5), ((0.7, -1.5), 4), ((2.8, 2.2), 1)):
        slide(fig, "scores times", FACTORS.index(factor))
        drag(page, knob(fig), to, PLANE)
        assert_shows(fig, to, factor, near=0.02)
        assert_shows(fig, place(knob(fig)), factor, near=0.006 * max(1, factor))


def test_from_the_mean_to_a_single_corner(visit):
    page = visit(drawn=[drawn()])
    fig = pages.figure(page, "average")
    said = fig.get_by_role("status")
    for factor in FACTORS:
        slide(fig, "scores times", FACTORS.index(factor))
        assert_shows(fig, START, factor)
        if factor == 0:
            assert disc(fig) == pytest.approx(POINTS.mean(0).tolist(), abs=0.02)
            assert "the plain mean" in said.inner_text()
    farthest = (POINTS @ torch.tensor(START).double()).argmax()
    assert disc(fig) == pytest.approx(POINTS[farthest].tolist(), abs=0.02)
    assert said.inner_text().startswith("F takes all")
    assert fig.get_by_label("scores times").get_attribute("aria-valuetext") == "256"
    fig.get_by_role("button", name="start again").click()
    assert_shows(fig, START, 1)
    assert fig.locator(".pv-shown").inner_text() == "1"


def test_the_average_never_leaves_the_hull(visit):
    page = visit(drawn=[drawn()])
    fig = pages.figure(page, "average")
    assert {tuple(p) for p in corners(fig).round(1)} == {
        tuple(POINTS[n].numpy().round(1)) for n in (0, 2, 6, 5, 4)
    }
    knob(fig).focus()
    keys = ["ArrowLeft"] * 6 + ["ArrowUp"] * 3 + ["ArrowRight"] * 5 + ["ArrowDown"] * 5
    for n, key in enumerate(keys):
        page.keyboard.press(f"Shift+{key}")
        slide(fig, "scores times", n % len(FACTORS))
        assert outside(fig) < 0.01


def test_arrow_keys_move_the_query(visit):
    page = visit(drawn=[drawn()])
    fig = pages.figure(page, "average")
    knob(fig).focus()
    for key in ("ArrowLeft", "ArrowDown", "ArrowDown", "Shift+ArrowLeft"):
        page.keyboard.press(key)
    assert place(knob(fig)) == (-0.1, 0.3)
    assert_shows(fig, (-0.1, 0.3), 1)
    fig.get_by_label("scores times").focus()
    page.keyboard.press("ArrowRight")
    assert_shows(fig, (-0.1, 0.3), 2)


def test_a_finger_drags_the_query(visit):
    page = visit(drawn=[drawn()], width=390, has_touch=True)
    fig = pages.figure(page, "average")
    swipe(page, knob(fig), (-60, 30))
    pixels = fig.locator(".pv-stage").bounding_box()["width"] / (PLANE[1] - PLANE[0])
    x, y = place(knob(fig))
    assert (x, y) == pytest.approx((1 - 60 / pixels, 0.5 - 30 / pixels), abs=0.05)
    assert_shows(fig, (x, y), 1, near=0.006)


@pytest.mark.parametrize(("host", "theme"), pages.HOSTS)
def test_axe_finds_nothing_and_a_phone_is_wide_enough(visit, host, theme):
    page = visit(host, theme, [drawn(), drawn()], width=390, reduced_motion="reduce")
    pages.assert_axe_finds_nothing(page, ".pv")
    looked = ".pv :is(th, td, p, .pv-a, .pv-b)"
    contrasts = page.locator(looked).evaluate_all(pages.CONTRAST)
    assert len(contrasts) > 60 and min(contrasts) >= 4.5
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("host", ["book", "lab"])
def test_it_shares_a_page_with_others_and_looks_as_alone(visit, host):
    together = among_others("average", drawn())
    parts = ":is(svg, path, text, table, td, th, li, i)"
    styles = "stroke strokeWidth color backgroundColor"
    assert_looks_as_alone(visit, host, together, parts, styles)


def test_print_has_the_drawing_and_no_controls(visit):
    page = visit("book", "dark", drawn=[drawn()])
    page.emulate_media(media="print")
    assert page.locator("[role=slider]:visible, input:visible").count() == 0
    assert page.locator("svg:visible, table:visible").count() == 2
