"""A GPT in the page, to write with and to look into: chapter 14 and `dot2gpt page`.

What Python draws reads with JavaScript off; the script puts the model in its place.
"""

import html

from dot2gpt.page import ENGINE
from dot2gpt.page.figure import figure
from dot2gpt.token_pictures import word


def explorer(about, weights=None, *, caption):
    """Draw a GPT that runs in the page.

    about: {"prompt", "vocabulary": of `weights.vocabulary`, "bars": [[id, probability]]
        after the prompt, "unit": of the losses, "models": [{"step", "loss" or None,
        "sample"}] in the order of training}; a model has a "source", the script that
        brings its weights (as `tools.models` writes it), or is in weights.
    weights: {step: packed}, those that lie in the page.
    caption: one or two sentences shown below; `code` in backticks.
    Raises ValueError for a model without weights.
    """
    weights = weights or {}
    for model in about["models"]:
        if "source" not in model and model["step"] not in weights:
            raise ValueError(f"step {model['step']} has neither a source nor weights")
    token = _words(about["vocabulary"])
    bars = [(token(id), f"{100 * p:.1f} %") for id, p in about["bars"]]
    samples = [(f"{m['step']}", _loss(m["loss"]), m["sample"]) for m in about["models"]]
    title = f"What may follow “{html.escape(about['prompt'])}”"
    still = (
        '<div class="stage"></div><div class="still">'
        "<noscript><p>With JavaScript the model runs here. Without it, this is what it "
        "says.</p></noscript>"
        '<p class="failed" hidden>The weights could not be loaded, so the model '
        "does not run here. This is what it says.</p>"
        f"{_table(title, ('token', 'probability'), bars)}"
        f"{_table('How it went on, the likeliest token each time', _HEADS, samples)}"
        "</div>"
    )
    data = {name: about[name] for name in ("prompt", "vocabulary", "unit", "models")}
    text = [title, *("  ".join(row) for row in bars)]
    return figure(
        "gpt", still, caption, data, engine=ENGINE, text=text, weights=weights
    )


_HEADS = ("steps", "loss", "text")


def _loss(loss):
    return "–" if loss is None else f"{loss:.2f}"


def _words(vocabulary):
    code = "latin-1" if vocabulary["pattern"] else "utf-8"
    return lambda id: word(vocabulary["tokens"][id].encode(code))


def _table(title, heads, rows):
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    body = "".join(
        f'<tr><th scope="row">{html.escape(first)}</th>'
        + "".join(f"<td>{html.escape(text)}</td>" for text in others)
        + "</tr>"
        for first, *others in rows
    )
    return (
        f"<p><b>{title}</b></p><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )
