"""Wrong and right answers to the sheet of chapter 24."""

from tests.answers import right, wrong

LOOKS = """
def looks_at(ids, n):
    found = []
    for t in range(len(ids)):
        place = {none}
        for end in range({first}, {last}):
            if t >= n - 1 and {match}:
                place = end + {behind}
                {after}
        found.append(place)
    return found
"""
PLACES = {
    "none": "0",
    "first": "n - 1",
    "last": "t",
    "match": "ids[end - n + 1 : end + 1] == ids[t - n + 1 : t + 1]",
    "behind": "1",
    "after": "pass",
}

EFFECTS = """
def effects(table):
    n = table.dim()
    clean, corrupted = table[(1,) * n], table[(0,) * n]
    back, lost = [], []
    for part in {parts}:
        place = [0] * n
        place[part] = 1
        one = table[tuple(place)]
        rest = table[tuple(1 - x for x in place)]
        back.append({back})
        lost.append({lost})
    return torch.stack({first}), torch.stack({second})
"""
WAYS = {
    "parts": "range(n)",
    "back": "(one - corrupted) / (clean - corrupted)",
    "lost": "(clean - rest) / (clean - corrupted)",
    "first": "back",
    "second": "lost",
}

SHARES = """
def contributions(parts, gain, shift, row, eps=1e-5):
    stream = parts.sum(0)
    variance = {variance}
    deviation = {deviation}
    normed = ({centred}) / deviation * {gain}
    return {result}
"""
FROZEN = {
    "variance": "(stream - stream.mean()).square().mean()",
    "deviation": "(variance + eps).sqrt()",
    "centred": "parts - parts.mean(1, keepdim=True)",
    "gain": "gain",
    "result": "torch.cat([normed @ row, (shift @ row).view(1)])",
}

OTHER = """
def other_weights(weights, values):
    ones = torch.ones(len(weights), 1, dtype=values.dtype)
    equations = {equations}
    z = torch.linalg.svd(equations)[2][-1]
    {turn}
    step = {step}
    return {result}
"""
LINE = {
    "equations": "torch.cat([values, ones], 1).T",
    "turn": "z = -z",
    "step": "torch.where(z < -1e-9, -weights / z, torch.inf).min()",
    "result": "weights + step * z",
}

