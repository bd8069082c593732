"""`python -m grading collect`: sort what an LMS exports into submitted/.

Everything that comes in is kept, as it came, in collected/ASSIGNMENT/STUDENT/; the
newest of a student's submissions is copied to submitted/STUDENT/ASSIGNMENT/, where it
is graded. Collecting the same export again changes nothing.
"""

import errno
import hashlib
import json
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

from grading import archives, intake, store

FOLDER = "collected"
RECORD = "submission.json"
_CANVAS = re.compile(r"^(?P<name>[^_]+)_(?P<late>LATE_)?(?P<id>\d+)_\d+_(?P<file>.+)$")
_MOODLE = re.compile(
    r"^(?P<name>.+?)_(?P<id>\d+)_assignsubmission_(?:file|onlinetext)_?(?P<file>.*)$"
)
_AGAIN = re.compile(r"(?:[-_ ]?\((\d+)\)|-(\d+))$")  # sheet-2.ipynb, sheet (1).ipynb
_NOTEBOOK = (*intake.NOTEBOOK, *intake.SCRIPT, ".ipynb.txt", ".ipynb.json")


@dataclass
class Received:
    """One submission as it came in; saved beside its files."""

    student: str
    name: str = ""  # as the LMS gives it
    lms: str = ""  # canvas, moodle or ""
    lms_id: str = ""
    time: str = ""  # ISO, UTC; "" if the export does not say
    late: bool = False
    again: int = 0  # the LMS's number of a repeated file
    source: str = ""  # the name of the export
    files: list[str] = field(default_factory=list)
    count: int = 1  # submissions of this student for this assignment, this one included

    def order(self):
        """What makes a submission newer than another."""
        return self.time, self.again, self.source

    def details(self):
        """What nbgrader's gradebook can hold of it."""
        first, _, last = self.name.rpartition(" ")
        names = {"first_name": first, "last_name": last} if first else {}
        return {**names, "lms_user_id": self.lms_id if self.lms == "canvas" else ""}

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


@dataclass
class _Submission:
    """A student's files in an export, before they are stored."""

    received: Received
    entries: list  # [(name, archives.Entry)]
    hint: str = ""  # the assignment that the path names


def collect(root, source, assignment="", due=None):
    """Sort the export `source` into collected/ and submitted/; returns a Collected.

    assignment: the one that everything in the export belongs to; "" to find out from
        each notebook.
    due: a datetime with time zone; what came later is late. None: what the LMS says.

    Raises archives.Refused if the export cannot be used at all.
    """
    root, done = Path(root), Collected()
    for left in [*root.glob("submitted/*/.new-*"), *root.glob(f"{FOLDER}/*/*/.new-*")]:
        shutil.rmtree(left, ignore_errors=True)  # of a collection that was killed
    sheets = _sheets(root)
    found = archives.entries(source, done.refused)
    for submission in _submissions(found, sheets, done.refused, Path(source).name):
        _store(root, submission, sheets, assignment, due, done)
    for folder in sorted((root / FOLDER).glob("*/*")):
        _publish(root, folder.parent.name, folder.name)
    return done


def received(root, assignment):
    """{student: the newest Received} of an assignment, from collected/."""
    found = {}
    for folder in sorted(Path(root, FOLDER, assignment).glob("*")):
        newest = _newest(folder)
        if newest:
            found[folder.name] = newest[1]
    return found


# ---- whose is it --------------------------------------------------------------------


def _submissions(entries, sheets, refused, source):
    """The files of an export, put together by student and submission."""
    entries, hint = _without_top(entries, sheets)
    groups = {}
    for entry in entries:
        received, name, place = _owner(entry, sheets)
        if not received:
            refused.append(
                f"{intake.shown('/'.join(entry.parts))} was left out: nothing says "
                "whose it is; put it into a folder with the student's name"
            )
            continue
        received.source = source
        key = (received.student, received.name, received.lms_id, place or hint)
        groups.setdefault(key, []).append((received, name, entry))
    for key, files in _distinct(groups).items():
        yield from _split(files, key[3])


