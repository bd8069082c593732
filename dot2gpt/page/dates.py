"""The Transformer of chapter 10 in the page: a date in any form is rewritten."""

import html

from dot2gpt.dates import DAYS, END, MONTHS, START, SYMBOLS
from dot2gpt.page import ENGINE
from dot2gpt.page.figure import figure
from dot2gpt.pictures import _table, _weight


def translator(about, weights=None, *, caption):
    """Draw a Transformer that writes dates in the page.

    about: {"text", "written", "weights": of the cross-attention, a row for each
        character written and one for the end, "examples": [[name, [[text, what is
        written for it], …]], …], "step"}, as `tools.models` stores it, and "source",
        the script with the weights, unless they are in weights, {step: packed}.
    caption: one or two sentences shown below; `code` in backticks.
    """
    cells = [[_weight(weight) for weight in row] for row in about["weights"]]
    rows = [*about["written"], "<end>"]
    examples = "".join(
        f"<p><b>{html.escape(name)}</b>: "
        + ", ".join(f"{html.escape(text)} → {html.escape(w)}" for text, w in texts)
        + "</p>"
        for name, texts in about["examples"]
    )
    still = (
        '<div class="still"><noscript><p>With JavaScript the model runs here. Without '
        "it, this is what it wrote.</p></noscript>"
        '<p class="failed" hidden>The weights could not be loaded, so the model does '
        "not run here. This is what it wrote.</p>"
        f"{examples}{_table(rows, about['text'], cells, 'wrote ↓ read →')}</div>"
    )
    names = "text examples step source".split()
    data = {name: about[name] for name in names if name in about}
    data |= {"symbols": SYMBOLS, "start": START, "end": END, "most": len(rows)}
    data |= {"months": MONTHS, "days": DAYS}
    return figure(
        "dates",
        still,
        caption,
        data,
        engine=ENGINE,
        text=[f"{about['text']} → {about['written']}"],
        weights=weights,
        styles=["grid"],
    )
