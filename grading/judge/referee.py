"""Forks a judge per submission, from a process that has imported torch.

A worker has the warm parent fork one for it (`Referee.of_this_process`). For an
assignment it forks a bench, which runs the set-up cells once; for a submission the
bench forks a judge, which talks with the sandbox. So no submission can leave anything
for the next one, and a test that runs wild is ended without harm. None of them ever
runs a learner's code.
"""

import atexit
import gc
import json
import os
import pickle
import signal
import socket
import struct
import threading
import traceback
from contextlib import suppress

from grading.sandbox.warm import REFEREE, Parent, has_ended

GRACE = 5  # seconds for a judge to say what came of a test
MOST_BENCHES = 3
STDERR = 2
_SIZE = struct.Struct("!Q")


class Referee:
    """What forks this process's judges, made when the first is wanted."""

    _one, _making = None, threading.Lock()

    def __init__(self):
        self.socket = Parent.of_this_process().fork(REFEREE, STDERR)
        self._lock, self._benches = threading.Lock(), {}
        atexit.register(self.close)

    @classmethod
    def of_this_process(cls):
        """The referee that lives; a new one if there is none, or it has died."""
        with cls._making:
            if cls._one is None or has_ended(cls._one.socket):
                cls._one = cls()
            return cls._one

    def sitting(self, bundle):
        """A judge for one submission: a Sitting, to be closed.

        The benches of the last few assignments stay, and those that are in use.
        """
        with self._lock:
            bench = self._benches.pop(bundle.digest, None)
            if not bench or bench.broken:
                bench = Bench(self.socket, bundle)
            self._benches[bundle.digest] = bench
            bench.users += 1
            idle = [key for key, one in self._benches.items() if not one.users]
            for key in idle[: max(0, len(self._benches) - MOST_BENCHES)]:
                self._benches.pop(key).close()
            return Sitting(bench)

    def close(self):
        """End it and all its judges."""
        for bench in self._benches.values():
            bench.close()
        self.socket.close()


class Bench:
    """The worker's end of a bench."""

    def __init__(self, referee, bundle):
        self.socket, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(referee, [b"b"], [theirs.fileno()])
        _send(self.socket, pickle.dumps(bundle))
        self.users = 0  # sittings that are not closed
        self.broken = ""  # why it can't be used
        self._ready, self._lock = False, threading.Lock()

    def wait(self):
        """Wait until the set-up cells have run; raises RuntimeError if one fails."""
        with self._lock:
            if not self._ready and not self.broken:
                said = _take(self.socket)
                self._ready = said == b"ready"
                self.broken = "" if self._ready else said.decode() or "it died"
        if self.broken:
            raise RuntimeError(f"the set-up of the sheet fails: {self.broken}")

    def fork(self):
        """A socket to a new judge; raises RuntimeError if the bench has died."""
        self.wait()
        ours, theirs = socket.socketpair()
        try:
            with theirs, self._lock:
                socket.send_fds(self.socket, [b"j"], [theirs.fileno()])
        except OSError:
            ours.close()
            self.broken = "the process that ran it has died"
            raise RuntimeError(self.broken) from None
        return ours

    def close(self):
        """End the bench."""
        self.socket.close()


class Sitting:
    """One submission's judge; after a test that it does not survive, another one's."""

    def __init__(self, bench):
        self.bench, self.socket = bench, None

    def wait(self):
        """Wait until the set-up cells have run; raises RuntimeError if one fails."""
        self.bench.wait()

    def close(self):
        """End the judge; the bench stays for the next one."""
        self._leave()
        self.bench.users -= 1

    def _leave(self):
        if self.socket:
            self.socket.close()
            self.socket = None

    def begin(self, grade_id, connection, limits, asked=False):
        """Judge what learners have of a test, with an answer that waits there.

        connection: a socket. asked: as of Judge.begin.

        Returns what Judge.begin does, or the sentence why there is no verdict. With a
        sentence, the tests that were begun before are lost.
        """
        self.socket = self.socket or self.bench.fork()
        return self._say(("begin", grade_id, limits, asked), limits, connection)

    def finish(self, grade_id, limits):
        """Judge the rest of a test that was begun; returns what `begin` does."""
        return self._say(("finish", grade_id, limits, True), limits)

    def test(self, grade_id, connection, limits, asked=False):
        """Judge one test from its beginning to its end; returns what `begin` does."""
        verdict = self.begin(grade_id, connection, limits, asked)
        return self.finish(grade_id, limits) if verdict is None else verdict

    def _say(self, what, limits, connection=None):
        self.socket.settimeout(limits.test + 2 * GRACE)
        descriptors = [connection.fileno()] if connection else []
        try:
            socket.send_fds(self.socket, [b"t"], descriptors)
            _send(self.socket, pickle.dumps(what))
            said = _take(self.socket)
        except OSError:
            said = b""
        if said:
            return json.loads(said)
        self._leave()
        return f"the check did not end in {limits.test:g} s, or took too much memory"


