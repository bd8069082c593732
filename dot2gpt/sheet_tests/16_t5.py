# Made from solutions/ by `make sync`: do not edit.

# %% distances_of (more is tested when it is handed in)
c = checks.Checks("Exercise 1 · The distances of a bucket")
end = math.inf
# n_buckets, max_distance: for a bucket its distances, with the edges rounded down, with
# one width, by logarithm from 0 on, with an encoder's (None: as it should be)
cases = {
    (32, 128): {
        3: ((3, 3), None, None, (2, 1), None),
        15: ((15, 15), None, None, (10, 11), (91, end)),
        16: ((16, 18), (16, 17), (16, 22), (12, 13), None),
        17: ((19, 20), (18, 19), (23, 29), (14, 15), None),
        24: ((46, 51), (45, 50), (72, 78), (39, 44), None),
        30: ((99, 112), (98, 111), (114, 120), (95, 109), None),
        31: ((113, end), (112, end), (121, end), (110, end), None),
    },
    (8, 25): {
        0: ((0, 0), None, None, None, None),
        1: ((1, 1), None, None, (2, 2), None),
        2: ((2, 2), None, None, (3, 3), (2, 7)),
        3: ((3, 3), None, None, (4, 4), (8, end)),
        4: ((4, 6), (4, 5), (4, 9), (5, 7), None),
        5: ((7, 9), (6, 9), (10, 14), (8, 11), None),
        6: ((10, 15), (10, 14), (15, 19), (12, 16), None),
        7: ((16, end), (15, end), (20, end), (17, end), None),
    },
    (6, 20): {
        0: ((0, 0), None, None, None, None),
        1: ((1, 1), None, None, (2, 2), None),
        2: ((2, 2), None, None, (3, 4), (5, end)),
        3: ((3, 5), (3, 4), (3, 8), (5, 7), None),
        4: ((6, 10), (5, 9), (9, 14), (8, 12), None),
        5: ((11, end), (10, end), (15, end), (13, end), None),
    },
}
whys = (
    "the edge is rounded down: that distance is still in the bucket before",
    "beyond the exact ones the buckets widen, they are not equally wide",
    "the first half of the buckets holds one distance each",
    "these are the encoder's: in a decoder all buckets are for the left",
)
for (n, m), buckets in cases.items():
    for b, (want, *wrong) in buckets.items():
        first, last = want
        mistakes = {
            "last is the last distance *inside* the bucket, not the next one's first": (
                first,
                last + 1,
            ),
            "the last bucket has no end: all that is further away is in it": (
                (first, m) if b == n - 1 else None
            ),
        }

        def call():
            with checks.by_hand("relative buckets"):
                return distances_of(b, n, m)

        c.close(
            f"bucket {b} of {n}, distances up to {m}",
            call,
            want,
            mistakes=dict(zip(whys, wrong)) | mistakes,
        )
c.report()

# %% cut_out (more is tested when it is handed in)
c = checks.Checks("Exercise 2 · Spans that can be put back")
marks = [*range(107, 90, -1), *range(110, 130), 90]


def runs(ids, gone, alone=False):
    """[(is it gone, tokens)], alone: tokens that are gone stay single."""
    found = [
        (is_gone, [i for i, _ in group])
        for is_gone, group in itertools.groupby(zip(ids, gone), lambda pair: pair[1])
    ]
    if alone:
        parts = [([[i] for i in t] if g else [t], g) for g, t in found]
        found = [(g, t) for pieces, g in parts for t in pieces]
    return found


def reference(ids, gone, alone=False, same=False, after=False, end=True, keep=False):
    """The right answer, and by its options the wrong ones."""
    source, target, k = [], [], 0
    for is_gone, tokens in runs(ids, gone, alone):
        if not is_gone:
            source += tokens
            target += tokens if keep else []
        else:
            source.append(marks[k])
            target += [*tokens, marks[k]] if after else [marks[k], *tokens]
            k += not same
    return source, target + ([marks[k]] if end else [])


