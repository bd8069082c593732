"""The pictures in Chromium, inside the real style sheets of the book and JupyterLab."""

import functools
import importlib.util
import itertools
import re
import sys
from pathlib import Path

import pytest
import torch

from dot2gpt import pictures

HOSTS = [(host, theme) for host in ("book", "lab") for theme in ("light", "dark")]
WORDS = ["the", "cat", "sat", "because", "it", "was", "tired"]


def draw_all():
    """One picture of each kind, and cross-attention, by name."""
    rng = torch.Generator().manual_seed(0)
    scores = 2 * torch.randn(3, 7, 7, generator=rng)
    x = torch.randn(5, 8, generator=rng)
    unit = torch.nn.functional.normalize(x)
    q, k, v = torch.randn(3, 4, 4, generator=rng)
    return {
        "attention": pictures.attention(
            scores, WORDS, caption="Three heads.", heads=["near", "far", "noise"]
        ),
        "cross": pictures.attention(
            scores[:1, :3, :4],
            ["早上", "好", "</script>"],
            ["<b>", " good", "\n", ""],
            caption="From Chinese to English.",
        ),
        "matrix": pictures.matrix(
            {"dot product": x @ x.T, "cosine": unit @ unit.T},
            ["cat", "dog", "car", "bus", "tree"],
            caption="Two ways to compare words.",
        ),
        "lines": pictures.lines(
            scores.softmax(-1), WORDS, caption="Who looks at whom."
        ),
        "steps": pictures.steps(
            1.5 * q,
            k,
            v,
            WORDS[:4],
            mask=torch.ones(4, 4).tril().bool(),
            caption="One head, step by step.",
        ),
        "quiz": pictures.quiz(
            "Why divide by `√d_k`?",
            [
                ("So that the rows add up to 1", False, "Softmax alone does that."),
                ("So that softmax is not saturated", True, "The variance stays `1`."),
                ("To save memory", False, "The size is the same."),
            ],
        ),
    }


def package_file(package, path):
    found = importlib.util.find_spec(package)
    return (Path(found.origin).parent / path).read_text(encoding="utf-8")


def assert_axe_finds_nothing(page, where):
    """where: a selector of what is looked at. Contrasts must be among it."""
    page.evaluate(package_file("axe_playwright_python", "axe.min.js"))
    # What passes is not described: that takes most of the time.
    run = "where => axe.run(where, {resultTypes: ['violations']})"
    result = page.evaluate(run, where)
    found = [(v["id"], v["nodes"][0]["html"][:120]) for v in result["violations"]]
    assert found == []
    assert "color-contrast" in {rule["id"] for rule in result["passes"]}


@functools.cache
def host_css(host, theme):
    """The style sheets that the picture meets, out of the installed packages."""
    if host == "book":
        base = "theme/{0}/static/styles/{1}.css"
        return "\n".join(
            [
                package_file(
                    "pydata_sphinx_theme",
                    base.format("pydata_sphinx_theme", "pydata-sphinx-theme"),
                ),
                package_file(
                    "sphinx_book_theme",
                    base.format("sphinx_book_theme", "sphinx-book-theme"),
                ),
                package_file("myst_nb", "static/mystnb.css"),
            ]
        )
    lab = Path(sys.prefix) / "share/jupyter/lab"
    core = next(lab.glob("static/jlab_core*.js")).read_text(encoding="utf-8")
    core = core.replace("\\n", "\n")
    rules = re.findall(r"(?<=[\n}])\.jp-RenderedHTMLCommon[^{}`]*\{[^{}]*\}", core)
    assert rules, "JupyterLab keeps its style sheet somewhere else now"
    colours = lab / f"themes/@jupyterlab/theme-{theme}-extension/index.css"
    return colours.read_text(encoding="utf-8") + "\n".join(rules)


