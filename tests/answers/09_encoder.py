"""Wrong and right answers to the sheet of chapter 09."""

from tests.answers import right, wrong

SIMULATED = """
        others = torch.randint(0, vocab_size, (20_000, {n}))
        counts = F.one_hot(others, vocab_size).sum(1)
        return counts.max(-1).values.double().mean().item() / ({n})
"""

CEILING = """
def ceiling(time, vocab_size, without):
    if without == "the future":
        return {future}
    if without == "positions":
        {positions}
    return {rest}
"""
FUTURE = "0.5 + 0.5 / vocab_size"
BEST = SIMULATED.format(n="time - 1").strip()

COUNT = """
def parameter_count(vocab_size, d_model, n_heads, n_layers, d_ff, norm_first=False):
    attention = {attention}
    feed_forward = {feed_forward}
    layer = attention + feed_forward + {norms}
    last = {last}
    return n_layers * layer + last + {ends}
"""
PARTS = {
    "attention": "4 * d_model * (d_model + 1)",
    "feed_forward": "d_ff * (2 * d_model + 1) + d_model",
    "norms": "4 * d_model",
    "last": "2 * d_model * norm_first",
    "ends": "vocab_size * (2 * d_model + 1)",
}

MENDED = """
def mended(x, layers, n_heads, mask=None):
    for layer in layers:
        {}
        {}
    return x
"""

TRY = """
def needs_positions(task):
    for seed in range(100):
        torch.manual_seed(seed)
        digits = torch.randint(0, 10, (9,))
        order = {order}
        if {differs}:
            return True
    return False
"""

MIRROR = """
def mirror(time, d_model):
    i = torch.arange(0, d_model, 2, dtype=torch.float64)
    a = ({shift}) * 10_000 ** (-i / d_model)
    sin, cos = a.sin(), a.cos()
    return torch.block_diag(*[
        torch.stack([torch.stack([{ss}, {sc}]), torch.stack([{cs}, {cc}])])
        for s, c in zip(sin, cos)
    ])
"""

