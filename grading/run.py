"""`python -m grading run`: grade what was handed in, and write the gradebook."""

import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path

import psutil

from dot2gpt import handed_in
from grading.course import collect, store
from grading.course.gradebook import PATIENCE, GradebookError, Locked, Writer, patiently
from grading.judge.limits import Limits
from grading.pool import Dask, EngineError, Failure, Local, Task
from grading.sandbox.confine import seccomp
from grading.sandbox.warm import Parent

ENOUGH = 3  # failures before anything succeeds: then the sheet is to blame
BATCH = 20  # results that are written to the gradebook together


class RunError(Exception):
    """The run cannot begin, or ended early; the text says why and what to do."""


@dataclass
class Options:
    """What the command line asks for."""

    names: list[str] = field(default_factory=list)  # assignments; [] for all
    only: list[str] = field(default_factory=list)  # students; [] for all
    jobs: int = 0  # 0: one a core, as far as the memory goes
    again: bool = False
    limits: object = None  # a Limits; None for the usual ones
    scheduler: str = ""
    sandbox: str = "warm"  # "none" to go without
    patience: float = PATIENCE  # seconds to wait for a locked gradebook


@dataclass
class Outcome:
    """What a run did to one assignment."""

    bundle: object
    results: dict = field(default_factory=dict)  # student -> Result, no notebook in it
    received: dict = field(default_factory=dict)  # student -> collect.Received
    graded: int = 0  # in this run
    kept: int = 0  # unchanged since an earlier one
    failed: int = 0  # whose grading failed: the next run tries again
    trouble: list[str] = field(default_factory=list)


def run(root, options):
    """Grade and write; returns [Outcome], one an assignment.

    What is graded is saved at once, so that a run that is stopped or killed goes on
    where it was. Raises RunError after saving all that was graded.
    """
    root = Path(root)
    options.limits = options.limits or Limits()
    with _alone(root), _terminated_as_interrupted():
        names = _assignments(root, options.names)
        if not options.scheduler:
            Parent.of_this_process()  # it gets ready while all else does
        _refuse_without_sandbox(options)
        works = {name: _Work(root, name, options) for name in names}
        _check_only(options.only, works.values())
        try:
            _grade(works, options)
        except EngineError as error:
            raise RunError(str(error)) from None
        finally:  # what was graded is written, whatever came in between
            unwritten = [why for work in works.values() if (why := work.finish())]
        if unwritten:
            raise RunError("\n".join(unwritten))
    return [work.outcome for work in works.values()]


def _grade(works, options):
    """Grade what has to be and save each result as it comes."""
    tasks = [task for work in works.values() for task in work.tasks]
    if not tasks:
        return
    engine = _engine(options, len(tasks))
    try:
        with Progress(len(tasks)) as progress:
            for task, result in engine.map(tasks):
                works[task.bundle.assignment].take(task, result)
                progress.step(result)
        for work in works.values():
            work.report_failures()
    except OSError as error:
        raise RunError(
            f"a result cannot be saved: {error.strerror or error}. What was graded so "
            "far is kept: make room, then give the same command again"
        ) from None
    finally:
        engine.close()


def _engine(options, tasks):
    if options.scheduler:
        return Dask(options.scheduler, options.limits, options.sandbox)
    jobs = min(options.jobs or default_jobs(), tasks)
    return Local(jobs, options.limits, options.sandbox)


