# Made from solutions/ by `make sync`: do not edit.

# %% predicted (more is tested when it is handed in)
c = checks.Checks("Exercise 1 · Count the rows")
questions = [
    (
        "1: merges of GPT-2",
        50_000,
        {
            "the special token comes from no merge": 50_001,
            "the 256 bytes come from no merge": 50_256,
            "bytes and special token come from no merge": 50_257,
        },
    ),
    (
        "2: rows for ids up to 100,069",
        100_070,
        {"ids begin at 0: this table has no row for id 100,069": 100_069},
    ),
    (
        "3: the largest id",
        1258,
        {
            "ids begin at 0: this is the number of tokens": 1259,
            "the 256 bytes are tokens too": (1002, 1003),
            "the special tokens have ids too, behind the merges": (1255, 1256),
        },
    ),
    (
        "4: numbers with a gradient",
        192,
        {
            "a row that is used twice is one row": 384,
            "only the rows that were looked up get a gradient": 769 * 64,
            "these are rows: each has 64 numbers": 3,
        },
    ),
]
for place, (what, want, wrong) in enumerate(questions):
    c.close(
        what,
        lambda place=place: ... if predicted is ... else predicted[place],
        want,
        mistakes={
            f"{hint} ({value:,})": value
            for hint, values in wrong.items()
            for value in (values if isinstance(values, tuple) else (values,))
        },
        atol=1e-12,
    )
c.report()

# %% apply_merges (more is tested when it is handed in)
c = checks.Checks("Exercise 2 · The order of the merges")


def tokens_of(piece, merges, want, *wrong):
    merges = list(merges)

    def call():
        with checks.by_hand("byte pair encoding"):
            return apply_merges(piece, merges)

    c.close(
        f"{piece!r}, {len(merges)} merges",
        call,
        want,
        mistakes=dict(zip(whys, [*wrong, *[None] * len(whys)]))
        | {"nothing was joined": list(piece)},
    )


whys = (
    "a later merge was applied before an earlier one, going from the left",
    "the last merge was applied first: begin with the first one",
    "pairs that overlap were joined from the right: begin on the left",
    "the longest token was taken: training joined in order, not by length",
    "each merge was applied in one place only: join the pair everywhere",
    "two tokens were joined that only spell what the merge spells",
)
left, cut = [257, 99], [98, 257, 110, 97]
merges = [(b"b", b"c"), (b"a", b"b"), (b"a", b"bc")]
tokens_of(b"abc", merges[:2], [97, 256], left, left, None, left, None)
tokens_of(b"abc", merges, [258], left, left, None, None, None)
merges = [(b"a", b"b"), (b"b", b"c"), (b"a", b"bc")]  # "ab" and "c" are no "a", "bc"
tokens_of(b"abc", merges, [256, 99], None, [258], None, [258], None, [258])
merges, ahead = [*merges, (b"c", b"a")], [259, 257]
tokens_of(b"cabc", merges, [99, 256, 99], ahead, ahead, None, ahead, None, [99, 258])
merges = [(b"a", b"n"), (b"an", b"a")]
tokens_of(b"banana", merges, [98, 256, 257], cut, cut, None, cut, cut)
merges = [(b"a", b"a"), (b"aa", b"aa"), (b"aaaa", b"aa")]
one, right = [256, 97, 97, 97, 97, 97], [97, 256, 257]
tokens_of(b"a" * 7, merges, [258, 97], None, None, right, None, one)
merges, one = [(b"\xff", b"\x00")], [256, 255, 0]
tokens_of(b"\xff\x00\xff\x00", merges, [256, 256], None, None, None, None, one)
tokens_of(b"abc", [], [97, 98, 99])
c.report()

# %% probes (more is tested when it is handed in)
c = checks.Checks("Exercise 3 · Texts that break tokenizers")


def given():
    if probes is ...:
        raise NotImplementedError
    texts = list(probes)
    if not all(isinstance(text, str) for text in texts):
        raise checks.Wrong("probes must be a list of strings")
    if len(texts) > 12:
        raise checks.Wrong(f"{len(texts)} texts, allowed are 12")
    return texts


