"""Wrong and right answers to the sheet of chapter 22."""

from tests.answers import right, wrong

MERGE = """
def merge(mix_1, log_1, mix_2, log_2):
    log = {log}
    safe = {safe}
    share_1, share_2 = {shares}
    return {mix}, log
"""
PARTS = {
    "log": "torch.logaddexp(log_1, log_2)",
    "safe": "log.where(log > -torch.inf, torch.zeros_like(log))[:, None]",
    "shares": "((x[:, None] - safe).exp() for x in (log_1, log_2))",
    "mix": "share_1 * mix_1 + share_2 * mix_2",
}

TILES = """
def tiles_to_make(time, tile, window):
    n = {n}
    row, column = torch.arange(n)[:, None], torch.arange(n)
    nearest = {nearest}
    return {past} & (nearest < {window})
"""
CORNERS = {
    "n": "-(-time // tile)",
    "nearest": "row * tile - (column * tile + tile - 1)",
    "past": "(column <= row)",
    "window": "window",
}

JUDGE = """
def accept_or_redraw(p, q, token, u, v):
    if {keep}:
        return token
    rest = [{rest} for a, b in zip(p, q)]
    total = 0.0
    for other, part in enumerate(rest):
        total += part
        if total > {level}:
            return other
    return len(p) - 1
"""
RULE = {
    "keep": "u < p[token] / q[token]",
    "rest": "max(0.0, a - b)",
    "level": "v * sum(rest)",
}

PACK = """
def pack(codes):
    codes = F.pad(codes.int(), (0, len(codes) % 2)){coded}
    low, high = {halves}
    return ({byte}).to(torch.uint8)
"""
HALVES = {
    "coded": " % 16",
    "halves": "codes[0::2], codes[1::2]",
    "byte": "low + 16 * high",
}

UNPACK = """
def unpack(packed, n):
    packed = packed.int()
    low, high = {halves}
    codes = {joined}
    return ({signed}){cut}.to(torch.int8)
"""
BACK = {
    "halves": "packed % 16, packed // 16",
    "joined": "torch.stack([low, high], 1).flatten()",
    "signed": "codes - 16 * (codes > 7)",
    "cut": "[:n]",
}

ROUTE = """
def route(scores, capacity):
    shares = scores.softmax({axis})
    chosen = F.one_hot(shares.argmax(-1), scores.shape[1])
    place = {place}
    table = chosen * (place {room}) * {numbers}
    return {table}
"""
ROUTER = {
    "axis": "-1",
    "place": "chosen.cumsum(0)",
    "room": "<= capacity",
    "numbers": "shares",
    "table": "table",
}

