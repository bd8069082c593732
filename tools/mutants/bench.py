"""Judges mutants: one process a cell, in which the cells before it have run, and a
fork of it for each mutant.

A mutant is killed when its test cell fails, as a learner's answer would, and when it
runs far longer than the solution or takes too much memory. The visible tests are asked
first; those with the hidden ones only where they pass.
"""

import copy
import gc
import math
import os
import resource
import select
import signal
from dataclasses import dataclass
from multiprocessing import get_context

import torch

from grading.judge.bundle import bundle
from tests import grader
from tools.tree import read

VISIBLE, HIDDEN, SURVIVED, SAME = "visible", "hidden", "survived", "same"
_CODES = {VISIBLE: 1, HIDDEN: 2, SURVIVED: 3, SAME: 4}
MEMORY = 3 * 2**30  # bytes beyond what the solution needs
PATIENCE = 2  # seconds of CPU, beside five times what the solution takes


@dataclass(frozen=True)
class Case:
    """One solution cell, what runs before it, and what judges it."""

    grade_id: str
    source: str
    before: tuple[str, ...]
    between: tuple[str, ...]  # cells from the answer to its test
    test: str
    visible: str  # what learners have of it


class Broken(Exception):
    """The solution itself does not pass its test."""


def cases(chapter):
    """The Cases of a chapter's sheet, in order."""
    visible = {c.grade_id: c.released for c in bundle(chapter.name, chapter.root).tests}
    ran, waiting, found = [], {}, []
    for cell in read(chapter.solutions).cells:
        meta = cell.metadata.get("nbgrader", {})
        if cell.cell_type == "code" and meta.get("grade"):
            name = meta.grade_id.removeprefix("test_")
            place = waiting.pop(name)
            before, between = tuple(ran[:place]), tuple(ran[place + 1 :])
            tests = cell.source, visible[meta.grade_id]
            found.append(Case(name, ran[place], before, between, *tests))
        elif cell.cell_type == "code":
            if meta.get("solution"):
                waiting[meta.grade_id] = len(ran)
            ran.append(cell.source)
    return found


class Bench:
    """Judges mutants of one case in a process of its own, until it is closed.

    `verdicts` is a connection that sends (number of the mutant, verdict), or an
    exception.
    """

    def __init__(self, case, sources):
        grader.prepare()
        context = get_context("fork")
        self.verdicts, theirs = context.Pipe(duplex=False)
        self.process = context.Process(
            target=_preside, args=(case, sources, theirs), daemon=False
        )
        self.process.start()
        theirs.close()

    def close(self):
        """End it and whatever it judges just now."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            self.process.kill()
        self.process.join()
        self.verdicts.close()


def judged(case, sources):
    """The verdicts on some mutants, in order."""
    bench = Bench(case, sources)
    try:
        found = {}
        while len(found) < len(sources):
            answer = bench.verdicts.recv()
            if isinstance(answer, Exception):
                raise answer
            number, verdict = answer
            found[number] = verdict
        return [found[number] for number in range(len(sources))]
    finally:
        bench.close()


def _preside(case, sources, pipe):
    os.setsid()  # Ctrl-C reaches the parent alone, which then ends this group
    scope = grader.fresh_scope()
    scope |= {"rounded": rounded, "spoiling": spoiling}
    for number, source in enumerate(case.before):
        grader.run_cell(source, f"<cell {number}>", scope)
    gc.freeze()  # else each copy touches, and so copies, all that there is
    try:
        if _judge(case, case.source, scope, 60) != SURVIVED:
            raise Broken(f"{case.grade_id}: the solution fails its own test")
        limit = PATIENCE + math.ceil(5 * sum(os.times()[2:4]))  # what that took
        for number, source in enumerate(sources):
            pipe.send((number, _judge(case, source, scope, limit)))
    except (Broken, KeyboardInterrupt) as error:
        pipe.send(error)
    except BrokenPipeError:
        pass  # nobody wants to know any more
    os._exit(0)


def _judge(case, source, scope, limit):
    """What becomes of one answer. limit: seconds of CPU."""
    code = _forked(case, source, case.visible, scope, limit)
    if code != _CODES[SURVIVED]:
        return SAME if code == _CODES[SAME] else VISIBLE
    if case.visible == case.test:
        return SURVIVED
    code = _forked(case, source, case.test, scope, limit)
    names = {code: name for name, code in _CODES.items()}
    return names[code] if code in (_CODES[SURVIVED], _CODES[SAME]) else HIDDEN


def _forked(case, source, test, scope, limit):
    """Judge in a copy of this process; returns its exit status, or a minus one."""
    if not (pid := os.fork()):
        try:
            _limit(limit)
            code = _try(case, source, test, scope)
        except BaseException:
            code = _CODES[VISIBLE]
        os._exit(code)
    watched = os.pidfd_open(pid)
    try:  # one that sleeps uses no CPU, and on a busy machine all wait
        if not select.select([watched], [], [], 100 * limit)[0]:
            os.kill(pid, signal.SIGKILL)
    finally:
        os.close(watched)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _limit(seconds):
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    with open("/proc/self/statm") as file:
        data = int(file.read().split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (data + MEMORY,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _try(case, source, test, scope):
    from dot2gpt import checks

    def stop_at_the_first(self, what, run, _row=checks.Checks._row):
        if not _row(self, what, run):
            raise _Killed
        return True

    checks.Checks._row = stop_at_the_first
    for number, cell in enumerate([source, *case.between]):
        grader.run_cell(cell, f"<answer {number}>", scope)
    # A copy, as `check` makes: the tests' names are not the learner's.
    error, err, _ = grader.run_cell(test, "<test>", dict(scope))
    return _CODES[VISIBLE] if error or err else _CODES[SURVIVED]


def _same():
    """End this copy: the mutant does what the solution does, and is not counted."""
    os._exit(_CODES[SAME])


class _Killed(BaseException):
    """Raised at the first check that fails."""


# ---- what the operators call --------------------------------------------------------


def rounded(value):
    """The value without what stands behind the point."""
    if isinstance(value, float):
        return float(round(value))
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        return value.round()
    _same()


def spoiling(given, value):
    """The value, after which what was given is written over."""
    if isinstance(value, torch.Tensor):
        value = value.clone()
    elif isinstance(value, (list, dict, tuple)):
        value = copy.copy(value)
    if isinstance(given, torch.Tensor) and given.numel():
        given.data.zero_() if given.data.any() else given.data.fill_(1)
    elif isinstance(given, (list, dict, set)):
        given.clear()
    else:
        _same()
    return value
