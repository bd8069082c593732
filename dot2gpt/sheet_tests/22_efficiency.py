# Made from solutions/ by `make sync`: do not edit.

# %% merge (more is tested when it is handed in)
c = checks.Checks("Exercise 1 · Two halves of a cache")
none = -math.inf
cases = [(0, 5, 4, 7, 3, 0.0), (1, 3, 1, 6, 2, 3000.0), (2, 4, 0, 5, 3, -20_000.0)]
for seed, time, n_1, n_2, d_v, height in cases:
    torch.manual_seed(seed)
    scores = 2 * torch.randn(time, n_1 + n_2, dtype=torch.float64) + height
    values = torch.randn(n_1 + n_2, d_v, dtype=torch.float64)
    parts = [(scores[:, :n_1], values[:n_1]), (scores[:, n_1:], values[n_1:])]
    (mix_1, log_1), (mix_2, log_2) = [
        (z.softmax(-1) @ v, z.logsumexp(-1)) for z, v in parts
    ]
    mixes, logs = torch.stack([mix_1, mix_2]), torch.stack([log_1, log_2])
    sums, small = logs.exp(), abs(height) < 100 and n_1 * n_2 > 0
    naive, by_log, exchanged, undivided = (
        torch.einsum("nt,ntd->td", weights, mixes)
        for weights in (
            sums / sums.sum(0), logs / logs.sum(0), sums.flip(0) / sums.sum(0), sums
        )
    )
    share = n_1 / (n_1 + n_2)
    larger = (log_1 > log_2)[:, None]
    mistakes = {
        "NaN: the exponential of a large number overflows, and of a very small one is "
        "0: take the larger log off first": naive if height > 800 else None,
        "this is the mean of both: a part with larger scores counts more": (
            (mix_1 + mix_2) / 2
        ),
        "this is the sum of both: each counts with its share": mix_1 + mix_2,
        "each counts with the exponential of its log, not with the log": (
            by_log if small else None
        ),
        "the shares are exchanged": exchanged if small else None,
        "it is not divided by the sum of both": undivided if small else None,
        "the scores decide, not the number of keys": (
            share * mix_1 + (1 - share) * mix_2
        ),
        "both count, not the larger one alone": torch.where(larger, mix_1, mix_2),
    }
    name = f"{n_1} and {n_2} keys, {time} queries, scores around {height:g}"
    c.close(
        f"the mix of {name}",
        lambda: merge(mix_1, log_1, mix_2, log_2)[0],
        scores.softmax(-1) @ values,
        mistakes=mistakes,
        hint="it is not the mix over all keys",
    )
    c.close(
        f"the log of {name}",
        lambda: merge(mix_1, log_1, mix_2, log_2)[1],
        scores.logsumexp(-1),
        mistakes={
            "the sums are added, not their logs": log_1 + log_2,
            "this is the larger log: the other sum is missing": (
                torch.maximum(log_1, log_2)
            ),
            "this is the sum: take its log": log_1.exp() + log_2.exp(),
        },
        hint="it is not the log of the sum over all keys",
    )
empty = torch.zeros(3, 2), torch.full((3,), none)
for n, want in enumerate(empty):
    c.close(
        f"two parts without keys: the {('mix', 'log')[n]}",
        lambda: merge(*empty, *empty)[n],
        want,
        mistakes={
            "NaN: minus infinity less itself is none of both": want * math.nan,
        },
        hint="zeros, and minus infinity",
    )
c.report()

# %% tiles_to_make (more is tested when it is handed in)
from dot2gpt.efficiency import window_mask

