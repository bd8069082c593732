"""Wrong and right answers to the exercises of chapter 04."""

from tests.answers import right, wrong

MOMENTS = [
    wrong(
        "as if the mean were 0",
        "μ²σ² is missing",
        """
        def moments(d, mean, std):
            return d * mean**2, d * std**4
        """,
    ),
    wrong(
        "one mean term",
        "comes twice",
        """
        def moments(d, mean, std):
            return d * mean**2, d * (std**4 + mean**2 * std**2)
        """,
    ),
    wrong(
        "standard deviation",
        "standard deviation, not the variance",
        """
        def moments(d, mean, std):
            return d * mean**2, math.sqrt(d * (std**4 + 2 * mean**2 * std**2))
        """,
    ),
    wrong(
        "second moment",
        "square of the mean has to come off",
        """
        def moments(d, mean, std):
            return d * mean**2, d * (std**2 + mean**2) ** 2
        """,
    ),
    wrong(
        "adds standard deviations",
        "variances of independent terms add",
        """
        def moments(d, mean, std):
            return d * mean**2, d**2 * (std**4 + 2 * mean**2 * std**2)
        """,
    ),
    wrong(
        "forgets the return",
        "`return` missing",
        """
        def moments(d, mean, std):
            mean, variance = d * mean**2, d * (std**4 + 2 * mean**2 * std**2)
        """,
    ),
    right(
        "from E[z²] − E[z]²",
        """
        def moments(d, mean, std):
            second = (std**2 + mean**2) ** 2
            return d * mean**2, d * (second - mean**4)
        """,
    ),
    right(
        "as a tensor",
        """
        def moments(d, mean, std):
            m, v = torch.tensor(mean, dtype=torch.float64), float(std) ** 2
            return torch.stack([d * m * m, d * v * (v + 2 * m * m)])
        """,
    ),
]

SELF_MOMENTS = [
    wrong(
        "two independent vectors",
        "moments of two independent vectors",
        """
        def self_moments(d, std):
            return 0, d * std**4
        """,
    ),
    wrong(
        "mean 0",
        "not 0 on average",
        """
        def self_moments(d, std):
            return 0, 2 * d * std**4
        """,
    ),
    wrong(
        "fourth moment alone",
        "square of the mean has to come off",
        """
        def self_moments(d, std):
            return d * std**2, 3 * d * std**4
        """,
    ),
    wrong(
        "variance of independent vectors",
        "here q and k are the same",
        """
        def self_moments(d, std):
            return d * std**2, d * std**4
        """,
    ),
    wrong(
        "std is the variance",
        "σ, not σ²",
        """
        def self_moments(d, std):
            return d * std, 2 * d * std**2
        """,
    ),
    right(
        "from the fourth moment",
        """
        def self_moments(d, std):
            fourth, second = 3 * std**4, std**2
            return [d * second, d * (fourth - second**2)]
        """,
    ),
    right(
        "a scaled chi-square",
        """
        def self_moments(d, std):
            chi_mean, chi_variance = d, 2 * d
            return std**2 * chi_mean, (std**2) ** 2 * chi_variance
        """,
    ),
]

PUBLISHED_SCORES = [
    wrong(
        "the table of tokens",
        "this is QKᵀ",
        """
        def published_scores(time, d):
            return time, time, d
        """,
    ),
    wrong(
        "the variance of QKᵀ",
        "runs over the tokens",
        """
        def published_scores(time, d):
            return d, d, d
        """,
    ),
    wrong(
        "the shape of QKᵀ",
        "the shape is that of QKᵀ",
        """
        def published_scores(time, d):
            return time, time, time
        """,
    ),
    wrong(
        "standard deviation",
        "standard deviation, not the variance",
        """
        def published_scores(time, d):
            return d, d, math.sqrt(time)
        """,
    ),
    right(
        "from the shapes of the product",
        """
        def published_scores(time, d):
            q = torch.empty(time, d)
            return [*(q.T @ q).shape, q.shape[0]]
        """,
    ),
    right(
        "as a tensor",
        """
        def published_scores(time, d):
            return torch.tensor([d, d, time])
        """,
    ),
]


def predicted(one, root_head, root_model, head):
    """The code of a prediction in the order 1, √d_k, √d_model, d_k."""
    return (
        f"def prediction():\n    return {{'1': {one}, 'sqrt(d_k)': {root_head},"
        f" 'sqrt(d_model)': {root_model}, 'd_k': {head}}}"
    )


PREDICTION = [
    wrong(
        "a larger divisor is sharper",
        "softmax picks one key",
        predicted(2.77, 2.76, 2.36, 0.29),
    ),
    wrong(
        "√d_model is the right scale",
        "softer than the right scale",
        predicted(0.29, 2.76, 2.36, 2.77),
    ),
    wrong(
        "d_k is less than √d_model",
        "d_k = 4096/32 = 128",
        predicted(0.29, 2.36, 2.77, 2.76),
    ),
    wrong(
        "no scale is soft",
        "standard deviation of √128",
        predicted(2.36, 0.29, 2.76, 2.77),
    ),
    wrong(
        "leaves one out",
        "KeyError: 'd_k'",
        """
        def prediction():
            return {"1": 0.29, "sqrt(d_k)": 2.36, "sqrt(d_model)": 2.76}
        """,
    ),
    right(
        "sorted by divisor",
        """
        def prediction():
            divisors = {"1": 1, "sqrt(d_k)": 128**0.5, "sqrt(d_model)": 64, "d_k": 128}
            order = sorted(divisors, key=divisors.get)
            return dict(zip(order, sorted([2.77, 0.29, 2.36, 2.76])))
        """,
    ),
    right(
        "one by one",
        """
        def prediction():
            entropy = dict.fromkeys(["1", "sqrt(d_k)", "sqrt(d_model)", "d_k"], 2.77)
            entropy["1"], entropy["sqrt(d_k)"] = 0.29, 2.36
            entropy["sqrt(d_model)"] = 2.76
            return entropy
        """,
    ),
]


def gradient(
    back="weights * (g - (weights * g).sum(-1, keepdim=True))", first="", last=""
):
    """A query_gradient with given divisions before softmax and at the end."""
    return (
        "def query_gradient(q, k, v, upstream):\n"
        "    scale = q.shape[-1] ** 0.5\n"
        f"    weights = softmax(q @ k.T{first})\n"
        "    g = upstream @ v.T\n"
        f"    return ({back}) @ k{last}"
    )


BOTH = {"first": " / scale", "last": " / scale"}

