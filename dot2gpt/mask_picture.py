"""A mask to click: weights, and which outputs feel which inputs. For chapter 05."""

import numpy as np

from dot2gpt import live_picture as live
from dot2gpt.pictures import _array, _table, _weight, _words


def masks(x, tokens, real, *, caption):
    """Draw the weights of one head that attends to itself under a mask to click.

    A word is changed, by turning its vector round: bars say how far each output moves.
    Nothing is hidden at first, and the last word is the changed one.

    x: (time, d_k), queries, keys and values in one. tokens: the words, (time,).
    real: (time,) of bool, False at the padding, for the button that hides it.
    caption: one or two sentences shown below the picture; `code` in backticks.
    Raises ValueError for values of another rank, words or booleans that do not match.
    """
    x = _array("x", x).round(4)
    if x.ndim != 2 or not x.size or not np.isfinite(x).all():
        raise ValueError("x is not a table of finite numbers, (time, d_k)")
    words = _words("tokens", tokens, len(x), "x", x)
    real = [bool(flag) for flag in real]
    if len(real) != len(x):
        raise ValueError(f"{len(real)} booleans in real, but {len(x)} tokens")
    new = x.copy()
    new[-1] *= -1
    (before, weights), (after, _) = _attend(x), _attend(new)
    moves = np.linalg.norm(after - before, axis=1)
    most = np.linalg.norm(new[-1] - x[-1]) or 1
    cells = [[_weight(w) for w in row] for row in weights]
    rows = [
        (word, (live.fixed(move),), min(1, move / most))
        for word, move in zip(words, moves)
    ]
    body = (
        _table(words, words, cells)
        + f'<p class="pv-feel">how far each output moves when {_quoted(words[-1])} is '
        f"changed</p>{live.bars(('output of', 'moves by'), rows)}"
    )
    text = [
        "  ".join([word, *(cell[0] for cell in row), f"moves by {live.fixed(move)}"])
        for word, row, move in zip(words, cells, moves)
    ]
    data = {"x": x.tolist(), "real": real}
    return live.figure("mask", body, caption, data, text, parts=("plane", "bars"))


def _attend(x):
    """Attention of x to itself without a mask: the output and the weights."""
    scores = x @ x.T / np.sqrt(x.shape[1])
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    weights = powers / powers.sum(-1, keepdims=True)
    return weights @ x, weights


def _quoted(word):
    return f"“{live.html.escape(word)}”"
