"""Models in their pages, and the front page's sentence; weights are copied beside."""

from __future__ import annotations

import html
import json
import shutil
from pathlib import Path

from course_map import LESSON, head_of
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

WEIGHTS = "chapters/*/weights/*.js"


class CourseModel(SphinxDirective):
    """Draw a model of this chapter with the weights that `make models` stored."""

    has_content = True
    name_of_file = ""

    def run(self):
        page = Path(self.env.doc2path(self.env.docname))
        path = page.parent / "weights" / self.name_of_file
        self.env.note_dependency(path)
        about = json.loads(path.read_text(encoding="utf-8"))
        figure = self.draw(about, " ".join(self.content))
        return [nodes.raw("", figure._repr_html_(), format="html")]


class CourseGpt(CourseModel):
    """`course-gpt`: the GPT of chapter 13, at several steps of its training."""

    name_of_file = "gpt.json"

    def draw(self, about, caption):
        from dot2gpt.page.explorer import explorer

        for model in about["models"]:
            model["source"] = f"weights/step_{model['step']}.js"
        return explorer(about, caption=caption)


class CourseDates(CourseModel):
    """`course-dates`: the Transformer of chapter 10."""

    name_of_file = "dates.json"

    def draw(self, about, caption):
        from dot2gpt.page.dates import translator

        about["source"] = f"weights/step_{about['step']}.js"
        return translator(about, caption=caption)


class CourseSentence(SphinxDirective):
    """Draw a sentence that attends to itself; each step leads to its chapter."""

    has_content = True
    required_arguments, final_argument_whitespace = 1, True
    option_spec = {"query": int}

    def run(self):
        from dot2gpt.page.sentence import attend

        links = {}
        for found in filter(None, map(LESSON.match, self.env.found_docs)):
            path = self.env.doc2path(found[0])
            self.env.note_dependency(path)
            link = self.env.app.builder.get_relative_uri(self.env.docname, found[0])
            title = html.escape(head_of(path)[0])
            links[found[1]] = link, f"Chapter {int(found[1])} · {title}"
        query, caption = self.options["query"], " ".join(self.content)
        page = attend(self.arguments[0], query, links, caption=caption)._repr_html_()
        return [nodes.raw("", page, format="html")]


def copy_weights(app, error):
    """Put the scripts with the weights where the pages ask for them."""
    if error is None and app.builder.name == "html":
        for path in Path(app.srcdir).glob(WEIGHTS):
            target = Path(app.outdir, path.relative_to(app.srcdir))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
