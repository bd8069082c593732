"""Code that is written in several ways: a bold name, its code, the next name, its code.

The page shows such a row as tabs, on paper and in JupyterLab one below the other.
"""

from __future__ import annotations

import html

from docutils import nodes

TAB = '<input type="radio" name="{row}" id="{row}-{n}"{first}><label for="{row}-{n}">'


def mark_variants(app, doctree):
    """Make tabs of two or more named pieces of code that follow each other."""
    rows = 0
    for name in list(doctree.findall(_is_name)):
        place, pairs = name.parent, []
        at = place.index(name) if place else 0
        while place and at + 1 < len(place) and _is_named(*place[at : at + 2]):
            pairs.append(place[at : at + 2])
            at += 2
        if len(pairs) < 2:
            continue
        rows += 1
        tabs = nodes.container(classes=["course-tabs"])
        for n, (title, code) in enumerate(pairs):
            place.remove(title)
            place.remove(code)
            first = "" if n else " checked"
            tab = TAB.format(row=f"variants-{rows}", n=n, first=first)
            text = f"{tab}{html.escape(title.astext())}</label>"
            tabs += nodes.raw("", text, format="html")
            tabs += nodes.container("", code, classes=["course-tab"])
            title.parent = None
        place.insert(at - 2 * len(pairs), tabs)


def _is_named(title, code):
    return _is_name(title) and isinstance(code, nodes.literal_block)


def _is_name(node):
    """Whether a node is a paragraph of nothing but bold text."""
    if not isinstance(node, nodes.paragraph):
        return False
    parts = [part for part in node.children if part.astext()]  # some texts are empty
    return len(parts) == 1 and isinstance(parts[0], nodes.strong)
