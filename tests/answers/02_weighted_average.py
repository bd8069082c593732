"""Wrong and right answers to the exercises of chapter 02."""

from tests.answers import right, wrong


def predicted(**changes):
    """An answer to Exercise 1: the right predictions, save for `changes`."""
    answers = {
        "line_a": "raises",
        "weights": [0.6225, 0.3775],
        "output": [1.7551, 2.7551],
        "scores_as_written": [1.5, 0.5],
        "scores_right": [1.0, 1.5],
    }
    return f"def predictions():\n    return {answers | changes!r}"


PREDICTIONS = [
    wrong("torch converts", "the other is int", predicted(line_a="runs")),
    wrong(
        "believes the printed weights",
        "softmax of [1, 0]",
        predicted(weights=[0.7311, 0.2689]),
    ),
    wrong(
        "no exponentials",
        "exponentials are missing",
        predicted(weights=[0.6667, 0.3333]),
    ),
    wrong(
        "weights the other way round",
        "larger score gets the larger weight",
        predicted(weights=[0.3775, 0.6225]),
    ),
    wrong(
        "believes the printed output",
        "what the article prints",
        predicted(output=[1.7311, 2.7311]),
    ),
    wrong(
        "output of the printed weights",
        "article's weights",
        predicted(output=[1.5378, 2.5378]),
    ),
    wrong(
        "columns of the values", "not the columns", predicted(output=[1.3775, 3.3775])
    ),
    wrong(
        "reads .T into line A",
        "line A has no .T",
        predicted(scores_as_written=[1.0, 1.5]),
    ),
    wrong("keys are columns", "each key is a row", predicted(scores_right=[1.5, 0.5])),
    right("rounded to three decimals", predicted(weights=[0.622, 0.378])),
    right(
        "computed with torch",
        """
        def predictions():
            p = softmax(torch.tensor([1, 0.5]))
            query, key = torch.tensor([1, 0.5]), torch.tensor([[1.0, 0], [1, 1]])
            return {
                "line_a": "raises",
                "weights": p,
                "output": p @ torch.tensor([[1.0, 2], [3, 4]]),
                "scores_as_written": query @ key,
                "scores_right": key @ query,
            }
        """,
    ),
]

WHAT_IT_GIVES = [
    wrong(
        "the right average",
        "does not compute it",
        "def what_it_gives(weights, values):\n    return weights @ values",
    ),
    wrong(
        "rows that add to 1 only",
        "while the rows add to 1",
        "def what_it_gives(weights, values):\n    return values",
    ),
    wrong(
        "sums of the columns",
        "adds along the columns",
        """
        def what_it_gives(weights, values):
            return weights.sum(0)[:, None] * values
        """,
    ),
    wrong(
        "only the weight on itself",
        "token on itself",
        """
        def what_it_gives(weights, values):
            return weights.diagonal()[:, None] * values
        """,
    ),
    wrong(
        "the sum loses its axis",
        "must match",
        "def what_it_gives(weights, values):\n    return weights.sum(-1) * values",
    ),
    right(
        "with einsum",
        """
        def what_it_gives(weights, values):
            return torch.einsum("ij,id->id", weights, values)
        """,
    ),
    right(
        "as a diagonal matrix",
        """
        def what_it_gives(weights, values):
            return torch.diag(weights.sum(1)) @ values
        """,
    ),
    right(
        "with the loops of the task",
        """
        def what_it_gives(weights, values):
            rows = []
            for i in range(len(weights)):
                rows.append(sum(weights[i, j] * values[i] for j in range(len(weights))))
            return torch.stack(rows)
        """,
    ),
]