QUERY_GRADIENT = [
    wrong("no scale on the way back", "on the way back", gradient(first=" / scale")),
    wrong(
        "scale twice on the way back",
        "once on the way back",
        gradient(first=" / scale", last=" / scale**2"),
    ),
    wrong(
        "diagonal of the Jacobian",
        "only the diagonal",
        gradient("weights * (1 - weights) * g", **BOTH),
    ),
    wrong("no −p pᵀ", "−p pᵀ", gradient("weights * g", **BOTH)),
    wrong("no Jacobian", "Jacobian is missing", gradient("g", **BOTH)),
    wrong(
        "plain mean",
        "not the plain mean",
        gradient("weights * (g - g.mean(-1, keepdim=True))", **BOTH),
    ),
    wrong("no scale at all", "forward or back", gradient()),
    wrong("no scale forward", "were not divided by √d_k", gradient(last=" / scale")),
    wrong(
        "asks autograd",
        "may not be used here",
        """
        def query_gradient(q, k, v, upstream):
            q = q.clone().requires_grad_()
            output, _ = scaled_dot_product_attention(q, k, v)
            return torch.autograd.grad(output, q, upstream)[0]
        """,
    ),
    wrong(
        "asks autograd by backward",
        "may not be used here",
        """
        def query_gradient(q, k, v, upstream):
            q = q.clone().requires_grad_()
            scaled_dot_product_attention(q, k, v)[0].backward(upstream)
            return q.grad
        """,
    ),
    wrong(
        "asks autograd by a Jacobian",
        "may not be used here",
        """
        def query_gradient(q, k, v, upstream):
            def f(q):
                return scaled_dot_product_attention(q, k, v)[0]
            return torch.autograd.functional.vjp(f, q, upstream)[1]
        """,
    ),
    right(
        "the whole Jacobian",
        """
        def query_gradient(q, k, v, upstream):
            scale = math.sqrt(q.shape[1])
            p = torch.softmax(q @ k.T / scale, dim=-1)
            jacobian = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
            g = torch.einsum("nd,md->nm", upstream, v)
            return torch.einsum("nij,nj,id->nd", jacobian, g, k) / scale
        """,
    ),
    right(
        "from the output",
        """
        def query_gradient(q, k, v, upstream):
            output, p = scaled_dot_product_attention(q, k, v)
            mean = (upstream * output).sum(-1, keepdim=True)
            return (p * (upstream @ v.T - mean)) @ (k / q.shape[-1] ** 0.5)
        """,
    ),
    right(
        "a loop over the queries",
        """
        def query_gradient(q, k, v, upstream):
            rows = []
            for one, up in zip(q, upstream):
                p = torch.softmax(k @ one / len(one) ** 0.5, 0)
                g = v @ up
                centred = k - p @ k
                rows.append((p * g) @ centred / len(one) ** 0.5)
            return torch.stack(rows)
        """,
    ),
]


def said(**changes):
    """The code of verdicts, right save for `changes` (keys without their blanks)."""
    names = ["scores vanish", "scores explode", "keys explode", "values vanish"]
    truth = dict(zip(names, [True, False, True, False])) | {"d_k is as good": False}
    truth |= {name.replace("_", " "): value for name, value in changes.items()}
    if "as_good" in changes:
        truth["d_k is as good"] = truth.pop("as good")
    return f"def verdicts():\n    return {truth}"


VERDICTS = [
    wrong("everything explodes", "Jacobian is bounded", said(scores_explode=True)),
    wrong("nothing explodes", "q gets longer with d_k", said(keys_explode=False)),
    wrong("everything vanishes", "adds to 1", said(values_vanish=True)),
    wrong("nothing vanishes", "softmax has decided", said(scores_vanish=False)),
    wrong("more is safer", "each divided by its own d_k", said(as_good=True)),
    wrong("words", "expected True or False", said(keys_explode="yes")),
    right("by hand", said()),
    right(
        "measured",
        """
        def verdicts():
            a, b = gradient_lengths(16, 1), gradient_lengths(1024, 1)
            c, d = gradient_lengths(16, 16)["q"], gradient_lengths(1024, 1024)["q"]
            top = lambda x: x.quantile(0.99)
            return {
                "scores vanish": a["scores"].median() > 100 * b["scores"].median(),
                "scores explode": top(b["scores"]) > 1.5 * top(a["scores"]),
                "keys explode": top(b["k"]) > 1.5 * top(a["k"]),
                "values vanish": a["v"].mean() > 2 * b["v"].mean(),
                "d_k is as good": c.median() < 2 * d.median(),
            }
        """,
    ),
]

