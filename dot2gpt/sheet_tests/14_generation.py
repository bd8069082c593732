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
first, third = [1, 0, 0, 0], [0, 0, 1, 0]
# What is left; that, not adding up to 1; with p as the threshold, those above the
# threshold alone, with the largest of all rows, with the largest less p. None: as it
# should be, or nothing.
cases = [
    (
        "a row",
        rows[0],
        0.3,
        [2 / 3, 0, 1 / 3, 0],
        [0.5, 0, 0.25, 0],
        first,
        *[None] * 3,
    ),
    (
        "at the threshold",
        edge,
        0.5,
        [14 / 29, 7 / 29, 8 / 29, 0],
        [0.4375, 0.21875, 0.25, 0],
        None,
        [7 / 11, 0, 4 / 11, 0],
        None,
        edge,
    ),
    (
        "two rows",
        rows,
        0.55,
        [first, [4 / 15, 4 / 15, 7 / 15, 0]],
        [[0.5, 0, 0, 0], [0.25, 0.25, 0.4375, 0]],
        None,
        None,
        [first, third],
        rows,
    ),
]
whys = (
    "the row has to add up to 1 again",
    "the threshold is p times the largest, not p",
    "a token exactly at the threshold stays",
    "each row has its own largest",
    "the largest is to be multiplied by p, not lessened by it",
)
for label, x, p, want, *wrong in cases:
    x = torch.tensor(x, dtype=torch.float64)
    c.close(
        f"{label}, p = {p:g}",
        lambda: min_p(x, p),
        want,
        mistakes=dict(zip(whys, wrong)),
    )
c.report()

# %% visible (more is tested when it is handed in)
c = checks.Checks("Exercise 3 · Fewer queries than keys")


def rows(words):
    """A word of 0 and 1 a row."""
    return words and torch.tensor([[int(n) for n in word] for word in words.split()])


