"""The built book in Chromium with the network cut: it draws, fits, and is read."""

import functools
import io
import os
import re
from pathlib import Path

import axe_playwright_python
import pytest
from PIL import Image

from dot2gpt import pictures
from tools import tree

ROOT = Path(__file__).parent.parent
HTML = Path(os.environ.get("BOOK_HTML", ROOT / "_build" / "html")).resolve()
LOCAL = ("file:", "data:", "blob:")
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}

# Formulas that MathJax has not drawn, or has drawn as an error, and TeX left as text.
FORMULAS = """() => {
  const undrawn = [...document.querySelectorAll('.math')]
    .filter(m => !m.querySelector('mjx-container'))
    .map(m => m.textContent.slice(0, 60));
  // MathJax draws a macro that it does not know as red text.
  const wrong = [...document.querySelectorAll(
      'mjx-container :is([data-mml-node=merror], [fill=red])')]
    .map(m => 'error: ' + (m.dataset.mjxError || m.outerHTML.slice(0, 90)));
  const slashed = [...document.querySelectorAll('mjx-assistive-mml')]
    .filter(m => m.textContent.includes('\\\\'))
    .map(m => 'a backslash is drawn: ' + m.textContent);
  const walk = document.createTreeWalker(document.querySelector('main'), 4);
  const raw = [];
  for (let n; (n = walk.nextNode());)
    if (!n.parentElement.closest('pre, code, script, style, mjx-container')
        && /\\\\[([]|\\$[^$\\s][^$]*\\$|\\\\[a-z]{3,}/.test(n.data))
      raw.push('raw: ' + n.data.trim().slice(0, 60));
  return [...undrawn, ...wrong, ...slashed, ...raw];
}"""

# What is wider than the window and does not scroll inside something of its own.
TOO_WIDE = """() => {
  if (document.documentElement.scrollWidth <= innerWidth) return [];
  const scrolls = e => e && (/auto|scroll|hidden/.test(getComputedStyle(e).overflowX)
    || scrolls(e.parentElement));
  return ['page: ' + document.documentElement.scrollWidth + ' px',
    ...[...document.querySelectorAll('main *')]
      .filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !scrolls(e))
      .slice(0, 5).map(e => e.outerHTML.slice(0, 90))];
}"""

# Cells of tables that have three lines or more, with a word or two in each.
SQUEEZED = """() => [...document.querySelectorAll('article table.table :is(th, td)')]
  .filter(cell => {
    const text = document.createRange();
    text.selectNodeContents(cell);
    const lines = text.getBoundingClientRect().height
      / parseFloat(getComputedStyle(cell).lineHeight);
    return lines > 2.5 && cell.clientWidth < 150;
  }).map(e => e.innerText.slice(0, 60))"""

# Boxes behind HTML outputs, and plots whose light is not turned, in the dark theme.
DARK_OUTPUTS = """() => [
  ...[...document.querySelectorAll('.output.text_html')]
    .filter(e => getComputedStyle(e).backgroundColor != 'rgba(0, 0, 0, 0)')
    .map(e => 'a box behind ' + e.innerHTML.trim().slice(0, 60)),
  ...[...document.querySelectorAll('div.cell_output img')]
    .filter(e => getComputedStyle(e).filter != 'invert(1) hue-rotate(180deg)'
      || getComputedStyle(e).mixBlendMode != 'screen')
    .map(e => 'a light card: ' + e.alt.slice(0, 60))]"""

CUT_CODE = """() => [...document.querySelectorAll('main pre')]
  .filter(e => e.clientWidth && e.scrollWidth > e.clientWidth + 1)
  .map(e => e.textContent.slice(0, 60))"""

