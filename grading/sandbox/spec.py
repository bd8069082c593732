"""What a sandbox is made of: what exists inside, its limits, its private folder."""

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
MOST_FILES, MOST_BYTES = 200, 64 << 20  # of what lies beside a notebook


@dataclass(frozen=True)
class Bounds:
    """What one sandbox may use.

    memory: bytes, all its processes together.
    scratch: bytes that its temporary files may hold.
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


def request(box, files, bounds, cgroups, arguments=(), variables=None, probe=False):
    """What the supervisor of a sandbox has to know.

    files: paths that are shown, read-only, in the working folder.
    arguments: of the kernel. variables: its environment; None for the usual one.
    probe: have it say, by its exit status, which calls get through, and run no kernel.
    """
    return {
        "arguments": list(arguments),
        "probe": probe,
        "folder": str(box.path),
        "root": str(box.root),
        "sockets": str(box.sockets),
        "work": WORK,
        "scratch": SCRATCH,
        "links": system_links(),
        "readable": [*system_folders(), *readable()],
        "files": files,
        "environment": variables or environment(),
        "bounds": asdict(bounds),
        "cgroups": cgroups,
    }


class Box:
    """A private folder on this machine for one sandbox.

    It holds `lock` (locked as long as the sandbox is ours; names its cgroups), `root`
    (where the sandbox's file system is built), `files` (copies of what lies
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
