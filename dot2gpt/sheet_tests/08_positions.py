# Made from solutions/ by `make sync`: do not edit.

# %% rises (more is tested when it is handed in)
c = checks.Checks("Exercise 1 · Is near similar?")
# d_model, time: the steps up, and what each mistake gives
cases = {
    (2, 12): ([4, 5, 6, 10, 11], [1, 2, 3, 7, 8, 9], [1, 2, 6, 7, 8], None, None),
    (64, 20): (
        [6, 11, 12, 17, 18],
        [1, 2, 3, 4, 5, 7, 8, 9, 10, 13, 14, 15, 16, 19],
        [1, 2, 3, 6, 7, 8, 12, 13, 14, 18, 19],
        [12, 18],
        [5, 6, 10, 11, 12, 17, 18, 19],
    ),
}
whys = (
    "these are the steps that fall",
    "position 0 has cosines 1 and sines 0: the cosines are what is left",
    "the factor 2 in 10000^(-2i / d_model) is missing",
    "i counts the pairs of dimensions, not the dimensions: 0, 1, 2, …",
)
for (d, time), (right, *wrong) in cases.items():
    c.close(
        f"d_model={d}, time={time}",
        lambda: rises(d, time),
        right,
        mistakes={
            "each t is one too small: name the step that is higher": (
                [t - 1 for t in right]
            ),
            "only the first rise is there: they go on": right[:1],
            "the list is empty, but a sum of waves does not fall for ever": [],
        }
        | dict(zip(whys, wrong)),
        hint="not the steps at which the similarity goes up",
    )
c.report()

# %% shift_matrix (more is tested when it is handed in)
c = checks.Checks("Exercise 2 · One rotation for k on")
cases = [(1, 4), (-500, 10)]
for k, d in cases:
    p = torch.arange(50, 130, dtype=torch.float64)[:, None]
    w = 10000 ** (-torch.arange(0, d, 2, dtype=torch.float64) / d)

    def waves(p, w=w):
        return torch.stack([torch.sin(p * w), torch.cos(p * w)], -1).flatten(1)

    def moved(by, w_by, p=p, w=w):
        """PE(p) with pair i turned on by `by` times the frequency w_by[i]."""
        return torch.stack(
            [torch.sin(p * w + by * w_by), torch.cos(p * w + by * w_by)], -1
        ).flatten(1)

    def times(p=p, k=k, d=d):
        matrix = torch.as_tensor(shift_matrix(k, d), dtype=torch.float64)
        if matrix.shape != (d, d):
            raise checks.Wrong(f"its shape is {tuple(matrix.shape)}, not {(d, d)}")
        pair = torch.arange(d) // 2
        if matrix[pair[:, None] != pair].any():
            raise checks.Wrong("sine and cosine of a pair stand next to each other")
        return waves(p) @ matrix.T

    label = f"k={k}, d_model={d}"
    c.close(
        f"R·PE(p) is PE(p + k), {label}",
        times,
        waves(p + k),
        mistakes={
            "it turns the wrong way, to p - k": waves(p - k),
            "each pair has a frequency of its own": moved(k, torch.ones_like(w)),
            "the exponent is 2i / d_model with i the number of the pair": (
                moved(k, w**2)
            ),
            "the factor 2 in 10000^(-2i / d_model) is missing": moved(k, w**0.5),
            "one step is not k steps": waves(p + 1),
        },
        hint="the rotated PE(p) is not PE(p + k)",
        atol=1e-4,
    )

    def squared(k=k, d=d):
        matrix = torch.as_tensor(shift_matrix(k, d), dtype=torch.float64)
        return matrix @ matrix.T

    c.close(
        f"R is a rotation, {label}",
        squared,
        torch.eye(d, dtype=torch.float64),
        hint="R·Rᵀ should be the identity",
        atol=1e-4,
    )
c.report()

