"""What a learner types and reads: `python -m dot2gpt` and the sheets behind it."""

import json
import os
import signal
import subprocess
import sys
import time

import nbformat
import pytest

from dot2gpt import __main__ as cli
from dot2gpt import handed_in, running, sheets
from tests import small_course

NAME = "small_exercises.ipynb"


@pytest.fixture
def course(tmp_path, monkeypatch):
    root = small_course.make(tmp_path / "course")
    monkeypatch.chdir(root)
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    return root


def start(root, answers=None, change=None, name=NAME):
    """Put a learner's sheet where `start` puts it; returns its path."""
    notebook = small_course.sheet(answers)
    if change:
        change(notebook)
    return small_course.save(notebook, root / "submitted" / "me" / "01_small" / name)


def cell(notebook, grade_id):
    return next(
        c
        for c in notebook.cells
        if c.metadata.get("nbgrader", {}).get("grade_id") == grade_id
    )


def dot2gpt(*arguments, **options):
    command = [sys.executable, "-m", "dot2gpt", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, **options
    )


# ---- check --------------------------------------------------------------------------


def test_a_right_sheet_has_all_points(course, capsys):
    start(course, small_course.RIGHT)
    assert cli.main(["check"]) == 0
    said = capsys.readouterr()
    assert "✓ Exercise 1 · Double it  2/2" in said.out
    assert "✓ Exercise 2 · Rows       4/4" in said.out
    assert "6 of 6 points\n  More is tested when it is handed in.\n" in said.out
    assert said.err == f"reading submitted/me/01_small/{NAME}\n"


def test_wrong_parts_are_named_and_the_rest_counts(course, capsys):
    path = start(
        course, {"double": "def double(x):\n    return x * x", "axis": "axis=-1"}
    )
    before = path.read_bytes()
    assert cli.main(["check", "1", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)["sheets"][0]
    assert (report["earned"], report["possible"]) == (1, 6)
    first, second = report["exercises"]
    assert first["status"] == "wrong" and first["wrong"] == [
        "✗ of three: you squared it"
    ]
    assert (second["earned"], second["possible"]) == (1, 4)
    assert second["wrong"] == ["✗ total: not written yet"]
    assert path.read_bytes() == before


def test_the_released_sheet_is_read_where_none_is_started(course, capsys):
    assert cli.main(["check", "small"]) == 1
    said = capsys.readouterr()
    assert f"reading chapters/01_small/{NAME}" in said.err
    assert said.out.count("not written yet") == 2 and "✗" not in said.out
    assert "0 of 6 points" in said.out


def test_scores_are_those_of_nbgrader(course):
    """stderr and an answer that raises cost the points; a printed line does not."""
    noisy = (
        "import sys\ndef double(x):\n    print('!', file=sys.stderr)\n    return 2 * x"
    )
    answers = {
        "double": noisy,
        "axis": "axis = -1; print('axis')",
        "total": "def total(:",
    }
    report = running.run_sheet(sheets.read_sheet(start(course, answers)))
    double, rows = report.results
    assert double.earned == 0
    assert double.wrong == ["it wrote to stderr, which costs the points: !"]
    assert rows.earned == 1
    assert rows.wrong[0].startswith("the answer cell raises SyntaxError: ")


def test_a_kernel_runs_in_the_sheets_folder_with_one_thread_and_no_bars(course):
    asks = "import os; assert os.environ['OMP_NUM_THREADS'] == '1'\n"
    asks += (
        "assert os.environ['TQDM_DISABLE'] == '1' and os.path.exists('{}')\n".format(
            NAME
        )
    )
    answers = {**small_course.RIGHT, "axis": asks + "axis = -1"}
    assert running.run_sheet(sheets.read_sheet(start(course, answers))).right


def test_an_endless_loop_costs_only_its_own_points(course):
    answers = {**small_course.RIGHT, "double": "while True:\n    pass"}
    began = time.monotonic()
    report = running.run_sheet(sheets.read_sheet(start(course, answers)), timeout=2)
    assert [r.status for r in report.results] == ["timed out", "right"]
    assert "no result after 2 s" in report.results[0].wrong[0]
    assert time.monotonic() - began < 30


STUBBORN = """\
import time
while True:
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        pass
"""


@pytest.mark.parametrize(
    "answer, words, status",
    [
        ("import os; os._exit(1)", "the kernel died", "not run"),
        (STUBBORN, "did not stop after 1 s, nor when interrupted", "timed out"),
    ],
)
def test_what_ends_a_kernel_is_one_sentence(course, capsys, answer, words, status):
    start(course, {**small_course.RIGHT, "axis": answer})
    assert cli.main(["check", "--timeout", "1"]) == 1
    said = capsys.readouterr().out
    assert words in said and "Exercise 2 · Rows" in said and "Traceback" not in said
    assert "✓ Exercise 1 · Double it  2/2" in said
    assert f"0/4  {status}" in said


def test_control_c_ends_with_one_line_and_no_kernel(course):
    mark = course / "pid"
    sleeps = f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid()))\n"
    start(course, {"double": sleeps + "time.sleep(100)"})
    command = [sys.executable, "-m", "dot2gpt", "check"]
    check = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,  # what runs in the background inherits that SIGINT is ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_for(lambda: mark.exists() and mark.read_text())
    check.send_signal(signal.SIGINT)
    _, said = check.communicate(timeout=60)
    assert check.returncode == 130
    assert said.splitlines()[1:] == ["stopped"]
    wait_for(lambda: not alive(int(mark.read_text())))


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for(true, seconds=30):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


