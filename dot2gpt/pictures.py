"""Pictures that move in the page: HTML drawn in Python, one small script, no kernel.

Used by every chapter, taught by none. A picture is a pure function of its input, so
two runs give the same text. It reads with JavaScript off, in print, and in a notebook
that is not trusted; the script (`pictures.js`) only adds the controls and redraws.
A new picture is a function here and a part of the same name in the script.
"""

from __future__ import annotations

import hashlib
import html
import json
import math
import re
from pathlib import Path

import numpy as np

_HERE = Path(__file__).parent

# The light colours of pictures.css, for pages that drop the style sheet.
_ZERO, _POSITIVE, _NEGATIVE, _INK = "#f1f5f9", "#4f9ade", "#e8934a", "#0f1720"

# Blue, vermilion, green, purple, grey, brown: told apart with any kind of colour
# vision (after Okabe and Ito, 2008), and 3:1 or more against white.
PALETTE = ("#0072b2", "#d55e00", "#0f8f6b", "#cc79a7", "#4d4d4d", "#6a3d1f")

_QUIZ = "Pick an answer to see the reason."  # the caption of every quiz


def _parts(name: str) -> dict[str, str]:
    """Cut a file at its lines `/* @part */`; drop indentation and comment lines."""
    text = (_HERE / name).read_text(encoding="utf-8")
    pieces = re.split(r"^/\* @(\w+) \*/\n", text, flags=re.MULTILINE)[1:]
    lines = (
        "\n".join(
            line.strip()
            for line in piece.splitlines()
            if line.strip() and not line.lstrip().startswith("//")
        )
        for piece in pieces[1::2]
    )
    return dict(zip(pieces[::2], lines))


_JS, _CSS = _parts("pictures.js"), _parts("pictures.css")


class Picture:
    """A figure for notebooks and the book: HTML for the page, text for the terminal.

    Arguments:
        html: what `_repr_html_` returns.
        text: what `repr` returns.
    """

    def __init__(self, html: str, text: str):
        self._html, self._text = html, text

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        return self._html


def attention(
    scores, tokens, keys=None, *, caption, divide=True, causal=True, heads=None
) -> Picture:
    """Draw a heat map of softmax(scores / t) with the controls to change it.

    Arguments:
        scores: raw scores before softmax, (time, keys) or (heads, time, keys);
            a torch tensor, a numpy array or nested lists; -inf is a masked score.
        tokens: the words of the rows, (time,).
        keys: the words of the columns, (keys,), where they are not those of the rows
            (cross-attention; then there is no causal switch).
        caption: one or two sentences shown below the picture; `code` in backticks.
        divide: offer the slider "divide scores by", t from 1/8 to 16.
        causal: offer the switch "causal mask" (off until it is ticked).
        heads: names of the heads, (heads,); without it they are numbered from 1.

    Raises:
        ValueError: scores of another rank, words or names that do not match the
            scores, NaN or +inf, a row in which every score is masked.
    """
    scores = _heads("scores", scores)
    rows, columns = _labels("scores", scores[0], tokens, keys)
    names = _head_names(heads, len(scores))
    if not np.isfinite(scores).any(-1).all():
        h, i = np.argwhere(~np.isfinite(scores).any(-1))[0]
        raise ValueError(f"every score of head {h}, row {i} is -inf: no softmax")
    scores = scores.round(4)
    weights = _softmax(scores[0])
    cells = [
        [_weight(w, s == -np.inf) for w, s in zip(*pair)]
        for pair in zip(weights, scores[0])
    ]
    data = {
        "scores": [[_numbers(row) for row in head] for head in scores],
        "heads": names,
        "divide": bool(divide),
        "causal": bool(causal) and keys is None,
    }
    corner = "from ↓ to →"
    return Picture(
        _figure("attention", _table(rows, columns, cells, corner), caption, data),
        _text(f"attention: {_count(scores, 'head')}", caption, rows, columns, cells),
    )


