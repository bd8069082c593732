"""Wrong and right answers to the sheet of chapter 06."""

from tests.answers import right, wrong

COST = """
def attention_cost(time, d_model, n_heads):
    return {}, {}, {}
"""
PARAMETERS = "4 * d_model * (d_model + 1)"
PRODUCTS = "4 * time * d_model**2 + 2 * time**2 * d_model"

HEADS = """
def contributions(state, x, n_heads):
    def project(n):
        y = F.linear(x, state[n + ".weight"], state[n + ".bias"])
        return split_heads(y, n_heads)
    heads, _ = scaled_dot_product_attention(*map(project, ("w_q", "w_k", "w_v")))
    d_k = heads.shape[-1]
    w_o, b_o = state["w_o.weight"], state["w_o.bias"]
    cut = [slice(h * d_k, (h + 1) * d_k) for h in range(n_heads)]
    return {}
"""

MENDED = """
def repaired(x, w_q, w_k, w_v, w_o, n_heads):
    q, k, v = (split_heads(x @ w, n_heads) for w in (w_q, w_k, w_v))
    {}
"""

STATE = """
def to_torch(state):
    q, k, v = (state[f"w_{{n}}.weight"] for n in "qkv")
    bias = torch.cat([state[f"w_{{n}}.bias"] for n in {order!r}])
    return {{"in_proj_weight": {weight}, "in_proj_bias": bias,
            "out_proj.weight": state["w_o.weight"], "out_proj.bias": state["w_o.bias"]}}
"""

GROUPED = """
def grouped_attention(q, k, v):
    share = q.shape[1] // k.shape[1]
    {}
"""

RANK = """
def rank_heads(loss, n_heads):
    heads = range(n_heads)
    {}
"""

