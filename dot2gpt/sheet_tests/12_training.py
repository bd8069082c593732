# Made from solutions/ by `make sync`: do not edit.

# %% lowest_loss (more is tested when it is handed in)
c = checks.Checks("Exercise 1 · The lowest loss there is")
# the lowest loss, of one that knows nothing, with V other tokens, with the target's
# logit left out, where others cannot go below 0 (None: no such mistake)
cases = {
    ("nothing", 3771): (0.0, 8.235095, None, 100.0, None),
    ("log_softmax", 3771): (0.0, 8.235095, None, None, None),
    ("sigmoid", 3771): (7.235551, 8.235095, 7.235816, 8.235551, None),
    ("tanh", 3771): (6.236788, 8.235095, 6.237053, 7.236788, 7.235551),
    ("mean", 3771): (8.235095, None, 8.235361, None, None),
    ("nothing", 2): (0.0, 0.693147, None, 100.0, None),
    ("log_softmax", 2): (0.0, 0.693147, None, None, None),
    ("sigmoid", 2): (0.313262, 0.693147, 0.551445, 1.313262, None),
    ("tanh", 2): (0.126928, 0.693147, 0.239545, 1.126928, 0.313262),
    ("mean", 2): (0.693147, None, 1.098612, None, None),
}
whys = (
    "this is the loss of a model that knows nothing",
    "there are V - 1 other tokens, not V",
    "the logit of the target is still to be taken off",
    "the other tokens can go below 0",
)
bounded = "this function bounds the numbers: the loss cannot reach 0"
for (function, size), (want, *wrong) in cases.items():
    c.close(
        f"{function}, V = {size}",
        lambda: lowest_loss(size, function),
        want,
        atol=1e-5,
        mistakes=dict(zip(whys, wrong)) | {bounded: 0.0},
        hint="put the extremes of its output into the cross-entropy",
    )
c.report()

# %% loss_and_gradient (more is tested when it is handed in)
c = checks.Checks("Exercise 2 · The gradient, with padding")


def by_hand(x, y):
    with checks.by_hand("cross-entropy", "autograd"):
        return loss_and_gradient(x, y)


cases = [("no padding", [1, 0, 3]), ("two of five padded", [2, -1, 0, -1, 4])]
cases += [("one place", [2])]
for seed, (label, wanted) in enumerate(cases):
    draw = torch.Generator().manual_seed(seed)
    x = 2 * torch.randn(len(wanted), 5, generator=draw, dtype=torch.float64)
    y = torch.tensor(wanted)
    free = x.clone().requires_grad_()
    loss = F.cross_entropy(free, y, ignore_index=-1)
    loss.backward()
    n, share = (y >= 0).sum().item(), (y >= 0).sum().item() / len(y)
    padded = F.cross_entropy(x, y.clamp(min=0)).item()
    full = x.softmax(-1) - F.one_hot(y.clamp(min=0), 5)
    losses = {
        "the mean is over the places that count, not over all": loss.item() * share,
        "the padded places still count": padded,
        "the sum is not divided by the number of places": loss.item() * n,
    }
    gradients = {
        "the gradient has the wrong sign": -free.grad,
        "the mean divides the gradient, too": free.grad * n,
        "the mean is over the places that count, not over all": free.grad * share,
        "the padded places still get a gradient": full / n,
        "the padded places still count": full / len(y),
        "y is missing: this is p alone": x.softmax(-1) * (y >= 0)[:, None] / n,
    }
    c.close(
        f"the loss, {label}",
        lambda: by_hand(x, y)[0],
        loss,
        mistakes=losses,
    )
    c.close(
        f"the gradient, {label}",
        lambda: by_hand(x, y)[1],
        free.grad,
        mistakes=gradients,
    )
large, sure = torch.tensor([[0.0, 1000.0], [1000.0, 0.0]]), torch.tensor([1, 0])
overflow = "exp(1000) is inf: take the largest logit of a row off first"
c.close("logits of 1000: the loss", lambda: by_hand(large, sure)[0], 0, hint=overflow)
c.close(
    "logits of 1000: the gradient",
    lambda: by_hand(large, sure)[1],
    torch.zeros(2, 2),
    hint=overflow,
)
nothing = torch.tensor([-1, -1])
c.close(
    "all padded",
    lambda: by_hand(torch.ones(2, 3), nothing)[0],
    0.0,
    hint="no place counts: do not divide by 0",
)
c.close(
    "all padded, gradient",
    lambda: by_hand(torch.ones(2, 3), nothing)[1],
    torch.zeros(2, 3),
)
c.report()

# %% which_optimiser (more is tested when it is handed in)
c = checks.Checks("Exercise 3 · Which optimiser was it?")


def record(kind, start, gradients, lr, decay):
    """The end of a run by PyTorch's own optimisers."""
    weight = nn.Parameter(start.clone())
    make = torch.optim.Adam if kind == "decay in the gradient" else torch.optim.AdamW
    decay = 0.0 if kind == "no decay" else decay
    optimizer = make([weight], lr=lr, weight_decay=decay)
    if kind == "no correction":  # a million steps ago there was a start to correct for
        means = {name: torch.zeros_like(start) for name in ("exp_avg", "exp_avg_sq")}
        optimizer.state[weight] = {"step": torch.tensor(1e6), **means}
    for g in gradients:
        weight.grad = g.clone()
        optimizer.step()
    return weight.detach()


