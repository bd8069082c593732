"""One HTML file with a GPT in it, to open anywhere: `python -m dot2gpt page`."""

import html

from dot2gpt.page.explorer import explorer
from dot2gpt.page.weights import pack, still_picture, unpack, vocabulary

MOST = 10_000_000  # weights; a byte each, and a third more as text

_PAGE = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<script>
const dark = matchMedia('(prefers-color-scheme: dark)');
const follow = () => {{
  document.documentElement.dataset.theme = dark.matches ? 'dark' : 'light';
}};
dark.addEventListener('change', follow);
follow();
</script>
<style>
:root {{ --pst-color-background: #fff; --pst-color-text-muted: #55616f; }}
:root[data-theme=dark] {{ color-scheme: dark; --pst-color-background: #12171e;
--pst-color-text-muted: #a3b0be; }}
body {{ max-width: 46rem; margin: 0 auto; padding: 1rem; font: 17px/1.6 system-ui,
sans-serif; color: #1d2733; background: var(--pst-color-background); }}
[data-theme=dark] body {{ color: #dde4ec; }}
h1 {{ font-size: 1.8rem; line-height: 1.2; }}
</style></head><body><main>
<h1>{title}</h1>
<p>This page holds a language model, a small GPT with {n_weights} weights. It read one
text in pieces of {room} tokens and learned to guess the next token. It knows nothing
else. It runs here, in the page: nothing that you type is sent anywhere.</p>
<p>Press <i>run</i> and let it write, or write the beginning yourself. The bars show
what it expects next; press one to choose for it. A low temperature makes it careful,
a high one bold. Below the bars you see which tokens it looks at, what it would say
after each of its layers, and what changes when you switch a part of it off.</p>
{figure}
</main></body></html>
"""


class TooLarge(ValueError):
    """A model has too many weights for a page; the text says how many."""


def standalone(model, encoding, prompt, *, title="A GPT of my own", step=0, loss=None):
    """The text of an HTML file in which the model runs.

    model: a GPT. encoding: its Characters or tiktoken.Encoding. prompt: what the page
        begins with. step, loss: how long it was trained, and its loss on unseen text
        in nats a token.
    Raises TooLarge beyond MOST weights, ValueError for a prompt without tokens.
    """
    n_weights = sum(weight.numel() for weight in model.parameters())
    if n_weights > MOST:
        raise TooLarge(
            f"the model has {n_weights:,} weights, which would make a file of "
            f"{n_weights / 750_000:,.1f} MB; a page takes {MOST:,} weights at most"
        )
    packed = pack(model)
    bars, sample = still_picture(unpack(packed), encoding, prompt)
    about = {
        "prompt": prompt,
        "vocabulary": vocabulary(encoding),
        "unit": "token",
        "bars": bars,
        "models": [{"step": step, "loss": loss, "sample": sample}],
    }
    figure = explorer(
        about,
        {step: packed},
        caption="Its weights are rounded to 8 bits. `␣` is a space, `⏎` a line break.",
    )
    return _PAGE.format(
        title=html.escape(title),
        n_weights=f"{n_weights:,}",
        room=model.config.context_length,
        figure=figure._repr_html_(),
    )
