"""BPE training beside the package tokenizers, by length of text and vocabulary."""

import json
import os
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from benchmarks.measure import Row, main, side_by_side
from dot2gpt.corpus import textbook
from dot2gpt.tokens import PairIndex, byte_letters, count_pieces, last_cut, train_bpe


def parts_of(text, size=10_000):
    """The text in parts of about `size` characters, cut where no token is cut."""
    parts = []
    while len(text) > size:
        cut = last_cut(text[:size])
        parts.append(text[:cut])
        text = text[cut:]
    return [*parts, text]


def train_theirs(parts, vocab_size):
    """A tokenizers.Tokenizer: byte-level BPE with GPT-2's pattern."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(parts, trainer)
    return tokenizer


def read_merges(tokenizer):
    """The merges of a tokenizers.Tokenizer as pairs of bytes."""
    values = {letter: byte for byte, letter in byte_letters().items()}
    pairs = json.loads(tokenizer.to_str())["model"]["merges"]
    return [tuple(bytes(values[x] for x in part) for part in pair) for pair in pairs]


def first_that_is_not_most_frequent(merges, text):
    """The number of the first merge that joins a rarer pair than it could, or None."""
    pieces = count_pieces(text, "gpt2")
    index = PairIndex([list(piece) for piece in pieces], list(pieces.values()))
    ids = {bytes([byte]): byte for byte in range(256)}
    for number, (left, right) in enumerate(merges):
        pair = ids[left], ids[right]
        if index.counts[pair] < max(index.counts.values()):
            return number
        ids[left + right] = len(ids)
        index.merge(pair, ids[left + right], left + right)
    return None


def compare(name, text, vocab_size, repeats):
    """A Row. Asserts that both join a most frequent pair each time."""
    parts, made = parts_of(text), {}

    def ours():
        made["ours"] = train_bpe(text, vocab_size, pattern="gpt2")[1]

    def theirs():
        made["theirs"] = train_theirs(parts, vocab_size)

    times = side_by_side(ours, theirs, repeats)
    merges = made["ours"], read_merges(made["theirs"])
    assert "".join(parts) == text and len(merges[0]) == len(merges[1]) > 0
    for each in merges:
        assert first_that_is_not_most_frequent(each, text) is None
    same = len(set(merges[0]) & set(merges[1])) / len(merges[0])
    what = f"BPE, {name}, {vocab_size:,} tokens, {same:.0%} same, tokenizers"
    return Row(what, *times, len(text), "characters/s")


def rows(quick=False):
    """Two lengths of text, two vocabularies."""
    book = textbook()
    if quick:
        return [compare("20,000 characters", book[:20_000], 300, 2)]
    files = sorted(Path(os.__file__).parent.glob("*.py"))
    code = "".join(path.read_text(encoding="utf-8") for path in files)
    texts = {"textbook": book, "4 times as long": (book + code)[: 4 * len(book)]}
    return [
        compare(name, text, vocab_size, 5)
        for name, text in texts.items()
        for vocab_size in (512, 4096)
    ]


if __name__ == "__main__":
    main(__doc__, rows)