# steps, weights, rate, decay, size of the gradients, steps at first that have none
runs = [(20, 5, 0.05, 0.3, 1, 0), (6, 3, 0.01, 0.01, 1, 0), (4, 3, 0.01, 0.01, 1e-8, 0)]
kinds = {
    "adamw": "this run is AdamW without a mistake",
    "no correction": "the running means of this run were not corrected for their start",
    "decay in the gradient": "the decay of this run went through the running means",
    "no decay": "the weights of this run did not decay at all",
}
for seed, (n_steps, n, lr, decay, size, quiet) in enumerate(runs):
    draw = torch.Generator().manual_seed(seed)
    start = 3 * torch.randn(n, generator=draw, dtype=torch.float64)
    gradients = size * torch.randn(n_steps, n, generator=draw, dtype=torch.float64)
    gradients[:quiet] = 0
    start[0] = gradients[:, 0] = 0  # a weight that is never used
    for kind, hint in kinds.items():
        end = record(kind, start, gradients, lr, decay)

        def named():
            answer = which_optimiser(start, gradients, end, lr, decay)
            if answer is Ellipsis:
                raise NotImplementedError
            if answer not in list(kinds):
                raise checks.Wrong(f"{answer!r} is none of the four names")
            if answer != kind:
                raise checks.Wrong(f"your answer is {answer!r}, but {hint}")
            return True

        label = f"rate {lr}, decay {decay}, gradients of {size}"
        c.that(f"{kind}: {n_steps} steps, {label}", named)
c.report()

# %% direction_kept (more is tested when it is handed in)
c = checks.Checks("Exercise 4 · How far clipping turns")
# What is kept of the direction; the short ones stretched, and each number clipped
cases = [
    (
        "the lesson's",
        [torch.tensor([30.0, 40.0]), torch.tensor([1.0])],
        1.0,
        (0.7211047, 0.7211047, 0.8196734),
    ),
    (
        "one short",
        [torch.tensor([0.3, 0.4]), torch.tensor([[6.0], [8.0]])],
        1.0,
        (0.915644, 0.7415358, 0.9488147),
    ),
]
whys = (
    "a gradient shorter than max_norm is left as it is",
    "clip the norm of a gradient, not each of its numbers",
)
for label, gradients, max_norm, (kept, *wrong) in cases:
    c.close(
        f"per parameter, {label}",
        lambda: direction_kept(gradients, max_norm, "parameter"),
        kept,
        atol=1e-4,
        mistakes={"the direction of the whole vector does turn": 1.0}
        | dict(zip(whys, wrong)),
        hint="the product over both lengths",
    )
    c.close(
        f"whole model, {label}",
        lambda: direction_kept(gradients, max_norm, "model"),
        1.0,
        atol=1e-4,
        mistakes={"one factor for all gradients": kept},
        hint="one factor for all leaves the direction as it is",
    )
c.report()

# %% plateau_schedule (more is tested when it is handed in)
c = checks.Checks("Exercise 5 · A schedule with a plateau")
plans = [(0.01, 10, 80, 100, 0.001), (1.0, 4, 4, 13, 0.5)]
for peak, warm_up, start, end, floor in plans:

    def rate(step):
        return plateau_schedule(step, peak, warm_up, start, end, floor)

    label = f"{warm_up}, {start}, {end}"
    if warm_up:
        c.close(
            f"step 0 ({label})",
            lambda: rate(0),
            peak / (warm_up + 1),
            mistakes={
                "a rate of 0 wastes the first step": 0.0,
                "the warm-up reaches the peak one step early": peak / warm_up,
                "there is no warm-up": peak,
            },
        )
    c.close(
        f"the end of the warm-up ({label})",
        lambda: rate(warm_up),
        peak,
        hint="the peak comes at step warm_up",
    )
    c.close(
        f"the last step at the peak ({label})",
        lambda: rate(start),
        peak,
        hint="step decay_from still has the full peak",
    )
    half = (start + end) / 2
    cosine = floor + (peak - floor) * (1 + math.cos(math.pi / 4)) / 2
    c.close(
        f"halfway down ({label})",
        lambda: rate(half),
        (peak + floor) / 2,
        hint="a straight line from the peak to the floor",
    )
    c.close(
        f"a quarter down ({label})",
        lambda: rate((start + half) / 2),
        peak - (peak - floor) / 4,
        mistakes={"a straight line, not a cosine": cosine},
    )
    c.close(
        f"the end ({label})",
        lambda: rate(end),
        floor,
        hint="step n_steps has the rate floor",
    )
    corners = [(0, peak / (warm_up + 1)), (warm_up, peak), (start, peak), (end, floor)]
    line = [floor] * (end + 4)
    for (a, low), (b, high) in zip(corners, corners[1:]):
        for step in range(a, b):
            line[step] = low + (high - low) * (step - a) / (b - a)
    c.close(
        f"every step ({label})",
        lambda: [rate(step) for step in range(end + 4)],
        line,
        hint="straight lines between the corners",
    )
    c.close(
        f"after the end ({label})",
        lambda: rate(2 * end),
        floor,
        hint="it must not fall below the floor after the end",
    )
c.report()
