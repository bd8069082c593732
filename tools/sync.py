"""Make what is derived: lesson cells → dot2gpt/, solutions → exercise sheets and the
tests that they call, cells tagged `hide-input` → folded in JupyterLab too, and README's
picture, which the front page draws too.

python -m tools.sync            write what is stale
python -m tools.sync --check    write nothing, exit 1 if something is stale
"""

import argparse
import contextlib
import io
import logging
import sys
import tempfile
from pathlib import Path

import nbformat

from dot2gpt import sheet_tests
from tools.tree import (
    ROOT,
    chapters,
    exported_source,
    module_of,
    read,
    tags,
    written_notebooks,
)


def derived_modules(root=ROOT):
    """{path of a module: the text that its lesson or page makes of it}."""
    pages = [page for c in chapters(root) for page in (c.lesson, *c.pages)]
    texts = {module_of(page): exported_source(page) for page in pages if page.exists()}
    return {path: text for path, text in texts.items() if text}


def derived_folds(root=ROOT):
    """{path of a lesson or page: its text with the cells tagged `hide-input` folded}.

    The tag is the book's word for it; JupyterLab, VS Code and nbconvert have another.
    Sheets stay open: a test cell is one line there, which the learner runs.
    """
    sources = {chapter.solutions for chapter in chapters(root)}
    texts = {}
    for path in written_notebooks(root):
        if path in sources:
            continue
        notebook = read(path)
        for cell in notebook.cells:
            cell.metadata.pop("jupyter", None)
            if "hide-input" in tags(cell):
                cell.metadata["jupyter"] = {"source_hidden": True}
        texts[path] = nbformat.writes(notebook) + "\n"
    return texts


def derived_tests(root=ROOT):
    """{Chapter: {name: Test}}, what a learner may see of the tests in its solutions."""
    from grading.judge.bundle import bundle

    return {
        chapter: {
            cell.grade_id.removeprefix("test_"): sheet_tests.Test(
                cell.released.strip("\n"), cell.source != cell.released
            )
            for cell in bundle(chapter.name, root).tests
        }
        for chapter in chapters(root)
        if chapter.solutions.exists()
    }


def derived_sheets(root=ROOT, tests=None):
    """{path of a sheet: the text that nbgrader makes of its solutions}.

    tests: as `derived_tests` gives them; they are called by the sheets.

    nbgrader writes into a folder of its own: in place it would delete the lessons.
    Raises RuntimeError with nbgrader's words if it refuses a notebook.
    """
    from nbgrader.apps import NbGraderAPI
    from traitlets.config import Config

    from grading.course.one_line import preprocessors

    tests, texts = tests or derived_tests(root), {}
    with tempfile.TemporaryDirectory() as folder:
        config = Config()
        config.CourseDirectory.root = str(root)
        config.CourseDirectory.source_directory = "solutions"
        config.CourseDirectory.release_directory = folder
        config.CourseDirectory.notebook_id = "*_exercises"
        config.CourseDirectory.db_url = f"sqlite:///{folder}/unused.db"
        config.GenerateAssignment.no_database = True
        config.GenerateAssignment.preprocessors = preprocessors()
        config.OneLineTests.texts = {c.name: made for c, made in tests.items()}
        config.SaveCells.enabled = False
        for chapter in tests:
            log = io.StringIO()
            with _log_to(log), contextlib.redirect_stderr(log):
                api = NbGraderAPI(config=config)
                result = api.generate_assignment(chapter.name, force=True, create=True)
            made = Path(folder) / chapter.name / chapter.sheet.name
            if not result["success"] or not made.exists():
                said = result.get("error") or result.get("log") or log.getvalue()
                raise RuntimeError(f"{chapter.solutions}: nbgrader refuses it:\n{said}")
            texts[chapter.sheet] = made.read_text(encoding="utf-8")
    return texts


@contextlib.contextmanager
def _log_to(stream):
    """Send nbgrader's chatter to `stream`."""
    handler, root = logging.StreamHandler(stream), logging.getLogger()
    before = root.handlers[:], root.level
    root.handlers[:] = [handler]
    try:
        yield
    finally:
        root.handlers[:], root.level = before


def _picture():
    sys.path.insert(0, str(ROOT / "_ext"))
    try:
        from course_line import picture
    finally:
        sys.path.pop(0)
    return picture()


def stale(root=ROOT):
    """{path: its text as it should be} of every derived file that is stale."""
    try:
        tests = derived_tests(root)
    except ValueError as error:
        raise RuntimeError(f"nbgrader refuses it: {error}") from None
    texts = derived_modules(root) | derived_sheets(root, tests) | derived_folds(root)
    texts |= {c.tests: sheet_tests.written(made) for c, made in tests.items()}
    if root == ROOT:
        texts[ROOT / "_static" / "line.svg"] = _picture()
    return {
        path: text
        for path, text in texts.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    }


def main():
    parser = argparse.ArgumentParser(
        prog="python -m tools.sync", description=__doc__.split("\n    python")[0]
    )
    parser.add_argument("--check", action="store_true", help="only say what is stale")
    check = parser.parse_args().check
    try:
        found = stale()
    except RuntimeError as error:
        sys.exit(str(error))
    for path, text in found.items():
        print(f"{'stale' if check else 'wrote'}: {path.relative_to(ROOT)}")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if not found:
        print("all in sync")
    sys.exit(1 if check and found else 0)


if __name__ == "__main__":
    main()
