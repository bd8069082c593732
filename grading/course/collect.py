"""`python -m grading collect`: sort what an LMS exports into submitted/.

Everything that comes in is kept, as it came, in collected/ASSIGNMENT/STUDENT/; the
newest of a student's submissions is copied to submitted/STUDENT/ASSIGNMENT/, where it
is graded. A person keeps the folder that the first export gave. Collecting the same
export again changes nothing.
"""

import errno
import hashlib
import json
import mmap
import os
import re
import shutil
import tempfile
import unicodedata
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from dot2gpt import handed_in
from grading.course import archives, clean, layouts, store
from grading.course.layouts import NOTEBOOK, student_id, unnumbered

FOLDER = "collected"
RECORD = "submission.json"
MAX_STUDENT = 200 << 20  # bytes of one submission, unpacked
_FATAL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


@dataclass
class Received:
    """One submission as it came in; saved beside its files."""

    student: str
    name: str = ""  # as the LMS gives it: a stranger's words
    lms: str = ""  # canvas, moodle, blackboard, brightspace, gradescope or ""
    lms_id: str = ""
    time: str = ""  # ISO, UTC; "" if the export does not say
    late: bool = False
    again: int = 0  # the LMS's number of a repeated file
    source: str = ""  # the name of the export
    files: list[str] = field(default_factory=list)
    count: int = 1  # submissions of this student for this assignment, this one included
    number: int = 0  # the LMS's number of the upload
    stamp: str = ""  # ISO, UTC: the time that a file bears where no time is said

    def __post_init__(self):
        if self.lms in layouts.UNTIMED and self.time:  # noted so by earlier versions
            self.stamp, self.time = self.time, ""

    def order(self):
        """What makes a submission newer than another."""
        return self.time, self.number, self.stamp, self.again, self.source

    def person(self):
        """Who it is, by the LMS's number where there is one."""
        return self.lms, self.lms_id or unicodedata.normalize("NFC", self.name)

    def shown_name(self):
        """The name, for pages and files."""
        return clean.name(self.name)

    def details(self):
        """What nbgrader's gradebook can hold of it."""
        first, _, last = self.shown_name().rpartition(" ")
        names = {"first_name": first, "last_name": last} if first else {}
        number = self.lms == "canvas" and self.lms_id.isdecimal()
        return {**names, "lms_user_id": self.lms_id if number else ""}

    def notes(self):
        """Sentences for the summary: late, repeated."""
        when = f" ({self.time[:16].replace('T', ' ')} UTC)" if self.time else ""
        said = [f"handed in late{when}"] if self.late else []
        if self.count > 1:
            said.append(
                f"handed in {self.count} times: the newest{when} counts, the others "
                f"are in {FOLDER}/"
            )
        return said


@dataclass
class Collected:
    """What came of one export."""

    new: dict = field(default_factory=dict)  # (assignment, student) -> Received
    known: int = 0  # submissions that were there already
    refused: list[str] = field(default_factory=list)  # sentences
    untimed: dict = field(default_factory=dict)  # LMS -> students whose time it hides


@dataclass
class _Submission:
    """A person's files in an export, before they are stored."""

    received: Received
    files: list  # [(name, archives.Entry)]
    place: str  # the assignment that the path names


def collect(root, source, assignment="", due=None):
    """Sort the export `source` into collected/ and submitted/; returns a Collected.

    assignment: the one that everything in the export belongs to; "" to find out from
        each notebook.
    due: a datetime with time zone; what came later is late, where the export says
        when that was. None: what the LMS says.

    Raises archives.Refused if the export cannot be used at all.
    """
    root, done = Path(root), Collected()
    for place in (".new-*", "submitted/*/.new-*", f"{FOLDER}/*/*/.new-*"):
        for left in root.glob(place):  # of a collection that was killed
            shutil.rmtree(left, ignore_errors=True)
    sheets, folders = _sheets(root), _Folders(root)
    given = assignment, sheets
    entries = archives.entries(source, done.refused)
    owned = layouts.owners(entries, sheets, done.refused)
    for submission in _submissions(owned, Path(source).name):
        received = submission.received
        received.student = folders.of(received)
        if due and received.time:
            received.late = datetime.fromisoformat(received.time) > due
        elif due:
            done.untimed.setdefault(received.lms, set()).add(received.student)
        _one_alone(done, received.student, _store, root, submission, given, done)
    for folder in sorted((root / FOLDER).glob("*/*")):
        name, student = folder.parts[-2:]
        _one_alone(done, student, _publish, root, name, student)
    return done


