"""The tokens of chapter 11, against a naive trainer and against tiktoken."""

import random
import time
from collections import Counter

import pytest
import regex
import tiktoken
import tiktoken.load
import torch

from dot2gpt import token_pictures
from dot2gpt.corpus import textbook
from dot2gpt.tokens import (
    batches,
    byte_letters,
    encode_file,
    encoding,
    gpt2_encoding,
    last_cut,
    load_gpt2,
    load_tiktoken,
    merge_ranks,
    save_gpt2,
    save_tiktoken,
    token_pattern,
    train_bpe,
)

END = "<|endoftext|>"
PATTERNS = pytest.mark.parametrize("pattern", ["cl100k", "gpt2"])
SEEDS = pytest.mark.parametrize("seed", range(5))


@pytest.fixture(scope="module")
def merges():
    text = textbook()[:60_000] + "早上好，世界。" * 9
    marks = "".join(mark + end for mark in ".,!" for end in ["\n", "\r\n", "\r"])
    return train_bpe(text + f"{marks}早上x" * 400, 256 + 330)[1]


def naive_bpe(text, n_merges, pattern):
    """Count all pairs anew for each merge, on tuples of bytes."""
    words = Counter(
        tuple(bytes([b]) for b in piece.encode())
        for piece in regex.findall(token_pattern(pattern), text)
    )
    merges = []
    for _ in range(n_merges):
        pairs = Counter()
        for word, times in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += times
        if not pairs:
            break
        merges.append(max(pairs, key=lambda pair: (pairs[pair], pair)))
        words = Counter({apply(word, merges[-1]): n for word, n in words.items()})
    return merges


def apply(word, pair):
    out = ()
    while word:
        size = 2 if word[:2] == pair else 1
        out, word = (*out, b"".join(word[:size])), word[size:]
    return out


def random_text(seed, size=120):
    """Few letters, so that there are ties and runs; all kinds of Unicode between."""
    draw = random.Random(seed)
    kinds = [
        lambda: draw.choice("ab"),
        lambda: draw.choice(" \n\t\r  "),
        lambda: draw.choice("'sS.,!<|>12345\u3000\x85\x1c"),
        lambda: draw.choice("早上好，。é́ßſ🙂👩🏽‍🚀\u200d\u0301"),
        lambda: chr(draw.randrange(0xD800)),
        lambda: chr(draw.randrange(0xE000, 0x110000)),
        lambda: draw.choice(["don't ", "WE'LL", END, "<|end", "oftext|>", "abab"]),
    ]  # fmt: skip
    return "".join(draw.choice(kinds)() for _ in range(size))


# --- training -----------------------------------------------------------------------


@PATTERNS
@pytest.mark.parametrize("seed", range(20))
def test_training_equals_counting_anew_with_ties_and_runs(pattern, seed):
    draw = random.Random(seed)
    text = "".join(draw.choice("aaab é\n早'1") for _ in range(draw.randrange(200)))
    vocab, merges = train_bpe(text, 256 + 40, pattern=pattern)
    assert merges == naive_bpe(text, 40, pattern)
    assert vocab == {id: token for token, id in merge_ranks(merges).items()}


def test_of_equals_the_greater_pair_of_bytes_is_first():
    assert train_bpe("ab cd", 257)[1] == [(b"c", b"d")]
    # b"a" begins b"ab", so (b"ab", ...) is the greater
    assert train_bpe("abab abab ab ab", 260)[1][:3] == naive_bpe(
        "abab abab ab ab", 3, "cl100k"
    )


def test_the_textbook_gives_the_naive_merges():
    text = textbook()[:40_000]
    assert train_bpe(text, 256 + 60)[1] == naive_bpe(text, 60, "cl100k")


def test_special_tokens_are_cut_out_and_numbered_last():
    vocab, merges = train_bpe(f"abc{END}" * 10, 256 + 4, [END])
    assert vocab[len(vocab) - 1] == END.encode()
    assert merges == train_bpe("abc\0" * 10, 256 + 2)[1]  # nothing left to join
    assert not any(b"<" in left + right for left, right in merges)