def default_jobs():
    """One process a core, as far as 2 GiB of memory are free for each."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1, min(cores, psutil.virtual_memory().available >> 31))


def failed(bundle, why):
    """The result of a submission that broke its own grading: reported, no points."""
    tests = [cell.grade_id for cell in bundle.tests]
    return store.Result(
        status="reported",
        notes=[f"{why}; a person has to look at this submission"],
        scores=dict.fromkeys(tests, 0.0),
        reasons={},
        manual=[cell.grade_id for cell in bundle.manual],
        notebook="",
        seconds=0.0,
    )


class _Work:
    """One assignment: what has to be graded, and where its results go."""

    def __init__(self, root, name, options):
        from grading.judge.bundle import bundle

        self.root, self.options = root, options
        try:
            self.bundle = bundle(name, root)
        except (OSError, ValueError) as error:
            raise RunError(f"the solutions of {name} cannot be used: {error}") from None
        self.store = store.Store(root, name)
        store.sweep(self.store.folder)
        self.outcome = Outcome(self.bundle, received=collect.received(root, name))
        self.writer = Writer(root, self.bundle)
        self.pending = []  # students whose results are saved and not yet written
        self.error = None  # why the last ones were not written, if they were not
        try:
            patiently(self.writer.register, options.patience)
            scores = patiently(self.writer.scores, options.patience)
        except GradebookError as error:
            raise RunError(f"{error}. Nothing was graded") from None
        self.failures = []  # (task, Failure) of submissions that broke their grading
        self.folders = _submissions(root, name, self.outcome.trouble)
        self.tasks = [
            t for t in map(lambda s: self._task(s, scores), self.folders) if t
        ]

    def _task(self, student, scores):
        """The task of grading a student; None if it need not be done, or not now."""
        folder, saved = self.folders[student], self.store.get(student)
        if self.options.only and student not in self.options.only:
            return self._keep(student, saved, scores)
        checksum = store.checksum(folder)
        fresh = saved and (saved.submission, saved.bundle) == (
            checksum,
            self.bundle.digest,
        )
        if self.options.again or not fresh:
            return Task(student, str(folder), self.bundle, checksum)
        self.outcome.kept += 1
        return self._keep(student, saved, scores)

    def _keep(self, student, saved, scores):
        """Take over a saved result; one that an earlier run could not write is due."""
        if saved and saved.bundle == self.bundle.digest:
            self.outcome.results[student] = replace(saved.result, notebook="")
            if not self.writer.is_written(student, saved.result, scores):
                self.pending.append(student)

    def take(self, task, result):
        """Save a new Result; keep a Failure until it is clear what is to blame."""
        if not isinstance(result, Failure):
            return self._save(task, result)
        self.failures.append((task, result))
        if len(self.failures) >= ENOUGH:
            self._blame()

    def report_failures(self):
        """Save the failures as reported; the next run tries these submissions again."""
        self._blame()
        self.outcome.failed = len(self.failures)
        for task, failure in self.failures:
            self._save(replace(task, checksum=""), failed(self.bundle, failure.why))

    def _blame(self):
        """Raise RunError if nothing succeeds: no student gets 0 for a broken sheet."""
        whys = {one.why for _, one in self.failures if one.innocent}
        if not self.outcome.graded and len(whys) == 1:
            raise RunError(
                f"{self.bundle.assignment} cannot be graded: {whys.pop()}. Nobody's "
                "points were changed"
            )

    def _save(self, task, result):
        """Save a result, and write the gradebook whenever there is a batch of them."""
        saved = store.Saved(task.checksum, self.bundle.digest, result)
        self.store.put(task.student, saved)
        self.outcome.graded += 1
        self.outcome.results[task.student] = replace(result, notebook="")
        self.pending.append(task.student)
        if len(self.pending) % BATCH == 0:
            self._write()

    def finish(self):
        """Write what is left; returns why some of it is not written, "" if all is."""
        end = time.monotonic() + self.options.patience
        self._write()
        while isinstance(self.error, Locked) and time.monotonic() < end:
            time.sleep(0.5)
            self._write()
        if not self.pending:
            return ""
        return (
            f"{self.error}. {self.bundle.assignment}: {len(self.pending)} results are "
            f"saved but not in the gradebook ({_some(self.pending)}): give the same "
            "command again"
        )

    def _write(self):
        """Write what is pending, in batches; what the gradebook refuses stays."""
        waiting, self.pending, self.error = self.pending, [], None
        while waiting and not isinstance(self.error, Locked):
            batch, waiting = waiting[:BATCH], waiting[BATCH:]
            if error := self._refused(batch):
                self.error = error
                locked = isinstance(error, Locked)  # else one bad one keeps no other
                self.pending += [s for s in batch if locked or self._refused([s])]
        self.pending += waiting

    def _refused(self, students):
        """The GradebookError with which these can't be written; None if they are."""
        batch = []
        for student in students:
            got, saved = self.outcome.received.get(student), self.store.get(student)
            batch.append((student, saved.result, got.details() if got else {}))
        try:
            self.writer.write(batch)
        except GradebookError as error:
            return error
        return None


def _some(names):
    return ", ".join(names[:5]) + (" …" if len(names) > 5 else "")


