# Made from solutions/ by `make sync`: do not edit.

# %% renumber (more is tested when it is handed in)
c = checks.Checks("Exercise 1 · Rows and scores")
cases = {"a batch of 2 x 3": torch.tensor([[100069, 220, 7], [220, 88861, 7]])}
for label, ids in cases.items():
    flat = ids.flatten().tolist()
    names = sorted(set(flat))
    want = torch.tensor([names.index(id) for id in flat]).view(ids.shape)
    first = list(dict.fromkeys(flat))
    by_first = torch.tensor([first.index(id) for id in flat]).view(ids.shape)
    repeated = torch.tensor([sorted(flat).index(id) for id in flat]).view(ids.shape)
    wrong = {
        "the numbers start at 0, not at 1": want + 1,
        "a smaller id gets a smaller number, whichever comes first": by_first,
        "an id that comes twice must not use up two numbers": repeated,
        "the new ids have to keep the shape of the batch": want.flatten(),
    }

    c.close(f"new ids, {label}", lambda: renumber(ids)[0], want, mistakes=wrong)
    c.close(
        f"old ids, {label}",
        lambda: renumber(ids)[1],
        names,
        mistakes={
            "a smaller id gets a smaller number, whichever comes first": first,
            "an id that comes twice must not use up two numbers": sorted(flat),
        },
        hint="old has one entry for each different id",
    )
c.report()

# %% feed_forward_layer (more is tested when it is handed in)
c = checks.Checks("Exercise 2 · A layer that never learns")
sizes = [(5, 13, (3, 7, 5)), (7, 3, (2, 7))]
for d_model, d_ff, shape in sizes:
    draw = torch.Generator().manual_seed(d_model)
    x = torch.randn(shape, generator=draw)
    shapes = {
        "norm.weight": (d_model,),
        "norm.bias": (d_model,),
        "widen.weight": (d_ff, d_model),
        "widen.bias": (d_ff,),
        "narrow.weight": (d_model, d_ff),
        "narrow.bias": (d_model,),
    }
    state = {n: torch.randn(s, generator=draw) for n, s in shapes.items()}
    label = f"{d_model} to {d_ff}"

    def made():
        layer = feed_forward_layer(d_model, d_ff)
        found = [name for name, _ in layer.named_parameters()]  # before any call
        missing = ", ".join(name for name in shapes if name not in found)
        if missing:
            raise checks.Wrong(
                f"before its first call the layer has no parameter {missing}; it has "
                f"{', '.join(found) or 'none'}: make the parts in __init__ and keep "
                "them as attributes"
            )
        layer(x)
        if len(list(layer.named_parameters())) > len(shapes):
            raise checks.Wrong("the layer has more parameters than the three parts")
        return layer

    def filled():
        layer = made()
        layer.load_state_dict(state)
        return layer

    def gradients():
        layer = made()
        weights = dict(layer.named_parameters())
        found = torch.autograd.grad(
            layer(x).square().sum(), list(weights.values()), allow_unused=True
        )
        none = [name for name, g in zip(weights, found) if g is None]
        if none:
            raise checks.Wrong(
                f"{', '.join(none)} gets no gradient: the forward pass does not use "
                "it, or cuts it off"
            )
        return True

    def twice():
        layer = made()
        if not torch.equal(layer(x), layer(x)):
            raise checks.Wrong("two calls disagree: forward makes new random maps")
        return True

    def reference(x=x, norm_first=True, residual=True, relu=True, onto=None):
        def norm(x):
            weight, bias = state["norm.weight"], state["norm.bias"]
            return F.layer_norm(x, x.shape[-1:], weight, bias)

        h = F.linear(norm(x) if norm_first else x, state["widen.weight"])
        h = h + state["widen.bias"]
        out = F.linear(F.relu(h) if relu else h, state["narrow.weight"])
        out = out + state["narrow.bias"] + (x if onto is None else norm(x)) * residual
        return out if norm_first else norm(out)

    def back(forward, **options):
        """The gradient of the sum of squares in x."""
        leaf = x.clone().requires_grad_()
        return torch.autograd.grad(forward(leaf, **options).square().sum(), leaf)[0]

    c.that(f"two calls agree, {label}", twice)
    c.that(f"all parameters get a gradient, {label}", gradients)
    c.close(
        f"the output, {label}",
        lambda: filled()(x),
        reference(),
        atol=1e-4,
        mistakes={
            "nothing is added to x: the residual is missing": reference(residual=False),
            "the norm comes before the maps, not after the sum": reference(
                norm_first=False
            ),
            "ReLU is missing": reference(relu=False),
            "the residual adds x as it came, not its norm": reference(onto="norm"),
        },
    )
    c.close(
        f"the gradient that reaches x, {label}",
        lambda: back(filled()),
        back(reference),
        atol=1e-3,
        mistakes={
            "the residual passes no gradient": back(
                lambda leaf: reference(leaf, residual=False) + x
            ),
        },
    )
