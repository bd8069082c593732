"""Answers to the sheet of chapter 12."""

from tests.answers import right, wrong

LOWEST_LOSS = [
    wrong(
        "a perfect model reaches 0",
        "this function bounds the numbers: the loss cannot reach 0",
        """
        def lowest_loss(vocab_size, function):
            return math.log(vocab_size) if function == "mean" else 0.0
        """,
    ),
    wrong(
        "V others instead of V - 1",
        "there are V - 1 other tokens, not V",
        """
        def lowest_loss(vocab_size, function):
            ends = {"sigmoid": (0, 1), "tanh": (-1, 1), "mean": (0, 0)}
            if function not in ends:
                return 0.0
            low, high = ends[function]
            return math.log(math.exp(high) + vocab_size * math.exp(low)) - high
        """,
    ),
    wrong(
        "tanh taken for sigmoid",
        "the other tokens can go below 0",
        """
        def lowest_loss(vocab_size, function):
            if function == "mean":
                return math.log(vocab_size)
            if function in ("nothing", "log_softmax"):
                return 0.0
            return math.log(math.e + vocab_size - 1) - 1
        """,
    ),
    wrong(
        "the target's logit forgotten",
        "the logit of the target is still to be taken off",
        """
        def lowest_loss(vocab_size, function):
            ends = {"sigmoid": (0, 1), "tanh": (-1, 1), "mean": (0, 0)}
            if function not in ends:
                return 0.0
            low, high = ends[function]
            return math.log(math.exp(high) + (vocab_size - 1) * math.exp(low))
        """,
    ),
    wrong(
        "always the uniform loss",
        "this is the loss of a model that knows nothing",
        """
        def lowest_loss(vocab_size, function):
            return math.log(vocab_size)
        """,
    ),
    right(
        "by the best logits themselves",
        """
        def lowest_loss(vocab_size, function):
            z = torch.full((1, vocab_size), -200.0, dtype=torch.float64)
            z[0, 0] = 200.0
            change = {
                "sigmoid": torch.sigmoid,
                "tanh": torch.tanh,
                "mean": lambda z: z * 0,
                "log_softmax": lambda z: z.log_softmax(-1),
            }.get(function, lambda z: z)
            return F.cross_entropy(change(z), torch.tensor([0]))
        """,
    ),
    right(
        "as a table of formulas",
        """
        def lowest_loss(vocab_size, function):
            others = vocab_size - 1
            return {
                "nothing": 0,
                "log_softmax": 0,
                "sigmoid": math.log1p(others / math.e),
                "tanh": math.log1p(others / math.e**2),
                "mean": math.log(vocab_size),
            }[function]
        """,
    ),
]

BY_HAND = """
def loss_and_gradient(logits, targets):
    counts = targets >= 0
    n = max(counts.sum().item(), 1)
    index = targets.clamp(min=0)
    log_p = logits - logits.logsumexp(-1, keepdim=True)
    each = -log_p.gather(1, index[:, None])[:, 0] * counts
    y = torch.eye(logits.shape[-1])[index]
    gradient = (log_p.exp() - y) * counts[:, None]
    return each.sum() / n, gradient / n
"""


def changed(before, after):
    assert before in BY_HAND
    return BY_HAND.replace(before, after)


