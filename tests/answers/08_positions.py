"""Wrong and right answers to the sheet of chapter 08."""

from tests.answers import right, wrong

RISE = """
def rises(d_model, time):
    w = [10000 ** ({}) for i in range(d_model // 2)]
    v = [sum(math.{}(t * x) for x in w) for t in range(time)]
    return [{} for t in range(1, time) if v[t] {} v[t - 1]]
"""

SHIFT = """
def shift_matrix(k, d_model):
    R = torch.zeros(d_model, d_model, dtype=torch.float64)
    for i in range(d_model // 2):
        a = {}
        c, s = math.cos(a), math.sin(a)
        R[2*i, 2*i], R[2*i, 2*i + 1] = c, {}s
        R[2*i + 1, 2*i], R[2*i + 1, 2*i + 1] = {}s, c
    return R
"""
ANGLE = "k * 10000 ** (-2 * i / d_model)"

TURN = """
def rotary_halves(x, positions):
    d_k = x.shape[-1]
    w = 10000 ** (-torch.arange(0, d_k, 2, dtype=torch.float64) / d_k)
    {}
"""
CUT = """a, b = x.chunk(2, dim=-1)
    return torch.cat([{}], dim=-1)"""

PAIR_LOOP = """
def exchangeable(mask):
    n = len(mask)
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    return [(i, j) for i, j in pairs if {}]
"""

MENDED = """
def mended(x):
    batch, time, d = x.shape
    p = torch.arange({}, dtype=torch.float64)[:, None]
    angles = p * 10000 ** (-torch.arange(0, d, 2, dtype=torch.float64) / d)
    table = torch.zeros({}, d)
    table[:, 0::2] = angles.sin()
    table[:, 1::2] = angles.cos()[:, : d // 2]
    {}
"""

PEAK = """
def alibi_peak(offset):
    r = {}
    return {}
"""

