"""Grading many: what is saved stays, the gradebook has one writer, nothing is lost."""

import contextlib
import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import Future

import nbformat
import psutil
import pytest
from nbgrader.api import Gradebook

from grading import doctor, pool, run
from grading.course import gradebook, store, summary
from grading.course.store import Result
from grading.pool import Failure
from tests import forked, small_course
from tests.test_nbgrader import nbgrader, scores, submit
from tests.test_sandbox import runs

RIGHT = {"test_double": 2.0, "test_axis": 1.0, "test_total": 3.0}
NAME = "small_exercises.ipynb"
PATIENCE = 240  # seconds for a run; a busy machine takes most of them to import torch
SANDBOX = [] if not doctor.problems() else ["--no-sandbox"]


class Engine:
    """Stands in for the pool: gives the scores that `plan` names, and remembers."""

    def __init__(self, plan):
        self.plan, self.asked, self.closed = plan, [], 0

    def map(self, tasks):
        for task in tasks:
            self.asked.append(task.student)
            got = self.plan(task.student)
            if isinstance(got, BaseException):
                raise got
            yield task, got

    def close(self):
        self.closed += 1


def result(root, points=RIGHT, **more):
    """A Result with these scores."""
    given = {"status": "graded", "notes": [], "reasons": {}, "manual": [], **more}
    text = nbformat.writes(small_course.sheet(small_course.RIGHT))
    return Result(scores=dict(points), notebook=text, seconds=0.1, **given)


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A gradebook with nothing in it: nbgrader takes seconds to make one."""
    root = small_course.make(tmp_path_factory.mktemp("empty") / "course")
    with gradebook.opened(gradebook.course_directory(root)):
        return root / "gradebook.db"


@pytest.fixture
def course(tmp_path, empty):
    """The small course with what three students handed in."""
    root = small_course.make(tmp_path / "course")
    shutil.copy(empty, root)
    for student in ("ada", "bob", "cleo"):
        submit(root, student, small_course.sheet(small_course.RIGHT))
    return root


@pytest.fixture
def grade(course, monkeypatch):
    """Runs with a planned engine: grade(plan=..., only=...) → (Outcome, Engine)."""

    def go(plan=lambda student: None, **options):
        engine = Engine(lambda student: plan(student) or result(course))
        monkeypatch.setattr(run, "_engine", lambda *_: engine)
        options = run.Options(sandbox="none", patience=0.5, **options)
        (outcome,) = run.run(course, options)
        return outcome, engine

    return go


def in_gradebook(root):
    """{student: {cell: (auto score, manual score, needs a person)}}."""
    place = str(root / "gradebook.db").replace("%", "%25").replace("?", "%3F")
    with Gradebook(f"sqlite:///{place}") as book:
        return {
            submission.student.id: {
                grade.name: (
                    grade.auto_score,
                    grade.manual_score,
                    grade.needs_manual_grade,
                )
                for notebook in submission.notebooks
                for grade in notebook.grades
            }
            for submission in book.find_assignment("01_small").submissions
        }


def manually(root, student, cell, points):
    """What Formgrader does when a person gives points."""
    with Gradebook(f"sqlite:///{root}/gradebook.db") as book:
        grade = book.find_grade(cell, NAME[:-6], "01_small", student)
        grade.manual_score, grade.needs_manual_grade = points, False
        book.db.commit()


def graded(points=RIGHT, person=False):
    return {cell: (score, None, person) for cell, score in points.items()}


# ---- the gradebook ------------------------------------------------------------------


def test_scores_reach_the_gradebook_and_autograded(course, grade):
    low = {**RIGHT, "test_axis": 0.0}
    grade(lambda s: result(course, low) if s == "bob" else None)
    book = in_gradebook(course)
    assert book == {"ada": graded(), "bob": graded(low), "cleo": graded()}
    there = course / "autograded/ada/01_small" / NAME
    assert nbformat.read(there, 4) == nbformat.reads(result(course).notebook, 4)


def test_the_chapters_are_not_touched(course, grade):
    before = {p: p.read_bytes() for p in course.glob("[cs]*/*/*") if p.is_file()}
    grade()
    now = {p: p.read_bytes() for p in course.glob("[cs]*/*/*") if p.is_file()}
    assert now == before


def test_the_gradebook_is_what_nbgrader_makes(course, grade):
    """The same cells, points and checksums as `nbgrader generate_assignment` saves."""

    def cells():
        tables = {
            "source_cell": "name, cell_type, locked, source, checksum",
            "grade_cells": "max_score, cell_type",
            "base_cell": "name, type",
        }
        with sqlite3.connect(course / "gradebook.db") as book:
            return {
                table: sorted(book.execute(f"select {columns} from {table}"))
                for table, columns in tables.items()
            }

    nbgrader(course, "generate_assignment 01_small --force")
    theirs = cells()
    (course / "gradebook.db").unlink()
    grade()
    assert cells() == theirs


def test_a_reported_submission_asks_for_a_person(course, grade):
    zero = dict.fromkeys(RIGHT, 0.0)
    broken = Result("reported", ["the <file> is [empty](x)"], zero, {}, [], "", 0.0)
    outcome, _ = grade(lambda s: broken if s == "bob" else None)
    assert in_gradebook(course)["bob"] == graded(zero, person=True)
    page = nbformat.read(course / "autograded/bob/01_small" / NAME, 4)
    assert page.cells[0].source.endswith(r"the &lt;file&gt; is \[empty\](x)")
    assert "bob: the <file> is [empty](x)" in summary.text(outcome)


def test_manual_grades_survive(course, grade):
    grade()
    manually(course, "ada", "test_total", 1.5)
    low = {**RIGHT, "test_total": 0.0}
    grade(lambda s: result(course, low), again=True)
    assert in_gradebook(course)["ada"]["test_total"] == (0.0, 1.5, True)
    manually(course, "ada", "test_total", 1.5)
    grade()  # nothing changed: what the person settled stays settled
    assert in_gradebook(course)["ada"]["test_total"] == (0.0, 1.5, False)


def test_when_it_was_handed_in_is_kept(course, grade):
    stamp = course / "submitted/ada/01_small/timestamp.txt"
    stamp.write_text("2026-11-01 12:00:00 UTC")
    (course / "submitted/bob/01_small/timestamp.txt").write_text(
        "yesterday; drop table"
    )
    grade()
    with Gradebook(f"sqlite:///{course}/gradebook.db") as book:
        when = book.find_submission("01_small", "ada").timestamp
        assert when.isoformat() == "2026-11-01T12:00:00"
        assert book.find_submission("01_small", "bob").timestamp is None
    copy = course / "autograded/ada/01_small/timestamp.txt"
    assert copy.read_text() == stamp.read_text()


# ---- again, or not ------------------------------------------------------------------


def test_only_what_changed_is_graded_again(course, grade):
    assert grade()[1].asked == ["ada", "bob", "cleo"]
    outcome, engine = grade()
    assert engine.asked == [] and (outcome.graded, outcome.kept) == (0, 3)
    assert len(outcome.results) == 3
    submit(course, "bob", small_course.sheet({}))
    assert grade()[1].asked == ["bob"]
    assert grade(again=True, only=["ada"])[1].asked == ["ada"]


def test_a_sheet_that_changed_grades_all_again(course, grade):
    grade()
    source = course / "solutions/01_small" / NAME
    source.write_text(
        source.read_text().replace("double(-5) == -10", "double(7) == 14")
    )
    assert grade()[1].asked == ["ada", "bob", "cleo"]


def test_a_damaged_result_is_graded_again(course, grade):
    grade()
    path = course / "graded/01_small/bob.json"
    path.write_text(path.read_text()[:-20])
    assert grade()[1].asked == ["bob"]


def test_a_submission_that_broke_its_grading_is_reported_and_tried_again(course, grade):
    outcome, _ = grade(lambda s: Failure("its process died") if s == "bob" else None)
    assert outcome.results["bob"].status == "reported"
    assert "its process died" in summary.text(outcome)
    assert in_gradebook(course)["ada"] == graded()
    _, engine = grade()
    assert engine.asked == ["bob"] and in_gradebook(course)["bob"] == graded()


def test_a_sheet_that_cannot_be_graded_costs_nobody_a_point(course, grade):
    grade()
    broken = Failure("the set-up fails: no module named x", innocent=True)
    with pytest.raises(run.RunError, match="01_small cannot be graded: the set-up"):
        grade(lambda s: broken, again=True)
    assert in_gradebook(course) == dict.fromkeys(("ada", "bob", "cleo"), graded())
    outcome, _ = grade(lambda s: broken if s == "bob" else None, again=True)
    assert [s for s, r in outcome.results.items() if r.status != "graded"] == ["bob"]


@pytest.mark.parametrize(
    "error, why",
    [
        (OSError(errno.ENOSPC, "No space left", "/dev/shm/x/s"), "No space left"),
        (RuntimeError("no sandbox can be made"), "no sandbox can be made"),
    ],
)
def test_what_this_machine_lacks_is_no_fault_of_a_submission(error, why):
    future = Future()
    future.set_exception(error)
    assert pool._result(future) == Failure(why, innocent=True)


def test_a_gradebook_that_went_missing_is_written_again(course, grade):
    grade()
    (course / "gradebook.db").unlink()
    assert grade()[1].asked == []
    assert in_gradebook(course) == dict.fromkeys(("ada", "bob", "cleo"), graded())


# ---- a sheet that changes once there are grades -------------------------------------


def edited(course, change):
    """Change the cells of the solutions."""
    path = course / "solutions/01_small" / NAME
    notebook = nbformat.read(path, 4)
    change(notebook.cells)
    nbformat.write(notebook, path)


def test_an_exercise_that_is_added_gets_its_scores(course, grade):
    grade()
    manually(course, "ada", "test_total", 2.5)

    def add(cells):
        for cell in list(cells[3:5]):
            copy = nbformat.from_dict(dict(cell, id=f"new-{cell.id}"))
            copy.metadata.nbgrader.grade_id += "_again"
            cells.append(copy)

    edited(course, add)
    more = {**RIGHT, "test_double_again": 2.0}
    grade(lambda s: result(course, more))
    book = in_gradebook(course)
    assert book["bob"] == graded(more)
    assert book["ada"]["test_total"] == (3.0, 2.5, True)


def test_an_exercise_that_leaves_takes_its_scores_along(course, grade):
    grade()
    edited(course, lambda cells: cells.__delitem__(slice(3, 5)))
    less = {key: RIGHT[key] for key in ("test_axis", "test_total")}
    grade(lambda s: result(course, less))
    assert in_gradebook(course)["bob"] == graded(less)


def test_an_exercise_that_a_person_graded_may_not_leave(course, grade):
    grade()
    manually(course, "ada", "test_double", 1.5)
    edited(course, lambda cells: cells.__delitem__(slice(3, 5)))
    with pytest.raises(run.RunError, match="no cell test_double any more"):
        grade()
    assert in_gradebook(course)["ada"]["test_double"] == (2.0, 1.5, False)


# ---- trouble ------------------------------------------------------------------------


def test_a_locked_gradebook_loses_nothing(course, grade):
    grade()
    low = {**RIGHT, "test_axis": 0.0}
    blocker = sqlite3.connect(course / "gradebook.db", isolation_level=None)

    def plan(student):
        if student == "bob":  # Formgrader begins to write in the middle of the run
            blocker.execute("begin exclusive")
        return result(course, low)

    with pytest.raises(run.RunError, match="locked.* 3 results are saved"):
        grade(plan, again=True)
    blocker.execute("rollback")
    blocker.close()
    assert in_gradebook(course)["ada"] == graded()
    _, engine = grade()
    assert engine.asked == []
    assert in_gradebook(course) == dict.fromkeys(("ada", "bob", "cleo"), graded(low))


def test_a_full_disk_loses_nothing(course, grade, monkeypatch):
    real, calls = os.fsync, []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(run.RunError, match="No space left"):
        grade()
    monkeypatch.setattr(os, "fsync", real)
    assert not list(course.rglob(".new-*"))
    _, engine = grade()
    assert engine.asked == ["bob", "cleo"]
    assert in_gradebook(course) == dict.fromkeys(("ada", "bob", "cleo"), graded())


def test_a_damaged_gradebook_is_said_and_kept(course, grade):
    (course / "gradebook.db").write_bytes(b"not a database at all" * 99)
    with pytest.raises(run.RunError, match="gradebook.db is damaged: put a backup"):
        grade()
    assert (course / "gradebook.db").read_bytes() == b"not a database at all" * 99


def test_an_interrupt_keeps_what_was_graded(course, grade):
    with pytest.raises(KeyboardInterrupt):
        grade(lambda s: KeyboardInterrupt() if s == "cleo" else None)
    assert set(in_gradebook(course)) == {"ada", "bob"}
    assert grade()[1].asked == ["cleo"]


def test_two_runs_at_a_time_are_refused(course, grade):
    with store.alone(course):
        with pytest.raises(run.RunError, match="another run is at work"):
            grade()
    grade()


def test_odd_folders_are_said(course, grade):
    submitted = course / "submitted"
    (submitted / "eve").symlink_to(submitted / "ada")
    (submitted / "a,b" / "01_small").mkdir(parents=True)
    (submitted / "<svg onload=x> Eve" / "01_small").mkdir(parents=True)
    (submitted / ("李" * 84) / "01_small").mkdir(parents=True)
    (submitted / "fay").mkdir()
    (submitted / "fay" / "01_small").write_text("x")
    outcome, engine = grade()
    assert engine.asked == ["ada", "bob", "cleo"]
    said = "; ".join(outcome.trouble)
    assert "submitted/eve is a symbolic link" in said
    assert said.count(" is no name for a student: rename it") == 3
    assert "'a,b' is no name" in said and "fay/01_small is not a folder" in said


def test_a_course_anywhere_is_graded(tmp_path, monkeypatch, capsys):
    """Outside the repository, in a path with any sign; what is reported is no error."""
    from grading.__main__ import main

    root = small_course.make(tmp_path / "100%25 of #é? 'x")
    submit(root, "ada", small_course.sheet(small_course.RIGHT))
    odd = result(root, status="reported", notes=["it is odd"])
    monkeypatch.chdir(root)
    monkeypatch.setitem(sys.modules, "tools", None)
    monkeypatch.setattr(run, "_engine", lambda *_: Engine(lambda student: odd))
    assert main(["run", "--no-sandbox"]) == 0
    assert "ada: it is odd" in capsys.readouterr().out
    assert in_gradebook(root)["ada"]["test_total"][0] == 3.0


@pytest.mark.parametrize(
    "options, words",
    [
        ({"names": ["01_smal"]}, "no assignment '01_smal'. Did you mean 01_small?"),
        ({"only": ["zoe"]}, "'zoe' handed in none"),
    ],
)
def test_what_is_not_there_is_said(grade, options, words):
    with pytest.raises(run.RunError, match=words.replace("?", r"\?")):
        grade(**options)


def test_nothing_handed_in(course, grade):
    (course / "submitted").rename(course / "elsewhere")
    with pytest.raises(run.RunError, match="nothing was handed in"):
        grade()


def test_without_a_sandbox_it_refuses(course, monkeypatch):
    monkeypatch.setattr(doctor, "problems", lambda: ["it is off"])
    with pytest.raises(run.RunError, match="it is off.*--no-sandbox"):
        run.run(course, run.Options())
    assert not (course / "graded" / "01_small").exists()


def test_without_libseccomp_it_says_so_and_goes_on(course, monkeypatch, capsys):
    monkeypatch.setattr(doctor, "problems", list)
    monkeypatch.setattr(run, "_engine", lambda *_: Engine(lambda s: result(course)))
    run.run(course, run.Options())
    assert "libseccomp" not in capsys.readouterr().err
    monkeypatch.setattr(run, "seccomp", lambda: None)
    (outcome,) = run.run(course, run.Options(again=True))
    said = capsys.readouterr().err
    assert said.startswith("libseccomp is missing") and said.count("\n") == 1
    assert outcome.graded == 3


def test_the_results_in_memory_hold_no_notebooks(course, grade):
    outcome, _ = grade()
    assert {one.notebook for one in outcome.results.values()} == {""}


# ---- real processes -----------------------------------------------------------------


EXPECTED = {"ada": 6, "bob": 0, "cleo": 6, "dan": 6}


def handed_in(root, empty):
    """Four students; an answer takes a second, so that there is a middle to kill at."""
    small_course.make(root)
    shutil.copy(empty, root)
    slow = f"import time\ntime.sleep(1)\n{small_course.RIGHT['double']}"
    for student in EXPECTED:
        answers = {**small_course.RIGHT, "double": slow}
        if student == "bob":
            answers = {"double": "def double(x): return abs(2 * x)"}
        submit(root, student, small_course.sheet(answers))
    return root


@pytest.fixture(scope="module")
def begin():
    """Starts `python -m grading run` in a course; ends what is left of it.

    cold: as a user does. Else it is forked from a process that has imported all.
    """
    started = []

    def go(root, jobs=1, cold=False):
        command = [sys.executable, "-m", "grading", "run", "--jobs", str(jobs)]
        where = {
            "cwd": root,
            "env": {**os.environ, "PYTHONPATH": str(small_course.REPOSITORY)},
        }
        if cold:
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
            pipes["text"] = True
            process = subprocess.Popen([*command, *SANDBOX], **where, **pipes)
        else:
            first = forked.warm_parents
            process = forked.start([*command, *SANDBOX], **where, first=first)
        started.append(process)
        return process

    yield go
    for process in started:
        process.terminate()
        process.communicate(timeout=60)


def finish(process, code=0):
    said = "".join(filter(None, process.communicate(timeout=PATIENCE)))
    assert process.returncode == code, said
    return said


def wait_for(condition, process):
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)
    return found


def first_result(root, process):
    """Wait until something is graded; returns the processes that are at work then."""
    wait_for(lambda: list(root.glob("graded/01_small/*.json")), process)
    processes = below(process)
    assert processes
    return processes


def below(process):
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def command_of(process):
    """Its command line as one text; "" if it has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline())
    return ""


