"""Wrong and right answers to the sheet of chapter 07."""

from tests.answers import right, wrong

STD = """
def std_after(n_layers, order, gain):
    if order == "no norm":
        return {}
    if order == "pre-norm":
        return {}
    return {}
"""
NONE, PRE = "(1 + gain**2) ** (n_layers / 2)", "(1 + n_layers * gain**2) ** 0.5"

FAULTS = """
def faults(norm):
    found = []
    x = torch.tensor([[-1.0, 1.0], [1.0, -1.0]])
    value = abs(norm(x, {eps}))[0, 0].item()
    known = {{0.7071: [], 0.5: ["eps"], 0.5774: ["n - 1"], 0.4142: ["n - 1", "eps"]}}
    {look}
    y = torch.tensor([[-1.0, 1.0], [{other}]])
    if not torch.allclose(norm(x, 1.0)[0], norm(y, 1.0)[0]):
        found.append("axis")
    return found
"""
LOOK = "found += known[min(known, key=lambda k: abs(k - value))]"

FOLD = """
def fold(gamma, beta, weight, bias):
    return {}, {}
"""

SHARE = """
def input_share(n_layers, order):
    return {} if order == "pre-norm" else {}
"""

APART = """
def apart(x):
    mean = x.mean({}, keepdim=True)
    return (x - mean).norm() / {}
"""

LAYERS = """
def layers_needed(a, factor, residual):
    left, layers = 1.0, 0
    while {}:
        left *= {}
        layers += 1
    return layers
"""

