"""The rules that every lesson and every sheet keeps, new ones too."""

import ast
import math
import re

import pytest
from markdown_it import MarkdownIt

from tools.tree import ROOT, chapters, read, tags, written_notebooks

LESSONS = [c.lesson for c in chapters() if c.lesson.exists()]
PAGES = [path for c in chapters() for path in c.pages]
SHEETS = [c.solutions for c in chapters() if c.solutions.exists()]
WRITTEN = written_notebooks()
NAMED_CODE = re.compile(
    r"^\*\*([^*\n]+)\*\*\n\n```python\n(.*?)```$", re.MULTILINE | re.DOTALL
)
TEST_END = re.compile(r"\.report\(\)\s*$")


def name(path):
    return path.stem


def code(path):
    return [c for c in read(path).cells if c.cell_type == "code" and c.source.strip()]


def prose(path):
    return [c.source for c in read(path).cells if c.cell_type == "markdown"]


def graded(path, kind):
    found = [(c.metadata.get("nbgrader", {}), c) for c in read(path).cells]
    return {m["grade_id"]: c for m, c in found if m.get(kind)}


@pytest.mark.parametrize("path", WRITTEN, ids=name)
def test_it_was_run_from_top_to_bottom_without_an_error(path):
    cells = code(path)
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        if "raises-exception" not in tags(cell):
            errors = [o for o in cell.outputs if o.output_type == "error"]
            assert not errors, f"{errors[0].evalue}"


@pytest.mark.parametrize("path", WRITTEN, ids=name)
def test_code_fits_the_page_and_nbval(path):
    for cell in code(path):
        long = [line for line in cell.source.splitlines() if len(line) > 88]
        assert not long, f"over 88 columns: {long[0]}"
        assert not cell.source.rstrip().endswith(";"), (
            "nbval fails a cell ending in ';'"
        )
        if "nbval-ignore-output" in tags(cell):
            assert "assert " in cell.source, "an ignored output needs an assert"


@pytest.mark.parametrize("path", WRITTEN, ids=name)
def test_output_has_no_addresses_colours_or_warnings(path):
    for cell in code(path):
        for output in cell.outputs:
            text = str(output.get("text", "")) + str(
                output.get("data", {}).get("text/plain", "")
            )
            assert not re.search(r"0x[0-9a-f]{8,}|\x1b\[|Warning", text), text[:200]
            if output.get("name") == "stdout":
                assert max(map(len, text.splitlines()), default=0) <= 88


@pytest.mark.parametrize("path", WRITTEN, ids=name)
def test_every_figure_says_what_it_shows(path):
    for cell in code(path):
        images = [o for o in cell.outputs if "image/png" in o.get("data", {})]
        if images:
            mystnb = cell.metadata.get("mystnb", {})
            assert len(images) == 1, "one figure a cell"
            assert len(mystnb.get("image", {}).get("alt", "")) > 30, cell.source[:60]
            assert mystnb.get("figure", {}).get("caption"), cell.source[:60]
            # In the book's dark theme the light of a figure is turned.
            said = re.search(
                r"(?i)\b(dark|light|bright|white|black)(er|est)?\b", str(mystnb)
            )
            assert not said, f"{said[0]!r} is untrue in one of the themes"


FOLD = r'<details( lang="zh-Hans")?><summary>[^<$`*_]+</summary>'


def astray(text):
    """What of a cell's HTML is drawn as something else in a plain notebook.

    JupyterLab without extensions, Colab and VS Code read CommonMark: a block of HTML
    ends at an empty line, and what stands in it is neither Markdown nor a formula. VS
    Code draws `details` and `summary` in a folder that is not trusted, too, and few
    other tags (microsoft/vscode, pull request 150228).
    """
    found, opened, filled = [], False, False
    for token in MarkdownIt("commonmark").parse(text):
        inside = token.children or ()
        found += [child.content for child in inside if child.type == "html_inline"]
        if token.type != "html_block":
            filled = True
            continue
        for line in filter(None, token.content.splitlines()):
            opens = bool(re.fullmatch(FOLD, line))
            right = opened != opens and (opens or line == "</details>" and filled)
            if not right or token.level:
                found.append(line)
            opened, filled = opens, False
    return found + ["a fold is not closed"] * opened


