# Made from solutions/ by `make sync`: do not edit.

# %% by_hand
c = checks.Checks("Exercise 1 · Masks by hand")
order = [3, 0, 4, 2, 1]
before = torch.tensor(
    [[order.index(j) < order.index(i) for j in range(5)] for i in range(5)]
)
as_rank = torch.tensor([[order[j] < order[i] for j in range(5)] for i in range(5)])
left = torch.ones(5, 5).tril(-1).bool()
by_turn = torch.tensor([[j in order[:t] for j in range(5)] for t in range(5)])
itself = torch.eye(5).bool()
own_turn = torch.tensor([[j == order[t] for j in range(5)] for t in range(5)])
for n, name in enumerate(["content", "query"]):
    own = itself if n == 0 else torch.zeros(5, 5).bool()
    mistakes = {
        "the diagonal: the content stream sees itself, the query stream does not": (
            before | (itself & ~own)
        ),
        "the order lists places by turn; this reads it as the turns by place": (
            as_rank | own
        ),
        "rows look and columns are looked at: this is transposed": before.T | own,
        "this is the order left to right": left | own,
        "row i belongs to place i: here it belongs to turn i": (
            by_turn | (own_turn if n == 0 else own)
        ),
    }

    def rows(n=n):
        with checks.by_hand("permutation masks"):
            masks = by_hand()
        if masks is None or len(masks) != 2:
            raise checks.Wrong("return two masks, content and query")
        return masks[n]

    c.close(
        f"the {name} mask",
        rows,
        (before | own) * 1,
        mistakes={why: x * 1 for why, x in mistakes.items()},
    )
c.report()

# %% partial_masks (more is tested when it is handed in)
c = checks.Checks("Exercise 2 · Partial prediction")


def masks(*texts):
    """Masks, a word of 0 and 1 a row."""
    return [
        torch.tensor([[int(n) for n in row] for row in text.split()]).bool()
        for text in texts
    ]


# order, given; content and query mask; both with the order read as turns by place
cases = [
    (
        [2, 0, 3, 1],
        2,
        masks("1010 1111 1010 1011", "0000 1011 0000 1010"),
        masks("1101 0101 1111 0101", "0101 0000 1101 0000"),
    ),
    (
        [3, 0, 4, 2, 1],
        3,
        masks("10011 11111 10111 10011 10011", "00000 10111 10011 00000 00000"),
        masks("11011 01011 11111 01011 01011", "01011 00000 11011 00000 00000"),
    ),
    (
        [1, 2, 0],
        0,
        masks("111 010 011", "011 000 010"),
        masks("101 111 001", "001 101 000"),
    ),
]
for order, n_given, wants, as_rank in cases:
    time = len(order)
    turn = [order.index(place) for place in range(time)]
    rank, itself = torch.tensor(turn), torch.eye(time).bool()
    given = rank < n_given
    plain = permutation_masks(rank)
    for n, name in enumerate(["content", "query"]):
        want = wants[n]
        mistakes = {
            "the given tokens see each other, whatever their order": (
                want if n else plain[0]
            ),
            "a given token is not asked for: its row is empty in the query mask": (
                plain[1] if n else want
            ),
            "a given token is not asked for, it sees the others in the content mask "
            "alone": want | (given & given[:, None]) if n else want,
            "order lists places by turn: the turn of each place is its inverse": (
                as_rank[n]
            ),
            "a given token sees the given ones alone, not what is asked for": (
                want | given[:, None]
            ),
            "a later token sees itself in the content mask only": (
                want | (itself & ~given[:, None]) if n else want & ~(itself & ~given)
            ),
            "a later token sees those before it, too, not just the given ones": (
                want & (given | itself)
            ),
            "a later token sees the given ones, too": want & (~given | given[:, None]),
            "rows look and columns are looked at: this is transposed": want.T,
        }

        def mask(n=n, order=order, n_given=n_given):
            got = partial_masks(torch.tensor(order), n_given)
            if not isinstance(got, (tuple, list)) or len(got) != 2:
                raise checks.Wrong("return two masks, content and query")
            if got[n].dtype != torch.bool:
                raise checks.Wrong("the mask is not boolean")
            return got[n] * 1

        c.close(
            f"{name} mask, order {order}, {n_given} given",
            mask,
            want * 1,
            mistakes={why: x * 1 for why, x in mistakes.items()},
        )
c.report()

# %% mean_log_probs (more is tested when it is handed in)
c = checks.Checks("Exercise 3 · The average over all orders")