c.report()

# %% accumulated_gradient (more is tested when it is handed in)
c = checks.Checks("Exercise 3 · A big batch in small pieces")
by_hand = [  # all logits are 0, so p is ½
    (torch.tensor([[1.0], [2.0], [5.0]]), torch.tensor([0, 1, -1])),
    (torch.tensor([[4.0], [3.0]]), torch.tensor([0, -1])),
]
c.close(
    "pieces of 3 and 2, a place of each padded, by hand",
    lambda: accumulated_gradient(torch.zeros(1, 2), by_hand),
    [[-0.5, 0.5]],
    mistakes={
        "the mean of the pieces' means is not the mean of the batch": [[-0.875, 0.875]],
        "the pieces' means are added, not averaged": [[-1.75, 1.75]],
        "the sum is not divided by what counts": [[-1.5, 1.5]],
        "padding counts in the number that you divide by": [[-0.3, 0.3]],
        "only the last piece is left: the gradients must add up": [[-2 / 3, 2 / 3]],
        "only the last piece is left, with its own mean: the gradients must add up": (
            [[-2.0, 2.0]]
        ),
    },
)
cases = {
    "pieces of 3 and 1": [[1, 0, 2], [3]],
    "with padding": [[1, -1, -1, 2], [0, 3, 1, 4]],
    "one target": [[-1, 2], [-1]],
}
for seed, (label, wanted) in enumerate(cases.items()):
    draw = torch.Generator().manual_seed(seed)
    weight = torch.randn(7, 5, generator=draw, dtype=torch.float64)
    pieces = [
        (torch.randn(len(t), 7, generator=draw, dtype=torch.float64), torch.tensor(t))
        for t in wanted
    ]
    whole = nn.Linear(7, 5, bias=False)
    whole.weight = nn.Parameter(weight.T.clone())
    x, y = (torch.cat(parts) for parts in zip(*pieces))
    F.cross_entropy(whole(x), y, ignore_index=-1).backward()
    c.close(
        label,
        lambda: accumulated_gradient(weight, pieces),
        whole.weight.grad.T,
        atol=1e-5,
        hint="compare with the gradient of the whole batch at once",
    )
padding = [(torch.ones(1, 2), torch.tensor([-1]))]
c.close(
    "all padding",
    lambda: accumulated_gradient(torch.ones(2, 3), padding),
    torch.zeros(2, 3),
    hint="nothing counts: do not divide by 0",
)
c.report()

# %% time_for_share (more is tested when it is handed in)
c = checks.Checks("Exercise 4 · When attention takes over")
# d_model, d_ff, share: the time; with no feed-forward net, with no matrices of
# attention, against the rest, of the matrices
cases = {
    (768, 3072, 0.5): (4608, 1536, 3072, 2304, 4608),
    (128, 512, 0.25): (256, 256 / 3, 512 / 3, 192, 2304),
    (50, 130, 0.3): (690 / 7, 300 / 7, 390 / 7, 69, 1610 / 3),
    (50, 129, 0.3): (687 / 7, 300 / 7, 387 / 7, 68.7, 1603 / 3),
}
for (d, f, share), (want, no_net, no_maps, to_rest, of_maps) in cases.items():
    time = round(want)
    whole = GPTConfig(1, context_length=time, d_model=d, n_heads=1, n_layers=2, d_ff=f)
    layers = n_flops(whole, 1, time) - 2 * time * d  # without the one score
    if abs(time - want) < 1e-9:
        assert abs(8 * time * time * d / layers - share) < 1e-9
    mistakes = {
        "not rounded, please: a length need not be a whole number here": time,
        "rounded up: a length need not be a whole number here": math.ceil(want),
        "rounded down: a length need not be a whole number here": math.floor(want),
        "the mix costs as much as the scores: count both": 2 * want,
        "the feed-forward net is missing": no_net,
        "attention's four matrices are missing": no_maps,
        "this takes attention against the rest, not against all": to_rest,
        "the share is of attention itself, not of the matrices": of_maps,
        "a product costs a multiplication and an addition everywhere": want / 2,
    }
    c.close(
        f"d_model {d}, d_ff {f}, share {share}",
        lambda: float(time_for_share(d, f, share)),
        want,
        atol=1e-6,
        mistakes=mistakes,
        hint=f"at this time attention is not {share} of a layer",
    )
c.report()