def matrix(values, rows, columns=None, *, caption, digits=None) -> Picture:
    """Draw a matrix of plain numbers in two colours; 0 has neither.

    Arguments:
        values: (rows, columns), or {name: (rows, columns)}: radio buttons switch.
        rows: the words of the rows.
        columns: the words of the columns, where they are not those of the rows.
        caption: one or two sentences shown below the picture; `code` in backticks.
        digits: decimals shown; if left out, 2, or 0 where every number is whole.

    Raises:
        ValueError: values of another rank, words that do not match the values,
            values that are not finite.
    """
    named = values if isinstance(values, dict) else {"": values}
    if not named:
        raise ValueError("values is an empty dict, expected at least one matrix")
    arrays = {
        name: _finite(f"values[{name!r}]" if name else "values", value)
        for name, value in named.items()
    }
    if digits is None:
        whole = all((array == array.round()).all() for array in arrays.values())
        digits = 0 if whole else 2
    arrays = {name: array.round(digits) for name, array in arrays.items()}
    for name, array in arrays.items():
        what = f"values[{name!r}]" if name else "values"
        row_words, column_words = _labels(what, array, rows, columns)
    first = next(iter(arrays.values()))
    cells = _plain_cells(first, np.abs(first).max(), digits)
    data = {
        "names": [str(name) for name in arrays],
        "values": [[_numbers(row) for row in array] for array in arrays.values()],
        "digits": digits,
    }
    body = _table(row_words, column_words, cells) + _legend(first, digits)
    return Picture(
        _figure("matrix", body, caption, data),
        _text("matrix", caption, row_words, column_words, cells),
    )


def lines(weights, tokens, keys=None, *, caption, heads=None) -> Picture:
    """Draw two columns of words joined by lines as thick as the attention weight.

    Arguments:
        weights: after softmax, between 0 and 1, (time, keys) or (heads, time, keys).
        tokens: the words on the left, (time,).
        keys: the words on the right, (keys,), where they are not those on the left.
        caption: one or two sentences shown below the picture; `code` in backticks.
        heads: names of the heads, (heads,); without it they are numbered from 1.

    Raises:
        ValueError: weights of another rank or outside 0 to 1, words or names that
            do not match the weights.

    Source: after the head view of BertViz (Vig, 2019, arXiv:1906.05714).
    """
    weights = _heads("weights", weights)
    left, right = _labels("weights", weights[0], tokens, keys)
    names = _head_names(heads, len(weights))
    low, high = weights.min(), weights.max()
    if low < -1e-5 or high > 1 + 1e-5:
        raise ValueError(
            f"weights run from {low:.4g} to {high:.4g}, expected 0 to 1 (after softmax)"
        )
    weights = weights.clip(0, 1).round(4)
    cells = [[_weight(w) for w in row] for row in weights[0]]
    data = {
        "weights": [[_numbers(row) for row in head] for head in weights],
        "heads": names,
    }
    return Picture(
        _figure("lines", _head_view(weights[0], left, right), caption, data),
        _text(f"lines: {_count(weights, 'head')}", caption, left, right, cells),
    )