# axe does not read MathML, so it takes a table header that is a formula for empty.
# What passes is not described: that takes most of the time.
AXE = """async rules => {
  axe.configure({rules: [{id: 'color-contrast', selector: '[data-kind]'}]});
  return (await axe.run(
    {exclude: [['th:has(mjx-assistive-mml)']]},
    {resultTypes: ['violations'], ...(rules && {runOnly: rules})}
  )).violations.flatMap(
    v => v.nodes.slice(0, 3).map(n => `${v.id}: ${n.html.slice(0, 120)}`));
}"""
# Thousands of tokens of code have a few dozen colours: keep one token of each kind.
ONE_OF_EACH = """() => {
  const seen = new Set();
  for (const token of document.querySelectorAll('.highlight span')) {
    const place = token.closest('.cell_output') ? 'out ' : 'in ';
    if (seen.has(place + token.className)) token.replaceWith(token.textContent);
    seen.add(place + token.className);
  }
  document.querySelectorAll('.highlight pre').forEach(pre => pre.normalize());
}"""
# A book of a million words has a hundred pairs of a colour and what lies behind it (to
# a tenth, in a heat map): axe measures the contrast of one element of each. Those of
# earlier pages are `seen`; returns what is new.
MARK_KINDS = """seen => {
  const known = new Set(seen), fresh = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  document.querySelectorAll('[data-kind]').forEach(e => delete e.dataset.kind);
  for (let n; (n = walk.nextNode());) {
    const e = n.parentElement;
    if (n.data.trim().length < 2 || e.closest('mjx-container')
        || !e.checkVisibility({visibilityProperty: true})) continue;
    const {color, fontSize, fontWeight, opacity} = getComputedStyle(e), behind = [];
    for (let b = e; b; b = b.parentElement)
      behind.push(getComputedStyle(b).backgroundColor.replace(/(0[.]\\d)\\d+/g, '$1'));
    const kind = [color, fontSize, fontWeight, opacity, ...new Set(behind)].join();
    if (known.has(kind)) continue;
    e.dataset.kind = '';
    fresh.push(kind);
    known.add(kind);
  }
  return fresh;
}"""
MEASURED = set()  # the kinds of the pages that this process has visited
PAPER = {"width": 720, "height": 1000}  # A4 at 96 dots per inch, less the margins


def pages():
    """The pages of the built book; the front page where there is no book."""
    names = (p.relative_to(HTML).as_posix() for p in HTML.rglob("*.html"))
    return sorted(n for n in names if not n.startswith("_")) or ["index.html"]


@pytest.fixture
def tab(browser):
    """A new tab with no network, which notes what goes wrong in `tab.problems`."""
    if not (HTML / "index.html").is_file():
        pytest.fail("the book is not built: run make book first", pytrace=False)
    context = browser.new_context(viewport=DESKTOP, offline=True)
    tab = context.new_page()
    tab.problems = []
    note = tab.problems.append
    tab.on("console", lambda m: m.type in ("error", "warning") and note(m.text))
    tab.on("pageerror", lambda error: note(f"script: {error}"))
    tab.on("request", lambda r: r.url.startswith(LOCAL) or note(f"asks for {r.url}"))
    tab.on("requestfailed", lambda r: note(f"missing {r.url}"))
    yield tab
    context.close()


def visit(tab, page):
    """Open the page and wait until its formulas are drawn."""
    tab.goto((HTML / page).as_uri())
    tab.wait_for_function(
        "() => !window.MathJax?.startup?.promise || "
        "MathJax.startup.promise.then(() => true)"
    )


def set_theme(tab, theme):
    """Switch the theme as the button does, and let no transition run."""
    tab.evaluate(
        """theme => {
          const still = document.createElement('style');
          still.textContent = '*, ::before, ::after {transition: none !important}';
          document.head.append(still);
          document.documentElement.dataset.theme = theme;
          document.documentElement.dataset.mode = theme;
        }""",
        theme,
    )


@pytest.mark.parametrize("page", pages())
def test_page_draws_fits_and_reads(tab, page):
    # One visit for everything: opening the page takes the most time.
    visit(tab, page)
    tab.add_script_tag(
        path=Path(axe_playwright_python.__file__).with_name("axe.min.js")
    )
    problems = [*tab.problems, *tab.evaluate(FORMULAS)]
    tab.evaluate(ONE_OF_EACH)
    light = tab.evaluate(MARK_KINDS, list(MEASURED))
    problems += [f"light, {found}" for found in tab.evaluate(AXE)]
    tab.set_viewport_size(PHONE)
    problems += [f"at 390 px, {wide}" for wide in tab.evaluate(TOO_WIDE)]
    problems += [f"squeezed at 390 px: {cell}" for cell in tab.evaluate(SQUEEZED)]
    tab.set_viewport_size(DESKTOP)
    set_theme(tab, "dark")
    if dark := tab.evaluate(MARK_KINDS, list(MEASURED)):
        problems += [f"dark, {found}" for found in tab.evaluate(AXE, "color-contrast")]
    problems += [f"dark, {found}" for found in tab.evaluate(DARK_OUTPUTS)]
    tab.set_viewport_size(PAPER)
    tab.emulate_media(media="print")
    problems += [f"cut on paper: {code}" for code in tab.evaluate(CUT_CODE)]
    assert not problems, "\n".join(problems)
    MEASURED.update(light, dark)