X, o = True, False
texts = {
    "the example": ([5, 6, 7, 8, 9], [o, X, X, o, X]),
    "a span at the beginning": ([5, 6, 7, 8], [X, X, o, o]),
    "the same token again": ([5, 5, 5, 5, 5, 5], [o, X, o, X, X, o]),
    "nothing is cut": ([5, 6, 7], [o, o, o]),
}
for name, (ids, gone) in texts.items():
    right = reference(ids, gone)
    wrongs = {
        "neighbours that are cut share one sentinel": reference(ids, gone, alone=True),
        "each span has a sentinel of its own": reference(ids, gone, same=True),
        "a sentinel stands *before* what it stands for": reference(
            ids, gone, after=True
        ),
        "the target ends with one more sentinel": reference(ids, gone, end=False),
        "the target holds what is cut, not what is kept": reference(
            ids, gone, keep=True
        ),
    }
    for part, which in enumerate(["source", "target"]):
        c.close(
            f"{name}: the {which}",
            lambda: cut_out(list(ids), list(gone), list(marks))[part],
            right[part],
            mistakes={why: w[part] for why, w in wrongs.items()},
        )


def comes_back():
    rng = random.Random(5)
    for _ in range(200):
        n, share = rng.randrange(1, 40), rng.random()
        ids = [rng.randrange(50) for _ in range(n)]
        gone = [rng.random() < share for _ in ids]
        source, target = cut_out(list(ids), list(gone), list(marks))
        if restore_spans(source, target, marks) != ids:
            raise checks.Wrong(f"{ids} with gone={gone} does not come back")
        if (list(source), list(target)) != reference(ids, gone):
            raise checks.Wrong(f"{ids} with gone={gone} gives {source}, {target}")
    return True


c.that("200 random texts come back", comes_back)
text, cut = [5, 6, 7, 8, 9], [X, X, o, o, X]
c.that(
    "three sentinels are enough for two spans",
    lambda: len(cut_out(list(text), list(cut), [90, 91, 92])[1]) == 6,
    "two spans and the end take three sentinels: that is enough",
)
c.raises(
    "two are not",
    ValueError,
    lambda: cut_out(list(text), list(cut), [90, 91]),
    hint="two spans and the end take three sentinels, two were given: ValueError",
)
c.raises(
    "a sentinel stands in the text",
    ValueError,
    lambda: cut_out([5, 91, 7], [o, o, X], [90, 91, 92]),
    hint="91 stands in the text and is a sentinel: ValueError",
)
c.report()

# %% without_mean (more is tested when it is handed in)
c = checks.Checks("Exercise 3 · A LayerNorm made of an RMSNorm")
cases = [(0, 2, 3, torch.float32), (1, 7, 5, torch.float64)]
for seed, d_out, d_in, dtype in cases:
    torch.manual_seed(seed)
    weight, bias = torch.randn(d_out, d_in).to(dtype), torch.randn(d_out).to(dtype)
    x, label = torch.randn(13, d_in).to(dtype), f"{d_out} x {d_in}, {dtype}"
    new_weight = torch.stack([row - sum(weight) / d_out for row in weight])
    new_bias = bias - sum(bias) / d_out
    y = F.linear(x, weight, bias)
    of_weight = {
        "the mean runs along the wrong axis: it is over the d_out numbers of y, so "
        "over the rows of W": weight - weight.mean(1, keepdim=True),
        "one number is subtracted from all of W: each column has a mean of its own": (
            weight - weight.mean()
        ),
        "the deviation is not divided by: RMSNorm does that": (
            new_weight / (weight.std(0, correction=0) + 1e-9)
        ),
        "the mean is still in it: W is unchanged": weight,
    }
    of_bias = {
        "the bias has a mean, too": bias,
        "the bias is gone: only its mean must go": torch.zeros_like(bias),
        "the deviation is not divided by: RMSNorm does that": (
            new_bias / (bias.std(correction=0) + 1e-9)
        ),
    }
    for part, want, wrongs in (0, new_weight, of_weight), (1, new_bias, of_bias):
        c.close(
            f"the new {('weight', 'bias')[part]}, {label}",
            lambda: without_mean(weight, bias)[part],
            want,
            mistakes=wrongs,
            atol=1e-6,
        )
    rms, layer = RMSNorm(d_out, eps=1e-5).to(dtype), LayerNorm(d_out, 1e-5).to(dtype)
    c.close(
        f"RMSNorm behind it is LayerNorm, {label}",
        lambda: rms(F.linear(x, *without_mean(weight, bias))).detach(),
        layer(y).detach(),
        atol=1e-4 if dtype == torch.float32 else 1e-8,
        hint="RMSNorm of the new map is not LayerNorm of the old one",
    )