def is_tracker(process):
    """Python's own resource tracker, which lives as long as the tests."""
    return "resource_tracker" in command_of(process)


def is_warm(process):
    """Whether it is the warm parent: it leads a session of its own."""
    return os.getsid(process.pid) == process.pid


def all_gone(processes):
    return not any(map(runs, psutil.wait_procs(processes, timeout=30)[1]))


def check(root):
    """The gradebook is sound and each score is in it once."""
    with sqlite3.connect(root / "gradebook.db") as book:
        assert book.execute("pragma integrity_check").fetchall() == [("ok",)]
    found = in_gradebook(root)
    assert EXPECTED == {s: sum(g[0] for g in own.values()) for s, own in found.items()}


@pytest.fixture(scope="module")
def real(tmp_path_factory, empty, begin):
    """A real run, and what it said."""
    root = handed_in(tmp_path_factory.mktemp("real") / "course", empty)
    process = begin(root, jobs=2, cold=True)
    processes = first_result(root, process)
    said = finish(process)
    assert all_gone(processes)
    return root, said


def test_a_run_grades_and_says_so(real):
    root, said = real
    check(root)
    assert "01_small: 4 submissions, 6 points (4 graded now, 0 unchanged)" in said
    assert "bob        0 of 6" in said and "test_double (2 points)" in said
    assert (root / "graded/01_small.txt").read_text() in said