# Pictures of one colour each; the colour of the page.
LINES = """colours => {
  document.querySelector('main .cell_output img').before(...colours.map(colour => {
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">`
      + `<rect width="9" height="9" fill="${colour}"/></svg>`;
    const src = 'data:image/svg+xml,' + encodeURIComponent(svg);
    return Object.assign(new Image(), {src});
  }));
  return getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number);
}"""


def contrast(*colours):
    """The contrast of two colours, as WCAG 2 has it."""
    linear = [[(c / 255 + 0.055) ** 2.4 / 1.055**2.4 for c in x] for x in colours]
    light = [0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05 for r, g, b in linear]
    return max(light) / min(light)


def test_figures_stand_on_the_page_in_the_dark_and_are_read(tab):
    visit(tab, "chapters/06_multi_head/multi_head.html")
    set_theme(tab, "dark")
    ground = tab.evaluate(LINES, ["#fff", "#000", *pictures.PALETTE])
    white, *inks = [
        Image.open(io.BytesIO(image.screenshot())).convert("RGB").getpixel((12, 12))
        for image in tab.locator("main .cell_output img[src^='data:image/svg']").all()
    ]
    assert list(white) == ground
    assert min(contrast(ink, ground) for ink in inks) > 3, inks


def test_paper_is_light(tab):
    visit(tab, "index.html")
    set_theme(tab, "dark")
    theme = "document.documentElement.dataset.theme"
    tab.evaluate(f"addEventListener('beforeprint', () => {{ window.paper = {theme} }})")
    tab.pdf()
    assert (tab.evaluate("window.paper"), tab.evaluate(theme)) == ("light", "dark")


# For each fold that is closed on the screen, whether what it holds is to be seen.
FOLDS = """async () => {
  for (let n = 2; n--;) await new Promise(requestAnimationFrame);
  return [...document.querySelectorAll('article details:not(.hide)')]
    .filter(fold => !fold.open)
    .map(fold => fold.lastElementChild.checkVisibility());
}"""


@pytest.mark.parametrize(
    "page, opened",
    [
        ("chapters/06_multi_head/multi_head.html", {True}),  # a summary in Chinese
        ("chapters/00_basics/basics.html", {True}),  # answers
        ("chapters/06_multi_head/multi_head_exercises.html", {False}),  # hints
    ],
)
def test_on_paper_what_explains_is_open_and_hints_are_not(tab, page, opened):
    visit(tab, page)
    assert set(tab.evaluate(FOLDS)) == {False}
    tab.emulate_media(media="print")
    assert set(tab.evaluate(FOLDS)) == opened


def found(tab, query):
    """The pages that the search finds, best first, and their titles."""
    tab.locator(".bd-search-container input").fill(query)
    links = tab.locator("#search-results > li > a")
    return links.evaluate_all("all => all.map(a => [a.getAttribute('href'), a.text])")


def standing(*words):
    """The pages whose cells or text hold all of the words."""
    names = (page.removesuffix(".html") for page in pages() if page != "search.html")
    return {
        f"{name}.html"
        for name in names
        if all(word.lower() in source(name).lower() for word in words)
    }


@functools.cache
def source(name):
    """What is written on a page."""
    if (ROOT / f"{name}.md").exists():
        return (ROOT / f"{name}.md").read_text("utf-8")
    return "\n".join(cell.source for cell in tree.read(ROOT / f"{name}.ipynb").cells)