c.report()

# %% told_apart (more is tested when it is handed in)
c = checks.Checks("Exercise 4 · A decoder without a sense of distance: predict")
times = [20]
for time in times:
    place = torch.arange(time)
    distance = place - place[:, None]
    seen, ways = causal_mask(time), {}
    for how, d, both in [
        ("right", distance, False),
        ("turned round", -distance, False),
        ("both sides", distance, True),
    ]:
        buckets = relative_bucket(d, both_sides=both)
        ways[how] = len(buckets[seen].unique()), len(buckets.unique())
    for how, (want, with_future) in ways.items():
        mistakes = {
            "with query minus key all that is seen has a distance of 0 or more, and "
            "that is one bucket: 0": (
                ways["right"][0] if how == "turned round" else None
            ),
            "no distance is told apart, but there is still the one bucket": (
                0 if how == "turned round" else None
            ),
            "half of an encoder's buckets are for keys on the right, which a decoder "
            "never sees": ways["right"][0] if how == "both sides" else None,
            "distances beyond the exact ones share buckets": (
                None if how == "turned round" else min(time, 32)
            ),
            "a token sees itself, too: distance 0 counts": want - 1,
            "pairs that the causal mask hides do not count": with_future,
        }
        c.close(
            f"{how}, time={time}",
            lambda: told_apart(how, time),
            want,
            mistakes=mistakes,
        )
c.report()

# %% mended_bias (more is tested when it is handed in)
c = checks.Checks("Exercise 4 · A decoder without a sense of distance: mend it")
cases = [(5, 5, 3, 32, 128), (1, 7, 2, 32, 128), (3, 11, 2, 8, 12)]
for n_queries, n_keys, n_heads, n_buckets, m in cases:
    torch.manual_seed(n_keys)
    table = torch.randn(n_buckets, n_heads, dtype=torch.float64)
    seen = causal_mask(n_queries, n_keys)
    at = n_keys - n_queries

    def biases(sign=1, start=at, both=False, n=n_buckets, m=m):
        apart = [
            [sign * (j - i - start) for j in range(n_keys)] for i in range(n_queries)
        ]
        buckets = relative_bucket(torch.tensor(apart), n, m, both)
        return table[buckets].movedim(-1, 0) * seen

    def call(table=table):
        with checks.by_hand("relative biases"):
            got = mended_bias(table, n_queries, n_keys, n_buckets, m)
        if tuple(got.shape) != (n_heads, n_queries, n_keys):
            raise checks.Wrong(
                f"its shape is {tuple(got.shape)}, expected "
                f"(n_heads, n_queries, n_keys) = {(n_heads, n_queries, n_keys)}"
            )
        return got * seen

    want = biases()
    mistakes = {
        "all keys of the past fall into one bucket: it should be key minus query, both "
        "counted from the beginning of the text": biases(sign=-1),
        "both faults are still there": biases(sign=-1, start=0),
        "the queries still begin at place 0: the last query stands at the last key": (
            biases(start=0)
        ),
        "half of the buckets are kept for keys on the right, which a decoder never "
        "sees": biases(both=True),
        "n_buckets and max_distance are not passed on": (
            biases(n=32, m=128) if n_buckets >= 32 else None
        ),
    }
    label = f"{n_queries} queries, {n_keys} keys, {n_buckets} buckets to {m}"
    c.close(
        label,
        call,
        want,
        mistakes=mistakes,
    )

    def gradient():
        learned = table.clone().requires_grad_()
        got = call(learned)
        if not got.requires_grad:
            raise checks.Wrong("the biases are cut off from the table: no gradient")
        return torch.autograd.grad(got.sum(), learned)[0].sum()

    c.close(
        f"every bias learns, {label}",
        gradient,
        float(seen.sum() * n_heads),
        hint="the gradient that comes back to the table is not that of all pairs seen",
    )
c.report()
