"""The front page's picture: the whole line of the course, from X·Xᵀ to GPT.

The heat maps are computed, all from the same four vectors, so the picture is true.
"""

from __future__ import annotations

import numpy as np
from course_map import LESSON
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

X = np.array([[1.4, 0.2, 0.1], [0.9, 0.9, 0.0], [0.1, 1.1, 0.6], [0.3, 0.0, 1.2]])
SWAP = np.array([[0.2, 1.6, 0.0], [0.1, 0.3, 1.5], [1.4, 0.0, 0.3]])
CELL, GAP = 18, 2
SIDE = len(X) * (CELL + GAP) - GAP


def softmax(scores):
    """Return the softmax of each row of scores (time, time)."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def heat(values, x=0, y=0):
    """Draw values (time, time) as squares, the largest in full colour."""
    squares = []
    for (i, j), strength in np.ndenumerate(values / values.max()):
        left, top = x + j * (CELL + GAP), y + i * (CELL + GAP)
        place = f'x="{left}" y="{top}" width="{CELL}" height="{CELL}" rx="2"'
        squares.append(
            f'<rect class="line-heat" {place} fill-opacity="{strength:.2f}"/>'
            f'<rect class="line-grid" {place}/>'
        )
    return "".join(squares)


def heads(*maps):
    """Draw one map per head, each a little lower and to the right."""
    step = 6
    size = SIDE + 4
    return "".join(
        f'<rect class="line-card" x="{n * step - 2}" y="{n * step - 2}" '
        f'width="{size}" height="{size}" rx="4"/>' + heat(weights, n * step, n * step)
        for n, weights in enumerate(maps)
    )


def block(x=0, y=0, width=78, height=78):
    """Draw a block: attention and a feed-forward layer, each with a way around it."""
    middle, bar = x + width / 2, height * 0.24
    parts = [
        f'<rect class="line-card" x="{x}" y="{y}" width="{width}" '
        f'height="{height}" rx="6"/>',
        f'<path class="line-wire" d="M{middle} {y + height + 6}V{y - 6}"/>',
    ]
    for top, kind in ((y + height * 0.6, "heat"), (y + height * 0.16, "warm")):
        foot, head = top + bar + 5, top - 5
        parts.append(
            f'<path class="line-wire" '
            f'd="M{middle} {foot}H{x + width - 7}V{head}H{middle}"/>'
            f'<rect class="line-{kind}" x="{x + 12}" y="{top}" width="{width - 30}" '
            f'height="{bar}" rx="3"/>'
        )
    return "".join(parts)


def stack():
    """Draw four blocks on top of each other, words in and one word out."""
    layers = "".join(
        f'<rect class="line-card" x="6" y="{y}" width="66" height="13" rx="3"/>'
        f'<rect class="line-heat" x="11" y="{y + 4}" width="26" height="5" rx="2"/>'
        f'<rect class="line-warm" x="41" y="{y + 4}" width="26" height="5" rx="2"/>'
        for y in (12, 28, 44, 60)
    )
    words = "".join(
        f'<circle class="line-dot" cx="{x}" cy="82" r="3"/>' for x in (15, 31, 47, 63)
    )
    return f'{layers}{words}<circle class="line-warm" cx="63" cy="4" r="4"/>'


def steps():
    """Return (name, what happens, what the drawing shows, drawing) of each step."""
    gram = X @ X.T
    raw = 2.5 * X @ SWAP @ X.T
    scores = raw / np.sqrt(X.shape[1])
    causal = np.where(np.tri(len(X), dtype=bool), scores, -np.inf)
    views = softmax(2 * gram), softmax(-raw), softmax(raw)
    return [
        ("X·Xᵀ", "a number for each pair", "A symmetric 4 by 4 heat map.", heat(gram)),
        ("softmax", "rows that add up to 1", "Each row now has its own strongest cell.",
         heat(softmax(gram))),
        ("Q·Kᵀ", "questions meet keys", "A heat map that is not symmetric.",
         heat(softmax(raw))),
        ("÷ √d<sub>k</sub>", "the spread stays the same",
         "The same heat map with softer contrasts.", heat(softmax(scores))),
        ("mask", "no look at the future", "Only the lower triangle is coloured.",
         heat(softmax(causal))),
        ("heads", "several views at once", "Three different heat maps, overlapping.",
         heads(*views)),
        ("block", "add, normalise, repeat",
         "A box with two layers, and a line around each.", block()),
        ("GPT", "a stack that writes", "Four blocks above four dots, one dot on top.",
         stack()),
    ]  # fmt: skip


STYLE = """
text { font: 600 13px system-ui, sans-serif; fill: #1d2733 }
.line-heat { fill: #0b5cb0 } .line-warm { fill: #d9600f } .line-dot { fill: #55616f }
.line-grid { fill: none; stroke: #dbe2ea } .line-card { fill: #fff; stroke: #dbe2ea }
.line-wire { fill: none; stroke: #55616f; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
  text { fill: #dde4ec } .line-heat { fill: #4b9af0 } .line-warm { fill: #f0a267 }
  .line-dot { fill: #a3b0be } .line-grid, .line-card { stroke: #333f4d }
  .line-card { fill: #12171e } .line-wire { stroke: #a3b0be }
}
"""


def picture():
    """Return the picture as an SVG file of its own, for README.md."""
    width, height, columns = 130, 130, 4
    parts = []
    for n, (name, _, _, drawing) in enumerate(steps()):
        x, y = n % columns * width + 10, n // columns * height + 12
        label = name.replace("<sub>k</sub>", "ₖ")
        parts.append(
            f'<g transform="translate({x} {y})">{drawing}'
            f'<text y="108">{label}</text></g>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {columns * width} '
        f'{2 * height}" width="{columns * width}"><style>{STYLE}</style>'
        f"{''.join(parts)}</svg>\n"
    )


class CourseLine(SphinxDirective):
    """`course-line`: the picture, as a list that wraps on a narrow screen.

    Each step leads to its chapter: the first seven to the one of their number.
    """

    def run(self):
        """Return the picture as HTML."""
        found = {m[1]: m[0] for m in map(LESSON.match, self.env.found_docs) if m}
        numbers = [*(f"{n:02}" for n in range(1, len(steps()))), "13"]
        items = []
        for (name, what, shows, drawing), number in zip(steps(), numbers):
            link = self.env.app.builder.get_relative_uri("index", found[number])
            items.append(
                f'<li><a href="{link}"><svg viewBox="-2 -8 110 100" role="img" '
                f'aria-label="{shows}">{drawing}</svg>'
                f"<b>{name}</b><span>{what}</span></a></li>"
            )
        text = f'<ol class="course-line">{"".join(items)}</ol>'
        return [nodes.raw("", text, format="html")]