def test_training_ends_when_no_pair_is_left():
    vocab, merges = train_bpe("ab", 1000)
    assert (len(vocab), merges) == (257, [(b"a", b"b")])
    assert train_bpe("", 300) == ({i: bytes([i]) for i in range(256)}, [])


@pytest.mark.parametrize("n_merges, limit", [(512, 2), (4096, 8)])
def test_training_keeps_its_index(n_merges, limit):
    text = textbook()
    start = time.process_time()
    vocab, _ = train_bpe(text, 256 + n_merges)
    assert time.process_time() - start < 2 * limit  # twice, for a slower machine
    assert len(vocab) == 256 + n_merges


# --- encoding -----------------------------------------------------------------------


@PATTERNS
@SEEDS
def test_tiktoken_joins_as_the_merges_say(merges, pattern, seed):
    enc = encoding(merges, pattern=pattern)
    text = random_text(seed) + textbook()[seed * 5000 : seed * 5000 + 2000]
    # the same pieces: our package and tiktoken read the pattern alike
    want = []
    for piece in regex.findall(token_pattern(pattern), text):
        word = tuple(bytes([b]) for b in piece.encode())
        for pair in merges:
            word = apply(word, pair)
        want += word
    assert [enc.decode_single_token_bytes(i) for i in enc.encode_ordinary(text)] == want


def test_it_is_tiktokens_own(merges):
    enc = encoding(merges, [END])
    assert isinstance(enc, tiktoken.Encoding)
    assert enc.n_vocab == 256 + len(merges) + 1
    assert enc.encode(END, allowed_special={END}) == [enc.n_vocab - 1]


@PATTERNS
@pytest.mark.parametrize("seed", range(40))
def test_any_text_comes_back(merges, pattern, seed):
    enc = encoding(merges, [END], pattern)
    text = random_text(seed)
    for ids in [
        enc.encode_ordinary(text),
        enc.encode(text, allowed_special="all"),
        enc.encode_to_numpy(text, disallowed_special=()).tolist(),
    ]:
        assert enc.decode(ids) == text
    special = enc.encode_single_token(END)
    assert special not in enc.encode_ordinary(text)
    assert enc.encode(text, allowed_special="all").count(special) == text.count(END)
    if END in text:
        with pytest.raises(ValueError, match="disallowed special token"):
            enc.encode(text)


@pytest.mark.parametrize("text", ["ab\ud800", "\ud83d\ude00", "\udfff"])
def test_surrogates_are_refused_with_a_reason(merges, text):
    enc = encoding(merges)
    calls = enc.encode, enc.encode_ordinary, enc.encode_to_numpy
    for call in (*calls, lambda text: enc.encode_batch([text])):
        with pytest.raises(ValueError, match=r"surrogate U\+D[8-F].*no UTF-8 bytes"):
            call(text)
    with pytest.raises(ValueError, match="surrogate"):
        train_bpe(text, 300)


@SEEDS
def test_a_sure_cut_changes_no_token(merges, seed):
    """Prefix stability: what stands before a sure cut is encoded without the rest."""
    for pattern in ["cl100k", "gpt2"]:
        enc, text = encoding(merges, [END], pattern), random_text(seed, 400)
        whole = enc.encode(text, allowed_special="all")
        for end in range(0, len(text), 7):
            cut = last_cut(text[:end], [END])
            head = enc.encode(text[:cut], allowed_special="all")
            assert whole[: len(head)] == head