table = [[[0.2, 0.05], [0.1, 0.15]], [[0.05, 0.25], [0.15, 0.05]]]
# table, text: the means, and what each mistake gives
cases = [
    (
        torch.tensor(table, dtype=torch.float64),
        [0, 1, 1],
        [-0.577623, -0.630303, -0.689194],
        [-0.693147, -0.693147, -0.510826],
        [-0.490415, -0.804719, -0.601986],
        [-0.287682, -0.287682, -0.510826],
        [-0.693147, -0.798508, -0.693147],
        [-0.621227, -0.673907, -0.732798],
        [-0.551776, -0.597837, -0.678441],
        [0.575926, 0.55, 0.507407],
    ),
    (
        torch.tensor([[0.1, 0.2, 0.1], [0.05, 0.15, 0.1], [0.05, 0.05, 0.2]]).double(),
        [1, 2],
        [-1.295134, -1.007452],
        [-1.203973, -1.098612],
        None,
        [-1.386294, -1.098612],
        [-1.203973, -0.916291],
        None,
        [-1.290984, -1.003302],
        [0.275, 0.366667],
    ),
]
whys = (
    "this is the order left to right alone",
    "two orders are not all orders: only left to right and right to left",
    "each token is asked for with all others known: in most orders fewer are",
    "each token is asked for alone: what comes before it counts",
    "this is the mean over the sets of known tokens: an empty or a full set comes "
    "in more orders than one of middle size",
    "this is the logarithm of a mean: take the logarithm first, then the mean",
    "the logarithm is missing",
)
for table, text, want, *wrong in cases:
    time, want = len(text), torch.as_tensor(want).double()
    mistakes = dict(zip(whys, wrong)) | {
        "this is the sum over all orders: divide by their number": (
            want * math.factorial(time)
        ),
        "this is the loss; the log-probability has the other sign": -want,
        "in nats, the natural logarithm, please: this is in bits": want / math.log(2),
    }
    label = f"{time} tokens out of {len(table)}"

    def run(table=table, text=text):
        got = mean_log_probs(table, list(text))
        if isinstance(got, (list, tuple)):
            got = torch.tensor([float(x) for x in got])
        return got

    c.close(
        f"the mean at each place, {label}",
        run,
        want,
        mistakes=mistakes,
        atol=1e-5,
    )
    c.close(
        f"the places add to log p, {label}",
        lambda: torch.as_tensor(run()).sum(),
        table[tuple(text)].log(),
        hint="the sum over all places should be the log of the table's entry",
        atol=1e-5,
    )
c.report()

# %% lowest_loss (more is tested when it is handed in)
c = checks.Checks("Exercise 4 · A query stream that sees itself: predict")
# time, letters: the loss with nothing known, and of the query stream
cases = {(8, 16): (2.772589, 1.386294), (5, 7): (1.945910, 1.167546)}
for (time, n), (nats, query) in cases.items():
    for stream, want, why in [
        ("query", query, "one letter of each pair is a guess, the other is"
         " known, and the middle one is a guess"),
        ("content", 0.0, "a state that sees its own token copies it"),
        ("at once", nats, "no letter is seen, so each one is a guess"),
    ]:  # fmt: skip
        values = {
            "the second letter of a pair is known by then": (
                nats if stream == "query" else None
            ),
            "the middle letter of an odd text has no partner: it is a guess": (
                nats / 2 if stream == "query" else None
            ),
            "a state that sees its own token need not guess: it copies": (
                query if stream == "content" else None
            ),
            "with equal ranks no letter sees its mirror image": (
                query if stream == "at once" else None
            ),
            "the mean loss a letter is wanted, this is the sum": want * time,
            "in nats, the natural logarithm, please: this is in bits": want
            / math.log(2),
        }
        c.close(
            f"{stream}, {time} letters out of {n}",
            lambda: lowest_loss(stream, time, n),
            want,
            mistakes=values,
            hint=why,
            atol=1e-3,
        )
c.report()

# %% mended (more is tested when it is handed in)
c = checks.Checks("Exercise 4 · A query stream that sees itself: mend it")


def glance(stream, content, mask):
    """`look`, by another way: softmax over the allowed keys, 0 where there are none."""
    scores = stream @ content.T / math.sqrt(content.shape[-1])
    powers = (scores - scores.amax(-1, keepdim=True)).exp() * mask
    return stream + powers @ content / powers.sum(-1, keepdim=True).clamp(min=1e-30)


def two_streams(tokens, places, start, rank, seen, own, above=False):
    """The query stream. start: what it begins with. seen, own: masks of the query
    and of the content stream. above: the content stream goes first."""
    content, query = tokens + places, start
    for _ in range(2):
        after = glance(content, content, own)
        query = glance(query, after if above else content, seen)
        content = after
    return query


cases = [(0, 5, 3, torch.float64), (1, 7, 11, torch.float32)]
for seed, time, d_model, dtype in cases:
    torch.manual_seed(seed)
    tokens, places = torch.randn(2, time, d_model, dtype=dtype)
    blank, rank = torch.randn(d_model, dtype=dtype), torch.randperm(time)
    at, before = rank <= rank[:, None], rank < rank[:, None]
    given = tokens, places, blank, rank
    start, copied = blank + places, tokens + places
    want = two_streams(tokens, places, start, rank, before, at)
    mistakes = {
        "nothing was mended: this is `leaky`": two_streams(
            tokens, places, copied, rank, at, at
        ),
        "the query stream still begins with its own token: it begins with blank": (
            two_streams(tokens, places, copied, rank, before, at)
        ),
        "the query stream still looks at the content of its own place": two_streams(
            tokens, places, start, rank, at, at
        ),
        "the query stream does not know its place: add places to blank": two_streams(
            tokens, places, blank.expand_as(tokens), rank, before, at
        ),
        "the content stream is right as it is: it must see itself": two_streams(
            tokens, places, start, rank, before, before
        ),
        "the query stream looks at the content of the layer below, so it goes first": (
            two_streams(tokens, places, start, rank, before, at, above=True)
        ),
        "this is the order left to right, whatever the ranks": two_streams(
            tokens, places, start, rank, torch.ones_like(at).tril(-1), at
        ),
    }
    label = f"time={time}, d_model={d_model}, {dtype}"
    atol = 1e-9 if dtype == torch.float64 else 1e-4
    c.close(
        f"the query stream, {label}",
        lambda: mended(*given),
        want,
        mistakes=mistakes,
        atol=atol,
    )

    def row_after_a_change(place, given=given):
        """How much the row of a place moves when its own token is another one."""
        other = given[0].clone()
        other[place] += 1
        moved = mended(other, *given[1:]) - mended(*given)
        return moved[place].abs().max()

    c.close(
        f"no token reaches its own state, {label}",
        lambda: torch.stack([row_after_a_change(place) for place in range(time)]),
        torch.zeros(time),
        hint="the state that predicts a token changes with that token",
        atol=atol,
    )
c.report()
