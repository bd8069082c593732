"""Print the built book as one PDF, page by page through Chromium.

    python -m tools.pdf
    python -m tools.pdf --out book.pdf

The pages come in the order of _toc.yml, behind a title page and a table of contents.
Links from page to page lead within the PDF.
"""

import argparse
import html
import io
import json
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml
from pypdf import PdfReader, PdfWriter
from pypdf.generic import (
    ArrayObject,
    DictionaryObject,
    Fit,
    FloatObject,
    NameObject,
    NullObject,
    TextStringObject,
)
from tqdm import tqdm

from tools.chromium import chromium, headless
from tools.tree import ROOT

SLOW = 600_000  # milliseconds that a page may take
WIDTH = {"width": 660, "height": 950}  # of the text of an A4 sheet, in CSS pixels
# Numbers run on from page to page of the book.
PAPER = """
@page {{
  size: A4; margin: 20mm 18mm;
  @top-left {{ content: {title}; font: 9pt system-ui, sans-serif; color: #55616f }}
  @bottom-center {{ content: counter(page{style}); font: 9pt system-ui, sans-serif }}
}}
html {{ counter-reset: page {before} }}
"""
FRONT = """<!doctype html><html lang="en"><head><meta charset="utf-8"><style>
body { font: 11pt/1.5 system-ui, sans-serif; color: #1d2733; margin: 0 }
@page:first { @top-left { content: none } @bottom-center { content: none } }
header { padding-top: 70mm; break-after: page }
header h1 { font-size: 34pt; line-height: 1.15; margin: 0 0 8mm }
h2 { font-size: 20pt }
h3 { font-size: 11pt; margin: 5mm 0 1mm; break-after: avoid }
p { margin: 0; display: flex; gap: 2mm; align-items: baseline; break-inside: avoid }
p.below { padding-left: 8mm; font-size: 10pt }
a { color: inherit; text-decoration: none }
i { flex: 1; border-bottom: 1px dotted #55616f }
</style></head><body>"""
# A quiz takes its reasons out of the page, to give them one by one. Paper keeps them.
KEPT = """const remove = Element.prototype.remove;
Element.prototype.remove = function () {
  if (!this.matches('details')) remove.call(this);
};"""
# Formulas are drawn, and none is wider than the sheet.
DRAWN = """async () => {
  await window.MathJax?.startup?.promise;
  for (const formula of document.querySelectorAll('div.math mjx-container'))
    if (formula.scrollWidth > formula.clientWidth)
      formula.style.fontSize = `${98 * formula.clientWidth / formula.scrollWidth}%`;
}"""
# The title, the sections as [level, heading, id], and in which of them each place lies.
HEAD = """() => {
  const article = document.querySelector('article'), inside = {};
  const sections = [...article.querySelectorAll('section[id]')].map(section => {
    const heading = section.querySelector('h1, h2, h3, h4, h5').cloneNode(true);
    heading.querySelectorAll('.headerlink, svg').forEach(e => e.remove());
    return [+heading.tagName[1], heading.textContent.trim(), section.id];
  });
  for (const e of article.querySelectorAll('[id]'))
    inside[e.id] = e.closest('section[id]')?.id;
  const title = document.querySelector('#jb-print-docs-body h1').textContent.trim();
  return {title, sections, inside};
}"""


class PdfError(Exception):
    """The PDF cannot be made; the text says why."""


@dataclass
class Printed:
    """A page of the book on paper."""

    title: str
    sections: list  # [level, heading, id]
    paper: PdfReader
    at: dict  # address of a place: (sheet, left, top)
    before: int  # sheets of the book before it


def book_pdf(root, out):
    """Print the book that is built below `root` to the file `out`; returns its sheets.

    Raises PdfError where there is no Chromium or no built book.
    """
    built, program, parts = root / "_build" / "html", chromium(), contents(root)
    if program is None:
        raise PdfError("no Chromium found: install the package chromium, or Chrome")
    names = [name for _, below in parts for name, _ in below]
    for name in names:
        if not (built / f"{name}.html").is_file():
            raise PdfError(f"{name}.html is not in {built}: run make book first")
    about = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    with headless(program) as browser:
        tab = browser.new_page(viewport=WIDTH, color_scheme="light", offline=True)
        tab.set_default_timeout(SLOW)
        tab.emulate_media(media="print")
        tab.add_init_script(KEPT)
        pages, before = {}, 0
        for name in tqdm(names, unit="page"):
            url = (built / f"{name}.html").as_uri()
            pages[name] = print_page(tab, url, before)
            before += len(pages[name].paper.pages)
        tab.goto("about:blank")
        tab.set_content(front(parts, pages, about))
        first = on_paper(tab, 0, "Contents", ", lower-roman")
    book = joined(first, parts, pages)
    book.add_metadata({"/Title": about["title"], "/Author": about["author"]})
    save(book, out)
    return len(book.pages)