def page_html(host, theme, drawn):
    outputs = [picture._repr_html_() for picture in drawn]
    css = f"<style>{host_css(host, theme)}</style>"
    if host == "book":
        cells = "".join(
            '<div class="cell docutils container"><div class="cell_output docutils '
            f'container"><div class="output text_html">{html}</div></div></div>'
            for html in outputs
        )
        html, body = (
            f'<html lang="en" data-theme="{theme}">',
            (
                '<body><div class="bd-container"><div class="bd-container__inner '
                'bd-page-width"><main class="bd-main"><div class="bd-content"><div '
                'class="bd-article-container"><article class="bd-article"><h1>Page</h1>'
                f"{cells}</article></div></div></main></div></div></body>"
            ),
        )
    else:
        cells = "".join(
            f'<div class="jp-RenderedHTMLCommon jp-RenderedHTML">{html}</div>'
            for html in outputs
        )
        light = "true" if theme == "light" else "false"
        html, body = (
            '<html lang="en">',
            (
                f'<body data-jp-theme-light="{light}" style="margin:1em;background:'
                "var(--jp-layout-color0);color:var(--jp-content-font-color1);"
                'font-family:var(--jp-ui-font-family)"><main>'
                f"<h1>Page</h1>{cells}</main></body>"
            ),
        )
    return (
        f'<!DOCTYPE html>{html}<head><meta charset="utf-8"><title>Page</title>'
        f'<meta name="viewport" content="width=device-width">{css}</head>{body}</html>'
    )


@pytest.fixture
def visit(browser, tmp_path):
    """visit(host, theme, pictures, width=…, **context): an open page, watched.

    Any request other than the page itself, any error in the console fails the test.
    """
    contexts, problems = [], []

    def go(host="book", theme="light", drawn=None, width=1000, **options):
        path = tmp_path / f"{len(contexts)}.html"
        drawn = draw_all().values() if drawn is None else drawn
        path.write_text(page_html(host, theme, drawn), encoding="utf-8")
        size = {"width": width, "height": 900}
        contexts.append(browser.new_context(viewport=size, **options))
        page = contexts[-1].new_page()
        page.on("request", lambda r: r.url == path.as_uri() or problems.append(r.url))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda m: m.type == "error" and problems.append(m.text))
        page.goto(path.as_uri())
        return page

    yield go
    for context in contexts:
        context.close()
    assert problems == []


def figure(page, kind, n=0):
    return page.locator(f".pv[data-kind={kind}]").nth(n)


def shown(fig):
    """The numbers of a figure's visible table, rows x columns."""
    rows = fig.locator("table:visible tbody tr").all()
    return torch.tensor(
        [
            [
                float(text.replace("−", "-"))
                for text in row.locator("td").all_inner_texts()
            ]
            for row in rows
        ],
        dtype=torch.float64,
    )


def set_slider(fig, value):
    fig.locator("input[type=range]").evaluate(
        "(input, value) => { input.value = value; "
        "input.dispatchEvent(new Event('input', { bubbles: true })); }",
        value,
    )


# --- the numbers --------------------------------------------------------------------


def test_the_browsers_softmax_is_torchs(visit):
    scores = 3 * torch.randn(3, 6, 6, generator=torch.Generator().manual_seed(1))
    page = visit(drawn=[pictures.attention(scores, WORDS[:6], caption="c")])
    fig = figure(page, "attention")
    future = ~torch.ones(6, 6).tril().bool()
    moves = itertools.product((0, 2), (-3, 0, 1.25, 4), (False, True))
    for head, power, causal in moves:
        fig.locator(".pv-pick label").nth(head).click()
        set_slider(fig, power)
        fig.get_by_label("causal mask").set_checked(causal)
        expected = scores[head].double() / 2**power
        if causal:
            expected = expected.masked_fill(future, -torch.inf)
        torch.testing.assert_close(
            shown(fig), expected.softmax(-1), atol=0.0051, rtol=0
        )


def test_the_script_shows_what_python_drew(visit):
    rng = torch.Generator().manual_seed(2)
    ties = torch.zeros(8, 8).masked_fill(~torch.ones(8, 8).tril().bool(), -torch.inf)
    drawn = [
        *draw_all().values(),
        pictures.attention(ties, "abcdefgh", caption="Ties: 1/8 is .125."),
        pictures.attention(torch.randn(9, 9, generator=rng), "abcdefghi", caption="c"),
    ]
    texts = "all => all.map(td => td.textContent + ' ' + td.className)"
    before = visit(drawn=drawn, java_script_enabled=False)
    after = visit(drawn=drawn)
    cells = ".pv tbody td"
    assert after.locator(cells).evaluate_all(texts) == before.locator(
        cells
    ).evaluate_all(texts)
    assert ".13" in after.locator(cells).all_inner_texts()


def test_masked_scores_stay_masked_for_every_divisor(visit):
    scores = [[1.0, -float("inf")], [-float("inf"), 2.0]]
    page = visit(drawn=[pictures.attention(scores, "ab", caption="c")])
    fig = figure(page, "attention")
    set_slider(fig, 4)
    assert fig.locator("tbody td").all_inner_texts() == ["1.00", "0", "0", "1.00"]