def steps(q, k, v, tokens, *, mask=None, caption) -> Picture:
    """Draw attention of one head in five frames: scores, scaled, masked, softmax, mix.

    Arguments:
        q: queries, (time, d_k).
        k: keys, (time, d_k).
        v: values, (time, d_v).
        tokens: the words, (time,).
        mask: booleans, (time, time), True means "may attend"; None masks nothing.
        caption: one or two sentences shown below the picture; `code` in backticks.

    Raises:
        ValueError: arguments of another rank, sizes that do not match, numbers that
            are not finite, a row of the mask that is False everywhere.
    """
    q, k, v = (_finite(name, x) for name, x in (("q", q), ("k", k), ("v", v)))
    time, d_k = q.shape
    if k.shape != q.shape or len(v) != time:
        raise ValueError(
            f"sizes do not match: q is {_size(q)}, k is {_size(k)}, v is {_size(v)}"
        )
    words = _words("tokens", tokens, time, "q", q)
    grids = _step_grids(q, k, v, _mask(mask, time))
    frames = _frames(d_k, mask is None)
    numbers = [str(n + 1) for n in range(v.shape[1])]
    body = "".join(
        f'<div class="pv-frame"><p><b>{n + 1} · {name}</b>: {html.escape(sentence)}</p>'
        + _table(words, numbers if name == "mix" else words, grid)
        + "</div>"
        for n, ((name, sentence), grid) in enumerate(zip(frames, grids))
    )
    data = {"scale": f"{math.sqrt(d_k):.2f}", "names": [name for name, _ in frames]}
    return Picture(
        _figure("steps", body, caption, data),
        _text(f"steps: d_k={d_k}, weights", caption, words, words, grids[3]),
    )


def quiz(question, choices) -> Picture:
    """Ask a question with a reason for each choice, right or wrong.

    Arguments:
        question: one sentence; `code` in backticks, as in the choices and reasons.
        choices: [(text, is_right, why), ...]; `why` is shown when it is picked.

    Raises:
        ValueError: fewer than two choices, no right choice, a choice without a reason.
    """
    choices = [tuple(choice) for choice in choices]
    if len(choices) < 2:
        raise ValueError(f"{len(choices)} choices, expected at least 2: {question!r}")
    if not any(right for _, right, _ in choices):
        raise ValueError(f"none of the {len(choices)} choices is right: {question!r}")
    for text, _, why in choices:
        if not str(why).strip():
            raise ValueError(f"the choice {text!r} has no reason: {question!r}")
    text = "\n".join([question, *(f"  ( ) {text}" for text, _, _ in choices)])
    return Picture(_figure("quiz", _quiz_form(question, choices), _QUIZ, None), text)


def style() -> None:
    """Set matplotlib's defaults for the book, and a font that has the Chinese words.

    Figures are 624 pixels wide with a white ground: at phone width the words are still
    11 pixels tall. The book turns it to dark ground: captions say strong and faint.
    """
    import matplotlib
    from matplotlib import font_manager

    if "dot2gpt CJK" not in {font.name for font in font_manager.fontManager.ttflist}:
        font_manager.fontManager.addfont(_HERE / "fonts" / "dot2gpt-cjk.otf")
    matplotlib.rcParams.update(
        {
            "font.family": ["DejaVu Sans", "dot2gpt CJK"],
            "font.size": 12,
            "axes.titlesize": 12,
            "axes.labelsize": 12,
            "xtick.labelsize": 11,
            "ytick.labelsize": 11,
            "legend.fontsize": 11,
            "legend.edgecolor": "none",
            "figure.figsize": (5.2, 3.2),
            "figure.dpi": 120,
            "savefig.dpi": 120,
            "savefig.pad_inches": 0.12,
            "figure.facecolor": "white",
            "savefig.facecolor": "white",
            "figure.constrained_layout.use": True,
            "axes.prop_cycle": matplotlib.cycler(color=PALETTE),
            "axes.edgecolor": "#8a94a0",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": "#e3e8ee",
            "grid.linewidth": 0.8,
            "lines.linewidth": 2,
            "image.cmap": "Blues",
            "image.interpolation": "nearest",
        }
    )


# --- what goes in -------------------------------------------------------------------


