"""Grade one submission: a function of an assignment and a folder, nothing else.

The learner's cells run first, all of them, in a sandbox. After each answer a copy of
the kernel is left behind; when all cells have run, each test is judged, outside, with
the copy that was left after the answers before it. So a test's calls change nothing
that another test sees, and what a test shows to an answer can't get into an output. No
hidden test asks anything before all tests have asked what learners have of them: so an
answer can't say in a visible one what it was asked in a hidden one.
"""

import asyncio
import time
from contextlib import contextmanager
from dataclasses import replace

from dot2gpt import handed_in
from grading.course import intake
from grading.course.page import page
from grading.course.store import Result
from grading.judge.hidden import NOTHING
from grading.judge.limits import Limits
from grading.judge.referee import Sitting
from grading.sandbox.kernel import Ahead, Kernel, KernelDied, Ran

USUAL = Limits()
OVER = "not judged: the time for the whole notebook was over"
AGAIN = "a hidden test ended the code, or the code did not run again as before"
CELLS_SHARE = 2 / 3  # of the whole time is for cells, so that tests get some
VISIBLE_SHARE = 3 / 4  # of what is left then, so that hidden tests get some


def grade(bundle, folder, limits=USUAL, sandbox="warm"):
    """Grade the submission in `folder`; returns a Result.

    sandbox: "warm", "plain" or "none", as of provisioners.kernel_manager.

    Raises RuntimeError where no sandbox can be made or the sheet's own set-up fails:
    then the submission is not to blame.
    """
    with Desk() as desk:
        return desk.grade(bundle, folder, limits, sandbox)


class Desk:
    """Grades one submission after the other; used as a context, by one thread."""

    def __init__(self):
        self._runner, self._ahead = asyncio.Runner(), Ahead()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._runner.run(self._ahead.drop())
        self._runner.close()

    def grade(self, bundle, folder, limits=USUAL, sandbox="warm", more=False):
        """Grade a submission as `grade` does.

        more: another one of the same sheet follows. While this one is at work, the
            next one's kernel gets ready.
        """
        began = time.monotonic()
        try:
            read = intake.read(folder, bundle)
        except handed_in.Rejected as why:
            return _rejected(bundle, str(why), time.monotonic() - began)
        run = Run(bundle, read, folder, limits, sandbox, began)
        self._runner.run(run.whole(self._ahead, more))
        return run.result()


def _rejected(bundle, why, seconds):
    """The Result of a submission that can't be read."""
    scores = {cell.grade_id: 0.0 for cell in bundle.tests}
    reasons, manual = dict.fromkeys(scores, why), _by_hand(bundle)
    return Result("reported", [why], scores, reasons, manual, "", seconds)


def _by_hand(bundle):
    """The grade_ids that a person grades."""
    return [cell.grade_id for cell in bundle.manual]


