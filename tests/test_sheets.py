"""Blank sheets get nothing, solutions everything, each answer what it deserves."""

import ast
import re
from functools import cache

import pytest

from tests import grader, mistakes
from tests.answers import load
from tools.mutants.bench import cases
from tools.tree import chapters, read

MORE = "More is tested when it is handed in.\n"
SHEETS = [c for c in chapters() if c.solutions.exists()]
WORK = ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Call, ast.Subscript
HARMLESS = {  # an expression of a solution that its visible test holds: why it may
    "torch.arange(scores.shape[-1])": "the places of a row, whatever is done with them",
    "text + [0] * (time - len(text))": "a padded text, which some mistakes read",
}


def _answers():
    for chapter in SHEETS:
        if chapter.answers.exists():
            for grade_id, answers in load(chapter.answers).items():
                for answer in answers:
                    kind = "right" if answer.says is None else "wrong"
                    label = f"{chapter.name}-{grade_id}-{kind}-{answer.name}"
                    yield pytest.param(chapter, grade_id, answer, id=label)


@cache
def _cells(chapter, blank=False):
    cells = grader.code_cells(read(chapter.solutions))
    if not blank:
        return cells
    return [
        grader.Cell(
            c.grade_id, grader.blanked(c.source), c.points, c.is_test, c.is_solution
        )
        for c in cells
    ]


@cache
def _solved(chapter):
    """What comes of the solutions, and what is untrue of their tests' mistakes."""
    told = "from tests import mistakes\nprint(*mistakes.untrue(), sep='\\n', end='')"
    with mistakes.recorded():
        outcome = grader.run(
            [*_cells(chapter), grader.Cell("told", told, is_test=True)]
        )
    outcome.feedback.pop("told")
    return outcome, outcome.shown.pop("told")


@pytest.mark.parametrize("chapter", SHEETS, ids=lambda c: c.name)
def test_the_solutions_get_every_point(chapter):
    outcome, _ = _solved(chapter)
    assert not outcome.broken
    assert {k: v for k, v in outcome.feedback.items() if v} == {}
    assert outcome.feedback, "no test cell"


@pytest.mark.parametrize("chapter", SHEETS, ids=lambda c: c.name)
def test_each_mistake_can_be_made_and_is_no_other(chapter):
    assert _solved(chapter)[1] == ""


def test_a_mistake_that_is_none_and_two_that_are_one_are_found():
    code = """
from dot2gpt import checks
c = checks.Checks("t")
for n in (2, 3):
    never, nan = {"never": 2 * n, "half": n}, {"nothing": float("nan")}
    c.close("x", 2 * n, 2 * n, mistakes=never | nan)
    c.close("y", n, n, mistakes={"two": 2, "four": 4, "same": 4, "NaN": float("nan")})
    c.close("z", n, n, mistakes={"two": 2 if n > 2 else None, "less": n - 1})
"""
    told = "from tests import mistakes\nfor line in mistakes.untrue(): print(line)"
    cells = [grader.Cell("", code), grader.Cell("told", told, is_test=True)]
    with mistakes.recorded():
        lines = grader.run(cells).shown["told"].splitlines()
    assert lines == [
        "t: never wrong: 'never'",
        "t: any NaN is called 'nothing'",
        "t: always the same: 'four' and 'same'",
    ]


@pytest.mark.parametrize("chapter", SHEETS, ids=lambda c: c.name)
def test_the_tests_of_the_released_sheet_are_a_line_each_that_take_the_solutions(
    chapter,
):
    answers = {c.grade_id: c for c in _cells(chapter) if c.is_solution}
    sheet = grader.code_cells(read(chapter.sheet))
    for test in (cell for cell in sheet if cell.is_test):
        name = test.grade_id.removeprefix("test_")
        assert test.source == f'checks.check("{name}", "{chapter.name}")'
    outcome = grader.run([answers.get(c.grade_id, c) for c in sheet])
    assert {k: v for k, v in outcome.feedback.items() if v} == {}
    more = [text.endswith(MORE) for text in outcome.shown.values()]
    whole = [c.source for c in _cells(chapter) if c.is_test]
    assert more == ["### BEGIN HIDDEN TESTS" in source for source in whole]