# ---- in the referee, the bench and the judge ----------------------------------------


def main(worker, errors):
    """Fork a bench for each socket that comes, until the worker is gone.

    errors: the descriptor for what belongs in the worker's log.
    """
    os.dup2(errors, STDERR)
    os.close(errors)
    import numpy
    from torch.overrides import resolve_name

    from grading.judge import bundle, judge  # noqa: F401 (what is slow to import)

    numpy.random.seed()  # kernels come from the same parent and know its numbers
    resolve_name(len)  # it makes a table that checks.forbid needs
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.collect()
    gc.freeze()
    while True:
        message, descriptors, _, _ = socket.recv_fds(worker, 1, 1)
        if not message:
            return
        if os.fork() == 0:
            worker.close()
            _alone(_bench, socket.socket(fileno=descriptors[0]))
        os.close(descriptors[0])


def _alone(function, *arguments):
    """Run a function as the whole life of a forked process."""
    try:
        _die_with_parent()
        function(*arguments)
    except BrokenPipeError:
        pass  # the worker wants no answer any more
    except BaseException:
        traceback.print_exc()  # a mistake of this package's: it belongs in the log
    finally:
        os._exit(0)


def _bench(worker):
    """Run an assignment's set-up cells, then fork a judge for each test."""
    from grading.judge.judge import Judge

    bundle = pickle.loads(_take(worker))
    try:
        judge = Judge(bundle)
    except BaseException as error:
        _send(worker, f"{type(error).__name__}: {error}".encode())
        return
    cells = {cell.grade_id: cell for cell in bundle.tests}
    gc.collect()
    gc.freeze()
    _send(worker, b"ready")
    while True:
        message, descriptors, _, _ = socket.recv_fds(worker, 1, 1)
        if not message:
            return
        if os.fork() == 0:
            worker.close()
            _alone(_judge, judge, cells, socket.socket(fileno=descriptors[0]))
        os.close(descriptors[0])


def _judge(judge, cells, worker):
    """Judge tests until the worker wants no more."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process, whatever it does
    before = _mapped()
    while True:
        signal.setitimer(signal.ITIMER_REAL, 0)
        message, descriptors, _, _ = socket.recv_fds(worker, 1, 1)
        if not message:
            return
        what, grade_id, limits, asked = pickle.loads(_take(worker))
        most = min(_mapped() + limits.memory, before + 2 * limits.memory)
        _limit_memory(most)  # those that were begun keep their values
        signal.setitimer(signal.ITIMER_REAL, limits.test + GRACE)
        if what == "begin":
            connection = socket.socket(fileno=descriptors[0])
            verdict = judge.begin(cells[grade_id], connection, limits, asked)
        else:
            verdict = judge.finish(grade_id, limits)
        _send(worker, json.dumps(verdict).encode())


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


def _die_with_parent():
    from grading.sandbox import confine

    with suppress(Exception):  # Linux only; elsewhere the sockets end
        confine.die_with_parent()


def _send(connection, data):
    connection.sendall(_SIZE.pack(len(data)) + data)


def _take(connection):
    """What `_send` sent; b"" at the end."""
    with suppress(EOFError):
        (size,) = _SIZE.unpack(_exactly(connection, _SIZE.size))
        return _exactly(connection, size)
    return b""


def _exactly(connection, size):
    data = bytearray()
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return bytes(data)
