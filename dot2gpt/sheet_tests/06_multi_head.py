# Made from solutions/ by `make sync`: do not edit.

# %% attention_cost (more is tested when it is handed in)
from torch.utils.flop_counter import FlopCounterMode

c = checks.Checks("Exercise 1 · What heads cost")
# What a count of parameters and products gives with each mistake
sizes = {
    (5, 12, 1): ((576, 468, None), (3180, 2880, None)),
    (5, 12, 3): ((576, 468, 1872), (3180, 2880, 4680)),
    (7, 64, 8): ((16384, 12480, 133120), (117824, 114688, 164864)),
}
whys = (
    "the biases are missing",
    "the output projection is missing",
    "heads are thinner, so more heads add no parameters",
)
product_whys = (
    "the mixing of the values is missing",
    "scores and mixing are missing",
    "each head is d_k wide, not d_model: n_heads heads cost as much as one",
)
for (time, d_model, n_heads), (parameters, products) in sizes.items():
    module = MultiHeadAttention(d_model, n_heads)
    with FlopCounterMode(display=False) as counter:
        kept = module(torch.zeros(1, time, d_model))[1].numel()
    learned = sum(p.numel() for p in module.parameters())
    done = counter.get_total_flops() // 2  # a multiplication and an addition each
    label = f"time={time}, d_model={d_model}, n_heads={n_heads}"
    c.close(
        f"parameters, {label}",
        lambda: attention_cost(time, d_model, n_heads)[0],
        learned,
        mistakes=dict(zip(whys, parameters)),
    )
    c.close(
        f"products, {label}",
        lambda: attention_cost(time, d_model, n_heads)[1],
        done,
        mistakes=dict(zip(product_whys, products))
        | {"multiplications alone are asked, not additions as well": 2 * done},
    )
    c.close(
        f"weights, {label}",
        lambda: attention_cost(time, d_model, n_heads)[2],
        kept,
        mistakes={"every head keeps weights of its own": kept / n_heads},
        hint="count the entries of (n_heads, time, time)",
    )
c.report()

# %% hides (more is tested when it is handed in)
c = checks.Checks("Exercise 2 · A published class that trains: where it hides")
sizes = [(1, 5), (3, 1), (2, 5), (4, 4)]
for n_heads, time in sizes:
    torch.manual_seed(0)
    x = torch.randn(2, time, 24)
    matrices = [torch.randn(24, 24) / 5 for _ in range(4)]
    q, k, v = (split_heads(x @ w, n_heads) for w in matrices[:3])
    true = merge_heads(scaled_dot_product_attention(q, k, v)[0]) @ matrices[3]
    same = torch.allclose(published(x, *matrices, n_heads), true, atol=1e-5)
    if same:
        hint = "the two axes that are swapped: here one of them has length 1"
    elif n_heads == time:
        hint = "equal lengths do not hide it: a transposed square is another square"
    else:
        hint = "here published and true outputs differ: both axes are longer than 1"
    c.that(
        f"n_heads={n_heads}, time={time}",
        lambda: bool(hides(n_heads, time)) == same,
        hint,
    )
c.report()

# %% repaired (more is tested when it is handed in)
c = checks.Checks("Exercise 2 · A published class that trains: mended")
cases = [(0, 2, 5, 12, 3), (1, 1, 7, 8, 1)]


def compare(seed, batch, time, d_model, n_heads):
    torch.manual_seed(seed)
    x = torch.randn(batch, time, d_model, dtype=torch.float64)
    *w, w_o = (torch.randn(d_model, d_model, dtype=x.dtype) / 3 for _ in range(4))
    q, k, v = (split_heads(x @ m, n_heads) for m in w)

    def heads(scale=None):
        return F.scaled_dot_product_attention(q, k, v, scale=scale)

    c.close(
        f"batch={batch}, time={time}, d_model={d_model}, n_heads={n_heads}",
        lambda: repaired(x, *w, w_o, n_heads),
        merge_heads(heads()) @ w_o,
        mistakes={
            "heads and positions are still mixed": published(x, *w, w_o, n_heads),
            "the scale is √d_k of one head, not √d_model": (
                merge_heads(heads(d_model**-0.5)) @ w_o
            ),
            "the scale 1/√d_k is missing": merge_heads(heads(1.0)) @ w_o,
            "the output projection w_o is missing": merge_heads(heads()),
            "the numbers of a head are interleaved with the other heads'": (
                heads().permute(0, 2, 3, 1).flatten(2) @ w_o
            ),
        },
    )


for case in cases:
    compare(*case)
c.report()

# %% contributions (more is tested when it is handed in)
c = checks.Checks("Exercise 3 · The output is a sum over heads")
cases = [(0, 2, 5, 12, 3), (1, 1, 4, 10, 1)]


