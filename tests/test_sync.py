"""What is derived equals what it is derived from."""

import shutil

import pytest

from tools import sync
from tools.execute import is_stale
from tools.tree import ROOT, Chapter, chapters, read, tags, written_notebooks


def test_every_chapter_has_its_four_parts():
    for chapter in chapters():
        for path in (chapter.lesson, chapter.solutions, chapter.sheet, chapter.answers):
            assert path.exists(), f"{path.relative_to(ROOT)} is missing"


def test_modules_and_sheets_are_in_sync():
    stale = [path.relative_to(ROOT).as_posix() for path in sync.stale()]
    assert stale == [], "run `make sync`"


@pytest.mark.parametrize("path", written_notebooks(), ids=lambda p: p.stem)
def test_outputs_are_of_the_code_as_it_stands(path):
    assert not is_stale(path), "run `make execute`"


@pytest.fixture
def copy(tmp_path):
    """A tree with one chapter, to break."""
    chapter = next(c for c in chapters() if c.module.exists())
    parts = chapter.lesson, chapter.solutions, chapter.sheet, chapter.module
    for path in (*parts, chapter.tests):
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return Chapter(chapter.name, tmp_path)


@pytest.mark.parametrize("part", ["module", "sheet", "tests"])
def test_an_edited_copy_is_found(copy, part):
    assert sync.stale(copy.root) == {}
    path = getattr(copy, part)
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert list(sync.stale(copy.root)) == [path]


def test_code_that_the_book_folds_is_folded_in_a_lab(copy):
    def folded():
        return [
            c.metadata.get("jupyter") == {"source_hidden": True}
            for c in read(copy.lesson).cells
        ]

    quiz = ["hide-input" in tags(c) for c in read(copy.lesson).cells]
    assert folded() == quiz and any(quiz) and not all(quiz)
    text = copy.lesson.read_text(encoding="utf-8")
    copy.lesson.write_text(text.replace('"source_hidden": true', '"a": 1'), "utf-8")
    assert sync.stale(copy.root) == {copy.lesson: text}


def test_a_solution_without_its_end_is_refused_and_the_lesson_stays(copy):
    before = copy.lesson.read_bytes()
    text = copy.solutions.read_text(encoding="utf-8").replace(
        "### END SOLUTION", "#", 1
    )
    copy.solutions.write_text(text, encoding="utf-8")
    with pytest.raises(RuntimeError, match="nbgrader refuses it"):
        sync.stale(copy.root)
    assert copy.lesson.read_bytes() == before


def test_a_cell_of_any_sheet_is_tagged_once():
    from grading.course.one_line import OneLineTests
    from tests import small_course

    sheet = small_course.sheet()  # released once: its cells have their tags
    where = {"nbgrader": {"assignment": "01_small"}}
    again, _ = OneLineTests().preprocess(sheet, where)
    tags = [c.metadata.tags for c in again.cells if "tags" in c.metadata]
    assert tags == 6 * [["raises-exception"]]
