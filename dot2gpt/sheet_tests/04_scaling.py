# Made from solutions/ by `make sync`: do not edit.

# %% moments (more is tested when it is handed in)
c = checks.Checks("Exercise 1 · The variance of other vectors")
c.close(
    "d=5, mean 2, std 3, by hand",
    lambda: moments(5, 2, 3),
    [20, 765],
    mistakes={
        "a mean adds variance: the term with μ²σ² is missing": [20, 405],
        "μ²σ² comes twice, once from the mean of q and once from that of k": [20, 585],
        "this is the standard deviation, not the variance": [20, math.sqrt(765)],
        "this is E[z²]: the square of the mean has to come off": [20, 845],
        "std is σ, not σ²": [20, 165],
        "variances of independent terms add: d times one of them, not d²": [20, 3825],
        "the mean of q·k is missing": [0, 765],
    },
)
c.close("d=7, mean 0, std 1, the lesson's case", lambda: moments(7, 0, 1), [0, 7])
coins = torch.cartesian_prod(*[torch.tensor([1.0, 5.0])] * 3)  # mean 3, std 2
dots = coins @ coins.T  # all pairs
want = [dots.mean(), dots.var(correction=0)]
c.close("all vectors with 3 entries 1 or 5", lambda: moments(3, 3, 2), want)
c.report()

# %% self_moments (more is tested when it is handed in)
c = checks.Checks("Exercise 1 · A vector with itself")
c.close(
    "d=5, std 3, by hand",
    lambda: self_moments(5, 3),
    [45, 810],
    mistakes={
        "these are the moments of two independent vectors": [0, 405],
        "a sum of squares is not 0 on average": [0, 810],
        "this is E[x⁴]: the square of the mean has to come off": [45, 1215],
        "the variance is that of independent vectors; here q and k are the same": (
            [45, 405]
        ),
        "std is σ, not σ²": [15, 90],
        "this is the standard deviation, not the variance": [45, math.sqrt(810)],
    },
)
c.close("d=7, std 2", lambda: self_moments(7, 2), [28, 224])
c.report()

# %% published_scores (more is tested when it is handed in)
c = checks.Checks("Exercise 1 · The scores of an article")


def check_scores(time, d):
    torch.manual_seed(0)
    q, k = torch.randn(2, 40_000 // d**2, time, d)
    product = q.mT @ k
    measured = product.var().item()
    c.close(
        f"time={time}, d={d}: measured {measured:.2f}",
        lambda: published_scores(time, d),
        [*product.shape[1:], round(measured)],
        mistakes={
            "this is QKᵀ, which the course uses: a row for each token": [time, time, d],
            "the shape is right; the sum of an entry runs over the tokens": [d, d, d],
            "the variance is right; the shape is that of QKᵀ": [time, time, time],
            "this is the standard deviation, not the variance": [d, d, time**0.5],
        },
    )


check_scores(11, 5)
c.report()

# %% prediction
c = checks.Checks("Exercise 2 · Four divisors, four entropies")
torch.manual_seed(1)
q, k = torch.randn(4000, 1, 128), torch.randn(4000, 16, 128)
options = (2.77, 0.29, 2.36, 2.76)
sizes = {"1": 1, "sqrt(d_k)": math.sqrt(128), "sqrt(d_model)": 64, "d_k": 128}
hints = {
    "1": "the scores have a standard deviation of √128 = 11: softmax picks one key",
    "sqrt(d_k)": "this brings the standard deviation of the scores to 1",
    "sqrt(d_model)": "√4096 = 64 is more than √128 = 11.3: softer than the right scale",
    "d_k": "a head has d_k = 4096/32 = 128, the largest of the four divisors",
}


def check_entropy(name):
    weights = torch.softmax(q @ k.mT / sizes[name], -1)
    measured = torch.special.entr(weights).sum(-1).mean().item()
    nearest = min(options, key=lambda option: abs(option - measured))
    c.close(
        f"divided by {name}: measured {measured:.4f}",
        lambda: prediction()[name],
        nearest,
        atol=1e-4,
        hint=hints[name],
    )


for name in sizes:
    check_entropy(name)
c.report()

# %% query_gradient (more is tested when it is handed in)
c = checks.Checks("Exercise 3 · The gradient by hand")


q = torch.tensor([[math.log(3), 0, 0, 0]], dtype=torch.float64)
k = torch.tensor([[2, 0, 0, 4], [0, 6, 2, 0]], dtype=torch.float64)
v, upstream = torch.tensor([[1.0], [5]]).double(), torch.tensor([[2.0]]).double()
with checks.by_hand("autograd"):
    c.close(
        "weights ¾ and ¼, d_k=4, by hand",
        lambda: query_gradient(q, k, v, upstream),
        [[-1.5, 4.5, 1.5, -3.0]],
        mistakes={
            "the division by √d_k also acts on the way back": [[-3.0, 9, 3, -6]],
            "the division by √d_k acts once on the way back, not twice": (
                [[-0.75, 2.25, 0.75, -1.5]]
            ),
            "only the diagonal of softmax's Jacobian: a score moves all the weights": (
                [[0.375, 5.625, 1.875, 0.75]]
            ),
            "the part −p pᵀ of softmax's Jacobian is missing": [[1.5, 7.5, 2.5, 3]],
            "softmax's Jacobian is missing": [[2.0, 30, 10, 4]],
            "what is subtracted is the mean weighted by p, not the plain mean": (
                [[-3.0, 3, 1, -6]]
            ),
            "the scores were not divided by √d_k, forward or back": (
                [[-1.44, 4.32, 1.44, -2.88]]
            ),
            "the scores were not divided by √d_k": [[-0.72, 2.16, 0.72, -1.44]],
        },
    )


def check_gradient(what, n_queries, n_keys, d_k, d_v, dtype=torch.float64, factor=1.0):
    torch.manual_seed(n_keys)
    q = factor * torch.randn(n_queries, d_k, dtype=dtype)
    k = torch.randn(n_keys, d_k, dtype=dtype)
    v = torch.randn(n_keys, d_v, dtype=dtype)
    upstream = torch.randn(n_queries, d_v, dtype=dtype)
    leaf = q.clone().requires_grad_()
    output = torch.nn.functional.scaled_dot_product_attention(leaf, k, v)
    want = torch.autograd.grad(output, leaf, upstream)[0]
    with checks.by_hand("autograd"):
        c.close(
            what,
            lambda: query_gradient(q, k, v, upstream),
            want,
            hint="not what autograd finds",
            atol=1e-9 if dtype == torch.float64 else 1e-5,
        )


check_gradient("5 queries, 11 keys, d_k=7, d_v=3", 5, 11, 7, 3)
check_gradient("one query, two keys, d_k=2, d_v=1", 1, 2, 2, 1)
c.report()

# %% verdicts
c = checks.Checks("Exercise 4 · Test the folklore")
short, long = gradient_lengths(16, 1), gradient_lengths(1024, 1)
by_d_k = [gradient_lengths(d, d)["q"].median() for d in (16, 1024)]
tail = {name: long[name].quantile(0.99) / short[name].quantile(0.99) for name in long}
statements = {
    "scores vanish": (
        short["scores"].median() / long["scores"].median() > 100,
        "compare the medians: softmax has decided, and hardly moves any more",
    ),
    "scores explode": (
        tail["scores"] > 1.5,
        "softmax's Jacobian is bounded; what grows comes from another factor",
    ),
    "keys explode": (
        tail["k"] > 1.5,
        "∂L/∂k is a score's gradient times q, and q gets longer with d_k",
    ),
    "values vanish": (
        short["v"].mean() / long["v"].mean() > 2,
        "∂output/∂v is the weights, and each row of them adds to 1",
    ),
    "d_k is as good": (
        by_d_k[0] / by_d_k[1] < 2,
        "measure the median at both sizes, each divided by its own d_k",
    ),
}


def check_verdict(name, truth, hint):
    def right():
        said = verdicts()[name]
        if said not in (True, False):
            raise checks.Wrong(f"expected True or False, got {said!r}")
        return said == truth

    c.that(name, lambda: right(), hint)


for name, (truth, hint) in statements.items():
    check_verdict(name, bool(truth), hint)
c.report()

# %% divisor_of (more is tested when it is handed in)
c = checks.Checks("Exercise 5 · Measure the divisor")


def divided_by(divisor):
    def attention(q, k, v):
        weights = torch.softmax(q @ k.transpose(-2, -1) / divisor, -1)
        return weights @ v, weights

    return attention


def check_divisor(what, attention, d_k, divisor):
    mistakes = {
        "this is 1/divisor": 1 / divisor,
        "this is what the divisor should be: measure what the function does": d_k**0.5,
        "this is the ratio of two weights: take its logarithm": math.exp(1 / divisor),
        "this is the square of the divisor": divisor**2,
    }
    c.close(
        what,
        lambda: divisor_of(attention, d_k),
        divisor,
        mistakes=mistakes,
        atol=1e-3,
        hint="the divisor has to come out of the ratio of two weights of a row",
    )


check_divisor("attention without a scale, d_k=64", divided_by(1), 64, 1)
check_divisor("the lesson's function, d_k=7", scaled_dot_product_attention, 7, 7**0.5)
check_divisor("divided by √512, d_k=64", divided_by(512**0.5), 64, 512**0.5)
c.report()

# %% head (more is tested when it is handed in)
c = checks.Checks("Exercise 5 · A head with the right scale")


def check_head(what, batch, time, d_model, head_size):
    torch.manual_seed(time)
    x = torch.randn(batch, time, d_model)
    w_q, w_k, w_v = (torch.randn(d_model, head_size) * d_model**-0.5 for _ in range(3))
    q, k, v = (x @ w for w in (w_q, w_k, w_v))

    def mixed(factor):
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, scale=factor)

    mistakes = {
        "the scores are divided by the root of d_model, the width of the whole token": (
            mixed(d_model**-0.5)
        ),
        "the scores are not divided at all": mixed(1),
        "the scores are multiplied by √head_size": mixed(head_size**0.5),
        "the scores are divided by head_size, not by its root": mixed(1 / head_size),
        "the scores are divided by the root of the number of tokens": mixed(time**-0.5),
        "the division comes before softmax, not after it": mixed(1) / head_size**0.5,
    }
    want = mixed(None)
    c.close(what, lambda: head(x, w_q, w_k, w_v), want, mistakes=mistakes, atol=1e-5)


check_head("one of three heads: d_model 21, head_size 7, 5 tokens", 2, 5, 21, 7)
check_head("a single head as wide as the token", 2, 3, 11, 11)
c.report()

# %% temperature_for (more is tested when it is handed in)
c = checks.Checks("Exercise 6 · The temperature for an entropy")


def scores_with(n_keys, t):
    """Scores and the entropy that t gives them, so that t is the known answer."""
    torch.manual_seed(n_keys)
    scores = torch.randn(n_keys, dtype=torch.float64) * t
    weights = torch.softmax(scores / t, -1)
    return scores, torch.special.entr(weights).sum().item()


def check_temperature(what, scores, target, t, hint):
    bits, wide = target * math.log(2), scores.double()

    def entropy_of(answer):
        return torch.special.entr(torch.softmax(wide / answer, -1)).sum().item()

    def answer():
        found = float(temperature_for(scores, target))
        if not 0 < found < math.inf:
            raise checks.Wrong(f"the temperature is {found}: {hint}")
        if abs(found / t - 1) < 2e-6:
            return True
        if abs(found * t - 1) < 2e-6:
            raise checks.Wrong("this is 1/t: the scores are divided by t")
        if abs(entropy_of(found) - bits) < 1e-4:
            raise checks.Wrong("its entropy in bits is the target: use the natural log")
        if abs(found / t - 1) < 1e-2:
            raise checks.Wrong(
                "close, but not to one part in a million: go on halving, in float64"
            )
        got = f"the entropy is {entropy_of(found):.4f}, not {target:.4f}"
        raise checks.Wrong(f"{got}: {hint}")

    c.that(what, lambda: answer())


rising = "the entropy rises with t: which half of the range holds the answer?"
bracket = "the range that you search must fit scores of any size"
check_temperature(
    "two scores 0 and ln 9, weights 0.1 and 0.9 at t = 1",
    torch.tensor([0.0, math.log(9)], dtype=torch.float64),
    -(0.1 * math.log(0.1) + 0.9 * math.log(0.9)),
    1.0,
    rising,
)
check_temperature("16 scores, t = 2.7", *scores_with(16, 2.7), 2.7, rising)
check_temperature("11 large scores, t = 703", *scores_with(11, 703.1), 703.1, bracket)
apart = torch.tensor([0.0, 0.002, 0.001], dtype=torch.float64)
cold = torch.special.entr(torch.softmax(apart / 1e-4, -1)).sum().item()
check_temperature("3 scores 0.001 apart, t = 0.0001", apart, cold, 1e-4, bracket)
four = torch.tensor([0.0, 1, 2, 3])  # float32: 1e-7 of the entropy is much of t here
hot = torch.special.entr(torch.softmax(four.double() / 20, -1)).sum().item()
check_temperature("float32 scores, t = 20", four, hot, 20.0, rising)
c.raises(
    "a target above ln 4",
    ValueError,
    lambda: temperature_for(four, 1.5),
    says=["1.5"],
    hint="no temperature gives 4 keys an entropy of 1.5: that is more than ln 4",
)
c.raises(
    "a target of exactly ln 4",
    ValueError,
    lambda: temperature_for(four, math.log(4)),
    hint="an entropy of ln 4 is only the limit for t → ∞",
)
c.raises(
    "a target of exactly 0",
    ValueError,
    lambda: temperature_for(four, 0.0),
    hint="an entropy of 0 is only the limit for t → 0",
)
c.report()