def _array(name: str, values) -> np.ndarray:
    """A float64 copy of a tensor (on any device), an array or nested lists."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().double().numpy()
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is no array of numbers: {error}") from None


def _size(array: np.ndarray) -> str:
    return " x ".join(map(str, array.shape)) or "a single number"


def _finite(name: str, values) -> np.ndarray:
    array = _array(name, values)
    if array.ndim != 2 or not array.size:
        raise ValueError(f"{name} is {_size(array)}, expected rows x columns")
    if not np.isfinite(array).all():
        i, j = np.argwhere(~np.isfinite(array))[0]
        raise ValueError(f"{name}[{i}, {j}] is {array[i, j]}, expected a finite number")
    return array


def _heads(name: str, values) -> np.ndarray:
    """(time, keys) or (heads, time, keys) as (heads, time, keys); refuse NaN, +inf."""
    array = _array(name, values)
    if array.ndim not in (2, 3) or not array.size:
        raise ValueError(
            f"{name} is {_size(array)}, expected time x keys or heads x time x keys"
        )
    array = array if array.ndim == 3 else array[None]
    bad = np.isnan(array) | (array == np.inf)
    if bad.any():
        h, i, j = np.argwhere(bad)[0]
        raise ValueError(f"{name} is {array[h, i, j]} at head {h}, row {i}, column {j}")
    return array


def _word(token) -> str:
    """A token as it is shown: spaces at its ends and line breaks become visible."""
    text = str(token).replace("\n", "⏎").replace("\t", "⇥")
    inner = text.strip(" ")
    before = len(text) - len(text.lstrip(" "))
    after = len(text) - before - len(inner)
    return "␣" * before + inner + "␣" * after or "∅"


def _words(name: str, tokens, count: int, what: str, array: np.ndarray) -> list[str]:
    words = [_word(token) for token in tokens]
    if len(words) != count:
        raise ValueError(f"{len(words)} {name}, but {what} are {_size(array)}")
    return words


def _labels(what: str, array: np.ndarray, rows, columns) -> tuple[list, list]:
    """The words of the rows and columns of a matrix, checked against its size."""
    matrix_like = what.startswith("values")
    row_name, column_name = ("rows", "columns") if matrix_like else ("tokens", "keys")
    words = _words(row_name, rows, array.shape[0], what, array)
    if columns is None:
        return words, _words(row_name, rows, array.shape[1], what, array)
    return words, _words(column_name, columns, array.shape[1], what, array)


def _head_names(heads, count: int) -> list[str]:
    names = [str(name) for name in (range(1, count + 1) if heads is None else heads)]
    if len(names) != count:
        raise ValueError(f"{len(names)} names in heads, but there are {count} heads")
    return names


def _mask(mask, time: int) -> np.ndarray:
    if mask is None:
        return np.ones((time, time), dtype=bool)
    if hasattr(mask, "detach"):
        mask = mask.detach().cpu().numpy()
    mask = np.asarray(mask)
    if mask.shape != (time, time) or mask.dtype != bool:
        raise ValueError(
            f"mask is {_size(mask)} of {mask.dtype}, expected {time} x {time} of bool"
        )
    if not mask.any(-1).all():
        row = int(np.argmin(mask.any(-1)))
        raise ValueError(f"row {row} of the mask is False everywhere")
    return mask


# --- numbers and colours ------------------------------------------------------------


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def _round(x: float, digits: int) -> float:
    """Round half up, as the script does, so that the page and Python say the same."""
    return math.floor(float(x) * 10**digits + 0.5 + 1e-9) / 10**digits


def _numbers(row) -> list[float | None]:
    """Finite numbers for JSON; null is a masked score."""
    return [float(x) + 0.0 if np.isfinite(x) else None for x in row]


def _weight(w: float, masked: bool = False) -> tuple[str, float, str]:
    """A cell of attention: its text, its strength from 0 to 1, its class."""
    if masked:
        return "0", 0.0, " pv-masked"
    return f"{_round(w, 2):.2f}".removeprefix("0"), float(w), ""


def _signed(x: float, digits: int) -> str:
    return f"{round(float(x), digits) + 0.0:.{digits}f}".replace("-", "−")


def _plain_cells(values: np.ndarray, most: float, digits: int) -> list:
    """Cells of plain numbers; `most` is the number with the full colour."""
    return [
        [
            (_signed(x, digits), abs(x) / (most or 1), " pv-neg" if x < 0 else "")
            for x in row
        ]
        for row in values
    ]


def _colour(strength: float, negative: bool) -> str:
    """The mix that the style sheet makes with color-mix, as #rrggbb."""
    ends = (_ZERO, _NEGATIVE if negative else _POSITIVE)
    low, high = ([int(end[n : n + 2], 16) for n in (1, 3, 5)] for end in ends)
    mixed = (round(a + (b - a) * strength) for a, b in zip(low, high))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


