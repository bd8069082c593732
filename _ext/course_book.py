"""What the book needs beyond Jupyter Book: maths with no network, the course's marks.

- MathJax is one file out of the package sphinx-mathjax-offline.
- A lesson's first line becomes its bar, chapters are numbered by their folders, and a
  sheet says how to start it.
- Chinese words are marked as Chinese, for voices and fonts.
- The search works from the disk, in Chinese too.
- A button says how to open the notebook in one's own JupyterLab (`BOOK_LAB_URL`).
- Previous and next lead from lesson to lesson; its sheet is offered beside.
- Colab, Binder and "edit" appear only where `BOOK_REPO_URL` says what repository.
- Code that is written in several ways stands in tabs.
- Comments appear only where `_config.yml` names a service, and load when opened.
"""

from __future__ import annotations

import html
import os
import re
import zlib
from importlib.util import find_spec
from pathlib import Path

from course_comments import check_comments, comments
from course_line import CourseLine
from course_map import UNNUMBERED, CourseMap, CourseStart
from course_page import CourseDates, CourseGpt, CourseSentence, copy_weights
from course_search import drop_sphinx_search, note_texts, search_page
from course_variants import mark_variants
from docutils import nodes
from sphinx import addnodes
from sphinx.util.fileutil import copy_asset_file

CHAPTER = re.compile(r"chapters/(?P<folder>(?P<number>\d\d)_\w+)/(?P<name>\w+)$")
CHINESE = re.compile("([\u3400-\u9fff][\u3000-\u303f\u3400-\u9fff\uff00-\uffef]*)")
SHEET = "_exercises"
APPENDIX = "appendix/"
LAB_URL = "http://localhost:8888/lab/tree"


def outdated_looks(app, env, added, changed, removed):
    """Name the pages to build again when styles, scripts or templates changed.

    Sphinx looks at pages alone, and copies no style sheet when none of them changed.
    """
    built = Path(app.outdir, "index.html")
    if not built.exists():
        return []

    def newer(folder):
        then = built.stat().st_mtime
        files = Path(app.srcdir, folder).rglob("*")
        return any(file.stat().st_mtime > then for file in files)

    if newer("_templates"):
        return sorted(env.found_docs)
    return ["index"] if newer("_static") and "index" in env.found_docs else []


def copy_mathjax(app):
    """Put the one file of MathJax where `mathjax_path` says it is."""
    if app.builder.format != "html":
        return
    package = Path(find_spec("sphinx-mathjax-offline").origin).parent
    target = Path(app.outdir, "_static", app.config.mathjax_path)
    target.parent.mkdir(parents=True, exist_ok=True)
    copy_asset_file(package / "static" / "mathjax" / target.name, target.parent)


def public_buttons(app, config):
    """Turn on what needs a public repository, if there is one."""
    repository = os.environ.get("BOOK_REPO_URL")
    if not repository:
        return
    config.html_theme_options.update(
        repository_url=repository,
        repository_branch=os.environ.get("BOOK_REPO_BRANCH", "main"),
        use_repository_button=True,
        use_edit_page_button=True,
        use_issues_button=True,
        launch_buttons={
            "notebook_interface": "jupyterlab",
            "colab_url": "https://colab.research.google.com",
            "binderhub_url": "https://mybinder.org",
        },
    )


def lab_button(app, pagename, templatename, context, doctree):
    """Add the button that says how to open this page's notebook in JupyterLab.

    A sheet opens as the learner's copy, which is where `dot2gpt start` puts it.
    """
    chapter = CHAPTER.match(pagename)
    if not (chapter or pagename.startswith(APPENDIX)):
        return
    if not context.get("page_source_suffix") == ".ipynb":
        return
    path, steps = f"{pagename}.ipynb", [("In the folder of the course:", "make lab")]
    if pagename.endswith(SHEET):
        path = f"submitted/me/{chapter['folder']}/{chapter['name']}.ipynb"
        begin = f"python -m dot2gpt start {chapter['folder']}"
        steps.append(("Your own copy, once: Start there, or in a terminal", begin))
    steps = "".join(
        f'<p>{what}</p><div class="highlight"><pre>{command}</pre></div>'
        for what, command in steps
    )
    lab = html.escape(app.config.book_lab_url.rstrip("/"))
    course = f'<a href="{lab.removesuffix("/lab/tree")}/course" target="_blank">'
    context["body"] += (
        '<div popover id="open-in-lab" role="dialog" aria-label="Open in JupyterLab">'
        "<p><b>This page is a notebook: change the code and run it.</b></p>"
        f'{steps}<p>Then <a href="{lab}/{path}" target="_blank">open it in JupyterLab'
        f"</a>, or {course}all chapters with your points</a>. If it asks for a token, "
        "take the address that <code>make lab</code> printed.</p></div>"
    )
    context["header_buttons"].insert(
        0,
        {
            "type": "javascript",
            "javascript": "document.getElementById('open-in-lab').togglePopover()",
            "text": "Open in JupyterLab",
            "icon": "fas fa-flask",
            "label": "open-in-lab",
        },
    )


