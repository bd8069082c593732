# Made from solutions/ by `make sync`: do not edit.

# %% limits (more is tested when it is handed in)
c = checks.Checks("Exercise 1 · The two limits of temperature")
third = 1 / 3
cases = [
    ("three scores", [2.0, 5.0, -1.0], [0, 1, 0], [third] * 3),
    ("two largest", [0.7, 0.1, 0.7], [0.5, 0, 0.5], [third] * 3),
    ("one forbidden", [0.0, -math.inf, 3.0], [0, 0, 1], [0.5, 0, 0.5]),
    ("large scores", [1e4, 1e4 + 1, -1e4], [0, 1, 0], [third] * 3),
    (
        "a batch",
        [[[0.0, 1.0], [2.0, 2.0], [5.0, -math.inf]]],
        [[[0, 1], [0.5, 0.5], [1, 0]]],
        [[[0.5, 0.5], [0.5, 0.5], [1, 0]]],
    ),
]
for number, (label, scores, cold, hot) in enumerate(cases):
    z = torch.tensor(scores, dtype=(torch.float32, torch.float64)[number % 2])
    cold, hot = torch.tensor(cold).double(), torch.tensor(hot).double()
    one = F.one_hot(z.argmax(-1), z.shape[-1]).double()
    even = torch.full_like(cold, 1 / z.shape[-1])
    colds = {
        "equal scores stay equally likely at every temperature": one,
        "the two limits are swapped": hot,
        "this is temperature 1": z.double().softmax(-1),
    }
    hots = {
        "a forbidden token stays forbidden at every temperature": even,
        "the two limits are swapped": cold,
        "this is temperature 1": z.double().softmax(-1),
    }
    c.close(
        f"T → 0, {label}",
        lambda: limits(z.clone())[0],
        cold,
        mistakes=colds,
        hint="only the largest scores are left",
    )
    c.close(
        f"T → ∞, {label}",
        lambda: limits(z.clone())[1],
        hot,
        mistakes=hots,
        hint="the differences of the scores vanish",
    )
c.report()

# %% temperature_for (more is tested when it is handed in)
c = checks.Checks("Exercise 1 · The two limits of temperature: between them")
cases = [([3.0, 1.0, 0.0], 2.0, 2.88539008177793)]
cases += [([0.0, -1.0, 2.5, 2.0], 5.0, 0.310667467279806)]
for scores, ratio, want in cases:
    z = torch.tensor(scores, dtype=torch.float64)
    first, second = z.sort(descending=True).values[:2].tolist()
    p = (z / want).softmax(-1).sort(descending=True).values
    assert math.isclose(p[0] / p[1], ratio, rel_tol=1e-9)
    plain = z.softmax(-1).sort(descending=True).values
    mistakes = {
        "it is upside down: a larger ratio needs a lower temperature": 1 / want,
        "the likeliest two may stand anywhere in the row": (
            want * abs(scores[0] - scores[1]) / (first - second)
        ),
        "scores are logarithms: so take the logarithm of the ratio": (
            (first - second) / ratio
        ),
        "take the difference of the scores, not of the probabilities": (
            want * (plain[0] - plain[1]).item() / (first - second)
        ),
        "scores are natural logarithms, and so is this one": (
            want * math.log(2)
        ),
    }
    c.close(
        f"{scores}, ratio {ratio:g}",
        lambda: temperature_for(z.clone(), ratio),
        want,
        mistakes=mistakes,
    )
c.report()

# %% nucleus (more is tested when it is handed in)
c = checks.Checks("Exercise 2 · The exact nucleus")


def kept_by_hand(row, p, rule):
    """One row as a list; rule: how the token that reaches p is treated."""
    order = sorted(range(len(row)), key=lambda i: (-row[i], i))
    kept, total = [0] * len(row), 0.0
    for place, i in enumerate(order):
        if rule == "short":
            stays = total + row[i] <= p
        elif rule == "long":
            stays = total <= p
        else:
            stays = total < p
        kept[place if rule == "sorted" else i] = int(stays)
        total += row[i]
    return kept


def kept_unsorted(row, p):
    before = [sum(row[:i]) for i in range(len(row))]
    return [int(b < p) for b in before]


def each_row(x, p, rule):
    rows = x.reshape(-1, x.shape[-1]).tolist()
    how = {"unsorted": kept_unsorted}.get(rule, lambda r, p: kept_by_hand(r, p, rule))
    return torch.tensor([how(row, p) for row in rows]).view(x.shape)