LOSS_AND_GRADIENT = [
    wrong(
        "y - p",
        "the gradient has the wrong sign",
        changed("(log_p.exp() - y)", "(y - log_p.exp())"),
    ),
    wrong(
        "the gradient of the sum",
        "the mean divides the gradient, too",
        changed("gradient / n", "gradient"),
    ),
    wrong(
        "divided by all places",
        "the mean is over the places that count, not over all",
        changed("max(counts.sum().item(), 1)", "len(targets)"),
    ),
    wrong(
        "padded rows keep a gradient",
        "the padded places still get a gradient",
        changed("(log_p.exp() - y) * counts[:, None]", "log_p.exp() - y"),
    ),
    wrong(
        "padding ignored",
        "the padded places still count",
        changed("targets >= 0", "targets >= -1"),
    ),
    wrong(
        "the probabilities alone",
        "y is missing: this is p alone",
        changed("(log_p.exp() - y)", "log_p.exp()"),
    ),
    wrong(
        "divided by zero",
        "no place counts: do not divide by 0",
        changed("max(counts.sum().item(), 1)", "counts.sum()"),
    ),
    wrong(
        "automatic differentiation",
        "may not be used here",
        """
        def loss_and_gradient(logits, targets):
            free = logits.clone().requires_grad_()
            loss = F.cross_entropy(free, targets, ignore_index=-1)
            loss.backward()
            return loss.detach(), free.grad
        """,
    ),
    right("with gather", BY_HAND),
    right(
        "row by row",
        """
        def loss_and_gradient(logits, targets):
            loss, gradient = torch.tensor(0.0), torch.zeros_like(logits)
            n = max(1, sum(t >= 0 for t in targets.tolist()))
            for i, t in enumerate(targets.tolist()):
                if t >= 0:
                    p = logits[i].softmax(-1)
                    loss = loss - p[t].log() / n
                    gradient[i] = p / n
                    gradient[i, t] -= 1 / n
            return loss, gradient
        """,
    ),
    wrong(
        "exp of the logits as they are",
        "exp(1000) is inf",
        """
        def loss_and_gradient(logits, targets):
            counts, index = targets >= 0, targets.clamp(min=0)
            n = max(counts.sum().item(), 1)
            p = logits.exp() / logits.exp().sum(-1, keepdim=True)
            loss = -p[torch.arange(len(targets)), index].log()[counts].sum() / n
            gradient = p - F.one_hot(index, logits.shape[-1])
            return loss, gradient * counts[:, None] / n
        """,
    ),
    wrong(
        "autograd under the name grad_and_value",
        "may not be used here",
        """
        def loss_and_gradient(logits, targets):
            counts, index = targets >= 0, targets.clamp(min=0)

            def loss(logits):
                log_p = logits - logits.logsumexp(-1, keepdim=True)
                picked = log_p[torch.arange(len(targets)), index]
                return -(picked * counts).sum() / counts.sum().clamp(min=1)

            return torch.func.grad_and_value(loss)(logits)[::-1]
        """,
    ),
]

WHICH_OPTIMISER = [
    wrong(
        "always the right one",
        "the running means of this run were not corrected for their start",
        """
        def which_optimiser(start, gradients, end, lr, weight_decay):
            return "adamw"
        """,
    ),
    wrong(
        "never a missing decay",
        "the weights of this run did not decay at all",
        """
        def which_optimiser(start, gradients, end, lr, weight_decay):
            def run(kind):
                w, m, v = start.clone(), 0, 0
                for t, g in enumerate(gradients, 1):
                    g = g + (kind == "decay in the gradient") * weight_decay * w
                    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
                    bare = kind == "no correction"
                    a, b = (1, 1) if bare else (1 - 0.9**t, 1 - 0.999**t)
                    w = w * (1 - lr * weight_decay * (kind != "decay in the gradient"))
                    w = w - lr * (m / a) / ((v / b).sqrt() + 1e-8)
                return w

            names = ["adamw", "no correction", "decay in the gradient"]
            return min(names, key=lambda k: (run(k) - end).norm().item())
        """,
    ),
    wrong(
        "the decay compared by its size alone",
        "the decay of this run went through the running means",
        """
        def which_optimiser(start, gradients, end, lr, weight_decay):
            shrunk = start * (1 - lr * weight_decay) ** len(gradients)
            decayed = (end - shrunk).norm() < (end - start).norm()
            return "adamw" if decayed else "no decay"
        """,
    ),
    wrong(
        "words of its own",
        "is none of the four names",
        """
        def which_optimiser(start, gradients, end, lr, weight_decay):
            return "Adam"
        """,
    ),
    wrong(
        "the sign of the last move",
        "your answer is 'no correction', but this run is AdamW without a mistake",
        """
        def which_optimiser(start, gradients, end, lr, weight_decay):
            return "no correction"
        """,
    ),
    right(
        "with PyTorch's optimisers, the fourth by exclusion",
        """
        def which_optimiser(start, gradients, end, lr, weight_decay):
            makers = {
                "adamw": (torch.optim.AdamW, weight_decay),
                "no decay": (torch.optim.AdamW, 0.0),
                "decay in the gradient": (torch.optim.Adam, weight_decay),
            }
            for name, (maker, decay) in makers.items():
                w = nn.Parameter(start.clone())
                optimizer = maker([w], lr=lr, weight_decay=decay)
                for g in gradients:
                    w.grad = g.clone()
                    optimizer.step()
                if torch.allclose(w, end, atol=1e-9):
                    return name
            return "no correction"
        """,
    ),
    right(
        "in plain numbers, for the first weight that tells",
        """
        def which_optimiser(start, gradients, end, lr, weight_decay):
            def run(i, correct, outside, inside):
                w, m, v = start[i].item(), 0.0, 0.0
                for t, row in enumerate(gradients.tolist(), 1):
                    g = row[i] + inside * w
                    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
                    a, b = (1 - 0.9**t, 1 - 0.999**t) if correct else (1, 1)
                    w -= lr * outside * w + lr * m / a / (math.sqrt(v / b) + 1e-8)
                return w

            d = weight_decay
            ways = {
                "adamw": (True, d, 0),
                "no correction": (False, d, 0),
                "decay in the gradient": (True, 0, d),
                "no decay": (True, 0, 0),
            }
            far = {
                name: sum(abs(run(i, *way) - end[i].item()) for i in range(len(start)))
                for name, way in ways.items()
            }
            return sorted(far, key=far.get)[0]
        """,
    ),
]