ANSWERS = {
    "std_after": [
        wrong(
            "standard deviations added",
            "standard deviations do not",
            STD.format("(1 + gain) ** n_layers", "1 + n_layers * gain", "1.0"),
        ),
        wrong(
            "the variance",
            "its root is asked",
            STD.format("(1 + gain**2) ** n_layers", "1 + n_layers * gain**2", "1.0"),
        ),
        wrong(
            "pre-norm grows as without a norm",
            "this is the size without a norm",
            STD.format(NONE, NONE, "1.0"),
        ),
        wrong(
            "post-norm grows as pre-norm does",
            "this is the size in pre-norm",
            STD.format(NONE, PRE, PRE),
        ),
        wrong(
            "x forgotten",
            "x itself has variance 1",
            STD.format(NONE, "(n_layers * gain**2) ** 0.5", "1.0"),
        ),
        wrong(
            "the gain not squared",
            "the gain is squared",
            STD.format("(1 + gain) ** (n_layers / 2)", PRE, "1.0"),
        ),
        right(
            "layer by layer",
            """
            def std_after(n_layers, order, gain):
                variance = 1.0
                for _ in range(n_layers):
                    given = variance if order == "no norm" else 1.0
                    variance += gain**2 * given
                    if order == "post-norm":
                        variance = 1.0
                return math.sqrt(variance)
            """,
        ),
        right(
            "logarithms and a table",
            """
            def std_after(n_layers, order, gain):
                squared = torch.tensor(float(gain), dtype=torch.float64) ** 2
                return {
                    "no norm": torch.exp(0.5 * n_layers * torch.log1p(squared)),
                    "pre-norm": torch.sqrt(1 + n_layers * squared),
                    "post-norm": 1,
                }[order]
            """,
        ),
    ],
    "ratio": [
        wrong(
            "upside down",
            "LayerNorm's divided by the published one",
            "def ratio(d):\n    return (d / (d - 1)) ** 0.5",
        ),
        wrong(
            "without the root",
            "a norm divides by the root",
            "def ratio(d):\n    return (d - 1) / d",
        ),
        wrong(
            "without the root, upside down",
            "upside down",
            "def ratio(d):\n    return d / (d - 1)",
        ),
        wrong(
            "d + 1 in place of d - 1",
            "not for d + 1",
            "def ratio(d):\n    return math.sqrt(d / (d + 1))",
        ),
        wrong(
            "the numbers of the example",
            "it depends on d",
            "def ratio(d):\n    return 3**0.5 / 2",
        ),
        right("one minus", "def ratio(d):\n    return (1 - 1 / d) ** 0.5"),
        right(
            "measured",
            """
            def ratio(d):
                x = torch.arange(d, dtype=torch.float64)
                return x.std(correction=0) / x.std()
            """,
        ),
    ],
    "faults": [
        wrong(
            "a small eps",
            "with a small eps its place",
            FAULTS.format(
                eps="1e-5",
                look="found += ['n - 1'] if abs(value - 0.7071) < 0.01 else []",
                other="5.0, 3.0",
            ),
        ),
        wrong(
            "any value under 0.7 is n - 1",
            "eps was not seen",
            FAULTS.format(
                eps="1.0",
                look="found += ['n - 1'] if value < 0.7 else []",
                other="5.0, 3.0",
            ),
        ),
        wrong(
            "any value under 0.7 is eps",
            "n - 1 was not seen",
            FAULTS.format(
                eps="1.0",
                look="found += ['eps'] if value < 0.7 else []",
                other="5.0, 3.0",
            ),
        ),
        wrong(
            "the axis looked for where it makes no difference",
            "axis was not seen",
            FAULTS.format(eps="1.0", look=LOOK, other="1.0, -1.0"),
        ),
        wrong(
            "every difference from torch blamed on all",
            "is blamed",
            """
            def faults(norm):
                x = torch.randn(5, 7)
                same = torch.allclose(norm(x, 1.0), F.layer_norm(x, (7,), eps=1.0))
                return [] if same else ["n - 1", "eps", "axis"]
            """,
        ),
        wrong(
            "the published one recognised, nothing else",
            "was not seen",
            """
            def faults(norm):
                x = torch.randn(5, 7)
                same = torch.allclose(norm(x, 1e-6), published_norm(x))
                return ["n - 1", "eps"] if same else []
            """,
        ),
        right(
            "a table of four values",
            FAULTS.format(eps="1.0", look=LOOK, other="5.0, 3.0"),
        ),
        right(
            "all eight norms tried",
            """
            def faults(norm):
                torch.manual_seed(1)
                x = torch.randn(3, 5)
                for axis in (0, 1):
                    for minus in (0, 1):
                        for outside in (0, 1):
                            m = x.mean(axis, keepdim=True)
                            v = x.var(axis, correction=minus, keepdim=True)
                            s = v.sqrt() + 0.5 if outside else (v + 0.5).sqrt()
                            if torch.allclose(norm(x, 0.5), (x - m) / s):
                                names = [("axis", axis == 0), ("n - 1", minus)]
                                names.append(("eps", outside))
                                return [name for name, bad in names if bad]
            """,
        ),
        right(
            "one fault after the other",
            """
            def faults(norm):
                found = []
                x = torch.tensor([[-1.0, 1.0], [1.0, -1.0]])
                if norm(x, 0.0)[0, 1] < 0.9:
                    found.append("n - 1")
                variance = 2.0 if found else 1.0
                if norm(x, 3.0)[0, 1] < (variance + 3.0) ** -0.5 - 0.01:
                    found.append("eps")
                x[1] += 9
                if abs(norm(x, 0.0)[1].sum()) > 0.1:
                    found.append("axis")
                return found
            """,
        ),
    ],
    "fold": [
        wrong(
            "rows scaled",
            "columns of the weight",
            FOLD.format("weight * gamma[:, None]", "bias + weight @ beta"),
        ),
        wrong(
            "beta added to the bias",
            "beta goes through the weight",
            FOLD.format("weight * gamma", "bias + beta"),
        ),
        wrong(
            "beta through the new weight",
            "use the old weight",
            FOLD.format("weight * gamma", "bias + (weight * gamma) @ beta"),
        ),
        wrong(
            "the bias lost",
            "the bias that was there is lost",
            FOLD.format("weight * gamma", "weight @ beta"),
        ),
        wrong("beta lost", "beta is lost", FOLD.format("weight * gamma", "bias")),
        wrong(
            "the weight as it was",
            "gamma belongs into it",
            FOLD.format("weight", "bias + weight @ beta"),
        ),
        wrong(
            "in place",
            "you changed the tensor",
            """
            def fold(gamma, beta, weight, bias):
                bias += weight @ beta
                weight *= gamma
                return weight, bias
            """,
        ),
        right(
            "a diagonal matrix",
            FOLD.format("weight @ torch.diag(gamma)", "F.linear(beta, weight, bias)"),
        ),
        right(
            "rows of the weight centred, since the token has mean 0",
            """
            def fold(gamma, beta, weight, bias):
                new = weight * gamma
                return new - new.mean(1, keepdim=True), bias + weight @ beta
            """,
        ),
        right(
            "found by asking the layer",
            """
            def fold(gamma, beta, weight, bias):
                def layer(x):
                    return F.linear(x * gamma + beta, weight, bias)
                zero = torch.zeros_like(gamma)
                start = layer(zero)
                columns = [layer(row) - start for row in torch.eye(len(gamma)).to(gamma)]
                return torch.stack(columns, dim=1), start
            """,
        ),
    ],
    "input_share": [
        wrong(
            "as pre-norm in every order",
            "as large as all before it together",
            SHARE.format("1 / (1 + n_layers)", "1 / (1 + n_layers)"),
        ),
        wrong(
            "halved in every order",
            "x grows and the newcomer does not",
            SHARE.format("0.5**n_layers", "0.5**n_layers"),
        ),
        wrong(
            "the input is always there in full",
            "the share of the input falls",
            SHARE.format("1.0", "1.0"),
        ),
        wrong(
            "of the standard deviation",
            "not of the standard deviation",
            SHARE.format("(1 + n_layers) ** -0.5", "2 ** (-n_layers / 2)"),
        ),
        wrong(
            "the input not counted",
            "the input itself is one of the parts",
            SHARE.format("1 / max(n_layers, 1)", "0.5**n_layers"),
        ),
        wrong(
            "the published step taken for pre-norm",
            "as large as all before it together",
            """
            def input_share(n_layers, order):
                return 2.0**-n_layers if order == "post-norm" else 1 / (1 + n_layers)
            """,
        ),
        right(
            "variances layer by layer",
            """
            def input_share(n_layers, order):
                mine, all_of_it = 1.0, 1.0
                for _ in range(n_layers):
                    if order == "published":
                        mine, all_of_it = mine / all_of_it, 1.0
                    all_of_it += 1.0
                    if order == "post-norm":
                        mine, all_of_it = mine / all_of_it, 1.0
                return mine / all_of_it
            """,
        ),
        right(
            "a table",
            """
            def input_share(n_layers, order):
                half = math.exp(-n_layers * math.log(2))
                table = {"pre-norm": (n_layers + 1) ** -1, "post-norm": half}
                return table.get(order, half)
            """,
        ),
    ],
    "apart": [
        wrong(
            "the mean over features",
            "not over features",
            APART.format("1", "mean.expand_as(x).norm()"),
        ),
        wrong(
            "the mean token once",
            "once in each row",
            APART.format("0", "mean.norm()"),
        ),
        wrong("divided by x", "the mean, not x", APART.format("0", "x.norm()")),
        wrong(
            "squares",
            "the root is missing",
            """
            def apart(x):
                mean = x.mean(0)
                return (x - mean).square().sum() / (len(x) * mean.square().sum())
            """,
        ),
        wrong(
            "the mean of all numbers",
            "not the mean token",
            """
            def apart(x):
                mean = x.mean()
                return (x - mean).norm() / mean.expand_as(x).norm()
            """,
        ),
        right(
            "as a product",
            """
            def apart(x):
                ones = torch.ones(len(x), len(x), dtype=x.dtype) / len(x)
                mean = ones @ x
                return torch.linalg.norm(x - mean) / torch.linalg.norm(mean)
            """,
        ),
        right(
            "from the variance",
            """
            def apart(x):
                spread = x.var(0, correction=0).sum()
                return math.sqrt(spread / x.mean(0).square().sum())
            """,
        ),
    ],
    "layers_needed": [
        wrong(
            "the sum makes no difference",
            "the number without the sum",
            LAYERS.format("left > factor", "1 - a"),
        ),
        wrong(
            "the sum everywhere",
            "the number with the sum",
            LAYERS.format("left > factor", "1 - a / 2"),
        ),
        wrong(
            "one too few",
            "one layer too few",
            LAYERS.format(
                "left * (1 - a / 2 if residual else 1 - a) > factor",
                "1 - a / 2 if residual else 1 - a",
            ),
        ),
        wrong(
            "with the sum never",
            "but the mean token doubles",
            """
            def layers_needed(a, factor, residual):
                if residual:
                    return math.inf
                return 1 if a == 1 else math.ceil(math.log(factor) / math.log(1 - a))
            """,
        ),
        wrong(
            "x itself forgotten in the distances",
            "the distances are more than those of AX",
            LAYERS.format("left > factor", "(1 - a) / 2 if residual else 1 - a"),
        ),
        wrong(
            "shrinks by a",
            "not by a",
            """
            def layers_needed(a, factor, residual):
                shrink = 1 - a / 2 if residual else a
                if shrink == 1:
                    return 1
                return math.ceil(math.log(factor) / math.log(shrink))
            """,
        ),
        right(
            "logarithms",
            """
            def layers_needed(a, factor, residual):
                shrink = 1 - (a / 2 if residual else a)
                if shrink == 0:
                    return 1
                return math.ceil(math.log(factor) / math.log(shrink))
            """,
        ),
        right(
            "by doing it",
            """
            def layers_needed(a, factor, residual):
                x = torch.tensor([[1.0], [3.0]], dtype=torch.float64)
                weights = torch.full((2, 2), a / 2, dtype=torch.float64)
                weights += (1 - a) * torch.eye(2)
                layers, start = 0, 0.5
                while (x[1] - x[0]) / (x[1] + x[0]) > factor * start:
                    x = x + weights @ x if residual else weights @ x
                    layers += 1
                return layers
            """,
        ),
        wrong(
            "rounded down, and one more",
            "one layer too many",
            """
            def layers_needed(a, factor, residual):
                shrink = 1 - a / 2 if residual else 1 - a
                if shrink == 0:
                    return 1
                return math.floor(math.log(factor) / math.log(shrink)) + 1
            """,
        ),
    ],
}

