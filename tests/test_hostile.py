"""Hostile submissions get what they deserve, and each wins where nothing is defended.

Each has a world of its own to attack (`tests.hostile.world`). Those that go through the
sandbox are graded a few at a time, as many of them wait.
"""

import json
import os
import subprocess
import sys
from itertools import chain, zip_longest
from pathlib import Path

import psutil
import pytest

from grading import doctor
from grading.sandbox.warm import Parent
from tests.hostile import CASES, FAMILIES, naive, sheet
from tests.hostile.sandboxed import LIMITS, Grader, flaws
from tests.hostile.world import SECRETS, SHARED, VARIABLE, World, clean
from tests.judging import Court
from tests.test_sandbox import REPOSITORY, as_nobody

LEFT = "hostile-left"  # what an earlier submission has left begins with it
# Families take turns, since denial mostly waits.
MIXED = list(filter(None, chain(*zip_longest(*FAMILIES.values()))))
ELSEWHERE = [
    case
    for case in MIXED
    if str(case)
    in (
        "forgery: report says nothing",
        "forgery: a tensor that agrees",
        "theft: every file of the course",
        "theft: another process's environment",
        "theft: what hidden tests ask is printed",
        "tampering: the course is deleted",
        "tampering: another process is killed",
        "tampering: another process's limits",
        "tampering: a process that stays",
        "denial: a call without an end",
        "denial: it kills its parent",
        "denial: memory in a cell",
        "denial: memory in a call",
        "denial: shared memory in a cell",
        "denial: 150 processes",
        "doors: files without a name",
        "doors: sockets that nobody holds",
        "doors: the keyring",
        "network: over TCP",
        "network: through a socket without a folder",
        "broken: cut off",
    )
]


@pytest.fixture(autouse=True, scope="module")
def secret_variable():
    """A variable in the environment of whoever grades."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADER_TOKEN", VARIABLE)
        yield


@pytest.fixture(autouse=True, scope="module")
def left():
    """What an earlier submission would have left where anybody may."""
    paths = [Path(folder, f"{LEFT}-{os.getpid()}") for folder in SHARED]
    for path in paths:
        path.write_text(sheet.SOLUTION)
    yield
    for path in paths:
        path.unlink()


@pytest.fixture(scope="module")
def machine():
    """A machine on which a sandbox can be made."""
    if found := doctor.problems():
        pytest.skip(f"no sandbox on this machine: {found[0]}")


def test_there_are_enough_of_them():
    assert len(CASES) >= 60 and all(len(cases) >= 6 for cases in FAMILIES.values())
    assert len({str(case) for case in CASES}) == len(CASES)
    assert len(ELSEWHERE) == 21


def test_the_instructors_page_says_how_many_there_are():
    page = (REPOSITORY / "appendix/instructor.md").read_text(encoding="utf-8")
    assert f"The tests hold {len(CASES)} such submissions" in page


# Through the sandbox


@pytest.fixture(scope="module")
def graded(request, machine, tmp_path_factory):
    """A function that says what came of a case."""
    wanted = [
        item.callspec.params["case"]
        for item in request.session.items
        if getattr(item, "originalname", "") == "test_it_gets_what_it_deserves"
    ]
    with Grader(wanted or CASES[:1], tmp_path_factory.mktemp("hostile")) as grader:
        yield grader


@pytest.mark.parametrize("case", MIXED, ids=str)
def test_it_gets_what_it_deserves(case, graded):
    found = flaws(case, graded(case))
    assert not found, "\n".join(found)


def test_no_process_is_left_of_any(graded):
    graded(graded.cases[0])
    for future in graded.futures.values():
        future.result()
    parent = psutil.Process(Parent.of_this_process().process.pid)
    kernels = [p for p in parent.children() if p.children()]  # not the benches
    assert kernels == []


# Where there is no cgroup, and for an ordinary user


@pytest.fixture(scope="module")
def elsewhere(machine):
    """{name of a case: its flaws}, where there is no cgroup, as an ordinary user."""
    names = [str(case) for case in ELSEWHERE]
    command = [sys.executable, "-m", "tests.hostile.sandboxed", *names]
    done = subprocess.run(
        as_nobody(command) if os.getuid() == 0 else command,
        cwd=REPOSITORY,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONDONTWRITEBYTECODE": "1",
            "GRADER_TOKEN": VARIABLE,
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return dict(map(json.loads, done.stdout.splitlines()))


@pytest.mark.parametrize("case", ELSEWHERE, ids=str)
def test_so_it_does_without_a_cgroup_for_an_ordinary_user(case, elsewhere):
    assert not elsewhere[str(case)], "\n".join(elsewhere[str(case)])


# Where no sandbox can be made, tests are judged outside all the same


# One that writes into every descriptor would end the kernel that all of these share.
ANSWERED = [
    case
    for case in FAMILIES["forgery"]
    if case.answers and case.write is None and "descriptor" not in case.name
]


@pytest.fixture(scope="module")
def court():
    with Court(sheet.BUNDLE, "none", LIMITS) as court:
        yield court


@pytest.mark.parametrize("case", ANSWERED, ids=str)
def test_it_is_not_forged_without_a_sandbox(case, court):
    sources = case.sources({"MARK": "hostile-none"})
    for grade_id, points in case.deserved.items():
        if points == 0:
            assert court.judge(grade_id, sources)["score"] == 0


def test_honest_work_gets_its_points_without_a_sandbox(court):
    sources = list(sheet.RIGHT.values())[:3]
    for test in sheet.BUNDLE.tests:
        assert court.judge(test.grade_id, sources)["score"] == test.points


# Without a defence


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_wins_where_nothing_is_defended(case, tmp_path):
    with World(tmp_path / "world") as world:
        mark = f"{world.mark}-naive"
        folder = world.root / "submitted" / "eve" / "hostile"
        case.hand_in(folder, world, world.facts(folder, mark))
        before = world.state()
        seconds = naive.SHORT if case.wins == "it stalls" else naive.LONG
        outcome = naive.run(folder, world, mark, case.as_it_is, seconds)
        try:
            assert naive.has_won(case, outcome, world, mark, (before, folder))
        finally:
            clean(mark)


def test_honest_work_is_graded_the_same_there(tmp_path):
    with World(tmp_path / "world") as world:
        folder = tmp_path / "eve"
        folder.mkdir()
        (folder / sheet.NAME).write_text(json.dumps(sheet.notebook()))
        outcome = naive.run(folder, world, "hostile-honest")
    points = {f"test_{name}": most for name, most in sheet.POINTS.items()}
    assert outcome.ended and outcome.scores.items() >= points.items()
    assert not any(secret in outcome.shown for secret in SECRETS)
