"""Grading one submission: what runs, what it earns, what it says, what is left."""

import base64
import json
import os
import pickle
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import nbformat
import psutil
import pytest

from grading import doctor
from grading.course.page import harmless
from grading.grade import AGAIN, Cells, Desk, Result, grade
from grading.judge.bundle import bundle
from grading.judge.hidden import NOTHING
from grading.judge.limits import Limits
from grading.judge.referee import Sitting
from grading.sandbox.kernel import Kernel
from grading.sandbox.warm import Parent
from tests import small_course
from tests.hostile import sheet as sheets
from tests.test_sandbox import runs

SANDBOX = "none" if doctor.problems() else "warm"
# A call or cell without an end waits for its limit; each other has that time, too, on a
# machine that does much else.
QUICK = Limits(cell=5, call=5, test=30, total=200)
ALL = {"test_double": 2.0, "test_axis": 1.0, "test_total": 3.0}


@pytest.fixture(scope="module")
def sheet(tmp_path_factory):
    """The Bundle of the small course."""
    return bundle(
        "01_small", small_course.make(tmp_path_factory.mktemp("c") / "course")
    )


@pytest.fixture
def graded(sheet, tmp_path):
    """Grades a notebook, or answers, in a folder of its own."""

    def run(answers, limits=QUICK, sandbox=SANDBOX):
        notebook = answers
        if not isinstance(answers, nbformat.NotebookNode):
            notebook = small_course.sheet(answers)
        small_course.save(notebook, tmp_path / "small_exercises.ipynb")
        return grade(sheet, tmp_path, limits, sandbox)

    return run


def cells_of(result):
    """{grade_id: cell} of the graded notebook, which has to be a valid one."""
    notebook = nbformat.reads(result.notebook, as_version=4)
    nbformat.validate(notebook)
    marks = [
        (c.metadata.get("nbgrader", {}).get("grade_id"), c) for c in notebook.cells
    ]
    return dict(marks)


def test_a_bundle_has_all_that_grading_needs(sheet):
    assert [(c.grade_id, c.role, c.points) for c in sheet.cells] == [
        ("setup", "locked", None),
        ("double", "solution", None),
        ("test_double", "test", 2.0),
        ("axis", "solution", None),
        ("test_axis", "test", 1.0),
        ("total", "solution", None),
        ("test_total", "test", 3.0),
    ]
    double, test = sheet.cells[1], sheet.cells[2]
    assert "return 2 * x" in double.source and "YOUR CODE" in double.released
    assert "double(-5)" in test.source and "-5" not in test.released
    assert sheet.names == {
        "double": ("double",),
        "axis": ("axis",),
        "total": ("total",),
    }
    assert sheet.setup == ["from dot2gpt import checks"]
    assert sheet.answers_before(sheet.cells[4]) == ["double", "axis"]
    again = pickle.loads(pickle.dumps(sheet))
    assert again == sheet and again.digest == sheet.digest


def test_the_checksum_tells_sheets_apart(sheet, tmp_path):
    root = small_course.make(tmp_path / "course")
    assert bundle("01_small", root).digest == sheet.digest
    path = root / "solutions" / "01_small" / "small_exercises.ipynb"
    path.write_text(path.read_text().replace("double(-5)", "double(-7)"))
    assert bundle("01_small", root).digest != sheet.digest


def test_right_answers_get_every_point(graded):
    result = graded(small_course.RIGHT)
    assert (result.status, result.notes, result.reasons) == ("graded", [], {})
    assert result.scores == ALL and result.manual == []


def test_wrong_and_missing_answers_are_told_why(graded):
    result = graded({"double": "def double(x): return abs(2 * x)", "axis": "axis = 0"})
    assert result.status == "graded"
    assert result.scores == {"test_double": 0, "test_axis": 0, "test_total": 0}
    assert "a hidden test fails" in result.reasons["test_double"]
    assert "✗ the axis: the rows add to 1" in result.reasons["test_axis"]
    assert "✗ a row; nothing: not written yet" in result.reasons["test_total"]