ANSWERS = {
    "attention_cost": [
        wrong(
            "parameters grow with the number of heads",
            "more heads add no parameters",
            COST.format("n_heads * " + PARAMETERS, PRODUCTS, "n_heads * time**2"),
        ),
        wrong(
            "no biases",
            "biases are missing",
            COST.format("4 * d_model**2", PRODUCTS, "n_heads * time**2"),
        ),
        wrong(
            "no output projection",
            "output projection is missing",
            COST.format("3 * (d_model**2 + d_model)", PRODUCTS, "n_heads * time**2"),
        ),
        wrong(
            "heads as wide as the model",
            "each head is d_k wide",
            COST.format(
                PARAMETERS,
                "4 * time * d_model**2 + 2 * n_heads * time**2 * d_model",
                "n_heads * time**2",
            ),
        ),
        wrong(
            "FLOPs in place of products",
            "not additions as well",
            COST.format(PARAMETERS, f"2 * ({PRODUCTS})", "n_heads * time**2"),
        ),
        wrong(
            "mixing forgotten",
            "mixing of the values is missing",
            COST.format(
                PARAMETERS,
                "4 * time * d_model**2 + time**2 * d_model",
                "n_heads * time**2",
            ),
        ),
        wrong(
            "one set of weights",
            "every head keeps weights of its own",
            COST.format(PARAMETERS, PRODUCTS, "time**2"),
        ),
        right(
            "head by head",
            """
            def attention_cost(time, d_model, n_heads):
                d_k = d_model // n_heads
                per_head = 3 * time * d_model * d_k + 2 * time * time * d_k
                products = n_heads * per_head + time * d_model * d_model
                return 4 * d_model * d_model + 4 * d_model, products, n_heads * time**2
            """,
        ),
        right(
            "asking the module for the parameters",
            """
            def attention_cost(time, d_model, n_heads):
                module = MultiHeadAttention(d_model, n_heads)
                parameters = sum(p.numel() for p in module.parameters())
                products = 2 * time * d_model * (2 * d_model + time)
                return parameters, products, time * n_heads * time
            """,
        ),
    ],
    "hides": [
        wrong(
            "only one head",
            "one of them has length 1",
            "def hides(n_heads, time):\n    return n_heads == 1",
        ),
        wrong(
            "only one token",
            "one of them has length 1",
            "def hides(n_heads, time):\n    return time == 1",
        ),
        wrong(
            "equal lengths",
            "a transposed square is another square",
            "def hides(n_heads, time):\n    return n_heads == time or n_heads == 1",
        ),
        wrong(
            "divisible lengths",
            "published and true outputs differ",
            "def hides(n_heads, time):\n"
            "    return n_heads == 1 or time % n_heads == 0 or time == 1",
        ),
        wrong(
            "never",
            "one of them has length 1",
            "def hides(n_heads, time):\n    return False",
        ),
        right("the shorter axis", "def hides(h, t):\n    return min(h, t) == 1"),
        right(
            "by experiment",
            """
            def hides(n_heads, time):
                x = torch.arange(n_heads * time).view(1, time, n_heads)
                return torch.equal(x.permute(0, 2, 1).flatten(), x.flatten())
            """,
        ),
    ],
    "repaired": [
        wrong(
            "unchanged",
            "heads and positions are still mixed",
            """
            def repaired(x, w_q, w_k, w_v, w_o, n_heads):
                return published(x, w_q, w_k, w_v, w_o, n_heads)
            """,
        ),
        wrong(
            "scaled by d_model",
            "√d_k of one head, not √d_model",
            MENDED.format(
                "a = (q @ k.mT / math.sqrt(x.shape[-1])).softmax(-1)\n"
                "    return merge_heads(a @ v) @ w_o"
            ),
        ),
        wrong(
            "not scaled",
            "1/√d_k is missing",
            MENDED.format("return merge_heads((q @ k.mT).softmax(-1) @ v) @ w_o"),
        ),
        wrong(
            "no output projection",
            "w_o is missing",
            MENDED.format(
                "return merge_heads(scaled_dot_product_attention(q, k, v)[0])"
            ),
        ),
        wrong(
            "features before heads",
            "interleaved with the other heads'",
            MENDED.format(
                "out = scaled_dot_product_attention(q, k, v)[0]\n"
                "    return out.permute(0, 2, 3, 1).flatten(2) @ w_o"
            ),
        ),
        right(
            "with the lesson's functions",
            MENDED.format(
                "return merge_heads(scaled_dot_product_attention(q, k, v)[0]) @ w_o"
            ),
        ),
        right(
            "a loop over heads",
            """
            def repaired(x, w_q, w_k, w_v, w_o, n_heads):
                outs = []
                for q, k, v in zip(*((x @ w).chunk(n_heads, -1) for w in (w_q, w_k, w_v))):
                    a = torch.softmax(q @ k.transpose(1, 2) / q.shape[-1] ** 0.5, -1)
                    outs.append(a @ v)
                return torch.cat(outs, -1) @ w_o
            """,
        ),
    ],
    "contributions": [
        wrong(
            "rows of w_o",
            "columns of w_o.weight, not rows",
            HEADS.format(
                "torch.stack([heads[:, h] @ w_o[s] for h, s in enumerate(cut)])"
            ),
        ),
        wrong(
            "the bias in every head",
            "added to every head",
            HEADS.format(
                "torch.stack([heads[:, h] @ w_o[:, s].T + b_o"
                " for h, s in enumerate(cut)])"
            ),
        ),
        wrong(
            "equal parts of the output",
            "cut into equal parts",
            HEADS.format(
                "(merge_heads(heads) @ w_o.T / n_heads).expand(n_heads, *x.shape)"
            ),
        ),
        wrong(
            "the batch first",
            "its shape is",
            HEADS.format(
                "torch.stack([heads[:, h] @ w_o[:, s].T"
                " for h, s in enumerate(cut)], dim=1)"
            ),
        ),
        wrong(
            "the value bias left out",
            "what one head writes is not right",
            """
            def contributions(state, x, n_heads):
                bias = dict(w_q=state["w_q.bias"], w_k=state["w_k.bias"], w_v=None)
                q, k, v = (
                    split_heads(F.linear(x, state[n + ".weight"], b), n_heads)
                    for n, b in bias.items()
                )
                heads, _ = scaled_dot_product_attention(q, k, v)
                parts = state["w_o.weight"].chunk(n_heads, 1)
                return torch.stack([heads[:, h] @ p.T for h, p in enumerate(parts)])
            """,
        ),
        right(
            "einsum",
            HEADS.format(
                'torch.einsum("bhtk,dhk->hbtd", heads, w_o.unflatten(1, (n_heads, d_k)))'
            ),
        ),
        right(
            "all heads but one set to zero",
            """
            def contributions(state, x, n_heads):
                q, k, v = (
                    split_heads(x @ state[n + ".weight"].T + state[n + ".bias"], n_heads)
                    for n in ("w_q", "w_k", "w_v")
                )
                heads = F.scaled_dot_product_attention(q, k, v)
                out = []
                for h in range(n_heads):
                    only = torch.zeros_like(heads)
                    only[:, h] = heads[:, h]
                    out.append(merge_heads(only) @ state["w_o.weight"].T)
                return torch.stack(out)
            """,
        ),
    ],
    "to_torch": [
        wrong(
            "side by side",
            "not side by side",
            STATE.format(order="qkv", weight="torch.cat([q, k, v], dim=1)"),
        ),
        wrong(
            "keys first",
            "the order is queries, keys, values",
            STATE.format(order="kqv", weight="torch.cat([k, q, v])"),
        ),
        wrong(
            "transposed",
            "nothing is transposed",
            STATE.format(order="qkv", weight="torch.cat([q.T, k.T, v.T])"),
        ),
        wrong(
            "our own names",
            "the names should be in_proj_weight",
            "def to_torch(state):\n    return dict(state)",
        ),
        wrong(
            "biases in another order",
            "outputs differ",
            STATE.format(order="vkq", weight="torch.cat([q, k, v])"),
        ),
        right("torch.cat", STATE.format(order="qkv", weight="torch.cat([q, k, v])")),
        right(
            "through a new module",
            """
            def to_torch(state):
                d = state["w_q.weight"].shape[0]
                new = nn.MultiheadAttention(d, 1, batch_first=True).state_dict()
                for i, n in enumerate("qkv"):
                    new["in_proj_weight"][i * d : (i + 1) * d] = state[f"w_{n}.weight"]
                    new["in_proj_bias"][i * d : (i + 1) * d] = state[f"w_{n}.bias"]
                for n in ("weight", "bias"):
                    new["out_proj." + n] = state["w_o." + n]
                return new
            """,
        ),
        wrong(
            "no bias for the keys",
            "softmax cannot feel it",
            STATE.format(order="qkv", weight="torch.cat([q, k, v])").replace(
                "torch.cat([state", "torch.cat([(n != 'k') * state"
            ),
        ),
        wrong(
            "out_proj transposed",
            "out_proj is an nn.Linear, too",
            STATE.format(order="qkv", weight="torch.cat([q, k, v])").replace(
                'state["w_o.weight"]', 'state["w_o.weight"].T'
            ),
        ),
    ],
    "grouped_attention": [
        wrong(
            "repeat",
            "neighbouring query heads share a key head",
            GROUPED.format(
                "k, v = (x.repeat(1, share, 1, 1) for x in (k, v))\n"
                "    return scaled_dot_product_attention(q, k, v)[0]"
            ),
        ),
        wrong(
            "not scaled",
            "1/√d_k is missing",
            GROUPED.format(
                "k, v = (x.repeat_interleave(share, 1) for x in (k, v))\n"
                "    return (q @ k.mT).softmax(-1) @ v"
            ),
        ),
        wrong(
            "query heads averaged",
            "the query heads stay apart",
            GROUPED.format(
                "q = q.unflatten(1, (k.shape[1], share)).mean(2)\n"
                "    return scaled_dot_product_attention(q, k, v)[0]"
            ),
        ),
        wrong(
            "values tiled",
            "the values need the same repeat",
            GROUPED.format(
                "k, v = k.repeat_interleave(share, 1), v.repeat(1, share, 1, 1)\n"
                "    return scaled_dot_product_attention(q, k, v)[0]"
            ),
        ),
        wrong(
            "delegated",
            "may not be used here",
            "def grouped_attention(q, k, v):\n"
            "    return F.scaled_dot_product_attention(q, k, v, enable_gqa=True)",
        ),
        wrong(
            "no repeat at all",
            "RuntimeError",
            "def grouped_attention(q, k, v):\n"
            "    return scaled_dot_product_attention(q, k, v)[0]",
        ),
        right(
            "an axis for the group",
            GROUPED.format(
                "q = q.unflatten(1, (k.shape[1], share))\n"
                "    out, _ = scaled_dot_product_attention(q, k[:, :, None], v[:, :, None])\n"
                "    return out.flatten(1, 2)"
            ),
        ),
        right(
            "a loop over query heads",
            GROUPED.format(
                "out = []\n"
                "    for h in range(q.shape[1]):\n"
                "        score = q[:, h] @ k[:, h // share].mT / q.shape[-1] ** 0.5\n"
                "        out.append(score.softmax(-1) @ v[:, h // share])\n"
                "    return torch.stack(out, 1)"
            ),
        ),
        wrong(
            "softmax over the queries",
            "softmax runs over the queries",
            """
            def grouped_attention(q, k, v):
                share = q.shape[1] // k.shape[1]
                k, v = (x.repeat_interleave(share, dim=1) for x in (k, v))
                scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
                return scores.softmax(-2) @ v
            """,
        ),
    ],
    "rank_heads": [
        wrong(
            "least important first",
            "the most important head comes first",
            RANK.format(
                "return sorted(heads, key=lambda g: loss([h != g for h in heads]))"
            ),
        ),
        wrong(
            "one head alone",
            "not the other way round",
            RANK.format(
                "return sorted(heads, key=lambda g: loss([h == g for h in heads]))"
            ),
        ),
        wrong(
            "losses in place of heads",
            "not their losses",
            RANK.format(
                "return sorted((loss([h != g for h in heads]) for g in heads),"
                " reverse=True)"
            ),
        ),
        wrong(
            "one after the other",
            "the order is not that of the losses",
            """
            def rank_heads(loss, n_heads):
                keep, order = [True] * n_heads, []
                while any(keep):
                    def without(h):
                        return loss([k and i != h for i, k in enumerate(keep)])
                    worst = max((h for h in range(n_heads) if keep[h]), key=without)
                    keep[worst] = False
                    order.append(worst)
                return order
            """,
        ),
        right(
            "argsort",
            RANK.format(
                "gone = [loss([h != g for h in heads]) for g in heads]\n"
                "    return torch.tensor(gone).argsort(descending=True).tolist()"
            ),
        ),
        right(
            "a loop",
            """
            def rank_heads(loss, n_heads):
                hurt = {}
                for gone in range(n_heads):
                    keep = [True] * n_heads
                    keep[gone] = False
                    hurt[gone] = loss(keep) - loss([True] * n_heads)
                return sorted(hurt, key=hurt.get, reverse=True)
            """,
        ),
    ],
}

EQUIVALENT = {
    "hides": {
        "return n_heads <= 1 or time == 1": "there is no number of heads below 1",
        "return n_heads == 1 or time <= 1": "there is no time below 1",
    },
    "repaired": {"d_k = -(-d_model // n_heads)": "n_heads divides d_model"},
    "grouped_attention": {
        "share = -(-q.shape[1] // k.shape[1])": "n_groups divides n_heads",
        "share = q.shape[1] // v.shape[1]": "there are as many values as keys",
        "return spoiling(k, …": "k is a copy by then",
        "return spoiling(v, …": "v is a copy by then",
    },
    "rank_heads": {
        "without = …gone in range(0, n_heads + 1)]": "one loss more, not read",
    },
}
