"""Pages that show what strangers wrote: nothing of it runs, loads or is calculated."""

import base64
import mimetypes
import re
from functools import partial
from pathlib import Path

import hypothesis.strategies as st
import nbformat
import pytest
from hypothesis import given, settings
from nbconvert.exporters import HTMLExporter
from nbgrader.server_extensions.formgrader import handlers
from traitlets.config import PyFileConfigLoader

from grading.course import clean, page
from grading.course.intake import Step
from grading.judge.bundle import bundle
from grading.sandbox.kernel import Ran
from tests import small_course

STATIC = Path(handlers.static_path)
BOOTSTRAP = "node_modules/bootstrap/dist/css"
SITE = "http://course.example"
RUN = "top.hit=1"  # what every script here would do
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n rest").decode()
MARKDOWN = [
    f"[a](javascript:{RUN})",
    f"> [y]: javascript:{RUN}\n\n[c][y]",
    f"- [y]: javascript:{RUN}\n\n[c][y]",
    f"[a\\]b]: javascript:{RUN}\n\n[c][a\\]b]",
    f"<javascript:{RUN}>",
    f"[a](&#106;ava&Tab;script&colon;{RUN})",
    f"[a](data:text/html,<script>{RUN}</script>)",
    "![x][r]\n\n[r]: http://out.example/1.png",
    "![r]\n\n[r]: //out.example/2.png",
    "![a [b] c](http://out.example/3.png)",
    "![x](http&colon;//out.example/4.png) ![x](http:\\/\\/out.example/5.png)",
    "![x](/formgrader/6.png)",
    f"<svg onload={RUN}><img src=x onerror={RUN}><script>{RUN}</script>",
    f"<details open ontoggle={RUN}><summary>s</summary>\n\nb\n\n</details>",
    f'<a href="javascript:{RUN}">a</a><iframe srcdoc="<script>{RUN}</script>">',
    f"<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 "
    f"onerror={RUN}&gt;'>",
    f"<form action=javascript:{RUN}><button id=submit>b</button></form>",
    "<link rel=stylesheet href=http://out.example/7.css><style>@import "
    "'http://out.example/8.css';</style><base href=http://out.example/>",
    "<p style='background:url(http://out.example/9.png)' class='modal in'>p</p>",
    "<video src=http://out.example/10 autoplay></video><object data=//out.example/11>",
    "<meta http-equiv=refresh content='0;url=http://out.example/12'>",
    "$\\mmlToken{mi}[href='javascript:" + RUN + "']{x}$",
    "$\\mmlToken{mi}[style='background:url(http://out.example/13.png)']{x}$",
    "$\\href{javascript:" + RUN + "}{x}\\require{html}\\style{color:red}{y}$",
    "$\\unicode{x41}\\def\\x{\\x\\x}\\x$ and $$\\frac{a}{b}$$",
    "> " * 500 + "deep",
    "[" * 500 + "](" * 500,
]
PIECES = [
    *MARKDOWN,
    *"[ ] ( ) ! < > \" ' ` \\ $ & * _ \n".split(" "),
    "\n\n",
    "\n> ",
    "\n- ",
    "    ",
    "]: ",
    "javascript:",
    "JaVaScRiPt&#58;",
    "http://out.example/x.png",
    "onerror=",
    RUN,
    "<img src=",
    "</p></div></pre>",
    "<!--",
    "-->",
    "<![CDATA[",
    "&lt;script&gt;",
    "\x00",
    "ı",
]
documents = st.lists(st.sampled_from(PIECES), min_size=1, max_size=8).map("".join)


def drawn(strategy, count):
    """`count` examples of a strategy, the same each time."""
    found = []

    @settings(max_examples=count, database=None, derandomize=True, deadline=None)
    @given(strategy)
    def draw(example):
        found.append(example)

    draw()
    return found


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    return small_course.make(tmp_path_factory.mktemp("c") / "course")


@pytest.fixture(scope="module")
def rendered(course):
    """Makes a page as nbgrader makes it: rendered(kind, texts, outputs, name)."""
    config = PyFileConfigLoader("nbgrader_config.py", path=str(course)).load_config()

    def make(kind, texts, outputs=(), name="Eve"):
        steps = [Step("", text, "markdown") for text in texts]
        steps.append(Step("double", texts[0], "code"))
        ran = {len(texts): Ran(list(outputs))} if outputs else {}
        sheet = bundle("01_small", course)
        text = page.page(sheet, steps, ran, {})
        notebook = nbformat.reads(text, as_version=4)
        for cell in notebook.cells:
            cell.metadata.get("nbgrader", {})["score"] = 0  # as GetGrades does
        config.HTMLExporter.template_name = kind
        config.HTMLExporter.extra_template_paths = [str(STATIC / BOOTSTRAP)]
        nbgrader = {"notebook": "small", "score": 1, "max_score": 2, "late_penalty": 0}
        resources = {
            "nbgrader": nbgrader,
            "base_url": "",
            "index": 0,
            "total": 1,
            "last_name": name,
            "first_name": name,
            "student": "eve",
            **{f"{k}_id": "x" for k in ("notebook", "assignment", "submission")},
        }
        exporter = HTMLExporter(config=config)
        return exporter.from_notebook_node(notebook, resources=resources)[0]

    return make