def neighbours(app, pagename, templatename, context, doctree):
    """Lead from lesson to lesson, and offer beside what stands below this one."""
    below = app.env.toctree_includes
    line = ["index", *below.get("index", [])]
    above = [name for name in line[1:] if pagename in below.get(name, [])]
    here = above[0] if above else pagename
    if here not in line:
        return

    def link(name):
        where = app.builder.get_relative_uri(pagename, name)
        return {"link": where, "title": html.escape(app.env.titles[name].astext())}

    at = line.index(here)
    before, after = [here] if above else line[:at][-1:], line[at + 1 : at + 2]
    beside = below.get(pagename, []) if pagename != "index" else []
    context["prev"] = link(*before) if before else None
    context["next"] = link(*after) if after else None
    context["beside"] = [link(name) for name in beside]


def describe(app, pagename, templatename, context, doctree):
    """Add the description that search engines and link previews show."""
    text = _first_sentences(doctree) if doctree else ""
    if not text:
        return
    title = html.escape(f"{context['title']} · {app.config.html_title}")
    text = html.escape(text)
    context["metatags"] += (
        f'<meta name="description" content="{text}" />\n'
        f'<meta property="og:title" content="{title}" />\n'
        f'<meta property="og:description" content="{text}" />\n'
        '<meta property="og:type" content="article" />\n'
    )


def plain_citations(app, pagename, templatename, context, doctree):
    """Leave out the roles that docutils gives to citations: ARIA no longer has them."""
    for role in (' role="doc-biblioentry"', ' role="list" class="citation-list"'):
        context["body"] = context.get("body", "").replace(role, "")


def _first_sentences(doctree):
    """Return the first plain paragraph, cut at a word to 160 characters."""
    for paragraph in doctree.findall(nodes.paragraph):
        if not paragraph["classes"] and isinstance(paragraph.parent, nodes.section):
            text = " ".join(paragraph.astext().split())
            return text if len(text) <= 160 else text[:159].rsplit(" ", 1)[0] + "…"
    return ""


def mark_chapter(app, doctree):
    """Number the chapter, make its first line the bar, tell how to start a sheet."""
    docname = app.env.docname
    chapter = CHAPTER.match(docname)
    if (label := _evidence_of(app, docname)) and (bar := _bar(doctree)):
        bar[0].append(nodes.Text(" · "))
        bar[0].append(_link(docname, label, "how sure this is"))
    if docname.startswith(APPENDIX) and (bar := _bar(doctree)) is not None:
        bar["classes"].append("course-bar")
    if not chapter:
        return
    is_sheet = docname.endswith(SHEET)
    number = str(int(chapter["number"]))
    numbered = chapter["folder"] not in UNNUMBERED
    if numbered and chapter["folder"].endswith(f"_{chapter['name']}"):
        _number_title(app.env, docname, number)
    bar = _bar(doctree)
    if bar is None:
        return
    bar["classes"].append("course-bar")
    given = " ".join(name.astext() for name in bar.findall(nodes.literal))
    app.env.metadata[docname]["gives"] = given
    if numbered:
        bar[0].insert(0, nodes.Text(f"Chapter {number} · "))
    if is_sheet:
        command = nodes.literal("", f"python -m dot2gpt start {chapter['folder']}")
        start = nodes.paragraph("", "To work on your own copy: ", command)
        start["classes"].append("course-start")
        bar.parent.insert(bar.parent.index(bar) + 1, start)