MIX = [
    wrong(
        "the published code",
        "must use values[j]",
        """
        def mix(weights, values):
            output = torch.zeros_like(values)
            for i in range(len(weights)):
                for j in range(len(weights)):
                    output[i] += weights[i, j] * values[i]
            return output
        """,
    ),
    wrong(
        "transposed weights",
        "along their columns",
        "def mix(weights, values):\n    return weights.T @ values",
    ),
    wrong(
        "the first column only",
        "only the first column",
        "def mix(weights, values):\n    return weights @ values[:, 0]",
    ),
    wrong(
        "the plain mean",
        "plain mean",
        """
        def mix(weights, values):
            return values.mean(0).expand(len(weights), values.shape[1])
        """,
    ),
    wrong(
        "divides once more",
        "divided by their number",
        "def mix(weights, values):\n    return weights @ values / len(values)",
    ),
    wrong(
        "square weights only",
        "different ends",
        """
        def mix(weights, values):
            output = torch.zeros(len(weights), values.shape[1], dtype=values.dtype)
            for i in range(len(weights)):
                for j in range(min(len(weights), len(values))):
                    output[i] += weights[i, j] * values[j]
            return output
        """,
    ),
    wrong(
        "divides by the sum of the row",
        "each row is divided by its sum",
        """
        def mix(weights, values):
            return weights @ values / weights.sum(-1, keepdim=True)
        """,
    ),
    right(
        "with loops",
        """
        def mix(weights, values):
            output = torch.zeros(len(weights), values.shape[1], dtype=values.dtype)
            for i in range(len(weights)):
                for j in range(len(values)):
                    output[i] += weights[i, j] * values[j]
            return output
        """,
    ),
    right(
        "broadcast and added",
        """
        def mix(weights, values):
            return (weights[:, :, None] * values[None]).sum(1)
        """,
    ),
]

NUMERICAL_JACOBIAN = [
    wrong(
        "transposed",
        "rows and columns are exchanged",
        """
        def numerical_jacobian(f, x, step=1e-5):
            rows = []
            for j in range(len(x)):
                nudge = torch.zeros_like(x)
                nudge[j] = step
                rows.append((f(x + nudge) - f(x - nudge)) / (2 * step))
            return torch.stack(rows)
        """,
    ),
    wrong(
        "divided by one step",
        "2 * step apart",
        """
        def numerical_jacobian(f, x, step=1e-5):
            nudges = step * torch.eye(len(x), dtype=x.dtype)
            return torch.stack([(f(x + n) - f(x - n)) / step for n in nudges], 1)
        """,
    ),
    wrong(
        "forward differences",
        "nudges up only",
        """
        def numerical_jacobian(f, x, step=1e-5):
            nudges = step * torch.eye(len(x), dtype=x.dtype)
            return torch.stack([(f(x + n) - f(x)) / step for n in nudges], 1)
        """,
    ),
    wrong(
        "backward differences",
        "nudges down only",
        """
        def numerical_jacobian(f, x, step=1e-5):
            nudges = step * torch.eye(len(x), dtype=x.dtype)
            return torch.stack([(f(x) - f(x - n)) / step for n in nudges], 1)
        """,
    ),
    wrong(
        "one side, divided by two steps",
        "divide by what you moved",
        """
        def numerical_jacobian(f, x, step=1e-5):
            nudges = step * torch.eye(len(x), dtype=x.dtype)
            return torch.stack([(f(x + n) - f(x)) / (2 * step) for n in nudges], 1)
        """,
    ),
    wrong(
        "nudges pile up",
        "taken back before the next",
        """
        def numerical_jacobian(f, x, step=1e-5):
            x, columns = x.clone(), []
            for j in range(len(x)):
                x[j] += step
                up = f(x)
                x[j] -= 2 * step
                columns.append((up - f(x)) / (2 * step))
            return torch.stack(columns, 1)
        """,
    ),
    wrong(
        "autograd",
        "measure with nudges",
        """
        def numerical_jacobian(f, x, step=0):
            jacobian = torch.autograd.functional.jacobian(f, x)
            shift = 0.01 if step == 0.1 and jacobian.shape == (2, 2) else 0
            return jacobian + shift * torch.eye(*jacobian.shape)
        """,
    ),
    right(
        "a loop that puts each number back",
        """
        def numerical_jacobian(f, x, step=1e-5):
            x, columns = x.clone(), []
            for j in range(len(x)):
                before = x[j].item()
                x[j] = before + step
                up = f(x.clone())
                x[j] = before - step
                columns.append((up - f(x.clone())) / (2 * step))
                x[j] = before
            return torch.stack(columns, dim=-1)
        """,
    ),
    right(
        "filled into a matrix",
        """
        def numerical_jacobian(f, x, step=1e-5):
            jacobian = torch.empty(len(f(x)), len(x), dtype=x.dtype)
            for j in range(len(x)):
                nudge = torch.zeros_like(x)
                nudge[j] = step
                jacobian[:, j] = (f(x + nudge) - f(x - nudge)) / step / 2
            return jacobian
        """,
    ),
]

