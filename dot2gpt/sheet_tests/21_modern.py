# Made from solutions/ by `make sync`: do not edit.

# %% layer_weights (more is tested when it is handed in)
from dot2gpt.modern import LlamaConfig, LlamaLayer

c = checks.Checks("Exercise 1 · Weights and bytes: a layer")
cases = [(6, 3, 1, 2, 16), (4096, 32, 8, 128, 14336), (48, 6, 2, 14, 77)]
for d, h, g, k, f in cases:
    with torch.device("meta"):  # shapes without numbers
        layer = LlamaLayer(LlamaConfig(1, 1, d, h, g, 1, f, k))
    sizes = {name: w.numel() for name, w in layer.named_parameters()}
    queries, keys, output, gate, norm = (
        sizes[f"{name}.weight"]
        for name in ("attention.w_q", "attention.w_k", "attention.w_o")
        + ("feed_forward.gate", "norm_1")
    )
    want = sum(sizes.values())
    mistakes = {
        "keys and values have n_kv_heads heads, not n_heads": (
            want + 2 * (queries - keys)
        ),
        "the output map is missing": want - output,
        "the output map reads all n_heads heads": want - output + keys,
        "a SwiGLU has three maps, not two": want - gate,
        "there are two norms, one before each half": want - norm,
        "the norms are missing": want - 2 * norm,
        "an RMSNorm has a scale and no shift": want + 2 * norm,
    }
    c.close(
        f"d_model={d}, n_heads={h}, n_kv_heads={g}, d_k={k}, d_ff={f}",
        lambda: layer_weights(d, h, g, k, f),
        want,
        mistakes=mistakes,
        hint="four maps of the attention, three of the net, two norms",
    )
c.report()

# %% cache_bytes (more is tested when it is handed in)
c = checks.Checks("Exercise 1 · Weights and bytes: the cache")
cases = [(32, 8, 128, 8192, 1, 2, 1_073_741_824), (3, 2, 10, 7, 5, 4, 16_800)]
for n, g, k, t, b, size, want in cases:
    mistakes = {
        "keys are kept, and values as well": want / 2,
        "every layer keeps its own": want / n,
        "every text of the batch keeps its own": want / b,
        "these are numbers, not bytes": want / size,
        "what is kept grows with the time, not with its square": want * t,
        "queries are not kept": want * 3 / 2,
    }
    c.close(
        f"{n} layers, {g} heads of {k}, {t} tokens, {b} texts, {size} bytes a number",
        lambda: cache_bytes(n, g, k, t, b, size),
        want,
        mistakes=mistakes,
        hint="keys and values, of each head, layer, token and text",
    )
c.report()