def _one_alone(done, student, action, *arguments):
    """Do it for one student; what fails there does not stop the others."""
    try:
        action(*arguments)
    except OSError as error:
        if error.errno in _FATAL:
            raise archives.Refused(f"cannot save: {error.strerror}") from None
        done.refused.append(f"{student}: cannot be saved: {error.strerror}")


def received(root, assignment):
    """{student: the newest Received} of an assignment, from collected/."""
    found = {}
    for folder in sorted(Path(root, FOLDER, assignment).glob("*")):
        newest = _newest(folder)
        if newest:
            found[folder.name] = newest[1]
    return found


class _Folders:
    """Which folder is whose: each person's own, the same in all exports."""

    def __init__(self, root):
        self.of_person, self.taken = {}, set()
        for folder in sorted(Path(root, FOLDER).glob("*/*")):
            if newest := _newest(folder):
                self.of_person.setdefault(newest[1].person(), folder.name)
                self.taken.add(folder.name.casefold())

    def of(self, received):
        """The folder's name of the person who handed this in."""
        person = received.person()
        if person not in self.of_person:
            name = student_id(received.name)
            number = student_id(received.lms_id, 60) if received.lms else ""
            whole = "_".join(filter(None, (name, number))) or "nobody"
            count, free = 1, whole
            while free.casefold() in self.taken:
                count, free = count + 1, f"{whole}_{count + 1}"
            self.of_person[person] = free
            self.taken.add(free.casefold())
        return self.of_person[person]


def _submissions(owned, source):
    """What each person handed in at one time, and for one assignment."""
    groups = {}
    for one in owned:
        # In an export of Canvas or Moodle, and in a folder, all is of one time.
        time = one.time if one.lms not in ("", *layouts.UNTIMED) else ""
        key = (one.lms, one.id or one.name, time, one.place)
        groups.setdefault(key, []).append(one)
    for group in groups.values():
        yield from _split(group, source)


def _split(group, source):
    """Submissions; a repeated notebook (`sheet-1.ipynb`) is one of its own."""
    repeats = {one.file: _again(one) for one in group}
    notebooks = [one for one in group if one.file.lower().endswith(NOTEBOOK)]
    numbers = sorted({repeats[one.file] for one in notebooks}) or [0]
    for number in numbers:
        parts = [one for one in notebooks if repeats[one.file] == number]
        first = max(parts or group, key=lambda one: (one.number, one.time))
        stamps = [one.entry.time for one in parts or group if one.entry.time]
        files = [(unnumbered(p.file) if number else p.file, p.entry) for p in parts]
        if number == numbers[-1]:
            files += [(one.file, one.entry) for one in group if one not in notebooks]
        got = Received(
            student="",
            name=first.name,
            lms=first.lms,
            lms_id=first.id,
            time=first.time,
            late=any(one.late for one in group),
            again=number,
            source=source,
            number=first.number,
            stamp=max(stamps).isoformat(timespec="seconds") if stamps else "",
        )
        yield _Submission(got, files, first.place)


def _again(one):
    """The number that an LMS gives a repeated notebook, as in `sheet-1.ipynb`."""
    if len(one.entry.parts) > 1:  # in a person's own folder
        return 0
    match = layouts.AGAIN.search(Path(one.file).name.partition(".")[0])
    return int(match[1] or match[2]) if match else 0


