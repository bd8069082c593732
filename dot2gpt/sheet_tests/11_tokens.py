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


def by_choice(piece, merges, choose, rounds=1000):
    # joins one pair at a time; choose(candidates of (number, place, size)) picks it
    ids = list(piece)
    names = {id: bytes([id]) for id in range(256)}
    names |= {256 + n: a + b for n, (a, b) in enumerate(merges)}
    number = {pair: n for n, pair in reversed(list(enumerate(merges)))}
    for _ in range(rounds):
        found = [
            (number[names[a], names[b]], place, len(names[a] + names[b]))
            for place, (a, b) in enumerate(zip(ids, ids[1:]))
            if (names[a], names[b]) in number
        ]
        if not found:
            break
        n, place, _ = choose(found)
        ids[place : place + 2] = [256 + n]
    return ids


def longest_match(piece, merges):
    known = {bytes([id]): id for id in range(256)}
    known |= {a + b: 256 + n for n, (a, b) in enumerate(merges)}
    ids = []
    while piece:
        size = max(n for n in range(1, len(piece) + 1) if piece[:n] in known)
        ids.append(known[piece[:size]])
        piece = piece[size:]
    return ids


def from_the_right(piece, merges):
    """The right order of merges, but each one joined from the end of the piece."""
    ids, known = list(piece), {bytes([id]): id for id in range(256)}
    for number, (a, b) in enumerate(merges):
        known[a + b] = 256 + number
        for i in range(len(ids) - 2, -1, -1):
            if (ids[i : i + 2]) == [known[a], known[b]]:
                ids[i : i + 2] = [256 + number]
    return ids


def first_only(piece, merges):
    ids, known = list(piece), {bytes([id]): id for id in range(256)}
    for number, (a, b) in enumerate(merges):
        known[a + b] = 256 + number
        for i in range(len(ids) - 1):
            if (ids[i], ids[i + 1]) == (known[a], known[b]):
                ids[i : i + 2] = [256 + number]
                break
    return ids


def tokens_of(piece, merges, by_hand=None):
    merges = list(merges)
    if by_hand is None:
        reference = encoding(merges, pattern="cl100k")
        by_hand = reference._encode_single_piece(piece)

    def call():
        with checks.by_hand("byte pair encoding"):
            return apply_merges(piece, merges)

    c.close(
        f"{piece!r}, {len(merges)} merges",
        call,
        by_hand,
        mistakes={
            "a later merge was applied before an earlier one, going from the left": (
                lambda: by_choice(piece, merges, lambda f: min(f, key=lambda x: x[1]))
            ),
            "the last merge was applied first: begin with the first one": (
                lambda: by_choice(piece, merges, lambda f: max(f, key=lambda x: x[0]))
            ),
            "pairs that overlap were joined from the right: begin on the left": (
                lambda: from_the_right(piece, merges)
            ),
            "the longest token was taken: training joined in order, not by length": (
                lambda: longest_match(piece, merges)
            ),
            "each merge was applied in one place only: join the pair everywhere": (
                lambda: first_only(piece, merges)
            ),
            "nothing was joined": list(piece),
        },
    )


tokens_of(b"abc", [(b"b", b"c"), (b"a", b"b")], [97, 256])
tokens_of(b"abc", [(b"b", b"c"), (b"a", b"b"), (b"a", b"bc")], [258])
tokens_of(b"banana", [(b"a", b"n"), (b"an", b"a")], [98, 256, 257])
tokens_of(b"a" * 7, [(b"a", b"a"), (b"aa", b"aa"), (b"aaaa", b"aa")], [258, 97])
tokens_of(b"\xff\x00\xff\x00", [(b"\xff", b"\x00")], [256, 256])
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


def measured(mean_loss, n_tokens, text):
    size, ln2 = len(text.encode("utf-8")), math.log(2)
    whole = mean_loss * n_tokens
    c.close(
        f"{text[:12]!r}, {n_tokens} tokens, {mean_loss:.3f} nats each",
        lambda: bits_per_byte(mean_loss, n_tokens, text),
        whole / ln2 / size,
        mistakes={
            "divided by characters, not by bytes": whole / ln2 / len(text),
            "these are nats: divide by ln 2": whole / size,
            "multiplied by ln 2: a nat is more than one bit": whole * ln2 / size,
            "bits per token, not per byte": mean_loss / ln2,
            "the number of tokens is missing: take the whole loss": (
                mean_loss / ln2 / size
            ),
            "tokens and bytes are exchanged": mean_loss / ln2 * size / n_tokens,
        },
        atol=1e-6,
    )


measured(math.log(256), 9, "早上好")  # a uniform guess among 256 bytes: 8 bits
measured(2.5, 5, "good morning")
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
