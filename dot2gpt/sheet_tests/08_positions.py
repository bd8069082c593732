# Made from solutions/ by `make sync`: do not edit.

# %% rises (more is tested when it is handed in)
c = checks.Checks("Exercise 1 · Is near similar?")
cases = [(2, 12), (64, 20)]


def up(time, exponents, wave=math.cos):
    values = [sum(wave(t * 10000**-e) for e in exponents) for t in range(time)]
    return [t for t in range(1, time) if values[t] > values[t - 1]]


for d, time in cases:
    exponents = [2 * i / d for i in range(d // 2)]
    right = up(time, exponents)
    c.close(
        f"d_model={d}, time={time}",
        lambda: rises(d, time),
        right,
        mistakes={
            "each t is one too small: name the step that is higher": (
                [t - 1 for t in right]
            ),
            "these are the steps that fall": (
                [t for t in range(1, time) if t not in right]
            ),
            "only the first rise is there: they go on": right[:1],
            "the list is empty, but a sum of waves does not fall for ever": [],
            "position 0 has cosines 1 and sines 0: the cosines are what is left": (
                up(time, exponents, math.sin)
            ),
            "the factor 2 in 10000^(-2i / d_model) is missing": (
                up(time, [e / 2 for e in exponents])
            ),
            "i counts the pairs of dimensions, not the dimensions: 0, 1, 2, …": (
                up(time, [2 * e for e in exponents])
            ),
        },
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
        return waves(p) @ matrix.T

    def halves(p=p, k=k, w=w, d=d):
        a, b = waves(p).chunk(2, -1)
        co, si = torch.cos(k * w), torch.sin(k * w)
        return torch.cat([a * co + b * si, -a * si + b * co], -1)

    label = f"k={k}, d_model={d}"
    c.close(
        f"R·PE(p) is PE(p + k), {label}",
        times,
        waves(p + k),
        mistakes={
            "it turns the wrong way, to p - k": waves(p - k),
            "sine and cosine of a pair stand next to each other": halves,
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
sizes = [4, 6]
for d in sizes:
    half = d // 2
    c.close(
        f"d_k={d}",
        lambda: order_of_halves(d),
        [2 * j if j < half else 2 * (j - half) + 1 for j in range(d)],
        mistakes={
            "that is the way back, from halves to neighbours": (
                [j // 2 + half * (j % 2) for j in range(d)]
            ),
            "the first of each pair belongs in the first half": (
                [2 * j + 1 if j < half else 2 * (j - half) for j in range(d)]
            ),
            "nothing is moved": list(range(d)),
            "the halves are exchanged, but the pairs stay neighbours": (
                [(j + half) % d for j in range(d)]
            ),
        },
        hint="pair i, dimensions 2i and 2i + 1, should land at i and i + d_k / 2",
    )
c.report()

# %% rotary_halves (more is tested when it is handed in)
c = checks.Checks("Exercise 3 · The other rotary: the turn")
cases = [(0, (2, 5, 8), 0), (1, (3, 6), 300)]
for seed, shape, start in cases:
    torch.manual_seed(seed)
    q, k = torch.randn(2, *shape, dtype=torch.float64)
    time, d = shape[-2:]
    at = torch.arange(start, start + time)
    w = 10000 ** (-torch.arange(0, d, 2, dtype=torch.float64) / d)

    def turn(at, w, x=q):
        angles = at[:, None] * w
        z = torch.complex(*x.chunk(2, -1)) * torch.exp(1j * angles)
        return torch.cat([z.real, z.imag], -1)

    def tangled(x=q, at=at, w=w):
        angles = (at[:, None] * w).repeat_interleave(2, -1)
        first, second = x.chunk(2, -1)
        return x * angles.cos() + torch.cat([-second, first], -1) * angles.sin()

    label = f"shape {shape}, from position {start}"
    c.close(
        f"turned, {label}",
        lambda: rotary_halves(q, at),
        turn(at, w),
        mistakes={
            "neighbours are turned, as in the lesson, not halves": rotary(q, at),
            "it turns the wrong way": turn(-at, w),
            "the positions are an argument; they need not begin at 0": (
                turn(torch.arange(time), w)
            ),
            "both halves take the frequencies in order, not each one twice": tangled,
            "the factor 2 in 10000^(-2i / d_k) is missing": turn(at, w**0.5),
        },
        hint="pair (x_i, x_{i + d_k/2}) is not turned by its angle",
        atol=1e-4,
    )
    order = [*range(0, d, 2), *range(1, d, 2)]

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
offsets = [1, 3]


def search(offset, first=0):
    """The best (slope, weight) of 40,000 slopes; the keys begin at `first` back."""
    slopes = torch.linspace(1e-4, 4, 40_000, dtype=torch.float64)
    r = torch.exp(-slopes)
    weights = r ** (offset - first) * (1 - r)
    best = weights.argmax()
    return slopes[best].item(), weights[best].item()


for n in offsets:
    slope, weight = search(n)
    other = search(n, first=1)
    c.close(
        f"slope, {n} back",
        lambda: alibi_peak(n)[0],
        slope,
        mistakes={
            "this is r = e^(-m); the slope is m = -ln r": math.exp(-slope),
            "the slope is positive: m = -ln r": -slope,
            "the query's own key, 0 back, takes its share too": other[0],
            "no slope at all spreads the weight over an endless past": 0.0,
            "this is offset + 1 back: n = 0 is the query itself": search(n + 1)[0],
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
            "the query's own key, 0 back, takes its share too": other[1],
            "without a slope an endless past leaves it nothing; some slope does": 0.0,
            "this is offset + 1 back: n = 0 is the query itself": search(n + 1)[1],
        },
        hint="this is not the weight at the best slope",
        atol=1e-3,
    )
c.report()
