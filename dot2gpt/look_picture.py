"""Who looks at whom, with the numbers of W_Q and W_K as sliders. For chapter 03."""

import numpy as np

from dot2gpt import live_picture as live
from dot2gpt.pictures import _array, _softmax, _table, _weight, _words

STEP, HIGH = 46, 200  # from word to word; how high the drawing is


def look(x, tokens, features, w_q, w_k, *, caption):
    """Draw softmax(x·W_Q·(x·W_K)ᵀ) as arrows over a sentence, with sliders for both.

    It starts with both matrices the unit matrix, so with softmax(x·xᵀ); a button sets
    w_q and w_k. An arrow is drawn where a word gets more than an even share.

    x: (time, 2). tokens: the words, (time,). features: what the two numbers of a word
    say, (2,). w_q, w_k: (2, 2), within -4 and 4.
    caption: one or two sentences shown below the picture; `code` in backticks.
    Raises ValueError for values of another shape, words that do not match.
    """
    x, w_q, w_k = _array("x", x), _array("w_q", w_q), _array("w_k", w_k)
    if x.ndim != 2 or x.shape[1] != 2 or not np.isfinite(x).all():
        raise ValueError("x is not a table of finite numbers, (time, 2)")
    for name, w in (("w_q", w_q), ("w_k", w_k)):
        if w.shape != (2, 2) or not (np.abs(w) <= 4).all():
            raise ValueError(f"{name} is not (2, 2) of numbers between -4 and 4")
    words = _words("tokens", tokens, len(x), "x", x)
    names = [str(feature) for feature in features]
    weights = _softmax(x @ x.T)
    cells = [[_weight(w) for w in row] for row in weights]
    alt = f"The words {', '.join(words)}, and arrows from each to those it looks at."
    svg = (
        f'<svg viewBox="0 0 {STEP * len(x)} {HIGH}" role="img" '
        f'aria-label="{live.html.escape(alt)}">{_shapes(words, weights)}</svg>'
    )
    table = _table(words, words, cells)
    body = f'<div class="pv-stage">{svg}</div>{table}'
    data = {
        "x": x.tolist(),
        "features": names,
        "made": [w_q.tolist(), w_k.tolist()],
    }
    text = [
        "  ".join([word, *(cell[0] for cell in row)]) for word, row in zip(words, cells)
    ]
    return live.figure("look", body, caption, data, text)


def _shapes(words, weights):
    """Arcs above for looks to the left, below for looks to the right; words on fields
    as strong as what they keep."""
    even, places = 1 / len(words) + 0.005, range(len(words))
    fields = "".join(
        f'<rect class="pv-self" x="{STEP * i + 2}" y="{HIGH / 2 - 13:g}" rx="5" '
        f'width="{STEP - 4}" height="26" style="--w:{weights[i, i]:.3f}"/>'
        for i in places
    )
    arcs = "".join(
        f'<path class="pv-arc{"" if weights[i, j] > even else " pv-out"}" '
        f'style="--w:{weights[i, j]:.3f}" d="{_arc(i, j)}"/>'
        for i in places
        for j in places
        if i != j
    )
    return (
        fields
        + arcs
        + "".join(
            f'<text x="{STEP * i + STEP // 2}" y="{HIGH / 2 + 5:g}">'
            f"{live.html.escape(word)}</text>"
            for i, word in enumerate(words)
        )
    )


def _arc(i, j):
    """A curve from word i to word j, and the two sides of its head."""
    side = -1 if i > j else 1  # y runs down
    start, end = STEP * i + STEP / 2 + side * 6, STEP * j + STEP / 2 - side * 6
    y, middle = HIGH / 2 + side * 16, (start + end) / 2
    bend = y + side * (18 + 18 * abs(i - j))
    way = np.array([end - middle, y - bend])
    u, v = 7 * way / np.linalg.norm(way)
    heads = [(end - u + s * 0.5 * v, y - v - s * 0.5 * u) for s in (1, -1)]
    (ax, ay), (bx, by) = heads
    return (
        f"M{start:g} {y:g}Q{middle:g} {bend:g} {end:g} {y:g}"
        f"L{ax:.1f} {ay:.1f}M{end:g} {y:g}L{bx:.1f} {by:.1f}"
    )