def contents(root):
    """[(caption, [(page, depth)])] of the parts of the book, the front page first."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))

    def below(entries, depth):
        for entry in entries:
            yield entry["file"], depth
            yield from below(entry.get("sections", ()), depth + 1)

    parts = [(part["caption"], [*below(part["chapters"], 0)]) for part in toc["parts"]]
    return [("", [(toc["root"], 0)]), *parts]


def print_page(tab, url, before):
    """Print the page at `url`, which `before` sheets come before."""
    tab.goto(url)
    tab.evaluate(DRAWN)
    head, url = tab.evaluate(HEAD), tab.url
    paper = on_paper(tab, before, head["title"])
    # Chromium names the places that the page itself leads to, as its contents do.
    named = {
        name.lstrip("/"): (
            paper.get_destination_page_number(place),
            place.left,
            place.top,
        )
        for name, place in paper.named_destinations.items()
    }
    start = (0, None, None)
    at = {
        f"{url}#{place}": named.get(place, named.get(section, start))
        for place, section in head["inside"].items()
    }
    for link in links(paper):
        if "/Dest" in link:
            address = TextStringObject(f"{url}#{link.pop('/Dest').lstrip('/')}")
            action = {"/S": NameObject("/URI"), "/URI": address}
            action = {NameObject(key): action[key] for key in action}
            link[NameObject("/A")] = DictionaryObject(action)
    return Printed(head["title"], head["sections"], paper, {url: start} | at, before)


def on_paper(tab, before, title, style=""):
    """What the tab shows as numbered sheets with a title."""
    title = json.dumps(title, ensure_ascii=False)
    tab.add_style_tag(content=PAPER.format(title=title, before=before, style=style))
    return PdfReader(io.BytesIO(tab.pdf(prefer_css_page_size=True)))


def front(parts, pages, about):
    """The title page and the table of contents, as HTML."""
    title, author = html.escape(about["title"]), html.escape(about["author"])
    lines = [FRONT, f"<header><h1>{title}</h1>{author}</header><h2>Contents</h2>"]
    for caption, names in parts:
        lines.append(f"<h3>{html.escape(caption)}</h3>")
        for name, depth in names:
            page, below = pages[name], ' class="below"' if depth else ""
            link = f'<a href="{next(iter(page.at))}">{html.escape(page.title)}</a>'
            lines.append(f"<p{below}>{link}<i></i>{page.before + 1}</p>")
    return "".join(lines)


def joined(first, parts, pages):
    """One PDF of the sheets, with links, an outline, and numbers as on the sheets."""
    book, items = PdfWriter(), [None]
    for paper in (first, *(page.paper for page in pages.values())):
        book.append(paper, import_outline=False)
    start, places = len(first.pages), {}
    for page in pages.values():
        for address, (sheet, left, top) in page.at.items():
            places[address] = (start + page.before + sheet, left, top)
    for link in links(book):
        address = link["/A"].get("/URI", "") if "/A" in link else ""
        if address.startswith("file:"):  # what is not in the book leads nowhere
            del link["/A"]
            if address in places:
                link[NameObject("/Dest")] = destination(book, *places[address])

    def item(depth, title, address):
        del items[depth + 1 :]
        sheet, left, top = places[address]
        options = {"parent": items[-1], "is_open": depth == 0}
        if top is not None:
            options["fit"] = Fit.xyz(left, top)
        items.append(book.add_outline_item(title=title, page_number=sheet, **options))

    for caption, names in parts:
        if caption:
            item(0, caption, next(iter(pages[names[0][0]].at)))
        for name, depth in names:
            page = pages[name]
            url, depth = next(iter(page.at)), depth + bool(caption)
            item(depth, page.title, url)
            for level, heading, place in page.sections[1:]:
                item(depth + level - 1, heading, f"{url}#{place}")
    book.set_page_label(0, start - 1, style="/r")
    book.set_page_label(start, len(book.pages) - 1, style="/D", start=1)
    return book


def destination(book, sheet, left, top):
    """A place on a sheet, as a link has it."""
    place = [NullObject() if x is None else FloatObject(x) for x in (left, top)]
    kind = NameObject("/XYZ")
    return ArrayObject(
        [book.pages[sheet].indirect_reference, kind, *place, NullObject()]
    )


def links(pdf):
    """The links on the sheets of a PDF."""
    for sheet in pdf.pages:
        for link in sheet.get("/Annots", ()):
            yield link.get_object()


def save(book, out):
    """Write the PDF whole or not at all."""
    half = out.with_name(out.name + ".part")
    try:
        book.write(half)
        os.replace(half, out)
    finally:
        half.unlink(missing_ok=True)


def main(argv=None):
    """Print the book; returns the exit code."""
    kind = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "tools.pdf", description=__doc__, formatter_class=kind
    )
    there = ROOT / "_build" / "x-to-gpt.pdf"
    help = "the file (default: _build/x-to-gpt.pdf)"
    parser.add_argument("--out", metavar="FILE", type=Path, default=there, help=help)
    out = parser.parse_args(argv).out.absolute()
    try:
        n_sheets = book_pdf(ROOT, out)
    except KeyboardInterrupt:
        logging.disable()  # playwright's helper is stopped, too, and would be mourned
        print("stopped: no PDF was written", file=sys.stderr)
        return 130
    except (PdfError, OSError) as error:
        print(f"no PDF was written: {error}", file=sys.stderr)
        return 1
    print(f"The book, {n_sheets} pages: {out.as_uri()}")


if __name__ == "__main__":
    sys.exit(main())
