# Made from solutions/ by `make sync`: do not edit.

# %% looks_at (more is tested when it is handed in)
c = checks.Checks("Exercise 1 · Where it looks")
names = [
    "the latest match, not the first one",
    "it looks behind the match, not at its end",
    "it looks behind the match, not before it",
    "its own place is no earlier one",
    "without a match it looks at place 0, not at itself",
    "all n tokens must be the same, not the last one alone",
    "the n tokens must come in the same order",
    "these are n + 1 tokens: the place itself counts",
]
cases = [  # the text, n, the places, and what mistakes give
    ([3, 1, 4, 1, 5, 3, 1, 4, 2, 1], 1, [0, 0, 0, 2, 0, 1, 4, 3, 0, 7], [
        [0, 0, 0, 2, 0, 1, 2, 3, 0, 2],
        [0, 0, 0, 1, 0, 0, 3, 2, 0, 6],
        [0, 0, 0, 0, 0, 0, 2, 1, 0, 5],
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
        [0, 1, 2, 2, 4, 1, 4, 3, 8, 7],
        [0, 0, 0, 2, 0, 1, 4, 3, 0, 7],
        [0, 0, 0, 2, 0, 1, 4, 3, 0, 7],
        [0, 0, 0, 0, 0, 0, 2, 3, 0, 0],
    ]),
    ([5, 6, 7, 5, 6, 8, 6, 5, 6, 7], 2, [0, 0, 0, 0, 2, 0, 0, 0, 5, 3], [
        [0, 0, 0, 0, 2, 0, 0, 0, 2, 3],
        [0, 0, 0, 0, 1, 0, 0, 0, 4, 2],
        [0, 0, 0, 0, 0, 0, 0, 0, 3, 1],
        [0, 2, 3, 4, 5, 6, 7, 8, 9, 10],
        [0, 1, 2, 3, 2, 5, 6, 7, 5, 3],
        [0, 0, 0, 1, 2, 0, 5, 4, 7, 3],
        [0, 0, 0, 0, 2, 0, 6, 5, 8, 3],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 3],
    ]),
    ([2, 2, 2, 2], 1, [0, 1, 2, 3], [
        [0, 1, 1, 1],
        [0, 0, 1, 2],
        [0, 0, 0, 1],
        [1, 2, 3, 4],
        [0, 1, 2, 3],
        [0, 1, 2, 3],
        [0, 1, 2, 3],
        [0, 0, 2, 3],
    ]),
    ([1, 2, 3, 1, 2, 4, 1, 2, 3, 1, 2], 3, [0, 0, 0, 0, 0, 0, 0, 0, 3, 4, 5], [
        [0, 0, 0, 0, 0, 0, 0, 0, 3, 4, 5],
        [0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 4],
        [0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3],
        [0, 0, 3, 4, 5, 6, 7, 8, 9, 10, 11],
        [0, 1, 2, 3, 4, 5, 6, 7, 3, 4, 5],
        [0, 0, 0, 1, 2, 0, 4, 5, 3, 7, 8],
        [0, 0, 0, 3, 4, 0, 6, 7, 5, 9, 10],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 5],
    ]),
    ([0, 1, 0, 1, 0, 1], 2, [0, 0, 0, 2, 3, 4], [
        [0, 0, 0, 2, 3, 2],
        [0, 0, 0, 1, 2, 3],
        [0, 0, 0, 0, 1, 2],
        [0, 2, 3, 4, 5, 6],
        [0, 1, 2, 2, 3, 4],
        [0, 0, 1, 2, 3, 4],
        [0, 0, 2, 3, 4, 5],
        [0, 0, 0, 0, 3, 4],
    ]),
    ([1, 2, 3], 5, [0, 0, 0], [
        [0, 0, 0],
        [0, 0, 0],
        [0, 0, 0],
        [0, 0, 0],
        [0, 1, 2],
        [0, 0, 0],
        [0, 0, 0],
        [0, 0, 0],
    ]),
]
for ids, n, want, wrong in cases:
    c.close(
        f"ids={ids}, n={n}",
        lambda: looks_at(ids, n),
        want,
        mistakes=dict(zip(names, wrong)),
        hint="behind the latest earlier run of the same n tokens, or at place 0",
    )
c.report()

