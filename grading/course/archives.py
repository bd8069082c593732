"""Opens what an LMS exports, a zip file or a folder, as if its author meant harm.

Nothing is unpacked here; an `Entry` is read piece by piece. Names that lead out of the
archive, links, and files that would unpack to more than they may are left out, each
with a sentence.
"""

import mmap
import os
import re
import stat
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dot2gpt import handed_in

MAX_ENTRIES = 50_000
MAX_TOTAL = 4 << 30  # bytes, unpacked
MAX_FILE = handed_in.MAX_FILE  # bytes, unpacked
MAX_RATIO = 200  # unpacked to packed; notebooks reach about 30
SMALL = 1 << 20  # bytes; below it the ratio does not matter
PIECE = 1 << 20  # bytes that are read at a time
_SKIPPED = {"__MACOSX", ".ipynb_checkpoints", "__pycache__"}
_OFTEN = {".DS_Store", "Thumbs.db", "desktop.ini"}


class Refused(Exception):
    """The archive as a whole cannot be used; the text says why."""


@dataclass(frozen=True)
class Entry:
    """One file of an archive.

    parts: its path, ("folder", "file.ipynb").
    time: when it was last changed; None if the archive does not say.
    open: returns it as a binary file; raises what reading raises.
    """

    parts: tuple[str, ...]
    time: datetime | None
    open: Callable

    def pieces(self, most=MAX_FILE):
        """Its bytes, piece by piece; raises Refused if they cannot be had."""
        try:
            with self.open() as file:
                while piece := file.read(PIECE):
                    most -= len(piece)
                    if most < 0:
                        raise Refused("it is too big")
                    yield piece
        except Refused:
            raise
        except handed_in.Rejected as why:
            raise Refused(str(why)) from None
        except Exception as error:  # zipfile raises whatever its parts raise
            raise Refused(f"it is damaged: {error}") from None

    def save(self, path, most=MAX_FILE):
        """Write it to `path`; returns how many bytes it has."""
        size = 0
        with open(path, "wb") as file:
            for piece in self.pieces(most):
                size += file.write(piece)
        return size


def entries(source, refused):
    """The files in a zip file or folder; what was left out is said in `refused`.

    Raises Refused if `source` is neither, or asks for too much.
    """
    source = Path(source)
    if source.is_dir():
        return _folder(source, refused)
    if not source.exists():
        raise Refused(f"there is no file or folder {source}")
    return _zip(source, source.name, refused, MAX_TOTAL)


def inner(path, name, refused, most):
    """The files of a zip that a student handed in, which may unpack to `most` bytes."""
    most = min(most, max(SMALL, MAX_RATIO * path.stat().st_size))
    return _zip(path, name, refused, most)


def _zip(path, name, refused, most):
    try:
        _refuse_too_many(name, _headers(path) // 4)  # zips within may be counted, too
        archive = zipfile.ZipFile(path)
        if encoding := _encoding(archive):
            archive.close()
            archive = zipfile.ZipFile(path, metadata_encoding=encoding)
    except (ValueError, OSError, NotImplementedError, zipfile.BadZipFile) as error:
        raise Refused(f"{name} is not a zip file that can be read: {error}") from None
    _refuse_too_many(name, len(archive.infolist()))
    found, left = [], most
    for info in archive.infolist():
        parts = _parts(info.filename)
        if info.is_dir() or (parts and _is_clutter(parts)):
            continue
        why = "" if parts else "its name leads out of the archive"
        why = why or _why_not(info)
        if why:
            refused.append(f"{handed_in.shown(info.filename)} was left out: {why}")
            continue
        left -= info.file_size
        if left < 0:
            raise Refused(f"{name} would unpack to over {most >> 20} MiB (a zip bomb?)")
        found.append(Entry(parts, _time(info), lambda i=info: archive.open(i)))
    return found


def _refuse_too_many(name, count):
    if count > MAX_ENTRIES:
        raise Refused(f"{name} holds {count} files: over {MAX_ENTRIES} are too many")


def _headers(path):
    """How many files a zip lists: each takes memory once the list is read."""
    with open(path, "rb") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return sum(1 for _ in re.finditer(b"PK\x01\x02", data))


def _encoding(archive):
    """How the names are written in a zip that does not say; "" where it does.

    A zip says so or is of an old kind: then a Mac writes UTF-8, Windows what its
    language needs. That is told for Chinese alone, by signs that are in daily use.
    """
    old = [i.filename for i in archive.infolist() if not i.flag_bits & 0x800]
    raw = b"\n".join(name.encode("cp437", "replace") for name in old)
    if raw.isascii():
        return ""
    with suppress(UnicodeDecodeError):
        raw.decode("utf-8")
        return "utf-8"
    with suppress(UnicodeDecodeError):
        signs = [sign for sign in raw.decode("gb18030") if not sign.isascii()]
        usual = [s for s in signs if b"\xa1" <= s.encode("gb2312", "replace") < b"\xd8"]
        if 2 * len(usual) > len(signs):
            return "gb18030"
    return ""


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
        return local.astimezone(UTC) if local.year > 1980 else None
    except (ValueError, OverflowError):
        return None


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
                refused.append(f"{handed_in.shown(name)} was left out: it is {why}")
                continue
            total += status.st_size
            if len(found) >= MAX_ENTRIES or total > MAX_TOTAL:
                raise Refused(f"{source} holds too much to be an export of an LMS")
            when = datetime.fromtimestamp(status.st_mtime, UTC)
            parts = path.relative_to(source).parts
            found.append(Entry(parts, when, lambda p=path: handed_in.opened(p)))
    return found
