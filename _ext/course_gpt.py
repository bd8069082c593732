"""The GPT in its page: `{course-gpt}` draws it, its weights are copied beside it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

FOLDER = "chapters/14_generation/weights"


class CourseGpt(SphinxDirective):
    """Draw the explorer with the weights that `make models` stored."""

    has_content = True

    def run(self):
        from dot2gpt.page.explorer import explorer

        path = Path(self.env.srcdir, FOLDER, "gpt.json")
        self.env.note_dependency(path)
        about = json.loads(path.read_text(encoding="utf-8"))
        for model in about["models"]:
            model["source"] = f"weights/step_{model['step']}.js"
        page = explorer(about, caption=" ".join(self.content))._repr_html_()
        return [nodes.raw("", page, format="html")]


def copy_weights(app, error):
    """Put the scripts with the weights where the page asks for them."""
    source, target = Path(app.srcdir, FOLDER), Path(app.outdir, FOLDER)
    if error is None and app.builder.name == "html" and source.exists():
        target.mkdir(parents=True, exist_ok=True)
        for path in source.glob("*.js"):
            shutil.copy(path, target)