def test_a_sheet_holds_little_code_that_is_not_the_learners():
    sheet = next(c.sheet for c in SHEETS if c.name == "06_multi_head")
    others = [c.source for c in grader.code_cells(read(sheet)) if not c.is_solution]
    lines = [line.strip() for source in others for line in source.splitlines()]
    code = [line for line in lines if line and not line.startswith('"""')]
    assert len(code) <= 25


@pytest.mark.parametrize("chapter", SHEETS, ids=lambda c: c.name)
def test_a_blank_sheet_gets_nothing_and_is_told_that_it_is_not_written(chapter):
    outcome = grader.run(_cells(chapter, blank=True))
    for grade_id, feedback in outcome.feedback.items():
        assert "not written yet" in feedback, f"{grade_id}: {feedback!r}"
        assert "✗" in feedback, f"{grade_id} raises past dot2gpt.checks: {feedback!r}"


def _bare(node):
    """What an expression is, whatever its names are."""
    names = {}
    return re.sub(
        r"Name\(id='\w+'",
        lambda found: names.setdefault(found[0], f"Name {len(names)}"),
        ast.dump(node),
    )


def _expressions(source):
    """{bare expression of three operations or more: its text}"""
    nodes = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.expr)]
    sizes = [sum(isinstance(part, WORK) for part in ast.walk(n)) for n in nodes]
    return {_bare(n): ast.unparse(n) for n, size in zip(nodes, sizes) if size >= 3}


def _given_away(solution, test):
    """The largest expressions of a solution that stand in a test under any names."""
    shown = _expressions(test)
    texts = [text for bare, text in _expressions(solution).items() if bare in shown]
    return {a for a in texts if not any(a != b and a in b for b in texts)}


def test_no_expression_of_a_solution_stands_in_its_visible_test():
    given = {
        f"{chapter.name} {case.grade_id}: {text}": text
        for chapter in SHEETS
        for case in cases(chapter)
        for text in _given_away(case.source, case.visible)
    }
    assert {where for where, text in given.items() if text not in HARMLESS} == set()
    assert set(given.values()) == set(HARMLESS), "no sheet holds it any more"


def test_an_expression_is_given_away_under_other_names_too():
    solution = "def f(x, n):\n    return x - sum(x) / n"
    assert _given_away(solution, "want = a - sum(a) / b") == {"x - sum(x) / n"}
    assert _given_away(solution, "want = a - sum(b) / b") == set()
    assert _given_away(solution, "want = a - sum(a) * b") == set()


@pytest.mark.parametrize("chapter", SHEETS, ids=lambda c: c.name)
def test_every_exercise_has_its_wrong_and_right_answers(chapter):
    answers = load(chapter.answers)
    solutions = {c.grade_id for c in _cells(chapter) if c.is_solution}
    assert set(answers) == solutions
    for grade_id, given in answers.items():
        right = [a.code for a in given if a.says is None]
        wrong = [a.code for a in given if a.says is not None]
        assert len(set(wrong)) >= 4, f"{grade_id}: at least four wrong answers"
        assert len(set(right)) >= 2, f"{grade_id}: at least two right answers"
        assert len({a.name for a in given}) == len(given), f"{grade_id}: names repeat"


@pytest.mark.parametrize("chapter, grade_id, answer", list(_answers()))
def test_an_answer_gets_what_it_deserves(chapter, grade_id, answer):
    passed, feedback = grader.grade(_cells(chapter), grade_id, answer.code)
    if answer.says is None:
        assert passed, f"a right answer lost its points:\n{feedback}"
    else:
        assert not passed, "a wrong answer got its points"
        for words in answer.says:
            assert words in feedback, f"{words!r} is not in:\n{feedback}"