ANSWERS = {
    "looks_at": [
        wrong(
            "the first match",
            "not the first one",
            LOOKS.format(**PLACES | {"after": "break"}),
        ),
        wrong(
            "at the match",
            "not at its end",
            LOOKS.format(**PLACES | {"behind": "0"}),
        ),
        wrong(
            "its own place",
            "no earlier one",
            LOOKS.format(**PLACES | {"last": "t + 1"}),
        ),
        wrong(
            "at itself without a match",
            "not at itself",
            LOOKS.format(**PLACES | {"none": "t"}),
        ),
        wrong(
            "the last token alone",
            "not the last one alone",
            LOOKS.format(
                **PLACES | {"match": "ids[end] == ids[t]", "first": "0"}
            ).replace("t >= n - 1 and ", ""),
        ),
        wrong(
            "in any order",
            "in the same order",
            LOOKS.format(
                **PLACES
                | {
                    "match": "sorted(ids[end - n + 1 : end + 1])"
                    " == sorted(ids[t - n + 1 : t + 1])"
                }
            ),
        ),
        wrong(
            "n tokens before the place, and it",
            "the place itself counts",
            """
            def looks_at(ids, n):
                found = []
                for t in range(len(ids)):
                    place = 0
                    for end in range(n, t):
                        if ids[end - n : end + 1] == ids[t - n : t + 1]:
                            place = end + 1
                    found.append(place)
                return found
            """,
        ),
        wrong(
            "runs that do not overlap",
            "behind the latest earlier run",
            LOOKS.format(**PLACES | {"last": "t - n + 1"}),
        ),
        right("forwards", LOOKS.format(**PLACES)),
        right(
            "backwards",
            """
            def looks_at(ids, n):
                def place(t):
                    for end in reversed(range(n - 1, t)):
                        if all(ids[end - k] == ids[t - k] for k in range(n)):
                            return end + 1
                    return 0

                return [place(t) for t in range(len(ids))]
            """,
        ),
        right(
            "a dictionary of runs",
            """
            def looks_at(ids, n):
                seen, found = {}, []
                for t in range(len(ids)):
                    run = tuple(ids[t - n + 1 : t + 1]) if t >= n - 1 else None
                    found.append(seen.get(run, 0) if run else 0)
                    if run:
                        seen[run] = t + 1
                return torch.tensor(found)
            """,
        ),
    ],
    "effects": [
        wrong(
            "not divided",
            "divide it by that of the two runs",
            EFFECTS.format(
                **WAYS | {"back": "one - corrupted", "lost": "clean - rest"}
            ),
        ),
        wrong(
            "exchanged",
            "the two ways are exchanged",
            EFFECTS.format(**WAYS | {"first": "lost", "second": "back"}),
        ),
        wrong(
            "the other sign",
            "the sign is turned",
            EFFECTS.format(
                **WAYS
                | {"back": "(corrupted - one) / (clean - corrupted)"}
                | {"lost": "(rest - clean) / (clean - corrupted)"}
            ),
        ),
        wrong(
            "what is left",
            "still there, not what was lost",
            EFFECTS.format(
                **WAYS | {"lost": "(rest - corrupted) / (clean - corrupted)"}
            ),
        ),
        wrong(
            "what is missing",
            "not what came back",
            EFFECTS.format(**WAYS | {"back": "(clean - one) / (clean - corrupted)"}),
        ),
        wrong(
            "reversed",
            "the parts are reversed",
            EFFECTS.format(**WAYS | {"parts": "reversed(range(n))"}),
        ),
        wrong(
            "the output itself",
            "take the corrupted one off",
            EFFECTS.format(**WAYS | {"back": "one / (clean - corrupted)"}),
        ),
        wrong(
            "divided by the clean output",
            "not by the difference",
            EFFECTS.format(
                **WAYS
                | {
                    "back": "(one - corrupted) / clean",
                    "lost": "(clean - rest) / clean",
                }
            ),
        ),
        wrong(
            "all parts up to this one",
            "one part at a time",
            EFFECTS.format(**WAYS).replace(
                "place[part] = 1", "place[: part + 1] = [1] * (part + 1)"
            ),
        ),
        right("a loop", EFFECTS.format(**WAYS)),
        right(
            "lists",
            """
            def effects(table):
                n = table.dim()
                low, high = (table[(bit,) * n].item() for bit in (0, 1))
                back, lost = [], []
                for part in range(n):
                    there = tuple(int(k == part) for k in range(n))
                    gone = tuple(int(k != part) for k in range(n))
                    back.append((table[there].item() - low) / (high - low))
                    lost.append((high - table[gone].item()) / (high - low))
                return back, lost
            """,
        ),
        right(
            "a flat table",
            """
            def effects(table):
                n, flat = table.dim(), table.flatten()
                span = flat[-1] - flat[0]
                places = torch.tensor([2 ** (n - 1 - part) for part in range(n)])
                back = (flat[places] - flat[0]) / span
                return back, (flat[-1] - flat.flip(0)[places]) / span
            """,
        ),
    ],
    "contributions": [
        wrong(
            "as published",
            "the norm is not frozen",
            """
            def contributions(parts, gain, shift, row, eps=1e-5):
                normed = torch.layer_norm(parts, parts.shape[-1:], gain, None, eps)
                return torch.cat([normed @ row, (shift @ row)[None]])
            """,
        ),
        wrong(
            "not centred",
            "the mean of each part",
            SHARES.format(**FROZEN | {"centred": "parts"}),
        ),
        wrong(
            "the whole mean",
            "the whole mean is taken off",
            SHARES.format(**FROZEN | {"centred": "parts - stream.mean()"}),
        ),
        wrong(
            "one less",
            "not by one less",
            SHARES.format(**FROZEN | {"variance": "stream.var()"}),
        ),
        wrong(
            "eps outside",
            "eps stands under the root",
            SHARES.format(**FROZEN | {"deviation": "variance.sqrt() + eps"}),
        ),
        wrong(
            "no eps",
            "eps is missing",
            SHARES.format(**FROZEN | {"deviation": "variance.sqrt()"}),
        ),
        wrong(
            "no gain",
            "the gain is missing",
            SHARES.format(**FROZEN | {"gain": "1"}),
        ),
        wrong(
            "no shift",
            "the shift is missing",
            SHARES.format(**FROZEN | {"result": "normed @ row"}),
        ),
        wrong(
            "the shift in each part",
            "counts once",
            SHARES.format(**FROZEN | {"result": "(normed + shift) @ row"}),
        ),
        wrong(
            "the shift divided",
            "it belongs to none",
            SHARES.format(**FROZEN | {"result": "(normed + shift / len(parts)) @ row"}),
        ),
        wrong(
            "the shift scaled",
            "not scaled by the gain",
            SHARES.format(
                **FROZEN
                | {
                    "result": "torch.cat([normed @ row,"
                    " (gain * shift / deviation @ row).view(1)])"
                }
            ),
        ),
        right("the variance by hand", SHARES.format(**FROZEN)),
        right(
            "a matrix that centres",
            """
            def contributions(parts, gain, shift, row, eps=1e-5):
                d = parts.shape[1]
                centre = torch.eye(d, dtype=parts.dtype) - 1 / d
                whole = centre @ parts.sum(0)
                scale = 1 / torch.sqrt(whole @ whole / d + eps)
                reads = centre @ (gain * row)
                return torch.stack([*(scale * parts @ reads), shift @ row])
            """,
        ),
        right(
            "the norm is linear once it is frozen",
            """
            def contributions(parts, gain, shift, row, eps=1e-5):
                stream = parts.sum(0)
                size = parts.shape[-1:]
                scale = (stream.var(correction=0) + eps).rsqrt()
                found = []
                for part in parts:
                    off = part - part.mean()
                    found.append((off * scale * gain * row).sum().item())
                return [*found, (shift * row).sum().item()]
            """,
        ),
    ],
    "other_weights": [
        wrong(
            "without the ones",
            "the sum has changed",
            OTHER.format(**LINE | {"equations": "values.T"}),
        ),
        wrong(
            "the ones alone",
            "the mix has changed",
            OTHER.format(**LINE | {"equations": "ones.T"}),
        ),
        wrong(
            "too far",
            "you went too far",
            OTHER.format(
                **LINE
                | {"step": "torch.where(z < -1e-9, -weights / z, -torch.inf).max()"}
            ),
        ),
        wrong(
            "a small step",
            "you can go further",
            OTHER.format(**LINE | {"result": "weights + 0.5 * step * z"}),
        ),
        wrong(
            "the given ones",
            "the weights that were given",
            OTHER.format(**LINE | {"result": "weights + 0 * z"}),
        ),
        wrong(
            "the smallest one set to 0",
            "the mix has changed",
            """
            def other_weights(weights, values):
                other = weights.clone()
                other[other.argmin()] = 0
                return other / other.sum()
            """,
        ),
        wrong(
            "negative ones cut off",
            "the sum has changed",
            OTHER.format(
                **LINE
                | {"step": "torch.where(z < -1e-9, -weights / z, -torch.inf).max()"}
                | {"result": "(weights + step * z).relu()"}
            ),
        ),
        wrong(
            "in place",
            "you changed the tensor that you were given",
            OTHER.format(**LINE | {"result": "weights.add_(step * z)"}),
        ),
        right("the other direction", OTHER.format(**LINE)),
        right("as it comes", OTHER.format(**LINE | {"turn": "pass"})),
        right(
            "a projection",
            """
            def other_weights(weights, values):
                n = len(weights)
                A = torch.cat([values, torch.ones(n, 1, dtype=values.dtype)], 1).T
                keep = torch.eye(n, dtype=values.dtype) - torch.linalg.pinv(A) @ A
                z = keep[:, keep.norm(dim=0).argmax()]
                steps = [w / -d for w, d in zip(weights.tolist(), z.tolist()) if d < -1e-9]
                return weights + min(steps) * z
            """,
        ),
    ],
    "penalised_units": [
        wrong(
            "half the penalty",
            "not half of it",
            """
            def penalised_units(x, directions, penalty):
                return (x @ directions.T - penalty / 2).relu()
            """,
        ),
        wrong(
            "twice the penalty",
            "half of the square",
            """
            def penalised_units(x, directions, penalty):
                return (x @ directions.T - 2 * penalty).relu()
            """,
        ),
        wrong(
            "hard threshold",
            "smaller by the penalty, too",
            """
            def penalised_units(x, directions, penalty):
                a = x @ directions.T
                return a * (a > penalty)
            """,
        ),
        wrong(
            "below 0",
            "not below 0",
            """
            def penalised_units(x, directions, penalty):
                return x @ directions.T - penalty
            """,
        ),
        wrong(
            "both signs",
            "there is no unit",
            """
            def penalised_units(x, directions, penalty):
                a = x @ directions.T
                return a.sign() * (a.abs() - penalty).relu()
            """,
        ),
        wrong(
            "without the penalty",
            "the penalty is missing",
            """
            def penalised_units(x, directions, penalty):
                return (x @ directions.T).relu()
            """,
        ),
        wrong(
            "multiplied",
            "not multiplied",
            """
            def penalised_units(x, directions, penalty):
                return (x @ directions.T).relu() * penalty
            """,
        ),
        right(
            "relu",
            """
            def penalised_units(x, directions, penalty):
                return torch.relu(torch.einsum("bd,nd->bn", x, directions) - penalty)
            """,
        ),
        right(
            "two choices, and the better one",
            """
            def penalised_units(x, directions, penalty):
                a = x @ directions.mT
                inside = a - penalty
                return torch.where(inside > 0, inside, torch.zeros_like(a))
            """,
        ),
        right(
            "one at a time",
            """
            def penalised_units(x, directions, penalty):
                return [
                    [max(0.0, sum(a * b for a, b in zip(row, d)) - penalty) for d in
                     directions.tolist()]
                    for row in x.tolist()
                ]
            """,
        ),
    ],
}