# n_before, n_new, window: the mask, and what each mistake gives
cases = {
    (0, 4, None): (
        "1000 1100 1110 1111",
        None,
        "0000 1000 1100 1110",
        "1100 1110 1111 1111",
    ),
    (5, 3, None): (
        "11111100 11111110 11111111",
        "10000000 11000000 11100000",
        "11111000 11111100 11111110",
        "11111110 11111111 11111111",
        None,
        None,
        None,
        "10000000 11000000 11100000 11110000 11111000 11111100 11111110 11111111",
    ),
    (5, 1, None): ("111111", "100000", "111110"),
    (5, 3, 2): (
        "00001100 00000110 00000011",
        "10000000 11000000 01100000",
        "00001000 00000100 00000010",
        "00001110 00000111 00000011",
        "00011100 00001110 00000111",
        "00000100 00000010 00000001",
        "11111100 11111110 11111111",
    ),
}
cases = {sizes: [rows(words) for words in given] for sizes, given in cases.items()}
whys = (
    "this is aligned at the top, as is_causal: new token 0 stands at n_before",
    "a new token sees itself, too",
    "a new token sees the future",
    "the window counts the token itself: one key too many",
    "the window counts the token itself: one key is missing",
    "the window is missing",
    "only the new tokens have rows",
)
for (n_before, n_new, window), (want, *wrong) in cases.items():
    mistakes = dict.fromkeys(whys) | dict(zip(whys, wrong))
    mistakes |= {
        "everything may see everything: the new tokens' future is open": (
            torch.ones_like(want)
        ),
        "rows are queries: this is turned over": want.T,
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

    def alone(text, first=1, ahead=1, padding=0):
        """The log-probability of a text from place `first` on, read by itself behind
        some padding; ahead: by how much a token stands behind the scores it is sought
        in."""
        ids = torch.tensor([0] * padding + text)
        with torch.no_grad():
            scores = gpt(ids[None])[0, padding + first - ahead :]
        ids = ids[padding + first :]
        return -F.cross_entropy(scores[: len(ids)], ids, reduction="sum")

    def each(change):
        return torch.stack([change(text) for text in texts])

    want = each(alone)
    mistakes = {
        "the padding is counted": each(lambda t: alone(t + [0] * (time - len(t)))),
        "the first padding token is still counted": (
            each(lambda t: alone((t + [0])[:time]))
        ),
        "the last token of each text is missing": each(lambda t: alone(t[:-1])),
        "the scores at place t are about the token at t + 1": (
            each(lambda t: alone(t, first=0, ahead=0))
        ),
        "the scores at place t are about the token at t + 1, not t": (
            each(lambda t: alone(t, ahead=0))
        ),
        "the sum is asked for, not the mean": want
        / each(lambda t: torch.tensor(len(t) - 1)),
        "log-probabilities are negative: the sign is wrong": -want,
        "padding on the left moves the texts to other positions": (
            each(lambda t: alone(t, padding=time - len(t)))
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


def in_pieces(project, x, sizes):
    """The outputs of all pieces, joined."""
    cache, outputs = None, []
    for piece in x.split(sizes, dim=1):
        output, cache = read_on(project, piece, cache)
        outputs.append(output)
    return torch.cat(outputs, dim=1)


def by_powers(x):
    """Queries, keys and values: place (a, v) weighs 2 ** a, and its value is v."""
    zeros = torch.zeros(*x.shape[:2], 3, dtype=x.dtype)
    return tuple(
        torch.cat([first, zeros], dim=-1)
        for first in (2 + 0 * x[..., :1], math.log(2) * x[..., :1])
    ) + (x[..., 1:],)


# The places, and their outputs: worked out by hand, and those of each mistake
places = torch.tensor([[[0, 12], [1, 0], [0, 24], [1, 60], [2, -12]]]).double()
right, unscaled = [12, 4, 9, 26, 10.8], [12, 2.4, 6, 27.6, 42 / 13]
cases = {
    (1, 1, 1, 1, 1): ([12] * 5, None, [12, 0, 24, 60, -12], None, unscaled),
    (2, 3): (
        [12, 4, 12, 4, 9],
        [4, 4, 10.8, 10.8, 10.8],
        [12, 4, 24, 48, 96 / 7],
        [12, 4, 96 / 7, 13.5, 10.8],
        unscaled,
    ),
}
whys = (
    "the mask is aligned at the top: the first new place stands behind the cache",
    "the new places see each other's future",
    "a piece has to see the places before it",
    "the keys of the cache come before the new ones",
    "the scores are not divided by √d_k",
)
for sizes, wrong in cases.items():
    c.close(
        f"by hand, pieces of {', '.join(map(str, sizes))}",
        lambda: in_pieces(by_powers, places, list(sizes))[0, :, 0],
        right,
        mistakes=dict(zip(whys, wrong)),
    )
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
    label = f"pieces of {', '.join(map(str, sizes))}, numbers of about {large}"

    def once():
        shown.clear()
        in_pieces(project, x, sizes)
        if sum(shown) > time:
            raise checks.Wrong(
                f"project was shown {sum(shown)} places, the text has {time}: "
                "keep the keys and values of old places"
            )
        return sum(shown) == time

    c.close(
        label,
        lambda: in_pieces(project, x, sizes),
        want,
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
# The three numbers; then the probabilities of the two texts, where a beam of 2 or 3
# ends, the mean over all texts alike, the logarithm of the mean, rows alike
cases = [
    ("a coin, 3 throws", *coin, 3, (-1.532477, -1.532477, -2.019035), 0.216, 0.216,
     None, -2.140675, -1.961779, None),
    ("three tokens, 5 places", *trap, 5, (-4.35831, -1.337733, -3.690632), 0.0128,
     0.26244, None, -7.148791, -2.418739, -4.188106),
    ("four tokens, 5 places", *late, 5, (-6.408516, -1.827435, -4.101459), 0.001647467,
     0.1608255, -6.302227, -9.947968, -2.856973, -4.800042),
]  # fmt: skip
for label, first, follows, n, wants, greedy, likeliest, *wrong in cases:
    dropped, alike, of_mean, evenly = wrong
    has_zeros = 0.0 in first + sum(follows, [])
    first = torch.tensor(first, dtype=torch.float64)
    follows = torch.tensor(follows, dtype=torch.float64)
    mistakes = [
        {
            "this is the likeliest of all, not greedy's": wants[1],
            "this is a probability: take its logarithm": greedy,
        },
        {
            "this is greedy's: a likelier text may begin with a less likely token": (
                wants[0]
            ),
            "this is a probability: take its logarithm": likeliest,
            "a beam drops the likeliest on its way: keep the best text for each last "
            "token": dropped,
        },
        {
            "this is the mean over all texts alike: drawn ones are not": alike,
            "the mean of the logarithms is asked for, not the logarithm of the mean": (
                of_mean
            ),
            "each row counts as often as its token comes up": evenly,
            "log-probabilities are negative: the sign is wrong": -wants[2],
            "0 ln 0 is 0, not NaN": math.nan if has_zeros else None,
        },
    ]
    names = "greedy", "likeliest", "mean"
    for place, name in enumerate(names):
        c.close(
            f"{name}: {label}",
            lambda: three_texts(first, follows, n)[place],
            wants[place],
            mistakes=mistakes[place],
            hint="try it with two places, by hand",
        )
heads = torch.tensor([0.6, 0.4], dtype=torch.float64)
wants = -51.0825624, -67.3011667
for place, name in [(1, "all heads, the likeliest"), (2, "drawn, about 60 heads")]:
    c.close(
        f"100 throws: {name}",
        lambda: three_texts(heads, torch.stack([heads, heads]), 100)[place],
        wants[place - 1],
        hint="it has to work without listing all texts",
    )
c.report()