def test_colours_from_python_are_those_of_the_style_sheet(visit):
    page = visit()
    pairs = page.locator(".pv:not([data-kind=steps]) tbody td:not(.pv-masked)")
    pairs = pairs.evaluate_all("""all => all.map(td => {
      const plain = td.style.backgroundColor.match(/[\\d.]+/g).map(Number);
      td.style.transition = 'none';
      const css = getComputedStyle(td).backgroundColor.match(/[\\d.]+/g).map(Number);
      const unit = getComputedStyle(td).backgroundColor.startsWith('color(') ? 255 : 1;
      return [plain, css.slice(0, 3).map(x => x * unit)];
    })""")
    assert len(pairs) > 80
    for plain, css in pairs:
        assert css == pytest.approx(plain, abs=1.5)


# --- each picture -------------------------------------------------------------------


def test_attention_says_the_cell_and_moves_with_the_arrow_keys(visit):
    scores = [[0.0, 0.0, 0.0], [0.0, 3.0, 0.0], [1.0, 2.0, 3.0]]
    page = visit(drawn=[pictures.attention(scores, ["a", "b", "c"], caption="c")])
    fig = figure(page, "attention")
    say = fig.get_by_role("status")
    cell = fig.locator("tbody td")
    cell.nth(4).hover()
    assert say.inner_text() == "“b” puts 91 % of its attention on “b”."
    assert "pv-row" in fig.locator("tbody tr").nth(1).get_attribute("class")
    cell.nth(0).focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    assert say.inner_text() == "“c” puts 67 % of its attention on “c”."
    fig.get_by_label("causal mask").check()
    page.keyboard.press("Shift+Tab")
    cell.nth(2).hover()
    assert say.inner_text() == "“a” may not look at “c”."
    assert fig.locator("tbody td[tabindex='0']").count() == 1


def test_one_tab_stop_a_table_and_arrows_stay_in_the_picture(visit):
    page = visit(drawn=[pictures.matrix([[1, 2], [3, 4]], "ab", caption="c")])
    page.evaluate(
        "document.addEventListener('keydown', e => { window.leaked = e.key; })"
    )
    page.keyboard.press("Tab")
    page.keyboard.press("End")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.textContent") == "2"
    page.keyboard.press("ArrowUp")
    assert page.evaluate("[document.activeElement.textContent, window.leaked]") == [
        "2",
        "End",
    ]
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "BODY"
    assert figure(page, "matrix").get_attribute("data-lm-suppress-shortcuts") == ""


def test_matrix_switches_its_values_and_legend(visit):
    page = visit()
    fig = figure(page, "matrix")
    fig.locator("tbody td").nth(0).hover()
    assert fig.get_by_role("status").inner_text() == "“cat”, “cat”: 6.01 (dot product)"
    fig.get_by_text("cosine").click()
    assert shown(fig).diagonal().tolist() == [1.0] * 5
    assert fig.locator(".pv-legend").inner_text().split()[1:] == ["−0.56", "1.00"]
    assert fig.get_by_role("status").inner_text() == "“cat”, “cat”: 1.00 (cosine)"


def test_a_switched_legend_is_the_one_that_python_draws(visit):
    names = {"both": [[-1, 3]], "less": [[-3, -1]], "none": [[0, 0]], "mask": [[0, 1]]}
    drawn = [pictures.matrix(names, "a", "xy", caption="c")]
    drawn += [pictures.matrix(v, "a", "xy", caption="c") for v in names.values()]
    page = visit(drawn=drawn)
    first, *others = page.locator(".pv-legend").all()
    looks = """legend => {
      const bar = getComputedStyle(legend.querySelector('i'));
      return [legend.innerText, bar.backgroundSize, bar.backgroundPosition];
    }"""
    for name, wanted in zip(names, others):
        page.get_by_text(name, exact=True).click()
        assert first.evaluate(looks) == wanted.evaluate(looks)


def test_lines_follow_the_word_and_the_head(visit):
    weights = torch.tensor([[[0.9, 0.1], [0.25, 0.75]], [[0.5, 0.5], [1.0, 0.0]]])
    page = visit(drawn=[pictures.lines(weights, ["x", "y"], caption="c")])
    fig = figure(page, "lines")
    fig.locator(".pv-from li").nth(0).focus()
    page.keyboard.press("ArrowDown")
    say = fig.get_by_role("status")
    assert say.inner_text() == "“y” looks at “y” 75 %, “x” 25 %."
    fig.locator(".pv-pick label").nth(1).click()
    assert say.inner_text() == "“y” looks at “x” 100 %, “y” 0 %."
    assert fig.locator(".pv-to span").all_inner_texts() == ["100 %", "0 %"]
    widths = fig.locator("path").evaluate_all(
        "all => all.map(p => { p.style.transition = 'none';"
        " return parseFloat(getComputedStyle(p).strokeWidth); })"
    )
    assert widths == [3.5, 3.5, 7.0, 0.0]


