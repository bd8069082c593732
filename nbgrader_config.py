"""nbgrader for this course: run its commands, and JupyterLab, in this folder."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import nbgrader

from dot2gpt.running import KERNEL_ARGUMENTS, TIMEOUT

c = get_config()  # noqa: F821 (nbgrader defines it)
root = Path(os.path.abspath(__file__)).parent

# nbgrader runs `alembic` by its name, which fails where no environment is activated.
os.environ["PATH"] = os.pathsep.join(
    [os.path.dirname(sys.executable), os.environ["PATH"]]
)

c.CourseDirectory.course_id = "x-to-gpt"
c.CourseDirectory.root = str(root)
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "chapters"

# The lesson lies beside the sheet in chapters/. With nbgrader's default, "*",
# `generate_assignment --force` and every failed generation delete the whole folder.
c.CourseDirectory.notebook_id = "*_exercises"

# Assignment List shows an error if the exchange is not there, so it is made here. What
# it fetches goes to x-to-gpt/ and not between the course's own folders.
c.Exchange.root = str(root / "exchange")
c.Exchange.path_includes_course = True
(root / "exchange").mkdir(exist_ok=True)

# Each run the same: one thread, no progress bars (see dot2gpt.running).
c.Execute.timeout = TIMEOUT
c.Execute.extra_arguments = KERNEL_ARGUMENTS


# Feedback and grading pages carry their own MathJax, so that formulas need no network.
def mathjax_script(name):
    package = find_spec("sphinx-mathjax-offline").submodule_search_locations[0]
    return Path(package, "static", "mathjax", name).read_text(encoding="utf-8")


c.HTMLExporter.filters = {"mathjax_script": mathjax_script}
c.HTMLExporter.extra_template_basedirs = [
    str(root / "grading" / "templates"),
    str(
        Path(nbgrader.__file__).parent
        / "server_extensions"
        / "formgrader"
        / "templates"
    ),
]
c.FormgradeExtension.debug = False  # a panel of settings, which cannot show a function