def _without_top(entries, sheets):
    """(entries, assignment): less a folder that wraps all, which may name the sheet."""
    tops = {entry.parts[0] for entry in entries}
    rest = [entry.parts[1:] for entry in entries]
    if len(tops) != 1 or not all(rest):
        return entries, ""
    top = next(iter(tops))
    nested = all(len(parts) > 1 and parts[0] not in sheets for parts in rest)
    named = any(_CANVAS.match(parts[0]) or _MOODLE.match(parts[0]) for parts in rest)
    if _MOODLE.match(top) or not (top in sheets or nested or named):
        return entries, ""
    less = [archives.Entry(e.parts[1:], e.time, e.load) for e in entries]
    return less, top if top in sheets else ""


def _owner(entry, sheets):
    """(Received, file name, assignment) that the path of a file tells."""
    first, *rest = entry.parts
    time = entry.time.isoformat(timespec="seconds") if entry.time else ""
    if match := _MOODLE.match(first):
        name = "/".join([part for part in (match["file"], *rest) if part])
        received = _received(student_id(match["name"]), match, "moodle", time)
        return _numbered(received, match["file"]), name or first, ""
    if not rest and (match := _CANVAS.match(first)):
        student = student_id(f"{match['name']}_{match['id']}")
        received = _received(student, match, "canvas", time)
        return _numbered(received, match["file"]), match["file"], ""
    if rest:
        place = rest[0] if rest[0] in sheets and len(rest) > 1 else ""
        name = "/".join(rest[1:] if place else rest)
        student = student_id(first)
        return Received(student, first, time=time) if student else None, name, place
    stem = _owner_in_stem(first, sheets)
    if not stem:
        return None, first, ""
    return _numbered(Received(stem, stem, time=time), first), first, ""


def _received(student, match, lms, time):
    late = bool(match.groupdict().get("late"))
    return Received(student, match["name"], lms, match["id"], time, late)


def _numbered(received, file):
    """With the number that an LMS gives a repeated notebook, as in `sheet-1.ipynb`."""
    match = _AGAIN.search(Path(file).name.partition(".")[0])
    if match and file.lower().endswith(_NOTEBOOK):
        received.again = int(match[1] or match[2])
    return received


def student_id(name):
    """A name as a folder's name: letters, digits and `-_.`; "" if nothing is left."""
    plain = unicodedata.normalize("NFC", name)
    kept = "".join(c if c.isalnum() or c in "-_." else "_" for c in plain)
    return re.sub(r"_{2,}", "_", kept).strip("-._")[:60]


def _owner_in_stem(file, sheets):
    """The student in `ada_multi_head_exercises.ipynb`; "" if there is none."""
    stem = file
    for ending in sorted(_NOTEBOOK, key=len, reverse=True):
        if stem.lower().endswith(ending):
            stem = stem[: -len(ending)]
            break
    stem = _AGAIN.sub("", stem)
    words = {w for a in sheets for w in (a, sheets[a].stem, a.partition("_")[2])}
    for word in sorted(words, key=len, reverse=True):
        stem = re.sub(rf"(?:^|[-_ ]+){re.escape(word)}(?=$|[-_ ])", "", stem)
    return student_id(stem.strip("-_ "))


def _distinct(groups):
    """The groups, with the LMS's number in the name where two students share one."""
    by_student = {}
    for student, name, lms_id, _ in groups:
        by_student.setdefault(student.casefold(), set()).add((name, lms_id))
    for (student, _, lms_id, _), files in groups.items():
        people = by_student[student.casefold()]
        if len(people) > 1:
            number = lms_id or str(sorted(people).index((files[0][0].name, "")) + 1)
            for received, _, _ in files:
                received.student = f"{student}_{number}"
    return groups


def _split(files, hint):
    """Submissions; a repeated notebook (`sheet-1.ipynb`) is one of its own."""
    notebooks = [one for one in files if one[1].lower().endswith(_NOTEBOOK)]
    numbers = sorted({received.again for received, _, _ in notebooks or files})
    for number in numbers:
        parts = [
            one
            for one in files
            if one[0].again == number
            or (one not in notebooks and number == numbers[-1])
        ]
        first = max((received for received, _, _ in parts), key=lambda r: r.time)
        first.again = number
        first.late = any(received.late for received, _, _ in parts)
        named = [
            (_unnumbered(name) if got.again else name, e) for got, name, e in parts
        ]
        yield _Submission(first, named, hint)


def _unnumbered(name):
    """`sheet.ipynb` for `sheet-1.ipynb`: the number is the LMS's."""
    stem, dot, endings = name.partition(".")
    return f"{_AGAIN.sub('', stem)}{dot}{endings}"


# ---- which assignment ---------------------------------------------------------------


