"""The text that `python -m dot2gpt train` learns from: of any size, a piece at a time.

It is a file, a folder whose files are documents, or the textbook. Its first nine tenths
are to learn, the rest is for validation.
"""

import hashlib
import io
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from dot2gpt.commands.runs import END, GPTError, end_of, replaced
from dot2gpt.corpus import textbook
from dot2gpt.gpt import Characters
from dot2gpt.tokens import last_cut

KINDS = (".txt", ".md")  # of a folder's files
GAP = "\n\n"  # and what stands there for a model of characters
PIECE = 1 << 18  # characters read at a time
UNCUT = 1 << 22  # at most, in which there is no place to cut
PARTS = ("learn.ids", "unseen.ids")
FOR_BPE = 1 << 26  # characters that BPE learns from, at most


class Text:
    """A text, or the documents of a folder, read once; raises GPTError.

    digest: SHA-256, which tells it from others. length: in characters. characters: each
    that occurs, in order. documents: how to open each.
    """

    def __init__(self, path=None):
        self.path, self.documents = path, _documents(path)
        sha, self.length, found = hashlib.sha256(), 0, set()
        with _bar("reading", sum(size for size, _ in self.documents)) as bar:
            for piece in self.pieces():
                sha.update(b"\xff" if piece is None else piece.encode())
                self.length += len(piece or "")
                found.update(piece or GAP)
                bar.update(len(piece or ""))
        if not self.length:
            raise GPTError(f"{path} is empty: there is nothing to learn")
        self.digest, self.characters = sha.hexdigest(), "".join(sorted(found))

    def pieces(self, first=0, last=None):
        """The characters first to last as strings, None between two documents."""
        at, between = 0, False
        for _, opened in self.documents:
            with opened() as file:
                while piece := _read(file):
                    part = piece[
                        max(0, first - at) : None if last is None else last - at
                    ]
                    if part and between:
                        yield None
                    if part:
                        yield part
                        between = False
                    at += len(piece)
                    if last is not None and at >= last:
                        return
            between = at > first

    @property
    def ends(self):
        """The special tokens that stand between documents."""
        return (END,) if len(self.documents) > 1 else ()

    @property
    def cut(self):
        """Where the part for validation begins."""
        return self.length * 9 // 10

    def learn(self):
        """The pieces to learn from."""
        return self.pieces(0, self.cut)

    def for_bpe(self):
        """What BPE learns from: the first of it, at most FOR_BPE characters.

        Raises GPTError for a text without spaces.
        """
        pieces = _ready(self.pieces(0, min(FOR_BPE, self.cut)))
        return "".join(END if piece is None else piece for piece in pieces)

    def unseen(self):
        """The pieces for validation."""
        return self.pieces(self.cut)

    @cached_property
    def head_and_bytes(self):
        """The first piece for validation, and how many bytes of UTF-8 there are."""
        pieces = filter(None, self.unseen())
        head = next(pieces, "")
        return head, sum((len(piece.encode()) for piece in pieces), len(head.encode()))


def _documents(path):
    """[(size in bytes, function that opens it as text)]"""
    if path is None:
        return [(len(textbook()), lambda: io.StringIO(textbook()))]
    path, files = Path(path), [Path(path)]
    if path.is_dir():
        files = [f for f in sorted(path.rglob("*")) if f.suffix.lower() in KINDS]
        files = [f for f in files if f.is_file()]
        if not files:
            raise GPTError(f"{path} holds no file that ends in {' or '.join(KINDS)}")
    try:
        return [(file.stat().st_size, lambda f=file: _open(f)) for file in files]
    except OSError as error:
        raise GPTError(f"{path} cannot be read: {error.strerror}") from None


def _open(path):
    try:
        return open(path, encoding="utf-8-sig")  # a mark at its head is none
    except OSError as error:
        raise GPTError(f"{path} cannot be read: {error.strerror}") from None


def _read(file):
    try:
        return file.read(PIECE)
    except UnicodeDecodeError as error:
        place = file.buffer.tell() - len(error.object) + error.start
        raise GPTError(f"{file.name} is not UTF-8 text: byte {place}") from None


# ---- tokens -------------------------------------------------------------------------


