"""Where submissions are graded: in processes of this machine, or on Dask's workers.

Both engines take tasks and give (task, Result or Failure) as they come, whatever a task
does to the process that it runs in.
"""

import multiprocessing
import os
import signal
import tempfile
import threading
import time
from collections import deque
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    ProcessPoolExecutor,
    wait,
)
from contextlib import suppress
from dataclasses import dataclass

import psutil

from grading.course import intake, store
from grading.sandbox.warm import Parent

GRACE = 120  # seconds on top of the limit for all cells: imports, start, clean-up
TRIES = 2
CONNECT = 15  # seconds for the Dask scheduler to answer


@dataclass(frozen=True)
class Task:
    """One submission to grade."""

    student: str
    folder: str
    bundle: object  # grading.judge.bundle.Bundle
    checksum: str


@dataclass(frozen=True)
class Failure:
    """Why there is no result of a submission.

    innocent: the sheet or this machine is to blame, as `grading.grade.grade` says it
        with a RuntimeError, and the next submission would fail as well.
    """

    why: str
    innocent: bool = False


def _failure(error):
    text = f"{type(error).__name__}: {error}"[:500]
    if isinstance(error, RuntimeError) and not isinstance(error, BrokenExecutor):
        return Failure(str(error)[:500], innocent=True)
    return Failure(f"grading failed: {text}")


class EngineError(Exception):
    """Nothing can be graded; the text says why and what to do."""


_desk = []  # of this worker


def grade_next(bundle, folder, limits, sandbox, more):
    """Grade one submission of several, in a worker; see grading.grade.Desk."""
    # Imported here and below, in the worker.
    from grading.grade import Desk

    if not _desk:
        _desk.append(Desk())
    return _desk[0].grade(bundle, folder, limits, sandbox, more)


def grade_packed(bundle, packed, limits, sandbox):
    """Grade a submission that came as bytes, on a machine that has no submitted/."""
    from grading.grade import grade

    with tempfile.TemporaryDirectory(prefix="submission-") as folder:
        store.unpack(packed, folder)
        return grade(bundle, folder, limits, sandbox)


# ---- this machine -------------------------------------------------------------------


class Local:
    """`jobs` processes, each of which grades one submission at a time.

    All of them ask the warm parent of this process. Each is an executor of its own:
    when a process dies, it is known whose submission it was grading. That one is tried
    again in a new process, and reported if it fails again; the others go on.
    """

    def __init__(self, jobs, limits, sandbox):
        self.limits, self.sandbox = limits, sandbox
        self.slots = [_Slot() for _ in range(jobs)]

    def map(self, tasks):
        """Yield (task, Result or Failure) as they come."""
        waiting, tries = deque(tasks), {}
        while waiting or any(slot.task for slot in self.slots):
            for slot in self.slots:
                if waiting and not slot.task:
                    self._start(slot, waiting)
            busy = [slot for slot in self.slots if slot.task]
            wait([s.future for s in busy], timeout=1, return_when=FIRST_COMPLETED)
            for slot in busy:
                slot.end_if_late(self.limits.total + GRACE)
                if not slot.future.done():
                    continue
                task, result = slot.take()
                tries[task.folder] = tries.get(task.folder, 0) + 1
                failed = isinstance(result, Failure)
                again = failed and tries[task.folder] < TRIES
                if again:
                    waiting.append(task)
                if waiting:  # at once: what is done with the result takes its time
                    self._start(slot, waiting)
                if not again:
                    yield task, result

    def _start(self, slot, waiting):
        task = waiting.popleft()
        more = len(waiting) >= len(self.slots)  # so that this one gets another
        slot.start(task, self.limits, self.sandbox, more)

    def close(self):
        for slot in self.slots:
            slot.kill()