@pytest.mark.parametrize(
    "options, message",
    [
        ({"merges": [(b"a", b"bc")]}, "merge 0 joins b'bc', made by none before"),
        ({"merges": [(b"a", b"b")] * 2}, "merge 1 makes b'ab' a second time"),
        ({"merges": {b"a": 0}}, "byte 0 has no id"),
        ({"merges": [], "special_tokens": {END: 97}}, "id 97 is given to 2 tokens"),
        ({"merges": [], "special_tokens": ["a"]}, "'a' is an ordinary token and"),
        ({"merges": [], "special_tokens": ["<a>", "<a>b"]}, "begins another, '<a>b'"),
        ({"merges": [], "special_tokens": ["<a>", "<a>"]}, "'<a>' is given twice"),
        ({"merges": [], "special_tokens": [""]}, "is the empty string"),
        ({"merges": [], "pattern": "gpt5"}, "pattern='gpt5', expected one of"),
    ],
)
def test_impossible_encodings_are_refused(options, message):
    with pytest.raises(ValueError, match=regex.escape(message)):
        encoding(**options)


def test_a_vocabulary_too_small_is_refused():
    with pytest.raises(ValueError, match="vocab_size=256 is less than 256 bytes and 1"):
        train_bpe("ab", 256, [END])


# --- files --------------------------------------------------------------------------


@PATTERNS
@pytest.mark.parametrize("buffer", [1, 2, 7, 64])
def test_a_file_in_pieces_is_the_file_as_a_whole(tmp_path, merges, pattern, buffer):
    specials = [END, "<x y>", "好 上"]
    enc, path = encoding(merges, specials, pattern), tmp_path / "text.txt"
    for seed in range(12):
        text = random_text(seed, 300) + "<x y>" * 3 + "好 上好 上  " + END
        path.write_bytes(text.encode())
        assert list(encode_file(path, enc, buffer=buffer)) == enc.encode_ordinary(text)
        with_special = encode_file(path, enc, specials, buffer)
        assert list(with_special) == enc.encode(text, allowed_special="all")


def test_a_file_is_not_read_whole(tmp_path, merges, monkeypatch):
    path, seen = tmp_path / "text.txt", []
    path.write_text("早上好，世界。the cat sat. " * 5000, encoding="utf-8")
    enc = encoding(merges)
    encode = type(enc).encode

    def spy(self, text, **options):
        seen.append(len(text))
        return encode(self, text, **options)

    monkeypatch.setattr(type(enc), "encode", spy)
    assert enc.decode(list(encode_file(path, enc, buffer=1000))) == path.read_text(
        encoding="utf-8"
    )
    assert max(seen) < 1100


def test_gpt2_files_round_trip_and_tiktoken_reads_them(tmp_path):
    text = textbook()[:20_000] + " 早上好\u00ad\x85"
    vocab, merges = train_bpe(text, 256 + 99 + 1, [END], "gpt2")
    save_gpt2(tmp_path, vocab, merges)
    assert load_gpt2(tmp_path) == (vocab, merges)
    # GPT-2 numbers the bytes in the order of their letters; tiktoken checks that
    order = sorted(byte_letters(), key=lambda byte: ord(byte_letters()[byte]))
    theirs = {id: bytes([byte]) for id, byte in enumerate(order)}
    theirs |= {id: token for id, token in vocab.items() if id >= 256}
    save_gpt2(tmp_path, theirs, merges)
    ranks = tiktoken.load.data_gym_to_mergeable_bpe_ranks(
        str(tmp_path / "merges.txt"), str(tmp_path / "vocab.json")
    )
    del theirs[len(theirs) - 1]
    assert ranks == {token: id for id, token in theirs.items()}
    renumbered, ours = encoding(ranks, [END], "gpt2"), encoding(merges, [END], "gpt2")
    shown = [
        [enc.decode_single_token_bytes(id) for id in enc.encode_ordinary(text)]
        for enc in (renumbered, ours)
    ]
    assert shown[0] == shown[1]
    kept = gpt2_encoding(tmp_path)
    assert kept.encode_ordinary(text) == renumbered.encode_ordinary(text)
    assert kept.encode_single_token(END) == len(vocab) - 1
    assert kept.encode_ordinary(text) != ours.encode_ordinary(text)


def test_tiktoken_files_round_trip_and_tiktoken_reads_them(tmp_path, merges):
    path, ranks = tmp_path / "our.tiktoken", merge_ranks(merges)
    save_tiktoken(path, ranks)
    assert load_tiktoken(path) == ranks
    assert tiktoken.load.load_tiktoken_bpe(str(path)) == ranks
    assert encoding(load_tiktoken(path)).encode("the cat") == encoding(merges).encode(
        "the cat"
    )