DIRECTION_KEPT = [
    wrong(
        "clipping never turns",
        "the direction of the whole vector does turn",
        """
        def direction_kept(gradients, max_norm, per):
            return 1.0
        """,
    ),
    wrong(
        "the mean of the cosines of each",
        "the direction of the whole vector does turn",
        """
        def direction_kept(gradients, max_norm, per):
            cosines = []
            for g in gradients:
                after = g * (max_norm / g.norm()).clamp(max=1)
                cosines.append(F.cosine_similarity(g.flatten(), after.flatten(), dim=0))
            return sum(cosines) / len(cosines)
        """,
    ),
    wrong(
        "short ones made long",
        "a gradient shorter than max_norm is left as it is",
        """
        def direction_kept(gradients, max_norm, per):
            a = torch.cat([g.flatten() for g in gradients])
            if per == "model":
                return 1.0
            b = torch.cat([g.flatten() * max_norm / g.norm() for g in gradients])
            return F.cosine_similarity(a, b, dim=0)
        """,
    ),
    wrong(
        "clipped number by number",
        "clip the norm of a gradient, not each of its numbers",
        """
        def direction_kept(gradients, max_norm, per):
            a = torch.cat([g.flatten() for g in gradients])
            if per == "model":
                return 1.0
            return F.cosine_similarity(a, a.clamp(-max_norm, max_norm), dim=0)
        """,
    ),
    wrong(
        "per parameter in both cases",
        "one factor for all gradients",
        """
        def direction_kept(gradients, max_norm, per):
            a = torch.cat([g.flatten() for g in gradients])
            clipped = [g * (max_norm / g.norm()).clamp(max=1) for g in gradients]
            b = torch.cat([g.flatten() for g in clipped])
            return F.cosine_similarity(a, b, dim=0)
        """,
    ),
    wrong(
        "the dot product without the lengths",
        "the product over both lengths",
        """
        def direction_kept(gradients, max_norm, per):
            clipped = [g * (max_norm / g.norm()).clamp(max=1) for g in gradients]
            return sum((g * k).sum() for g, k in zip(gradients, clipped))
        """,
    ),
    right(
        "with cosine_similarity",
        """
        def direction_kept(gradients, max_norm, per):
            a = torch.cat([g.flatten() for g in gradients])
            parts = [a] if per == "model" else [g.flatten() for g in gradients]
            b = torch.cat([p * (max_norm / p.norm()).clamp(max=1) for p in parts])
            return F.cosine_similarity(a, b, dim=0)
        """,
    ),
    right(
        "from the norms alone",
        """
        def direction_kept(gradients, max_norm, per):
            if per == "model":
                return 1
            n = [g.norm().item() for g in gradients]
            k = [min(x, max_norm) for x in n]
            dot = sum(x * y for x, y in zip(n, k))
            return dot / math.hypot(*n) / math.hypot(*k)
        """,
    ),
]