DIVISOR_OF = [
    wrong(
        "the factor",
        "this is 1/divisor",
        """
        def divisor_of(attention, d_k):
            q, k = torch.zeros(1, d_k), torch.zeros(2, d_k)
            q[0, 0] = k[0, 0] = 1
            weights = attention(q, k, k)[1]
            return math.log(weights[0, 0] / weights[0, 1])
        """,
    ),
    wrong(
        "believes in √d_k",
        "measure what the function does",
        """
        def divisor_of(attention, d_k):
            return math.sqrt(d_k)
        """,
    ),
    wrong(
        "no logarithm",
        "take its logarithm",
        """
        def divisor_of(attention, d_k):
            q, k = torch.zeros(1, d_k), torch.zeros(2, d_k)
            q[0, 0] = k[0, 0] = 1
            weights = attention(q, k, k)[1]
            return weights[0, 0] / weights[0, 1]
        """,
    ),
    wrong(
        "squared",
        "square of the divisor",
        """
        def divisor_of(attention, d_k):
            q, k = torch.zeros(1, d_k), torch.zeros(2, d_k)
            q[0, 0] = k[0, 0] = 1
            weights = attention(q, k, k)[1]
            return math.log(weights[0, 0] / weights[0, 1]) ** -2
        """,
    ),
    wrong(
        "large random vectors",
        "ratio of two weights",
        """
        def divisor_of(attention, d_k):
            torch.manual_seed(0)
            q, k = 9 * torch.randn(1, d_k), 9 * torch.randn(2, d_k)
            weights = attention(q, k, k)[1]
            lead = q[0] @ (k[0] - k[1])
            return lead / torch.log(weights[0, 0] / weights[0, 1])
        """,
    ),
    right(
        "random vectors with a small lead",
        """
        def divisor_of(attention, d_k):
            torch.manual_seed(0)
            q = torch.randn(1, d_k, dtype=torch.float64) / d_k**0.5
            k = torch.randn(2, d_k, dtype=torch.float64)
            _, weights = attention(q, k, k)
            lead = q[0] @ (k[0] - k[1])
            return float(lead / (weights[0, 0].log() - weights[0, 1].log()))
        """,
    ),
    right(
        "from the logit of one weight",
        """
        def divisor_of(attention, d_k):
            q = torch.full((1, d_k), 1 / d_k)
            k = torch.stack([torch.ones(d_k), -torch.ones(d_k)])
            p = attention(q, k, k)[1][0, 0]
            return 2 / torch.logit(p)
        """,
    ),
]


def head(scores, after=""):
    """The code of a head with these scores."""
    return (
        "def head(x, w_q, w_k, w_v):\n"
        "    batch, time, channels = x.shape\n"
        "    q, k, v = x @ w_q, x @ w_k, x @ w_v\n"
        "    size = q.shape[-1]\n"
        f"    scores = {scores}\n"
        f"    return torch.softmax(scores, dim=-1) @ v{after}"
    )


HEAD = [
    wrong(
        "the code as it is",
        "width of the whole token",
        head("q @ k.transpose(-2, -1) * channels**-0.5"),
    ),
    wrong(
        "drops the scale",
        "not divided at all",
        head("q @ k.transpose(-2, -1)"),
    ),
    wrong(
        "multiplies",
        "multiplied by √head_size",
        head("q @ k.transpose(-2, -1) * size**0.5"),
    ),
    wrong("no root", "not by its root", head("q @ k.transpose(-2, -1) / size")),
    wrong("tokens", "number of tokens", head("q @ k.transpose(-2, -1) * time**-0.5")),
    wrong(
        "after softmax",
        "before softmax, not after",
        head("q @ k.transpose(-2, -1)", " * size**-0.5"),
    ),
    wrong(
        "batch mixed up",
        "RuntimeError",
        head("q @ k.T * size**-0.5"),
    ),
    right("size of the weights", head("q @ k.mT / math.sqrt(w_k.shape[1])")),
    right(
        "with the lesson's function",
        """
        def head(x, w_q, w_k, w_v):
            return scaled_dot_product_attention(x @ w_q, x @ w_k, x @ w_v)[0]
        """,
    ),
]


def bisection(
    low="1e-9",
    high="1e9",
    steps=200,
    t="scores / t",
    unit="1",
    rule="entropy(middle) < target",
    check="0 < target < most",
    middle="(low * high) ** 0.5",
    answer="middle",
):
    """The code of a bisection, with its parts to change."""
    return f"""
def temperature_for(scores, target):
    most = math.log(len(scores))
    if not ({check}):
        raise ValueError(f"target={{target}} is out of reach")
    scores = scores.double()

    def entropy(t):
        return torch.special.entr(torch.softmax({t}, -1)).sum().item() * {unit}

    low, high = {low}, {high}
    for _ in range({steps}):
        middle = {middle}
        if {rule}:
            low = middle
        else:
            high = middle
    return {answer}
"""