# ---- which assignment ---------------------------------------------------------------


def _sheets(root):
    """{assignment: the sheet as it was handed out}."""
    found = sorted(Path(root).glob("chapters/*/*_exercises.ipynb"))
    return {path.parent.name: path for path in found}


def _by_assignment(folder, names, given, sheets):
    """{assignment: its files}; what is no notebook goes to each. "" for unknown."""
    if given:
        return {given: names}
    notebooks = [name for name in names if name.lower().endswith(NOTEBOOK)]
    found = {}
    for name in notebooks or names:
        found.setdefault(_assignment_of(folder, name, sheets), []).append(name)
    if len(found) > 1:
        found.pop("", None)
    others = [name for name in names if name not in notebooks]
    return {
        assignment: own if own == others else [*others, *own]
        for assignment, own in found.items()
    }


def _assignment_of(folder, name, sheets):
    """The assignment of one file, by its cell ids, else by its name; "" if unknown."""
    ids = _ids(folder / name)
    shared = {
        assignment: len(ids & _ids_of(sheet)) for assignment, sheet in sheets.items()
    }
    best = max(shared, key=shared.get, default="")
    if best and shared[best]:
        return best
    named = [a for a, sheet in sheets.items() if a in name or sheet.stem in name]
    return named[0] if len(named) == 1 else ""


@cache
def _ids_of(sheet):
    return _ids(sheet)


def _ids(path):
    """What looks like nbgrader's cell ids in a notebook, broken or not."""
    with suppress(ValueError), open(path, "rb") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
                return _ids_in(data[:].decode("utf-16", "replace").encode())
            return _ids_in(data)
    return set()  # it is empty


def _ids_in(data):
    pattern = rb'"grade_id"\s{0,9}:\s{0,9}"([^"\\]{1,100})"'
    return {match[1] for match in re.finditer(pattern, data)}


# ---- storing ------------------------------------------------------------------------


def _store(root, submission, given, done):
    """Put one submission into collected/, unless it is there."""
    received, (assignment, sheets) = submission.received, given
    with tempfile.TemporaryDirectory(prefix=".new-", dir=root) as folder:
        names = _unpack(submission, Path(folder), done.refused)
        whole = assignment or submission.place
        found = _by_assignment(Path(folder), names, whole, sheets) if names else {}
        for name, own in found.items():
            if name:
                target = root / FOLDER / name / received.student
                _store_one(Path(folder), own, target, received, done)
                continue
            done.refused.append(
                f"{received.student}: which assignment is it? Nothing in "
                f"{handed_in.shown(own[0])} says; give --assignment"
            )


def _store_one(folder, names, target, received, done):
    checksum = _checksum(folder, names)
    received = replace(received, files=sorted(names))
    there = next(iter(sorted(target.glob(f"*-{checksum}"))), None)
    if there:
        done.known += 1
        with suppress(OSError, ValueError, TypeError):
            if _read_record(there).order() < received.order():  # handed in again
                store.write(there / RECORD, _record(received))
        return
    stamp = (received.time or received.stamp)[:19].replace(":", "") or "undated"
    target.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=target))
    try:
        for name in names:
            path = temporary / "files" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, path)
        (temporary / RECORD).write_bytes(_record(received))
        os.chmod(temporary, 0o755)
        os.rename(temporary, target / f"{stamp}-{checksum}")
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    done.new[target.parent.name, received.student] = _newest(target)[1]


def _checksum(folder, names):
    total = hashlib.sha256()
    for name in sorted(names):
        path = folder / name
        total.update(f"{name}\0{path.stat().st_size}\0".encode("utf-8", "replace"))
        with open(path, "rb") as file:
            while piece := file.read(archives.PIECE):
                total.update(piece)
    return total.hexdigest()[:12]