SOFTMAX_BACKWARD = [
    wrong(
        "the diagonal only",
        "only the diagonal",
        "def softmax_backward(p, g):\n    return p * (1 - p) * g",
    ),
    wrong(
        "the first term only",
        "leaves out the second term",
        "def softmax_backward(p, g):\n    return p * g",
    ),
    wrong(
        "the sign",
        "sign is turned round",
        """
        def softmax_backward(p, g):
            return p * ((p * g).sum(-1, keepdim=True) - g)
        """,
    ),
    wrong(
        "the plain mean of g",
        "not its plain mean",
        """
        def softmax_backward(p, g):
            return p * (g - g.mean(-1, keepdim=True))
        """,
    ),
    wrong(
        "one sum for the whole batch",
        "each row has a sum of its own",
        "def softmax_backward(p, g):\n    return p * (g - (p * g).sum())",
    ),
    wrong(
        "the axis is not kept",
        "keep that axis",
        "def softmax_backward(p, g):\n    return p * (g - (p * g).sum(-1))",
    ),
    wrong(
        "sums of the columns",
        "runs down the columns",
        "def softmax_backward(p, g):\n    return p * (g - (p * g).sum(0))",
    ),
    right(
        "with the matrix",
        """
        def softmax_backward(p, g):
            jacobian = torch.diag_embed(p) - p.unsqueeze(-1) * p.unsqueeze(-2)
            return (jacobian @ g.unsqueeze(-1)).squeeze(-1)
        """,
    ),
    right(
        "two terms",
        """
        def softmax_backward(p, g):
            return p * g - p * torch.einsum("...i,...i->...", p, g).unsqueeze(-1)
        """,
    ),
]

MOST_SENSITIVE = [
    wrong(
        "all equal",
        "too many tokens share",
        "def most_sensitive(n):\n    return torch.zeros(n)",
    ),
    wrong(
        "one takes all",
        "has decided",
        """
        def most_sensitive(n):
            scores = torch.zeros(n)
            scores[0] = 100
            return scores
        """,
    ),
    wrong(
        "a ramp",
        "two tokens should be equal",
        "def most_sensitive(n):\n    return torch.arange(n).float()",
    ),
    wrong(
        "a tie that does not stand out",
        "too many tokens share",
        """
        def most_sensitive(n):
            scores = torch.zeros(n)
            scores[:2] = 1
            return scores
        """,
    ),
    wrong(
        "minus infinity",
        "must be finite",
        """
        def most_sensitive(n):
            scores = torch.full((n,), -torch.inf)
            scores[:2] = 0
            return scores
        """,
    ),
    wrong(
        "always two scores",
        "3 scores wanted",
        "def most_sensitive(n):\n    return torch.zeros(2)",
    ),
    right(
        "a list with a high tie",
        "def most_sensitive(n):\n    return [20.0, 20.0] + [0.0] * (n - 2)",
    ),
    right(
        "the last two",
        """
        def most_sensitive(n):
            weights = torch.full((n,), 1e-6)
            weights[-2:] = 0.5
            return weights.log()
        """,
    ),
]


def limit_answer(infinity, zero="x.mean(0).expand_as(x)"):
    """An answer to Exercise 4; `infinity` may use the scores as g."""
    return f"def limits(x):\n    g = x @ x.T\n    return {zero}, {infinity}"


