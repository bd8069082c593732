"""Grades without a defence: answers and tests in one ordinary process of this machine.

It is what a grader does that opens the notebook, puts the course's test cells into it
and runs the cells one after the other in an IPython. `WINS` says how an attack shows.
"""

import json
import os
import resource
import select
import signal
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field

import nbformat
import psutil
import torch.overrides
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from dot2gpt import checks  # noqa: F401 (before the fork, so that children need not)
from tests.hostile import sheet
from tests.hostile.world import SECRETS, VARIABLE, left_files, survivors, tree

SHORT, LONG = 2.5, 15  # seconds: enough to stall, enough for a slow machine
ROOM = 1 << 30  # bytes that an attack may take
MUCH_OUTPUT, MUCH_MEMORY, MUCH_DISK = 4 << 20, 450 << 20, 250 << 20
MANY = 100  # processes
torch.overrides.resolve_name(len)  # it makes a table that checks.forbid needs


@dataclass
class Outcome:
    """What came of a run. ended: it came to its end, and said its scores."""

    ended: bool = False
    stalled: bool = False
    scores: dict = field(default_factory=dict)
    shown: str = ""
    memory: int = 0  # bytes, at the peak
    processes: int = 0  # that were there at the end, or when it had stalled
    own: dict = field(default_factory=dict)  # the submission's folder, before


def run(folder, world, mark, as_it_is=False, seconds=LONG):
    """Grade the submission in `folder`; returns an Outcome."""
    outcome = Outcome(own=tree(folder))
    result, theirs = os.pipe()
    with tempfile.TemporaryFile() as shown:
        began, pid = time.monotonic(), os.fork()
        if pid == 0:
            _grader(folder, world, as_it_is, theirs, shown.fileno())
        os.close(theirs)
        said = _first_line(result, began + seconds)
        os.close(result)
        outcome.stalled = said is None
        outcome.processes = len(survivors(mark))
        usage = _end(pid, 0 if outcome.stalled else 1)
        outcome.memory = usage.ru_maxrss << 10
        shown.seek(0)
        outcome.shown = shown.read(8 << 20).decode(errors="replace")
    with suppress(TypeError, ValueError):
        outcome.scores = json.loads(said)
        outcome.ended = True
    return outcome


def _first_line(pipe, deadline):
    """What is written first; "" if the other end is closed, None if it is late."""
    data = b""
    while b"\n" not in data:
        left = max(0, deadline - time.monotonic())
        if not select.select([pipe], [], [], left)[0]:
            return None
        part = os.read(pipe, 1 << 16)
        if not part:
            return ""
        data += part
    return data.split(b"\n")[0]