def test_steps_show_one_frame_at_a_time(visit):
    rng = torch.Generator().manual_seed(3)
    q, k, v = torch.randn(3, 4, 4, generator=rng)
    mask = torch.ones(4, 4).tril().bool()
    drawn = [pictures.steps(q, k, v, WORDS[:4], mask=mask, caption="c")]
    page = visit(drawn=drawn)
    fig = figure(page, "steps")
    scores = q @ k.T
    weights = (scores / 2).masked_fill(~mask, -torch.inf).softmax(-1)
    seen = []
    for expected in (scores, scores / 2, None, weights, weights @ v):
        assert fig.locator(".pv-frame:visible").count() == 1
        seen.append(fig.locator(".pv-frame:visible b").inner_text())
        if expected is not None:
            torch.testing.assert_close(
                shown(fig), expected.double(), atol=0.0051, rtol=0
            )
        last = seen[-1].startswith("5")
        if not last:
            fig.get_by_text("next →").click()
    assert [s[4:] for s in seen] == ["scores", "scaled", "masked", "softmax", "mix"]
    assert fig.get_by_text("next →").is_disabled()
    fig.get_by_text("← back").focus()
    page.keyboard.press("ArrowLeft")  # from 5 to 4 on a button
    fig.get_by_role("radio").nth(3).focus()
    page.keyboard.press("ArrowLeft")  # from 4 to 3 on the radio buttons
    fig.locator("table:visible tbody td").nth(1).hover()
    assert fig.get_by_role("status").inner_text() == (
        "“the” may not look at “cat”: the score becomes −∞."
    )


def test_the_quiz_gives_a_reason_for_every_choice(visit):
    quiz = draw_all()["quiz"]
    page = visit(drawn=[quiz, quiz])
    first, second = figure(page, "quiz"), figure(page, "quiz", 1)
    first.get_by_role("radio").nth(0).focus()
    page.keyboard.press("Space")
    say = first.get_by_role("status")
    assert say.inner_text() == "✗ Not quite. Softmax alone does that."
    page.keyboard.press("ArrowDown")
    assert say.inner_text() == "✓ Right. The variance stays 1."
    assert say.locator("code").inner_text() == "1"
    page.keyboard.press("Enter")
    second.get_by_role("radio").nth(2).check()
    assert first.get_by_role("radio").nth(1).is_checked()
    other = second.get_by_role("status")
    assert other.inner_text() == "✗ Not quite. The size is the same."


# --- every picture, everywhere ------------------------------------------------------


def twice():
    return [*draw_all().values(), *draw_all().values()]


@pytest.mark.parametrize(("host", "theme"), HOSTS)
def test_axe_finds_nothing(visit, host, theme):
    page = visit(host, theme, twice(), reduced_motion="reduce")
    for control in (".pv-pick label:nth-of-type(2)", "fieldset label"):
        for found in page.locator(control).all():
            found.click()
    assert_axe_finds_nothing(page, ".pv")


CONTRAST = """all => all.filter(td => td.checkVisibility()).map(td => {
  const parse = colour => {
    const [r, g, b, a = 1] = colour.match(/[\\d.]+/g).map(Number);
    const unit = colour.startsWith('color(') ? 1 : 255;
    return [r / unit, g / unit, b / unit, a];
  };
  let ground = td;
  while (ground.parentElement && !parse(getComputedStyle(ground).backgroundColor)[3]) {
    ground = ground.parentElement;
  }
  const light = ([r, g, b]) => [r, g, b]
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
  const pair = [getComputedStyle(td).color, getComputedStyle(ground).backgroundColor]
    .map(colour => light(parse(colour))).sort((a, b) => b - a);
  return (pair[0] + 0.05) / (pair[1] + 0.05);
})"""


