"""A mask to click: what Python draws, and what the browser makes of a click."""

import math
from functools import partial

import pytest
import torch

from dot2gpt import pictures
from dot2gpt.mask_picture import masks
from dot2gpt.masking import causal_mask, influence
from dot2gpt.scaling import scaled_dot_product_attention
from tests import test_pictures_browser as pages
from tests.moves import assert_looks_as_alone, written

visit = pages.visit  # the fixture: an open page that asks for nothing and has no errors
WORDS = ["[pad]", "the", "cat", "sat", "down"]
REAL = [False, True, True, True, True]
X = (
    torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    .double()
    .round(decimals=4)
)
RULES = {
    "no mask": torch.ones(5, 5, dtype=torch.bool),
    "causal": causal_mask(5),
    "padding": torch.tensor(REAL).expand(5, 5),
    "causal & padding": causal_mask(5) & torch.tensor(REAL),
}


def drawn(x=X, words=WORDS, real=REAL, caption="A mask."):
    return masks(x, words, real, caption=caption)


def moves(mask, changed):
    """How far each output moves when a vector is turned round, (time,)."""
    new = X.clone()
    new[changed] *= -1
    before, after = (under(mask, x)[0] for x in (X, new))
    return (after - before).norm(dim=-1)


def under(mask, x):
    return scaled_dot_product_attention(x, x, x, mask)


def assert_shows(fig, mask, changed):
    weights = under(mask, X)[1]
    cells = fig.locator(".pv-scroll tbody td")
    shown = [written("0" + text)[0] for text in cells.all_inner_texts()]
    shown = [w % 10 for w in shown]  # "01.00" is 1
    assert shown == pytest.approx(weights.flatten().tolist(), abs=0.0051)
    looks = "all => all.map(c => [c.className.includes('pv-masked'), c.ariaSelected])"
    assert cells.evaluate_all(looks) == [
        [not may, str(may).lower()] for may in mask.flatten().tolist()
    ]
    want = moves(mask, changed)
    texts = fig.locator(".pv-bars .pv-n").all_inner_texts()
    assert [float(text) for text in texts] == pytest.approx(want.tolist(), abs=0.0051)
    assert [text == "0" for text in texts] == (want == 0).tolist()
    widths = fig.locator(".pv-bars i").evaluate_all(
        "all => all.map(i => parseFloat(i.style.width))"
    )
    most = 2 * X[changed].norm()
    assert widths == pytest.approx((100 * want / most).clip(0, 100).tolist(), abs=0.06)
    said = fig.get_by_role("status").inner_text()
    feels = [f"“{word}”" for word, move in zip(WORDS, want) if move]
    assert f"is felt by: {', '.join(feels) or 'none'}." in said
    blind = [f"“{word}”" for word, row in zip(WORDS, mask) if not row.any()]
    assert said.endswith(f"so gets 0: {', '.join(blind)}.") == bool(blind)


# --- without a browser --------------------------------------------------------------


def test_it_starts_without_a_mask_and_changes_the_last_word():
    picture = drawn(X[:, :2], ["a", "<b>", "c", "d", "e"], caption="`x` <")
    x = X[:, :2]
    weights = (x @ x.T / math.sqrt(2)).softmax(-1)
    lines = repr(picture).splitlines()
    assert lines[-1] == "`x` <" and lines[1].startswith("<b>  ")
    shown = [float(number) for number in lines[1].split()[1:6]]
    assert shown == pytest.approx(weights[1].tolist(), abs=0.0051)
    page = picture._repr_html_()
    assert "<b>" not in page and "&lt;b&gt;" in page and "https:" not in page
    assert (
        page
        == drawn(x.numpy(), ["a", "<b>", "c", "d", "e"], caption="`x` <")._repr_html_()
    )
    assert len(page.encode()) < 30_000


def test_what_cannot_be_drawn_is_refused():
    for bad in ([1.0, 2.0], [[math.inf]], [[]]):
        with pytest.raises(ValueError, match="not a table of finite numbers"):
            drawn(bad, "a", [True])
    with pytest.raises(ValueError, match="2 tokens"):
        drawn(X, "ab")
    with pytest.raises(ValueError, match="2 booleans in real, but 5 tokens"):
        drawn(real=[True, False])


# --- in the browser -----------------------------------------------------------------


def test_the_page_without_script_shows_the_same(visit):
    looks = "all => all.map(e => [e.textContent, e.style.width])"
    parts = ".pv :is(th, td, i, .pv-feel)"
    before = visit(drawn=[drawn()], java_script_enabled=False)
    after = visit(drawn=[drawn()])
    want = before.locator(parts).evaluate_all(looks)
    assert after.locator(parts).evaluate_all(looks) == want and len(want) == 60