def _sheets(root):
    """{assignment: the sheet as it was handed out}."""
    found = sorted(Path(root).glob("chapters/*/*_exercises.ipynb"))
    return {path.parent.name: path for path in found}


def _by_assignment(files, given, sheets):
    """{assignment: its files}; what is no notebook goes to each. "" for unknown."""
    if given:
        return {given: files}
    notebooks = {n: d for n, d in files.items() if n.lower().endswith(_NOTEBOOK)}
    found = {}
    for name, data in (notebooks or files).items():
        found.setdefault(_assignment_of(name, data, sheets), {})[name] = data
    if len(found) > 1:
        found.pop("", None)
    others = {name: data for name, data in files.items() if name not in notebooks}
    return {assignment: {**others, **own} for assignment, own in found.items()}


def _assignment_of(name, data, sheets):
    """The assignment of one file, by its cell ids, else by its name; "" if unknown."""
    ids = _ids(data.decode("utf-8", "replace"))
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
    return _ids(sheet.read_text(encoding="utf-8"))


def _ids(text):
    """What looks like nbgrader's cell ids in a notebook, broken or not."""
    return set(re.findall(r'"grade_id"\s*:\s*"([^"\\]{1,100})"', text))


# ---- storing ------------------------------------------------------------------------


def _store(root, submission, sheets, assignment, due, done):
    """Put one submission into collected/, unless it is there."""
    received = submission.received
    if due and received.time:
        received.late = datetime.fromisoformat(received.time) > due
    files = _load(submission, done.refused)
    given = assignment or submission.hint
    for name, own in _by_assignment(files, given, sheets).items():
        if not name:
            done.refused.append(
                f"{received.student}: which assignment is it? Nothing in "
                f"{intake.shown(next(iter(own)))} says; give --assignment"
            )
            continue
        try:
            _store_one(root / FOLDER / name / received.student, own, received, done)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
                raise archives.Refused(f"cannot save: {error.strerror}") from None
            done.refused.append(
                f"{received.student}: cannot be saved: {error.strerror}"
            )


def _store_one(folder, files, received, done):
    total = hashlib.sha256()
    for file, data in sorted(files.items()):
        total.update(f"{file}\0{len(data)}\0".encode("utf-8", "replace") + data)
    checksum = total.hexdigest()[:12]
    if any(folder.glob(f"*-{checksum}")):
        done.known += 1
        return
    stamp = received.time[:19].replace(":", "") or "undated"
    received = replace(received, files=sorted(files))
    _write_folder(folder / f"{stamp}-{checksum}", files, received)
    done.new[folder.parent.name, received.student] = _newest(folder)[1]


def _safe(name):
    """A file's path with parts that every disk takes."""
    parts = []
    for part in name.split("/"):
        part = "".join(
            c if c.isprintable() and c not in ':*?"<>|' else "_" for c in part
        )
        parts.append(part if len(part.encode()) <= 120 else f"{part[:24]}…{part[-16:]}")
    return "/".join(parts)


def _load(submission, refused):
    """{name: bytes} of a submission; a zip that was handed in is opened."""
    files = {}
    for name, entry in submission.entries:
        try:
            data = entry.load()
            if name.lower().endswith(".zip"):
                said = []
                inside = archives.inner(data, name, said)
                files.update({_safe("/".join(e.parts)): e.load() for e in inside})
                refused += [f"{submission.received.student}: {why}" for why in said]
            elif Path(name).name not in ("timestamp.txt", RECORD):
                files[_safe(name)] = data
        except archives.Refused as why:
            shown = intake.shown(name)
            refused.append(
                f"{submission.received.student}: {shown} was left out: {why}"
            )
    return files


def _write_folder(folder, files, received):
    """Write a submission whole: to another name first."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    try:
        for name, data in files.items():
            path = temporary / "files" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        record = json.dumps(asdict(received), ensure_ascii=False, indent=1)
        (temporary / RECORD).write_text(record, encoding="utf-8")
        os.chmod(temporary, 0o755)
        os.rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _newest(folder):
    """(folder, Received) of the newest submission in collected/A/STUDENT/; or None."""
    found = []
    for one in folder.glob("[!.]*"):
        with suppress(OSError, ValueError, TypeError):
            record = json.loads((one / RECORD).read_text(encoding="utf-8"))
            found.append((one, Received(**record)))
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
    if same and (stamp.exists() or not received.time):
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