ANSWERS = {
    "rises": [
        wrong(
            "the step before the rise",
            "one too small",
            RISE.format("-2 * i / d_model", "cos", "t - 1", ">"),
        ),
        wrong(
            "no factor 2",
            "the factor 2",
            RISE.format("-i / d_model", "cos", "t", ">"),
        ),
        wrong(
            "the steps that fall",
            "the steps that fall",
            RISE.format("-2 * i / d_model", "cos", "t", "<="),
        ),
        wrong(
            "the sines of position 0",
            "the cosines are what is left",
            RISE.format("-2 * i / d_model", "sin", "t", ">"),
        ),
        wrong(
            "none",
            "does not fall for ever",
            "def rises(d_model, time):\n    return []",
        ),
        wrong(
            "the first alone",
            "only the first rise",
            """
            def rises(d_model, time):
                table = sinusoidal_positions(time, d_model)
                for t in range(1, time):
                    if table[0] @ table[t] > table[0] @ table[t - 1]:
                        return [t]
            """,
        ),
        right("a sum of cosines", RISE.format("-2 * i / d_model", "cos", "t", ">")),
        right(
            "differences of a tensor",
            """
            def rises(d_model, time):
                table = sinusoidal_positions(time, d_model)
                return (table @ table[0]).diff().gt(0).nonzero().flatten() + 1
            """,
        ),
        right(
            "from the end",
            """
            def rises(d_model, time):
                w = 10000 ** (-torch.arange(0, d_model, 2) / d_model)
                found = []
                for t in range(time - 1, 0, -1):
                    if torch.cos(t * w).sum() > torch.cos((t - 1) * w).sum():
                        found.insert(0, t)
                return found
            """,
        ),
        wrong(
            "i counts dimensions",
            "i counts the pairs of dimensions",
            RISE.format("-4 * i / d_model", "cos", "t", ">"),
        ),
    ],
    "shift_matrix": [
        wrong("transposed", "turns the wrong way", SHIFT.format(ANGLE, "-", "")),
        wrong(
            "one frequency for all",
            "a frequency of its own",
            SHIFT.format("k", "", "-"),
        ),
        wrong(
            "the number of the dimension in place of the pair's",
            "with i the number of the pair",
            SHIFT.format("k * 10000 ** (-2 * (2 * i) / d_model)", "", "-"),
        ),
        wrong(
            "no factor 2",
            "the factor 2",
            SHIFT.format("k * 10000 ** (-i / d_model)", "", "-"),
        ),
        wrong(
            "k forgotten",
            "one step is not k steps",
            SHIFT.format("10000 ** (-2 * i / d_model)", "", "-"),
        ),
        wrong(
            "the layout by halves",
            "stand next to each other",
            """
            def shift_matrix(k, d_model):
                w = 10000 ** (-torch.arange(0, d_model, 2).double() / d_model)
                c, s = torch.diag(torch.cos(k * w)), torch.diag(torch.sin(k * w))
                return torch.cat([torch.cat([c, s], 1), torch.cat([-s, c], 1)])
            """,
        ),
        wrong(
            "both signs plus: no rotation",
            "R·Rᵀ should be the identity",
            SHIFT.format(ANGLE, "", ""),
        ),
        wrong(
            "one block",
            "its shape is (2, 2)",
            """
            def shift_matrix(k, d_model):
                c, s = math.cos(k), math.sin(k)
                return torch.tensor([[c, s], [-s, c]])
            """,
        ),
        right("entry by entry", SHIFT.format(ANGLE, "", "-")),
        right(
            "a matrix exponential of the generator",
            """
            def shift_matrix(k, d_model):
                w = 10000 ** (-torch.arange(0, d_model, 2).double() / d_model)
                up = torch.zeros(d_model - 1, dtype=torch.float64)
                up[::2] = w
                generator = torch.diag(up, 1) - torch.diag(up, -1)
                return torch.matrix_exp(k * generator)
            """,
        ),
        right(
            "lists of numbers",
            """
            def shift_matrix(k, d_model):
                rows = []
                for j in range(d_model):
                    a = k / 10000 ** (j // 2 * 2 / d_model)
                    row = [0.0] * d_model
                    row[j] = math.cos(a)
                    row[j ^ 1] = -math.sin(a) if j % 2 else math.sin(a)
                    rows.append(row)
                return rows
            """,
        ),
    ],
    "order_of_halves": [
        wrong(
            "the way back",
            "from halves to neighbours",
            """
            def order_of_halves(d_k):
                return [j // 2 + d_k // 2 * (j % 2) for j in range(d_k)]
            """,
        ),
        wrong(
            "odd ones first",
            "belongs in the first half",
            """
            def order_of_halves(d_k):
                return list(range(1, d_k, 2)) + list(range(0, d_k, 2))
            """,
        ),
        wrong(
            "as it is",
            "nothing is moved",
            "def order_of_halves(d_k):\n    return list(range(d_k))",
        ),
        wrong(
            "the two halves exchanged",
            "the pairs stay neighbours",
            """
            def order_of_halves(d_k):
                return [*range(d_k // 2, d_k), *range(d_k // 2)]
            """,
        ),
        wrong(
            "the second half only once",
            "shape",
            "def order_of_halves(d_k):\n    return list(range(0, d_k, 2))",
        ),
        right(
            "a reshape",
            """
            def order_of_halves(d_k):
                return torch.arange(d_k).view(-1, 2).T.flatten().tolist()
            """,
        ),
        right(
            "sorted by the place in the pair",
            """
            def order_of_halves(d_k):
                return sorted(range(d_k), key=lambda j: (j % 2, j))
            """,
        ),
    ],
    "rotary_halves": [
        wrong(
            "the lesson's pairs",
            "neighbours are turned",
            "def rotary_halves(x, positions):\n    return rotary(x, positions)",
        ),
        wrong(
            "the other direction",
            "turns the wrong way",
            TURN.format(
                "c, s = torch.cos(positions[:, None] * w), "
                "torch.sin(positions[:, None] * w)\n    "
                + CUT.format("a * c + b * s, -a * s + b * c")
            ),
        ),
        wrong(
            "counts from 0",
            "the positions are an argument",
            TURN.format(
                "t = torch.arange(x.shape[-2])[:, None] * w\n    "
                "c, s = t.cos(), t.sin()\n    "
                + CUT.format("a * c - b * s, a * s + b * c")
            ),
        ),
        wrong(
            "frequencies repeated side by side",
            "not each one twice",
            TURN.format(
                "t = (positions[:, None] * w).repeat_interleave(2, -1)\n    "
                "a, b = x.chunk(2, dim=-1)\n    "
                "return x * t.cos() + torch.cat([-b, a], -1) * t.sin()"
            ),
        ),
        wrong(
            "no factor 2",
            "the factor 2",
            TURN.format(
                "t = positions[:, None] * w**0.5\n    c, s = t.cos(), t.sin()\n    "
                + CUT.format("a * c - b * s, a * s + b * c")
            ),
        ),
        wrong(
            "only the cosine",
            "is not turned by its angle",
            TURN.format("return x * torch.cos(positions[:, None] * w).repeat(1, 2)"),
        ),
        right(
            "rotate half, as published",
            TURN.format(
                "t = (positions[:, None] * w).repeat(1, 2)\n    "
                "a, b = x.chunk(2, dim=-1)\n    "
                "return x * t.cos() + torch.cat([-b, a], -1) * t.sin()"
            ),
        ),
        right(
            "there and back through the lesson's",
            """
            def rotary_halves(x, positions):
                d_k = x.shape[-1]
                to = torch.tensor([*range(0, d_k, 2), *range(1, d_k, 2)])
                back = to.argsort()
                return rotary(x[..., back], positions)[..., to]
            """,
        ),
        right(
            "in float32",
            """
            def rotary_halves(x, positions):
                half = x.shape[-1] // 2
                t = positions.float()[:, None] / 10000 ** (torch.arange(half) / half)
                a, b = x[..., :half], x[..., half:]
                out = x.clone()
                out[..., :half] = a * t.cos() - b * t.sin()
                out[..., half:] = a * t.sin() + b * t.cos()
                return out
            """,
        ),
    ],
    "exchangeable": [
        wrong(
            "who sees each other",
            "seeing each other is not enough",
            PAIR_LOOP.format("mask[i, j] and mask[j, i]"),
        ),
        wrong(
            "equal rows",
            "equal rows are not the point",
            PAIR_LOOP.format("torch.equal(mask[i], mask[j])"),
        ),
        wrong(
            "equal columns",
            "equal columns are not the point",
            PAIR_LOOP.format("torch.equal(mask[:, i], mask[:, j])"),
        ),
        wrong("all", "not every pair is free", PAIR_LOOP.format("True")),
        wrong("none", "some pairs are left", PAIR_LOOP.format("False")),
        wrong(
            "neighbours alone",
            "not only neighbouring tokens",
            """
            def exchangeable(mask):
                pairs = []
                for i in range(len(mask) - 1):
                    order = list(range(len(mask)))
                    order[i], order[i + 1] = i + 1, i
                    if torch.equal(mask[order][:, order], mask):
                        pairs.append((i, i + 1))
                return pairs
            """,
        ),
        wrong(
            "both ways round",
            "each pair once",
            """
            def exchangeable(mask):
                pairs = []
                for i in range(len(mask)):
                    for j in range(len(mask)):
                        order = list(range(len(mask)))
                        order[i], order[j] = j, i
                        if i != j and torch.equal(mask[order][:, order], mask):
                            pairs.append((i, j))
                return pairs
            """,
        ),
        right(
            "measured with attention",
            """
            def exchangeable(mask):
                torch.manual_seed(1)
                n, pairs = len(mask), []
                attention = MultiHeadAttention(8, 2).double()
                x = torch.randn(1, n, 8, dtype=torch.float64)
                for i in range(n):
                    for j in range(i + 1, n):
                        swap = torch.arange(n)
                        swap[i], swap[j] = j, i
                        moved = attention(x[:, swap], mask=mask)[0]
                        if torch.allclose(moved, attention(x, mask=mask)[0][:, swap]):
                            pairs.append((i, j))
                return pairs
            """,
        ),
        right(
            "entry by entry",
            """
            def exchangeable(mask):
                m, n = mask.tolist(), len(mask)
                def free(i, j):
                    to = {i: j, j: i}
                    return all(
                        m[to.get(a, a)][to.get(b, b)] == m[a][b]
                        for a in range(n) for b in range(n)
                    )
                return [(i, j) for j in range(n) for i in range(j) if free(i, j)]
            """,
        ),
        right(
            "a permutation matrix",
            """
            def exchangeable(mask):
                n, found = len(mask), []
                M = mask.double()
                for pair in torch.combinations(torch.arange(n)).tolist():
                    P = torch.eye(n, dtype=torch.float64)
                    P[pair] = P[pair[::-1]]
                    if (P @ M @ P.T == M).all():
                        found.append(pair)
                return found
            """,
        ),
        wrong(
            "the rows of the other tokens forgotten",
            "the rows of the other tokens must stay alike",
            """
            def exchangeable(mask):
                pairs = []
                for i in range(len(mask)):
                    for j in range(i + 1, len(mask)):
                        row = mask[i].clone()
                        row[i], row[j] = mask[i, j], mask[i, i]
                        if torch.equal(row, mask[j]):
                            pairs.append((i, j))
                return pairs
            """,
        ),
    ],
    "mended": [
        wrong(
            "the first row for all",
            "position 0 is given to every token",
            MENDED.format("1", "1", "return x + table"),
        ),
        wrong(
            "the batch axis, and no crash",
            "its number in the batch",
            MENDED.format("batch", "batch", "return x + table[:, None]"),
        ),
        wrong(
            "one more dimension, then cut",
            "the frequencies are those of d_model + 1",
            """
            def mended(x):
                batch, time, d = x.shape
                return x + sinusoidal_positions(time, d + d % 2)[:, :d]
            """,
        ),
        wrong(
            "the last dimension left out",
            "the last dimension stays empty",
            """
            def mended(x):
                batch, time, d = x.shape
                table = torch.zeros(time, d)
                table[:, : d - d % 2] = sinusoidal_positions(time, d - d % 2)
                return x + table
            """,
        ),
        wrong(
            "odd sizes refused",
            "d_model=5 is odd",
            """
            def mended(x):
                return x + sinusoidal_positions(*x.shape[1:])
            """,
        ),
        wrong(
            "sines first, then cosines",
            "stand next to each other",
            """
            def mended(x):
                batch, time, d = x.shape
                p = torch.arange(time)[:, None]
                angles = p * 10000 ** (-torch.arange(0, d, 2) / d)
                return x + torch.cat([angles.sin(), angles.cos()], -1)[:, :d]
            """,
        ),
        wrong(
            "the table alone",
            "not added to x",
            MENDED.format("time", "time", "return table.expand(batch, time, d)"),
        ),
        wrong(
            "in place",
            "you changed the tensor",
            MENDED.format("time", "time", "x += table\n    return x"),
        ),
        right(
            "batch in front", MENDED.format("time", "time", "return x + table[None]")
        ),
        right(
            "published, mended with little",
            """
            def mended(x):
                time, d_model = x.shape[1:]
                position = torch.arange(5000.0)[:, None]
                even = torch.arange(0, d_model, 2)
                frequency = torch.exp(even * (-math.log(10000) / d_model))
                table = torch.zeros(1, 5000, d_model)
                table[0, :, 0::2] = torch.sin(position * frequency)
                table[0, :, 1::2] = torch.cos(position * frequency[: d_model // 2])
                return x + table[:, :time]
            """,
        ),
        right(
            "a cosine is a shifted sine",
            """
            def mended(x):
                time, d = x.shape[1:]
                j = torch.arange(d, dtype=torch.float64)
                angles = torch.arange(time)[:, None] / 10000 ** (2 * (j // 2) / d)
                return x + torch.sin(angles + j % 2 * math.pi / 2).float()
            """,
        ),
    ],
    "alibi_peak": [
        wrong(
            "r in place of the slope",
            "the slope is m = -ln r",
            PEAK.format("offset / (offset + 1)", "r, r**offset * (1 - r)"),
        ),
        wrong(
            "the sign of the slope",
            "the slope is positive",
            PEAK.format("offset / (offset + 1)", "math.log(r), r**offset * (1 - r)"),
        ),
        wrong(
            "not divided by the sum",
            "divide by the sum over all keys",
            PEAK.format("offset / (offset + 1)", "-math.log(r), r**offset"),
        ),
        wrong(
            "the query's own key left out",
            "own key, 0 back, takes its share",
            """
            def alibi_peak(offset):
                r = (offset - 1) / offset
                if r == 0:
                    return 4.0, 1 - math.exp(-4.0)
                return -math.log(r), r ** (offset - 1) * (1 - r)
            """,
        ),
        wrong(
            "flat is best",
            "no slope at all",
            "def alibi_peak(offset):\n    return 0.0, 0.0",
        ),
        wrong(
            "counted from 1",
            "offset + 1 back",
            PEAK.format(
                "(offset + 1) / (offset + 2)", "-math.log(r), r**(offset+1) * (1 - r)"
            ),
        ),
        right(
            "the closed form",
            """
            def alibi_peak(offset):
                n = offset
                return math.log(1 + 1 / n), n**n / (n + 1) ** (n + 1)
            """,
        ),
        right(
            "by search over slopes",
            """
            def alibi_peak(offset):
                m = torch.linspace(0.001, 3, 30_000)
                weights = torch.exp(-m * offset) * (1 - torch.exp(-m))
                return m[weights.argmax()], weights.max()
            """,
        ),
    ],
}