TEMPERATURE_FOR = [
    wrong(
        "half the wrong way", "which half", bisection(rule="entropy(middle) > target")
    ),
    wrong(
        "multiplies by t",
        "this is 1/t",
        bisection(t="scores * t", rule="entropy(middle) > target"),
    ),
    wrong(
        "entropy in bits",
        "in bits",
        bisection(unit="1.4426950408889634"),
    ),
    wrong(
        "a narrow range",
        "fit scores of any size",
        bisection(low="0.01", high="100"),
    ),
    wrong("ten steps", "go on halving", bisection("1e-2", "1e5", steps=9)),
    wrong(
        "any target goes",
        "more than ln 4",
        bisection(check="True"),
    ),
    wrong(
        "zero goes",
        "only the limit",
        bisection(check="0 <= target < most"),
    ),
    wrong(
        "a message without the number",
        "should contain '1.5'",
        bisection().replace("target={target} is out of reach", "out of reach"),
    ),
    right("in the logarithm of t", bisection()),
    right(
        "a range from the scores",
        bisection(
            "0.0", "float(scores.max() - scores.min()) * 1e6", middle="(low + high) / 2"
        ),
    ),
    right(
        "bisection of ln t after normalising",
        """
        def temperature_for(scores, target):
            if target <= 0 or target >= math.log(scores.numel()):
                raise ValueError(f"no temperature gives an entropy of {target}")
            wide = scores.double() / scores.double().std(correction=0)
            low, high = -30.0, 30.0
            for _ in range(100):
                x = (low + high) / 2
                p = (wide / math.exp(x)).softmax(0)
                short = -(p * p.clamp_min(1e-300).log()).sum() < target
                low, high = (x, high) if short else (low, x)
            return math.exp(x) * scores.double().std(correction=0)
        """,
    ),
]

ANSWERS = {
    "moments": MOMENTS,
    "self_moments": SELF_MOMENTS,
    "published_scores": PUBLISHED_SCORES,
    "prediction": PREDICTION,
    "query_gradient": QUERY_GRADIENT,
    "verdicts": VERDICTS,
    "divisor_of": DIVISOR_OF,
    "head": HEAD,
    "temperature_for": TEMPERATURE_FOR,
}

EQUIVALENT = {
    "query_gradient": {
        "….detach()…": "nobody differentiates through this gradient",
        "scale = math.sqrt(q.shape[1])": "q has two axes",
        "scale = math.sqrt(k.shape[-1])": "keys are as wide as queries",
        "mean = (weights * to_weights).sum(1, keepdim=True)": "there are two axes",
    },
    "divisor_of": {
        "q, k = torch.ones(1, d_k), torch.zeros(2, d_k)": "the scores are 1 and 0 too",
        "q, k = torch.zeros(2, d_k), torch.zeros(2, d_k)": "a second query, not read",
        "q, k = torch.zeros(1, d_k), torch.zeros(3, d_k)": "a third key, not read",
        "q[(-1), 0] = k[0, 0] = 1 # the scores are 1 and 0": "there is one query",
        "return 1 / math.log(…weights[(-1), …": "there is one query",
    },
    "temperature_for": {
        "low = high = 2.0": "the range grows from there as well",
        "while entropy(low) >= target:": "a range that is twice as wide",
        "while entropy(high) <= target:": "a range that is twice as wide",
        "low //= 2": "a range from 0, which is below every t",
        "low /= 3": "a range that is a little wider",
        "high *= 3": "a range that is a little wider",
        "for _ in range(0, 60 …": "one halving more or less, far below a millionth",
        "for _ in range(0 + 1, 60):": "one halving less, far below a millionth",
        "for _ in range(61):": "one halving more, far below a millionth",
        "for _ in range(59):": "one halving less, far below a millionth",
        "if entropy(middle) <= target:": "the end of the range is t to a millionth",
    },
}
