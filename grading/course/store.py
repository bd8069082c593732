"""Results on disk, one file a submission, so that a killed run goes on where it was.

`graded/ASSIGNMENT/STUDENT.json` holds the result and two checksums: of what was handed
in, and of the sheet that it was judged by. While both are the same, a submission need
not be graded again. A file is written whole or not at all.
"""

import hashlib
import json
import os
import stat
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from dot2gpt import handed_in

FOLDER = "graded"
MAX_HASHED = 200 << 20  # bytes of one file; of a bigger one, size and time are hashed


@dataclass(frozen=True)
class Result:
    """What came of a submission.

    status: "graded", or "reported" where a person should look at the notes.
    notes: sentences on what was odd. manual: grade_ids that a person grades.
    scores, reasons: {grade_id of a test: its points, why they are not all}.
    notebook: the graded notebook as JSON text; "" if nothing could be read.
    """

    status: str
    notes: list[str] = field(default_factory=list)
    scores: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    manual: list[str] = field(default_factory=list)
    notebook: str = ""
    seconds: float = 0.0

    def to_json(self):
        """The Result as JSON text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text):
        """The Result of `to_json`; raises ValueError or TypeError for other text."""
        return cls(**json.loads(text))


@dataclass(frozen=True)
class Saved:
    """A result as it was saved."""

    submission: str  # checksum of the files handed in
    bundle: str  # checksum of the sheet
    result: Result


class Store:
    """The results of one assignment."""

    def __init__(self, root, assignment):
        self.folder = Path(root) / FOLDER / assignment

    def path(self, student):
        return self.folder / f"{student}.json"

    def get(self, student):
        """What was saved for `student`; None if there is nothing that can be read."""
        try:
            record = json.loads(self.path(student).read_text(encoding="utf-8"))
            result = Result.from_json(record["result"])
            return Saved(record["submission"], record["bundle"], result)
        except (OSError, ValueError, KeyError, TypeError):
            return None  # a file of an older version, or damaged: grade again

    def put(self, student, saved):
        """Save a result; raises OSError if it cannot be, and leaves what was there."""
        record = {
            "submission": saved.submission,
            "bundle": saved.bundle,
            "result": saved.result.to_json(),
        }
        text = json.dumps(record, ensure_ascii=False)
        write(self.path(student), text.encode("utf-8", "replace"))


def write(path, data):
    """Write bytes to `path` so that it is there whole or stays as it was."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


class Busy(Exception):
    """Another run or collection is at work on the course."""


@contextmanager
def alone(root):
    """Hold the course's lock: two runs would grade everything twice.

    The lock goes when its holder ends, however that happens. Raises Busy.
    """
    from filelock import FileLock, Timeout

    folder = Path(root) / FOLDER
    folder.mkdir(exist_ok=True)
    lock = FileLock(folder / ".lock", blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise Busy("another run is at work on this course: wait for it") from None
    try:
        yield
    finally:
        lock.release()


def sweep(folder):
    """Remove what a killed run left half written in `folder`."""
    for left in Path(folder).glob(".new-*"):
        with suppress(OSError):
            left.unlink()


def checksum(folder):
    """A checksum of the files in a submission; links and pipes are not followed."""
    total = hashlib.sha256()
    for name, path, status in _files(folder):
        total.update(
            f"{name}\0{stat.S_IFMT(status.st_mode)}\0".encode("utf-8", "replace")
        )
        if not stat.S_ISREG(status.st_mode):
            continue
        if status.st_size > MAX_HASHED:
            total.update(f"{status.st_size}\0{status.st_mtime_ns}\0".encode())
            continue
        with suppress(OSError, handed_in.Rejected):
            with handed_in.opened(path, MAX_HASHED) as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def pack(folder, limit=MAX_HASHED):
    """[(name, kind, bytes)] of a submission, to grade it on another machine.

    What is not an ordinary file goes along as its kind alone, so that it is refused
    there, too. Raises Rejected if the files hold over `limit` bytes.
    """
    if os.path.islink(folder):
        raise handed_in.Rejected("the folder is a symbolic link")
    packed, size = [], 0
    for name, path, status in _files(folder):
        if stat.S_ISREG(status.st_mode):
            size += status.st_size
            if size > limit:
                raise handed_in.Rejected(f"the files hold over {limit >> 20} MiB")
            packed.append((name, "file", handed_in.read_bytes(path, limit)))
        else:
            packed.append((name, "link", b""))
    return packed


def unpack(packed, folder):
    """Write what `pack` made into an empty folder."""
    for name, kind, data in packed:
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "file":
            path.write_bytes(data)
        else:
            path.symlink_to("what-was-handed-in-is-not-a-file")


def _files(folder):
    """(name, path, status) of what lies in a submission, sorted by name."""
    found = []
    for top, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if f != ".ipynb_checkpoints")
        links = [f for f in folders if os.path.islink(os.path.join(top, f))]
        for file in [*files, *links]:
            path = os.path.join(top, file)
            if file == "timestamp.txt":
                continue
            with suppress(OSError):
                found.append((os.path.relpath(path, folder), path, os.lstat(path)))
    return sorted(found, key=lambda one: one[0])
