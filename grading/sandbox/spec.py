"""What a sandbox is made of: what exists inside, its limits, bwrap's command line."""

import json
import os
import shutil
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

from grading.sandbox import confine

COURSE = Path(__file__).resolve().parents[2]
HOME = "/home/student"
WORK = f"{HOME}/work"
SCRATCH = ("/tmp", "/dev/shm", HOME)  # a tmpfs each
# Of the system's configuration only what the loader, the clock and fonts need.
SYSTEM_FILES = (
    "/etc/alternatives",
    "/etc/fonts",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/nix/store",
)
SYSTEM_FOLDERS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
PREFIX = "grading-"  # of folders and cgroups
# Bytes that importing torch may take: of address space, and of memory of its own.
LIBRARIES, LIBRARIES_DATA = 10 << 30, 1 << 29
MOST_FILES, MOST_BYTES = 200, 64 << 20  # of what lies beside a notebook
_INSIDE = "/run/confine.py"


@dataclass(frozen=True)
class Bounds:
    """What one sandbox may use.

    memory: bytes, all its processes together.
    scratch: bytes that each of its temporary file systems may hold.
    """

    memory: int = 2 << 30
    processes: int = 128
    file_size: int = 256 << 20
    open_files: int = 512
    cpu_seconds: int = 600
    scratch: int = 256 << 20


def readable():
    """Paths of this machine that exist inside, read-only: system, Python, dot2gpt."""
    base = sys.base_prefix  # some tools reach it through a link
    wanted = ["/usr", *SYSTEM_FILES, base, os.path.realpath(base), sys.prefix]
    # The course's library is public; it lies elsewhere when installed with pip -e.
    wanted += find_spec("dot2gpt").submodule_search_locations
    found = []
    for path in filter(os.path.exists, wanted):
        if not any(Path(path).is_relative_to(other) for other in found):
            found.append(path)
    return found


def exposed():
    """A path that exists inside and holds the whole course; "" if there is none."""
    for path in readable():
        if COURSE.is_relative_to(Path(path).resolve()):
            return path
    return ""


def system_links():
    """{/bin: "usr/bin", …} for the folders of the system that are links into /usr."""
    return {
        f"/{name}": os.readlink(f"/{name}")
        for name in SYSTEM_FOLDERS
        if os.path.islink(f"/{name}")
    }


def system_folders():
    """Those of them that are folders of their own."""
    paths = [f"/{name}" for name in SYSTEM_FOLDERS]
    return [path for path in paths if os.path.isdir(path) and not os.path.islink(path)]


def environment():
    """Every environment variable that exists inside."""
    return {
        "PATH": f"{sys.prefix}/bin:/usr/bin:/bin",
        "HOME": HOME,
        "USER": "student",
        "LANG": "C.UTF-8",
        "IPYTHONDIR": f"{HOME}/.ipython",
        "MPLBACKEND": "agg",
        "MPLCONFIGDIR": f"{HOME}/.matplotlib",
        "PYTHONDONTWRITEBYTECODE": "1",
        # One thread, so that sums come out the same each time; no progress bars, since
        # nbgrader takes the points from a cell that writes to stderr.
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "TQDM_DISABLE": "1",
    }