class Clock:
    """Counts the seconds of one submission, without what a busy machine takes."""

    def __init__(self, seconds):
        self._until = time.monotonic() + seconds

    def left(self):
        return self._until - time.monotonic()

    @contextmanager
    def stopped(self):
        """Do not count: something of ours starts, which may take its time once."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._until += time.monotonic() - began


class Run:
    """One submission on its way through the sandbox and past the judge."""

    def __init__(self, bundle, read, folder, limits, sandbox, began):
        self.bundle, self.limits, self.clock = bundle, limits, Clock(limits.total)
        self.read, self.began = read, began
        own = {step.grade_id for step in read.steps}
        self.missing = [key for key in bundle.names if key not in own]
        self.cells = Cells(bundle, read.steps, folder, limits, sandbox, self.clock)
        self.trouble, self.verdicts = self.cells.trouble, {}

    async def whole(self, ahead, more):
        """Run the cells, then the tests.

        ahead: an Ahead that may have a kernel. more: whether it should get another one.
        """
        judge = Sitting(self.bundle)
        try:
            await self.cells.run(ahead, more)
            with self.clock.stopped():
                await asyncio.to_thread(judge.wait)
            for test in await self._together(judge):
                await self._alone(test, judge)
        finally:
            judge.close()
            await self.cells.close()

    def result(self):
        """The Result, once it is over."""
        verdicts = {c.grade_id: self.verdicts[c.grade_id] for c in self.bundle.tests}
        return Result(
            "reported" if self.trouble or self.missing else "graded",
            [*self.read.notes, *self.trouble],
            {key: verdict["score"] for key, verdict in verdicts.items()},
            {key: v["reason"] for key, v in verdicts.items() if v["reason"]},
            _by_hand(self.bundle),
            page(self.bundle, self.read.steps, self.cells.ran, verdicts),
            time.monotonic() - self.began,
        )

    async def _together(self, judge):
        """Judge what learners have of all tests, then what is hidden.

        Returns tests that have no verdict, as the sandbox or the judge broke: first
        the one that may have done it.
        """
        begun, kept = [], self.clock.left() * (1 - VISIBLE_SHARE)
        for test in self.bundle.tests:
            said, copy = await self._begin(test, judge, kept)
            if said is None:
                begun.append((test, copy))
            elif not await self._settle(test, said, copy):
                return self._open(test)
            elif begun and isinstance(said, str):  # the judge forgot those as well
                return self._open()
        for test, copy in begun:
            said = await self._finish(test, judge)
            if not await self._settle(test, said, copy):
                return self._open(test)
            if isinstance(said, str):
                return self._open()
        return []

    def _open(self, first=None):
        """The tests without a verdict."""
        tests = [t for t in self.bundle.tests if t.grade_id not in self.verdicts]
        return sorted(tests, key=lambda test: test != first)

    async def _alone(self, test, judge):
        """Judge one test from its beginning to its end."""
        said, copy = await self._begin(test, judge)
        if said is None:
            said = await self._finish(test, judge)
        if not await self._settle(test, said, copy):
            await self._alone(test, judge)

    async def _begin(self, test, judge, kept=0.0):
        """(what Sitting.begin returns, the copy that it asked; None without one).

        kept: seconds that are left for others.
        """
        left = self.clock.left() - kept
        if left <= 0:
            return _none(OVER), None
        copy = await self.cells.copy_for(test)
        if isinstance(copy, str):
            return _none(copy), None
        limits = replace(self.limits, test=min(self.limits.test, left))
        with copy[0] as connection:
            asked = self.cells.asked
            begin = judge.begin, test.grade_id, connection, limits, asked
            return await asyncio.to_thread(*begin), copy

    async def _finish(self, test, judge):
        """What Sitting.finish returns."""
        left = self.clock.left()
        if left <= 0:
            return _none(OVER)
        self.cells.asked = True
        limits = replace(self.limits, test=min(self.limits.test, left))
        return await asyncio.to_thread(judge.finish, test.grade_id, limits)

    async def _settle(self, test, said, copy):
        """Keep a verdict; returns False if the test should get another try."""
        verdict = _none(said) if isinstance(said, str) else said
        if copy and verdict["gone"]:  # it may be running still
            await self.cells.stop(copy[1])
            if self.cells.lost_by_another():
                return False
        if isinstance(said, str):
            self.cells.report(f"{test.grade_id}: {said}")
        if self.cells.asked and isinstance(said, str):
            verdict = _none(NOTHING)
        self.verdicts[test.grade_id] = verdict
        return True


class Cells:
    """Runs the learner's cells; leaves a copy of the kernel for each test.

    What breaks a kernel is left out in the next one, up to `limits.restarts` times.
    """

    def __init__(self, bundle, steps, folder, limits, sandbox, clock):
        self.bundle, self.steps, self.folder = bundle, steps, folder
        self.limits, self.sandbox, self.clock = limits, sandbox, clock
        self.trouble = []  # sentences
        self.ran = {}  # place of a step -> what came of it
        self.last = len(steps)  # steps from here on are not run
        self.kernel, self.copies = None, {}
        self.asked = False  # whether a hidden test has, in any of its kernels
        self._broken, self._starts, self._lost = set(), 0, False
        self._handed_out = set()  # grade_ids of the present kernel's copies

    async def run(self, ahead=None, more=False):
        """Run the cells, in one kernel after the other until one survives them.

        ahead: an Ahead, whose kernel is used if it fits. more: have it start another.
        """
        while True:
            await self.close()
            self._starts += 1
            if self._starts > self.limits.restarts + 1:
                self.last = min(self.last, *self._broken, len(self.steps))
            self._lost, self._handed_out = False, set()
            number = await self._run_once(ahead, more)
            if number is None:
                return
            self._broken.add(number)

    async def copy_for(self, test):
        """The copy that waits for a test: (socket, process id), or why there is none.

        A kernel that an earlier test has killed, and its copies with it, is made again,
        and one whose copy for this test has been handed out.
        """
        spent = self._lost or test.grade_id in self._handed_out
        if spent and self._starts <= self.limits.restarts:
            await self.run()
        if not self._lost and test.grade_id in self.copies:
            self._handed_out.add(test.grade_id)
            return self.copies.pop(test.grade_id)
        places = [
            number
            for number, step in enumerate(self.steps)
            if step.grade_id in self.bundle.answers_before(test)
        ]
        if places and max(places) >= self.last:
            return "not judged: the cells above it did not all run"
        self.report(f"{test.grade_id} was not judged: nothing answered")
        return "not judged: your code no longer answered"

    def report(self, sentence):
        """Note trouble; once a hidden test has asked, not which: an answer chooses."""
        if not self.asked:
            self.trouble.append(sentence)
        elif AGAIN not in self.trouble:
            self.trouble.append(AGAIN)

    def lost_by_another(self):
        """Whether the last test may have failed since an earlier one ended the kernel.

        Then it gets another try, as the first in a new kernel.
        """
        again = self._starts <= self.limits.restarts
        return self._lost and len(self._handed_out) > 1 and again

    async def stop(self, pid):
        """End a copy."""
        try:
            await self.kernel.stop(pid)
        except KernelDied:
            self._lost = True

    async def close(self):
        """End the kernel and its copies."""
        for connection, _ in self.copies.values():
            connection.close()
        self.copies = {}
        if self.kernel:
            await self.kernel.close()
            self.kernel = None

    async def _start(self, ahead, more):
        """Get a kernel that is ready."""
        if ahead:
            self.kernel = await ahead.take(
                self.bundle, self.limits, self.sandbox, self.folder
            )
        if not self.kernel:
            self.kernel = Kernel(self.sandbox, self.limits)
            await self.kernel.start(self.bundle.setup, self.folder)
        if more:
            ahead.begin(self.bundle, self.limits, self.sandbox)

    async def _run_once(self, ahead, more):
        """Run the cells in a new kernel; returns the place of one that broke it."""
        try:
            with self.clock.stopped():
                await self._start(ahead, more)
        except KernelDied as why:
            raise RuntimeError(f"no sandbox can be made: {why}") from None
        tests, number = self._tests_after(), -1
        try:
            await self._leave_copies(tests.get(-1, []))
            for number, step in enumerate(self.steps[: self.last]):
                if step.cell_type == "code" and number not in self._broken:
                    if not await self._step(number, step, number in tests):
                        break
                await self._leave_copies(tests.get(number, []))
        except KernelDied as why:
            if number < 0 or self._starts > self.limits.restarts + 1:
                raise RuntimeError(f"the sandbox does not last: {why}") from None
            self._keep(number, Ran([_error(str(why))]))
            self.report(f"{self._label(number)}: {why}")
            return number
        return None

    async def _step(self, number, step, copy):
        """Run one cell, and have a copy left; returns whether there was time for it."""
        left = self.clock.left() - self.limits.total * (1 - CELLS_SHARE)
        if left <= 0:
            self.last = number
            over = "did not run, nor what follows: the time for all cells was over"
            self.report(f"{self._label(number)} {over}")
            return False
        seconds = min(self.limits.cell, max(1, left))
        ran = await self.kernel.cell(step.source, seconds, copy)
        if ran.late:
            late = f"it did not end in {seconds:.0f} s"
            ran.outputs.append(_error(late))
            self.report(f"{self._label(number)}: {late}")
        self._keep(number, ran)
        return True

    def _keep(self, number, ran):
        """Show what came of a cell, unless a hidden test has asked: it tells the time.

        An answer can end its kernel after a time that says what it was asked.
        """
        if not self.asked:
            self.ran[number] = ran

    async def _leave_copies(self, tests):
        for test in tests:
            if copy := await self.kernel.checkpoint():
                self.copies[test.grade_id] = copy

    def _tests_after(self):
        """{place of a step: tests that are judged as things are after it}."""
        places = {step.grade_id: number for number, step in enumerate(self.steps)}
        after = {}
        for test in self.bundle.tests:
            needed = self.bundle.answers_before(test)
            place = max([places[name] for name in needed if name in places], default=-1)
            after.setdefault(place, []).append(test)
        return after

    def _label(self, number):
        name = self.steps[number].grade_id
        return f"the answer {name}" if name else f"cell {number + 1}"


def _none(why):
    """The verdict on a test that was not judged."""
    return {"score": 0.0, "reason": why, "outputs": [_error(why)], "gone": True}


def _error(why):
    return {
        "output_type": "error",
        "ename": "CheckFailed",
        "evalue": why,
        "traceback": [why],
    }