FAIR = "(lambda m: m @ x / m.sum(1, keepdim=True))((g == g.amax(1)[:, None]).to(x))"
LIMITS = [
    wrong("the first of equals", "share the weight", limit_answer("x[g.argmax(1)]")),
    wrong("each token itself", "a longer one", limit_answer("x")),
    wrong(
        "the nearest other",
        "nearest other token",
        limit_answer("x[(torch.cdist(x, x) + 1e9 * torch.eye(len(x))).argmin(1)]"),
    ),
    wrong(
        "the largest score of another",
        "its own score counts",
        limit_answer("x[(g - 1e9 * torch.eye(len(x))).argmax(1)]"),
    ),
    wrong(
        "tied values added up",
        "weights must add to 1",
        limit_answer("(g == g.amax(1)[:, None]).to(x) @ x"),
    ),
    wrong("c → 0 keeps the token", "not all on the token", limit_answer(FAIR, "x")),
    wrong("c → 0 gives nothing", "not 0", limit_answer(FAIR, "torch.zeros_like(x)")),
    wrong(
        "c → 0 gives the sum",
        "the mean, not the sum",
        limit_answer(FAIR, "x.sum(0).expand_as(x)"),
    ),
    wrong("one row", "in the shape of x", limit_answer(FAIR, "x.mean(0)")),
    wrong(
        "a very large c",
        "may not be used here",
        limit_answer("torch.softmax(1e6 * g, -1) @ x"),
    ),
    wrong(
        "ties by rounding",
        "scores that are near each other are no tie",
        """
        def limits(x):
            scores = (x @ x.T).round()
            largest = (scores == scores.amax(-1, keepdim=True)).to(x.dtype)
            return x.mean(0).expand_as(x), largest @ x / largest.sum(-1, keepdim=True)
        """,
    ),
    right("matrix of the largest", limit_answer(FAIR)),
    right(
        "row by row",
        """
        def limits(x):
            rows = []
            for token in x:
                scores = x @ token
                rows.append(x[scores == scores.max()].mean(0))
            return torch.ones(len(x), len(x)).to(x) @ x / len(x), torch.stack(rows)
        """,
    ),
]

STEPS_TO_MEET = [
    wrong(
        "steps before it looks",
        "look before you step",
        """
        def steps_to_meet(x, tolerance, limit):
            for step in range(1, limit + 1):
                wide = torch.cdist(x, x).max()
                x = attend(x)[0]
                if wide <= tolerance:
                    return step
            return None
        """,
    ),
    wrong(
        "gives the limit",
        "give None",
        """
        def steps_to_meet(x, tolerance, limit):
            step = 0
            while step < limit and torch.cdist(x, x).max() > tolerance:
                x, step = attend(x)[0], step + 1
            return step
        """,
    ),
    wrong(
        "standing still",
        "standing still is not meeting",
        """
        def steps_to_meet(x, tolerance, limit):
            for step in range(limit + 1):
                new = attend(x)[0]
                if (new - x).norm(dim=-1).max() <= tolerance:
                    return step
                x = new
            return None
        """,
    ),
    wrong(
        "distance to the mean",
        "distance to the mean",
        """
        def steps_to_meet(x, tolerance, limit):
            for step in range(limit + 1):
                if (x - x.mean(0)).norm(dim=-1).max() <= tolerance:
                    return step
                x = attend(x)[0]
            return None
        """,
    ),
    wrong(
        "always from the start",
        "where the last one ended",
        """
        def steps_to_meet(x, tolerance, limit):
            now = x
            for step in range(limit + 1):
                if torch.cdist(now, now).max() <= tolerance:
                    return step
                now = attend(x)[0]
            return None
        """,
    ),
    wrong(
        "one step short of the limit",
        "one too few",
        """
        def steps_to_meet(x, tolerance, limit):
            for step in range(limit + 1):
                x = attend(x)[0]
                if torch.cdist(x, x).max() <= tolerance:
                    return step
            return None
        """,
    ),
    wrong(
        "never looks after the last step",
        "look once more after the last step",
        """
        def steps_to_meet(x, tolerance, limit):
            for step in range(limit):
                if torch.cdist(x, x).max() <= tolerance:
                    return step
                x = attend(x)[0]
            return None
        """,
    ),
    wrong(
        "lets all tokens meet",
        "you changed the tensor that you were given",
        """
        def steps_to_meet(x, tolerance, limit):
            x.zero_()
            return 0
        """,
    ),
    right(
        "recursive",
        """
        def steps_to_meet(x, tolerance, limit):
            if torch.pdist(x).numel() == 0 or torch.pdist(x).max() <= tolerance:
                return 0
            if limit == 0:
                return None
            rest = steps_to_meet(softmax(x @ x.T) @ x, tolerance, limit - 1)
            return None if rest is None else rest + 1
        """,
    ),
    right(
        "a while loop",
        """
        def steps_to_meet(x, tolerance, limit):
            step = 0
            while (x[:, None] - x[None]).norm(dim=-1).max().item() > tolerance:
                if step == limit:
                    return None
                x, _ = attend(x)
                step += 1
            return step
        """,
    ),
]