def test_the_notebook_shows_the_course_and_what_was_answered(graded):
    result = graded({"double": "def double(x): return x", "axis": "axis = -1\naxis"})
    cells = cells_of(result)
    assert cells["double"].source == "def double(x): return x"
    assert cells["axis"].outputs[0].data["text/plain"] == "-1"
    assert [o.output_type for o in cells["test_double"].outputs] == [
        "display_data",
        "error",
    ]
    assert [o.output_type for o in cells["test_axis"].outputs] == ["display_data"]
    assert "-10" not in result.notebook, "a hidden test is shown"
    for cell in cells.values():
        if marks := cell.metadata.get("nbgrader"):
            assert marks.locked != marks.solution and marks.schema_version == 3
    assert Result.from_json(result.to_json()) == result
    assert pickle.loads(pickle.dumps(result)) == result


def test_what_breaks_costs_its_own_points_alone(graded):
    result = graded(
        {
            "double": "def double(x):\n    while True: pass",
            "axis": "axis = -1",
            "total": "import os\nos._exit(1)",
        }
    )
    assert result.scores == {"test_double": 0, "test_axis": 1, "test_total": 0}
    assert "no result after 5 s" in result.reasons["test_double"]
    assert "there is no `total`" in result.reasons["test_total"]
    assert result.status == "reported"
    assert any("the answer total: a cell ended its own" in n for n in result.notes)


def test_a_cell_that_does_not_end_costs_its_own_points_alone(graded):
    stubborn = "import signal\nsignal.signal(2, signal.SIG_IGN)\nwhile True: pass"
    answers = {"axis": "import time\ntime.sleep(99)", "total": stubborn}
    result = graded(small_course.RIGHT | answers, replace(QUICK, cell=3))
    assert result.scores == {"test_double": 2, "test_axis": 0, "test_total": 0}
    assert result.status == "reported"
    assert any("the answer axis: it did not end" in n for n in result.notes)
    assert any("the answer total: a cell did not stop" in n for n in result.notes)


def test_a_test_that_takes_the_sandbox_with_it_costs_its_own_points_alone(graded):
    answer = "import os\ndef double(x):\n    os.kill(os.getppid(), 9)\n    os._exit(0)"
    result = graded(small_course.RIGHT | {"double": answer})
    assert result.scores == ALL | {"test_double": 0}
    assert "ended its own process" in result.reasons["test_double"]


def test_time_for_cells_ends_before_time_for_tests(graded):
    answers = small_course.RIGHT | {"total": "import time\ntime.sleep(9)"}
    notebook = small_course.sheet(answers)
    slow = [nbformat.v4.new_code_cell("time.sleep(9)") for _ in range(12)]
    notebook.cells += slow
    result = graded(notebook, Limits(cell=2, total=30))
    assert result.scores == ALL | {"test_total": 0}
    assert result.status == "reported" and "did not run" in result.notes[-1]


def test_what_later_cells_do_changes_no_test_before_them(graded):
    notebook = small_course.sheet(small_course.RIGHT)
    late = "double = lambda x: 0\nprint('late')"
    notebook.cells.append(nbformat.v4.new_code_cell(late))
    result = graded(notebook)
    assert result.scores == ALL and "late" in result.notebook


def test_what_a_hidden_test_shows_an_answer_is_in_no_output(graded):
    spy = """
shown = []
def double(x):
    shown.append(x)
    print("saw", x)
    return 2 * x
"""
    notebook = small_course.sheet(small_course.RIGHT | {"double": spy})
    notebook.cells.append(
        nbformat.v4.new_code_cell("import time\ntime.sleep(1)\nshown")
    )
    result = graded(notebook)
    assert result.scores == ALL
    outputs = [c.get("outputs") for c in nbformat.reads(result.notebook, 4).cells]
    assert "saw" not in str(outputs) and "-5" not in str(outputs)
    assert outputs[-1][0]["data"]["text/plain"] == "[]"