def mark_chinese(app, doctree):
    """Give Chinese words in prose their language; a folded summary names its own."""
    folded = False
    for text in list(doctree.findall(nodes.Text)):
        parent = text.parent
        if isinstance(parent, nodes.raw):
            folded = "<details lang=" in text or folded and "</details>" not in text
        elif not folded and CHINESE.search(text):
            if not isinstance(parent, (nodes.FixedTextElement, nodes.literal)):
                mark = {"classes": ["language-zh-Hans"]}  # written as lang="zh-Hans"
                parts = enumerate(CHINESE.split(text))  # every second one is Chinese
                marked = [
                    nodes.inline("", part, **mark) if n % 2 else nodes.Text(part)
                    for n, part in parts
                ]
                parent.replace(text, marked)


def _evidence_of(app, docname):
    """Return the label of a page's section in *How sure this is*, if it has one."""
    page = Path(app.srcdir, APPENDIX, "evidence.md")
    name = docname.removeprefix("chapters/").removeprefix(APPENDIX)
    folder, _, file = name.partition("/")
    name = folder if folder[3:] == file else name
    label = "evidence-" + name.replace("/", "-")
    known = page.exists() and f"({label})=" in page.read_text(encoding="utf-8")
    return label if known else None


def _link(docname, label, text):
    """Return a link to a label of the book, which Sphinx resolves."""
    options = {"refdomain": "std", "reftype": "ref", "reftarget": label}
    options.update(refdoc=docname, refexplicit=True, refwarn=True)
    return addnodes.pending_xref("", nodes.inline("", text), **options)


def _number_title(env, docname, number):
    """Put the number before the title wherever the title stands for the page."""
    env.titles[docname].insert(0, nodes.Text(f"{number} · "))
    for reference in env.tocs[docname].findall(nodes.reference):
        reference.insert(0, nodes.Text(f"{number} · "))
        return


def rewrite_all(app, env):
    """Write every page again when a title or the order changed: all pages show them."""
    contents = {name: title.astext() for name, title in env.titles.items()}
    contents = (contents, dict(env.toctree_includes))
    if getattr(env, "course_contents", contents) == contents:
        changed = []
    else:
        changed = sorted(env.found_docs)
    env.course_contents = contents
    return changed


def _bar(doctree):
    """Return the paragraph after the title if all of it is emphasised."""
    title = next(doctree.findall(nodes.title), None)
    after = title.next_node(descend=False, siblings=True) if title else None
    if isinstance(after, nodes.paragraph) and len(after) == 1:
        if isinstance(after[0], nodes.emphasis):
            return after
    return None


def setup(app):
    """Register the extension."""
    here = Path(__file__).parent.glob("*.py")
    app.add_config_value(
        "book_lab_url", os.environ.get("BOOK_LAB_URL", LAB_URL), "html"
    )
    # Jupyter Book sets it for an extension that _config.yml leaves out.
    app.add_config_value("comments_config", {}, "html")
    app.add_directive("course-dates", CourseDates)
    app.add_directive("course-gpt", CourseGpt)
    app.add_directive("course-line", CourseLine)
    app.add_directive("course-sentence", CourseSentence)
    app.add_directive("course-map", CourseMap)
    app.add_directive("course-start", CourseStart)
    app.connect("env-get-outdated", outdated_looks)
    app.connect("config-inited", public_buttons, priority=900)
    app.connect("config-inited", check_comments)
    app.connect("builder-inited", copy_mathjax)
    app.connect("builder-inited", drop_sphinx_search)
    app.connect("build-finished", copy_weights)
    # After Sphinx has collected titles and contents, which these change.
    app.connect("doctree-read", mark_chapter, priority=900)
    app.connect("doctree-read", mark_chinese, priority=900)
    app.connect("doctree-read", mark_variants)
    app.connect("doctree-read", note_texts)
    app.connect("html-collect-pages", search_page)
    app.connect("env-updated", rewrite_all)
    app.connect("html-page-context", lab_button, priority=600)
    app.connect("html-page-context", neighbours)
    app.connect("html-page-context", describe, priority=900)
    app.connect("html-page-context", plain_citations)
    app.connect("html-page-context", comments, priority=950)
    return {
        "parallel_read_safe": True,
        "parallel_write_safe": True,
        # Pages are read again when a file of this folder changes.
        "env_version": zlib.crc32(b"".join(map(Path.read_bytes, sorted(here)))),
    }