powers = [1 / 16, 1 / 2, 1 / 8, 1 / 16, 1 / 4]  # their sums are exact
cases = [("powers of 1/2", powers, p) for p in (0.01, 0.7, 0.75, 0.76)]
cases += [("all alike", [0.25] * 4, 0.5)]
draw = torch.Generator().manual_seed(0)
batch = torch.randn(2, 3, 7, generator=draw, dtype=torch.float64).softmax(-1)
cases += [("a batch", batch.tolist(), 0.9)]
for label, rows, p in cases:
    x = torch.tensor(rows, dtype=torch.float64)
    want = each_row(x, p, "exact")
    mistakes = {
        "at least one token has to stay": torch.zeros_like(want),
        "the token that crosses p belongs to the nucleus": each_row(x, p, "short"),
        "p is reached already: this is one token too many": each_row(x, p, "long"),
        "the sum has to start at the likeliest token: sort": each_row(x, p, "unsorted"),
        "the mask is still in sorted order": each_row(x, p, "sorted"),
    }

    def kept():
        with checks.by_hand("nucleus"):
            return nucleus(x, p)

    c.close(
        f"{label}, p = {p:g}",
        kept,
        want,
        mistakes=mistakes,
    )
c.report()

# %% min_p (more is tested when it is handed in)
c = checks.Checks("Exercise 2 · The exact nucleus: min-p")


rows = [[0.5, 0.125, 0.25, 0.125], [0.25, 0.25, 0.4375, 0.0625]]
edge = [0.4375, 0.21875, 0.25, 0.09375]
# Which tokens are left; with p as the threshold, those above the threshold alone, with
# the largest of all rows, with the largest less p. None: as it should be, or nothing.
cases = [
    ("a row", rows[0], 0.3, [1, 0, 1, 0], [1, 0, 0, 0], None, None, None),
    ("at the threshold", edge, 0.5, [1, 1, 1, 0], None, [1, 0, 1, 0], None, [1] * 4),
    (
        "two rows",
        rows,
        0.55,
        [[1, 0, 0, 0], [1, 1, 1, 0]],
        None,
        None,
        [[1, 0, 0, 0], [0, 0, 1, 0]],
        [[1] * 4] * 2,
    ),
]


def shares(x, left):
    x = x * torch.tensor(left)
    return x / x.sum(-1, keepdim=True)


whys = (
    "the threshold is p times the largest, not p",
    "a token exactly at the threshold stays",
    "each row has its own largest",
    "the largest is to be multiplied by p, not lessened by it",
)
for label, x, p, left, *wrong in cases:
    x = torch.tensor(x, dtype=torch.float64)
    want = shares(x, left)
    mistakes = {"the row has to add up to 1 again": x * torch.tensor(left)}
    mistakes |= {why: w and shares(x, w) for why, w in zip(whys, wrong)}
    c.close(
        f"{label}, p = {p:g}",
        lambda: min_p(x, p),
        want,
        mistakes=mistakes,
    )
c.report()

# %% visible (more is tested when it is handed in)
c = checks.Checks("Exercise 3 · Fewer queries than keys")
cases = [(0, 4, None), (5, 3, None), (5, 1, None), (5, 3, 2)]
for n_before, n_new, window in cases:
    total, reach = n_before + n_new, window or n_before + n_new
    square = torch.ones(total, total)
    want = square.tril().triu(1 - reach)[n_before:].int()
    top = torch.ones(n_new, total)
    mistakes = {
        "this is aligned at the top, as is_causal: new token 0 stands at n_before": (
            top.tril().triu(1 - reach)
        ),
        "a new token sees itself, too": square.tril(-1).triu(1 - reach)[n_before:],
        "a new token sees the future": square.tril(1).triu(1 - reach)[n_before:],
        "everything may see everything: the new tokens' future is open": top,
        "the window counts the token itself: one key too many": (
            square.tril().triu(-reach)[n_before:]
        ),
        "the window counts the token itself: one key is missing": (
            window and square.tril().triu(2 - reach)[n_before:]
        ),
        "the window is missing": square.tril()[n_before:],
        "rows are queries: this is turned over": want.T,
        "only the new tokens have rows": square.tril().triu(1 - reach),
    }

    def mask():
        with checks.by_hand("key-value cache"):
            return visible(n_before, n_new, window)

    c.close(
        f"{n_before} before, {n_new} new, window {window}",
        mask,
        want,
        mistakes=mistakes,
    )
c.report()

# %% log_likelihoods (more is tested when it is handed in)
c = checks.Checks("Exercise 4 · How likely is a text?")
torch.manual_seed(0)
gpt = GPT(GPTConfig(23, 17, d_model=12, n_heads=3, n_layers=2)).double().eval()
with torch.no_grad():
    for weight in gpt.parameters():
        weight.normal_(std=0.4)
