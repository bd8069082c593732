"""The sliders on a next token: what Python draws, and what the browser makes of it."""

import itertools
import math

import pytest
import torch

from dot2gpt import pictures
from dot2gpt.generation import next_probabilities
from dot2gpt.sampling_picture import sliders
from tests import test_pictures_browser as pages

visit = pages.visit  # the fixture: an open page that asks for nothing and has no errors
SIZE, SHOWN = 300, 7


def logits():
    return (2.5 * torch.randn(SIZE, generator=torch.Generator().manual_seed(0))).round(
        decimals=4
    )


def tokens():
    return [f" t{n}".encode() for n in range(SIZE)]


def drawn(caption="What comes next."):
    return sliders(logits(), tokens(), shown=SHOWN, caption=caption)


def bars(p):
    """What the bars have to show: the likeliest tokens in order, then the others."""
    order = logits().argsort(descending=True, stable=True)
    top = p[order]
    return [*top[:SHOWN].tolist(), top[SHOWN:].sum().item()]


def set_slider(fig, n, value):
    fig.locator("input[type=range]").nth(n).evaluate(
        "(input, value) => { input.value = value; "
        "input.dispatchEvent(new Event('input', { bubbles: true })); }",
        value,
    )


def shown(fig):
    texts = fig.locator(".pv-share").all_inner_texts()
    return [0.0 if t == "out" else float(t.removesuffix(" %")) / 100 for t in texts]


# --- without a browser --------------------------------------------------------------


def test_it_shows_the_likeliest_tokens_and_the_rest():
    scores = torch.tensor([1.0, 8, 2, 1, 4]).log()
    picture = sliders(
        scores, [b"<", b" A", "早".encode(), b"\xe6", b"\n"], shown=3, caption="`x` <"
    )
    page = picture._repr_html_()
    assert repr(picture) == "\n".join(
        ["␣A  50.0 %", "⏎  25.0 %", "早  12.5 %", "2 others  12.5 %", "`x` <"]
    )
    for text in [">␣A</th>", ">50.0 %</td>", "width:12.5%", "<code>x</code> &lt;"]:
        assert text in page
    assert "https:" not in page
    assert (
        page
        == sliders(
            scores.double().numpy(),
            [b"<", b" A", "早".encode(), b"\xe6", b"\n"],
            shown=3,
            caption="`x` <",
        )._repr_html_()
    )


def test_few_tokens_have_no_rest_and_names_are_escaped():
    picture = sliders([0.0, 0.0], [b"</script>", b"b"], caption="c")
    assert "others" not in repr(picture)
    assert "&lt;/script&gt;" in picture._repr_html_()


def test_what_cannot_be_drawn_is_refused():
    for bad in ([[0.0]], [], [0.0, math.inf], [math.nan, 0.0]):
        with pytest.raises(ValueError, match="not one row of finite numbers"):
            sliders(bad, [b"a", b"b"], caption="c")
    with pytest.raises(ValueError, match="3 tokens, but 2 logits"):
        sliders([0.0, 1.0], [b"a", b"b", b"c"], caption="c")
    with pytest.raises(ValueError, match="shown=0 is not 1 or more"):
        sliders([0.0], [b"a"], shown=0, caption="c")


# --- in the browser -----------------------------------------------------------------


def test_the_browsers_probabilities_are_pythons(visit):
    fig = pages.figure(visit(drawn=[drawn()]), "sampling")
    counts = [1, 2, 3, 5, 10, 20, 30, 50, 100, 200, SIZE]
    for temperature, k, p in itertools.product(
        (0, 0.3, 1, 2), (0, 3, 4, 10), (0.05, 0.5, 0.95, 1)
    ):
        for n, value in enumerate((temperature, k, p)):
            set_slider(fig, n, value)
        want = next_probabilities(logits().double(), temperature, counts[k], p)
        assert shown(fig) == pytest.approx(bars(want), abs=0.00051)
        said = fig.get_by_role("status").inner_text()
        n_left = (want > 0).sum().item()
        perplexity = torch.special.entr(want).sum().exp().item()
        assert said.startswith(f"{n_left} of {SIZE} tokens can be drawn")
        varied = float(said.split("as varied as ")[1].split()[0])
        assert varied == pytest.approx(perplexity, abs=0.051)
        outs = fig.locator("tr.pv-out").count()
        assert outs == sum(share == 0 for share in bars(want))


def test_the_settings_are_said_and_off_at_their_ends(visit):
    fig = pages.figure(visit(drawn=[drawn()]), "sampling")
    values = fig.locator(".pv-shown")
    assert values.all_inner_texts() == ["1.00", "off", "off"]
    for n, value in enumerate((0, 3, 0.75)):
        set_slider(fig, n, value)
    assert values.all_inner_texts() == ["0.00", "5", "0.75"]
    assert fig.get_by_label("temperature").get_attribute("aria-valuetext") == "0.00"


def test_the_page_without_script_shows_the_same(visit):
    before = visit(drawn=[drawn()], java_script_enabled=False)
    after = visit(drawn=[drawn()])
    rows = "tbody tr"
    assert (
        before.locator(rows).all_inner_texts() == after.locator(rows).all_inner_texts()
    )
    widths = "all => all.map(bar => bar.getBoundingClientRect().width)"
    assert before.locator("i").evaluate_all(widths) == pytest.approx(
        after.locator("i").evaluate_all(widths), abs=1
    )
    assert len(set(before.locator("i").evaluate_all(widths))) > 4


@pytest.mark.parametrize("host", ["book", "lab"])
def test_it_and_a_grid_share_a_page_and_look_as_alone(visit, host):
    grid = pictures.matrix([[1, 2], [3, 4]], "ab", caption="c")
    boxes = """all => all.flatMap(x => {
      const style = getComputedStyle(x), box = x.getBoundingClientRect();
      return [box.width, box.height, style.backgroundColor, style.color];
    })"""
    both = visit(host, drawn=[drawn(), grid, drawn(), grid])
    for picture, kind in ((drawn(), "sampling"), (grid, "matrix")):
        alone = visit(host, drawn=[picture])
        parts = f".pv[data-kind={kind}] :is(table, tr, th, td, i)"
        want = alone.locator(parts).evaluate_all(boxes)
        assert both.locator(parts).evaluate_all(boxes) == want * 2
        assert len(want) > 30


@pytest.mark.parametrize(("host", "theme"), pages.HOSTS)
def test_axe_finds_nothing_and_a_phone_is_wide_enough(visit, host, theme):
    page = visit(host, theme, [drawn(), drawn()], width=390, reduced_motion="reduce")
    set_slider(pages.figure(page, "sampling"), 1, 2)
    pages.assert_axe_finds_nothing(page, ".pv")
    contrasts = page.locator(".pv :is(th, .pv-share)").evaluate_all(pages.CONTRAST)
    assert len(contrasts) > 30 and min(contrasts) >= 4.5
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