def tokenise(text, encoding, folder, context_length):
    """Write the ids of a text to files in a folder, for `ids_in`.

    encoding: a Characters, or a tiktoken.Encoding; where it has the token END, that
        stands between documents. context_length: for which there must be enough.
    Raises GPTError if the text is too short, ValueError for a character without an id;
    then nothing new is left.
    """
    folder = Path(folder)
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _bar("tokens", text.length, unit=" characters") as bar:
            _write(folder / PARTS[0], encoding, text.learn(), bar)
            _write(folder / PARTS[1], encoding, text.unseen(), bar)
        _, unseen = ids_in(folder, encoding)
        if len(unseen) <= context_length:
            raise GPTError(
                f"the text is too short: its last tenth, for validation, has "
                f"{len(unseen)} tokens, and --context {context_length} takes "
                f"{context_length + 1}"
            )
    except BaseException:
        for name in PARTS:
            for path in (folder / name, folder / f"{name}.partial"):
                with suppress(OSError):
                    path.unlink()
        for one in missing:
            with suppress(OSError):  # it holds something else
                one.rmdir()
        raise


def ids_in(folder, encoding):
    """(ids to learn from, ids for validation) that `tokenise` wrote, whole numbers.

    The system reads them from the disk where they are used.
    """
    kind, paths = _kind(encoding), [Path(folder, name) for name in PARTS]
    return [
        np.memmap(path, kind, "r") if path.stat().st_size else np.zeros(0, kind)
        for path in paths
    ]


def _kind(encoding):
    return np.uint16 if encoding.n_vocab <= 1 << 16 else np.uint32


def _write(path, encoding, pieces, bar):
    """Write the ids of a text to a file; all cores work, a few pieces at a time."""
    ids_of, kind, waiting = _tokeniser(encoding), _kind(encoding), deque()
    with replaced(path) as partial, open(partial, "wb") as file:

        def store():
            length, ids = waiting.popleft()
            file.write(ids.result().astype(kind).tobytes())
            bar.update(length)

        with ThreadPoolExecutor() as pool:
            whole = isinstance(encoding, Characters)
            for ready in pieces if whole else _ready(pieces):
                waiting.append((len(ready or ""), pool.submit(ids_of, ready)))
                if len(waiting) > 2 * (os.cpu_count() or 1):
                    store()
            while waiting:
                store()


def _ready(pieces):
    """Strings whose tokens are those of the whole, and None between documents."""
    waiting = ""
    for piece in pieces:
        if piece is None:
            yield waiting
            yield None
            waiting = ""
            continue
        waiting += piece
        if len(waiting) > UNCUT:
            raise GPTError(
                f"{UNCUT:,} characters have no space between words: pieces of words do "
                "not suit such a text; --tokens characters do"
            )
        cut = last_cut(waiting)
        if cut:
            yield waiting[:cut]
            waiting = waiting[cut:]
    yield waiting


def _tokeniser(encoding):
    """A function from a string, or None between documents, to an array of ids."""
    if not isinstance(encoding, Characters):
        end = np.array([id for id in [end_of(encoding)] if id is not None], np.uint32)
        return lambda text: (
            end
            if text is None
            else encoding.encode_to_numpy(text, disallowed_special=())
        )
    table = np.full(0x110000, -1, np.int64)
    table[[ord(character) for character in encoding.characters]] = range(
        encoding.n_vocab
    )

    def ids_of(text):
        ids = table[np.frombuffer((text or GAP).encode("utf-32-le"), np.uint32)]
        if (ids < 0).any():
            encoding.encode(text or GAP)  # says which
        return ids

    return ids_of


def windows(ids, batch, context_length, generator):
    """The windows of `dot2gpt.tokens.batches`, of ids that stay on the disk.

    The same draws give the same windows. Raises ValueError as it does.
    """
    room = context_length + 1
    if len(ids) < room:
        raise ValueError(f"{len(ids)} ids are too few for {context_length} + 1")

    def draw():
        while True:
            starts = torch.randint(
                len(ids) - context_length, (batch, 1), generator=generator
            )
            rows = [ids[start : start + room] for start in starts[:, 0].tolist()]
            window = torch.from_numpy(np.stack(rows).astype(np.int64))
            yield window[:, :-1], window[:, 1:]

    return draw()


def counts(ids, vocab_size):
    """How often each id occurs: float64 (vocab_size,)."""
    total, step = np.zeros(vocab_size), 1 << 22
    for start in range(0, len(ids), step):
        total += np.bincount(ids[start : start + step], minlength=vocab_size)
    return total


def _bar(what, total, unit="B"):
    """A bar on the terminal, once it takes more than two seconds."""
    return tqdm(
        total=total, desc=what, unit=unit, unit_scale=True, delay=2, leave=False
    )