batches = [[[3, 1, 4, 1, 5, 9], [2, 6], [5, 3, 5, 8]]]
for texts in batches:
    calls = []

    def asked(ids):
        calls.append(tuple(ids.shape))
        with torch.no_grad():
            return gpt(ids)

    time = max(map(len, texts))
    ids = torch.tensor([text + [0] * (time - len(text)) for text in texts])
    moved = torch.tensor([[0] * (time - len(text)) + text for text in texts])
    n = torch.tensor([[len(text)] for text in texts])
    with torch.no_grad():
        alone = [gpt(torch.tensor([text]))[0].log_softmax(-1) for text in texts]
        padded, left = gpt(ids).log_softmax(-1), gpt(moved).log_softmax(-1)
    want = torch.stack(
        [-F.nll_loss(p[:-1], torch.tensor(t[1:]), reduction="sum")
         for p, t in zip(alone, texts)]
    )  # fmt: skip
    each = padded[:, :-1].gather(-1, ids[:, 1:, None])[..., 0]
    here = padded.gather(-1, ids[..., None])[..., 0]
    from_left = left[:, :-1].gather(-1, moved[:, 1:, None])[..., 0]
    spots = torch.arange(1, time)
    mistakes = {
        "the padding is counted": each.sum(-1),
        "the first padding token is still counted": (each * (spots <= n)).sum(-1),
        "the last token of each text is missing": (each * (spots < n - 1)).sum(-1),
        "the scores at place t are about the token at t + 1": (
            (here * (torch.arange(time) < n)).sum(-1)
        ),
        "the scores at place t are about the token at t + 1, not t": (
            (here[:, 1:] * (spots < n)).sum(-1)
        ),
        "the sum is asked for, not the mean": want / (n[:, 0] - 1),
        "log-probabilities are negative: the sign is wrong": -want,
        "padding on the left moves the texts to other positions": (
            (from_left * (spots > time - n)).sum(-1)
        ),
    }
    label = f"lengths {', '.join(str(len(text)) for text in texts)}"
    c.close(
        label,
        lambda: log_likelihoods(asked, [list(text) for text in texts]),
        want,
        mistakes=mistakes,
    )

    def once():
        calls.clear()
        log_likelihoods(asked, [list(text) for text in texts])
        return len(calls) == 1

    c.that(f"{label}: the model is asked once", once, "put all texts into one batch")
c.report()

# %% read_on (more is tested when it is handed in)
c = checks.Checks("Exercise 5 · A cache for pieces of any size")


def in_pieces(project, x, sizes, read):
    """The outputs of all pieces, joined."""
    cache, outputs = None, []
    for piece in x.split(sizes, dim=1):
        output, cache = read(project, piece, cache)
        outputs.append(output)
    return torch.cat(outputs, dim=1)


def mistaken(kind, scale=True):
    """read_on with one mistake."""

    def read(project, x, cache):
        q, k, v = project(x)
        if cache is not None and kind != "forgets":
            pairs = zip((k, v), cache) if kind == "behind" else zip(cache, (k, v))
            k, v = (torch.cat(pair, dim=1) for pair in pairs)
        total, new = k.shape[1], q.shape[1]
        may = torch.ones(total, total).tril().bool()[-new:]
        if kind == "top":
            may = torch.ones(new, total).tril().bool()
        if kind == "open":
            may = torch.ones(new, total).bool()
        scores = q @ k.mT / (math.sqrt(q.shape[-1]) if scale else 1)
        return scores.masked_fill(~may, -math.inf).softmax(-1) @ v, (k, v)

    return read


cases = [(5, [1] * 5, 1), (7, [3, 1, 3], 1), (6, [2, 4], 100)]
for seed, (time, sizes, large) in enumerate(cases):
    draw = torch.Generator().manual_seed(seed)
    x = large * torch.randn(2, time, 7, generator=draw, dtype=torch.float64)
    maps = [
        torch.randn(7, width, generator=draw, dtype=torch.float64)
        for width in (3, 3, 5)
    ]
    shown = []

    def project(x):
        shown.append(x.shape[1])
        return tuple(x @ matrix for matrix in maps)

    want = F.scaled_dot_product_attention(*project(x), is_causal=True)
    wrongs = {
        "the mask is aligned at the top: the first new place stands behind the cache": (
            mistaken("top")
        ),
        "the new places see each other's future": mistaken("open"),
        "a piece has to see the places before it": mistaken("forgets"),
        "the keys of the cache come before the new ones": mistaken("behind"),
        "the scores are not divided by √d_k": mistaken("", scale=False),
    }
    wrongs = {k: in_pieces(project, x, sizes, read) for k, read in wrongs.items()}
    label = f"pieces of {', '.join(map(str, sizes))}, numbers of about {large}"

    def once():
        shown.clear()
        in_pieces(project, x, sizes, read_on)
        if sum(shown) > time:
            raise checks.Wrong(
                f"project was shown {sum(shown)} places, the text has {time}: "
                "keep the keys and values of old places"
            )
        return sum(shown) == time

    c.close(
        label,
        lambda: in_pieces(project, x, sizes, read_on),
        want,
        mistakes=wrongs,
        hint="not the rows of full causal attention",
    )
    c.that(f"{label}: each place is shown once", once, "each place has to be shown")
