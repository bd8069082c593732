"""The search page: one file that holds what stands on every page, and finds it.

A page opened from the disk may load no other page, so the texts are part of this one.
The template `search.html` looks for words in them, which needs no splitter of Chinese.
"""

from __future__ import annotations

import base64
import json
import re
import zlib

from docutils import nodes

LEFT_OUT = (nodes.section, nodes.title, nodes.raw, nodes.math_block, nodes.comment)
TEX = [(r"\\sqrt", "√"), (r"\^?{?\\top", "ᵀ"), (r"\\times", "×"), (r"\\in\b", "∈")]
TEX += [(r"\\(operatorname|text|math\w+|left|right)(?![a-z])|[\\{}]", "")]


def drop_sphinx_search(app):
    """Have Sphinx make neither its index nor its page."""
    app.builder.search = False


def note_texts(app, doctree):
    """Keep the sections of a page, each with its place, heading and text."""
    app.env.metadata[app.env.docname]["search"] = [
        (section["ids"][0], _words_of(section.next_node(nodes.title)), _text(section))
        for section in doctree.findall(nodes.section)
    ]


def search_page(app):
    """Yield the page of the search, with the texts of all others."""
    if app.builder.name != "html":
        return
    builder, env = app.builder, app.env
    texts = [
        (
            builder.get_relative_uri("search", name),
            _words_of(env.titles[name]),
            env.metadata[name].get("gives", ""),
            env.metadata[name]["search"],
        )
        for name in sorted(env.found_docs)
    ]
    packed = zlib.compress(json.dumps(texts, ensure_ascii=False).encode(), 9)
    packed = base64.b64encode(packed).decode("ascii")
    yield "search", {"title": "Search", "packed": packed}, "search.html"


def _text(section):
    """Return the prose and code of a section, without outputs and further sections."""
    return " ".join(" ".join(_words(section)).split())


def _words_of(node):
    """Return the text of a title or paragraph; its formulas without TeX."""
    return "".join(map(_plain, node.findall(nodes.Text)))


def _words(node):
    if isinstance(node, nodes.TextElement):
        yield _words_of(node)
    elif node.get("nb_element") != "cell_code_output":
        for child in node.children:
            if not isinstance(child, LEFT_OUT):
                yield from _words(child)


def _plain(text):
    """Return the text; of a formula, what is left without the commands of TeX."""
    if isinstance(text.parent, nodes.math):
        for pattern, sign in TEX:
            text = re.sub(pattern, sign, text)
    return text
