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


def masks_of(turn, n_given):
    """(content, query) from the turns of the places, by what is said above."""
    time = len(turn)
    content, query = torch.zeros(2, time, time).bool()
    for i, j in itertools.product(range(time), repeat=2):
        if turn[i] < n_given:
            content[i, j] = turn[j] < n_given
        else:
            content[i, j] = turn[j] <= turn[i]
            query[i, j] = turn[j] < turn[i]
    return content, query


cases = [([2, 0, 3, 1], 2), ([3, 0, 4, 2, 1], 3), ([1, 2, 0], 0)]
for order, n_given in cases:
    time = len(order)
    turn = [order.index(place) for place in range(time)]
    rank, itself = torch.tensor(turn), torch.eye(time).bool()
    given = rank < n_given
    plain = permutation_masks(rank)
    wants = masks_of(turn, n_given)
    as_rank = masks_of(order, n_given)
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


def conditional(table, text, place, known):
    """p(token at place | tokens at the known places)."""
    time = len(text)

    def p(places):
        index = tuple(text[i] if i in places else slice(None) for i in range(time))
        return table[index].sum().item()

    return p({place, *known}) / p(set(known))


def averaged(table, text, weight, f=math.log):
    """For each place the weighted mean of f(p) over the sets of known others.
    weight: (size of the set, time) -> weight of one such set."""
    means = []
    for place in range(len(text)):
        others = [p for p in range(len(text)) if p != place]
        total = 0.0
        for size in range(len(text)):
            for known in itertools.combinations(others, size):
                p = conditional(table, text, place, known)
                total += weight(size, len(text)) * f(p)
        means.append(total)
    return torch.tensor(means, dtype=torch.float64)


def share(size, time):
    """The share of orders in which just this set of `size` others comes before."""
    return 1 / (time * math.comb(time - 1, size))


cases = [(0, 3, 3), (1, 5, 2)]
for seed, n, time in cases:
    generator = torch.Generator().manual_seed(seed)
    table = torch.rand((n,) * time, generator=generator).double() ** 3 + 1e-3
    table /= table.sum()
    text = torch.randint(n, (time,), generator=generator).tolist()
    want = averaged(table, text, share)
    ways = {
        "left to right": [range(p) for p in range(time)],
        "right to left": [range(p + 1, time) for p in range(time)],
        "all": [[q for q in range(time) if q != p] for p in range(time)],
        "none": [[] for p in range(time)],
    }
    one = {
        name: torch.tensor(
            [math.log(conditional(table, text, p, known[p])) for p in range(time)]
        )
        for name, known in ways.items()
    }
    mistakes = {
        "this is the order left to right alone": one["left to right"],
        "two orders are not all orders: only left to right and right to left": (
            (one["left to right"] + one["right to left"]) / 2
        ),
        "each token is asked for with all others known: in most orders fewer are": (
            one["all"]
        ),
        "each token is asked for alone: what comes before it counts": one["none"],
        "this is the mean over the sets of known tokens: an empty or a full set comes "
        "in more orders than one of middle size": averaged(
            table, text, lambda size, time: 0.5 ** (time - 1)
        ),
        "this is the logarithm of a mean: take the logarithm first, then the mean": (
            averaged(table, text, share, lambda p: p).log()
        ),
        "the logarithm is missing": averaged(table, text, share, lambda p: p),
        "this is the sum over all orders: divide by their number": (
            want * math.factorial(time)
        ),
        "this is the loss; the log-probability has the other sign": -want,
        "in nats, the natural logarithm, please: this is in bits": want / math.log(2),
    }
    label = f"{time} tokens out of {n}"

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
sizes = [(8, 16), (5, 7)]
for time, n in sizes:
    nats = math.log(n)
    free = (time + 1) // 2
    for stream, want, why in [
        ("query", free * nats / time, "one letter of each pair is a guess, the other is"
         " known, and the middle one is a guess"),
        ("content", 0.0, "a state that sees its own token copies it"),
        ("at once", nats, "no letter is seen, so each one is a guess"),
    ]:  # fmt: skip
        values = {
            "the second letter of a pair is known by then": (
                nats if stream == "query" else want
            ),
            "the middle letter of an odd text has no partner: it is a guess": (
                nats / 2 if stream == "query" else want
            ),
            "a state that sees its own token need not guess: it copies": (
                free * nats / time if stream == "content" else want
            ),
            "with equal ranks no letter sees its mirror image": (
                free * nats / time if stream == "at once" else want
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