def test_nbgrader_goes_on_with_the_result(real):
    root, _ = real
    nbgrader(root, "generate_feedback 01_small", "export")
    assert scores(root) == {
        ("01_small", student): (points, 6) for student, points in EXPECTED.items()
    }
    page = (root / "feedback/bob/01_small/small_exercises.html").read_text()
    assert "Score: 0.0 / 6.0" in page and "not written yet" in page
    assert "double(-5)" not in page


def test_a_second_run_has_nothing_to_do(real, begin):
    said = finish(begin(real[0]))
    assert "(0 graded now, 4 unchanged)" in said
    check(real[0])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_that_is_killed_goes_on_where_it_was(tmp_path, empty, begin, number):
    root = handed_in(tmp_path / "course", empty)
    process = begin(root)
    processes = first_result(root, process)
    process.send_signal(number)
    assert process.wait(60) == (-9 if number == signal.SIGKILL else 130)
    assert all_gone(processes)
    saved = {p: p.stat().st_mtime_ns for p in root.glob("graded/01_small/*.json")}
    assert 0 < len(saved) < 4
    said = finish(begin(root))
    assert f"({4 - len(saved)} graded now, {len(saved)} unchanged)" in said
    assert {p: p.stat().st_mtime_ns for p in saved} == saved
    check(root)