# ---- reading ------------------------------------------------------------------------


def rewrite(path, change):
    notebook = json.loads(path.read_text())
    change(notebook)
    path.write_text(json.dumps(notebook))


def only_json(path):
    path.write_text('{"a": 1}')


BROKEN = {
    "there is no file": lambda p: p.unlink(),
    "the file is empty": lambda p: p.write_text(" \n"),
    "damaged at line 4 and no cell in it is whole": lambda p: p.write_text(
        p.read_text()[:30]
    ),
    "none of the answers of 01_small; the file is damaged": lambda p: p.write_text(
        p.read_text()[:200]
    ),
    "neither a notebook nor Python": lambda p: p.write_text("Dear learner"),
    "it is a zip archive": lambda p: p.write_bytes(b"PK\x03\x04"),
    "JSON but not a notebook": only_json,
    "nested too deep": lambda p: p.write_text('{"a":' + "[" * 100_000),
    "it has no cells": lambda p: rewrite(p, lambda n: n.update(cells="none")),
    "the notebook has no cells": lambda p: rewrite(p, lambda n: n.update(cells=[7])),
    "holds none of the answers of 01_small": lambda p: rewrite(
        p, lambda n: [c["metadata"].clear() or c.update(source="x") for c in n["cells"]]
    ),
}


def as_text(notebook):
    cell(notebook, "double").cell_type = "markdown"


def twice(notebook):
    extra = {**cell(notebook, "double"), "id": "again", "source": "more = double(2)"}
    notebook.cells.append(nbformat.from_dict(extra))


def no_marks(notebook):
    for one in notebook.cells:
        one.metadata.pop("nbgrader", None)


def as_script(path):
    path.with_suffix(".py").write_text("\n".join(small_course.RIGHT.values()))
    path.unlink()


SALVAGED = {
    "a text cell": as_text,
    "an answer in two cells": twice,
    "no marks, as from Colab": no_marks,
    "UTF-16": lambda p: p.write_text(p.read_text(), "utf-16"),
    "format '4'": lambda p: rewrite(p, lambda n: n.update(nbformat="4")),
    "format 5": lambda p: rewrite(p, lambda n: n.update(nbformat=5)),
    "format 3": lambda p: p.write_text(
        nbformat.v3.writes_json(nbformat.convert(nbformat.read(p, as_version=4), 3))
    ),
    "a damaged cell": lambda p: rewrite(p, lambda n: n["cells"].insert(1, 7)),
    "cut off": lambda p: p.write_text(p.read_text()[:-150]),
    "letters of Windows": lambda p: p.write_bytes(
        p.read_bytes().replace(b"# Sheet", b"# \xe9")
    ),
    "a script": as_script,
}


@pytest.mark.parametrize("kind", SALVAGED)
def test_check_reads_what_grading_reads(course, kind):
    """The same answers are found, as code, in the same cells, with the same notes."""
    from grading.course import intake
    from grading.judge import bundle

    change = SALVAGED[kind]
    on_notebook = change in (as_text, twice, no_marks)
    path = start(course, small_course.RIGHT, change if on_notebook else None)
    if not on_notebook:
        change(path)
    graded = intake.read(path.parent, bundle.bundle("01_small", course))
    read = sheets.read_sheet(path if path.exists() else path.with_suffix(".py"))
    answers = [(step.grade_id, step.source) for step in graded.steps if step.grade_id]
    found = [
        (sheets.grade_id_of(one), one["source"])
        for one in read.cells
        if sheets.grade_id_of(one) in small_course.RIGHT and one["cell_type"] == "code"
    ]
    assert found == answers and set(dict(answers)) == set(small_course.RIGHT)
    assert set(read.notes) >= {n for n in graded.notes if "should be called" not in n}
    assert running.run_sheet(read).right


