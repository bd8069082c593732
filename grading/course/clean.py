"""What strangers wrote, made safe to show: in pages, in the gradebook, in CSV files.

Markdown is rendered as nbconvert renders it, and then nh3 cleans the HTML: nothing of
what is left runs, and nothing is loaded from elsewhere. Names lose what a page, a
formula or a spreadsheet would act on, and stay readable.
"""

import base64
import hashlib
import html as escaping
import re
import unicodedata
from importlib.util import find_spec
from pathlib import Path

TAGS = "a abbr b blockquote br caption code dd del details div dl dt em h1 h2 h3 h4 h5"
TAGS += " h6 hr i img ins kbd li mark ol p pre q s samp small span strong sub summary"
TAGS += " sup table tbody td tfoot th thead tr tt u ul var"
STYLES = {"text-align", "caption-side", "color", "white-space"}  # of our tables
_KEPT = {  # attributes, and what their values have to be
    "href": re.compile(r"(?:https?://|mailto:)", re.I),
    "src": re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,"),
    "class": re.compile(r"(?:highlight|[a-z][a-z0-9]{0,2})\Z"),  # colours of code
    "style": re.compile(r"[a-z;: -]*\Z"),
}
_ATTRIBUTES = {
    "*": {"style"},
    "a": {"href"},
    "div": {"class"},
    "img": {"src", "alt", "width", "height"},
    "ol": {"start"},
    "span": {"class"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
}
_FORMULA = tuple("=+-@＝＋－＠\t\r\n")  # how a spreadsheet's formula may begin


def html(text):
    """HTML with nothing in it that runs, loads or looks like a part of the page."""
    import nh3

    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    return nh3.clean(
        text,
        tags=set(TAGS.split()),
        attributes=_ATTRIBUTES,
        attribute_filter=_attribute,
        url_schemes={"http", "https", "mailto", "data"},
        filter_style_properties=STYLES,
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )


def _attribute(tag, name, value):
    wanted = _KEPT.get(name)
    return value if wanted is None or wanted.match(value) else None


def markdown(source):
    """Markdown as HTML for a page, by nbconvert's own parser."""
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    try:
        renderer = IPythonRenderer(escape=False, exclude_anchor_links=True)
        rendered = MarkdownWithMath(renderer=renderer).render(source)
    except Exception:  # whatever a parser raises for text that was made to break it
        rendered = f"<pre>{escaping.escape(source)}</pre>"
    return html(rendered)


def name(text):
    """A person's name in one line of letters, digits and signs that nothing acts on.

    Other signs of ASCII get their wide forms: `<b>` becomes `＜b＞`; a word begins with
    no minus, as first and last name are kept apart.
    """
    kept = []
    for sign in unicodedata.normalize("NFC", text):
        if "!" <= sign <= "~" and not sign.isalnum() and sign not in "-_'.,()":
            sign = chr(ord(sign) + 0xFEE0)
        kept.append(sign if sign.isprintable() else " ")
    words = "".join(kept).split()
    return " ".join(re.sub("^-", "\u2010", word) for word in words)[:200]


def cell(value):
    """A CSV file's cell that no spreadsheet calculates; a leading ' says it is text."""
    value = str(value)
    return f"'{value}" if value.lstrip(" '").startswith(_FORMULA) else value


# ---- pages --------------------------------------------------------------------------


def filters():
    """Filters of nbconvert for pages that show what strangers wrote."""
    return {
        "markdown2html": markdown,
        "clean_html": html,
        "mathjax_script": mathjax_script,
        "scripts_of": scripts_of,
        "hashes": hashes,
    }


def mathjax_script(name):
    """A file of MathJax, out of its package: formulas need no network."""
    package = find_spec("sphinx-mathjax-offline").submodule_search_locations[0]
    return Path(package, "static", "mathjax", name).read_text(encoding="utf-8")


def scripts_of(name):
    """The fixed scripts in one of Formgrader's templates."""
    from nbgrader.server_extensions.formgrader import handlers

    text = Path(handlers.template_path, "formgrade", name).read_text(encoding="utf-8")
    found = re.findall(r"<script[^>]*>(.+?)</script>|onclick=\"(.+?)\"", text, re.S)
    return [script or click for script, click in found if "{{" not in script]


def hashes(scripts):
    """Scripts as a page's Content-Security-Policy names those that may run."""
    digests = [hashlib.sha256(script.encode()).digest() for script in scripts]
    return " ".join(f"'sha256-{base64.b64encode(d).decode()}'" for d in digests)
