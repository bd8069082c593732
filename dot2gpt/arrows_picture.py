"""Two arrows to drag: lengths, shadow, dot product, a row of X·Xᵀ. For chapter 01."""

import html

import numpy as np

from dot2gpt import live_picture as live
from dot2gpt.pictures import _array, _plain_cells, _table, _words

PLANE = (-3, 7, -2.5, 5, 40)  # left, right, low, high, units to a step of 1


def arrows(x, tokens, pair=(0, 1), *, caption):
    """Draw two rows of x in the plane that holds both, with handles at their tips.

    The plane keeps their lengths and their angle. The other rows stand at their feet on
    it: a vector of the plane has the same dot product with a row as with its foot. So
    the row of X·Xᵀ below stays right wherever the arrows are moved.

    x: (time, d_model). tokens: the words, (time,). pair: the row whose row of X·Xᵀ is
    shown, and the row that it casts its shadow on.
    caption: one or two sentences shown below the picture; `code` in backticks.
    Raises ValueError for values of another rank, words that do not match them, two rows
    that lie on one line, or one that does not fit into the drawing.
    """
    x = _array("x", x)
    if x.ndim != 2 or not np.isfinite(x).all():
        raise ValueError("x is not a table of finite numbers, (time, d_model)")
    words = _words("tokens", tokens, len(x), "x", x)
    first, second = pair
    feet = _feet(x, first, second)
    left, right, low, high, _ = PLANE
    for row in pair:
        if not (left <= feet[row, 0] <= right and low <= feet[row, 1] <= high):
            raise ValueError(f"row {row} of x does not fit into the drawing")
    a, b = feet[first], feet[second]
    products = feet @ a
    most = max(np.abs(products).max(), 1)
    row = _table([words[first]], words, _plain_cells(products[None], most, 1))
    names = [words[first], words[second]]
    said = _numbers(a, b, names)
    body = (
        live.drawing(_shapes(feet, words, pair), PLANE, _alt(said))
        + live.numbers(said)
        + f'<p class="pv-name">the row of {html.escape(names[0])} in X·Xᵀ</p>{row}'
    )
    data = {
        "plane": PLANE,
        "points": feet.round(6).tolist(),
        "pair": [first, second],
        "words": words,
        "most": float(most),
    }
    text = [f"{name}  {number}" for name, number in said]
    return live.figure("arrows", body, caption, data, text)


def _feet(x, first, second):
    """Where the rows stand on the plane of two of them, (time, 2).

    The second lies along the first axis, and the first above it.
    """
    along = x[second] / (np.linalg.norm(x[second]) or 1)
    rest = x[first] - (x[first] @ along) * along
    height = np.linalg.norm(rest)
    if height < 1e-6 or not along.any():
        raise ValueError(f"rows {first} and {second} of x lie on one line: no plane")
    return x @ np.stack([along, rest / height], axis=1)


def _numbers(a, b, names):
    """What is measured on two arrows, as (name, text); the last is the dot product."""
    long_a, long_b, product = np.linalg.norm(a), np.linalg.norm(b), a @ b
    cosine = product / (long_a * long_b)
    degrees = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    return [
        (f"length of {names[0]}", live.fixed(long_a)),
        ("angle", f"{live.fixed(degrees, 1)}°"),
        ("cosine", live.fixed(cosine, 3)),
        (f"shadow of {names[0]} on {names[1]}", live.fixed(product / long_b)),
        (f"length of {names[1]}", live.fixed(long_b)),
        (f"{names[0]} · {names[1]} = shadow × length", live.fixed(product)),
    ]


def _alt(said):
    inside = ", ".join(f"{name} {number}" for name, number in said)
    return f"Two arrows from one point: {inside}."


def _shapes(feet, words, pair):
    a, b = feet[pair[0]], feet[pair[1]]
    axis = 20 * b / np.linalg.norm(b)
    foot = (a @ b) / (b @ b) * b
    others = [n for n in range(len(feet)) if n not in pair]
    dots = "".join(
        live.disc("pv-other", 3, feet[n], PLANE)
        + live.label("pv-other", words[n], *(feet[n] + (0, 0.18)), PLANE)
        for n in others
    )
    return (
        live.path("pv-axis", [-axis, axis], PLANE)
        + dots
        + live.path("pv-shadow", [(0, 0), foot], PLANE)
        + live.path("pv-drop", [a, foot], PLANE)
        + live.path("pv-b", live.arrow(*b), PLANE)
        + live.path("pv-a", live.arrow(*a), PLANE)
        + live.label("pv-b", words[pair[1]], *_beside(b), PLANE)
        + live.label("pv-a", words[pair[0]], *_beside(a), PLANE)
    )


def _beside(tip):
    """Where the word of an arrow stands: beyond its tip, as in the script."""
    x, y = tip * (1 + 0.5 / max(np.linalg.norm(tip), 0.01))
    left, right, low, high, _ = PLANE
    return (
        min(right - 0.3, max(left + 0.3, x)),
        min(high - 0.3, max(low + 0.3, y)) - 0.12,
    )
