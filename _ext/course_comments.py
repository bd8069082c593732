"""Comments under each page, where `_config.yml` names a service and a repository.

    html:
      comments:
        giscus: {repo: owner/name, repo-id: R_kg, category-id: DIC_kw}
        # or utterances: {repo: owner/name}

A page asks the service for nothing until a reader opens its comments.
"""

from __future__ import annotations

import html
import json

from sphinx.errors import ConfigError

# Where the script is, and its attributes: giscus.app and utteranc.es say what there is.
SERVICES = {
    "giscus": (
        "https://giscus.app/client.js",
        {"data-mapping": "pathname", "data-theme": "preferred_color_scheme"},
    ),
    "utterances": (
        "https://utteranc.es/client.js",
        {"issue-term": "pathname", "theme": "preferred-color-scheme"},
    ),
}
COMMENTS = """<details class="course-comments noprint"><summary>Comments</summary>
<p>They come from {place}, which learns that you read this page.</p></details>
<script>
document.querySelector(".course-comments").addEventListener("toggle", event => {{
  const script = document.createElement("script"), attributes = {attributes};
  for (const name in attributes) script.setAttribute(name, attributes[name]);
  event.target.append(script);
}}, {{ once: true }});
</script>"""


def check_comments(app, config):
    """Raise ConfigError for a service that is not known, or that has no repository."""
    for name, options in _chosen(config):
        if name not in SERVICES:
            known = " or ".join(SERVICES)
            raise ConfigError(f"html.comments in _config.yml: {name!r} is not {known}")
        if not (isinstance(options, dict) and options.get("repo")):
            raise ConfigError(
                f"html.comments.{name} in _config.yml has no repo: owner/name"
            )


def _chosen(config):
    """The services and their options, but those that are False, as by default."""
    return [(name, value) for name, value in config.comments_config.items() if value]


def comments(app, pagename, templatename, context, doctree):
    """Put the comments at the end of a page, folded."""
    if doctree is None:
        return
    for name, options in _chosen(app.config):
        source, attributes = SERVICES[name]
        prefix = "data-" if name == "giscus" else ""
        attributes = attributes | {prefix + key: options[key] for key in options}
        attributes |= {"src": source, "crossorigin": "anonymous"}
        place = html.escape(source.split("/")[2])
        text = json.dumps(attributes).replace("<", "\\u003c")
        context["body"] += COMMENTS.format(place=place, attributes=text)
