"""What the figures that compute in a page share: a still picture and a script."""

import json
from pathlib import Path

from dot2gpt.pictures import _CSS, _JS, Picture, _prose


def figure(kind, still, caption, data, *, engine, text, weights=None, styles=()):
    """A figure that reads with JavaScript off; a script puts more in its place.

    kind: what the script `kind.js` starts. still: HTML that shows the same with
        JavaScript off. data: what the script is told. engine: the part of ENGINE that
        it needs. text: lines for the terminal. weights: {step: packed}, those that lie
        in the page. styles: parts of pictures.css beside its core and sliders.
    """
    script, style = (
        _read(f"parts.{end}") + _read(f"{kind}.{end}") for end in ("js", "css")
    )
    inside = "".join(
        f'<script type="application/json" data-step="{step}">{to_json(packed)}</script>'
        for step, packed in (weights or {}).items()
    )
    looks = "".join(_CSS[part] for part in ("core", *styles, "slide"))
    return Picture(
        f'<figure class="pv live {kind}" data-kind="{kind}">'
        f"<style>{looks}{style}</style>{still}<figcaption>{_prose(caption)}</figcaption>"
        f'<script type="application/json">{to_json(data)}</script>{inside}</figure>'
        f"<script>(() => {{\n{engine}\n{_JS['core']}{_JS['slide']}{script}}})()"
        "</script>",
        "\n".join([*text, str(caption)]),
    )


def _read(name):
    """A file beside this one without indentation and comment lines."""
    text = (Path(__file__).parent / name).read_text(encoding="utf-8")
    lines = map(str.strip, text.splitlines())
    return "".join(f"{line}\n" for line in lines if not line.startswith("//"))


def to_json(data):
    """JSON that no text in it can end the script with."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")