@pytest.mark.parametrize("words", BROKEN)
def test_a_sheet_that_cannot_be_read_is_one_sentence(course, capsys, words):
    path = start(course)
    BROKEN[words](path)
    assert cli.main(["check", str(path)]) == 2
    said = capsys.readouterr()
    assert words in said.err and said.err.startswith("dot2gpt: ")
    assert len(said.err.splitlines()) == 1 and not said.out


def test_folders_lessons_and_other_notebooks_are_refused(course, capsys):
    empty = course / "nothing"
    empty.mkdir()
    plain = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1")])
    small_course.save(plain, course / "plain.ipynb")
    for path, words in {
        f"{empty}": "is a folder: name the .ipynb file in it",
        "chapters/01_small/small.ipynb": "is the lesson of 01_small, not its sheet",
        "plain.ipynb": "not an exercise sheet",
    }.items():
        assert cli.main(["check", path]) == 2
        assert words in capsys.readouterr().err


def test_a_file_too_big_is_refused_unread(course):
    path = start(course)
    os.truncate(path, handed_in.MAX_FILE + (1 << 20))
    with pytest.raises(sheets.SheetError, match="is 101 MiB: clear its outputs"):
        sheets.read_sheet(path)


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(course):
    path = start(course, small_course.RIGHT)
    plain = sheets.read_sheet(path)
    text = path.read_text().replace("\\n", "\\r\\n").replace("\n", "\r\n")
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert sheets.read_sheet(path) == plain


def test_changed_missing_and_doubled_test_cells_are_the_courses_own(course):
    def tamper(notebook):
        cell(notebook, "test_double").source = "pass"
        notebook.cells.remove(cell(notebook, "test_axis"))
        double = {**cell(notebook, "test_total"), "id": "again"}
        notebook.cells.append(nbformat.from_dict(double))
        cell(notebook, "setup").cell_type = "raw"

    sheet = sheets.read_sheet(start(course, small_course.RIGHT, tamper))
    released = sheets.read_sheet(course / "chapters" / "01_small" / NAME)
    assert [sheets.grade_id_of(c) for c in sheet.cells] == [
        sheets.grade_id_of(c) for c in released.cells
    ]
    for own, course_cell in zip(sheet.cells, released.cells):
        if sheets._locked(own):
            assert own == course_cell
    assert sheet.exercises == released.exercises
    assert sheet.notes == [
        "changed cells of the course are run as released: setup, test_double"
    ]


def test_a_renamed_sheet_is_recognised_by_its_cells(course, tmp_path):
    path = start(course, name="sheet (1).ipynb")
    assert sheets.find_sheet("01") == path
    elsewhere = small_course.save(small_course.sheet(), tmp_path / "mine.ipynb")
    for renamed in (path, elsewhere):
        sheet = sheets.read_sheet(renamed)
        assert sheet.assignment == "01_small"
        assert sheet.notes == [f"by its cells it is the sheet of 01_small ({NAME})"]


def test_the_sheet_of_another_chapter_is_refused(course):
    other = small_course.sheet()
    for c in other.cells:
        if "nbgrader" in c.metadata:
            c.metadata.nbgrader.grade_id = "other_" + c.metadata.nbgrader.grade_id
    small_course.save(other, course / "chapters" / "02_other" / "other_exercises.ipynb")
    path = small_course.save(other, course / "submitted" / "me" / "01_small" / NAME)
    with pytest.raises(
        sheets.SheetError, match="holds the sheet of 02_other, not of 01_"
    ):
        sheets.read_sheet(path)


def test_the_instructors_notebook_keeps_its_hidden_tests(course):
    sheet = sheets.read_sheet(course / "solutions" / "01_small" / NAME)
    assert any("HIDDEN TESTS" in c["source"] for c in sheet.cells)
    assert not sheet.notes


def test_a_sheet_outside_any_course_is_run_with_its_own_tests(tmp_path, monkeypatch):
    monkeypatch.setattr(sheets, "chapters", lambda root: {})
    path = small_course.save(small_course.sheet(), tmp_path / "alone" / NAME)
    sheet = sheets.read_sheet(path)
    assert sheet.assignment == "alone"
    assert [len(e.parts) for e in sheet.exercises] == [1, 2]


# ---- start, list, names -------------------------------------------------------------


@pytest.mark.parametrize("name", ["01_small", "01", "1", "small", "01-Small/"])
def test_start_copies_the_sheet_and_trusts_it(course, capsys, name):
    assert cli.main(["start", name]) == 0
    copy = course / "submitted" / "me" / "01_small" / NAME
    assert copy.read_bytes() == (course / "chapters" / "01_small" / NAME).read_bytes()
    said = capsys.readouterr().out
    assert f"jupyter lab submitted/me/01_small/{NAME}" in said
    assert "python -m dot2gpt check 01_small" in said
    with nbformat.sign.NotebookNotary() as notary:
        assert notary.check_signature(nbformat.read(copy, as_version=4))