def test_html_that_a_plain_notebook_draws_wrongly_is_found():
    right = "<details><summary>Hint 1</summary>\n\nIt is $x$.\n\n</details>"
    assert astray(f"a\n\n{right}\n{right}\n\n{right}") == []
    for wrong in (
        right.replace("</summary>\n\n", "</summary>\n"),  # raw TeX
        right.replace("\n\n</details>", ""),
        right.replace("</summary>\n\nIt is $x$.", "</summary>"),
        right.replace("Hint 1", "Why $x$"),
        right.replace("It", "<b>It</b>"),
        right.replace("<details>", "<details open>"),
        "- " + right.replace("\n\n", "\n\n  "),
        f"{right}\n\n</details>",
        right.replace("\n\nIt", "\n\n<div>\n\nIt"),
    ):
        assert astray(wrong), wrong


@pytest.mark.parametrize("path", WRITTEN, ids=name)
def test_folds_are_drawn_in_a_plain_notebook(path):
    assert [line for text in prose(path) for line in astray(text)] == []


@pytest.mark.parametrize("path", LESSONS, ids=name)
def test_a_lesson_follows_the_page_pattern(path):
    text = prose(path)
    head = text[0].splitlines()
    assert re.match(r"# \S", head[0])
    bar = next(line for line in head[1:] if line.strip())
    assert re.match(r"\*\d+ minutes · .*gives .*\*$", bar), bar
    assert sum(len(re.findall(r"^# ", t, re.M)) for t in text) == 1
    sections = [s for t in text for s in re.findall(r"^## (.+)", t, re.M)]
    assert len(sections) >= 2
    assert "What comes next" in sections
    source = "\n".join(c.source for c in code(path))
    assert "pictures.quiz(" in source, "a question for the reader"
    moving = r"pictures\.(?!quiz|style)\w+\("
    assert re.search(moving, source), "a picture to move"
    for cell in code(path):
        if "pictures.quiz(" in cell.source:
            assert "hide-input" in tags(cell), "the code of a question gives it away"


@pytest.mark.parametrize("path", LESSONS + PAGES, ids=name)
def test_an_export_cell_holds_the_imports_or_one_definition(path):
    cells = [c for c in code(path) if "export" in tags(c)]
    if not cells:  # a lesson need not export
        return
    first = ast.parse(cells[0].source).body
    assert ast.get_docstring(ast.parse(cells[0].source)), (
        "the module's docstring comes first"
    )
    assert all(isinstance(n, (ast.Import, ast.ImportFrom, ast.Expr)) for n in first)
    for cell in cells[1:]:
        body = ast.parse(cell.source).body
        assert len(body) == 1, f"one definition a cell: {cell.source[:60]}"
        if isinstance(body[0], ast.Assign):  # a constant: a comment says what it is
            assert body[0].targets[0].id.isupper() and cell.source.startswith("# ")
            continue
        assert isinstance(body[0], (ast.FunctionDef, ast.ClassDef))
        assert ast.get_docstring(body[0]), f"{body[0].name} has no docstring"
        size = body[0].end_lineno - body[0].lineno + 1
        limit = 70 if isinstance(body[0], ast.ClassDef) else 40
        assert size <= limit, f"{body[0].name} is {size} lines long"


@pytest.mark.parametrize("path", WRITTEN, ids=name)
def test_links_to_files_lead_somewhere(path):
    for text in prose(path):
        for target in re.findall(r"\]\(([^)#\s]+)", text):
            if not re.match(r"[a-z]+:", target):
                assert (path.parent / target).exists(), (
                    f"{target} in {path.relative_to(ROOT)}"
                )