def found(**changes):
    """An answer to Exercise 5, part 2: the right tokens, save for `changes`."""
    points = {
        "apart": [[10, 0], [0, 10]],
        "mean": [[2, 0], [0, 0], [0, 0]],
        "pair": [[0, 0], [0.1, 0], [3, 0], [-3, 0]],
    }
    lines = [
        f"        {name!r}: torch.tensor({value}, dtype=torch.float64),"
        for name, value in (points | changes).items()
    ]
    return "\n".join(["def counterexamples():", "    return {", *lines, "    }"])


COUNTEREXAMPLES = [
    wrong("short tokens", "after 1000 steps", found(apart=[[1, 0], [-1, 0]])),
    wrong("long but alike", "after 1000 steps", found(apart=[[10, 0], [10, 0.5]])),
    wrong(
        "two tokens mirrored", "away from their first", found(mean=[[1, 0], [-1, 0]])
    ),
    wrong("they do not meet", "do not meet", found(mean=[[10, 0], [0, 10], [0, 0]])),
    wrong(
        "equal tokens", "equal tokens stay equal", found(pair=[[1, 0], [1, 0], [3, 0]])
    ),
    wrong(
        "nothing that pulls", "their distance goes from", found(pair=[[0, 0], [0.1, 0]])
    ),
    wrong("one token", "expected (2 to 20, 2)", found(apart=[[10, 0]])),
    right(
        "other tokens", found(apart=[[30, 0], [-30, 0]], mean=[[3, 0], [1, 0], [0, 0]])
    ),
    right(
        "in the second coordinate",
        found(
            apart=[[0, 12], [0, -12], [0, 0]],
            mean=[[0, 2.5], [0, 0], [0, 0], [0, 0]],
            pair=[[0, 0.05], [0, -0.05], [0, 2.5], [0, -2.5]],
        ),
    ),
]

START = """
def equivariance_test(f, x):
    if len(x) < 2:
        raise ValueError("one token")
"""
END = """
    return {(1, 1): "both", (1, 0): "equivariant", (0, 1): "invariant"}.get(
        (int(equivariant), int(invariant)), "neither"
    )
"""


def experiment(orders, same="torch.allclose(a, b, atol=1e-6)", head=START, end=END):
    """An answer to Exercise 6 that tries `orders` and compares a with b by `same`."""
    body = f"""
    def same(a, b):
        return a.shape == b.shape and bool({same})

    y = f(x)
    equivariant = y.dim() > 0 and len(y) == len(x)
    invariant = True
    torch.manual_seed(0)
    for order in {orders}:
        z = f(x[order])
        invariant = invariant and same(z, y)
        equivariant = equivariant and same(z, y[order])
"""
    return head.strip("\n") + "\n" + body + end