ANSWERS = {
    "ceiling": [
        wrong(
            "blind without positions",
            "the commonest beats a blind guess",
            CEILING.format(
                future=FUTURE, positions="return 1 / vocab_size", rest="1.0"
            ),
        ),
        wrong(
            "itself among the others",
            "count the others alone",
            CEILING.format(
                future=FUTURE, positions=SIMULATED.format(n="time").strip(), rest="1.0"
            ),
        ),
        wrong(
            "no share for guessing",
            "a guess is right sometimes",
            CEILING.format(future="0.5", positions=BEST, rest="1.0"),
        ),
        wrong(
            "a causal mask hides all",
            "has its mirror image behind it",
            CEILING.format(future="1 / vocab_size", positions=BEST, rest="1.0"),
        ),
        wrong(
            "a causal mask hides nothing",
            "lies in the future",
            CEILING.format(future="1.0", positions=BEST, rest="1.0"),
        ),
        wrong(
            "nothing without a feed-forward net",
            "attention alone can do it",
            CEILING.format(
                future=FUTURE,
                positions=BEST,
                rest="1.0 if without == 'nothing' else 1 / vocab_size",
            ),
        ),
        wrong(
            "one of the others at random",
            "is not the best guess",
            CEILING.format(
                future=FUTURE, positions="return 1 / (time - 1)", rest="1.0"
            ),
        ),
        right(
            "simulated with bincount",
            """
            def ceiling(time, vocab_size, without):
                if without in ("nothing", "feed-forward"):
                    return 1
                if without == "the future":
                    return (time / 2 + time / 2 / vocab_size) / time
                torch.manual_seed(5)
                best = [
                    torch.bincount(torch.randint(vocab_size, (time - 1,))).max().item()
                    for _ in range(20_000)
                ]
                return sum(best) / len(best) / (time - 1)
            """,
        ),
        right(
            "exactly, by counting words",
            """
            def ceiling(time, vocab_size, without):
                from functools import cache
                n = time - 1
                @cache
                def words(length, letters, most):
                    if letters == 0:
                        return int(length == 0)
                    return sum(
                        math.comb(length, k) * words(length - k, letters - 1, most)
                        for k in range(min(length, most) + 1)
                    )
                if without == "positions":
                    at_most = [words(n, vocab_size, m) / vocab_size**n for m in range(n)]
                    return sum(1 - p for p in at_most) / n
                return (1 + 1 / vocab_size) / 2 if without == "the future" else 1.0
            """,
        ),
        right("simulated", CEILING.format(future=FUTURE, positions=BEST, rest="1.0")),
    ],
    "parameter_count": [
        wrong(
            "one norm a layer",
            "a layer has two norms",
            COUNT.format(**PARTS | {"norms": "2 * d_model"}),
        ),
        wrong(
            "no last norm",
            "one more norm at the end",
            COUNT.format(**PARTS | {"last": "0"}),
        ),
        wrong(
            "always a last norm",
            "post-norm has no norm after the last layer",
            COUNT.format(**PARTS | {"last": "2 * d_model"}),
        ),
        wrong(
            "feed-forward without biases",
            "biases of the feed-forward net are missing",
            COUNT.format(**PARTS | {"feed_forward": "2 * d_model * d_ff"}),
        ),
        wrong(
            "projections without biases",
            "biases of the four projections are missing",
            COUNT.format(**PARTS | {"attention": "4 * d_model**2"}),
        ),
        wrong(
            "three projections",
            "output projection of the attention is missing",
            COUNT.format(**PARTS | {"attention": "3 * (d_model**2 + d_model)"}),
        ),
        wrong(
            "each head as wide as the model",
            "adds no parameters",
            COUNT.format(
                **PARTS
                | {"attention": "(3 * n_heads + 1) * (d_model * d_model + d_model)"}
            ),
        ),
        wrong(
            "no map to the vocabulary",
            "at the end is missing",
            COUNT.format(**PARTS | {"ends": "vocab_size * d_model"}),
        ),
        wrong(
            "counted on a built encoder",
            "may not be used here",
            """
            def parameter_count(V, d_model, n_heads, n_layers, d_ff, norm_first=False):
                encoder = Encoder(n_layers, d_model, n_heads, d_ff, norm_first)
                return sum(p.numel() for p in encoder.parameters()) + V * (2 * d_model + 1)
            """,
        ),
        right("a formula", COUNT.format(**PARTS)),
        right(
            "a list of shapes",
            """
            def parameter_count(V, d, h, n_layers, f, norm_first=False):
                layer = [(d, d), (d,)] * 4 + [(f, d), (f,), (d, f), (d,)] + [(d,)] * 4
                shapes = [(V, d), (V, d), (V,)] + n_layers * layer
                shapes += [(d,), (d,)] if norm_first else []
                return sum(math.prod(shape) for shape in shapes)
            """,
        ),
    ],
    "mended": [
        wrong(
            "unchanged",
            "no residual, and one norm used twice",
            "def mended(x, layers, n_heads, mask=None):\n"
            "    return published(x, layers, n_heads)",
        ),
        wrong(
            "no residual",
            "not added to its input",
            MENDED.format(
                'x = norm(attend(x, layer, n_heads, mask), layer, "norm_1")',
                'x = norm(feed(x, layer), layer, "norm_2")',
            ),
        ),
        wrong(
            "one norm for both",
            "the first norm is used twice",
            MENDED.format(
                'x = norm(x + attend(x, layer, n_heads, mask), layer, "norm_1")',
                'x = norm(x + feed(x, layer), layer, "norm_1")',
            ),
        ),
        wrong(
            "the norm before the sum",
            "the norm comes after the sum",
            MENDED.format(
                'x = x + norm(attend(x, layer, n_heads, mask), layer, "norm_1")',
                'x = x + norm(feed(x, layer), layer, "norm_2")',
            ),
        ),
        wrong(
            "pre-norm",
            "this is pre-norm",
            MENDED.format(
                'x = x + attend(norm(x, layer, "norm_1"), layer, n_heads, mask)',
                'x = x + feed(norm(x, layer, "norm_2"), layer)',
            ),
        ),
        wrong(
            "norms exchanged",
            "the two norms are exchanged",
            MENDED.format(
                'x = norm(x + attend(x, layer, n_heads, mask), layer, "norm_2")',
                'x = norm(x + feed(x, layer), layer, "norm_1")',
            ),
        ),
        wrong(
            "no mask",
            "the mask does not reach the attention",
            MENDED.format(
                'x = norm(x + attend(x, layer, n_heads), layer, "norm_1")',
                'x = norm(x + feed(x, layer), layer, "norm_2")',
            ),
        ),
        wrong(
            "the mask in the first layer",
            "the mask goes to every layer",
            MENDED.format(
                'x = norm(x + attend(x, layer, n_heads, mask), layer, "norm_1")',
                'x, mask = norm(x + feed(x, layer), layer, "norm_2"), None',
            ),
        ),
        right(
            "with steps of one's own",
            MENDED.format(
                "mixed = attend(x, layer, n_heads, mask=mask)",
                'u = norm(mixed + x, layer, "norm_1"); '
                'x = norm(feed(u, layer) + u, layer, "norm_2")',
            ),
        ),
        right(
            "a function for each layer",
            """
            def mended(x, layers, n_heads, mask=None):
                if not layers:
                    return x
                first, *rest = layers
                u = norm(x + attend(x, first, n_heads, mask), first, "norm_1")
                y = norm(u + feed(u, first), first, "norm_2")
                return mended(y, rest, n_heads, mask)
            """,
        ),
        wrong(
            "the first layer alone",
            "only the first layer is used",
            """
            def mended(x, layers, n_heads, mask=None):
                for layer in layers:
                    y = norm(x + attend(x, layer, n_heads, mask), layer, "norm_1")
                    y = norm(y + feed(y, layer), layer, "norm_2")
                    return y
            """,
        ),
        wrong(
            "each layer reads the tokens",
            "only the last layer is used",
            """
            def mended(x, layers, n_heads, mask=None):
                for layer in layers:
                    y = norm(x + attend(x, layer, n_heads, mask), layer, "norm_1")
                    y = norm(y + feed(y, layer), layer, "norm_2")
                return y
            """,
        ),
    ],
    "needs_positions": [
        wrong(
            "invariance in place of equivariance",
            "not the same as an equal target",
            TRY.format(
                order="torch.randperm(9)",
                differs="not torch.equal(task(digits[order]), task(digits))",
            ),
        ),
        wrong(
            "the reversed order alone",
            "try more orders: reversing",
            TRY.format(
                order="torch.arange(8, -1, -1)",
                differs="not torch.equal(task(digits[order]), task(digits)[order])",
            ),
        ),
        wrong(
            "the digits 0 to 3 alone",
            "9 is one of them",
            TRY.format(
                order="torch.randperm(9)",
                differs="not torch.equal(task(digits[order] % 4), task(digits % 4)[order])",
            ),
        ),
        wrong(
            "only the first two exchanged",
            "some leave the last place",
            TRY.format(
                order="torch.tensor([1, 0, 2, 3, 4, 5, 6, 7, 8])",
                differs="not torch.equal(task(digits[order]), task(digits)[order])",
            ),
        ),
        wrong(
            "targets sorted before they are compared",
            "which digit is the first depends on the order",
            """
            def needs_positions(task):
                digits = torch.tensor([3, 1, 4, 1, 5])
                order = torch.tensor([0, 4, 2, 1, 3])
                there, here = task(digits[order]), task(digits)
                return not torch.equal(there.sort().values, here.sort().values)
            """,
        ),
        wrong(
            "equal digits alone",
            "t-th smallest",
            TRY.format(
                order="torch.randperm(9)",
                differs="not torch.equal("
                "task(digits * 0 + seed % 10), task(digits * 0 + seed % 10)[order])",
            ),
        ),
        wrong(
            "always",
            "not the same as an equal target",
            "def needs_positions(task):\n    return True",
        ),
        right(
            "all orders of a few sequences",
            """
            def needs_positions(task):
                from itertools import permutations
                for digits in ([1, 1, 2, 9], [3, 0, 7, 5], [4, 8, 8, 4]):
                    digits = torch.tensor(digits)
                    for order in permutations(range(4)):
                        order = list(order)
                        if (task(digits[order]) != task(digits)[order]).any():
                            return True
                return False
            """,
        ),
        right(
            "random orders",
            TRY.format(
                order="torch.randperm(9)",
                differs="not torch.equal(task(digits[order]), task(digits)[order])",
            ),
        ),
        right(
            "every exchange of two places",
            """
            def needs_positions(task):
                torch.manual_seed(1)
                for digits in torch.randint(0, 10, (60, 6)):
                    for i in range(6):
                        for j in range(i):
                            order = torch.arange(6)
                            order[[i, j]] = order[[j, i]]
                            back = task(digits[order])[order]
                            if not torch.equal(back, task(digits)):
                                return True
                return False
            """,
        ),
        wrong(
            "turned by one place",
            "to turn the sequence in a ring",
            TRY.format(
                order="torch.arange(9).roll(1)",
                differs="not torch.equal(task(digits[order]), task(digits)[order])",
            ),
        ),
        wrong(
            "turned and reversed",
            "to turn or to reverse a ring",
            TRY.format(
                order="torch.arange(9).roll(seed).flip(0)",
                differs="not torch.equal(task(digits[order]), task(digits)[order])",
            ),
        ),
    ],
    "my_task": [
        wrong(
            "reverse",
            "it needs positions",
            "def my_task(digits):\n    return digits.flip(0)",
        ),
        wrong(
            "copy",
            "no attention is needed",
            "def my_task(digits):\n    return digits",
        ),
        wrong(
            "the sum",
            "every place of a sequence has the same target",
            "def my_task(digits):\n"
            "    return torch.full_like(digits, int(digits.sum()) % 10)",
        ),
        wrong(
            "the rank by sorting",
            "it needs positions",
            "def my_task(digits):\n    return digits.argsort().argsort().clamp(max=9)",
        ),
        wrong(
            "counts beyond 9",
            "they go from 0 to 9",
            "def my_task(digits):\n    return (digits[:, None] == digits).sum(1)",
        ),
        wrong(
            "the largest digit alone",
            "shape ()",
            "def my_task(digits):\n    return digits.max()",
        ),
        wrong(
            "averages",
            "expected whole numbers",
            "def my_task(digits):\n    return digits - digits.float().mean()",
        ),
        right(
            "the sum of the others",
            "def my_task(digits):\n    return (digits.sum() - digits) % 10",
        ),
        right(
            "is it the largest",
            "def my_task(digits):\n    return (digits == digits.max()).long()",
        ),
        right(
            "a loop that counts",
            """
            def my_task(digits):
                seen = digits.tolist()
                return torch.tensor([min(9, seen.count(d) - 1) for d in seen])
            """,
        ),
    ],
    "mirror": [
        wrong(
            "off by one",
            "time - 1, not time",
            MIRROR.format(shift="time", ss="-c", sc="s", cs="s", cc="c"),
        ),
        wrong(
            "a rotation on",
            "this turns on",
            MIRROR.format(shift="time - 1", ss="c", sc="-s", cs="s", cc="c"),
        ),
        wrong(
            "a rotation back",
            "this turns back",
            MIRROR.format(shift="time - 1", ss="c", sc="s", cs="-s", cc="c"),
        ),
        wrong(
            "mirrored at place 0",
            "mirrors at place 0",
            MIRROR.format(shift="0 * time", ss="-c", sc="s", cs="s", cc="c"),
        ),
        wrong(
            "the identity",
            "leaves the places where they are",
            "def mirror(time, d_model):\n    return torch.eye(d_model).double()",
        ),
        wrong(
            "a fit to the whole places",
            "a fit, not the mirror image",
            """
            def mirror(time, d_model):
                p = positions_at(torch.arange(time), d_model)
                return torch.linalg.pinv(p) @ p.flip(0)
            """,
        ),
        wrong(
            "sines first, then cosines",
            "expected",
            """
            def mirror(time, d_model):
                i = torch.arange(0, d_model, 2, dtype=torch.float64)
                a = (time - 1) * 10_000 ** (-i / d_model)
                s, c = a.sin().diag(), a.cos().diag()
                return torch.cat([torch.cat([-c, s], 1), torch.cat([s, c], 1)])
            """,
        ),
        right(
            "blocks on the diagonal",
            MIRROR.format(shift="time - 1", ss="-c", sc="s", cs="s", cc="c"),
        ),
        right(
            "a fit to enough places",
            """
            def mirror(time, d_model):
                t = torch.linspace(-400, 400, 5000, dtype=torch.float64)
                p, there = (positions_at(x, d_model) for x in (t, time - 1 - t))
                return torch.linalg.lstsq(p, there, driver="gelsd").solution
            """,
        ),
        right(
            "a flip of the sign, then a rotation",
            """
            def mirror(time, d_model):
                flip = torch.diag(torch.tensor([-1.0, 1.0] * (d_model // 2))).double()
                turn = torch.zeros_like(flip)
                for i in range(0, d_model, 2):
                    s, c = positions_at([time - 1], d_model)[0, i : i + 2]
                    turn[i, i], turn[i, i + 1] = c, -s
                    turn[i + 1, i], turn[i + 1, i + 1] = s, c
                return flip @ turn
            """,
        ),
        wrong(
            "float32",
            "the matrix is torch.float32, expected torch.float64",
            MIRROR.format(shift="time - 1", ss="-c", sc="s", cs="s", cc="c")
            + "\nin_float64 = mirror\n"
            + "def mirror(time, d_model):\n    return in_float64(time, d_model).float()",
        ),
        right(
            "lists of floats",
            """
            def mirror(time, d_model):
                rows = [[0.0] * d_model for _ in range(d_model)]
                for i in range(0, d_model, 2):
                    a = (time - 1) * 10_000 ** (-i / d_model)
                    rows[i][i : i + 2] = -math.cos(a), math.sin(a)
                    rows[i + 1][i : i + 2] = math.sin(a), math.cos(a)
                return rows
            """,
        ),
    ],
}