def test_what_a_hidden_test_asked_is_told_by_no_other_test(graded):
    place = f"/tmp/asked_{os.getpid()}"
    ask = "def double(x):\n    print(x, file=open({!r}, 'a'))\n    return 2 * x"
    tell = "def total(row):\n    raise ValueError(open({!r}).read())"
    answers = {"double": ask.format(place), "total": tell.format(place)}
    result = graded(small_course.RIGHT | answers)
    Path(place).unlink(missing_ok=True)
    assert result.scores == ALL | {"test_total": 0}
    assert "ValueError: 3" in result.reasons["test_total"]
    outputs = [cell.get("outputs") for cell in cells_of(result).values()]
    assert "-5" not in json.dumps([result.reasons, outputs])


@pytest.fixture
def two_hidden(tmp_path):
    """Grades a sheet with hidden tests in two of its three test cells."""

    def run(answers):
        (tmp_path / sheets.NAME).write_text(json.dumps(sheets.notebook(answers)))
        return grade(sheets.BUNDLE, tmp_path, QUICK, SANDBOX)

    return run


def test_tests_that_wait_in_a_judge_that_ends_are_judged_again(two_hidden, monkeypatch):
    finish, ended = Sitting.finish, []

    def end_first(self, grade_id, limits):
        if ended:
            return finish(self, grade_id, limits)
        ended.append(grade_id)
        self.close()
        return "the check did not end"

    monkeypatch.setattr(Sitting, "finish", end_first)
    result = two_hidden({})
    assert ended == ["test_double"] and result.status == "reported"
    assert result.scores == {"test_double": 0, "test_softmax": 3, "test_compose": 1}
    assert result.reasons == {"test_double": NOTHING}


def test_a_hidden_test_that_takes_the_sandbox_costs_its_own_points_alone(two_hidden):
    kill = "import os\n        os.kill(os.getppid(), 9)\n        os._exit(0)"
    double = f"def double(x):\n    if x > 9:\n        {kill}\n    return 2 * x"
    result = two_hidden({"double": double})
    assert result.scores == {"test_double": 0, "test_softmax": 3, "test_compose": 1}
    assert f"of another number: {NOTHING}" in result.reasons["test_double"]
    assert "of one: right, until hidden tests were run" in result.reasons["test_double"]


def test_a_submission_that_cannot_be_read_is_reported(sheet, tmp_path):
    result = grade(sheet, tmp_path, QUICK, SANDBOX)
    assert result.status == "reported" and "no notebook" in result.notes[0]
    assert result.scores == dict.fromkeys(ALL, 0.0) and result.notebook == ""
    assert result.reasons["test_double"] == result.notes[0]


def test_an_answer_that_is_missing_is_reported(graded):
    notebook = small_course.sheet(small_course.RIGHT)
    notebook.cells = [
        c
        for c in notebook.cells
        if c.metadata.get("nbgrader", {}).get("grade_id") != "axis"
    ]
    result = graded(notebook)
    assert result.status == "reported" and result.scores == ALL | {"test_axis": 0}
    assert cells_of(result)["axis"].source == ""


def test_much_output_is_cut(graded):
    result = graded(small_course.RIGHT | {"axis": "axis = -1\nprint('x' * 10**7)"})
    assert result.scores == ALL and len(result.notebook) < 2 * QUICK.output
    assert "too much output" in result.notebook


def test_it_grades_the_same_with_every_kind_of_kernel_and_in_threads(graded, sheet):
    want = graded(small_course.RIGHT).scores
    found = []
    thread = threading.Thread(
        target=lambda: found.append(graded(small_course.RIGHT, sandbox="none").scores)
    )
    thread.start()
    thread.join()
    assert found == [want]


def test_cells_that_run_again_once_a_hidden_test_has_asked_show_nothing(sheet):
    """An answer can end its kernel after a time that says what it was asked."""
    cells = Cells(sheet, (), None, QUICK, SANDBOX, None)
    cells._keep(0, "the first")
    cells.report("a: it is late")
    cells.asked = True
    cells._keep(0, "at a time that says something")
    for number in range(3):
        cells.report(f"cell {number}: it is late")
    assert cells.ran == {0: "the first"} and cells.trouble == ["a: it is late", AGAIN]


def kernels():
    """The processes of all kernels that this process has started."""
    if SANDBOX == "warm":
        forks = psutil.Process(Parent.of_this_process().process.pid).children()
        return [fork for fork in forks if fork.children()]  # not the benches
    below = psutil.Process().children(recursive=True)
    return [p for p in below if runs(p) and "ipykernel" in " ".join(p.cmdline()[:4])]