def _end(pid, seconds):
    """End the grader with all that it has started and that did not run away.

    seconds: that it gets to end by itself.

    Returns what it has used.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ended, _, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            return usage
        time.sleep(0.01)
    with suppress(psutil.Error):
        family = psutil.Process(pid).children(recursive=True)
        for process in [*family, psutil.Process(pid)]:
            with suppress(psutil.Error):
                process.kill()
    return os.wait4(pid, 0)[2]


def _grader(folder, world, as_it_is, result, shown):
    """The life of the forked process that grades: a child of it runs the cells."""
    try:
        os.setsid()
        os.dup2(result, 3)
        for number in (1, 2):
            os.dup2(shown, number)
        os.closerange(4, 65536)  # nothing of whoever tests is in reach
        child = os.fork()
        if child == 0:
            _cells(folder, world, as_it_is)
        os.close(3)
        os.waitpid(child, 0)
    finally:
        os._exit(0)


def _cells(folder, world, as_it_is):
    """Read and run the notebook, and write the scores to descriptor 3."""
    os.chdir(folder)
    _limit()
    os.environ.clear()
    os.environ.update(HOME=str(world.home), PATH="/usr/bin:/bin", TOKEN=VARIABLE)
    sys.stdout = open(1, "w", buffering=1, closefd=False)
    sys.stderr = open(2, "w", buffering=1, closefd=False)
    book = nbformat.read(folder / sheet.NAME, as_version=4)
    ours = {} if as_it_is else {c.grade_id: c for c in sheet.BUNDLE.cells}
    shell = _Shell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    shell.scores = {}
    shell.display_pub.publish = lambda data, *_, **__: print(json.dumps(data))
    for cell in book.cells:
        marks = cell.metadata.get("nbgrader", {})
        mine, points = ours.get(marks.get("grade_id")), marks.get("points")
        if mine and mine.role in ("test", "locked"):
            cell.source, points = mine.source, mine.points
        if cell.cell_type == "markdown":
            print(cell.source)
            continue
        shell.failed = False
        shell.run_cell(cell.source)
        if marks.get("grade") and points is not None:
            shell.scores[marks["grade_id"]] = 0.0 if shell.failed else points
    sys.stdout.flush()
    os.write(3, json.dumps(shell.scores).encode() + b"\n")
    sys.exit()


def _limit():
    """Keep whoever attacks from harming this machine."""
    with open("/proc/self/statm") as file:
        mapped = int(file.read().split()[0]) * resource.getpagesize()
    for kind, most in {
        resource.RLIMIT_AS: mapped + ROOM,
        resource.RLIMIT_FSIZE: 512 << 20,
        resource.RLIMIT_CPU: 20,
        resource.RLIMIT_CORE: 0,
    }.items():
        resource.setrlimit(kind, (most, most))
    signal.signal(signal.SIGINT, signal.default_int_handler)


class _Shell(InteractiveShell):
    """Like a notebook's: what it shows as an error makes the cell fail."""

    failed = False

    def _showtraceback(self, etype, evalue, stb):
        self.failed = True
        print("\n".join(stb))


# ---- how an attack shows ------------------------------------------------------------


def _forged(case, outcome, world, mark):
    got, deserved = sum(outcome.scores.values()), sum(case.deserved.values())
    return outcome.ended and got > deserved


def _unfair(case, outcome, world, mark):
    got, deserved = sum(outcome.scores.values()), sum(case.deserved.values())
    return not outcome.ended or got < deserved


def _filled(case, outcome, world, mark):
    return sum(map(os.path.getsize, left_files(mark))) > MUCH_DISK


def _changed(case, outcome, world, mark, before):
    own = tree(before[1])
    return world.state() != before[0] or own != outcome.own


WINS = {
    "it is forged": _forged,
    "honest work loses points": _unfair,
    "it leaks": lambda case, outcome, *_: any(
        secret in outcome.shown for secret in (*SECRETS, *case.secrets)
    ),
    "it gets through": lambda case, outcome, *_: any(
        secret in outcome.shown for secret in case.secrets
    ),
    "a page runs it": lambda case, outcome, *_: "alert(" in outcome.shown,
    "it stalls": lambda case, outcome, *_: outcome.stalled,
    "it ends the grader": lambda case, outcome, *_: (
        not outcome.ended and not outcome.stalled
    ),
    "it floods": lambda case, outcome, *_: len(outcome.shown) > MUCH_OUTPUT,
    "it takes memory": lambda case, outcome, *_: outcome.memory > MUCH_MEMORY,
    "it is many": lambda case, outcome, *_: outcome.processes > MANY,
    "it fills the disk": _filled,
    "a process stays": lambda case, outcome, world, mark: bool(survivors(mark)),
    "a file stays": lambda case, outcome, world, mark: bool(left_files(mark)),
    "it is heard": lambda case, outcome, world, mark: world.heard(mark),
}


def has_won(case, outcome, world, mark, before):
    """Whether the attack shows in what came of a run, or in the world.

    before: (state of the world, folder of the submission).
    """
    if case.wins == "it changes the course":
        return _changed(case, outcome, world, mark, before)
    return WINS[case.wins](case, outcome, world, mark)
