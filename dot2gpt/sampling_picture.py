"""Sliders on the distribution of a next token. Used by chapter 14.

The page, its style and its script are those of `dot2gpt.pictures`.
"""

import html
import json

import numpy as np

from dot2gpt.pictures import _CSS, _JS, Picture, _array, _prose, _round, _softmax
from dot2gpt.token_pictures import word

# Scoped to this kind and over the rules of the grids, which may share a page with it.
_STYLE = """
& table { display: table; width: 100%; max-width: 34em; margin: 0; border: 0;
border-collapse: collapse; table-layout: auto; font: inherit; color: inherit; }
& :is(thead, tbody, tr, tr:nth-child(n), tr:hover) { background: none; border: 0; }
& :is(thead, tbody) :is(th, td) { position: static; height: 1.9em; min-width: 0;
padding: 0 .4em; border: 0; border-radius: 0; font-weight: 400; text-align: right;
color: inherit !important; background: none !important; white-space: nowrap;
vertical-align: middle; }
& :is(thead, tbody) :is(th, .pv-share) { width: 1px; }
& .pv-share { font-variant-numeric: tabular-nums; }
& thead :is(th, td) { color: var(--pst-color-text-muted, inherit) !important;
font-size: .85em; }
& tbody td.pv-bar { padding: 0; }
& i { min-width: 1px; border-radius: 2px; background-color: var(--pv-accent) !important;
print-color-adjust: exact; }
& .pv-out i { visibility: hidden; }
& .pv-rest th { font-style: italic; }
& .pv-controls label { flex-wrap: wrap; }
""".replace("&", ".pv.pv[data-kind=sampling]")

# The same steps as next_probabilities of chapter 14; the scores come sorted.
_SCRIPT = """
const draw = (scores, temperature, k, p) => {
const powers = scores.map((s, i) => i >= k ? 0 : temperature ?
Math.exp((s - scores[0]) / temperature) : +(i === 0));
const total = powers.reduce((a, b) => a + b);
let above = 0, kept = 0;
const shares = powers.map(w => {
const share = w && (p === 1 || above < p) ? w / total : 0;
above += w / total;
kept += share;
return share;
});
return shares.map(share => share / kept);
};

start('sampling', (root, { scores, shown, counts }) => {
const rows = [...root.querySelectorAll('tbody tr')];
const form = controls(root), say = line(root, '');
let temperature = 1, k = scores.length, p = 1;
const redraw = () => {
const shares = draw(scores, temperature, k, p);
const top = shares.slice(0, shown);
if (scores.length > shown) {
top.push(shares.slice(shown).reduce((a, b) => a + b));
}
rows.forEach((row, n) => {
const out = top[n] === 0;
row.classList.toggle('pv-out', out);
row.querySelector('.pv-share').textContent = out ? 'out' :
`${round(100 * top[n], 1).toFixed(1)} %`;
row.querySelector('i').style.width = `${round(100 * top[n], 1)}%`;
});
const left = shares.filter(share => share);
const nats = left.reduce((a, w) => a - w * Math.log(w), 0);
say(`${left.length} of ${scores.length} tokens can be drawn, ` +
`as varied as ${round(Math.exp(nats), 1).toFixed(1)} equally likely ones.`);
};
slide(form, 'temperature', { min: 0, max: 2, step: 0.05, value: 1 },
x => x.toFixed(2), x => { temperature = x; redraw(); });
slide(form, 'top-k', { min: 0, max: counts.length - 1, step: 1,
value: counts.length - 1 }, x => x < counts.length - 1 ? `${counts[x]}` : 'off',
x => { k = counts[x]; redraw(); });
slide(form, 'top-p', { min: 0.05, max: 1, step: 0.05, value: 1 },
x => x < 1 ? x.toFixed(2) : 'off', x => { p = x; redraw(); });
redraw();
});
"""


def sliders(logits, tokens, *, shown=12, caption):
    """Draw the likeliest next tokens as bars, with sliders for the three settings.

    logits: of one place, (vocab_size,). tokens: the bytes of each, as in
        token_pictures. shown: bars; the other tokens share one more.
    caption: one or two sentences shown below; `code` in backticks.
    Raises ValueError for logits of another shape, or not finite, for as many tokens
    as there are not logits, for shown below 1.
    """
    logits = _array("logits", logits)
    if logits.ndim != 1 or not logits.size or not np.isfinite(logits).all():
        raise ValueError("logits are not one row of finite numbers")
    if len(tokens) != logits.size:
        raise ValueError(f"{len(tokens)} tokens, but {logits.size} logits")
    if shown < 1:
        raise ValueError(f"shown={shown} is not 1 or more")
    order = np.argsort(-logits, kind="stable")
    scores = logits[order].round(4)
    shares, rest = _softmax(scores), logits.size - shown
    rows = [(word(tokens[i]), w) for i, w in zip(order[:shown], shares)]
    if rest > 0:
        rows.append((f"{rest} others", shares[shown:].sum()))
    body = "".join(_row(*row, n == shown) for n, row in enumerate(rows))
    data = {"scores": scores.tolist(), "shown": shown, "counts": _counts(logits.size)}
    figure = (
        f'<figure class="pv" data-kind="sampling"><style>{_CSS["core"]}{_CSS["slide"]}'
        f'{_STYLE}</style><table><thead><tr><th scope="col">token</th>'
        '<th scope="col">probability</th><td></td></tr></thead>'
        f"<tbody>{body}</tbody></table><figcaption>{_prose(caption)}</figcaption>"
        f'<script type="application/json">{json.dumps(data, separators=(",", ":"))}'
        f"</script></figure><script>(()=>{{\n{_JS['core']}{_JS['slide']}{_SCRIPT}}})()"
        "</script>"
    )
    lines = [f"{name}  {_percent(w)}" for name, w in rows]
    return Picture(figure, "\n".join([*lines, str(caption)]))


def _percent(share):
    return f"{_round(100 * share, 1):.1f} %"


def _row(name, share, is_rest):
    style = f"display:block;height:1.1em;width:{_round(100 * share, 1):g}%"
    mark = ' class="pv-rest"' if is_rest else ""
    return (
        f'<tr{mark}><th scope="row">{html.escape(name)}</th>'
        f'<td class="pv-share">{_percent(share)}</td><td class="pv-bar">'
        f'<i style="{style};background-color:#1b66a8"></i></td></tr>'
    )


def _counts(size):
    """The stops of the slider top-k: 1, 2, 3, 5, 10, 20, 30, 50, ... and all."""
    stops = [n * 10**e for e in range(9) for n in (1, 2, 3, 5)]
    return [n for n in stops if n < size] + [size]