PLATEAU = """
def plateau_schedule(step, peak, warm_up, decay_from, n_steps, floor=0.0):
    if step < warm_up:
        return peak * (step + 1) / (warm_up + 1)
    if step <= decay_from:
        return peak
    if step >= n_steps:
        return floor
    done = (step - decay_from) / (n_steps - decay_from)
    return peak * (1 - done) + floor * done
"""

PLATEAU_SCHEDULE = [
    wrong(
        "starts at zero",
        "a rate of 0 wastes the first step",
        PLATEAU.replace("(step + 1) / (warm_up + 1)", "step / warm_up"),
    ),
    wrong(
        "warm-up one step too short",
        "the warm-up reaches the peak one step early",
        PLATEAU.replace("/ (warm_up + 1)", "/ warm_up"),
    ),
    wrong(
        "falls on after the end",
        "it must not fall below the floor after the end",
        PLATEAU.replace("step >= n_steps", "step == n_steps"),
    ),
    wrong(
        "down along a cosine",
        "a straight line, not a cosine",
        PLATEAU.replace(
            "return peak * (1 - done)",
            "done = (1 - math.cos(math.pi * done)) / 2\n    return peak * (1 - done)",
        ),
    ),
    wrong(
        "falls to zero before the floor",
        "a straight line from the peak to the floor",
        PLATEAU.replace("peak * (1 - done) + floor * done", "peak * (1 - done)"),
    ),
    wrong(
        "no warm-up",
        "there is no warm-up",
        PLATEAU.replace("step < warm_up", "step < 0"),
    ),
    right("case by case", PLATEAU),
    right(
        "as the lower of two lines",
        """
        def plateau_schedule(step, peak, warm_up, decay_from, n_steps, floor=0.0):
            up = peak * min(1, (step + 1) / (warm_up + 1))
            left = (n_steps - step) / (n_steps - decay_from)
            return min(up, floor + (peak - floor) * min(1, max(0, left)))
        """,
    ),
    wrong(
        "a plateau that dips",
        "straight lines between the corners",
        PLATEAU.replace(
            "return peak\n    if step >= n_steps",
            "return peak * (1 if step in (warm_up, decay_from) else 0.9)"
            "\n    if step >= n_steps",
        ),
    ),
    wrong(
        "a warm-up along a curve",
        "straight lines between the corners",
        PLATEAU.replace(
            "peak * (step + 1) / (warm_up + 1)",
            "peak * ((step + 1) / (warm_up + 1)) ** (1 + (step > 0))",
        ),
    ),
]

ANSWERS = {
    "lowest_loss": LOWEST_LOSS,
    "loss_and_gradient": LOSS_AND_GRADIENT,
    "which_optimiser": WHICH_OPTIMISER,
    "direction_kept": DIRECTION_KEPT,
    "plateau_schedule": PLATEAU_SCHEDULE,
}

_FACTOR = "any factor above 0 leaves the direction of the whole vector"

EQUIVALENT = {
    "lowest_loss": {"return rounded(0.0)": "it is whole"},
    "loss_and_gradient": {
        "….detach()…": "nobody differentiates what is worked out by hand",
        "….logsumexp(1, …": "the last of two axes",
        "… F.one_hot(index, logits.shape[1])": "the last of two axes",
        "….arange(len(logits))…": "there is a row of logits for each target",
    },
    "which_optimiser": {
        "w, m, v = start, …": "nothing is changed in place",
        "decays = kind in (…, …)": "the same two names",
        "names = …": "the same four names: there is no tie",
        "… (end - run(kind)).abs()…": "the absolute difference is the same",
    },
    "direction_kept": {
        'if per <= "model":': "of the two names it is the first",
        "after = before": _FACTOR,
        "after = before …": _FACTOR,
        "return (after @ before …": "a dot product is symmetric",
    },
    "plateau_schedule": {
        "if step <= warm_up:": "at its end the warm-up is at the peak, too",
        "if step < decay_from:": "the way down begins at the peak",
    },
}