ANSWERS = {
    "merge": [
        wrong(
            "the mean",
            "the mean of both",
            MERGE.format(**PARTS | {"mix": "(mix_1 + mix_2) / 2"}),
        ),
        wrong(
            "the sum",
            "the sum of both",
            MERGE.format(**PARTS | {"mix": "mix_1 + mix_2"}),
        ),
        wrong(
            "weighted by the logs",
            "with the exponential of its log",
            MERGE.format(
                **PARTS
                | {
                    "mix": "(log_1[:, None] * mix_1 + log_2[:, None] * mix_2)"
                    " / (log_1 + log_2)[:, None]"
                }
            ),
        ),
        wrong(
            "exchanged",
            "the shares are exchanged",
            MERGE.format(**PARTS | {"mix": "share_2 * mix_1 + share_1 * mix_2"}),
        ),
        wrong(
            "not divided",
            "not divided by the sum",
            MERGE.format(**PARTS | {"safe": "0"}),
        ),
        wrong(
            "overflowing",
            "take the larger log off first",
            """
            def merge(mix_1, log_1, mix_2, log_2):
                one, two = log_1.exp()[:, None], log_2.exp()[:, None]
                mix = (one * mix_1 + two * mix_2) / (one + two)
                return mix, torch.logaddexp(log_1, log_2)
            """,
        ),
        wrong(
            "the larger alone",
            "not the larger one alone",
            """
            def merge(mix_1, log_1, mix_2, log_2):
                mix = torch.where((log_1 > log_2)[:, None], mix_1, mix_2)
                return mix, torch.maximum(log_1, log_2)
            """,
        ),
        wrong(
            "logs added",
            "the sums are added, not their logs",
            """
            def merge(mix_1, log_1, mix_2, log_2):
                share = torch.sigmoid(log_1 - log_2).nan_to_num(0.5)[:, None]
                return share * mix_1 + (1 - share) * mix_2, log_1 + log_2
            """,
        ),
        wrong(
            "the sum itself",
            "take its log",
            """
            def merge(mix_1, log_1, mix_2, log_2):
                share = torch.sigmoid(log_1 - log_2).nan_to_num(0.5)[:, None]
                return share * mix_1 + (1 - share) * mix_2, log_1.exp() + log_2.exp()
            """,
        ),
        wrong(
            "NaN without keys",
            "minus infinity less itself",
            MERGE.format(**PARTS | {"safe": "log[:, None]"}),
        ),
        wrong(
            "in place",
            "you changed the tensor that you were given",
            """
            def merge(mix_1, log_1, mix_2, log_2):
                share = torch.sigmoid(log_1 - log_2).nan_to_num(0.5)[:, None]
                mix_1.mul_(share).add_((1 - share) * mix_2)
                return mix_1, torch.logaddexp(log_1, log_2)
            """,
        ),
        right("shares", MERGE.format(**PARTS)),
        right(
            "a sigmoid of the difference",
            """
            def merge(mix_1, log_1, mix_2, log_2):
                share = torch.sigmoid(log_1 - log_2).nan_to_num(0.5)[:, None]
                return share * mix_1 + (1 - share) * mix_2, torch.logaddexp(log_1, log_2)
            """,
        ),
        right(
            "a softmax of two logs",
            """
            def merge(mix_1, log_1, mix_2, log_2):
                logs, mixes = torch.stack([log_1, log_2]), torch.stack([mix_1, mix_2])
                shares = logs.softmax(0).nan_to_num(0.0)
                return (shares[..., None] * mixes).sum(0), logs.logsumexp(0)
            """,
        ),
    ],
    "tiles_to_make": [
        wrong(
            "no window",
            "out of the window are not made",
            TILES.format(**CORNERS | {"window": "time"}),
        ),
        wrong(
            "whole tiles",
            "not only if all are",
            TILES.format(
                **CORNERS
                | {"nearest": "row * tile + tile - 1 - column * tile"}
                | {"past": "((column < row) | (tile == 1) & (column == row))"}
            ),
        ),
        wrong(
            "first against first",
            "the nearest pair decides",
            TILES.format(**CORNERS | {"nearest": "(row - column) * tile"}),
        ),
        wrong(
            "transposed",
            "rows are queries",
            TILES.format(**CORNERS).replace("return ", "return (").rstrip() + ").T\n",
        ),
        wrong(
            "both sides",
            "the future is not made",
            TILES.format(
                **CORNERS
                | {"nearest": "(row - column).abs() * tile - tile + 1"}
                | {"past": "(row >= 0)"}
            ),
        ),
        wrong(
            "the own key apart",
            "the window counts the own key",
            TILES.format(**CORNERS | {"window": "window + 1"}),
        ),
        wrong(
            "the own key left out",
            "the own key is seen",
            TILES.format(**CORNERS | {"window": "window - 1"}),
        ),
        wrong(
            "whole tiles of the text",
            "smaller tiles are missing",
            TILES.format(**CORNERS | {"n": "time // tile"}),
        ),
        right("the nearest pair", TILES.format(**CORNERS)),
        right(
            "pair by pair",
            """
            def tiles_to_make(time, tile, window):
                n = math.ceil(time / tile)
                made = torch.zeros(n, n, dtype=torch.bool)
                for query in range(time):
                    for key in range(max(0, query - window + 1), query + 1):
                        made[query // tile, key // tile] = True
                return made
            """,
        ),
        right(
            "lists",
            """
            def tiles_to_make(time, tile, window):
                n = (time + tile - 1) // tile
                back = (window + tile - 2) // tile
                return [[0 <= i - j <= back for j in range(n)] for i in range(n)]
            """,
        ),
    ],
    "accept_or_redraw": [
        wrong(
            "upside down",
            "not with q / p",
            JUDGE.format(**RULE | {"keep": "u * p[token] < q[token]"}),
        ),
        wrong(
            "anew from p",
            "not from p itself",
            JUDGE.format(**RULE | {"rest": "a"}),
        ),
        wrong(
            "anew from q",
            "not from q again",
            JUDGE.format(**RULE | {"rest": "b"}),
        ),
        wrong(
            "the size of the difference",
            "what q has above p is not drawn from",
            JUDGE.format(**RULE | {"rest": "abs(a - b)"}),
        ),
        wrong(
            "not divided",
            "divided by their sum",
            JUDGE.format(**RULE | {"level": "v + 1e-12"}),
        ),
        wrong(
            "without chance",
            "not only where p is at least q",
            JUDGE.format(**RULE | {"keep": "p[token] >= q[token]"}),
        ),
        wrong(
            "kept with p",
            "not with p",
            JUDGE.format(**RULE | {"keep": "u < p[token]"}),
        ),
        wrong(
            "the other difference",
            "differences are exchanged",
            JUDGE.format(**RULE | {"rest": "max(0.0, b - a)"}),
        ),
        wrong(
            "always kept",
            "distributed as q",
            JUDGE.format(**RULE | {"keep": "True"}),
        ),
        wrong(
            "u of 0 keeps what is impossible",
            "over a grid of u and v",
            JUDGE.format(**RULE | {"keep": "u <= p[token] / q[token]"}),
        ),
        right("a loop", JUDGE.format(**RULE)),
        right(
            "tensors",
            """
            def accept_or_redraw(p, q, token, u, v):
                p, q = (torch.tensor(x, dtype=torch.float64) for x in (p, q))
                if u < min(1.0, (p[token] / q[token]).item()):
                    return token
                rest = (p - q).relu()
                return int(((rest / rest.sum()).cumsum(0) > v).int().argmax())
            """,
        ),
    ],
    "pack": [
        wrong(
            "high first",
            "into the low half",
            PACK.format(**HALVES | {"byte": "16 * low + high"}),
        ),
        wrong(
            "plus 8",
            "not every code plus 8",
            """
            def pack(codes):
                codes = codes.int() + 8
                codes = F.pad(codes, (0, len(codes) % 2))
                return (codes[0::2] + 16 * codes[1::2]).to(torch.uint8)
            """,
        ),
        wrong(
            "sign bits left",
            "keep four bits of it",
            PACK.format(**HALVES | {"coded": "", "byte": "(low | (high << 4)) % 256"}),
        ),
        wrong(
            "halves of the row",
            "neighbours share a byte",
            PACK.format(**HALVES | {"halves": "codes.chunk(2)"}),
        ),
        wrong(
            "no sign",
            "the sign is lost",
            PACK.format(**HALVES | {"coded": ".abs()"}),
        ),
        wrong(
            "in an int8",
            "a byte is torch.uint8",
            PACK.format(**HALVES).replace("torch.uint8", "torch.int32"),
        ),
        right("remainders", PACK.format(**HALVES)),
        right(
            "bits",
            """
            def pack(codes):
                bits = [int(code) & 15 for code in codes] + [0] * (len(codes) % 2)
                pairs = zip(bits[0::2], bits[1::2])
                return torch.tensor([a | b << 4 for a, b in pairs], dtype=torch.uint8)
            """,
        ),
    ],
    "unpack": [
        wrong(
            "high first",
            "lies in the low half",
            UNPACK.format(**BACK | {"halves": "packed // 16, packed % 16"}),
        ),
        wrong(
            "no sign",
            "halves above 7 are negative",
            UNPACK.format(**BACK | {"signed": "codes"}),
        ),
        wrong(
            "all halves",
            "one code too many",
            UNPACK.format(**BACK | {"cut": ""}),
        ),
        wrong(
            "halves side by side",
            "are neighbours",
            UNPACK.format(**BACK | {"joined": "torch.cat([low, high])"}),
        ),
        wrong(
            "less 8",
            "not plus 8",
            UNPACK.format(**BACK | {"signed": "codes - 8"}),
        ),
        wrong(
            "8 is positive",
            "8 stands for -8",
            UNPACK.format(**BACK | {"signed": "codes - 16 * (codes > 8)"}),
        ),
        wrong(
            "not int8",
            "a code is torch.int8",
            UNPACK.format(**BACK).replace("torch.int8", "torch.int32"),
        ),
        right("remainders", UNPACK.format(**BACK)),
        right(
            "bits",
            """
            def unpack(packed, n):
                codes = []
                for byte in packed.tolist():
                    codes += [byte & 15, byte >> 4]
                codes = [code - 16 if code >= 8 else code for code in codes]
                return torch.tensor(codes[:n], dtype=torch.int8)
            """,
        ),
    ],
    "route": [
        wrong(
            "as published",
            "each token's probability at its expert",
            ROUTE.format(
                **ROUTER
                | {
                    "axis": "0",
                    "room": "< capacity",
                    "table": "table / table.sum(-1, keepdim=True).clamp(min=1e-9)",
                }
            ),
        ),
        wrong(
            "one too few",
            "one less was kept",
            ROUTE.format(**ROUTER | {"room": "< capacity"}),
        ),
        wrong(
            "over the tokens",
            "not over the tokens",
            ROUTE.format(**ROUTER | {"axis": "0"}),
        ),
        wrong(
            "normalised",
            "not 1",
            ROUTE.format(
                **ROUTER
                | {"table": "table / table.sum(-1, keepdim=True).clamp(min=1e-9)"}
            ),
        ),
        wrong(
            "detached",
            "the router learns nothing",
            ROUTE.format(**ROUTER | {"numbers": "shares.detach() + 0 * scores"}),
        ),
        wrong(
            "no capacity",
            "takes no more",
            ROUTE.format(**ROUTER | {"room": "<= len(scores)"}),
        ),
        wrong(
            "the last ones",
            "not the last",
            ROUTE.format(**ROUTER | {"place": "chosen.flip(0).cumsum(0).flip(0)"}),
        ),
        wrong(
            "scores",
            "not the probabilities",
            ROUTE.format(**ROUTER | {"numbers": "scores"}),
        ),
        wrong(
            "all experts",
            "only the chosen expert has a number",
            ROUTE.format(
                **ROUTER | {"table": "shares * (table > 0).any(-1, keepdim=True)"}
            ),
        ),
        right("mended", ROUTE.format(**ROUTER)),
        right(
            "token by token",
            """
            def route(scores, capacity):
                rows, taken = [], [0] * scores.shape[1]
                for row in scores.softmax(-1):
                    best = int(row.argmax())
                    taken[best] += 1
                    mask = torch.zeros_like(row)
                    mask[best] = float(taken[best] <= capacity)
                    rows.append(mask * row)
                return torch.stack(rows)
            """,
        ),
    ],
}

EQUIVALENT = {
    "merge": {
        "log = torch.logaddexp(log_2, log_1)": "a sum has no order",
        "safe = log.where(log > -torch.inf, …": (
            "without keys any finite number does: the exponential is 0"
        ),
    },
    "pack": {
        "halves = F.pad(codes % 16, (0, len(codes) % 2)).view(-1, 2)": (
            "an int8 that is too large wraps round, and uint8 brings it back"
        ),
    },
    "unpack": {
        "halves = torch.stack([packed % 16, packed / 16], 1)…": (
            "to(torch.int8) cuts the fraction off"
        ),
    },
    "route": {
        "shares = scores.softmax(1)": "the last axis of two",
        "chosen = F.one_hot(shares.argmax(1), scores.shape[1])": "likewise",
        "chosen = F.one_hot(shares.argmax(-1), scores.shape[1]).detach()": (
            "a choice has no gradient"
        ),
        "place = chosen.cumsum(0).detach()": "a count has no gradient",
        "return chosen.detach() * (place <= capacity) * shares": "likewise",
        "return (chosen * (place <= capacity)).detach() * shares": "likewise",
        "return chosen * ((place <= capacity).detach()) * shares": "likewise",
    },
}
