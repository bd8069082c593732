"""The warm parent: a process that has imported what grading needs, and forks.

`python -m grading run` starts one for all its workers; a process that was given none
starts its own when it wants the first fork. A fork belongs to whoever asked for it:
they talk through a connection of their own, and one ends when the other is gone. The
parent has one thread, nothing of the environment of whoever started it, and sees
neither an assignment nor a submission.
"""

import atexit
import gc
import importlib
import os
import signal
import socket
import subprocess
import sys
import threading
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection

from grading.sandbox import confine, spec

KERNEL, BENCH = b"k", b"b"
ROLES = {KERNEL: "grading.sandbox.supervisor", BENCH: "grading.judge.referee"}

PRELOAD = (  # what kernels and judges have, and sheets import
    "faulthandler",
    "grading.judge.judge",
    "ipykernel.kernelapp",
    "ipykernel.debugger",
    "ipykernel.ipkernel",
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.oinspect",
    "IPython.extensions.storemagic",
    "matplotlib.pyplot",
    "matplotlib_inline.backend_inline",
    "nbformat",
    "numpy",
    "psutil",
    "sqlite3",
    "tornado.platform.asyncio",
    "torch._dynamo",  # optimisers and FlopCounterMode import it when they are used
    "torch.nn.functional",
    "torch.testing",
    "tqdm",
    *ROLES.values(),
)
_HUGE, _MADV_COLLAPSE = 2 << 20, 25
_THREADS = "/proc/self/task"  # Linux only; elsewhere there are no sandboxes


class Parent:
    """The warm parent that this process asks.

    requests: the socket through which it is asked. When the last process that has it is
        gone, the parent ends; what it has forked ends with whom it was forked for.
    """

    _one, _making = None, threading.Lock()

    def __init__(self, modules=PRELOAD):
        """Start one. modules: names of what it imports."""
        self.requests, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                command(modules),
                stdin=theirs,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env=bare_environment() | spec.environment() | {"HOME": "/nonexistent"},
                start_new_session=True,
            )
        atexit.register(self.close)

    @classmethod
    def of_this_process(cls):
        """The one that was started or given last; a new one if it has died."""
        with cls._making:
            if cls._one is None or has_ended(cls._one.requests):
                cls._one = cls()
            return cls._one

    @classmethod
    def given(cls, requests):
        """Have this process ask a parent that another one has started."""
        cls._one = cls.__new__(cls)
        cls._one.requests, cls._one.process = requests, None

    def fork(self, role, *descriptors):
        """A Connection to a new fork, which runs `main` of its role with the other end.

        role: KERNEL or BENCH. descriptors: that it gets, too; at most one.

        Raises ConnectionError if the parent is dead.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self.requests, [role], [theirs.fileno(), *descriptors])
        return Connection(ours.detach())

    def close(self):
        """End it; what it has forked stays."""
        self.requests.close()
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        self.process.kill()
        self.process.wait()


def command(modules=PRELOAD):
    """The command line of a warm parent; by hand, it says what it can't import."""
    return [sys.executable, "-P", "-m", "grading.sandbox.warm", *modules]


def bare_environment():
    """The environment of what runs beside the sandbox: nothing of this process's."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8"}


def has_ended(connection):
    """Whether nobody holds the other end of a socket any more."""
    try:
        return not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True


# ---- in the parent ------------------------------------------------------------------


def main():
    """Import what argv names, then fork what is asked for on standard input."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # with what atexit has to do
    sys.modules["debugpy"] = None  # no kernel here is debugged, and it loads slowly
    gc.disable()  # imports leave no garbage worth a quarter of their time
    for name in sys.argv[1:]:
        importlib.import_module(name)
    confine.seccomp()
    gc.freeze()  # so that a collection in a child does not copy every page
    gc.enable()
    use_huge_pages()
    if os.path.isdir(_THREADS) and (threads := len(os.listdir(_THREADS))) != 1:
        sys.exit(f"the warm parent has {threads} threads and can't fork safely")
    requests = socket.socket(fileno=0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for children
    while True:
        role, descriptors, _, _ = socket.recv_fds(requests, 1, 2)
        if not role:
            return
        if os.fork() == 0:
            _become(role, *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def use_huge_pages():
    """Have the kernel put this process's heap into huge pages, where it can.

    A fork copies the table of pages, which is most of what a fork costs.
    """
    with suppress(OSError), open("/proc/self/maps") as file:
        for line in file.read().splitlines():
            place, rights, _, _, _, *name = line.split(maxsplit=5)
            start, end = (int(number, 16) for number in place.split("-"))
            if rights == "rw-p" and name in ([], ["[heap]"]) and end - start >= _HUGE:
                with suppress(OSError):  # Linux older than 6.1, or memory in pieces
                    confine.call("madvise", start, end - start, _MADV_COLLAPSE)


def _become(role, connection, *descriptors):
    """Be what a role is, in a new fork; never returns."""
    try:
        os.dup2(1, 0)  # /dev/null in place of the requests
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        importlib.import_module(ROLES[role]).main(Connection(connection), *descriptors)
    except (ConnectionError, EOFError):
        pass  # whoever asked for it is gone
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()
