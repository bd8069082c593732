"""The sentence of the front page: driven by mouse and keyboard, beside torch."""

import math

import pytest
import torch

from dot2gpt.page.sentence import FEATURES, ROWS, STEPS, WORDS, attend
from tests import test_pictures_browser as pages

visit = pages.visit  # the fixture: an open page that asks for nothing and has no errors
TEXT, QUERY = "the cat sat because it was tired", 4
LINKS = {f"0{n}": (f"#{n}", f"Chapter {n} · <i>Title</i>") for n in range(1, 6)}
NAMES = [name for name, _, _ in STEPS]


def drawn():
    return attend(TEXT, QUERY, LINKS, caption="A `caption` < others.")


@pytest.fixture
def fig(visit):
    return pages.figure(visit(drawn=[drawn()]), "sentence")


def rows_of(*words):
    return torch.tensor([[float(number) for number in ROWS[word]] for word in words])


def expected(x, at):
    """The columns of each step as the page shows them, by hand: {step: (words, n)}."""
    scores = (x @ x.T)[at]
    scaled = scores / math.sqrt(x.shape[1])
    may = torch.arange(len(x)) <= at
    masked = scaled.masked_fill(~may, -math.inf)
    weights = masked.softmax(0)
    products = x[at] * x, weights[:, None] * x
    columns = torch.stack([scores, scaled, masked, weights], 1)
    return [
        x,
        torch.cat([products[0], columns[:, :1]], 1),
        columns[:, :2],
        columns[:, 1:3],
        columns[:, 2:],
        torch.cat([columns[:, 3:], products[1]], 1),
    ], torch.cat([weights.sum()[None], weights @ x])


def number(cell):
    """What a cell says: a number, a product of two, or −∞."""
    if cell.locator("input").count():
        return float(cell.locator("input").input_value())
    text = cell.inner_text().replace("−∞", "-inf")
    return math.prod(map(float, text.split("·")))


def table(fig, part="tbody"):
    rows = fig.locator(f".stage {part} tr").all()
    return torch.tensor([[number(c) for c in row.locator("td").all()] for row in rows])


def words(fig):
    return fig.locator(".stage tbody th").all_inner_texts()


def check(fig, x, at, step):
    columns, mix = expected(x, at)
    # weights are shown with two decimals, and three times that is off by 0.015
    close = {"atol": 0.0151, "rtol": 0}
    torch.testing.assert_close(table(fig), columns[step], **close)
    if step == 5:
        torch.testing.assert_close(table(fig, "tfoot"), mix[None], atol=0.0051, rtol=0)


def choose(fig, group, name, nth=0):
    radios = fig.get_by_role("radiogroup", name=group)
    radios.locator("label").get_by_text(name, exact=True).nth(nth).click()


def say(fig):
    return fig.get_by_role("status").inner_text()


# --- the numbers --------------------------------------------------------------------


def test_each_step_of_each_word_is_torchs(fig):
    x = rows_of(*TEXT.split())
    for at, word in enumerate(TEXT.split()):
        choose(fig, "query", word)
        for step, name in enumerate(NAMES):
            choose(fig, "step", name)
            assert words(fig) == TEXT.split()
            check(fig, x, at, step)
            assert fig.locator("tbody .pv-row th").inner_text() == word


def test_the_heat_map_is_the_whole_table(fig):
    x = rows_of(*TEXT.split())
    may = torch.ones(7, 7).tril().bool()
    scores = x @ x.T
    scaled = scores / 2
    weights = scaled.masked_fill(~may, -math.inf).softmax(-1)
    most = scores.max()
    want = [scores / most, scaled / most, scaled / most * may, weights]
    assert not fig.locator(".squares").is_visible()  # the first table is whole
    for step, table in enumerate([*want, weights @ x / 3], start=1):
        choose(fig, "step", NAMES[step])
        strengths = fig.locator(".squares div").evaluate_all(
            "all => all.map(div => [...div.children].map("
            "i => +i.style.getPropertyValue('--w')))"
        )
        torch.testing.assert_close(torch.tensor(strengths), table, atol=1e-4, rtol=0)
        out = fig.locator(".squares .pv-masked").count()
        assert out == (21 if NAMES[step] == "mask" else 0)
    fig.locator(".squares div").nth(1).click()
    assert fig.locator(".pv-row th").inner_text() == "cat"
    assert fig.locator(".squares .on").count() == 1


# --- by keyboard, and what a voice says ---------------------------------------------


def test_a_walk_by_arrow_keys_is_told(visit):
    page = visit(drawn=[drawn()])
    fig = pages.figure(page, "sentence")
    radio = fig.get_by_role("radiogroup", name="step").get_by_role("radio")
    radio.first.focus()
    told = [say(fig)]
    for _ in NAMES[1:]:
        page.keyboard.press("ArrowRight")
        told.append(say(fig))
    assert told == [
        "“it” is alive 2, thing 1, action 0, quality 0.",
        "“it” · “cat” = 2·3 + 1·1 + 0·0 + 0·0 = 7.",
        "“it” and “cat”: 7 ÷ √4 = 3.50.",
        "“it” may not look at “was”, “tired”.",
        "“it” looks at “cat” 65 %, “it” 24 %, “sat” 5 %.",
        "“it” was alive 2.00, thing 1.00, action 0.00, quality 0.00, and is now "
        "alive 2.50, thing 0.93, action 0.16, quality 0.00.",
    ]
    fig.get_by_role("radiogroup", name="query").get_by_role("radio").nth(4).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert say(fig).startswith("“tired” was alive 2.00")
    fig.get_by_role("button", name="back").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert say(fig) == "“tired” is the last word: nothing is hidden from it."
    fig.get_by_role("button", name="next").click()
    assert say(fig).startswith("“tired” looks at “tired” ")