c.report()

# %% three_texts (more is tested when it is handed in)
c = checks.Checks("Exercise 6 · The likeliest text is not a typical one")
trap = ([0.5, 0.4, 0.1], [[0.4, 0.3, 0.3], [0.05, 0.9, 0.05], [0.2, 0.2, 0.6]])
coin = ([0.6, 0.4], [[0.6, 0.4], [0.6, 0.4]])
late = (
    [0.31, 0.29, 0.22, 0.18],
    [[0.27, 0.26, 0.24, 0.23], [0.3, 0.28, 0.22, 0.2], [0.03, 0.02, 0.05, 0.9],
     [0.01, 0.02, 0.95, 0.02]],
)  # fmt: skip
cases = [("a coin, 3 throws", *coin, 3), ("three tokens, 5 places", *trap, 5)]
cases += [("four tokens, 5 places", *late, 5)]


def beam(every, width, n):
    """The probability of the text that a beam of this width ends with."""
    kept = [()]
    for size in range(1, n + 1):
        sums = {}
        for text, p in every.items():
            if text[: size - 1] in kept:
                sums[text[:size]] = p_of(text[:size])
        kept = sorted(sums, key=sums.get)[-width:]
    return sums[kept[-1]]


for label, first, follows, n in cases:
    first = torch.tensor(first, dtype=torch.float64)
    follows = torch.tensor(follows, dtype=torch.float64)
    starts, steps = first.tolist(), follows.tolist()

    def p_of(text):
        return starts[text[0]] * math.prod(
            steps[a][b] for a, b in itertools.pairwise(text)
        )

    every = {
        text: p_of(text) for text in itertools.product(range(len(first)), repeat=n)
    }
    text = [first.argmax().item()]
    while len(text) < n:
        text.append(follows[text[-1]].argmax().item())
    greedy, likeliest = every[tuple(text)], max(every.values())
    ends = [beam(every, width, n) for width in (3, 2)]
    dropped = next((p for p in ends if p < 0.999 * likeliest), likeliest)
    possible = [p for p in every.values() if p]
    mean = sum(p * math.log(p) for p in possible)
    evenly = -torch.special.entr(follows).sum(-1).mean().item() * (n - 1)
    wants = [math.log(greedy), math.log(likeliest), mean]
    mistakes = [
        {
            "this is the likeliest of all, not greedy's": math.log(likeliest),
            "this is a probability: take its logarithm": greedy,
        },
        {
            "this is greedy's: a likelier text may begin with a less likely token": (
                math.log(greedy)
            ),
            "this is a probability: take its logarithm": likeliest,
            "a beam drops the likeliest on its way: keep the best text for each last "
            "token": math.log(dropped),
        },
        {
            "this is the mean over all texts alike: drawn ones are not": (
                sum(map(math.log, possible)) / len(possible)
            ),
            "the mean of the logarithms is asked for, not the logarithm of the mean": (
                math.log(sum(p * p for p in possible))
            ),
            "each row counts as often as its token comes up": (
                evenly - torch.special.entr(first).sum().item()
            ),
            "log-probabilities are negative: the sign is wrong": -mean,
            "0 ln 0 is 0, not NaN": None if all(every.values()) else math.nan,
        },
    ]
    names = "greedy", "likeliest", "mean"
    for place, name in enumerate(names):
        want = wants[place]
        c.close(
            f"{name}: {label}",
            lambda: three_texts(first, follows, n)[place],
            want,
            mistakes=mistakes[place],
            hint="try it with two places, by hand",
        )
heads = torch.tensor([0.6, 0.4], dtype=torch.float64)
wants = 100 * math.log(0.6), 60 * math.log(0.6) + 40 * math.log(0.4)
for place, name in [(1, "all heads, the likeliest"), (2, "drawn, about 60 heads")]:
    c.close(
        f"100 throws: {name}",
        lambda: three_texts(heads, torch.stack([heads, heads]), 100)[place],
        wants[place - 1],
        hint="it has to work without listing all texts",
    )
c.report()
