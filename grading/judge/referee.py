"""Forks a judge per submission, from a process that has imported torch.

For an assignment, a worker has the warm parent fork a bench, which runs the set-up
cells once; for a submission the bench forks a judge, which talks with the sandbox. So
no submission can leave anything for the next one, and a test that runs wild is ended
without harm. None of them ever runs a learner's code.
"""

import gc
import json
import os
import signal
import socket
import threading
import traceback
from collections import OrderedDict
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle

from grading.sandbox import warm

GRACE = 5  # seconds for a judge to say what came of a test
MOST_BENCHES = 3
STDERR = 2


class Bench:
    """The worker's end of the process that has an assignment's set-up."""

    _known = OrderedDict()  # digest of a Bundle -> its Bench, the last used at the end
    _making = threading.Lock()

    def __init__(self, bundle):
        self.connection = warm.Parent.of_this_process().fork(warm.BENCH, STDERR)
        self.connection.send(bundle)
        self._lock = threading.RLock()
        self._said = None  # "" once it is ready; else why it can't be used

    @classmethod
    def of(cls, bundle):
        """The Bench of an assignment; those of the last few stay, and those in use."""
        with cls._making:
            bench = cls._known.pop(bundle.digest, None)
            if not bench or bench._said:
                bench = cls(bundle)
            cls._known[bundle.digest] = bench
            if len(cls._known) > MOST_BENCHES:
                cls._known.popitem(last=False)
            return bench

    def wait(self):
        """Wait until the set-up cells have run; raises RuntimeError if one fails."""
        with self._lock:
            if self._said is None:
                try:
                    self._said = self.connection.recv()
                except (EOFError, OSError):
                    self._said = "it died"
        if self._said:
            raise RuntimeError(f"the set-up of the sheet fails: {self._said}")

    def fork(self):
        """A Connection to a new judge; raises RuntimeError if the bench has died."""
        self.wait()
        ours, theirs = Pipe()
        with theirs, self._lock:
            try:
                send_handle(self.connection, theirs.fileno(), None)
            except OSError:
                self._said = "the process that ran it has died"
                raise RuntimeError(self._said) from None
        return ours


class Sitting:
    """One submission's judge; after a test that it does not survive, another one's."""

    def __init__(self, bundle):
        self.bench, self.connection = Bench.of(bundle), None

    def wait(self):
        """Wait until the set-up cells have run; raises RuntimeError if one fails."""
        self.bench.wait()

    def close(self):
        """End the judge; the bench stays for the next one."""
        if self.connection:
            self.connection.close()
            self.connection = None

    def begin(self, grade_id, connection, limits, asked=False):
        """Judge what learners have of a test, with an answer that waits there.

        connection: a socket. asked: as of Judge.begin.

        Returns what Judge.begin does, or the sentence why there is no verdict. With a
        sentence, the tests that were begun before are lost.
        """
        return self._say("begin", grade_id, limits, asked, connection)

    def finish(self, grade_id, limits):
        """Judge the rest of a test that was begun; returns what `begin` does."""
        return self._say("finish", grade_id, limits)

    def test(self, grade_id, connection, limits, asked=False):
        """Judge one test from its beginning to its end; returns what `begin` does."""
        verdict = self.begin(grade_id, connection, limits, asked)
        return self.finish(grade_id, limits) if verdict is None else verdict

    def _say(self, what, grade_id, limits, asked=True, answer=None):
        self.connection = self.connection or self.bench.fork()
        with suppress(EOFError, OSError):
            self.connection.send((what, grade_id, limits, asked))
            if answer:
                send_handle(self.connection, answer.fileno(), None)
            if self.connection.poll(limits.test + 2 * GRACE):
                return json.loads(self.connection.recv_bytes())
        self.close()
        return f"the check did not end in {limits.test:g} s, or took too much memory"


# ---- in the bench and the judge -----------------------------------------------------


def main(worker, errors):
    """Run an assignment's set-up cells, then fork a judge for each that is asked for.

    worker: a Connection. errors: the descriptor for what belongs in its log.
    """
    import numpy
    from torch.overrides import resolve_name

    from grading.judge.judge import Judge  # it imports torch, which no worker needs

    os.dup2(errors, STDERR)
    os.close(errors)
    numpy.random.seed()  # kernels come from the same parent and know its numbers
    resolve_name(len)  # it makes a table that checks.forbid needs
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for judges
    bundle = worker.recv()
    try:
        judge = Judge(bundle)
    except BaseException as error:
        worker.send(f"{type(error).__name__}: {error}")
        return
    cells = {cell.grade_id: cell for cell in bundle.tests}
    gc.collect()
    gc.freeze()
    worker.send("")
    while True:
        descriptor = recv_handle(worker)
        if os.fork() == 0:
            worker.close()
            _judge(judge, cells, Connection(descriptor))
        os.close(descriptor)


def _judge(judge, cells, worker):
    """Judge tests until the worker wants no more; never returns."""
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends it, whatever it does
        before = _mapped()
        while True:
            signal.setitimer(signal.ITIMER_REAL, 0)
            what, grade_id, limits, asked = worker.recv()
            most = min(_mapped() + limits.memory, before + 2 * limits.memory)
            _limit_memory(most)  # those that were begun keep their values
            signal.setitimer(signal.ITIMER_REAL, limits.test + GRACE)
            if what == "begin":
                connection = socket.socket(fileno=recv_handle(worker))
                verdict = judge.begin(cells[grade_id], connection, limits, asked)
            else:
                verdict = judge.finish(grade_id, limits)
            worker.send_bytes(json.dumps(verdict).encode())
    except (EOFError, OSError):
        pass  # the worker wants no answer any more
    except BaseException:
        traceback.print_exc()  # a mistake of this package's: it belongs in the log
    finally:
        os._exit(0)


def _mapped():
    """Bytes of address space that this process has; 0 where that can't be said."""
    with suppress(OSError), open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _limit_memory(size):
    """Let this process have so many bytes of address space, where that can be said."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        if _mapped():
            resource.setrlimit(resource.RLIMIT_AS, (size, hard))
