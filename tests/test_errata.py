"""The errata: each finding has a section with a cell that decides it, and a row."""

import ast
import re

import pytest

from tools.tree import ROOT, appendix, read, tags

PAGES = [path for path in appendix() if path.stem.startswith("errata")]
ENTRY = ROOT / "appendix" / "errata.ipynb"
TOPICS = [path for path in PAGES if path != ENTRY]
LETTERS = {
    "errata_averages": "D",
    "errata_attention": "A",
    "errata_masks": "M",
    "errata_block": "B",
    "errata_training": "T",
    "errata_family": "F",
    "errata_modern": "S",
}
EXERCISE = re.compile(r"\[Exercise (\d+) of ([^\]]+)\]\(([^)]+)\): ([^;|]+?)(?=[;|]|$)")


def name(path):
    return path.stem


def sections(path):
    """{id: (title, [cells of the section])}, in order."""
    found, cells = {}, None
    for cell in read(path).cells:
        head = re.match(r"## ([A-Z]\d+) · (.+)", cell.source)
        if head:
            cells = []
            assert head[1] not in found, f"{head[1]} twice"
            found[head[1]] = head[2], cells
        if cells is not None:
            cells.append(cell)
    return found


def rows(path=ENTRY):
    """{id: (silent, claim, what holds, explained in, exercise)} of the tables."""
    text = "\n".join(c.source for c in read(path).cells)
    found = {}
    for line in re.findall(r"^\| (?=[A-Z]\d)(.+) \|$", text, re.M):
        number, *rest = line.split(" | ")
        assert len(rest) == 4, line
        found[number.split()[0]] = (number.endswith("•"), *rest)
    return found


def exercises(text):
    """[(number, sheet, link, title)] of the exercises that a text names."""
    lines = [line.rstrip(".") for line in text.splitlines()]
    return [e for line in lines for e in EXERCISE.findall(line)]


def prose(cells):
    return "\n".join(c.source for c in cells if c.cell_type == "markdown")


def test_every_topic_has_its_page():
    assert {path.stem for path in TOPICS} == set(LETTERS)


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_a_page_of_the_appendix_has_a_title_and_a_bar(path):
    cells = read(path).cells
    head = [line for line in cells[0].source.splitlines() if line.strip()]
    assert re.match(r"# \S", head[0])
    assert re.match(r"\*\d+ minutes · needs .+\*$", head[1]), head[1]
    assert len(re.findall(r"^# ", prose(cells), re.M)) == 1


@pytest.mark.parametrize("path", TOPICS, ids=name)
def test_findings_are_numbered_and_decided_by_a_cell(path):
    found = sections(path)
    letter = LETTERS[path.stem]
    assert list(found) == [f"{letter}{n}" for n in range(1, len(found) + 1)]
    for number, (_, cells) in found.items():
        code = [c for c in cells if c.cell_type == "code"]
        assert len(code) == 1, f"{number} has {len(code)} code cells"
        tree = ast.parse(code[0].source)
        assert any(isinstance(n, ast.Assert) for n in ast.walk(tree)), number
        assert re.search(r"^Claim: ", prose(cells), re.M), number
        assert re.search(r"^Explained in \[", prose(cells), re.M), number


@pytest.mark.parametrize("path", TOPICS, ids=name)
def test_the_tables_say_what_the_sections_say(path):
    letter = LETTERS[path.stem]
    listed = {i: row for i, row in rows().items() if i.startswith(letter)}
    assert list(listed) == list(sections(path))
    for number, (title, cells) in sections(path).items():
        _, _, holds, explained, exercise = listed[number]
        assert holds == title
        assert explained in prose(cells), f"{number}: explained in {explained}"
        assert exercises(exercise) == exercises(prose(cells)), number


def test_every_finding_stands_in_one_table_and_every_line_has_a_number():
    assert {i[0] for i in rows()} == set(LETTERS.values())
    numbers = re.findall(r"^- \*\*L(\d+)\*\* · ", prose(read(ENTRY).cells), re.M)
    assert numbers == [str(n) for n in range(1, len(numbers) + 1)] and numbers


def test_every_named_exercise_exists():
    named = [e for row in rows().values() for e in exercises(row[-1])]
    assert named
    for number, sheet, link, title in named:
        released = (ENTRY.parent / link).resolve()
        assert released.is_file(), link
        solutions = ROOT / "solutions" / released.parent.name / released.name
        text = prose(read(solutions).cells)
        assert re.search(rf"^# Exercises: {re.escape(sheet)}$", text, re.M), sheet
        head = rf"^## Exercise {number} · {re.escape(title)} \("
        assert re.search(head, text, re.M), f"Exercise {number} of {sheet}: {title}"


def test_what_fails_silently_is_an_exercise():
    missing = [i for i, row in rows().items() if row[0] and not exercises(row[-1])]
    assert sum(row[0] for row in rows().values()) >= 20
    assert not missing, f"no exercise for {missing}"


def test_no_page_keeps_an_output_that_may_vary():
    for path in TOPICS:
        loose = [c for c in read(path).cells if "nbval-ignore-output" in tags(c)]
        assert len(loose) <= 1, f"{path.stem}: {len(loose)} outputs are not compared"
