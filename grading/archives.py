"""Opens what an LMS exports, a zip file or a folder, as if its author meant harm.

Nothing is unpacked to the disk here. Names that lead out of the archive, links, and
files that would unpack to more than they may are left out, each with a sentence.
"""

import io
import os
import stat
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from grading import intake

MAX_ENTRIES = 50_000
MAX_TOTAL = 4 << 30  # bytes, unpacked
MAX_FILE = intake.MAX_FILE  # bytes, unpacked
MAX_RATIO = 200  # unpacked to packed; notebooks reach about 30
SMALL = 1 << 20  # bytes; below it the ratio does not matter
_SKIPPED = {"__MACOSX", ".ipynb_checkpoints", "__pycache__"}
_OFTEN = {".DS_Store", "Thumbs.db", "desktop.ini"}


class Refused(Exception):
    """The archive as a whole cannot be used; the text says why."""


@dataclass(frozen=True)
class Entry:
    """One file of an archive.

    parts: its path, ("folder", "file.ipynb").
    time: when it was last changed; None if the archive does not say.
    load: returns its bytes; raises Refused if they cannot be had.
    """

    parts: tuple[str, ...]
    time: datetime | None
    load: Callable[[], bytes]


def entries(source, refused):
    """The files in a zip file or folder; what was left out is said in `refused`.

    Raises Refused if `source` is neither, or asks for too much.
    """
    source = Path(source)
    if source.is_dir():
        return _folder(source, refused)
    if not source.exists():
        raise Refused(f"there is no file or folder {source}")
    return list(_zip(source, source.name, refused))


def inner(data, name, refused):
    """The files of a zip that a student handed in, in an archive or alone."""
    return list(_zip(io.BytesIO(data), name, refused))


def _zip(file, name, refused):
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise Refused(f"{name} is not a zip file that can be read: {error}") from None
    infos = archive.infolist()
    if len(infos) > MAX_ENTRIES:
        raise Refused(
            f"{name} holds {len(infos)} files: over {MAX_ENTRIES} are too many"
        )
    total = sum(info.file_size for info in infos)
    if total > MAX_TOTAL:
        raise Refused(
            f"{name} would unpack to {total >> 30} GiB (a zip bomb?), and "
            f"{MAX_TOTAL >> 30} are allowed"
        )
    for info in infos:
        parts = _parts(info.filename)
        if info.is_dir() or (parts and _is_clutter(parts)):
            continue
        why = "" if parts else "its name leads out of the archive"
        why = why or _why_not(info)
        if why:
            refused.append(f"{intake.shown(info.filename)} was left out: {why}")
            continue
        yield Entry(parts, _time(info), _loader(archive, info))


def _parts(name):
    """The path in an archive as its parts; () if it would lead out of it."""
    plain = name.replace("\\", "/")
    parts = tuple(part for part in plain.split("/") if part not in ("", "."))
    outside = plain.startswith("/") or ".." in parts or plain[1:2] == ":"
    return () if outside or "\0" in name or len(parts) > 20 else parts


def _is_clutter(parts):
    return bool(_SKIPPED & set(parts)) or parts[-1] in _OFTEN


def _why_not(info):
    """Why a file of a zip is left out; "" if it is not."""
    mode = info.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        kind = "a symbolic link" if stat.S_ISLNK(mode) else "not an ordinary file"
        return f"it is {kind}"
    if info.flag_bits & 1:
        return "it is locked with a password"
    if info.file_size > MAX_FILE:
        return f"it would unpack to {info.file_size >> 20} MiB"
    if info.file_size > max(SMALL, MAX_RATIO * info.compress_size):
        return "it would unpack to over 200 times its size (a zip bomb?)"
    return ""


def _time(info):
    """When the file was changed, as UTC; a zip has local times, or 1980 for none."""
    try:
        local = datetime(*info.date_time)
    except ValueError:
        return None
    return local.astimezone(UTC) if local.year > 1980 else None


def _loader(archive, info):
    def load():
        try:
            with archive.open(info) as member:
                return member.read(MAX_FILE)
        except Exception as error:  # zipfile raises whatever its parts raise
            raise Refused(f"it is damaged: {error}") from None

    return load


def _folder(source, refused):
    found, total = [], 0
    for top, folders, files in os.walk(source):
        folders[:] = sorted(f for f in folders if f not in _SKIPPED)
        links = [f for f in folders if os.path.islink(os.path.join(top, f))]
        for name in sorted([*files, *links]):
            path = Path(top, name)
            if name in _OFTEN:
                continue
            status = path.lstat()
            if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE:
                why = "over 100 MiB" if stat.S_ISREG(status.st_mode) else "no file"
                why = "a symbolic link" if path.is_symlink() else why
                refused.append(f"{intake.shown(name)} was left out: it is {why}")
                continue
            total += status.st_size
            if len(found) >= MAX_ENTRIES or total > MAX_TOTAL:
                raise Refused(f"{source} holds too much to be an export of an LMS")
            when = datetime.fromtimestamp(status.st_mtime, UTC)
            parts = path.relative_to(source).parts
            found.append(Entry(parts, when, _reader(path)))
    return found


def _reader(path):
    def load():
        try:
            return intake.read_bytes(path)
        except intake.Rejected as why:
            raise Refused(str(why)) from None

    return load
