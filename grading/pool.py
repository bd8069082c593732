"""Where submissions are graded: in processes of this machine, or on Dask's workers.

Both engines take tasks and give (task, Result or Failure) as they come, whatever a task
does to the process that it runs in.
"""

import multiprocessing
import os
import signal
import tempfile
import threading
from collections import deque
from concurrent.futures import BrokenExecutor
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue

from pebble import ProcessExpired, ProcessPool

from dot2gpt import handed_in
from grading.course import store
from grading.sandbox.warm import Parent

GRACE = 120  # seconds on top of the limit for all cells: imports, start, clean-up
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


def _result(future):
    """The Result of a future that is done, or a Failure."""
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, TimeoutError):
        return Failure("grading did not end in time")
    if isinstance(error, (ProcessExpired, BrokenExecutor)):
        return Failure("the process that graded it died")
    if isinstance(error, OSError):  # of this machine: a full disk, say
        return Failure(f"{error.strerror or error}"[:500], innocent=True)
    if isinstance(error, RuntimeError):
        return Failure(str(error)[:500], innocent=True)
    return Failure(f"grading failed: {type(error).__name__}: {error}"[:500])


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

    All of them ask the warm parent of this process. One that dies or is late is
    replaced; what it was grading is tried again, and reported if it fails again.
    """

    def __init__(self, jobs, limits, sandbox):
        self.jobs, self.limits, self.sandbox = jobs, limits, sandbox
        self.pool = self._make()

    def _make(self):
        return ProcessPool(
            self.jobs,
            initializer=_start_worker,
            initargs=[Parent.of_this_process().requests],
            context=multiprocessing.get_context("spawn"),
        )

    def map(self, tasks):
        """Yield (task, Result or Failure) as they come."""
        waiting, done, failed = {}, SimpleQueue(), set()

        def schedule(task, more):
            if not self.pool.active:
                self.pool = self._make()
            given = [task.bundle, task.folder, self.limits, self.sandbox, more]
            seconds = self.limits.total + GRACE
            future = self.pool.schedule(grade_next, args=given, timeout=seconds)
            waiting[future] = task
            future.add_done_callback(done.put)

        for number, task in enumerate(tasks):
            schedule(task, number < len(tasks) - self.jobs)
        while waiting:
            future = done.get()
            task, result = waiting.pop(future), _result(future)
            if isinstance(result, Failure) and task.folder not in failed:
                failed.add(task.folder)
                schedule(task, False)
            else:
                yield task, result

    def close(self):
        self.pool.stop()
        self.pool.join()


def _start_worker(requests):
    """In a new worker: leave Ctrl-C to the run, and end when the run is killed.

    requests: the socket of the run's warm parent.
    """
    Parent.given(requests)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", TQDM_DISABLE="1")
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent():
    multiprocessing.parent_process().join()
    os._exit(1)  # a submission that is being graded would go on to its end


# ---- Dask ---------------------------------------------------------------------------


class Dask:
    """The workers of a Dask scheduler; they need this repository."""

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
                except (handed_in.Rejected, OSError) as why:
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
        return _result(future)

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