def test_each_step_leads_to_its_chapter(fig):
    for name, what, chapter in STEPS:
        choose(fig, "step", name)
        shown = fig.locator(".steps > li:visible")
        assert shown.count() == 1 and what in shown.inner_text()
        assert shown.get_by_role("link").get_attribute("href") == LINKS[chapter][0]
    assert fig.get_by_role("button", name="next").is_disabled()


# --- the reader's own words ---------------------------------------------------------


def test_any_sentence_is_read(fig):
    box = fig.get_by_label("your sentence")
    box.fill("Dogs didn’t bark, she zoomed!")
    assert words(fig) == ["Dogs", "didn’t", "bark", "she", "zoomed"]
    known = [ROWS["dog"], ROWS["didn't"], "0300", ROWS["she"], "1030"]
    x = torch.tensor([[float(n) for n in row] for row in known])
    for at, step in ((4, 0), (4, 5), (0, 4)):
        choose(fig, "query", words(fig)[at])
        choose(fig, "step", NAMES[step])
        check(fig, x, at, step)
    box.fill("早上好 GPT-2")
    assert words(fig) == ["早", "上", "好", "GPT-2"]
    box.fill("a b c d e f g h i j k l")
    assert len(words(fig)) == 10 and say(fig) == "The first 10 words are taken."
    box.fill(" !")
    assert len(words(fig)) == 10 and say(fig) == "Write a word or more."
    box.fill("<b>")
    assert words(fig) == ["b"]


def test_a_changed_number_moves_all_that_follows(visit):
    page = visit(drawn=[drawn()])
    fig = pages.figure(page, "sentence")
    fig.get_by_label("your sentence").fill("the cat saw the mat")
    choose(fig, "query", "mat")
    field = fig.get_by_label("alive of the")
    field.first.focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert [each.input_value() for each in field.all()] == ["2", "2"]
    fig.get_by_label("quality of mat").fill("7")
    x = rows_of("the", "cat", "saw", "the", "the")
    x[[0, 3], 0] = 2
    x[4] = torch.tensor([0, 3, 0, 3])
    for step in range(1, 6):
        choose(fig, "step", NAMES[step])
        check(fig, x, 4, step)
    choose(fig, "step", "X")
    assert fig.get_by_label("quality of mat").input_value() == "3"
    fig.get_by_label("your sentence").fill("the mat")  # what was changed stays
    check(fig, x[3:], 1, 0)


# --- everywhere ---------------------------------------------------------------------


@pytest.mark.parametrize(("host", "theme"), pages.HOSTS)
def test_axe_finds_nothing_and_a_phone_is_wide_enough(visit, host, theme):
    page = visit(host, theme, [drawn()], width=390, reduced_motion="reduce")
    fig = pages.figure(page, "sentence")
    for name in NAMES:
        choose(fig, "step", name)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        scroll = fig.locator(".stage .pv-scroll")
        assert scroll.evaluate("box => box.scrollWidth <= box.clientWidth"), name
        if name in ("X", "mask", "mix"):
            pages.assert_axe_finds_nothing(page, ".pv")
    contrasts = fig.locator(".stage tbody td").evaluate_all(pages.CONTRAST)
    assert min(contrasts) >= 4.5


def test_a_long_word_fits_a_phone(visit):
    page = visit(drawn=[drawn()], width=390)
    fig = pages.figure(page, "sentence")
    fig.get_by_label("your sentence").fill("a" * 60 + " is a word")
    for name in NAMES:
        choose(fig, "step", name)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
    pages.assert_axe_finds_nothing(page, ".pv")


@pytest.mark.parametrize("how", ["no JavaScript", "on paper"])
def test_it_reads_without_its_controls(visit, how):
    page = visit(drawn=[drawn()], java_script_enabled=how == "on paper")
    fig = pages.figure(page, "sentence")
    still = fig.locator(".still")
    if how == "on paper":
        assert not still.is_visible()
        page.emulate_media(media="print")
        assert not fig.locator(".stage").is_visible()
    assert still.is_visible()
    assert fig.locator(".steps > li:visible").count() == len(STEPS)
    shown = [
        [text.replace("−∞", "-inf") for text in row.locator("td").all_inner_texts()]
        for row in still.locator("tbody tr").all()
    ]
    columns, mix = expected(rows_of(*TEXT.split()), QUERY)
    scored = torch.cat([columns[0], columns[2], columns[4]], 1)
    got = torch.tensor([[float(text) for text in row] for row in shown[:-1]])
    torch.testing.assert_close(got, scored, atol=0.0051, rtol=0)
    assert [float(text) for text in shown[-1] if text] == pytest.approx(
        mix[1:].tolist(), abs=0.0051
    )
    assert "“it” in “the cat sat because it was tired”" in fig.inner_text()
    assert "A caption < others." in fig.inner_text()


def test_a_word_has_one_row_and_the_picture_is_small():
    listed = [word for words in WORDS.values() for word in words.split()]
    assert len(listed) == len(ROWS)
    assert all(len(row) == len(FEATURES) and set(row) <= set("0123") for row in WORDS)
    assert len(drawn()._repr_html_().encode()) < 30_000
    with pytest.raises(KeyError, match="xyzzy"):
        attend("the xyzzy", 0, LINKS, caption="c")