def test_nothing_is_left_behind(graded):
    graded(small_course.RIGHT)
    before = len(kernels())
    graded({"double": "def double(x):\n    while True: pass"})
    assert len(kernels()) == before


# ---- one after the other ------------------------------------------------------------


@pytest.fixture
def hand_in(tmp_path):
    """Puts answers, and files beside them, into a folder of their own."""

    def folder(answers, **files):
        made = tmp_path / str(len(list(tmp_path.iterdir())))
        made.mkdir()
        small_course.save(small_course.sheet(answers), made / "small_exercises.ipynb")
        for name, text in files.items():
            (made / name.replace("_", ".")).write_text(text)
        return made

    return folder


@pytest.fixture
def starts(monkeypatch):
    """The folders that kernels were started with."""
    noted, start = [], Kernel.start

    async def noting(self, setup, folder=None):
        noted.append(folder)
        await start(self, setup, folder)

    monkeypatch.setattr(Kernel, "start", noting)
    return noted


def test_the_next_kernel_is_ready_and_serves_what_comes_alone(sheet, hand_in, starts):
    helper = {**small_course.RIGHT, "double": "from helper import double"}
    folders = [
        hand_in({"double": "def double(x): return x", "axis": "axis = -1"}),
        hand_in(small_course.RIGHT, timestamp_txt="2026-11-01 12:00:00 UTC"),
        hand_in(helper, helper_py="def double(x):\n    return 2 * x"),
        hand_in({}),
    ]
    before = len(kernels())
    with Desk() as desk:
        got = [desk.grade(sheet, f, QUICK, SANDBOX, more=True) for f in folders]
        assert len(kernels()) > before, "none is ready for a fifth"
    assert len(kernels()) == before
    scores = [sum(result.scores.values()) for result in got]
    assert scores == [1, 6, 6, 0]
    # The first comes to nothing that is ready; the third's files need one of their own.
    assert starts == [folders[0], None, None, folders[2], None, None]


def test_a_kernel_that_died_while_it_waited_is_replaced(sheet, hand_in, starts):
    folders = [hand_in(small_course.RIGHT) for _ in range(2)]
    before = kernels()
    with Desk() as desk:
        desk.grade(sheet, folders[0], QUICK, SANDBOX, more=True)
        ahead = set(kernels()) - set(before)
        for process in ahead:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        while any(map(runs, ahead)):
            time.sleep(0.01)
        result = desk.grade(sheet, folders[1], QUICK, SANDBOX)
    assert (result.status, result.scores) == ("graded", ALL)
    assert starts == [folders[0], None, folders[1]]


def test_another_sheet_gets_its_own_kernel(sheet, hand_in, starts):
    other = replace(sheet, cells=(replace(sheet.cells[0], source="y = 1"),))
    folders = [hand_in(small_course.RIGHT) for _ in range(2)]
    with Desk() as desk:
        desk.grade(sheet, folders[0], QUICK, SANDBOX, more=True)
        assert desk.grade(other, folders[1], QUICK, SANDBOX).scores == {}
    assert starts == [folders[0], None, folders[1]]


PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n rest").decode()


@pytest.mark.parametrize(
    "data, kept",
    [
        ({"text/html": "<script>", "text/plain": "t"}, {"text/plain": "t"}),
        ({"image/png": PNG}, {"image/png": PNG}),
        ({"image/png": '"><script>'}, None),
        ({"image/png": base64.b64encode(b"<svg>").decode()}, None),
        ({"image/svg+xml": "<svg onload=x>", "application/javascript": "x"}, None),
        ("rubbish", None),
    ],
)
def test_only_text_and_pictures_are_shown(data, kept):
    got = harmless(
        {"output_type": "execute_result", "data": data, "metadata": {"x": 1}}
    )
    assert got.data == (kept or {"text/plain": "[an output that is not shown here]"})
    assert got.metadata == {}


def test_a_result_is_json():
    result = Result("graded", [], {"a": 1.0}, {}, ["b"], "", 0.5)
    assert json.loads(result.to_json())["scores"] == {"a": 1.0}
