# Made from solutions/ by `make sync`: do not edit.

# %% attention_cost (more is tested when it is handed in)
from torch.utils.flop_counter import FlopCounterMode

c = checks.Checks("Exercise 1 · What heads cost")
sizes = [(5, 12, 1), (5, 12, 3), (7, 64, 8)]
for time, d_model, n_heads in sizes:
    module = MultiHeadAttention(d_model, n_heads)
    with FlopCounterMode(display=False) as counter:
        kept = module(torch.zeros(1, time, d_model))[1].numel()
    learned = sum(p.numel() for p in module.parameters())
    done = counter.get_total_flops() // 2  # a multiplication and an addition each
    square, label = d_model**2, f"time={time}, d_model={d_model}, n_heads={n_heads}"
    c.close(
        f"parameters, {label}",
        lambda: attention_cost(time, d_model, n_heads)[0],
        learned,
        mistakes={
            "the biases are missing": 4 * square,
            "the output projection is missing": 3 * (square + d_model),
            "heads are thinner, so more heads add no parameters": lambda: (
                n_heads * learned
            ),
        },
    )
    c.close(
        f"products, {label}",
        lambda: attention_cost(time, d_model, n_heads)[1],
        done,
        mistakes={
            "the mixing of the values is missing": done - time**2 * d_model,
            "scores and mixing are missing": 4 * time * square,
            "each head is d_k wide, not d_model: n_heads heads cost as much as one": (
                4 * time * square + 2 * time**2 * d_model * n_heads
            ),
            "multiplications alone are asked, not additions as well": 2 * done,
        },
    )
    c.close(
        f"weights, {label}",
        lambda: attention_cost(time, d_model, n_heads)[2],
        kept,
        mistakes={"every head keeps weights of its own": time**2},
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


def compare(seed, batch, time, d_model, n_heads):
    torch.manual_seed(seed)
    module = MultiHeadAttention(d_model, n_heads).double()
    state = {name: value.detach() for name, value in module.state_dict().items()}
    x = torch.randn(batch, time, d_model, dtype=torch.float64)
    with torch.no_grad():
        whole = module(x)[0] - state["w_o.bias"]
        heads = scaled_dot_product_attention(*module.project(x, x, x))[0]
        each = heads.transpose(0, 1)  # (n_heads, batch, time, d_k)
        width = d_model // n_heads
        w_o = state["w_o.weight"]
        true = torch.stack(
            [each[h] @ w_o[:, h * width : (h + 1) * width].T for h in range(n_heads)]
        )
        plain = torch.stack(
            [each[h] @ w_o[h * width : (h + 1) * width] for h in range(n_heads)]
        )
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
cases = [(0, 12, 3)]
for seed, d_model, n_heads in cases:
    torch.manual_seed(seed)
    ours = MultiHeadAttention(d_model, n_heads).double()
    for parameter in ours.parameters():
        nn.init.normal_(parameter, std=0.5)
    theirs = nn.MultiheadAttention(d_model, n_heads, batch_first=True).double()
    state = {name: value.detach() for name, value in ours.state_dict().items()}
    w_q, w_k, w_v = (state[f"w_{n}.weight"] for n in "qkv")
    wanted = {name: tuple(value.shape) for name, value in theirs.state_dict().items()}
    c.that(
        f"names, d_model={d_model}",
        lambda: set(to_torch(state)) == set(wanted),
        f"the names should be {', '.join(wanted)}",
    )
    c.close(
        f"in_proj_weight, d_model={d_model}",
        lambda: to_torch(state)["in_proj_weight"],
        torch.cat([w_q, w_k, w_v]),
        mistakes={
            "they lie one below the other (dim 0), not side by side": torch.cat(
                [w_q, w_k, w_v], dim=1
            ),
            "the order is queries, keys, values": torch.cat([w_k, w_q, w_v]),
            "nn.Linear stores its matrix as nn.MultiheadAttention does: "
            "nothing is transposed": torch.cat([w_q.T, w_k.T, w_v.T]),
        },
    )
    b_q, b_k, b_v = (state[f"w_{n}.bias"] for n in "qkv")
    c.close(
        f"in_proj_bias, d_model={d_model}",
        lambda: to_torch(state)["in_proj_bias"],
        torch.cat([b_q, b_k, b_v]),
        mistakes={
            "the biases are in another order than the matrices, which is queries, "
            "keys, values": torch.cat([b_k, b_q, b_v]),
            "the biases are in another order than queries, keys, values": torch.cat(
                [b_q, b_v, b_k]
            ),
            "the keys' bias is missing: softmax cannot feel it, a reader can": (
                torch.cat([b_q, 0 * b_k, b_v])
            ),
            "the biases are all zero": torch.zeros(3 * d_model),
        },
    )
    w_o = state["w_o.weight"]
    c.close(
        f"out_proj.weight, d_model={d_model}",
        lambda: to_torch(state)["out_proj.weight"],
        w_o,
        mistakes={"out_proj is an nn.Linear, too: nothing is transposed": w_o.T},
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
cases = [(0, 6, 2, 5), (1, 4, 4, 3), (2, 4, 1, 3)]


def compare(seed, n_heads, n_groups, time):
    torch.manual_seed(seed)
    q = torch.randn(2, n_heads, time, 7, dtype=torch.float64)
    k = torch.randn(2, n_groups, time, 7, dtype=torch.float64)
    v = torch.randn(2, n_groups, time, 7, dtype=torch.float64)
    share = n_heads // n_groups
    true = F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
    tiled = [x.repeat(1, share, 1, 1) for x in (k, v)]
    near = [x.repeat_interleave(share, dim=1) for x in (k, v)]
    pooled = q.unflatten(1, (n_groups, share)).mean(2)
    mistakes = {
        "neighbouring query heads share a key head: 0, 0, 0, 1, 1, 1": (
            F.scaled_dot_product_attention(q, *tiled)
        ),
        "softmax runs over the queries: the weights of each query add to 1": (
            (q @ near[0].mT / 7**0.5).softmax(-2) @ near[1]
        ),
        "the scale 1/√d_k is missing": (
            F.scaled_dot_product_attention(q, *near, scale=1.0)
        ),
        "the query heads stay apart: keys and values are shared, not queries": (
            F.scaled_dot_product_attention(pooled, k, v)
        ),
        "only the keys are shared; the values need the same repeat": (
            F.scaled_dot_product_attention(q, near[0], tiled[1])
        ),
    }

    def attend():
        with checks.by_hand("fused attention"):
            return grouped_attention(q, k, v)

    label = f"{n_heads} query heads, {n_groups} key heads, time={time}"
    c.close(label, attend, true, mistakes=mistakes)


for case in cases:
    compare(*case)
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


models = {"three heads": ([0.2, 0.9, 0.5], [])}
models["two heads that replace each other"] = ([0.9, 0.5, 0.3, 0.2, 0.45], [(0, 1)])
for label, (values, pairs) in models.items():
    loss, n = make_loss(values, pairs), len(values)
    gone = [loss([h != g for h in range(n)]) for g in range(n)]
    alone = [loss([h == g for h in range(n)]) for g in range(n)]
    c.close(
        label,
        lambda: rank_heads(loss, n),
        sorted(range(n), key=lambda h: -gone[h]),
        mistakes={
            "the most important head comes first: a bigger loss means more": (
                sorted(range(n), key=lambda h: gone[h])
            ),
            "take one head away and keep the others, not the other way round": (
                sorted(range(n), key=lambda h: alone[h])
            ),
            "return the numbers of the heads, not their losses": sorted(gone)[::-1],
        },
        hint="the order is not that of the losses without each head",
    )
c.report()