_DRAWS = "another draw, or as good a number of draws"
_TASK = "another task that is as good"

EQUIVALENT = {
    "ceiling": {
        'if without >= "the future":': "it is the last name in the alphabet",
        'if without >= "positions":': "what comes later in the alphabet has returned",
        "generator = torch.Generator().manual_seed(…": _DRAWS,
        "shape = 20001, time - 1": _DRAWS,
        "shape = 19999, time - 1": _DRAWS,
        "shape = 10000, time - 1": _DRAWS,
        "others = torch.randint(0, vocab_size, shape)": _DRAWS,
        "commonest = F.one_hot(others)…": "so many draws hold every token",
        "commonest = …keepdim=True…": "the mean is over all axes",
        "commonest = F.one_hot(others, vocab_size).sum(1).amax(1)": "the last axis",
        "return commonest.float().mean().item() / (time - 1)": "right to 0.01 is asked",
        "return rounded(1.0)": "it is whole",
    },
    "mended": {"return spoiling(x, (x))": "x is another tensor by then"},
    "needs_positions": {
        "generator = torch.Generator().manual_seed(…": _DRAWS,
        "for _ in range(…": _DRAWS,
        "digits = torch.randint(0, 10, (8,))": _DRAWS,
        "order = torch.randperm(8)": _DRAWS,
        "if not torch.equal(task(digits)[order], …": "equal both ways round",
    },
    "my_task": {
        "larger = digits[None, :] >= …": _TASK,
        "larger = digits[None, :] < …": _TASK,
        "return larger.sum(0).clamp(max=9)": _TASK,
        "return larger.sum(1).clamp(max=8)": _TASK,
        "return larger.sum(1).clamp(max=4)": _TASK,
    },
    "mirror": {"for i in range(0, d_model - 1, 2):": "d_model is even"},
}
