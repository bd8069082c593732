"""A new chapter keeps every rule before a word of it is written."""

import ast
import shutil

import pytest
import yaml

from tests import answers, test_appendix, test_notebooks
from tools import new_chapter, sync
from tools.execute import execute, is_stale
from tools.tree import ROOT, Chapter, chapters

NAME = "27_new_topic"


@pytest.fixture
def root(tmp_path):
    """What a new chapter is added to, and what its first page links to."""
    needed = ("_toc.yml", "index.md", "chapters/01_dot_product/dot_product.ipynb")
    for path in needed:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    return tmp_path


@pytest.fixture
def chapter(root):
    """The new chapter, written, in sync and executed."""
    new_chapter.make(NAME, root)
    for path, text in sync.stale(root).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    made = Chapter(NAME, root)
    for path in (made.lesson, made.solutions):
        execute(path)
    return made


def test_it_keeps_the_rules_of_notebooks_and_has_its_entries(chapter):
    assert NAME in [known.name for known in chapters(chapter.root)]
    lesson, solutions = chapter.lesson, chapter.solutions
    for rule, paths in {
        test_notebooks.test_it_was_run_from_top_to_bottom_without_an_error: 2,
        test_notebooks.test_code_fits_the_page_and_nbval: 2,
        test_notebooks.test_output_has_no_addresses_colours_or_warnings: 2,
        test_notebooks.test_every_figure_says_what_it_shows: 2,
        test_notebooks.test_links_to_files_lead_somewhere: 2,
        test_notebooks.test_a_lesson_follows_the_page_pattern: 0,
        test_notebooks.test_an_export_cell_holds_the_imports_or_one_definition: 0,
        test_appendix.test_chinese_summary_uses_the_words_of_the_glossary: 0,
        test_notebooks.test_a_sheet_has_exercises_with_time_difficulty_and_hints: 1,
        test_notebooks.test_each_answer_cell_is_followed_by_its_test_cell: 1,
        test_notebooks.test_a_test_cell_stands_alone_and_ends_with_its_report: 1,
    }.items():
        for path in ([lesson], [solutions], [lesson, solutions])[paths]:
            rule(path)
    # Executed since: a sheet carries its solutions' metadata.
    assert set(sync.stale(chapter.root)) <= {
        chapter.sheet, chapter.root / "chapters/01_dot_product/dot_product.ipynb",
        chapter.root / "dot2gpt/dot_product.py"}  # fmt: skip
    assert not is_stale(lesson) and not is_stale(solutions)
    ast.parse(chapter.module.read_text(encoding="utf-8"))
    assert set(answers.load(chapter.answers)) == {"add_1", "add_2", "add_3"}
    parts = yaml.safe_load((chapter.root / "_toc.yml").read_text("utf-8"))["parts"]
    assert parts[-2]["chapters"][-1] == {
        "file": f"chapters/{NAME}/new_topic",
        "sections": [{"file": f"chapters/{NAME}/new_topic_exercises"}],
    }
    rows = (chapter.root / "index.md").read_text("utf-8").splitlines()
    row = f"| [27 · New topic](chapters/{NAME}/new_topic.ipynb) |"
    place = [number for number, line in enumerate(rows) if line.startswith(row)]
    last = int(chapters()[-1].name[:2])
    assert len(place) == 1 and rows[place[0] - 1].startswith(f"| [{last} ·")
    assert rows[place[0]].endswith("| 25 |")


@pytest.mark.parametrize(
    "name, words",
    [
        ("name", "27_name is expected"),
        ("27_Name", "27_name is expected"),
        ("../27_x", "27_name is expected"),
        ("27_dot_product", "taken by 01_dot_product"),
        ("27_checks", "checks.py is there already"),
    ],
)
def test_a_bad_or_taken_name_writes_nothing(root, name, words):
    (root / "dot2gpt").mkdir()
    (root / "dot2gpt" / "checks.py").touch()
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=words):
        new_chapter.make(name, root)
    assert before == {p: p.read_bytes() for p in root.rglob("*") if p.is_file()}