# ---- what there is ------------------------------------------------------------------


def assignments(root):
    """Names of the assignments that have solutions, in order."""
    sheets = Path(root).glob("solutions/*/*_exercises.ipynb")
    return sorted({path.parent.name for path in sheets})


def _assignments(root, wanted):
    """The assignments to grade: those named, or all that somebody handed in."""
    known = assignments(root)
    for name in wanted:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise RunError(
                f"there is no assignment {name!r}.{hint} There are: {', '.join(known)}"
            )
    found = [n for n in known if any(Path(root).glob(f"submitted/*/{n}"))]
    for name in wanted:
        if name not in found:
            raise RunError(
                f"nobody handed in {name}: there is no submitted/STUDENT/{name}/"
            )
    if not found:
        raise RunError(
            "nothing was handed in: python -m grading collect ZIP_OR_FOLDER sorts what "
            "came back into submitted/STUDENT/ASSIGNMENT/"
        )
    return [name for name in found if not wanted or name in wanted]


def _submissions(root, name, trouble):
    """{student: folder} of what was handed in; what is no folder goes to `trouble`."""
    found = {}
    for folder in sorted((root / "submitted").iterdir()):
        student, inside = folder.name, folder / name
        if student.startswith(".") or not os.path.lexists(inside):
            continue
        if folder.is_symlink():
            trouble.append(f"submitted/{student} is a symbolic link and was left out")
        elif not _is_name(student):
            shown = handed_in.shown(student)
            trouble.append(f"submitted/{shown} is no name for a student: rename it")
        elif inside.is_symlink() or inside.is_dir():
            found[student] = inside  # a link is refused when it is read
        else:
            trouble.append(f"submitted/{student}/{name} is not a folder")
    return found


def _is_name(student):
    """Whether a folder's name can stand for a student in files, pages and addresses."""
    acting = set(student) & set('<>"`\\&,;:$%#?*|[]{}')
    acting = acting or student.startswith(tuple("=+-@"))
    return student.isprintable() and not acting and len(student.encode()) <= 200


def _check_only(only, works):
    there = {student for work in works for student in work.folders}
    for student in only:
        if student not in there:
            raise RunError(f"{student!r} handed in none of the named assignments")


def _refuse_without_sandbox(options):
    """Raise RunError if a sandbox is wanted and this machine cannot make one."""
    from grading import doctor

    if moved := doctor.elsewhere():
        raise RunError(moved)
    if options.sandbox == "none" or options.scheduler:
        return
    problems = doctor.problems()
    if problems:
        raise RunError(
            f"there is no sandbox on this machine: {'; '.join(problems).rstrip('.')}. "
            "`python -m grading doctor` says more. Only if you trust everybody who "
            "handed in: --no-sandbox"
        )
    if not seccomp():
        print(
            "libseccomp is missing: `python -m grading doctor` says which doors into "
            "the system stay open to code in a sandbox",
            file=sys.stderr,
        )


# ---- the run itself -----------------------------------------------------------------


@contextmanager
def _alone(root):
    try:
        with store.alone(root):
            yield
    except store.Busy as error:
        raise RunError(str(error)) from None


@contextmanager
def _terminated_as_interrupted():
    """Take SIGTERM for Ctrl-C, so that workers end and what is graded is written."""

    def interrupt(*_):
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Progress:
    """A bar on a terminal, a line now and then in a log: done, left, rate, reported."""

    def __init__(self, total, seconds=30):
        from tqdm import tqdm

        self.bar = tqdm(total=total, desc="grading", unit="sheet", disable=None)
        self.total, self.done, self.reported = total, 0, 0
        self.seconds, self.said, self.began = (
            seconds,
            time.monotonic(),
            time.monotonic(),
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.bar.close()

    def step(self, result):
        """Count one result."""
        self.done += 1
        self.reported += isinstance(result, Failure) or result.status != "graded"
        self.bar.set_postfix(reported=self.reported, refresh=False)
        self.bar.update()
        now = time.monotonic()
        if self.bar.disable and now - self.said > self.seconds:
            self.said, rate = now, 60 * self.done / (now - self.began)
            print(
                f"graded {self.done} of {self.total}, {rate:.0f} a minute, "
                f"{self.reported} reported",
                file=sys.stderr,
                flush=True,
            )