def bwrap_command(command, folder, files, bounds, variables):
    """The command line that runs `command` inside bubblewrap.

    folder: the one folder of this machine that can be written inside (the sockets).
    files: paths that are shown, read-only, in the working folder.
    variables: the environment.
    """
    line = ["bwrap", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    line += ["--unshare-cgroup-try", "--die-with-parent", "--new-session", "--clearenv"]
    line += ["--hostname", "sandbox", "--cap-drop", "ALL"]
    if not is_root():
        nobody = str(confine.NOBODY)
        line += ["--unshare-user", "--uid", nobody, "--gid", nobody, "--disable-userns"]
    else:  # `confine.py outside` has made the user namespace; `inside` leaves root
        for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"):
            line += ["--cap-add", capability]
    line += ["--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev"]
    for path in SCRATCH:
        line += ["--perms", "1777", "--size", str(bounds.scratch), "--tmpfs", path]
    line += ["--perms", "1777", "--dir", WORK]
    for path, target in system_links().items():
        line += ["--symlink", target, path]
    shown = [*system_folders(), *readable()]
    for path in _above(*shown, folder, _INSIDE):  # else for root alone, if this is root
        line += ["--perms", "0755", "--dir", path]
    for path in shown:
        line += ["--ro-bind", path, path]
    line += ["--ro-bind", confine.__file__, _INSIDE]
    for path in files:
        line += ["--ro-bind", path, f"{WORK}/{os.path.basename(path)}"]
    line += ["--bind", folder, folder, "--remount-ro", "/", "--chdir", WORK]
    for name, value in variables.items():
        line += ["--setenv", name, value]
    plan = {"bounds": asdict(bounds), "room": LIBRARIES, "data": LIBRARIES_DATA}
    inside = [sys.executable, "-I", "-S", _INSIDE, "inside", json.dumps(plan)]
    return [*line, "--", *inside, *command]


def _above(*paths):
    """The folders that the paths lie in, outermost first, without those of SCRATCH."""
    above = {str(parent) for path in paths for parent in Path(path).parents}
    return sorted(above - {"/", "/dev", *SCRATCH})


def supervised(command, box, cgroups):
    """The command line that runs bubblewrap's, and cleans up if this process dies."""
    plan = {"parent": os.getpid(), "folder": str(box.path), "cgroups": cgroups}
    script = [sys.executable, "-I", "-S", confine.__file__, "outside"]
    return [*script, json.dumps(plan), *command]


def zygote_request(arguments, box, files, bounds, variables, cgroups):
    """What the zygote needs to know to make the same sandbox itself.

    arguments: the kernel's; the others as in `bwrap_command` and `supervised`.
    """
    return {
        "arguments": arguments,
        "folder": str(box.path),
        "root": str(box.root),
        "sockets": str(box.sockets),
        "work": WORK,
        "scratch": SCRATCH,
        "links": system_links(),
        "readable": [*system_folders(), *readable()],
        "files": files,
        "environment": variables,
        "bounds": asdict(bounds),
        "cgroups": cgroups,
    }


class Box:
    """A private folder on this machine for one sandbox.

    It holds `lock` (locked as long as the sandbox is ours; names its cgroups), `root`
    (where the zygote builds the sandbox's file system), `files` (copies of what lies
    beside the notebook) and `s` (connection file and sockets: all that is shared).
    """

    def __init__(self):
        made = Path(tempfile.mkdtemp(prefix=f".{PREFIX}", dir=_run_folder()))
        self._lock = open(made / "lock", "w")
        with suppress(OSError):
            _lock(self._lock)
        # Only under this name `sweep` sees it: never without its lock.
        self.path = made.rename(made.with_name(made.name[1:]))
        self.sockets, self.root = self.path / "s", self.path / "root"
        self.files = self.path / "files"
        self.root.mkdir()

    def note(self, cgroups):
        """Write down the sandbox's cgroups, for `sweep` if this process is killed."""
        self._lock.seek(0)
        self._lock.truncate()
        self._lock.write("\n".join(cgroups))
        self._lock.flush()

    def empty(self):
        """Make the folders of sockets and files new: the last kernel wrote there."""
        for folder in (self.sockets, self.files):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)

    def give_to_sandbox(self):
        """Make the shared folder the sandbox's user's, which matters to root only."""
        if is_root():
            for path in (self.sockets, *self.sockets.iterdir()):
                os.chown(path, confine.NOBODY, confine.NOBODY, follow_symlinks=False)

    def take_files(self, folder):
        """Copy what lies beside a notebook; returns the copies' paths, top level only.

        What exceeds MOST_FILES or MOST_BYTES is left out.
        """
        total = 0
        for path in islice(beside(folder), MOST_FILES):
            total += path.stat().st_size
            if total > MOST_BYTES:
                break
            copy = self.files / path.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        for where, _, names in os.walk(self.files):
            os.chmod(where, 0o755)
            for name in names:
                os.chmod(os.path.join(where, name), 0o644)
        return sorted(str(path) for path in self.files.iterdir())

    def remove(self):
        """Remove the folder and let go of the lock."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def beside(folder):
    """What lies in a submission's folder; no notebooks, links, and nbgrader's file."""
    for where, folders, names in os.walk(folder):
        folders.sort()
        for path in (Path(where, name) for name in sorted(names)):
            own = path.suffix == ".ipynb" or path == Path(folder, "timestamp.txt")
            if not own and not path.is_symlink() and path.is_file():
                yield path


def _run_folder():
    """Where private folders go: memory, so that what is written there counts."""
    for folder in (os.environ.get("XDG_RUNTIME_DIR"), "/dev/shm"):
        if folder and os.access(folder, os.W_OK):
            return folder
    return tempfile.gettempdir()


def is_root():
    """Whether this process is the superuser's; never on Windows."""
    return getattr(os, "getuid", lambda: None)() == 0


def _lock(file):
    """Lock a file until it is closed.

    Raises OSError if another process holds it, or where there are no such locks.
    """
    try:
        import fcntl
    except ImportError:
        raise OSError("there are no file locks on this machine") from None
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def sweep():
    """Remove what runs that were killed have left: folders whose lock nobody holds."""
    for folder in Path(_run_folder()).glob(f"{PREFIX}*"):
        # A link, or somebody else's folder, can't be opened or is not removed.
        with suppress(OSError), open(folder / "lock") as lock:
            _lock(lock)
            confine.remove(str(folder), lock.read().splitlines())
