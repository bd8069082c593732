"""Texts cut into tokens, in steps that the reader switches. Used by chapter 11.

The page, its style and its script are those of `dot2gpt.pictures`.
"""

import html
import json

from dot2gpt.pictures import _CSS, _JS, Picture, _prose

# Light grounds for dark ink, in both themes; a border parts neighbours without colour.
_GROUNDS = ("#cfe5f7", "#fbe0c8", "#d3efe2", "#f4dcea")

_STYLE = """
.pv.pv .pv-tokens { max-width: none; margin: 0 0 .2em; line-height: 2.1; }
.pv.pv .pv-tokens span { padding: .15em .3em; border: 1px solid #5b6672;
border-radius: .25em; white-space: pre; print-color-adjust: exact; }
.pv.pv .pv-frame { margin: 0 0 1.2em; }
.pv.pv[data-on] .pv-frame { margin: 0; }
.pv.pv .pv-count { margin: 0 0 .8em; }
@media print { .pv.pv .pv-frame[hidden] { display: block !important; } }
"""

_SCRIPT = """
start('tokens', (root, names) => {
const frames = [...root.querySelectorAll('.pv-frame')];
const show = n => frames.forEach((frame, m) => { frame.hidden = m !== n; });
pick(controls(root), 'tokens after', names, show);
show(0);
});
"""


def stepper(frames, *, caption):
    """Draw the same texts cut into tokens in several ways, one way at a time.

    frames: {name: one list of tokens (bytes) for each text}. Bytes that are no whole
        characters are shown in hexadecimal, spaces as ␣, line breaks as ⏎.
    caption: one or two sentences shown below; `code` in backticks.
    Raises ValueError for no frames, or an empty list of tokens.
    """
    if not frames:
        raise ValueError("frames is an empty dict, expected at least one")
    for name, texts in frames.items():
        for number, tokens in enumerate(texts):
            if not tokens:
                raise ValueError(f"frames[{name!r}][{number}] has no tokens")
    body = "".join(_frame(name, texts) for name, texts in frames.items())
    data = json.dumps(list(frames), ensure_ascii=False).replace("<", "\\u003c")
    figure = (
        f'<figure class="pv" data-kind="tokens"><style>{_CSS["core"]}{_STYLE}</style>'
        f"{body}<figcaption>{_prose(caption)}</figcaption>"
        f'<script type="application/json">{data}</script></figure>'
        f"<script>(()=>{{\n{_JS['core']}{_SCRIPT}}})()</script>"
    )
    lines = [
        f"{name}: {'|'.join(map(word, tokens))}"
        for name, texts in frames.items()
        for tokens in texts
    ]
    return Picture(figure, "\n".join([*lines, str(caption)]))


def word(token):
    """A token as it is shown: readable text, or hexadecimal where it is none."""
    try:
        text = token.decode("utf-8")
    except UnicodeDecodeError:
        return token.hex(" ").upper()
    shown = text.replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥")
    return shown if shown.isprintable() else token.hex(" ").upper()


def _frame(name, texts):
    return (
        f'<div class="pv-frame"><p><b>{html.escape(name)}</b></p>'
        + "".join(map(_line, texts))
        + "</div>"
    )


def _line(tokens):
    """One text: its tokens side by side, and how many there are."""
    spans = " ".join(
        f'<span style="background-color:{_GROUNDS[n % len(_GROUNDS)]};color:#0f1720">'
        f"{html.escape(word(token))}</span>"
        for n, token in enumerate(tokens)
    )
    text = b"".join(tokens)
    count = (
        f"{len(text)} bytes, {len(tokens)} tokens, "
        f"{len(text) / len(tokens):.2f} bytes a token"
    )
    return (
        f'<p class="pv-tokens">{spans}</p><p class="pv-count">'
        f"{html.escape(text.decode(errors='replace'))} · {count}</p>"
    )