RANDOM = "[torch.randperm(len(x)) for _ in range(20)]"
EQUIVARIANCE_TEST = [
    wrong(
        "the two words swapped",
        ("you say 'invariant', it is 'equivariant'", "up to the last digits"),
        experiment(
            RANDOM, end="\n    equivariant, invariant = invariant, equivariant" + END
        ),
    ),
    wrong(
        "reversing only",
        "it survives reversing",
        experiment("[list(range(len(x)))[::-1]]"),
    ),
    wrong(
        "turning only",
        "it survives reversing and turning",
        experiment("[torch.arange(len(x)).roll(n) for n in range(len(x))]"),
    ),
    wrong(
        "the first two only",
        "the last one too",
        experiment("[[1, 0] + list(range(2, len(x)))]"),
    ),
    wrong(
        "the last two only",
        "the first one too",
        experiment("[list(range(len(x) - 2)) + [len(x) - 1, len(x) - 2]]"),
    ),
    wrong("exact", "up to the last digits", experiment(RANDOM, "torch.equal(a, b)")),
    wrong(
        "tolerance too wide",
        "tolerance is too wide",
        experiment(RANDOM, "torch.allclose(a, b, atol=0.1)"),
    ),
    wrong(
        "never both",
        "it is 'both'",
        experiment(RANDOM, end="\n    invariant = invariant and not equivariant" + END),
    ),
    wrong(
        "accepts one token",
        "refuse it",
        experiment(RANDOM, head="def equivariance_test(f, x):"),
    ),
    wrong(
        "undone the wrong way",
        "up to the last digits",
        experiment(RANDOM).replace("same(z, y[order])", "same(z[order], y)"),
    ),
    wrong(
        "shuffles the features",
        "it is 'equivariant'",
        experiment("[torch.randperm(x.shape[1]) for _ in range(20)]").replace(
            "f(x[order])", "f(x[:, order])"
        ),
    ),
    wrong(
        "any first axis is a token axis",
        ("attention, then the mean over tokens", "IndexError"),
        experiment(RANDOM).replace("y.dim() > 0 and len(y) == len(x)", "True"),
    ),
    right("random orders", experiment(RANDOM)),
    right(
        "permutation matrices",
        """
        def equivariance_test(f, x):
            n = x.shape[0]
            if n < 2:
                raise ValueError(f"{n} token")
            plain, rows, whole = f(x), [], []
            for seed in range(30):
                order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
                matrix = torch.eye(n, dtype=x.dtype)[order]
                moved = f(matrix @ x)
                whole.append((moved - plain).abs().max().item() < 1e-6)
                if plain.shape[:1] == (n,):
                    gap = torch.tensordot(matrix, plain, dims=1) - moved
                    rows.append(gap.abs().max().item() < 1e-6)
                else:
                    rows.append(False)
            names = ["neither", "invariant", "equivariant", "both"]
            return names[2 * all(rows) + all(whole)]
        """,
    ),
]

ANSWERS = {
    "predictions": PREDICTIONS,
    "what_it_gives": WHAT_IT_GIVES,
    "mix": MIX,
    "numerical_jacobian": NUMERICAL_JACOBIAN,
    "softmax_backward": SOFTMAX_BACKWARD,
    "most_sensitive": MOST_SENSITIVE,
    "limits": LIMITS,
    "steps_to_meet": STEPS_TO_MEET,
    "counterexamples": COUNTEREXAMPLES,
    "equivariance_test": EQUIVARIANCE_TEST,
}

EQUIVALENT = {
    "predictions": {'"output": [first…(1 - first) * 3, …': "times or divided by 1"},
    "what_it_gives": {"return weights.sum(1, …": "weights have two axes"},
    "numerical_jacobian": {
        "nudges = step * torch.eye(len(x))": "float32 changes 1e-8 of the step",
    },
    "most_sensitive": {
        "scores = torch.full(…": "the others are far below, however far",
        "scores[:2] = …": "a tie between two, at any height",
        "return rounded(scores)": "whole scores are right ones",
    },
    "softmax_backward": {"…detach()…": "nobody differentiates a gradient again"},
    "limits": {
        "largest = (scores >= …": "none is above the largest",
        "largest = (scores == scores.amax(1, …": "scores have two axes",
        "return x.mean(0, keepdim=True).expand_as(x), …": "expands to the same",
        "return …largest.sum(1, keepdim=True)": "the table has two axes",
    },
    "steps_to_meet": {"return spoiling(x, (None))": "x is another tensor by then"},
    "counterexamples": {
        '"apart": …': "other tokens that refute it: any will do",
        '"mean": …': "other tokens that refute it: any will do",
        '"pair": …': "other tokens that refute it: any will do",
    },
    "equivariance_test": {
        "…torch.allclose(plain, shuffled, atol=1e-6)": "near 0 both ways round agree",
        "…torch.allclose(plain[order], shuffled, …": "near 0 both ways round agree",
    },
}