# %% predicted_lines (more is tested when it is handed in)
c = checks.Checks("Exercise 5 · Predict the lines")
bits = "this is in bits: use the natural logarithm"
nan = "0 ln 0 counts as 0, not as NaN"
unsettled = "how often the tokens come is not settled"
swings = [  # what many steps leave of a chain that goes back and forth
    f"{unsettled}: from {start} it swings for ever, solve for it ({steps} steps)"
    for steps in (1000, 1001)
    for start in ("token 0", "all alike")
]
rows_whys = (
    "rows of frequent tokens weigh more: weight the entropies",
    "the rows have to be weighted, not added",
    "chain[i, j] goes from i to j: rows, not columns",
)
# the three lines; the unigram line after one step, and where a swing ends; the bigram
# line with equal weights, added, by columns
cases = {
    "two tokens": (
        [[0.9, 0.1], [0.4, 0.6]],
        (0.6931472, 0.5004024, 0.3946687),
        [0.6474466],
        (0.4990473, 0.9980946, 0.5758167),
    ),
    "in turn": (
        [[0.0, 1.0, 0.0], [0.0, 0.5, 0.5], [1.0, 0.0, 0.0]],
        (1.0986123, 1.0397208, 0.3465736),
        [1.011404],
        (0.2310491, 0.6931472, 0.3182571),
    ),
    "a star": (
        [[0.0, 0.5, 0.5], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]],
        (1.0986123, 1.0397208, 0.3465736),
        [0.8675632, 0.0, 1.0986123, 0.6931472, 0.8675632],
        (0.2310491, 0.6931472, None),
    ),
}
for label, (rows, want, steps, wrong) in cases.items():
    chain = torch.tensor(rows, dtype=torch.float64)
    uniform, unigram, _ = want
    zeros = {nan: math.nan if (chain == 0).any() else None}
    mistakes = (
        {},
        dict(zip([unsettled, *swings], steps + [None] * 4))
        | {"the tokens do not all come equally often": uniform}
        | zeros,
        dict(zip(rows_whys, wrong))
        | {"given the token before, less is left than without it": unigram}
        | zeros,
    )
    for number, name in enumerate(("uniform", "unigram", "bigram")):
        c.close(
            f"{name}, {label}",
            lambda: float(predicted_lines(chain)[number]),
            want[number],
            atol=1e-6,
            mistakes=mistakes[number] | {bits: want[number] / math.log(2)},
        )
c.report()

# %% tied_gradients (more is tested when it is handed in)
c = checks.Checks("Exercise 6 · One table, two gradients")


def by_hand(table, ids, targets):
    with checks.by_hand("cross-entropy", "autograd"):
        return tied_gradients(table, torch.tensor(ids), torch.tensor(targets))


table = torch.tensor([[1.0], [0], [-2], [2]], dtype=torch.float64)
want = torch.tensor(
    [[0.1773911, 0.0, 0.0, 0.5665451], [-0.0963707, -0.6158556, 0.0044001, 0.7078261]]
)[..., None]
p_alone = [
    [[0.5107244], [0.0], [0.0], [1.233212]],
    [[0.2369626], [0.0508111], [0.0044001], [1.374493]],
]
own = (
    {
        "an id that comes twice adds up; this keeps its last place alone": (
            [[0.1773911], [0.0], [0.0], [-0.0500608]]
        )
    },
    {
        "every row of the output layer gets a gradient, seen or not": (
            [[-0.0963707], [0.0], [0.0], [0.7078261]]
        )
    },
)
for number, name in enumerate(("as input", "as output")):
    c.close(
        f"{name}, a table of four numbers",
        lambda: by_hand(table, [3, 0, 3], [1, 0, 3])[number],
        want[number],
        mistakes=own[number]
        | {
            "the mean divides by the number of places": want[number] * 3,
            "y is missing: this is p alone": p_alone[number],
            "the two gradients are swapped": want[1 - number],
            "the two uses are asked for one by one, not their sum": want.sum(0),
            "the wrong sign": -want[number],
        },
    )
cases = {"an id comes twice": ([2, 0, 2], [1, 2, 3])}
cases["four places"] = ([0, 1, 1, 4], [1, 1, 4, 1])
for seed, (label, (ids, targets)) in enumerate(cases.items()):
    draw = torch.Generator().manual_seed(seed)
    table = torch.randn(5, 3, generator=draw, dtype=torch.float64)
    reads, scores = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
    for layer in (reads, scores):
        layer.weight = nn.Parameter(table.clone())
    F.cross_entropy(scores(reads(torch.tensor(ids))), torch.tensor(targets)).backward()
    for number, layer in enumerate((reads, scores)):
        c.close(
            f"{('as input', 'as output')[number]}, {label}",
            lambda: by_hand(table, ids, targets)[number],
            layer.weight.grad,
            atol=1e-9,
            hint="not what autograd finds with two tables of the same numbers",
        )
c.report()
