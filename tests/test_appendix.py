"""The pages that bind the book agree with its chapters."""

import re
import sys
from pathlib import Path

import pytest

from tools.tree import ROOT, chapters, read

sys.path.insert(0, str(ROOT / "_ext"))
from course_map import head_of  # noqa: E402

LESSONS = [c.lesson for c in chapters() if c.lesson.exists()]
GLOSSARY = ROOT / "appendix" / "glossary.md"


def text_of(path):
    return path.read_text(encoding="utf-8")


def markdown_of(lesson):
    return "\n".join(c.source for c in read(lesson).cells if c.cell_type == "markdown")


def entries():
    """[(English term, Chinese, name of the chapter's file)] of the glossary."""
    line = re.compile(r"^- \*\*(.+?)\*\* · (.+?)\. .*\]\((\S+)\)$", re.M)
    return line.findall(text_of(GLOSSARY))


def test_the_map_reads_every_lesson():
    names = {lesson.parent.name for lesson in LESSONS}
    for lesson in LESSONS:
        title, needs = head_of(lesson)
        assert title and set(needs) <= names
        assert all(other < lesson.parent.name for other in needs), "an arc upwards"


def test_glossary_is_in_order_and_complete():
    lines = [x for x in text_of(GLOSSARY).splitlines() if x.startswith("- ")]
    terms = [term.lower() for term, _, _ in entries()]
    assert len(terms) == len(lines), "a line is not: - **term** · 中文. text [link](…)"
    assert terms == sorted(set(terms))
    for _, chinese, link in entries():
        assert re.search("[\u3400-\u9fff]", chinese), chinese
        assert (GLOSSARY.parent / link).is_file(), link


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda p: p.stem)
def test_chinese_summary_uses_the_words_of_the_glossary(lesson):
    head = read(lesson).cells[0].source
    summary = re.search(
        r'<details lang="zh-Hans"><summary>中文摘要</summary>\n\n(.+?)\n\n</details>',
        head,
        re.S,
    )
    assert summary, "the first cell has no folded Chinese summary"
    known = {term.lower(): chinese for term, chinese, _ in entries()}
    for chinese, english in re.findall(
        "([\u3400-\u9fff]+)（([A-Za-z -]+)）", summary[1]
    ):
        if english.lower() in known and len(chinese) < 7:  # a term, not a sentence
            term = known[english.lower()]
            assert chinese.endswith(term) or term.endswith(chinese), (chinese, english)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda p: p.stem)
def test_papers_of_a_lesson_are_in_the_bibliography(lesson):
    known = set(re.findall(r"arxiv\.org/abs/([\d.]+\d)", text_of(
        Path(ROOT, "appendix", "references.bib"))))  # fmt: skip
    cited = set(re.findall(r"arxiv\.org/abs/([\d.]+\d)", markdown_of(lesson)))
    assert cited <= known