_NEAREST = "the nearest of the four is the same one"
_COLUMN = "the number that is read has the same row and column"
_APART = "another second token, also far from the first two"

EQUIVALENT = {
    "std_after": {
        'if order <= "no norm":': "the other names come later in the alphabet",
        'if order >= "pre-norm":': "post-norm comes before it in the alphabet",
        "return rounded(1.0)": "it is whole",
    },
    "faults": {
        "tokens = torch.tensor([[-1.0, 1.0], [2.0, -1.0]])": _COLUMN,
        "tokens = torch.tensor([[-1.0, 1.0], [0.0, -1.0]])": _COLUMN,
        "results = {…**-0.45…": _NEAREST,
        'results = {…("eps",): 0.45, …': _NEAREST,
        "results[…] = 1 / (3**0.5 + 1)": _NEAREST,
        "results[…] = 1 / (2 + 1)": _NEAREST,
        "results[…] = 1 / (2**1.0 + 1)": _NEAREST,
        "results[…] = 1 / (2**0.45 + 1)": _NEAREST,
        "found += … abs(value - results[names]))": "a distance has no sign",
        "other = torch.tensor([[-1.0, 1.0]])": "a token alone: none changes it",
        "other = torch.tensor([[-1.0, 1.0], [3.0, 5.0]])": _APART,
        "other = torch.tensor([[-1.0, 1.0], [6.0, 3.0]])": _APART,
        "other = torch.tensor([[-1.0, 1.0], [4.0, 3.0]])": _APART,
        "other = torch.tensor([[-1.0, 1.0], [5.0, 4.0]])": _APART,
        "other = torch.tensor([[-1.0, 1.0], [5.0, 2.0]])": _APART,
        "if not torch.allclose(norm(other, …": "either of the two may come first",
    },
    "apart": {
        "mean = x.mean(0)": "a row is as good as a table of one row",
        "mean = x.mean(0, keepdim=False)": "a row is as good as a table of one row",
        "return ((mean - x).norm() / …": "a distance has no sign",
    },
}