def _record(received):
    text = json.dumps(asdict(received), ensure_ascii=False, indent=1)
    return text.encode("utf-8", "replace")


def _read_record(folder):
    return Received(**json.loads((folder / RECORD).read_text(encoding="utf-8")))


def _unpack(submission, folder, refused):
    """Write a submission's files; returns their names. A zip handed in is opened."""
    student, names, left = submission.received.student, [], MAX_STUDENT
    waiting = [(name, entry, True) for name, entry in submission.files]
    while waiting:
        name, entry, outer = waiting.pop(0)
        if Path(name).name in ("timestamp.txt", RECORD):
            continue
        try:
            safe = _place(name, folder)
            left -= entry.save(folder / safe, min(left, archives.MAX_FILE))
            if outer and safe.lower().endswith(".zip"):
                said = []
                inside = archives.inner(folder / safe, name, said, left)
                waiting += [("/".join(e.parts), e, False) for e in inside]
                refused += [f"{student}: {why}" for why in said]
            else:
                names.append(safe)
        except archives.Refused as why:
            (folder / safe).unlink(missing_ok=True)
            refused.append(f"{student}: {handed_in.shown(name)} was left out: {why}")
    return names


def _place(name, folder):
    """A path for a file, with parts that every disk takes and no other file has."""
    parts = []
    for part in name.split("/"):
        part = "".join(
            c if c.isprintable() and c not in ':*?"<>|\\' else "_" for c in part
        )
        short = len(part.encode()) <= 120
        part = part if short else f"{part[:24]}…{part[-16:]}"
        part = "_" if part in ("", ".", "..") else part
        while parts and Path(folder, *parts).is_file():  # `a` beside `a/b`
            parts[-1] += "_"
        parts.append(part)
    stem, number = Path(*parts), 1
    while (folder / stem).exists():
        number += 1
        stem = Path(*parts[:-1], f"{number}_{parts[-1]}")
    (folder / stem).parent.mkdir(parents=True, exist_ok=True)
    return stem.as_posix()


def _newest(folder):
    """(folder, Received) of the newest submission in collected/A/STUDENT/; or None."""
    found = []
    for one in folder.glob("[!.]*"):
        with suppress(OSError, ValueError, TypeError):
            found.append((one, _read_record(one)))
    if not found:
        return None
    folder, newest = max(found, key=lambda pair: pair[1].order())
    newest.count = len(found)
    return folder, newest


def _publish(root, assignment, student):
    """Make submitted/STUDENT/ASSIGNMENT/ the newest submission that was collected."""
    newest = _newest(root / FOLDER / assignment / student)
    if not newest:
        return
    folder, received = newest
    target = root / "submitted" / student / assignment
    same = target.is_dir() and store.checksum(target) == store.checksum(
        folder / "files"
    )
    stamp = target / "timestamp.txt"
    if same and stamp.exists() == bool(received.time):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=target.parent))
    try:
        shutil.copytree(folder / "files", temporary, dirs_exist_ok=True)
        if received.time:
            when = datetime.fromisoformat(received.time).astimezone(UTC)
            text = when.strftime("%Y-%m-%d %H:%M:%S UTC")
            (temporary / "timestamp.txt").write_text(text, encoding="utf-8")
        os.chmod(temporary, 0o755)
        if os.path.lexists(target):
            _put_aside(root, assignment, student, target)
        os.rename(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _put_aside(root, assignment, student, target):
    """Move what is in submitted/ away; what nobody collected is kept for good."""
    here = root / FOLDER / assignment / student
    sums = {store.checksum(one / "files") for one in here.glob("[!.]*")}
    if target.is_dir() and not target.is_symlink() and store.checksum(target) in sums:
        shutil.rmtree(target)
        return
    kept = root / FOLDER / "put_aside" / student
    kept.mkdir(parents=True, exist_ok=True)
    number = sum(1 for _ in kept.iterdir()) + 1
    os.rename(target, kept / f"{assignment}-{number}")