# %% effects (more is tested when it is handed in)
c = checks.Checks("Exercise 2 · Two ways to patch")
cases = {  # its table, what comes back, what is lost, and what mistakes give
    "either is enough": (
        [[-3.0, 5.0], [5.0, 5.0]],
        [1, 1],
        [0, 0],
    ),
    "both are needed": (
        [[1.0, 1.0], [1.0, 3.0]],
        [0, 0],
        [1, 1],
    ),
    "each adds its own, and the clean output is lower": (
        [[9.0, 6.0], [8.0, 5.0]],
        [0.25, 0.75],
        [0.25, 0.75],
    ),
    "three parts: the first, and one of the others": (
        [[[0.0, 0.0], [0.0, 0.0]], [[0.0, 2.0], [3.0, 4.0]]],
        [0, 0, 0],
        [1, 0.5, 0.25],
    ),
    "one that overshoots, and one that works against": (
        [[2.0, 0.0], [7.0, 4.0]],
        [2.5, -1],
        [2, -1.5],
    ),
}
for name, (numbers, back, lost) in cases.items():
    table = torch.tensor(numbers, dtype=torch.float64)
    if table.numel() == 16:
        table = table.view(2, 2, 2, 2)
    n = table.dim()
    back, lost = (torch.tensor(x, dtype=torch.float64) for x in (back, lost))
    span = table.flatten()[-1] - table.flatten()[0]
    corner = table.flatten()[0]
    for way, want, other in (("comes back", back, lost), ("is lost", lost, back)):
        first = way == "comes back"
        mistakes = {
            "this is the difference itself: divide it by that of the two runs": (
                want * span
            ),
            "the sign is turned": -want,
            "the two ways are exchanged": other,
            "this is what is still there, not what was lost": (
                None if first else 1 - want
            ),
            "this is what is still missing, not what came back": (
                1 - want if first else None
            ),
            "axis n is part n: the parts are reversed": want.flip(0),
            "this is the output: take the corrupted one off": (
                (want * span + corner) / span if first else None
            ),
            "it is divided by the clean output, not by the difference": (
                want * span / table.flatten()[-1]
            ),
        }
        c.close(
            f"{name}: what {way}",
            lambda: effects(table)[0 if first else 1],
            want,
            mistakes=mistakes,
            hint="one part at a time, as a share of clean less corrupted",
        )
c.report()

# %% contributions (more is tested when it is handed in)
c = checks.Checks("Exercise 3 · The norm that was not frozen")
by_hand = (  # parts, gain, shift, row, eps, and the shares
    [[1.0, 3.0, 0.0, 0.0], [0.0, 0.0, 2.0, -2.0], [4.0, 4.0, 4.0, 4.0]],
    [1.0, 2.0, 1.0, 0.5],
    [0.5, -1.0, 0.0, 2.0],
    [2.0, 1.0, -1.0, 4.0],
    0.0,
)
cases = [by_hand]
drawn = (0, 3, 5, 1e-5, 1.0), (1, 5, 8, 0.5, 1.0), (2, 1, 3, 0.1, 1e-2)
for seed, n, d, eps, size in drawn:
    torch.manual_seed(seed)
    cases.append((size * torch.randn(n, d), *torch.randn(3, d), eps))
for number, (*inputs, eps) in enumerate(cases):
    inputs = [torch.as_tensor(x).double() for x in inputs]
    parts, gain, shift, row = inputs
    stream = parts.sum(0)
    d = len(stream)

    def shares(x, deviation, last=shift, gain=gain, row=row):
        given = ((x / deviation) * (gain * row)).sum(-1)
        return torch.cat([given, (last * row).sum(-1, keepdim=True)])

    centred = torch.stack([part - part.sum() / d for part in parts])
    own = (centred.square().sum(-1, keepdim=True) / d + eps).sqrt()
    square = (stream - stream.sum() / d).square().sum()
    deviation = (square / d + eps).sqrt()
    want = shares(centred, deviation)
    whole = torch.layer_norm(stream, (d,), gain, shift, eps) @ row
    assert torch.allclose(want.sum(), whole)
    mistakes = {
        "each part has a deviation of its own here: the norm is not frozen": (
            shares(centred, own) if len(parts) > 1 and eps else None
        ),
        "the mean of each part is to be taken off": shares(parts, deviation),
        "the whole mean is taken off each part": (
            shares(parts - stream.sum() / d, deviation)
        ),
        "the variance is divided by d_model, not by one less": (
            shares(centred, (square / (d - 1) + eps).sqrt())
        ),
        "eps stands under the root": (
            shares(centred, (square / d).sqrt() + eps) if eps else None
        ),
        "eps is missing": shares(centred, (square / d).sqrt()) if eps else None,
        "the gain is missing": shares(centred, deviation, gain=torch.ones(d)),
        "the shift is missing at the end": want[:-1],
        "the shift counts once, not in each part": want[:-1] + want[-1],
        "the shift is divided among the parts: it belongs to none": (
            want[:-1] + want[-1] / len(parts)
        ),
        "the shift is not scaled by the gain or the deviation": (
            shares(centred, deviation, shift * gain / deviation)
        ),
    }
    c.close(
        f"{len(parts)} parts of {d} numbers, eps={eps:g}",
        lambda: contributions(*inputs, eps),
        want,
        mistakes=mistakes,
        hint="they are not each part's share of the logit",
    )
    c.close(
        f"{len(parts)} parts of {d} numbers, eps={eps:g}: the sum",
        lambda: torch.as_tensor(contributions(*inputs, eps)).sum(),
        whole,
        hint="the shares do not add up to the logit",
    )