@pytest.mark.parametrize("victim", ["workers", "the warm parent", "all that it forked"])
def test_a_process_that_is_killed_costs_nobody_a_point(tmp_path, empty, begin, victim):
    root = handed_in(tmp_path / "course", empty)
    process = begin(root)
    processes = first_result(root, process)
    (parent,) = [p for p in psutil.Process(process.pid).children() if is_warm(p)]
    victims = {
        "workers": [p for p in processes if "spawn_main" in command_of(p)],
        "the warm parent": [parent],
        "all that it forked": parent.children(recursive=True),
    }
    assert victims[victim]
    for one in victims[victim]:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    said = process.communicate(timeout=PATIENCE)
    assert process.returncode in (0, 1), said
    assert all_gone(processes)
    if process.returncode:
        finish(begin(root))
    check(root)


ON_A_SMALL_DISK = """
import os, shutil, sys
from pathlib import Path
from grading import run
from grading.__main__ import main
from tests.test_grading_run import EXPECTED, RIGHT, Engine, result
def plan(student):
    return result(None, RIGHT if EXPECTED[student] else dict.fromkeys(RIGHT, 0.0))
run._engine = lambda *_: Engine(plan)
course, disk, *places = map(Path, sys.argv[1:])
os.chdir(disk)
for place in places:  # named by the KiB that are left
    shutil.copytree(course, disk, dirs_exist_ok=True)
    filler = open("filler", "wb", buffering=0)
    try:
        while True:
            filler.write(bytes(1024))
    except OSError:
        filler.truncate(filler.tell() - 1024 * int(place.name))
    print("first:", main(["run", "--jobs", "1", "--no-sandbox"]))
    os.remove("filler")
    filler.close()
    print("second:", main(["run", "--jobs", "1", "--no-sandbox"]))
    shutil.copytree(disk, place)
    for path in disk.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
"""