@pytest.mark.parametrize(("host", "theme"), HOSTS)
def test_every_number_can_be_read(visit, host, theme):
    ramp = [[n / 10 for n in range(-10, 11)]]
    drawn = [
        *draw_all().values(),
        pictures.matrix(ramp, ["ramp"], [str(n) for n in range(21)], caption="c"),
    ]
    page = visit(host, theme, drawn, reduced_motion="reduce")
    contrasts = page.locator(".pv td").evaluate_all(CONTRAST)
    assert len(contrasts) > 120 and min(contrasts) >= 4.5


@pytest.mark.parametrize("host", ["book", "lab"])
def test_a_phone_scrolls_the_picture_and_not_the_page(visit, host):
    wide = pictures.matrix(
        torch.ones(2, 30),
        "ab",
        [f"word{n}" for n in range(30)],
        caption="A caption long enough to need several lines. " * 4,
    )
    page = visit(host, "light", [*draw_all().values(), wide], width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for fig in page.locator(".pv").all():
        box = fig.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390
    scroll = page.locator(".pv-scroll").last
    assert scroll.evaluate("e => e.scrollWidth > e.clientWidth")


def test_it_reads_with_javascript_off(visit):
    page = visit(java_script_enabled=False)
    assert page.locator(".pv-frame:visible").count() == 5
    assert page.locator(".pv .pv-controls").count() == 0
    for caption in page.locator(".pv figcaption").all():
        assert caption.is_visible() and caption.inner_text()
    quiz = figure(page, "quiz").inner_text()
    assert "So that the rows add up to 1" in quiz and "Answers" in quiz
    assert "Strongest: " in figure(page, "lines").inner_text()


def test_it_reads_in_print_from_the_dark_theme(visit):
    page = visit("book", "dark")
    page.emulate_media(media="print")
    assert page.locator(".pv-controls:visible").count() == 0
    assert page.locator(".pv-frame:visible").count() == 5
    assert page.locator(".pv figcaption").evaluate_all(
        "all => all.every(c => c.checkVisibility())"
    )
    cells = figure(page, "attention").locator("tbody td")
    assert min(cells.evaluate_all(CONTRAST)) >= 4.5


@pytest.mark.parametrize("ground", ["#ffffff", "#111111"])
def test_it_reads_untrusted(visit, browser, ground):
    """JupyterLab drops scripts, style sheets, SVG and custom properties."""
    drop = r"<(style|script|svg)\b.*?</\1>"
    body = "".join(
        re.sub(drop, "", p._repr_html_(), flags=re.S) for p in draw_all().values()
    )
    body = re.sub(r"--w:[^;]*;", "", body)
    page = visit(drawn=[])
    page.set_content(
        f'<body style="background:{ground};color:'
        f'{"#000" if ground == "#ffffff" else "#fff"}">{body}</body>'
    )
    cells = page.locator("tbody td")
    assert cells.count() > 150
    assert min(cells.evaluate_all(CONTRAST)) >= 4.5
    assert page.evaluate("""[...document.querySelectorAll('td')].every(
        td => /^(|[-−.\\d]+|−∞|from . to .)$/.test(td.textContent))""")
    assert "Strongest: " in page.inner_text("body")


def test_motion_only_where_it_is_welcome(visit):
    durations = (
        "all => [...new Set(all.map(e => getComputedStyle(e).transitionDuration))]"
    )
    moving = ".pv tbody td, .pv path"
    calm = visit(reduced_motion="reduce")
    assert calm.locator(moving).evaluate_all(durations) == ["0s"]
    lively = visit(reduced_motion="no-preference")
    assert lively.locator(moving).evaluate_all(durations) != ["0s"]


def test_jupyterlab_runs_the_script_of_an_output_that_arrives_later(visit):
    """JupyterLab sets innerHTML, then puts a copy in the place of each script."""
    page = visit("lab", drawn=[])
    page.evaluate(
        """html => {
      const host = document.createElement('div');
      host.innerHTML = html;
      for (const old of host.querySelectorAll('script')) {
        const copy = document.createElement('script');
        for (const { name, value } of old.attributes) copy.setAttribute(name, value);
        copy.textContent = old.textContent;
        old.replaceWith(copy);
      }
      document.querySelector('main').append(host);
    }""",
        "".join(p._repr_html_() for p in twice()),
    )
    assert page.locator(".pv[data-on]").count() == page.locator(".pv").count() == 12
    assert page.locator(".pv .pv-controls").count() == 10


def test_words_are_text_and_never_markup(visit):
    page = visit()
    assert page.locator(".pv th b").count() == 0
    words = figure(page, "attention", 1).locator("th").all_inner_texts()
    assert words == ["<b>", "␣good", "⏎", "∅", "早上", "好", "</script>"]
