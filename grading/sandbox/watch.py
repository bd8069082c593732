"""Looks after a sandbox from outside, and ends it when it breaks a limit.

Where there is a cgroup, the system counts; where there is none, memory, temporary files
and processes are added up here. In any case only sockets belong into the one folder
that a sandbox shares with this machine, and it may have so many of them, as each holds
memory of the system's.
"""

import os
import stat
import threading
from contextlib import suppress

import psutil

INTERVAL = 0.25  # seconds
MOST_SOCKETS, MOST_BYTES = 16, 1 << 16  # in the shared folder
MOST_OPEN = 300  # sockets; a kernel has about 50


class Watch:
    """A thread that ends a kernel at once when it breaks a limit.

    verdict: which limit was broken, as a sentence; "" as long as none was.
    """

    def __init__(self, process, box, bounds, cgroup):
        self.verdict = ""
        self._process, self._box, self._bounds = process, box, bounds
        self._cgroup = cgroup
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self):
        """End the thread, after a last look."""
        self._stopped.set()
        self._thread.join()

    def _run(self):
        stopped = False
        while not stopped:
            stopped = self._stopped.wait(INTERVAL)
            self.verdict = self._foreign_file() or self._too_much()
            if self.verdict:
                self._process.kill()
                return

    def _foreign_file(self):
        """What is in the shared folder and does not belong there."""
        with suppress(FileNotFoundError):
            entries = list(os.scandir(self._box.sockets))
            if len(entries) > MOST_SOCKETS:
                return "it filled the folder of its sockets"
            for entry in entries:
                mode = entry.stat(follow_symlinks=False).st_mode
                regular = entry.name == "kernel.json" and stat.S_ISREG(mode)
                if not regular and not stat.S_ISSOCK(mode):
                    return f"it wrote {entry.name!r} into the folder of its sockets"
                if regular and entry.stat().st_size > MOST_BYTES:
                    return "it filled the folder of its sockets"
        return ""

    def _too_much(self):
        """Whether all processes together have too much memory, or are too many."""
        memory = f"it used more than {self._bounds.memory / 2**30:.3g} GiB of memory"
        first = _first_process(self._process.pid)
        if _sockets(first) > MOST_OPEN:
            return f"it opened more than {MOST_OPEN} sockets"
        if self._cgroup.folders:
            return memory if self._cgroup.out_of_memory() else ""
        with suppress(psutil.NoSuchProcess, ValueError):
            family = psutil.Process(int(first)).children(recursive=True)
            if len(family) > self._bounds.processes:
                return f"it started more than {self._bounds.processes} processes"
            files = _files(family[0].pid) if family else 0
            if files + sum(map(_memory, family)) > self._bounds.memory:
                return memory
        return ""


def _first_process(supervisor):
    """The process id of a sandbox's first process, as text; "" if it has ended.

    It is ours, and cannot be read by whoever is not root.
    """
    with suppress(OSError), open(f"/proc/{supervisor}/task/{supervisor}/children") as f:
        return f.read().strip()
    return ""


def _memory(process):
    """Bytes of a process; a page that several share counts once in all."""
    try:
        return process.memory_full_info().pss
    except psutil.AccessDenied:
        return process.memory_info().rss
    except psutil.Error:
        return 0  # it has ended


def _files(pid):
    """Bytes of the temporary files that a process sees, unlinked ones too."""
    with suppress(OSError):
        disk = os.statvfs(f"/proc/{pid}/root/tmp")
        return (disk.f_blocks - disk.f_bfree) * disk.f_frsize
    return 0


def _sockets(pid):
    """How many sockets there are in a process's network, those on their way too."""
    with suppress(OSError, IndexError), open(f"/proc/{pid}/net/sockstat") as file:
        return int(file.readline().split()[2])  # sockets: used 42
    return 0