def test_search_finds_words_in_two_languages_from_a_folder(tab):
    """With no server: a page from the disk may load no other page."""
    visit(tab, "search.html")
    tab.wait_for_selector("#search-results[data-ready]", state="attached")
    for word in ("注意力", "残差", "多头", "缩放", "Adam", "masked_softmax"):
        pages_found = [page for page, _ in found(tab, word)]
        assert set(pages_found) == standing(word) != set(), word
    together = {page for page, _ in found(tab, "掩码语言模型")}
    assert together == standing("掩码", "语言模型") > standing("掩码语言模型")
    assert len(found(tab, "queries")) >= len(standing("query", "queries"))
    assert found(tab, "xyzzy") == found(tab, "<b>xyzzy") == found(tab, " ") == []
    assert not tab.problems, tab.problems


@pytest.mark.parametrize(
    "query, title",
    [
        ("mask", "5 · Masks"),
        ("layer norm", "7 · The block"),
        ("Bert", "15 · BERT"),
        ("causal_mask", "5 · Masks"),
        ("root of d_k", "4 · Why the square root of dₖ"),
    ],
)
def test_search_puts_titles_and_what_a_chapter_gives_first(tab, query, title):
    visit(tab, "search.html")
    tab.wait_for_selector("#search-results[data-ready]", state="attached")
    assert found(tab, query)[0][1] == title


def test_search_leads_to_the_place_and_shows_it(tab):
    visit(tab, "index.html")
    tab.keyboard.press("Control+k")
    tab.locator("dialog input[name=q]").fill("layer norm")
    tab.keyboard.press("Enter")
    tab.wait_for_url(re.compile(r"\?q=layer"))
    tab.wait_for_selector("#search-results mark")
    marked = tab.locator("#search-results li").first.locator("p mark")
    assert {text.lower() for text in marked.all_inner_texts()} == {"layer", "norm"}
    link = tab.locator("#search-results p a[href*='#']").first
    heading = link.inner_text()
    link.click()
    place = tab.locator("section:target > :is(h2, h3)").first
    assert place.inner_text().removesuffix("#").strip() == heading
    assert not tab.problems, tab.problems


def test_the_way_to_the_notebook_is_a_panel_with_commands_to_copy(tab):
    visit(tab, "chapters/05_masking/masking_exercises.html")
    panel = tab.locator("#open-in-lab")
    assert not panel.is_visible()
    tab.locator("button.btn-open-in-lab").click()
    assert panel.is_visible()
    assert panel.locator("pre").count() == 2
    seen = "all => all.map(button => getComputedStyle(button).opacity)"
    assert panel.locator("button.copybtn").evaluate_all(seen) == ["1", "1"]
    tab.keyboard.press("Escape")
    assert not panel.is_visible()
    assert not tab.problems, tab.problems


CUT_FORMULAS = """() => [...document.querySelectorAll('div.math mjx-container')]
  .filter(e => e.scrollWidth > e.clientWidth + 1)
  .map(e => getComputedStyle(e).backgroundImage.split('linear-gradient').length - 1)"""


def test_a_long_formula_shows_that_it_goes_on(tab):
    tab.set_viewport_size(PHONE)
    visit(tab, "chapters/06_multi_head/multi_head.html")
    shades = tab.evaluate(CUT_FORMULAS)
    assert shades and set(shades) == {4}


def test_keyboard_reaches_the_text_at_once(tab):
    visit(tab, "index.html")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.hash") == "#main-content"
    tab.keyboard.press("Enter")
    assert tab.url.endswith("#main-content")


def test_theme_button_changes_the_theme_for_good(tab):
    visit(tab, "index.html")
    tab.locator("button.theme-switch-button:visible").first.click()
    mode = tab.evaluate("document.documentElement.dataset.mode")
    assert mode != "auto"

    def kept():
        tab.reload()
        return tab.evaluate("document.documentElement.dataset.mode") == mode

    # Chromium stores it in a process of its own, a moment after the click.
    assert any(kept() for _ in range(5))


def test_page_reads_without_scripts(browser):
    if not (HTML / "index.html").is_file():
        pytest.fail("the book is not built: run make book first", pytrace=False)
    context = browser.new_context(java_script_enabled=False, offline=True)
    tab = context.new_page()
    tab.goto((HTML / "index.html").as_uri())
    assert tab.locator("article h1").is_visible()
    assert tab.locator("svg[role=img]").first.is_visible()
    assert tab.locator("nav li.toctree-l1 > a").first.is_visible()
    assert not tab.locator("button.theme-switch-button").first.is_visible()
    context.close()