# %% order_of_halves (more is tested when it is handed in)
c = checks.Checks("Exercise 3 · The other rotary: the order")
# The order, the way back, with the second of each pair in the first half
cases = {
    4: ([0, 2, 1, 3], None, [1, 3, 0, 2]),
    6: ([0, 2, 4, 1, 3, 5], [0, 3, 1, 4, 2, 5], [1, 3, 5, 0, 2, 4]),
}
for d, (want, back, second_first) in cases.items():
    plain = list(range(d))
    c.close(
        f"d_k={d}",
        lambda: order_of_halves(d),
        want,
        mistakes={
            "that is the way back, from halves to neighbours": back,
            "the first of each pair belongs in the first half": second_first,
            "nothing is moved": plain,
            "the halves are exchanged, but the pairs stay neighbours": (
                plain[d // 2 :] + plain[: d // 2]
            ),
        },
        hint="pair i, dimensions 2i and 2i + 1, should land at i and i + d_k / 2",
    )
c.report()

# %% rotary_halves (more is tested when it is handed in)
c = checks.Checks("Exercise 3 · The other rotary: the turn")
x = torch.tensor([[1.0, 0, 0, 1], [2, -1, 0, 3]], dtype=torch.float64)
c.close(
    "turned, d_k=4, positions 10 and 20, worked out by hand",
    lambda: rotary_halves(x, torch.tensor([10, 20])),
    [
        [-0.8390715, -0.0998334, -0.5440211, 0.9950042],
        [0.8161641, -1.576075, 1.825891, 2.74153],
    ],
    mistakes={
        "neighbours are turned, as in the lesson, not halves": [
            [-0.8390715, -0.5440211, -0.0998334, 0.9950042],
            [1.729109, 1.417808, -0.596008, 2.9402],
        ],
        "it turns the wrong way": [
            [-0.8390715, 0.0998334, 0.5440211, 0.9950042],
            [0.8161641, -0.3840586, -1.825891, 3.138869],
        ],
        "the positions are an argument; they need not begin at 0": [
            [1.0, 0.0, 0.0, 1.0],
            [1.080605, -1.02995, 1.682942, 2.98985],
        ],
        "both halves take the frequencies in order, not each one twice": [
            [-0.8390715, 0.5440211, 0.0998334, 0.9950042],
            [0.8161641, -3.146918, 0.3973387, 2.74153],
        ],
        "the factor 2 in 10000^(-2i / d_k) is missing": [
            [-0.8390715, -0.841471, -0.5440211, 0.5403023],
            [0.8161641, -2.311745, 1.825891, -2.157738],
        ],
    },
    hint="pair (x_i, x_{i + d_k/2}) is not turned by its angle",
    atol=1e-5,
)
cases = [(0, (2, 5, 8), 0, [0, 2, 4, 6, 1, 3, 5, 7])]
cases += [(1, (3, 6), 300, [0, 2, 4, 1, 3, 5])]
for seed, shape, start, order in cases:
    torch.manual_seed(seed)
    q, k = torch.randn(2, *shape, dtype=torch.float64)
    at = torch.arange(start, start + shape[-2])
    label = f"shape {shape}, from position {start}"
    c.close(
        f"turned, {label}",
        lambda: rotary_halves(q[..., order], at),
        rotary(q, at)[..., order],
        hint="pair (x_i, x_{i + d_k/2}) is not turned by its angle",
        atol=1e-4,
    )

    def scores(q=q, k=k, at=at, order=order):
        q, k = (rotary_halves(x[..., order], at) for x in (q, k))
        return q @ k.transpose(-2, -1)

    c.close(
        f"the scores of the lesson's rotary after reordering, {label}",
        scores,
        rotary(q, at) @ rotary(k, at).transpose(-2, -1),
        hint="scores differ from those of `rotary`",
        atol=1e-4,
    )
c.report()

# %% exchangeable (more is tested when it is handed in)
c = checks.Checks("Exercise 4 · Which tokens may change places?")
ones = torch.ones(4, 4, dtype=torch.bool)
prefix = causal_mask(5)
prefix[:2, :2] = True
masks = {
    "no mask": ones,
    "a causal mask": causal_mask(4),
    "padding": padding_mask([3], 5)[0].expand(5, 5),
    "a prefix of 2, then causal": prefix,
    "each token sees itself alone": torch.eye(3, dtype=torch.bool),
    "neighbours": torch.ones(3, 3).triu(-1).tril(1).bool(),
}
masks["token 2 does not see token 1"] = ones.clone()
masks["token 2 does not see token 1"][2, 1] = False


def measured(mask):
    """The pairs that random tokens and weights let through."""
    torch.manual_seed(0)
    n, found = len(mask), set()
    attention = MultiHeadAttention(12, 3).double()
    x = torch.randn(1, n, 12, dtype=torch.float64)
    with torch.no_grad():
        for i in range(n):
            for j in range(i + 1, n):
                order = list(range(n))
                order[i], order[j] = j, i
                a, b = attention(x[:, order], mask=mask)[0], attention(x, mask=mask)[0]
                if torch.allclose(a, b[:, order], atol=1e-9):
                    found.add((i, j))
    return found


def rows_alone(m, i, j, _):
    """Whether rows i and j are alike when both tokens have changed places."""
    order = list(range(len(m)))
    order[i], order[j] = j, i
    return torch.equal(m[order][:, order][[i, j]], m[[i, j]])


truth = {label: measured(mask) for label, mask in masks.items()}
rules = {
    "seeing each other is not enough: the other tokens must not notice": (
        lambda m, i, j, free: m[i, j] and m[j, i]
    ),
    "equal rows are not the point: columns i and j change places as well": (
        lambda m, i, j, free: torch.equal(m[i], m[j])
    ),
    "equal columns are not the point: rows i and j change places as well": (
        lambda m, i, j, free: torch.equal(m[:, i], m[:, j])
    ),
    "rows i and j are not all: the rows of the other tokens must stay alike, too": (
        rows_alone
    ),
    "not only neighbouring tokens can change places": (
        lambda m, i, j, free: j == i + 1 and (i, j) in free
    ),
    "the mask breaks some of them: not every pair is free": lambda *_: True,
    "some pairs are left: the mask treats them alike": lambda *_: False,
}


def answer(label):
    pairs = exchangeable(masks[label])
    if pairs is None:
        raise checks.Wrong("it is None: is a `return` missing?")
    return {tuple(int(n) for n in pair) for pair in pairs}


def follows(rule, label):
    m, n = masks[label], len(masks[label])
    pairs = {(i, j) for i in range(n) for j in range(i + 1, n)}
    return answer(label) == {p for p in pairs if rule(m, *p, truth[label])}


def verdict(label):
    got, want = answer(label), truth[label]
    if got == want:
        return True
    if {tuple(sorted(pair)) for pair in got} == want:
        raise checks.Wrong("each pair once, as (i, j) with i < j")
    for hint, rule in rules.items():
        if all(follows(rule, other) for other in masks):
            raise checks.Wrong(hint)
    missing, extra = sorted(want - got), sorted(got - want)
    if missing:
        raise checks.Wrong(f"the pair {missing[0]} is missing")
    raise checks.Wrong(f"{extra[0]} is no such pair")


for label in masks:
    c.that(label, lambda: verdict(label))
c.report()

# %% mended (more is tested when it is handed in)
c = checks.Checks("Exercise 5 · Two mistakes in one class")
cases = [(0, 2, 31, 8), (1, 3, 4, 5)]
for seed, batch, time, d in cases:
    torch.manual_seed(seed)
    x = torch.randn(batch, time, d)

    def wave(p, j, size):
        angle = p / 10000 ** (2 * (j // 2) / size)
        return math.cos(angle) if j % 2 else math.sin(angle)

    def rows(n, size, width=d):
        table = [[wave(p, j, size) for j in range(width)] for p in range(n)]
        return torch.tensor(table)

    def halves(n=time, size=d):
        return rows(n, size)[:, [*range(0, size, 2), *range(1, size, 2)]]

    label = f"batch={batch}, time={time}, d_model={d}"
    c.close(
        label,
        lambda: mended(x),
        x + rows(time, d),
        mistakes={
            "position 0 is given to every token: the batch axis is still used": (
                x + rows(1, d)
            ),
            "every sentence gets its number in the batch as its position": (
                x + rows(batch, d)[:, None]
            ),
            "the frequencies are those of d_model + 1": x + rows(time, d + 1),
            "the last dimension stays empty: it takes the last sine": lambda: (
                x + torch.nn.functional.pad(rows(time, d - 1, d - 1), (0, 1))
            ),
            "sine and cosine of a pair stand next to each other": lambda: x + halves(),
            "the positions are not added to x": rows(time, d).expand(batch, -1, -1),
        },
        hint="these are not the sines and cosines of the positions",
        atol=1e-5,
    )
c.report()

# %% alibi_peak (more is tested when it is handed in)
c = checks.Checks("Exercise 6 · How far one slope can point")
# offset: slope and weight; with the query's own key; one further back
cases = {
    1: ((0.693147, 0.25), (None, 1.0), (0.405465, 0.148148)),
    3: ((0.287682, 0.105469), (0.405465, 0.148148), (0.223144, 0.08192)),
}
for n, ((slope, weight), own_key, further) in cases.items():
    c.close(
        f"slope, {n} back",
        lambda: alibi_peak(n)[0],
        slope,
        mistakes={
            "this is r = e^(-m); the slope is m = -ln r": math.exp(-slope),
            "the slope is positive: m = -ln r": -slope,
            "the query's own key, 0 back, takes its share too": own_key[0],
            "no slope at all spreads the weight over an endless past": 0.0,
            "this is offset + 1 back: n = 0 is the query itself": further[0],
        },
        hint="another slope gives this key more weight",
        atol=1e-3,
    )
    c.close(
        f"weight, {n} back",
        lambda: alibi_peak(n)[1],
        weight,
        mistakes={
            "weights add to 1: divide by the sum over all keys": math.exp(-slope * n),
            "the query's own key, 0 back, takes its share too": own_key[1],
            "without a slope an endless past leaves it nothing; some slope does": 0.0,
            "this is offset + 1 back: n = 0 is the query itself": further[1],
        },
        hint="this is not the weight at the best slope",
        atol=1e-3,
    )
c.report()
