"""The built book, as files: complete, self-contained, linked, and free of solutions."""

import base64
import filecmp
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import zlib
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup
from pypdf import PdfReader
from sphinx.errors import ConfigError

from tools import pdf
from tools.chromium import chromium, headless

pytestmark = pytest.mark.xdist_group("test_book")  # a page is read once, for long
ROOT = Path(__file__).parent.parent
HTML = Path(os.environ.get("BOOK_HTML", ROOT / "_build" / "html")).resolve()
PARTS = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))["parts"]
CONTENTS = [c["file"] for part in PARTS for c in part["chapters"]]
LESSONS = [name for name in CONTENTS if re.match(r"chapters/\d\d_", name)]
BELOW = [
    s["file"] for part in PARTS for c in part["chapters"] for s in c.get("sections", [])
]
SHEETS = [name for name in BELOW if name.endswith("_exercises")]
PAGES = ["index", *CONTENTS, *BELOW]
SECRET = re.compile(r"### *(BEGIN|END) (SOLUTION|HIDDEN TESTS)")
SOLUTION = re.compile(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", re.DOTALL)


def built():
    """The pages of the built book; those of the contents where there is no book."""
    names = (p.relative_to(HTML).as_posix() for p in HTML.rglob("*.html"))
    return sorted(name for name in names if not name.startswith("_")) or [
        f"{page}.html" for page in PAGES
    ]


def need_book():
    """Fail, with what to do, where the book is not built."""
    if not (HTML / "index.html").is_file():
        pytest.fail("the book is not built: run make book first", pytrace=False)


@pytest.fixture(autouse=True)
def _book(request):
    if "project" not in request.fixturenames:
        need_book()


@functools.cache
def soup(page):
    """The page, read once."""
    return BeautifulSoup((HTML / page).read_text("utf-8"), "html.parser")


def number(page):
    """What the book puts before a chapter's title; "" before the first chapter."""
    folder = page.split("/")[1]
    return "" if folder == "00_basics" else f"{int(folder[:2])} · "


def test_the_pages_are_those_of_the_contents():
    expected = {f"{page}.html" for page in PAGES} | {"search.html"}
    assert set(built()) == expected, "run make clean and make book"


@pytest.mark.parametrize("page", built())
def test_page_asks_nobody_for_anything(page):
    loads = [(tag, tag.get("src")) for tag in soup(page).find_all(src=True)]
    loads += [
        (tag, tag["href"])
        for tag in soup(page).find_all("link", href=True)
        if "canonical" not in tag.get("rel", [])
    ]
    outside = [url for _, url in loads if re.match(r"(\w+:)?//", url)]
    assert not outside, outside
    script = "\n".join(s.text for s in soup(page).find_all("script", src=False))
    script = re.sub(r"[A-Za-z0-9+/=]{200,}", "", script)  # weights, the search's texts
    assert "unpkg.com" not in script and "cdn" not in script.lower()


def test_style_sheets_load_nothing_from_outside():
    found = {
        f"{sheet.relative_to(HTML)}: {url}"
        for sheet in HTML.rglob("*.css")
        for url in re.findall(
            r"(?:url\(|@import)\s*['\"]?((?:https?:)?//[^'\")\s]+)",
            sheet.read_text("utf-8"),
        )
    }
    assert not found, found


def test_mathjax_is_one_file():
    files = [p.name for p in (HTML / "_static" / "mathjax").rglob("*") if p.is_file()]
    assert files == ["tex-svg.js"]


@pytest.mark.parametrize("page", built())
def test_script_is_on_the_page_once(page):
    sources = [s["src"].split("?")[0] for s in soup(page).find_all("script", src=True)]
    assert len(sources) == len(set(sources))
    head = "\n".join(s.text for s in soup(page).head.find_all("script", src=False))
    names = re.findall(r"^\s*(?:let|const|var) +(\w+)", head, re.MULTILINE)
    assert len(names) == len(set(names)), names
    assert "THEBE" not in head and "togglebutton" not in head


@pytest.mark.parametrize("page", built())
def test_links_lead_somewhere(page):
    dead = []
    for tag in soup(page).find_all(["a", "link", "script", "img"]):
        url = tag.get("href") or tag.get("src") or ""
        parts = urlsplit(url)
        if parts.scheme or parts.netloc or not url:
            continue
        target = HTML / page
        if parts.path:
            target = (target.parent / unquote(parts.path)).resolve()
        if not target.is_file():
            dead.append(f"{url}: no such file")
        elif parts.fragment and target.suffix == ".html":
            name = target.relative_to(HTML).as_posix()
            if not soup(name).find(id=unquote(parts.fragment)):
                dead.append(f"{url}: no such place in {name}")
    assert not dead, dead


@pytest.mark.parametrize("page", built())
def test_images_say_what_they_show(page):
    bad = []
    for image in soup(page).select("main img"):
        alt = image.get("alt", "").strip()
        if len(alt) < 10 or re.search(r"[0-9a-f]{32}|\.(png|svg|jpe?g)$", alt):
            bad.append(f"{image['src']}: alt text {alt!r}")
    bad += [str(s)[:80] for s in soup(page).select("svg[role=img]:not([aria-label])")]
    assert not bad, bad


@pytest.mark.parametrize("page", built())
def test_every_computed_picture_has_a_caption(page):
    images = soup(page).select("div.cell_output img")
    bare = [i["alt"] for i in images if not i.find_parent("figure")]
    assert not bare, f"no mystnb.figure.caption: {bare}"


@pytest.mark.parametrize("page", built())
def test_page_has_its_frame(page):
    html = soup(page)
    assert html.html["lang"] == "en"
    assert html.select_one("a[href='#main-content']"), "no skip link"
    assert html.select_one("nav[aria-label=Main] p.caption"), "no parts in the sidebar"
    assert html.select_one("link[rel=icon]")
    assert len(html.select("h1")) >= 1
    # One search field a page: the theme's empty bar would bring a second.
    assert len(html.select(".search-button-field")) == 1
    if page == "search.html":
        return
    assert html.select_one("meta[name=description]")["content"].strip()
    levels = [int(h.name[1]) for h in html.select("article :is(h1, h2, h3, h4, h5)")]
    assert levels.count(1) == 1
    skipped = [(a, b) for a, b in zip(levels, levels[1:], strict=False) if b > a + 1]
    assert not skipped, f"heading levels skipped: {skipped}"


@pytest.mark.parametrize("page", built())
def test_page_is_light(page):
    """Not counted: fonts, and MathJax, which load once."""
    loads = [s["src"] for s in soup(page).find_all("script", src=True)]
    loads += [s["href"] for s in soup(page).select("link[rel=stylesheet]")]
    files = {((HTML / page).parent / urlsplit(load).path).resolve() for load in loads}
    files = {file for file in files if "mathjax" not in file.parts} | {HTML / page}
    size = sum(file.stat().st_size for file in files)
    assert size < 1_500_000, {file.name: file.stat().st_size for file in files}


@pytest.mark.parametrize("page", [f"{p}.html" for p in PAGES])
def test_page_leads_to_its_neighbours(page):
    """From lesson to lesson, with its sheet beside; from a sheet to both lessons."""
    name, line = page.removesuffix(".html"), ["index", *CONTENTS]
    chapters = [chapter for part in PARTS for chapter in part["chapters"]]
    below = {c["file"]: [s["file"] for s in c.get("sections", [])] for c in chapters}
    above = next((lesson for lesson in below if name in below[lesson]), None)
    place = line.index(above or name)
    before = [above] if above else line[:place][-1:]
    wanted = [*before, *below.get(name, []), *line[place + 1 : place + 2]]
    links = soup(page).select(".prev-next-footer a[href]")
    here = (HTML / page).parent
    got = [(here / a["href"]).resolve().relative_to(HTML).as_posix() for a in links]
    assert got == [f"{name}.html" for name in wanted]


def test_front_page_says_where_to_start_and_how_long_it_takes():
    page = soup("index.html")
    begin = page.select_one("p.course-begin")
    assert begin.a["href"] == f"{LESSONS[0]}.html" and begin.a.text == "Start here"
    bars = {
        p: soup(f"{p}.html").select_one("p.course-bar").text for p in LESSONS + SHEETS
    }
    minutes = {p: int(re.search(r"(\d+) min", bar)[1]) for p, bar in bars.items()}
    hours = [round(sum(minutes[p] for p in some) / 60) for some in (LESSONS, SHEETS)]
    assert [int(n) for n in re.findall(r"\d+", begin.text)] == hours
    tiles = [a["href"] for a in page.select("ol.course-line > li > a")]
    folders = [tile.split("/")[1][:2] for tile in tiles]
    assert folders == ["01", "02", "03", "04", "05", "06", "07", "13"]
    steps = [a["href"].split("/")[1][:2] for a in page.select("ol.steps > li a")]
    assert steps == ["03", "01", "04", "05", "02", "02"]


@pytest.mark.parametrize("page", [*LESSONS, *SHEETS])
def test_notebook_page_has_its_bar_and_buttons(page):
    html = soup(f"{page}.html")
    folder, name = page.split("/")[1:]
    bar = html.select_one("article h1 + p.course-bar, article h1 + * + p.course-bar")
    assert bar, "the first paragraph is not a bar: *20 minutes · needs … · gives …*"
    chapter = number(page) and f"Chapter {number(page)}"
    assert re.match(rf"{chapter}\d+ min", bar.text), bar.text
    button, panel = (
        html.select_one("button.btn-open-in-lab"),
        html.select_one("[popover]"),
    )
    assert "JupyterLab" in button.text and panel["id"] in button["onclick"]
    where = f"submitted/me/{folder}/{name}" if page in SHEETS else page
    links = [a["href"].removeprefix("http://localhost:8888/") for a in panel("a")]
    assert links == [f"lab/tree/{where}.ipynb", "course"]
    commands = [pre.text for pre in panel.select("pre")]
    start = [f"python -m dot2gpt start {folder}"] if page in SHEETS else []
    assert commands == ["make lab", *start]
    if page in SHEETS:
        assert f"dot2gpt start {folder}" in html.select_one("p.course-start").text
    download = html.select_one("a.btn-download-source-button")["href"]
    served = ((HTML / page).parent / download).resolve()
    assert filecmp.cmp(served, ROOT / f"{page}.ipynb", shallow=False)


def test_a_lesson_leads_to_its_rows_of_evidence():
    name = "evidence-02-weighted-average"
    bar = soup("chapters/02_weighted_average/weighted_average.html").select_one(
        ".course-bar"
    )
    assert bar.select_one(f"a[href$='appendix/evidence.html#{name}']")
    assert soup("appendix/evidence.html").find(id=name)


@pytest.mark.parametrize("page", built())
def test_no_button_leads_to_somebody_elses_repository(page):
    head = soup(page).select(".article-header-buttons a[href]")
    assert not [a["href"] for a in head if re.search(r"github|colab|binder", a["href"])]


def test_sidebar_and_front_page_list_every_chapter():
    sidebar = [a.text for a in soup("index.html").select("nav li.toctree-l1 > a")]
    assert len(sidebar) == len(CONTENTS)
    rows = {
        tr.a["href"].removesuffix(".html"): (tr.a.text, tr.find_all("td")[-1].text)
        for tr in soup("index.html").select("article table tbody tr:has(a)")
    }
    for lesson, title in zip(CONTENTS, sidebar, strict=True):
        if lesson not in LESSONS:
            continue
        assert title.startswith(number(lesson))
        bar = soup(f"{lesson}.html").select_one("p.course-bar").text
        minutes = re.search(r"(\d+) min", bar)[1]
        assert rows.get(lesson) == (title, minutes), f"index.md does not say {lesson}"


def test_titles_have_signs_where_no_formula_can_be_drawn():
    """In the contents, in a tab, in links and in the search a formula is its text."""
    wanted = "4 · Why the square root of dₖ"
    page = soup("chapters/04_scaling/scaling.html")
    assert page.title.text.startswith(wanted)
    assert page.select_one("meta[property='og:title']")["content"].startswith(wanted)
    assert page.select_one("nav li.current > a").text == wanted
    packed = re.search(r'atob\("([^"]+)"', str(soup("search.html")))[1]
    texts = json.loads(zlib.decompress(base64.b64decode(packed)))
    titles = {title for _, title, _, _ in texts}
    headings = {heading for *_, sections in texts for _, heading, _ in sections}
    assert {wanted, f"Exercises: {wanted[4:]}"} <= titles
    assert "All pairs at once: X Xᵀ" in headings
    assert not [
        text for text in titles | headings if re.search(r"\\|d_k\b(?!\))", text)
    ]


def released_text():
    """The text of all released sheets and lessons."""
    return "\n".join(
        cell.source
        for page in (*LESSONS, *SHEETS)
        for cell in nbformat.read(ROOT / f"{page}.ipynb", 4).cells
    )


def squeeze(text):
    """The text without blanks, quotes and backslashes, which HTML and JSON change."""
    return re.sub(r"[\s\\\"'’‘“”]+", "", text)


def solution_lines():
    """Squeezed lines that only the solutions have, long enough to be nobody else's."""
    public = squeeze(released_text())
    return {
        key: line
        for path in sorted((ROOT / "solutions").glob("*/*.ipynb"))
        for cell in nbformat.read(path, 4).cells
        for region in SOLUTION.findall(cell.source + "\n")
        for line in region.splitlines()
        if len(line.strip()) >= 25 and (key := squeeze(line)) not in public
    }


def test_no_solution_and_no_hidden_test_is_in_the_book():
    wanted = solution_lines()
    assert len(wanted) >= len(SHEETS), "no solutions found to look for"
    leaks = []
    for path in HTML.rglob("*"):
        if path.suffix not in {".html", ".ipynb", ".js", ".txt", ".md", ".json", ".py"}:
            continue
        if "_static" in path.parts:
            continue
        text = path.read_text("utf-8", errors="replace")
        leaks += [f"{path}: {m[0]}" for m in SECRET.finditer(text)]
        if path.suffix == ".html":
            text = soup(path.relative_to(HTML).as_posix()).text
        text = squeeze(text.replace("\\n", "\n"))
        leaks += [f"{path}: {line}" for key, line in wanted.items() if key in text]
    assert not leaks, leaks


# The build itself, on a small project with this book's own configuration -----------


def build(project, builder="html", **environment):
    """Build as `make book` does and return what was printed."""
    run = subprocess.run(
        [
            *(Path(sys.executable).with_name("jupyter-book"), "build", project),
            *("-W", "--keep-going", "--builder", builder),
        ],
        env={**os.environ, **environment, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    printed = run.stdout + run.stderr
    assert run.returncode == 0 and "WARNING" not in printed, printed[-3000:]
    return printed


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project of three pages, and folders beside them that the book must not read."""
    root = tmp_path_factory.mktemp("book")
    for name in ("_ext", "_static", "_templates"):
        shutil.copytree(ROOT / name, root / name)
    shutil.copy(ROOT / "_config.yml", root)
    (root / "appendix").mkdir()
    shutil.copy(ROOT / "appendix" / "references.bib", root / "appendix")
    page = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell(
                "# Title\n\n*5 minutes · gives `f`*\n\nThe idea, $x^2$.\n\n"
                ":::{note}\nA note.\n:::\n\nThe word 早上好。 and `早`\n\n"
                '<details lang="zh-Hans"><summary>中文</summary>\n\n早\n\n</details>\n'
                "\n<details><summary>Hint</summary>\n\nUnfolded.\n\n</details>\n"
                '\n<form id="quiz"><details><summary>Answers</summary>'
                "Reasons.</details></form><script>"
                "document.querySelector('#quiz details').remove()</script>\n"
                "\n**By hand**\n\n```python\na = 1\n```\n"
                "\n**With torch**\n\n```python\nb = 2\n```\n"
                "\nBetween.\n\n**One way**\n\n```python\nc = 3\n```\n"
            ),
            nbformat.v4.new_code_cell("1 + 1", metadata={"tags": ["hide-input"]}),
        ],
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3"},
            "language_info": {"name": "python"},
        },
    )
    (root / "index.md").write_text(
        "# Book\n\nA book with one [page](chapters/01_a/a.ipynb).\n\n## Section"
    )
    (root / "_toc.yml").write_text(
        "format: jb-book\nroot: index\nparts:\n- caption: Part I\n  chapters:\n"
        "  - file: chapters/01_a/a\n  - file: chapters/02_b/b\n"
    )
    for name in ("01_a/a.ipynb", "02_b/b.ipynb"):
        path = root / "chapters" / name
        path.parent.mkdir(parents=True)
        nbformat.write(page, path)
    for name in (".venv", "solutions", "submitted", "autograded", "feedback", "shared"):
        (root / name).mkdir()
        (root / name / "a.ipynb").write_text("this is not a notebook")
        (root / name / "a.md").write_text("[dead](nowhere.md) {nonsense}`x`")
    (root / "first.log").write_text(build(root))
    return root


def test_rebuild_with_nothing_changed_reads_and_writes_nothing(project):
    printed = build(project)
    assert "0 added, 0 changed, 0 removed" in printed
    assert "no targets are out of date" in printed


def test_chinese_words_are_marked_once(project):
    page = project / "_build" / "html" / "chapters" / "01_a" / "a.html"
    text = BeautifulSoup(page.read_text("utf-8"), "html.parser")
    marked = [tag.get_text() for tag in text.find_all(lang="zh-Hans")]
    assert marked[0] == "早上好。" and marked[1].split() == ["中文", "早"]
    assert len(marked) == 2, "code and folded summaries need no further mark"


def test_new_title_reaches_every_page(project):
    path = project / "chapters" / "01_a" / "a.ipynb"
    before = path.read_text()
    path.write_text(before.replace("# Title", "# Another name"))
    build(project)
    path.write_text(before)
    for name in ("index", "chapters/02_b/b"):
        text = (project / "_build" / "html" / f"{name}.html").read_text()
        assert "1 · Another name" in text, f"stale in the sidebar of {name}"


def test_folders_beside_the_book_are_not_read(project):
    built = [p.as_posix() for p in (project / "_build" / "html").rglob("*")]
    assert not [p for p in built if re.search("solutions|submitted|graded|feedback", p)]
    # Left out by their names: the contents would leave them out as well, file by file.
    assert "extra file(s) not in toc" not in (project / "first.log").read_text()


def test_code_in_several_ways_stands_in_tabs(project):
    path = project / "_build" / "html" / "chapters" / "02_b" / "b.html"
    page = BeautifulSoup(path.read_text("utf-8"), "html.parser")
    rows = [row.select("label, pre") for row in page.select(".course-tabs")]
    texts = [[tag.get_text().strip() for tag in row] for row in rows]
    assert texts == [["By hand", "a = 1", "With torch", "b = 2"]]
    assert page.find("strong", string="One way")
    if chromium() is None:
        pytest.skip("no Chromium found: install the package chromium to test the pages")
    with headless(chromium()) as browser:
        tab = browser.new_context(offline=True).new_page()
        tab.goto(path.as_uri())
        codes = tab.locator(".course-tabs pre")

        def seen():
            return [code.is_visible() for code in codes.all()]

        assert seen() == [True, False]
        tab.get_by_label("By hand").focus()
        tab.keyboard.press("ArrowRight")
        assert seen() == [False, True]
        tab.locator("label", has_text="By hand").click()
        assert seen() == [True, False]
        tab.emulate_media(media="print")
        assert seen() == [True, True]


@pytest.fixture(scope="module")
def published(project):
    """A page of the project as it is built for a repository, with comments."""
    config = project / "_config.yml"
    before = config.read_text("utf-8")
    giscus = "giscus: {repo: someone/course, repo-id: R_1}"
    after = before.replace("html:\n", f"html:\n  comments:\n    {giscus}\n", 1)
    config.write_text(after, "utf-8")
    try:
        build(
            project,
            BOOK_LAB_URL="https://hub.example.org/lab/tree/",
            BOOK_REPO_URL="https://github.com/someone/course",
        )
    finally:
        config.write_text(before, "utf-8")
    return project / "_build" / "html" / "chapters" / "01_a" / "a.html"


def test_buttons_lead_where_the_environment_says(published):
    page = BeautifulSoup(published.read_text("utf-8"), "html.parser")
    buttons = page.select(":is(.article-header-buttons, [popover]) a[href]")
    links = [a["href"] for a in buttons]
    path = "someone/course/blob/main/chapters/01_a/a.ipynb"
    assert "https://hub.example.org/lab/tree/chapters/01_a/a.ipynb" in links
    assert "https://hub.example.org/course" in links
    assert f"https://colab.research.google.com/github/{path}" in links
    assert any("mybinder.org/v2/gh/someone/course/main" in url for url in links)
    assert any(
        url.startswith("https://github.com/someone/course/edit") for url in links
    )


def test_comments_are_asked_for_when_they_are_opened(published):
    if chromium() is None:
        pytest.skip("no Chromium found: install the package chromium to test the pages")
    with headless(chromium()) as browser:
        page, asked = browser.new_context(offline=True).new_page(), []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(published.as_uri())
        assert not [url for url in asked if not url.startswith("file:")]
        comments = page.locator("details.course-comments")
        with page.expect_request("https://giscus.app/client.js"):
            comments.locator("summary").click()
        script = comments.locator("script")
        assert script.get_attribute("data-repo") == "someone/course"
        assert script.get_attribute("data-repo-id") == "R_1"
        assert script.get_attribute("data-mapping") == "pathname"


@pytest.mark.parametrize("page", built())
def test_page_has_no_comments_without_a_repository(page):
    assert not soup(page).select(".course-comments")


@pytest.mark.parametrize(
    "config, said",
    [
        ({"hypothesis": False, "utterances": False}, None),
        ({"giscus": {"repo": "someone/course"}}, None),
        (
            {"disqus": {"repo": "someone/course"}},
            "'disqus' is not giscus or",
        ),
        ({"giscus": True}, "html.comments.giscus in _config.yml has no repo"),
    ],
)
def test_a_wrong_service_of_comments_is_refused(monkeypatch, config, said):
    monkeypatch.syspath_prepend(str(ROOT / "_ext"))
    from course_comments import check_comments

    refused = pytest.raises(ConfigError, match=said) if said else nullcontext()
    with refused:
        check_comments(None, SimpleNamespace(comments_config=config))


def test_one_page_edition_builds(project):
    build(project, "singlehtml")
    text = (project / "_build" / "singlehtml" / "index.html").read_text()
    assert "The idea" in text and "A note." in text and "tex-svg.js" in text


def test_the_pdf_has_contents_numbers_links_and_an_outline(project, tmp_path):
    if chromium() is None:
        pytest.skip("no Chromium found: install the package chromium to print the book")
    out = tmp_path / "book.pdf"
    assert pdf.book_pdf(project, out) == 5
    book = PdfReader(out)
    sheets = [sheet.extract_text() for sheet in book.pages]
    assert book.metadata.title == "From X·Xᵀ to GPT" in sheets[0]
    assert book.page_labels == ["i", "ii", "1", "2", "3"]
    for text, number in zip(sheets[1:], book.page_labels[1:]):
        assert re.search(rf"^{number}$", text, re.MULTILINE), text
    assert re.findall(r"^(?:Book|\d · Title) (\d)$", sheets[1], re.M) == ["1", "2", "3"]
    assert {"Unfolded.", "Reasons.", "a = 1", "b = 2"} <= set(sheets[3].splitlines())
    assert "Show the code" not in sheets[3] and "1 + 1" not in sheets[3]
    assert "\\(" not in sheets[3]  # no TeX, but a drawing

    def outline(items):
        return [
            outline(item)
            if isinstance(item, list)
            else (item.title, book.get_destination_page_number(item))
            for item in items
        ]

    chapters = [("1 · Title", 3), ("2 · Title", 4)]
    part = [("Part I", 3), chapters]
    assert outline(book.outline) == [("Book", 2), [("Section", 2)], *part]
    links = [*pdf.links(book)]
    to = [book.pages.index(link["/Dest"][0].get_object()) for link in links]
    assert to == [2, 3, 4, 2, 3]  # of the contents, then of the front page
    assert not [link for link in links if "/A" in link]
    assert [path.name for path in tmp_path.iterdir()] == ["book.pdf"]


def test_a_pdf_that_is_not_made_says_why_and_is_not_there(
    project, tmp_path, monkeypatch, capsys
):
    def told(root, name, instead):
        with monkeypatch.context() as patch:
            patch.setattr(pdf, "ROOT", root)
            patch.setattr(pdf, name, instead)
            code = pdf.main(["--out", str(tmp_path / "book.pdf")])
        return code, capsys.readouterr().err.strip()

    def stop(*_):
        raise KeyboardInterrupt

    def half(path):
        path.write_text("%PDF")
        stop()

    code, said = told(project, "chromium", lambda: None)
    assert code == 1 and "no Chromium found: install the package" in said
    code, said = told(ROOT / "tests" / "no_book", "chromium", lambda: "/chromium")
    assert code == 1 and "_toc.yml" in said
    assert told(project, "book_pdf", stop) == (130, "stopped: no PDF was written")
    with pytest.raises(KeyboardInterrupt):
        pdf.save(SimpleNamespace(write=half), tmp_path / "book.pdf")
    assert list(tmp_path.iterdir()) == []


def test_a_changed_style_or_template_is_built_again(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "_ext"))
    from course_book import outdated_looks

    app = SimpleNamespace(srcdir=tmp_path, outdir=tmp_path / "html")
    env = SimpleNamespace(found_docs={"index", "page"})

    def again():
        return outdated_looks(app, env, set(), set(), set())

    for folder in ("html", "_static", "_templates"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "index.html").touch()
        os.utime(tmp_path / folder / "index.html", (0, 100))
    assert again() == []
    os.utime(tmp_path / "_static" / "index.html", (0, 200))
    assert again() == ["index"]
    os.utime(tmp_path / "_templates" / "index.html", (0, 200))
    assert again() == ["index", "page"]