EQUIVALENT = {
    "looks_at": {
        "for end in range(n - 2, t):": "the slice that ends there is empty: no run is",
    },
    "effects": {
        "one = torch.eye(n, dtype=torch.int32).tolist()": "the same zeros and ones",
        "left = torch.stack([table[tuple(x - 1 for x in row)] for row in one])": (
            "of an axis of two, -1 is the second"
        ),
    },
    "contributions": {
        "deviation = (parts.sum(0, keepdim=True).var(correction=0) + eps).sqrt()": (
            "the variance is over all numbers, and there is one row"
        ),
        "deviation = (parts.sum(0).var(correction=0, keepdim=True) + eps).sqrt()": (
            "one number broadcasts as it does without its axis"
        ),
        "centred = parts - parts.mean(1, keepdim=True)": "the last axis of two",
        "return torch.cat([centred / deviation * gain @ row, (row @ shift)[None]])": (
            "a dot product has no order"
        ),
    },
    "other_weights": {
        "equations = torch.cat([torch.ones_like(weights)[:, None], values], 1).T": (
            "equations have no order"
        ),
        "falling = z <= (-1e-9)": "no change is just there",
        "falling = z < -1e-05": "a weight that falls so slowly is not the first at 0",
        "falling = z < -0.0": "likewise: rounding gives a step that is not the least",
    },
}