def comes_back(text):
    right = encoding([])
    try:
        return right.decode(right.encode_ordinary(text)) == text
    except ValueError:
        raise checks.Wrong(
            f"{text!r} holds a surrogate: it is no text, and has no bytes"
        ) from None


def caught(fault, damage):
    c.that(
        f"a tokenizer that {fault}",
        lambda: any(damage(text) != text for text in given()),
        "none of your texts catches it",
    )


c.that(
    "a right tokenizer passes all your texts",
    lambda: all(comes_back(text) for text in given()),
)
caught("writes everything in small letters", str.lower)
caught("makes two spaces one", lambda text: re.sub(" +", " ", text))
caught("knows only ASCII", lambda text: text.encode("ascii", "replace").decode())
caught("cuts spaces off the end", lambda text: text.rstrip(" "))
caught(
    "knows only characters up to 65,535",
    lambda text: "".join(ch if ord(ch) < 65_536 else "?" for ch in text),
)
c.report()

# %% bits_per_byte (more is tested when it is handed in)
c = checks.Checks("Exercise 4 · One yardstick for two vocabularies")
# loss, tokens, text: bits per byte, and what each mistake gives
cases = {
    # a uniform guess among 256 bytes: 8 bits
    (math.log(256), 9, "早上好"): (8, 24, 5.545177, 3.843624, None, 8 / 9, None),
    (2.5, 5, "good morning"): (
        1.502807,
        None,
        1.041667,
        0.7220283,
        3.606738,
        0.3005615,
        8.65617,
    ),
}
whys = (
    "divided by characters, not by bytes",
    "these are nats: divide by ln 2",
    "multiplied by ln 2: a nat is more than one bit",
    "bits per token, not per byte",
    "the number of tokens is missing: take the whole loss",
    "tokens and bytes are exchanged",
)
for (mean_loss, n_tokens, text), (want, *wrong) in cases.items():
    c.close(
        f"{text[:12]!r}, {n_tokens} tokens, {mean_loss:.3f} nats each",
        lambda: bits_per_byte(mean_loss, n_tokens, text),
        want,
        mistakes=dict(zip(whys, wrong)),
        atol=1e-6,
    )
c.report()

# %% table_gradient (more is tested when it is handed in)
c = checks.Checks("Exercise 5 · The gradient of a table")


def gradient_of(ids, vocab_size, d_model, dtype=torch.float32):
    torch.manual_seed(0)
    ids = torch.tensor(ids)
    upstream = torch.randn(*ids.shape, d_model, dtype=dtype)
    flat, rows = ids.flatten(), upstream.flatten(0, 1)
    table = torch.zeros(vocab_size, d_model, dtype=dtype, requires_grad=True)
    (table[ids] * upstream).sum().backward()
    want = table.grad
    times = torch.bincount(flat, minlength=vocab_size)[:, None]
    last, first, presence = (torch.zeros_like(want) for _ in range(3))
    for id, row in zip(flat.tolist(), rows):
        last[id] = row
    for id, row in reversed(list(zip(flat.tolist(), rows))):
        first[id] = row
    presence += times

    def call():
        with checks.by_hand("autograd", "embedding"):
            return table_gradient(ids, upstream, vocab_size)

    once = "an id that occurs twice gets the sum of its rows, not one of them"
    c.close(
        f"{tuple(ids.shape)} ids of {vocab_size}, d_model={d_model}",
        call,
        want,
        mistakes={
            once: last,
            once + " (the first)": first,
            "the rows of an id are added, not averaged": want / times.clamp(min=1),
            "this counts the ids: upstream is missing": presence,
            "only the rows of the batch: the table has vocab_size rows": rows,
            "this is the gradient of the vectors, not of the table": upstream,
        },
        atol=1e-5 if dtype == torch.float32 else 1e-12,
    )


gradient_of([[0, 2, 2], [4, 2, 1]], 7, 5)
gradient_of([[10, 0, 10, 10, 5]], 11, 3, torch.float64)
c.that(
    "it has upstream's dtype",
    lambda: (
        table_gradient(torch.tensor([[1]]), torch.ones(1, 1, 2).double(), 3).dtype
        == torch.float64
    ),
    "give the zeros the dtype of upstream",
)
c.report()
