"""What the pictures share whose input the reader moves: a plane, numbers, a figure.

The page, its style and the parts of its script are those of `dot2gpt.pictures`; what is
new lies in live_picture.js and .css, cut at the same lines. A plane is (left, right,
low, high, units of its drawing to a step of 1).
"""

import html
import json
import math

from dot2gpt.pictures import _CSS, _HERE, _JS, Picture, _parts, _prose, _round

_SCRIPT, _STYLE = _parts("live_picture.js"), _parts("live_picture.css")


def figure(kind, body, caption, data, text, parts=("plane",)):
    """A figure that reads with JavaScript off; its script lets the reader change it.

    kind: what `kind_picture.js` starts; `kind_picture.css` is its style.
    body: HTML that shows the start. data: what the script is told. text: lines for the
    terminal. parts: of live_picture.js and .css.
    """
    style = "".join(_CSS[part] for part in ("core", "grid", "slide"))
    style += "".join(f"\n{_STYLE[part]}" for part in parts if part in _STYLE)
    script = "".join(_JS[part] for part in ("core", "grid", "slide"))
    script += "".join(f"\n{_SCRIPT[part]}" for part in parts if part in _SCRIPT)
    store = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    store = store.replace("<", "\\u003c")
    return Picture(
        f'<figure class="pv" data-kind="{kind}"><style>{style}\n{_own(kind, "css")}'
        f"</style>{body}<figcaption>{_prose(caption)}</figcaption>"
        f'<script type="application/json">{store}</script></figure>'
        f"<script>(()=>{{\n{script}\n{_own(kind, 'js')}}})()</script>",
        "\n".join([*text, str(caption)]),
    )


def _own(kind, end):
    """A picture's own file without indentation and comment lines."""
    text = (_HERE / f"{kind}_picture.{end}").read_text(encoding="utf-8")
    lines = filter(None, map(str.strip, text.splitlines()))
    return "".join(f"{line}\n" for line in lines if not line.startswith(("//", "/*")))


def fixed(x, digits=2):
    """A number as the script writes it."""
    return f"{_round(x, digits) + 0.0:.{digits}f}".replace("-", "−")


def spot(x, y, plane):
    """A point of the plane in units of its drawing, as `sheet` of the script."""
    left, _, _, high, unit = plane
    across, down = unit * (x - left), unit * (high - y)
    return f"{_round(across, 1) + 0.0:g} {_round(down, 1) + 0.0:g}"


def drawing(shapes, plane, alt):
    """The SVG of a plane and its place on the page; shapes: its elements as text."""
    left, right, low, high, unit = plane
    wide, tall = unit * (right - left), unit * (high - low)
    return (
        f'<div class="pv-stage"><svg viewBox="0 0 {wide:g} {tall:g}" role="img" '
        f'aria-label="{html.escape(alt)}">{shapes}</svg></div>'
    )


def path(name, points, plane, more=""):
    """A line through points."""
    line = "L".join(spot(*point, plane) for point in points)
    return f'<path class="{name}" d="M{line}"{more}/>'


def disc(name, radius, point, plane):
    across, down = spot(*point, plane).split()
    return f'<circle class="{name}" r="{radius}" cx="{across}" cy="{down}"/>'


def arrow(x, y):
    """As in the script: a line from 0 to a point, and the two sides of its head."""
    length = math.hypot(x, y) or 1
    back = min(0.32, length)
    u, v = x / length * back, y / length * back
    sides = [(x - u + s * 0.4 * v, y - v - s * 0.4 * u) for s in (1, -1)]
    return [(0, 0), (x, y), sides[0], (x, y), sides[1]]


def label(name, word, x, y, plane):
    """A word beside a point."""
    across, down = spot(x, y, plane).split()
    return f'<text class="{name}" x="{across}" y="{down}">{html.escape(word)}</text>'


def numbers(rows):
    """A table of names and numbers that the script writes over; rows: (name, text)."""
    body = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th><td>{text}</td></tr>'
        for name, text in rows
    )
    return f'<table class="pv-read"><tbody>{body}</tbody></table>'


def bars(heads, rows):
    """A table whose last column is a bar; rows: (name, texts, share from 0 to 1)."""
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in heads)
    body = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th>'
        + "".join(f'<td class="pv-n">{text}</td>' for text in texts)
        + '<td class="pv-bar"><i style="display:block;height:1em;'
        f'width:{_round(100 * share, 1):g}%;background-color:#1b66a8"></i></td></tr>'
        for name, texts, share in rows
    )
    return (
        f'<table class="pv-bars"><thead><tr>{head}<td></td></tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )
