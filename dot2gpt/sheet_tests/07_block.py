# Made from solutions/ by `make sync`: do not edit.

# %% std_after (more is tested when it is handed in)
c = checks.Checks("Exercise 1 · How large after many layers")
cases = [(1, 0.5), (12, 0.5)]
for n, gain in cases:
    variance = {"no norm": 1.0, "pre-norm": 1.0, "post-norm": 1.0}
    for _ in range(n):  # layer by layer
        variance["no norm"] += gain**2 * variance["no norm"]
        variance["pre-norm"] += gain**2
    growth = {
        "the order makes a difference: this is the size without a norm": (
            variance["no norm"] ** 0.5
        ),
        "the order makes a difference: this is the size in pre-norm": (
            variance["pre-norm"] ** 0.5
        ),
        "variances add, standard deviations do not": (1 + gain) ** n,
        "variances add, standard deviations do not: (1 + n · gain)": 1 + n * gain,
        "this is the variance: its root is asked": variance["no norm"],
        "this is the variance in pre-norm: its root is asked": variance["pre-norm"],
        "x itself has variance 1 and is part of the sum": n**0.5 * gain,
        "the gain is squared in the variance": (1 + gain) ** (n / 2),
        "the gain is squared in the variance: n · gain²": (1 + n * gain) ** 0.5,
    }
    for order, value in variance.items():
        c.close(
            f"layers: {n}, gain: {gain}, {order}",
            lambda: float(std_after(n, order, gain)),
            value**0.5,
            mistakes=growth,
        )
c.report()

# %% ratio (more is tested when it is handed in)
c = checks.Checks("Exercise 2 · A published norm: the factor")
sizes = [2, 4]
for d in sizes:
    torch.manual_seed(0)
    x = torch.randn(d, dtype=torch.float64)
    measured = (published_norm(x, eps=0.0) / F.layer_norm(x, (d,), eps=0.0))[0]
    c.close(
        f"d = {d}",
        lambda: float(ratio(d)),
        measured,
        mistakes={
            "this is LayerNorm's divided by the published one": 1 / measured,
            "variances have this ratio: a norm divides by the root": (d - 1) / d,
            "variances have this ratio, upside down": d / (d - 1),
            "the larger divisor makes the smaller deviation": math.sqrt((d + 1) / d),
            "d − 1 stands for d, not for d + 1": math.sqrt(d / (d + 1)),
            "it depends on d: this is the value for d = 4": math.sqrt(3 / 4),
        },
    )
c.report()

# %% faults (more is tested when it is handed in)
c = checks.Checks("Exercise 2 · A published norm: the test that finds it")


def make_norm(wrong):
    axis = 0 if "axis" in wrong else -1
    correction = 1 if "n - 1" in wrong else 0

    def norm(x, eps):
        variance = x.var(axis, correction=correction, keepdim=True)
        centred = x - x.mean(axis, keepdim=True)
        if "eps" in wrong:
            return centred / (variance.sqrt() + eps)
        return centred / (variance + eps).sqrt()

    return norm


def judge(norm, wrong):
    said = set(faults(norm))
    unseen = {
        "n - 1": "n - 1 was not seen: the mean square of −1 and 1 is 1, not 2",
        "eps": "eps was not seen: with a small eps its place makes no difference",
        "axis": "axis was not seen: do two tokens that differ change each other?",
    }
    for name in sorted(wrong - said):
        raise checks.Wrong(unseen[name])
    for name in sorted(said - wrong):
        raise checks.Wrong(f"{name} is blamed, but that is right here")
    return True


def torchs(x, eps):
    return F.layer_norm(x, x.shape[-1:], eps=eps)


c.that("a true LayerNorm", lambda: judge(torchs, set()))
c.that("the published one", lambda: judge(published_norm, {"n - 1", "eps"}))
every = [{"n - 1"}, {"eps"}, {"axis"}]
for wrong in every:
    label = "with " + (", ".join(sorted(wrong)) or "no fault")
    c.that(label, lambda: judge(make_norm(wrong), wrong))
c.report()

# %% fold (more is tested when it is handed in)
c = checks.Checks("Exercise 3 · Fold the norm's numbers away")
cases = [(0, 5, 5), (1, 5, 7)]
for seed, d_model, d_out in cases:
    torch.manual_seed(seed)
    gamma, beta = torch.randn(2, d_model, dtype=torch.float64)
    gamma[0] = 0.0  # a feature that is switched off
    weight = torch.randn(d_out, d_model, dtype=torch.float64)
    bias = torch.randn(d_out, dtype=torch.float64)
    given = gamma, beta, weight, bias
    x = torch.randn(2, 3, d_model, dtype=torch.float64)
    x = F.layer_norm(x, (d_model,), eps=0.0)
    label = f"d_model={d_model}, d_out={d_out}"
    want = F.linear(x * gamma, weight)
    folded = torch.einsum("oi,i->oi", weight, gamma)
    shift = torch.einsum("oi,i->o", weight, beta)
    square = d_model == d_out

    def answer(given=given):
        return fold(*(t.clone() for t in given))

    c.close(
        f"what the weight does, {label}",
        lambda: F.linear(x, answer()[0]),
        want,
        mistakes={
            "gamma scales columns of the weight, one for each feature, not rows": (
                F.linear(x, weight * gamma[:, None]) if square else None
            ),
            "the weight is unchanged: gamma belongs into it": F.linear(x, weight),
            "the weight is transposed: it is (d_out, d_model)": (
                x @ folded if square else None
            ),
        },
        hint="the weight does not do what gamma and the old weight did",
    )
    c.close(
        f"the bias, {label}",
        lambda: answer()[1],
        bias + shift,
        mistakes={
            "beta goes through the weight as well": bias + beta if square else None,
            "beta is added after gamma has done its work: use the old weight": (
                bias + folded @ beta
            ),
            "the bias that was there is lost": shift,
            "beta is lost": bias,
        },
        hint="the bias is what the old layers gave for a token of zeros",
    )

    def unchanged(given=given):
        mine = [t.clone() for t in given]
        fold(*mine)
        return all(map(torch.equal, mine, given))

    c.that(
        f"nothing given was changed, {label}",
        unchanged,
        "fold changed a tensor that it was given: return new ones",
    )
c.report()

# %% input_share (more is tested when it is handed in)
c = checks.Checks("Exercise 4 · What is left of the input")


def measured_share(n, order):
    generator = torch.Generator().manual_seed(0)
    start = x = torch.randn(200, 512, generator=generator)

    def norm(x):
        return F.layer_norm(x, (512,))

    def sublayer(x):
        return torch.randn(x.shape, generator=generator) * x.std()

    for _ in range(n):
        if order == "pre-norm":
            x = x + sublayer(norm(x))
        elif order == "post-norm":
            x = norm(x + sublayer(x))
        else:
            x = published_step(x, sublayer, norm)
    pair = torch.stack([start.flatten(), x.flatten()])
    return torch.corrcoef(pair)[0, 1].item() ** 2


layers = [1, 3]
for n in layers:
    slow, fast = 1 / (1 + n), 2.0**-n
    for order in ("pre-norm", "post-norm", "published"):
        c.close(
            f"layers: {n}, {order} (measured {measured_share(n, order):.3f})",
            lambda: float(input_share(n, order)),
            slow if order == "pre-norm" else fast,
            mistakes={
                "here every newcomer is as large as all before it together": slow,
                "here x grows and the newcomer does not: it takes less and less": fast,
                "nothing is removed, but the share of the input falls": 1.0,
                "share of the variance is asked, not of the standard deviation": (
                    slow**0.5 if order == "pre-norm" else fast**0.5
                ),
                "the input itself is one of the parts: 1 + n_layers of them": (
                    1 / n if n else None
                ),
            },
            atol=1e-9,
        )
c.report()

# %% apart (more is tested when it is handed in)
c = checks.Checks("Exercise 5 · How fast tokens become one: the measure")
four = [[1, 2, 0], [3, 0, 2], [2, 4, 1], [2, 2, 5]]
# x; the measure, and what each mistake gives
cases = {
    "two tokens": (
        torch.tensor([[1.0, 0.0], [3.0, 0.0]]),
        0.5,
        (1.0, 0.7071068, 0.4472136, 0.25, 1.2247449),
    ),
    "four tokens": (
        torch.tensor(four, dtype=torch.float64),
        0.7071068,
        (0.5630925, 1.4142136, 0.5773503, 0.5, None),
    ),
}
whys = (
    "the mean token is the mean over tokens, not over features",
    "below the line the mean token stands once in each row",
    "below the line stands the mean, not x",
    "the root is missing",
    "the mean of all numbers is not the mean token",
)
for label, (x, want, wrong) in cases.items():
    c.close(
        label,
        lambda: float(apart(x)),
        want,
        mistakes=dict(zip(whys, wrong)),
    )
c.report()

# %% layers_needed (more is tested when it is handed in)
c = checks.Checks("Exercise 5 · How fast tokens become one: the layers")


def count(a, factor, residual):
    """By doing it, with five random tokens."""
    torch.manual_seed(0)
    x = torch.randn(5, 3, dtype=torch.float64)
    weights = (1 - a) * torch.eye(5, dtype=x.dtype) + a / 5

    def measure(x):
        return (x - x.mean(0)).norm() / x.mean(0).expand_as(x).norm()

    first, layers = measure(x), 0
    while measure(x) > factor * first * (1 + 1e-9):  # x is rounded
        x = x + weights @ x if residual else weights @ x
        layers += 1
    return layers


def least(shrink, factor):
    return math.ceil(math.log(factor) / math.log(shrink)) if shrink > 0 else 1


cases = [(0.5, 0.01), (0.1, 0.3), (0.5, 0.25)]
for a, factor in cases:
    for residual in (False, True):
        true = count(a, factor, residual)
        c.close(
            f"a={a}, factor={factor}, {'X + AX' if residual else 'AX'}",
            lambda: layers_needed(a, factor, residual),
            true,
            mistakes={
                "one layer too few: at most `factor` must be left": true - 1,
                "one layer too many: fewer do it": true + 1,
                "this is the number with the sum": count(a, factor, True),
                "this is the number without the sum": count(a, factor, False),
                "the distances grow by 2 − a, but the mean token doubles": math.inf,
                "the mean token doubles, and the distances are more than those of AX": (
                    lambda: least((1 - a) / 2, factor)
                ),
                "distances shrink by 1 − a each layer, not by a": (
                    lambda: least(a, factor) if a < 1 else -1
                ),
            },
            hint="count of layers",
        )
c.report()
