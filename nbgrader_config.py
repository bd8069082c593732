"""nbgrader for this course: run its commands, and JupyterLab, in this folder."""

import os
import sys
from functools import partial
from pathlib import Path

import nbgrader
from alembic.script import ScriptDirectory
from jinja2 import Environment
from nbgrader import api

import grading
from dot2gpt.running import KERNEL_ARGUMENTS, TIMEOUT
from grading.course import clean
from grading.course.one_line import preprocessors

c = get_config()  # noqa: F821 (nbgrader defines it)
root = Path(os.path.abspath(__file__)).parent

# nbgrader runs `alembic` by its name, which fails where no environment is activated.
os.environ["PATH"] = os.pathsep.join(
    [os.path.dirname(sys.executable), os.environ["PATH"]]
)
# For a new gradebook it would do so to ask which its newest form is, for five seconds.
migrations = Path(nbgrader.__file__).parent / "alembic"
api.get_alembic_version = ScriptDirectory(str(migrations)).get_current_head

c.CourseDirectory.course_id = "x-to-gpt"
c.CourseDirectory.root = str(root)
book = str(root / "gradebook.db").replace("%", "%25").replace("?", "%3F")
c.CourseDirectory.db_url = f"sqlite:///{book}"  # an address, in which those two act
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "chapters"

# The lesson lies beside the sheet in chapters/. With nbgrader's default, "*",
# `generate_assignment --force` and every failed generation delete the whole folder.
c.CourseDirectory.notebook_id = "*_exercises"

# Test cells are one line in the sheet; their tests are in the package.
c.GenerateAssignment.preprocessors = preprocessors()

# Assignment List shows an error if the exchange is not there, so it is made here. What
# it fetches goes to x-to-gpt/ and not between the course's own folders.
c.Exchange.root = str(root / "exchange")
c.Exchange.path_includes_course = True
(root / "exchange").mkdir(exist_ok=True)

# Each run the same: one thread, no progress bars (see dot2gpt.running).
c.Execute.timeout = TIMEOUT
c.Execute.extra_arguments = KERNEL_ARGUMENTS


# Feedback and grading pages show what strangers wrote: it is cleaned, and they carry
# their own MathJax, so that formulas need no network.
c.HTMLExporter.filters = clean.filters()
c.HTMLExporter.sanitize_html = True
c.HTMLExporter.extra_template_basedirs = [
    str(Path(grading.__file__).parent / "course" / "templates"),
    str(
        Path(nbgrader.__file__).parent
        / "server_extensions"
        / "formgrader"
        / "templates"
    ),
]
# What an address names is printed by Formgrader, and is to be escaped there.
if formgrader := sys.modules.get("nbgrader.server_extensions.formgrader.formgrader"):
    formgrader.Environment = partial(Environment, autoescape=True)
c.FormgradeExtension.debug = False  # a panel of settings, which cannot show a function
