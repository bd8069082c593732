"""What attacks are after: a course on disk, a home, a process, a port."""

import hashlib
import os
import secrets
import socket
import sqlite3
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil

from tests.hostile import sheet

NEIGHBOUR, BOOK = "lapwing-71aa", "dunlin-0b3f"
VARIABLE, KEY, ARGUMENT = "plover-55d0", "curlew-c2e8", "whimbrel-3f6b"
SECRETS = (
    sheet.SOLUTION,
    sheet.HIDDEN,
    *sheet.SECRET_NUMBERS,
    *(NEIGHBOUR, BOOK, VARIABLE, KEY, ARGUMENT),
)
SHARED = ("/tmp", "/dev/shm")  # folders where anybody may leave files
SLEEP = "import time; print(flush=True); time.sleep(120)"


class World:
    """A course in `folder`, and what else is there; used as a context."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.root, self.home = self.folder / "course", self.folder / "home"
        self.mark = f"hostile-{secrets.token_hex(6)}"
        self._stack, self._heard = ExitStack(), []

    def __enter__(self):
        for place, text in {
            f"solutions/hostile/{sheet.NAME}": sheet.solutions(),
            f"submitted/bob/hostile/{sheet.NAME}": NEIGHBOUR,
        }.items():
            path = self.root / place
            path.parent.mkdir(parents=True)
            path.write_text(text)
        book = sqlite3.connect(self.root / "gradebook.db")
        book.execute("create table grade (student text, points real, note text)")
        book.execute("insert into grade values ('eve', 1.0, ?)", [BOOK])
        book.commit()
        book.close()
        (self.home / ".ssh").mkdir(parents=True)
        (self.home / ".ssh" / "id").write_text(KEY)
        (self.home / ".bashrc").write_text("")
        for family, place in (
            (socket.AF_INET, ("127.0.0.1", 0)),
            (socket.AF_UNIX, str(self.folder / "socket")),
            (socket.AF_UNIX, f"\0{self.mark}"),
        ):
            self._listen(family, place)
        command = [sys.executable, "-I", "-S", "-c", SLEEP, ARGUMENT]
        self.process = subprocess.Popen(
            command,
            env={"TOKEN": VARIABLE},
            stdout=subprocess.PIPE,
            cwd=self.root,
        )
        self.process.stdout.readline()
        return self

    def __exit__(self, *_):
        self._stack.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def _listen(self, family, place):
        server = self._stack.enter_context(socket.socket(family))
        server.bind(place)
        server.listen(64)
        if family == socket.AF_INET:
            self.port = server.getsockname()[1]
        threading.Thread(target=self._hear, args=[server], daemon=True).start()
        # Closing alone does not wake who waits for it.
        self._stack.callback(lambda: server.shutdown(socket.SHUT_RDWR))

    def _hear(self, server):
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection:
                    connection.settimeout(2)
                    with suppress(OSError):
                        self._heard.append(connection.recv(4096))

    def facts(self, own, mark):
        """What a submission in the folder `own` knows."""
        return {
            "ROOT": str(self.root),
            "OWN": str(own),
            "HOME": str(self.home),
            "PORT": self.port,
            "SOCKET": str(self.folder / "socket"),
            "ABSTRACT": f"\0{self.mark}",
            "PID": self.process.pid,
            "MARK": mark,
        }

    def heard(self, mark):
        """Whether a run has reached a port or a socket."""
        return any(mark.encode() in data for data in self._heard)

    def state(self):
        """All that can be changed here, as a value to compare."""
        with suppress(psutil.Error):
            process = psutil.Process(self.process.pid)
            limits = process.rlimit(psutil.RLIMIT_NOFILE)
            harmed = process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE)
            return tree(self.root), tree(self.home), harmed, limits
        return None


def tree(folder):
    """{path: what it is and holds} of everything below a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        data = None
        if path.is_file() and not path.is_symlink():
            data = hashlib.sha256(path.read_bytes()).hexdigest()
        entry = status.st_mode, status.st_mtime_ns, data
        found[str(path.relative_to(folder))] = entry
    return found


def survivors(mark):
    """Processes of this machine that a run has left."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any(mark in word for word in process.cmdline()):
                found.append(process)
    return found


def left_files(mark):
    """Files that a run has left where anybody may."""
    paths = [os.path.join(folder, mark) for folder in SHARED]
    return [path for path in paths if os.path.exists(path)]


def clean(mark):
    """Take away what a run has left."""
    for process in survivors(mark):
        with suppress(psutil.Error):
            process.kill()
    for path in left_files(mark):
        os.remove(path)