class _Slot:
    """One worker process and what it is doing."""

    def __init__(self):
        self.executor = self.process = self.task = self.future = None
        self.began = 0.0
        self.late = False

    def start(self, task, limits, sandbox, more):
        before = set(multiprocessing.active_children())
        if not self.executor:
            self.executor = ProcessPoolExecutor(
                1,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_start_worker,
                initargs=[Parent.of_this_process().requests],
            )
        self.task, self.began, self.late = task, time.monotonic(), False
        self.future = self.executor.submit(
            grade_next, task.bundle, task.folder, limits, sandbox, more
        )
        new = set(multiprocessing.active_children()) - before
        self.process = next(iter(new), self.process)

    def end_if_late(self, seconds):
        if not self.future.done() and time.monotonic() - self.began > seconds:
            self.late = True
            self.kill()
            wait([self.future])

    def take(self):
        """(task, Result or Failure) of what is done; the slot is free again."""
        task, error = self.task, self.future.exception()
        self.task = None
        if error is None:
            return task, self.future.result()
        self.kill()  # whatever happened, the next submission gets a clean process
        if self.late:
            return task, Failure("grading did not end in time")
        if isinstance(error, BrokenExecutor):
            return task, Failure("the process that graded it died")
        return task, _failure(error)

    def kill(self):
        """End the worker and all that it started."""
        executor, self.executor = self.executor, None
        if not executor:
            return
        end_tree(self.process.pid)
        executor.shutdown(wait=True, cancel_futures=True)


def end_tree(pid, also=True):
    """Kill the processes below `pid`, and `pid` itself."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        below = process.children(recursive=True)
        if also:
            process.kill()
        for child in below:
            with suppress(psutil.Error):
                child.kill()


def _start_worker(requests):
    """In a new worker: leave Ctrl-C to the run, and end when the run is killed.

    requests: the socket of the run's warm parent.
    """
    Parent.given(requests)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", TQDM_DISABLE="1")
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent():
    # A worker waits for work on a pipe that it holds open itself, so that nothing else
    # would tell it.
    multiprocessing.parent_process().join()
    end_tree(os.getpid(), also=False)
    os._exit(1)


# ---- Dask ---------------------------------------------------------------------------


class Dask:
    """The workers of a Dask scheduler; they need this repository and bubblewrap."""

    def __init__(self, address, limits, sandbox):
        from distributed import Client

        self.limits, self.sandbox = limits, sandbox
        try:
            self.client = Client(address, timeout=CONNECT, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise EngineError(
                f"no Dask scheduler answers at {address}: {error}".splitlines()[0]
            ) from None
        try:
            self._check_workers(address)
        except BaseException:
            self.client.close()
            raise

    def _check_workers(self, address):
        try:
            self.client.wait_for_workers(1, timeout=30)
            said = self.client.run(_problems, self.sandbox)
        except TimeoutError:
            raise EngineError(f"the scheduler at {address} has no workers") from None
        except Exception as error:
            raise EngineError(
                "Dask's workers cannot grade; start them in the course's folder, with "
                f"its environment: {type(error).__name__}: {error}"
            ) from None
        for worker, problems in said.items():
            if problems:
                raise EngineError(f"the worker {worker}: {'; '.join(problems)}")

    def map(self, tasks):
        """Yield (task, Result or Failure) as they come."""
        from distributed import as_completed

        waiting, running = deque(tasks), {}
        done = as_completed(loop=self.client.loop)
        room = 2 * sum(self.client.nthreads().values())
        while waiting or running:
            while waiting and len(running) < room:
                task = waiting.popleft()
                try:
                    future = self._submit(task)
                except (intake.Rejected, OSError) as why:
                    yield task, Failure(str(why))
                else:
                    running[future.key] = task
                    done.add(future)
            if running:
                future = next(done)
                yield running.pop(future.key), self._take(future)
                future.release()

    def _take(self, future):
        """The Result or Failure of a future that is done."""
        if future.status in ("lost", "cancelled"):
            raise EngineError("the connection to the Dask scheduler is lost")
        error = future.exception()
        return future.result() if error is None else _failure(error)

    def _submit(self, task):
        return self.client.submit(
            grade_packed,
            task.bundle,
            store.pack(task.folder),
            self.limits,
            self.sandbox,
            pure=False,
        )

    def close(self):
        with suppress(Exception):
            self.client.close()


def _problems(sandbox):
    """Why a Dask worker cannot grade; empty if it can."""
    import grading.grade  # noqa: F401 (it has to be there)
    from grading import doctor

    return doctor.problems() if sandbox != "none" else []