# --- what comes out -----------------------------------------------------------------


def _prose(text) -> str:
    """Escaped text, `code` in backticks."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(str(text)))


def _table(rows, columns, cells, corner: str = "") -> str:
    """The static table; cells are (text, strength, class), rows x columns."""
    head = "".join(f'<th scope="col">{html.escape(word)}</th>' for word in columns)
    body = []
    for word, row in zip(rows, cells):
        body.append(f'<tr><th scope="row">{html.escape(word)}</th>')
        for text, strength, name in row:
            colour = _colour(strength, "pv-neg" in name)
            attribute = f' class="{name.strip()}"' if name else ""
            body.append(
                f'<td{attribute} style="--w:{strength:.3f};background-color:{colour};'
                f'color:{_INK}">{text}</td>'
            )
        body.append("</tr>")
    return (
        '<div class="pv-scroll" tabindex="0" role="group" aria-label="table">'
        f"<table><thead><tr><td>{corner}</td>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _legend(values: np.ndarray, digits: int) -> str:
    """The colours of a matrix, from its smallest number or 0 to its largest or 0.

    They are a window on the colours from minus the largest number to plus.
    """
    low = min(values.min(), 0)
    high = max(values.max(), 0) or float(not low)  # zeros alone: as on the way to 1
    most, width = max(-low, high), high - low
    place = 100 * (low + most) / ((2 * most - width) or 1)
    bar = f"linear-gradient(90deg,{_NEGATIVE},{_ZERO},{_POSITIVE})"
    bar += f" {place:.4g}%/{200 * most / width:.4g}%"
    return (
        f'<p class="pv-legend">range <span>{_signed(low, digits)}</span> '
        f'<i style="background:{bar}"></i> <span>{_signed(high, digits)}</span></p>'
    )


def _step_grids(q, k, v, may: np.ndarray) -> list:
    """The cells of the five frames; the first three share one scale of colours."""
    scores = q @ k.T  # (time, time)
    scaled = scores / math.sqrt(q.shape[1])
    weights = _softmax(np.where(may, scaled, -np.inf))
    mixed = weights @ v  # (time, d_v)
    most = np.abs(scores).max()
    kept = _plain_cells(scaled, most, 2)
    return [
        _plain_cells(scores, most, 2),
        kept,
        [
            [cell if ok else ("−∞", 0.0, " pv-masked") for cell, ok in zip(*pair)]
            for pair in zip(kept, may)
        ],
        [[_weight(w, not ok) for w, ok in zip(*pair)] for pair in zip(weights, may)],
        _plain_cells(mixed, np.abs(mixed).max(), 2),
    ]


def _head_view(weights: np.ndarray, left: list[str], right: list[str]) -> str:
    """Two lists of words and the lines between; a row of words is 2 units high."""
    paths = "".join(
        f'<path style="--w:{w:.3g}" d="M0 {2 * i + 1}C5 {2 * i + 1} 5 {2 * j + 1} '
        f'10 {2 * j + 1}"/>'
        for i, row in enumerate(weights)
        for j, w in enumerate(row)
    )
    height = max(weights.shape)
    items = [
        "".join(f"<li>{html.escape(word)}</li>" for word in side)
        for side in (left, right)
    ]
    # Pages that drop the drawing keep this sentence; the script writes over it.
    order = np.argsort(-weights, axis=None, kind="stable")[:3]
    best = "; ".join(
        f"“{html.escape(left[i])}” → “{html.escape(right[j])}” "
        f"{_round(100 * weights[i, j], 0):.0f} %"
        for i, j in zip(*np.unravel_index(order, weights.shape))
    )
    return (
        '<div class="pv-scroll"><div class="pv-lines">'
        f'<ul class="pv-from">{items[0]}</ul>'
        f'<svg viewBox="0 0 10 {2 * height}" preserveAspectRatio="none" '
        f'style="height:{2 * height}em" aria-hidden="true">{paths}</svg>'
        f'<ul class="pv-to">{items[1]}</ul></div></div>'
        f'<p class="pv-say">Strongest: {best}.</p>'
    )


def _frames(d_k: int, unmasked: bool) -> list[tuple[str, str]]:
    masked = (
        "no mask here: every word may look at every word."
        if unmasked
        else "where the mask is False the score becomes −∞."
    )
    return [
        ("scores", "score(i, j) = q_i · k_j: how well query i fits key j."),
        ("scaled", f"score / √d_k = score / √{d_k}: the pattern stays."),
        ("masked", masked),
        ("softmax", "weight = exp(score) / row sum of exp(score): rows add up to 1."),
        ("mix", "output_i = sum over j of weight(i, j) · v_j: one row a word."),
    ]


def _quiz_form(question: str, choices: list) -> str:
    name = "q" + hashlib.sha256(question.encode()).hexdigest()[:8]
    labels = "".join(
        f'<label><input type="radio" name="{name}" value="{n}"><span>{_prose(text)}'
        "</span></label>"
        for n, (text, _, _) in enumerate(choices)
    )
    reasons = "".join(
        f"<li>{'✓ Right.' if right else '✗ Not quite.'} {_prose(why)}</li>"
        for _, right, why in choices
    )
    # method="dialog" outside a dialog: the Enter key submits nothing, script or not.
    return (
        f'<form method="dialog"><fieldset><legend>{_prose(question)}</legend>{labels}'
        f"</fieldset><details><summary>Answers</summary><ol>{reasons}</ol></details>"
        "</form>"
    )


# The parts of the style and script between "core" and the kind's own.
_PARTS = {"attention": ("grid", "slide"), "matrix": ("grid",), "steps": ("grid",)}


def _figure(kind: str, body: str, caption, data) -> str:
    """The whole figure, with the parts of the style and script that its kind needs."""
    wanted = ["core", *_PARTS.get(kind, ()), kind]
    css = "\n".join(_CSS[part] for part in wanted if part in _CSS)
    script = "\n".join(_JS[part] for part in wanted if part in _JS)
    store = ""
    if data is not None:
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        text = text.replace("<", "\\u003c")
        store = f'<script type="application/json">{text}</script>'
    return (
        f'<figure class="pv" data-kind="{kind}"><style>{css}</style>{body}'
        f"<figcaption>{_prose(caption)}</figcaption>{store}</figure>"
        f"<script>(()=>{{\n{script}\n}})()</script>"
    )


def _count(array: np.ndarray, what: str) -> str:
    return f"{len(array)} {what}" + ("s" if len(array) != 1 else "")


def _text(title: str, caption, rows, columns, cells) -> str:
    """The picture as plain text: the first matrix in columns of equal width."""
    lead = max(map(len, rows))
    wide = [
        max(len(word), *(len(row[j][0]) for row in cells))
        for j, word in enumerate(columns)
    ]
    table = [" " * lead + "".join(f"  {w:>{n}}" for w, n in zip(columns, wide))]
    for word, row in zip(rows, cells):
        line = "".join(f"  {cell[0]:>{n}}" for cell, n in zip(row, wide))
        table.append(f"{word:>{lead}}{line}")
    return "\n".join([f"{title}, {len(rows)} x {len(columns)}", *table, str(caption)])