def test_broken_files_are_refused_by_line(tmp_path):
    path = tmp_path / "our.tiktoken"
    path.write_text("IQ== 0\n?? 1\n")
    with pytest.raises(ValueError, match=r"line 2 is not 'base64 id': '\?\? 1'"):
        load_tiktoken(path)
    (tmp_path / "vocab.json").write_text("{}")
    (tmp_path / "merges.txt").write_text("#version: 0.2\na b\na b c\n")
    with pytest.raises(ValueError, match="merges.txt, line 3: 'a b c' is no pair"):
        load_gpt2(tmp_path)
    (tmp_path / "vocab.json").write_text('{"好": 0}', encoding="utf-8")
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    with pytest.raises(ValueError, match="'好' stands for no byte"):
        load_gpt2(tmp_path)


# --- batches ------------------------------------------------------------------------


@pytest.mark.parametrize("size, batch, time_", [(12, 3, 11), (50, 7, 5), (8, 1, 1)])
def test_targets_are_the_inputs_one_place_later(size, batch, time_):
    ids = torch.arange(100, 100 + size)
    generator = torch.Generator().manual_seed(0)
    stream = batches(ids, batch, time_, generator)
    starts = set()
    for _ in range(60):
        inputs, targets = next(stream)
        assert inputs.shape == targets.shape == (batch, time_)
        assert inputs.dtype == targets.dtype == torch.int64
        assert torch.equal(targets, inputs + 1)
        starts |= set(inputs[:, 0].tolist())
    assert starts == set(range(100, 100 + size - time_))  # first to last, each drawn


def test_batches_repeat_with_the_seed_and_read_lists():
    streams = [
        batches(ids, 3, 5, torch.Generator().manual_seed(1))
        for ids in (list(range(40)), torch.arange(40, dtype=torch.int32))
    ]
    for _ in range(3):
        assert torch.equal(*[torch.stack(next(stream)) for stream in streams])


def test_too_short_a_text_is_refused():
    with pytest.raises(ValueError, match=r"5 ids are too few for 5 \+ 1"):
        batches(list(range(5)), 2, 5, torch.Generator())


# --- the picture ---------------------------------------------------------------------


def test_the_picture_shows_every_frame_and_escapes_what_it_shows():
    frames = {"0": [[b"<b>", b" x\n"]], "<1>": [["早".encode(), b"\xe6\x97", b"\x00"]]}
    picture = token_pictures.stepper(frames, caption="see `x`")
    shown = picture._repr_html_()
    for text in ["&lt;b&gt;", ">␣x⏎<", ">早<", ">E6 97<", ">00<", "<b>&lt;1&gt;</b>"]:
        assert text in shown
    assert "2 tokens, 3.00 bytes a token" in shown and "<code>x</code>" in shown
    assert shown.count('class="pv-frame"') == 2 and "https:" not in shown
    assert shown == token_pictures.stepper(frames, caption="see `x`")._repr_html_()
    assert repr(picture) == "0: <b>|␣x⏎\n<1>: 早|E6 97|00\nsee `x`"


def test_a_picture_of_nothing_is_refused():
    with pytest.raises(ValueError, match="expected at least one"):
        token_pictures.stepper({}, caption="c")
    with pytest.raises(ValueError, match=r"frames\['a'\]\[1\] has no tokens"):
        token_pictures.stepper({"a": [[b"x"], []]}, caption="c")


@pytest.mark.parametrize("pattern", ["cl100k", "gpt2"])
def test_a_long_run_of_spaces_is_encoded_or_refused(pattern):
    enc = encoding([], pattern=pattern)
    assert enc.decode(enc.encode(" " * 900_000 + "x")) == " " * 900_000 + "x"
    with pytest.raises(ValueError, match="Max stack size"):
        enc.encode(" " * 1_001_000 + "x")