def one_by_one(module, x):
    """What each head adds: the output with the values of all others at 0."""
    state, found = {k: v.clone() for k, v in module.state_dict().items()}, []
    names = "w_v.weight", "w_v.bias"
    for head in range(module.n_heads):
        for name in names:
            values = torch.zeros_like(state[name]).unflatten(0, (module.n_heads, -1))
            values[head] = state[name].unflatten(0, (module.n_heads, -1))[head]
            module.load_state_dict({name: values.flatten(0, 1)}, strict=False)
        found.append(module(x)[0] - state["w_o.bias"])
    module.load_state_dict(state)
    return torch.stack(found)


def compare(seed, batch, time, d_model, n_heads):
    torch.manual_seed(seed)
    module = MultiHeadAttention(d_model, n_heads).double()
    state = {name: value.clone() for name, value in module.state_dict().items()}
    x = torch.randn(batch, time, d_model, dtype=torch.float64)
    with torch.no_grad():
        whole = module(x)[0] - state["w_o.bias"]
        true = one_by_one(module, x)
        module.w_o.weight.copy_(state["w_o.weight"].T)
        plain = one_by_one(module, x)
    label = f"time={time}, d_model={d_model}, n_heads={n_heads}"
    shape = (n_heads, batch, time, d_model)
    c.shape(f"shape, {label}", lambda: contributions(state, x, n_heads), shape)
    c.close(
        f"each head, {label}",
        lambda: contributions(state, x, n_heads),
        true,
        mistakes={
            "head h meets columns of w_o.weight, not rows": plain,
            "w_o.bias is added to every head": true + state["w_o.bias"],
            "the output is cut into equal parts, not split by head": (
                (whole / n_heads).expand(shape)
            ),
        },
        hint="what one head writes is not right",
    )
    c.close(
        f"their sum, {label}",
        lambda: contributions(state, x, n_heads).sum(0),
        whole,
        hint="the heads do not add up to the output without w_o.bias",
    )


for case in cases:
    compare(*case)
c.report()

# %% to_torch (more is tested when it is handed in)
c = checks.Checks("Exercise 4 · Into PyTorch's module")
# Two numbers a token: the matrices hold 1 to 4, 5 to 8, …, the biases 17, 18; 19, 20; …
small = {
    f"w_{name}.weight": torch.arange(4.0).view(2, 2) + 4 * i + 1
    for i, name in enumerate("qkvo")
} | {
    f"w_{name}.bias": torch.tensor([17.0, 18]) + 2 * i for i, name in enumerate("qkvo")
}
c.close(
    "in_proj_weight, d_model=2",
    lambda: to_torch(small)["in_proj_weight"],
    [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10], [11, 12]],
    mistakes={
        "they lie one below the other (dim 0), not side by side": (
            [[1, 2, 5, 6, 9, 10], [3, 4, 7, 8, 11, 12]]
        ),
        "the order is queries, keys, values": (
            [[5, 6], [7, 8], [1, 2], [3, 4], [9, 10], [11, 12]]
        ),
        "nn.Linear stores its matrix as nn.MultiheadAttention does: "
        "nothing is transposed": [[1, 3], [2, 4], [5, 7], [6, 8], [9, 11], [10, 12]],
    },
)
c.close(
    "in_proj_bias, d_model=2",
    lambda: to_torch(small)["in_proj_bias"],
    [17, 18, 19, 20, 21, 22],
    mistakes={
        "the biases are in another order than the matrices, which is queries, "
        "keys, values": [19, 20, 17, 18, 21, 22],
        "the biases are in another order than queries, keys, values": (
            [17, 18, 21, 22, 19, 20]
        ),
        "the keys' bias is missing: softmax cannot feel it, a reader can": (
            [17, 18, 0, 0, 21, 22]
        ),
        "the biases are all zero": [0] * 6,
    },
)
c.close(
    "out_proj.weight, d_model=2",
    lambda: to_torch(small)["out_proj.weight"],
    [[13, 14], [15, 16]],
    mistakes={
        "out_proj is an nn.Linear, too: nothing is transposed": [[13, 15], [14, 16]]
    },
)
cases = [(0, 12, 3)]
for seed, d_model, n_heads in cases:
    torch.manual_seed(seed)
    ours = MultiHeadAttention(d_model, n_heads).double()
    for parameter in ours.parameters():
        nn.init.normal_(parameter, std=0.5)
    theirs = nn.MultiheadAttention(d_model, n_heads, batch_first=True).double()
    state = {name: value.detach() for name, value in ours.state_dict().items()}
    wanted = list(theirs.state_dict())
    c.that(
        f"names, d_model={d_model}",
        lambda: set(to_torch(state)) == set(wanted),
        f"the names should be {', '.join(wanted)}",
    )
    c.close(
        f"the keys' bias, d_model={d_model}",
        lambda: to_torch(state)["in_proj_bias"][d_model : 2 * d_model],
        state["w_k.bias"],
        hint="softmax cannot feel it, a reader can",
    )
    x = torch.randn(2, 5, d_model, dtype=torch.float64)
    with torch.no_grad():
        true = ours(x)[0]

    def outputs(theirs=theirs, state=state, x=x):
        theirs.load_state_dict(to_torch(state))
        with torch.no_grad():
            return theirs(x, x, x)[0]

    c.close(f"same output, d_model={d_model}", outputs, true, hint="outputs differ")