# %% grouped_attention (more is tested when it is handed in)
c = checks.Checks("Exercise 2 · Grouped by hand")
cases = [(0, 2, 6, 2, 5, 5, 3, 3), (1, 1, 4, 2, 2, 7, 4, 5)]
for seed, b, h, g, t, n, d_k, d_v in cases:
    torch.manual_seed(seed)
    q = torch.randn(b, h, t, d_k, dtype=torch.float64)
    k = torch.randn(b, g, n, d_k, dtype=torch.float64)
    v = torch.randn(b, g, n, d_v, dtype=torch.float64)
    late = torch.arange(n) <= torch.arange(n - t, n)[:, None]
    early = torch.arange(n) <= torch.arange(t)[:, None]
    neighbours = [i * g // h for i in range(h)]

    def attend(group, mask, divide, q=q, k=k, v=v):
        scores = q @ k[:, group].mT / divide
        return scores.masked_fill(~mask, -torch.inf).softmax(-1) @ v[:, group]

    root = d_k**0.5
    want = attend(neighbours, late, root)
    mistakes = {
        "neighbouring heads share a group; yours take the groups in turn": (
            attend([i % g for i in range(h)], late, root)
        ),
        "every head reads the first group": attend([0] * h, late, root),
        "the mask is missing: the future is seen": (
            attend(neighbours, late | True, root)
        ),
        "the last query stands at the last key, not the first at the first": (
            attend(neighbours, early, root)
        ),
        "the scores are not divided by the root of d_k": (
            attend(neighbours, late, 1.0)
        ),
        "divide by the root of d_k, not by d_k": attend(neighbours, late, d_k),
    }
    with checks.by_hand("fused attention"):
        c.close(
            f"{h} heads, {g} groups, {t} queries, {n} keys, d_k={d_k}, d_v={d_v}",
            lambda: grouped_attention(q, k, v),
            want,
            mistakes=mistakes,
            hint="each head of queries attends to the keys and values of its group",
        )
c.report()

# %% neighbouring_rows (more is tested when it is handed in)
c = checks.Checks("Exercise 3 · Which rows make a pair")
one_head = {  # d_k: which row of the halves stands at each place
    6: [0, 3, 1, 4, 2, 5],
    10: [0, 5, 1, 6, 2, 7, 3, 8, 4, 9],
}
cases = [(0, 1, 6, 5), (1, 2, 10, 20)]
for seed, h, d_k, width in cases:
    torch.manual_seed(seed)
    weight = torch.randn(h * d_k, width, dtype=torch.float64)
    rows, half, inside = torch.arange(h * d_k), d_k // 2, torch.tensor(one_head[d_k])
    first = rows // d_k * d_k  # of the head of each row
    order, back = first + inside.repeat(h), first + inside.argsort().repeat(h)
    left = (rows % 2 * h * d_k + rows) // 2  # all rows as one head
    exchanged = first + (rows + half) % d_k
    second_first = order.view(-1, 2).flip(1).flatten()
    square = h * d_k == width
    mistakes = {
        "the rows stand as they were": weight,
        "this is the way from neighbours to halves": weight[back],
        "rows have left their head": weight[left],
        "these are the columns: rows make the queries": (
            weight[:, order] if square else None
        ),
        "the halves are exchanged, not interleaved": weight[exchanged],
        "the second of a pair stands before the first": weight[second_first],
    }
    c.close(
        f"{h} heads of {d_k}, {width} columns",
        lambda: neighbouring_rows(weight, h),
        weight[order],
        mistakes=mistakes,
        hint="row i of a head and row i + d_k/2 become rows 2i and 2i + 1",
    )
    x = torch.randn(7, width, dtype=torch.float64)

    def scores(turn, weight, x=x, h=h):
        q = (x @ weight.T).unflatten(-1, (h, -1)).transpose(0, 1)  # (head, time, d_k)
        q = turn(q, torch.arange(7, dtype=torch.float64))
        return q @ q.mT

    c.close(
        f"the scores of {h} heads of {d_k} are the published ones",
        lambda: scores(rotary, neighbouring_rows(weight, h)),
        scores(turned_by_halves, weight),
        hint="the scores differ from those that Hugging Face's pairs give",
    )
c.report()

# %% longer_base (more is tested when it is handed in)
c = checks.Checks("Exercise 4 · A base for a longer text")
cases = [(10_000.0, 128, 4), (10_000.0, 6, 2.5)]
for base, d_k, factor in cases:
    far = torch.tensor([100.0, 100.0 * factor], dtype=torch.float64)  # two ends

    def slowest(new, end, d_k=d_k, far=far):
        return position_angles(far[end], d_k, new)[-1]

    want = slowest(base, 0)
    e = (d_k - 2) / d_k
    wrong = {
        "the base itself times the factor: the slowest pair's exponent is below 1": (
            factor
        ),
        "the exponent is upside down": factor**e,
        "this base is smaller, and turns faster": factor ** (-1 / e),
        "the pairs are numbered to d_k/2 - 1, not to d_k - 1": (
            factor ** (d_k / (2 * d_k - 2))
        ),
        "this is how much slower the pair turns, not the base": factor / base,
    }
    c.close(
        f"the slowest angle at the far end, base={base:g}, d_k={d_k}, factor={factor}",
        lambda: slowest(longer_base(base, d_k, factor), 1),
        want,
        mistakes={text: slowest(base * times, 1) for text, times in wrong.items()},
        hint="with the new base it is not what the old one gave at the end of the "
        "short text",
    )
c.report()

# %% newton_schulz (more is tested when it is handed in)
c = checks.Checks("Exercise 5 · Orthogonal without a decomposition")
cases = [(0, 5, 3, 3), (1, 4, 7, 1)]
for seed, n, m, n_steps in cases:
    torch.manual_seed(seed)
    matrix = 10 * torch.randn(n, m, dtype=torch.float64)
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)

    def after(values, n_steps, u=u, v=v):
        for _ in range(n_steps):
            values = 1.5 * values - 0.5 * values**3
        return u * values @ v

    number_by_number = matrix / s.norm()
    for _ in range(n_steps):
        number_by_number = 1.5 * number_by_number - 0.5 * number_by_number**3
    few = n_steps < 20
    mistakes = {
        "each number is cubed by itself: use matrix products": number_by_number,
        "it is divided by the largest singular value, not by the Frobenius norm": (
            after(s / s[0], n_steps) if few else None
        ),
        "it is not divided by its norm": after(s, n_steps) if n_steps < 4 else None,
        "one step is missing": after(s / s.norm(), n_steps - 1) if few else None,
        "one step too many": after(s / s.norm(), n_steps + 1) if few else None,
        "this is the end of infinitely many steps": (
            u @ v if n_steps < 10 else None
        ),
    }
    c.close(
        f"{n} x {m}, {n_steps} steps",
        lambda: newton_schulz(matrix, n_steps),
        after(s / s.norm(), n_steps),
        mistakes=mistakes,
        hint="divide by the Frobenius norm, then 1.5 X - 0.5 X Xᵀ X in each step",
    )
c.report()