EQUIVALENT = {
    "rises": {
        "table = sinusoidal_positions(time, d_model)…": "rounding is below any step",
        "return [t for t in range(1 + 1, time) …": "none is as similar to 0 as itself",
        "return [t for t in range(2, time) …": "none is as similar to 0 as itself",
        "return … if similarity[t] >= similarity[t - 1]]": "no two are equal",
    },
    "shift_matrix": {
        "for i in range(-(-d_model // 2)):": "d_model is even",
        "blocks.append(torch.tensor([[c, s], [-s, c]]…))": "no dtype is asked",
    },
    "order_of_halves": {
        "return [*range(0, d_k - 1, 2), …": "d_k is even, so d_k - 1 was not there",
        "return [*range(0, d_k, 2), *range(1, d_k + 1, 2)]": "d_k is even: not added",
    },
    "rotary_halves": {
        "pairs = torch.arange(0, d_k, 2…": "no dtype is asked",
        "cos, sin = angles.cos(), …": "no dtype is asked",
        "cos, sin = …, angles.sin()": "no dtype is asked",
    },
    "exchangeable": {
        "for i in range(0, time - 1):": "no token comes after the last one",
        "for i in range(0, time + 1):": "no token comes after the last one",
        "if torch.equal(mask, mask[order][:, order]):": "equal both ways round",
    },
    "mended": {
        "position = torch.arange(time…": "positions are whole in every dtype",
        "pairs = torch.arange(0, d_model, 2…": "no dtype is asked",
        "table = torch.ones(time, d_model, dtype=x.dtype)": "all of it is written",
        "table = torch.zeros(time, d_model)": "no dtype is asked",
        "table[:, ::2] = torch.sin(angles)": "the same columns",
    },
}