c.report()

# %% grouped_attention (more is tested when it is handed in)
c = checks.Checks("Exercise 5 · Fewer keys than queries")


def attend(q, k, v):
    with checks.by_hand("fused attention"):
        return grouped_attention(q, k, v)


def first_of(rows, width=4):
    """The rows as the first of `width` numbers; the others are 0."""
    x = torch.tensor(rows, dtype=torch.float64)[None, ..., None]
    return F.pad(x, (0, width - 1))


q = first_of([[1, 2], [0, 3], [2, 1], [3, 0]])
k, v = 2 * math.log(2) * first_of([[0, 1], [2, 0]]), first_of([[6, 0], [0, 30]])
c.close(
    "4 query heads, 2 key heads, by hand: weights are powers of 2",
    lambda: attend(q, k, v)[0, :, :, 0],
    [[2, 1.2], [3, 2 / 3], [30 / 17, 6], [6 / 13, 15]],
    mistakes={
        "neighbouring query heads share a key head: 0, 0, 0, 1, 1, 1": (
            [[2, 1.2], [15, 6 / 13], [1.2, 2], [6 / 13, 15]]
        ),
        "softmax runs over the queries: the weights of each query add to 1": (
            [[3, 3], [3, 3], [15, 15], [15, 15]]
        ),
        "the scale 1/√d_k is missing": (
            [[1.2, 6 / 17], [3, 6 / 65], [30 / 257, 30 / 17], [30 / 4097, 15]]
        ),
        "the query heads stay apart: keys and values are shared, not queries": (
            [[2.485281, 0.9013266], [10 / 11, 10]]
        ),
        "only the keys are shared; the values need the same repeat": (
            [[2, 1.2], [15, 80 / 3], [96 / 17, 4.8], [6 / 13, 15]]
        ),
    },
)
cases = [(0, 6, 2, 5), (1, 4, 4, 3), (2, 4, 1, 3)]
for seed, n_heads, n_groups, time in cases:
    torch.manual_seed(seed)
    q = torch.randn(2, n_heads, time, 7, dtype=torch.float64)
    k, v = torch.randn(2, 2, n_groups, time, 7, dtype=torch.float64)
    c.close(
        f"{n_heads} query heads, {n_groups} key heads, time={time}",
        lambda: attend(q, k, v),
        F.scaled_dot_product_attention(q, k, v, enable_gqa=True),
        hint="not what PyTorch's attention gives with enable_gqa",
    )
c.report()

# %% rank_heads (more is tested when it is handed in)
c = checks.Checks("Exercise 6 · Take a head away")


def make_loss(values, pairs=()):
    """A model with heads worth `values`; those of a pair replace each other."""

    def loss(keep):
        kept = [bool(k) for k in keep]
        if len(kept) != len(values):
            raise ValueError(f"keep has {len(kept)} entries for {len(values)} heads")
        lost = sum(v for v, k in zip(values, kept) if not k)
        spared = sum(min(values[a], values[b]) for a, b in pairs if kept[a] != kept[b])
        return 1.0 + lost - spared

    return loss


# heads, pairs; the order, by the heads alone, and the losses without each head
models = {
    "three heads": ([0.2, 0.9, 0.5], [], [1, 2, 0], None, [1.9, 1.5, 1.2]),
    "two heads that replace each other": (
        [0.9, 0.5, 0.3, 0.2, 0.45],
        [(0, 1)],
        [4, 0, 2, 3, 1],
        [0, 1, 4, 2, 3],
        [1.45, 1.4, 1.3, 1.2, 1.0],
    ),
}
for label, (values, pairs, want, by_heads_alone, losses) in models.items():
    loss, n = make_loss(values, pairs), len(values)
    c.close(
        label,
        lambda: rank_heads(loss, n),
        want,
        mistakes={
            "the most important head comes first: a bigger loss means more": want[::-1],
            "take one head away and keep the others, not the other way round": (
                by_heads_alone
            ),
            "return the numbers of the heads, not their losses": losses,
        },
        hint="the order is not that of the losses without each head",
    )
c.report()