@pytest.mark.parametrize("path", SHEETS, ids=name)
def test_a_sheet_has_exercises_with_time_difficulty_and_hints(path):
    text = prose(path)
    bar = next(line for line in text[0].splitlines()[1:] if line.strip())
    points = sum(
        float(c.metadata.nbgrader.points) for c in graded(path, "grade").values()
    )
    heads = [h for t in text for h in re.findall(r"^## (Exercise .+)", t, re.M)]
    said = re.match(r"\*(\d+) minutes · (\d+) exercises · (\d+) points\*$", bar)
    assert said, bar
    assert "is handed in, more is tested" in re.sub(r"\s+", " ", text[0])
    assert (int(said[2]), float(said[3])) == (len(heads), points)
    assert 3 <= len(heads) <= 6
    for number, head in enumerate(heads, 1):
        pattern = (
            rf"Exercise {number} · .+ \(\d+ points?, \d+ minutes, (easy|medium|hard)\)$"
        )
        assert re.match(pattern, head), head
    minutes = sum(int(re.search(r"(\d+) minutes", head)[1]) for head in heads)
    assert int(said[1]) == minutes, "the bar's minutes are not the exercises'"
    hints = sum(t.count("<details>") for t in text)
    assert hints >= len(heads), "each exercise has a ladder of hints"


@pytest.mark.parametrize("path", SHEETS, ids=name)
def test_each_answer_cell_is_followed_by_its_test_cell(path):
    order = list(graded(path, "solution")), list(graded(path, "grade"))
    assert order[1] == [f"test_{grade_id}" for grade_id in order[0]]
    for cell in graded(path, "solution").values():
        assert cell.source.count("### BEGIN SOLUTION") == 1
        assert cell.source.count("### END SOLUTION") == 1
    for cell in graded(path, "grade").values():
        assert cell.metadata.nbgrader.locked and cell.metadata.nbgrader.points > 0
        assert "hide-input" in tags(cell), "in the book a test's code is folded away"


@pytest.mark.parametrize("path", SHEETS, ids=name)
def test_a_test_cell_stands_alone_and_ends_with_its_report(path):
    made = set()  # names that test cells bind
    hidden = False
    for grade_id, cell in graded(path, "grade").items():
        tree = ast.parse(cell.source)
        names = [n for n in ast.walk(tree) if isinstance(n, ast.Name)]
        bound = {n.id for n in names if isinstance(n.ctx, ast.Store)}
        bound |= {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
        args = {a.arg for a in ast.walk(tree) if isinstance(a, ast.arg)}
        used = {n.id for n in names if isinstance(n.ctx, ast.Load)}
        borrowed = (used & made) - bound - args
        assert not borrowed, f"{grade_id} uses {borrowed} of another test cell"
        made |= bound
        assert TEST_END.search(cell.source), f"{grade_id} does not end with report()"
        opened = cell.source.count("### BEGIN HIDDEN TESTS")
        assert opened == cell.source.count("### END HIDDEN TESTS")
        hidden = hidden or opened
    assert hidden, "at least one test cell has hidden tests"


@pytest.mark.parametrize("path", [*LESSONS, *PAGES], ids=name)
def test_code_in_several_ways_computes_the_same(path):
    """The book shows it as tabs; its last line makes what is compared."""
    import torch

    random = torch.Generator().manual_seed(0)
    sizes = {"x": (2, 3, 11), "q": (2, 5, 7), "k": (2, 11, 7), "v": (2, 11, 3)}
    given = {n: torch.randn(size, generator=random) for n, size in sizes.items()}
    given |= {"math": math, "torch": torch, "F": torch.nn.functional}
    for text in prose(path):
        results = {}
        for title, source in NAMED_CODE.findall(text):
            names = dict(given)
            exec(source, names)
            results[title] = names[ast.parse(source).body[-1].targets[0].id]
        for title, result in results.items():
            first = next(iter(results.values()))
            assert torch.allclose(result, first, atol=1e-6), title
        assert len(results) != 1, "one way needs no name"