def test_start_never_overwrites(course, capsys):
    path = start(course, small_course.RIGHT, name="mine.ipynb")
    before = path.read_bytes()
    assert cli.main(["start", "01_small"]) == 2
    assert "mine.ipynb is there and stays as it is" in capsys.readouterr().err
    assert cli.main(["start", "01_small", "--to", str(course / "a b")]) == 0
    assert 'dot2gpt check "a b' in capsys.readouterr().out
    assert cli.main(["start", "01_small", "--to", str(course / "a b")]) == 2
    assert path.read_bytes() == before
    (course / "file").write_text("")
    assert cli.main(["start", "1", "--to", str(course / "file")]) == 2
    assert "file is a file, not a folder" in capsys.readouterr().err


def test_unknown_names_get_a_suggestion(course, capsys):
    for command in ("start", "check"):
        assert cli.main([command, "smoll"]) == 2
        said = capsys.readouterr().err
        assert (
            "no chapter 'smoll'. Did you mean 01_small? The sheets are: 01_small"
            in said
        )


def test_list_shows_the_points_of_saved_sheets_and_runs_nothing(course, capsys):
    def listed():
        assert cli.main(["list"]) == 0
        return capsys.readouterr().out

    assert f"01_small  not started    6 points  chapters/01_small/{NAME}" in listed()

    def ran(notebook):
        outputs = {
            "test_double": [nbformat.v4.new_output("stream", text="2 of 2 checks")],
            "test_axis": [nbformat.v4.new_output("error", ename="CheckFailed")],
            "test_total": [nbformat.v4.new_output("stream", name="stderr", text="!")],
        }
        for count, (name, stored) in enumerate(outputs.items(), 1):
            cell(notebook, name).update(execution_count=count, outputs=stored)

    start(course)
    path = f"submitted/me/01_small/{NAME}"
    assert f"0 of 6         6 points  {path}" in listed()
    start(course, change=ran)
    assert f"2 of 6         6 points  {path}" in listed()
    for odd in (3, [3]):
        notebook = json.loads((course / path).read_text())
        for damaged in notebook["cells"]:
            damaged["outputs"] = odd
        (course / path).write_text(json.dumps(notebook))
        assert "\n0 of 6 points, as you ran" in listed()
    (course / path).write_text("{")
    assert "01_small  submitted/me/01_small/" in (said := listed())
    assert "is damaged" in said


def test_without_a_started_sheet_check_says_how_to_start(course, capsys):
    assert cli.main(["check"]) == 2
    assert "python -m dot2gpt start 01_small" in capsys.readouterr().err


def test_the_course_is_found_from_below_and_missed_with_a_sentence(
    course, tmp_path, monkeypatch
):
    monkeypatch.chdir(course / "chapters" / "01_small")
    assert sheets.course_root() == course
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sheets, "__file__", str(tmp_path / "a" / "b.py"))
    with pytest.raises(
        sheets.SheetError, match="change to the folder that holds chapters/"
    ):
        sheets.course_root()


# ---- the command line itself --------------------------------------------------------


def test_help_teaches_by_example_and_imports_nothing_slow(course):
    script = "import sys; from dot2gpt.__main__ import main\n"
    script += "try: main(['check', '--help'])\nexcept SystemExit: pass\n"
    script += "slow = {'torch', 'numpy', 'nbformat', 'nbclient', 'nbgrader', 'tqdm'}\n"
    script += "print(slow & set(sys.modules))"
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True
    )
    assert said.stdout.endswith("set()\n")
    assert "python -m dot2gpt check 6 --json" in said.stdout


def test_bad_options_and_no_command_exit_with_2(course):
    assert dot2gpt().returncode == 2
    bad = dot2gpt("check", "--timeout", "0")
    assert bad.returncode == 2 and "'0' is not a whole number of seconds" in bad.stderr


def test_an_old_console_gets_replacements_and_no_crash(course):
    said = dot2gpt("--help", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert said.returncode == 0 and "python -m dot2gpt list" in said.stdout


def test_running_a_sheet_imports_neither_torch_nor_grammars_here(course):
    start(course, small_course.RIGHT)
    script = "import sys; from dot2gpt.__main__ import main\n"
    script += "print(main(['check']), {'torch', 'lark'} & set(sys.modules))"
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True
    )
    assert said.stdout.endswith("0 set()\n")
