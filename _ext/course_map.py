"""The map of the course: which chapter needs which, read from the lessons' first lines.

Every lesson says `*25 minutes · needs [topic](link) · gives …*`. An arc leads from a
chapter to each one that needs it, so the picture is never older than the pages.
"""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

LESSON = re.compile(r"chapters/(\d\d)_(\w+)/\2$")
LINK = re.compile(r"\]\(\.\./((\d\d)_\w+)/\w+\.ipynb\)")
UNNUMBERED = {"00_basics"}  # what stands before the first chapter
ROW, LEFT = 34, 96  # height of a line, width of the arcs, in px


def head_of(lesson):
    """Return (title, names of the chapters needed) of a lesson's first cell."""
    cells = json.loads(Path(lesson).read_text(encoding="utf-8"))["cells"]
    lines = "".join(cells[0]["source"]).splitlines()
    title = lines[0].removeprefix("# ")
    bar = next(line for line in lines if line.startswith("*"))
    needs = bar.partition("needs")[2].partition(" gives ")[0]
    return title, [name for name, _ in LINK.findall(needs)]


def arcs(names, needs):
    """Draw a half circle from each chapter to those that need it."""
    place = {name: (n + 0.5) * ROW for n, name in enumerate(names)}
    x, drawn = LEFT - 8, []
    for name in names:
        for other in needs[name]:
            top, foot = sorted((place[other], place[name]))
            wide = min(LEFT - 14, 10 + (foot - top) * 0.28)
            drawn.append(
                f'<path data-from="{other}" data-to="{name}" '
                f'd="M{x} {top}C{x - wide} {top} {x - wide} {foot} {x} {foot}"/>'
            )
    dots = "".join(f'<circle cx="{x}" cy="{y}" r="4"/>' for y in place.values())
    size = f'width="{LEFT}" height="{len(names) * ROW}"'
    return f'<svg {size} aria-hidden="true">{"".join(drawn)}{dots}</svg>'


class CourseStart(SphinxDirective):
    """Say where to start, and how long all lessons and sheets take, as the bars do."""

    def run(self):
        """Return a paragraph with a link that looks like a button."""
        minutes = {False: 0, True: 0}
        for doc in sorted(self.env.found_docs):
            if LESSON.match(doc) or doc.endswith("_exercises"):
                path = Path(self.env.doc2path(doc))
                self.env.note_dependency(str(path))
                bar = re.search(r"\*(\d+) minutes", path.read_text(encoding="utf-8"))
                minutes[doc.endswith("_exercises")] += int(bar[1]) if bar else 0
        first = min(filter(LESSON.match, self.env.found_docs))
        link = self.env.app.builder.get_relative_uri(self.env.docname, first)
        text = (
            f'<p class="course-begin"><a href="{link}">Start here</a> '
            f"{round(minutes[False] / 60)} hours of lessons, "
            f"{round(minutes[True] / 60)} of exercises</p>"
        )
        return [nodes.raw("", text, format="html")]


class CourseMap(SphinxDirective):
    """Draw the chapters below each other, an arc for each need."""

    def run(self):
        """Return the picture and its list of links as one raw node."""
        found = sorted(
            (match[1] + "_" + match[2], doc)
            for doc in self.env.found_docs
            if (match := LESSON.match(doc)) and doc.split("/")[1] not in UNNUMBERED
        )
        heads = {}
        for name, doc in found:
            path = self.env.doc2path(doc)
            self.env.note_dependency(path)
            heads[name] = head_of(path)
        names = [name for name, _ in found]
        needs = {name: [n for n in heads[name][1] if n in heads] for name in names}
        items = []
        for name, doc in found:
            link = self.env.app.builder.get_relative_uri(self.env.docname, doc)
            title = html.escape(heads[name][0])
            numbers = ", ".join(str(int(other[:2])) for other in needs[name])
            after = f'<span class="needs"> needs {numbers}</span>' if numbers else ""
            items.append(
                f'<li data-name="{name}"><a href="{link}">{int(name[:2])} · {title}</a>'
                f"{after}</li>"
            )
        text = f'{arcs(names, needs)}<ol style="--row: {ROW}px">{"".join(items)}</ol>'
        return [nodes.raw("", f'<div class="course-needs">{text}</div>', format="html")]