@pytest.mark.skipif(bool(SANDBOX), reason="a user namespace makes the small disk")
def test_a_disk_that_is_really_full_loses_nothing(tmp_path, empty):
    """Of what a run writes nothing is the engine's, so one is planned."""
    root, disk = handed_in(tmp_path / "course", empty), tmp_path / "disk"
    disk.mkdir()
    places = [tmp_path / "0", tmp_path / "60"]
    code = [sys.executable, "-c", ON_A_SMALL_DISK, root, disk, *places]
    mount = 'mount -t tmpfs -o size=4000000 tmpfs "$1" && shift && exec "$@"'
    unshare = ["unshare", "--user", "--map-root-user", "--mount"]
    done = subprocess.run(
        [*unshare, "sh", "-c", mount, "sh", disk, *code],
        env={**os.environ, "PYTHONPATH": str(small_course.REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "Traceback" not in said, said
    assert said.count("first: 2") == said.count("second: 0") == 2, said
    for place in places:
        check(place)


# ---- Dask ---------------------------------------------------------------------------


def test_dask_gives_the_same_gradebook(tmp_path, empty, monkeypatch):
    from distributed import LocalCluster

    root = handed_in(tmp_path / "course", empty)
    (root / "submitted/dan/01_small" / NAME).unlink()
    (root / "submitted/dan/01_small" / NAME).symlink_to(
        root / "solutions/01_small" / NAME
    )
    monkeypatch.setenv("PYTHONPATH", str(small_course.REPOSITORY))
    before = set(below(psutil.Process()))  # what other tests have started
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(**options) as cluster:
        sandbox = "none" if SANDBOX else "warm"
        address = cluster.scheduler_address
        (outcome,) = run.run(root, run.Options(scheduler=address, sandbox=sandbox))
        started = set(below(psutil.Process())) - before
        processes = [p for p in started if not is_tracker(p)]
    assert all_gone(processes)
    assert outcome.graded == 4
    assert "symbolic link" in outcome.results["dan"].notes[0]
    totals = {s: summary.earned(one) for s, one in outcome.results.items()}
    assert totals == {**EXPECTED, "dan": 0}
    assert in_gradebook(root)["ada"] == graded()


def test_a_scheduler_that_is_not_there_is_said(course, monkeypatch):
    monkeypatch.setattr(pool, "CONNECT", 1)
    options = run.Options(scheduler="tcp://127.0.0.1:9", patience=0)
    with pytest.raises(run.RunError, match="no Dask scheduler answers at tcp://"):
        run.run(course, options)