c = checks.Checks("Exercise 2 · Which tiles a window needs")
cases = [(12, 4, 2), (20, 4, 5), (23, 5, 6), (9, 3, 1), (10, 4, 40), (7, 1, 3)]
for time, tile, window in cases:
    n = math.ceil(time / tile)
    pad = (0, n * tile - time) * 2
    causal = torch.ones(time, time).tril() > 0

    def seen(mask, whole=False, pad=pad, n=n, tile=tile):
        parts = F.pad(mask, pad, value=whole).view(n, tile, n, tile).transpose(1, 2)
        return (parts.flatten(2).all(-1) if whole else parts.flatten(2).any(-1)).int()

    want = seen(window_mask(time, window))
    i = torch.arange(n)
    corner = (i[:, None] >= i) & ((i[:, None] - i) * tile < window)
    mistakes = {
        "tiles out of the window are not made": seen(causal),
        "a tile is made if one pair is seen, not only if all are": (
            seen(window_mask(time, window), whole=True)
        ),
        "rows are queries and columns are keys": want.T,
        "the future is not made": want | want.T,
        "the nearest pair decides: the first query and the last key": corner.int(),
        "the window counts the own key": seen(window_mask(time, window + 1)),
        "the own key is seen": (
            seen(window_mask(time, window - 1)) if window > 1 else None
        ),
        "the last, smaller tiles are missing": want[: time // tile, : time // tile],
    }
    c.close(
        f"{time} tokens, tiles of {tile}, a window of {window}",
        lambda: torch.as_tensor(tiles_to_make(time, tile, window)).int(),
        want,
        mistakes=mistakes,
        hint="any query of the tile sees any of its keys",
    )
c.report()

# %% accept_or_redraw (more is tested when it is handed in)
c = checks.Checks("Exercise 3 · Keep it or draw anew")
low, high = [0.0, 0.15, 0.3, 0.4, 0.9], [0.05, 0.3, 0.6, 0.74, 0.76, 0.97]
grid = [(u, v) for u in low for v in high]
names = [
    "kept with p / q, not with q / p",
    "the redraw is not from p itself",
    "the redraw is not from q again",
    "what q has above p is not drawn from",
    "the differences are to be divided by their sum",
    "it is kept with a probability: not only where p is at least q",
    "it is kept with p / q, not with p",
    "these differences are exchanged: what p has above q is left",
]
cases = [  # p, q, the draft, what comes out on the grid, and what mistakes give
    ([0.5, 0.3, 0.2], [0.2, 0.2, 0.6], 2, '222222222222222222000011000011', [
        '222222222222222222222222222222',
        '222222222222222222001112001112',
        '222222222222222222012222012222',
        '222222222222222222002222002222',
        '222222222222222222012222012222',
        '000011000011000011000011000011',
        '222222222222000011000011000011',
        '222222222222222222222222222222',
    ]),
    ([0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1], 0, '000000000000233333233333233333', [
        '000000000000000000000000000000',
        '000000000000023333023333023333',
        '000000000000001223001223001223',
        '000000000000002333002333002333',
        '000000000000233333233333233333',
        '233333233333233333233333233333',
        '000000233333233333233333233333',
        '000000000000000011000011000011',
    ]),
    ([0.6, 0.0, 0.4], [0.3, 0.5, 0.2], 1, '002222002222002222002222002222', [
        '111111111111111111111111111111',
        '002222002222002222002222002222',
        '011112011112011112011112011112',
        '011112011112011112011112011112',
        '022222022222022222022222022222',
        '002222002222002222002222002222',
        '002222002222002222002222002222',
        '111111111111111111111111111111',
    ]),
]
for p, q, token, want, wrong in cases:
    mistakes = {name: [int(x) for x in row] for name, row in zip(names, wrong)}
    c.close(
        f"p={p}, q={q}, the draft {token}",
        lambda: [accept_or_redraw(p, q, token, u, v) for u, v in grid],
        [int(x) for x in want],
        mistakes=mistakes,
        hint="over a grid of u and v other tokens come out than the rule gives",
    )
p, q, n = [0.5, 0.1, 0.4], [0.2, 0.6, 0.2], 20


def law():
    found = [0.0, 0.0, 0.0]
    for token in range(3):
        for u in range(n):
            for v in range(n):
                x = accept_or_redraw(p, q, token, (u + 0.5) / n, (v + 0.5) / n)
                found[x] += q[token] / n**2
    return found


c.close(
    "what comes out is distributed as p",
    law,
    p,
    atol=0.02,
    mistakes={"this is distributed as q": q},
    hint="drafts from q, judged on a fine grid, do not give p",
)
c.report()

# %% pack (more is tested when it is handed in)
c = checks.Checks("Exercise 4 · Two weights in a byte: pack")
cases = [  # codes, their bytes, and what mistakes give
    (
        [1, -1, 7, -7, 0, 3, -2],
        [241, 151, 48, 14],
        {
            "the first one goes into the low half": [31, 121, 3, 224],
            "a negative code is itself plus 16, not every code plus 8": (
                [121, 31, 184, 6]
            ),
            "a negative code fills both halves: keep four bits of it": (
                [241, 151, 48, 254]
            ),
            "neighbours share a byte": [1, 63, 231, 9],
            "the sign is lost": [17, 119, 48, 2],
        },
    ),
    (
        [-3, 2, -8, 5],
        [45, 88],
        {
            "the first one goes into the low half": [210, 133],
            "a negative code is itself plus 16, not every code plus 8": [165, 208],
            "a negative code fills both halves: keep four bits of it": [253, 248],
            "neighbours share a byte": [141, 82],
            "the sign is lost": [35, 88],
        },
    ),
]
for codes, want, mistakes in cases:
    codes = torch.tensor(codes, dtype=torch.int8)
    c.close(
        f"the bytes of {codes.tolist()}",
        lambda: pack(codes),
        want,
        mistakes=mistakes,
        hint="two codes a byte, the first one low",
    )
    c.that(
        f"{codes.tolist()}: its bytes are uint8",
        lambda: pack(codes).dtype == torch.uint8,
        "a byte is torch.uint8",
    )
c.report()

# %% unpack (more is tested when it is handed in)
c = checks.Checks("Exercise 4 · Two weights in a byte: unpack")
cases = [  # bytes, their codes, and what mistakes give
    (
        [241, 151, 48, 14],
        [1, -1, 7, -7, 0, 3, -2],
        {
            "the first one lies in the low half": [-1, 1, -7, 7, 3, 0, 0],
            "halves above 7 are negative codes": [1, 15, 7, 9, 0, 3, 14],
            "this is one code too many: n says how many there are": (
                [1, -1, 7, -7, 0, 3, -2, 0]
            ),
            "the halves of a byte are neighbours": [1, 7, 0, -2, -1, -7, 3],
            "a negative code was stored plus 16, not plus 8": [-7, 7, -1, 1, -8, -5, 6],
        },
    ),
    (
        [45, 88],
        [-3, 2, -8, 5],
        {
            "the first one lies in the low half": [2, -3, 5, -8],
            "halves above 7 are negative codes": [13, 2, 8, 5],
            "8 stands for -8": [-3, 2, 8, 5],
            "the halves of a byte are neighbours": [-3, -8, 2, 5],
            "a negative code was stored plus 16, not plus 8": [5, -6, 0, -3],
        },
    ),
]
for packed, want, mistakes in cases:
    n, packed = len(want), torch.tensor(packed, dtype=torch.uint8)
    c.close(
        f"the {n} codes of {packed.tolist()}",
        lambda: unpack(packed, n),
        want,
        mistakes=mistakes,
        hint="two codes a byte, the first one low",
    )
    c.that(
        f"{packed.tolist()}: its codes are int8",
        lambda: unpack(packed, n).dtype == torch.int8,
        "a code is torch.int8",
    )
c.report()

# %% route (more is tested when it is handed in)
c = checks.Checks("Exercise 5 · A router with three bugs")
mild = [[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.8, 0.1, 0.1]]
mild += [[0.1, 0.1, 0.8], [0.45, 0.3, 0.25]]
steep = [[0.1, 0.9], [0.2, 0.8], [0.7, 0.3], [0.4, 0.6], [0.05, 0.95]]
cases = [  # probabilities, capacity, who is kept, and in their order who is sent where
    (mild, 2, [0, 1, 2, 4], [0, 0, 1, 0, 2, 0]),
    (steep, 3, [0, 1, 2, 3], [1, 1, 0, 1, 1]),
    (steep, 1, [0, 2], [1, 1, 0, 1, 1]),
]
for shares, capacity, kept, sent in cases:
    shares = torch.tensor(shares, dtype=torch.float64)
    n, n_experts = shares.shape
    torch.manual_seed(n)
    scores = shares.log() + 3 * torch.randn(n, 1, dtype=torch.float64)

    def table(kept, numbers=shares, sent=sent):
        found = torch.zeros_like(numbers)
        for token in kept:
            found[token, sent[token]] = numbers[token, sent[token]]
        return found

    by_column = scores.softmax(0)
    other = by_column.argmax(1).tolist()
    room = [t for t in range(n) if other[:t].count(other[t]) < capacity]
    last = [t for t in range(n) if sent[t + 1 :].count(sent[t]) < capacity]
    fewer = [t for t in kept if sent[:t].count(sent[t]) < capacity - 1]
    best = shares.amax(1)
    order = sorted(range(n), key=lambda t: -best[t])
    likely = [
        token
        for place, token in enumerate(order)
        if [sent[x] for x in order[:place]].count(sent[token]) < capacity
    ]
    want, title = table(kept), f"{n} tokens, {n_experts} experts, capacity {capacity}"
    mistakes = {
        "an expert has room for capacity tokens, and one less was kept": table(fewer),
        "the probability of the chosen expert, not 1": (
            table(kept, torch.ones_like(shares))
        ),
        "the probabilities are over the experts, not over the tokens": (
            table(room, by_column, other)
        ),
        "an expert that is full takes no more": table(range(n)),
        "the first tokens are kept, not the last": table(last),
        "the first tokens are kept, not the likeliest": table(likely),
        "only the chosen expert has a number": (
            shares * (want.sum(1, keepdim=True) > 0)
        ),
        "these are the scores, not the probabilities": table(kept, scores),
    }
    c.close(
        title,
        lambda: route(scores, capacity),
        want,
        mistakes=mistakes,
        hint="each token's probability at its expert, while there is room",
    )
    slopes = -want.sum(1, keepdim=True) * shares + want

    def learned(scores=scores, capacity=capacity):
        leaf = scores.clone().requires_grad_()
        return torch.autograd.grad(route(leaf, capacity).sum(), leaf)[0]

    c.close(
        f"{title}: what the router learns",
        learned,
        slopes,
        mistakes={"the router learns nothing": torch.zeros_like(slopes)},
        hint="the slope of the kept probabilities by the scores",
    )
c.report()