@pytest.mark.parametrize("host", ["book", "lab"])
def test_each_button_and_word_has_the_librarys_numbers(visit, host):
    fig = pages.figure(visit(host, drawn=[drawn()]), "mask")
    assert_shows(fig, RULES["no mask"], 4)
    for changed in (0, 3):
        fig.locator(".pv-pick label").nth(changed).click()
        for name, mask in RULES.items():
            fig.get_by_role("button", name=name, exact=True).click()
            assert_shows(fig, mask, changed)


def test_what_is_felt_is_what_has_an_influence(visit):
    fig = pages.figure(visit(drawn=[drawn()]), "mask")
    for name, mask in RULES.items():
        fig.get_by_role("button", name=name, exact=True).click()
        table = influence(partial(under, mask), X)
        for changed in range(5):
            fig.locator(".pv-pick label").nth(changed).click()
            texts = fig.locator(".pv-bars .pv-n").all_inner_texts()
            assert [text != "0" for text in texts] == (table[:, changed] != 0).tolist()


def test_a_click_hides_a_key_and_another_shows_it(visit):
    fig = pages.figure(visit(drawn=[drawn()]), "mask")
    mask, cells = RULES["causal"].clone(), fig.locator(".pv-scroll tbody td")
    fig.get_by_role("button", name="causal", exact=True).click()
    for i, j in ((1, 4), (3, 3), (0, 0), (4, 4), (3, 3)):
        cells.nth(5 * i + j).click()
        mask[i, j] = ~mask[i, j]
        assert_shows(fig, mask, 4)
    assert "Sees nothing, so gets 0: “[pad]”" in fig.get_by_role("status").inner_text()
    cells.nth(2).hover()
    said = fig.get_by_role("status").inner_text()
    assert said.startswith("“[pad]” may not look at “cat”. A change of “down”")


def test_the_keyboard_does_all_of_it(visit):
    page = visit(drawn=[drawn()])
    page.set_viewport_size({"width": 1000, "height": 450})  # a page that would scroll
    page.evaluate(
        "document.addEventListener('keydown', e => { window.leaked = e.key; })"
    )
    fig = pages.figure(page, "mask")
    assert page.evaluate("document.documentElement.scrollHeight") > 600
    mask = RULES["no mask"].clone()
    fig.locator(".pv-scroll tbody td").first.focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "Enter", "ArrowDown", " "):
        page.keyboard.press(key)
    mask[1, 2] = mask[2, 2] = False
    assert_shows(fig, mask, 4)
    assert page.evaluate("[window.leaked ?? null, scrollY]") == [None, 0]
    page.keyboard.press("Tab")  # from the one stop of the table to the words
    page.keyboard.press("ArrowUp")
    assert_shows(fig, mask, 3)


def test_a_finger_taps_a_cell(visit):
    fig = pages.figure(visit(drawn=[drawn()], width=390, has_touch=True), "mask")
    fig.locator(".pv-scroll tbody td").nth(1).tap()
    mask = RULES["no mask"].clone()
    mask[0, 1] = False
    assert_shows(fig, mask, 4)


@pytest.mark.parametrize(("host", "theme"), pages.HOSTS)
def test_axe_finds_nothing_and_a_phone_is_wide_enough(visit, host, theme):
    page = visit(host, theme, [drawn(), drawn()], width=390, reduced_motion="reduce")
    page.get_by_role("button", name="causal & padding").first.click()
    pages.assert_axe_finds_nothing(page, ".pv")
    contrasts = page.locator(".pv :is(th, td, p)").evaluate_all(pages.CONTRAST)
    assert len(contrasts) > 80 and min(contrasts) >= 4.5
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("host", ["book", "lab"])
def test_it_shares_a_page_with_others_and_looks_as_alone(visit, host):
    grid = pictures.matrix([[1, 2], [3, 4]], "ab", caption="c")
    together = {"mask": drawn(), "matrix": grid}
    parts = ":is(table, td, th, i)"
    styles = "cursor color backgroundColor backgroundImage"
    assert_looks_as_alone(visit, host, together, parts, styles)


def test_print_has_the_tables_and_no_controls(visit):
    page = visit("book", "dark", drawn=[drawn()])
    page.emulate_media(media="print")
    hidden = ".pv-controls:visible, .pv-hint:visible, .pv-say:visible"
    assert page.locator(hidden).count() == 0
    assert page.locator("table:visible").count() == 2