@pytest.fixture
def opened(browser):
    """Opens a page, touches all in it, and returns what it did: see `quiet`."""
    pages = []

    def go(text):
        tab = browser.new_page()
        pages.append(tab)
        tab.did = []
        tab.on("dialog", lambda dialog: (tab.did.append("dialog"), dialog.dismiss()))
        tab.on("popup", lambda other: tab.did.append(f"popup {other.url}"))
        tab.route("**/*", partial(serve, text, tab.did))
        tab.goto(f"{SITE}/page/")
        tab.wait_for_function("window.MathJax && MathJax.startup.document")
        tab.evaluate("() => MathJax.startup.promise")
        tab.evaluate(TOUCH)
        tab.wait_for_timeout(300)
        if tab.evaluate("window.hit"):
            tab.did.append("script")
        return tab

    yield go
    for tab in pages:
        tab.close()


TOUCH = """() => document.querySelectorAll("#notebook *").forEach((one) => {
  if (one.tagName == "DETAILS") one.open = true;
  const link = one.closest("a");
  const away = link && /^(https?|mailto):/.test(link.href || "");
  for (const kind of ["mouseover", "focus", ...(away ? [] : ["click"])])
    one.dispatchEvent(new MouseEvent(kind, {bubbles: true, cancelable: true}));
  if (!away && one.click) one.click();
})"""


def serve(text, did, route):
    """The page, and Formgrader's own scripts; what else is asked for is noted."""
    url = route.request.url
    own = re.fullmatch(rf"{SITE}/formgrader/static/([\w./-]+)", url)
    if url == f"{SITE}/page/":
        route.fulfill(body=text, content_type="text/html; charset=utf-8")
    elif own and (STATIC / own[1]).is_file():
        kind = mimetypes.guess_type(own[1])[0] or "text/plain"
        route.fulfill(path=STATIC / own[1], content_type=kind)
    else:
        if "/formgrader/api/" not in url:
            did.append(url)
        route.abort()


KINDS = ["feedback", "formgrade"]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_that_a_stranger_wrote_runs_or_loads(kind, rendered, opened):
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": f"<script>{RUN}</script>"},
        {"output_type": "error", "ename": f"<img src=x onerror={RUN}>", "evalue": "e",
         "traceback": [f"\x1b[31m<img src=x onerror={RUN}>"]},
        {"output_type": "display_data", "metadata": {},
         "data": {"text/html": f"<script>{RUN}</script>",
                  "text/markdown": MARKDOWN[0],
                  "application/javascript": RUN,
                  "text/latex": MARKDOWN[21],
                  "image/svg+xml": f"<svg onload={RUN}></svg>",
                  "image/png": f'"><script>{RUN}</script>'}},
    ]  # fmt: skip
    texts = MARKDOWN + drawn(documents, 100)
    name = clean.name(f"<svg onload={RUN}> {MARKDOWN[21]}")
    tab = opened(rendered(kind, texts, outputs, name))
    assert tab.did == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_browser_refuses_what_the_cleaning_would_let_through(
    kind, rendered, opened, monkeypatch
):
    """The page's own policy holds alone, were a hole found in the sanitiser."""
    monkeypatch.setattr(clean, "html", lambda text: text)
    beyond = ("refresh", "<base", "](/")  # a policy in the page cannot forbid these
    texts = [text for text in MARKDOWN if not any(b in text for b in beyond)]
    assert opened(rendered(kind, texts)).did == []


def test_formgraders_own_scripts_run(rendered, opened):
    tab = opened(rendered("formgrade", ["**Why** $x_1 < 5$ and $$\\frac{a}{b}$$"]))
    assert tab.locator("mjx-container svg").count() == 2
    shown = tab.locator("a.name-shown")
    assert not shown.is_visible()
    tab.locator("span.name-hidden").click()
    assert shown.is_visible() and "Eve, Eve" in shown.inner_text()


def test_text_keeps_its_meaning():
    text = (
        "**Why** $x_1 < 5$ [a](https://arxiv.org/abs/1706.03762)\n\n"
        "<details><summary>s</summary>\n\nb\n\n</details>\n\n"
        f"```python\ndef f(): pass\n```\n\n![p](data:image/png;base64,{PNG})"
    )
    got = clean.markdown(text)
    for kept in (
        "<strong>Why</strong> $x_1 &lt; 5$",
        'href="https://arxiv.org/abs/1706.03762"',
        "<details><summary>s</summary>",
        '<span class="k">def</span>',
        f'src="data:image/png;base64,{PNG}"',
    ):
        assert kept in got
    assert "javascript" not in clean.markdown(MARKDOWN[1])


def test_a_table_of_checks_is_shown_as_it_is():
    from dot2gpt.checks import Checks

    checks = Checks("Exercise 1")
    checks.that("<b>a</b>", False, "no $x$")
    got = clean.html(checks._repr_html_())
    assert all(style in got for style in ("text-align:left", "caption-side:top"))
    assert "white-space:nowrap" in got
    assert "&lt;b&gt;a&lt;/b&gt;" in got


# ---- names --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["Zoë-Ann O'Brien", "李小龍", "नमस्ते कुमार", "سارة", "🙂", "Ann Lee, Jr."]
)
def test_names_of_any_script_stay_as_they_are(name):
    assert clean.name(name) == name


@given(st.text(max_size=40))
@settings(max_examples=300, derandomize=True, database=None)
def test_nothing_in_a_name_acts(text):
    name = clean.name(text)
    assert name.isprintable() and not set(name) & set('<>&"`$\\;=+@{}[]|')
    assert clean.name(name) == name
    cell = clean.cell(name)
    assert not cell.lstrip().startswith(tuple("=+-@\t\r＝＋－＠"))