c.report()

# %% other_weights (more is tested when it is handed in)
c = checks.Checks("Exercise 4 · Another map, the same output")
cases = [(0, 4, 1), (1, 5, 3), (2, 9, 2), (3, 12, 4), (8, 6, 2)]
for seed, n_keys, d_v in cases:
    torch.manual_seed(seed)
    weights = torch.randn(n_keys, dtype=torch.float64).softmax(0)
    values = torch.randn(n_keys, d_v, dtype=torch.float64) + (seed % 3)
    if seed == 2:
        values[3:] = values[:6].clone()  # two keys may have one value
    if seed == 8:
        values[:-1, 1] = 0.0  # no other key can stand in for the last one
    title = f"{n_keys} keys, values of {d_v}"

    def answer(weights=weights, values=values):
        found = torch.as_tensor(other_weights(weights, values))
        if found.shape != weights.shape:
            raise checks.Wrong(f"expected {len(weights)} weights: {tuple(found.shape)}")
        return found.detach().double()

    c.close(
        f"{title}: the sum",
        lambda: answer().sum(),
        1.0,
        hint="the ones are an equation, too: the sum has changed",
    )
    c.close(
        f"{title}: the mix",
        lambda: answer() @ values,
        weights @ values,
        hint="the mix has changed",
    )
    c.that(
        f"{title}: no weight below 0",
        lambda: answer().min() > -1e-9,
        "a weight has become negative: you went too far",
    )
    c.that(
        f"{title}: they are others",
        lambda: (answer() - weights).abs().max() > 1e-6,
        "these are the weights that were given",
    )
    c.that(
        f"{title}: as far as it goes",
        lambda: answer().min() < 1e-7,
        "no weight has become 0: you can go further",
    )
c.report()

# %% penalised_units (more is tested when it is handed in)
c = checks.Checks("Exercise 5 · What a penalty does to a unit")
turned = [[0.6, 0.8, 0.0, 0.0], [-0.8, 0.6, 0.0, 0.0], [0.0, 0.0, 0.0, -1.0]]
plain = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
cases = [  # directions, penalty, how far x goes along each, and the units
    (plain, 1.0, [[3.0, 0.5, -2.0], [1.0, 1.6, 0.0]], [[2, 0, 0], [0, 0.6, 0]]),
    (turned, 0.5, [[2.0, -1.5, 0.8], [0.7, 0.4, -3.0]], [[1.5, 0, 0.3], [0.2, 0, 0]]),
    (turned, 0.0, [[1.0, -1.0, 4.0]], [[1, 0, 4]]),
]
for directions, penalty, along, want in cases:
    directions, along, want = (
        torch.tensor(x, dtype=torch.float64) for x in (directions, along, want)
    )
    x = along @ directions
    if x.shape[1] == 4:
        x[:, 2] += 7.0  # what no direction reaches
    hard = torch.where(want > 0, along, 0)
    half, twice = (
        torch.where(along > s * penalty, along - s * penalty, 0) for s in (0.5, 2)
    )
    mistakes = {
        "it is the whole penalty that is taken off, not half of it": half,
        "it is half of the square, so the penalty is taken off once": twice,
        "a unit that stays is smaller by the penalty, too": hard,
        "a unit is not below 0": along - penalty,
        "where x is negative along a direction there is no unit": (
            along.sign() * torch.where(
                along.abs() > penalty, along.abs() - penalty, 0
            )
        ),
        "the penalty is missing": torch.where(along > 0, along, 0),
        "the penalty is taken off, not multiplied": torch.where(
            along > 0, along * penalty, 0
        ),
    }
    c.close(
        f"{len(directions)} directions, x along them {along.tolist()}, λ={penalty:g}",
        lambda: penalised_units(x, directions, penalty),
        want,
        mistakes=mistakes,
        hint="another choice of units makes the sum smaller",
    )
c.report()
