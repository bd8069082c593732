"""Wrong and right answers to the sheet of chapter 21."""

from tests.answers import right, wrong

WEIGHTS = """
def layer_weights(d_model, n_heads, n_kv_heads, d_k, d_ff):
    attention = d_model * d_k * ({heads})
    return attention + {maps} * d_model * d_ff + {norms} * d_model
"""
COUNTS = {"heads": "2 * n_heads + 2 * n_kv_heads", "maps": "3", "norms": "2"}

BYTES = """
def cache_bytes(n_layers, n_kv_heads, d_k, time, batch, n_bytes):
    return {}
"""

GROUPED = """
def grouped_attention(q, k, v):
    shared = q.shape[1] // k.shape[1]
    k, v = {keys}, {values}
    mask = {mask}
    return scaled_dot_product_attention({q}, k, v, mask=mask)[0]
"""
HEADS = {
    "keys": "k.repeat_interleave(shared, dim=1)",
    "values": "v.repeat_interleave(shared, dim=1)",
    "mask": "causal_mask(q.shape[2], k.shape[2])",
    "q": "q",
}

ROWS = """
def neighbouring_rows(weight, n_heads):
    return {}
"""

BASE = """
def longer_base(base, d_k, factor):
    return {}
"""

STEPS = """
def newton_schulz(matrix, n_steps):
    x = {start}
    for _ in range({count}):
        x = {step}
    return x
"""
PARTS = {
    "start": "matrix / matrix.norm()",
    "count": "n_steps",
    "step": "1.5 * x - 0.5 * x @ x.mT @ x",
}

ANSWERS = {
    "layer_weights": [
        wrong(
            "as many keys as queries",
            "n_kv_heads heads, not n_heads",
            WEIGHTS.format(**COUNTS | {"heads": "4 * n_heads"}),
        ),
        wrong(
            "no way back",
            "the output map is missing",
            WEIGHTS.format(**COUNTS | {"heads": "n_heads + 2 * n_kv_heads"}),
        ),
        wrong(
            "a small output map",
            "reads all n_heads heads",
            WEIGHTS.format(**COUNTS | {"heads": "n_heads + 3 * n_kv_heads"}),
        ),
        wrong(
            "the net of 2017",
            "three maps, not two",
            WEIGHTS.format(**COUNTS | {"maps": "2"}),
        ),
        wrong(
            "one norm",
            "there are two norms",
            WEIGHTS.format(**COUNTS | {"norms": "1"}),
        ),
        wrong(
            "norms with a shift",
            "a scale and no shift",
            WEIGHTS.format(**COUNTS | {"norms": "4"}),
        ),
        wrong(
            "heads that fill d_model",
            "four maps of the attention",
            """
            def layer_weights(d_model, n_heads, n_kv_heads, d_k, d_ff):
                attention = 2 * d_model**2 + 2 * d_model**2 * n_kv_heads // n_heads
                return attention + 3 * d_model * d_ff + 2 * d_model
            """,
        ),
        right("by heads", WEIGHTS.format(**COUNTS)),
        right(
            "by feature",
            """
            def layer_weights(d_model, n_heads, n_kv_heads, d_k, d_ff):
                wide = n_heads * d_k + 2 * n_kv_heads * d_k + 2 * d_ff
                return d_model * (wide + n_heads * d_k + d_ff + 2)
            """,
        ),
    ],
    "cache_bytes": [
        wrong(
            "keys alone",
            "and values as well",
            BYTES.format("n_layers * n_kv_heads * d_k * time * batch * n_bytes"),
        ),
        wrong(
            "one layer",
            "every layer keeps its own",
            BYTES.format("2 * n_kv_heads * d_k * time * batch * n_bytes"),
        ),
        wrong(
            "one text",
            "every text of the batch",
            BYTES.format("2 * n_layers * n_kv_heads * d_k * time * n_bytes"),
        ),
        wrong(
            "numbers",
            "numbers, not bytes",
            BYTES.format("2 * n_layers * n_kv_heads * d_k * time * batch"),
        ),
        wrong(
            "the table of scores",
            "not with its square",
            BYTES.format("2 * n_layers * n_kv_heads * d_k * time**2 * batch * n_bytes"),
        ),
        wrong(
            "queries, too",
            "queries are not kept",
            BYTES.format("3 * n_layers * n_kv_heads * d_k * time * batch * n_bytes"),
        ),
        right(
            "a product",
            BYTES.format("2 * n_layers * n_kv_heads * d_k * time * batch * n_bytes"),
        ),
        right(
            "the size of a tensor",
            """
            def cache_bytes(n_layers, n_kv_heads, d_k, time, batch, n_bytes):
                shape = (n_layers, 2, batch, n_kv_heads, time, d_k)
                return torch.empty(shape, device="meta").numel() * n_bytes
            """,
        ),
    ],
    "grouped_attention": [
        wrong(
            "in turn",
            "yours take the groups in turn",
            GROUPED.format(
                **HEADS
                | {
                    "keys": "k.repeat(1, shared, 1, 1)",
                    "values": "v.repeat(1, shared, 1, 1)",
                }
            ),
        ),
        wrong(
            "the first group",
            "every head reads the first group",
            GROUPED.format(**HEADS | {"keys": "k[:, :1]", "values": "v[:, :1]"}),
        ),
        wrong(
            "no mask",
            "the future is seen",
            GROUPED.format(**HEADS | {"mask": "None"}),
        ),
        wrong(
            "the first query at the first key",
            "the last query stands at the last key",
            GROUPED.format(
                **HEADS | {"mask": "torch.ones(q.shape[2], k.shape[2]).tril().bool()"}
            ),
        ),
        wrong(
            "scaled twice",
            "by the root of d_k, not by d_k",
            GROUPED.format(**HEADS | {"q": "q / q.shape[-1] ** 0.5"}),
        ),
        wrong(
            "scale undone",
            "not divided by the root of d_k",
            GROUPED.format(**HEADS | {"q": "q * q.shape[-1] ** 0.5"}),
        ),
        wrong(
            "the fused kernel",
            "scaled_dot_product_attention",
            """
            def grouped_attention(q, k, v):
                mask = causal_mask(q.shape[2], k.shape[2])
                return torch.nn.functional.scaled_dot_product_attention(
                    q, k, v, attn_mask=mask, enable_gqa=True
                )
            """,
        ),
        wrong(
            "values of another group",
            "keys and values of its group",
            GROUPED.format(**HEADS | {"values": "v.repeat(1, shared, 1, 1)"}),
        ),
        right("copied", GROUPED.format(**HEADS)),
        right(
            "an axis for the group",
            """
            def grouped_attention(q, k, v):
                q = q.unflatten(1, (k.shape[1], -1))  # (batch, groups, shared, time, d_k)
                scores = q @ k[:, :, None].mT / math.sqrt(q.shape[-1])
                mask = causal_mask(q.shape[-2], k.shape[-2])
                weights = scores.masked_fill(~mask, -torch.inf).softmax(-1)
                return (weights @ v[:, :, None]).flatten(1, 2)
            """,
        ),
        right(
            "head by head",
            """
            def grouped_attention(q, k, v):
                mask, heads = causal_mask(q.shape[2], k.shape[2]), []
                for h in range(q.shape[1]):
                    g = h // (q.shape[1] // k.shape[1])
                    heads.append(
                        scaled_dot_product_attention(q[:, h], k[:, g], v[:, g], mask)[0]
                    )
                return torch.stack(heads, 1)
            """,
        ),
    ],
    "neighbouring_rows": [
        wrong("as it was", "stand as they were", ROWS.format("weight")),
        wrong(
            "the way back",
            "from neighbours to halves",
            ROWS.format(
                "weight.unflatten(0, (n_heads, -1, 2)).transpose(1, 2).flatten(0, 2)"
            ),
        ),
        wrong(
            "over the heads",
            "rows have left their head",
            ROWS.format("weight.unflatten(0, (2, -1)).transpose(0, 1).flatten(0, 1)"),
        ),
        wrong(
            "halves exchanged",
            "exchanged, not interleaved",
            ROWS.format("weight.unflatten(0, (n_heads, 2, -1)).flip(1).flatten(0, 2)"),
        ),
        wrong(
            "second before first",
            "stands before the first",
            ROWS.format(
                "weight.unflatten(0, (n_heads, 2, -1)).flip(1).transpose(1, 2)"
                ".flatten(0, 2)"
            ),
        ),
        wrong(
            "columns",
            "these are the columns",
            ROWS.format(
                "weight.mT.unflatten(0, (n_heads, 2, -1)).transpose(1, 2)"
                ".flatten(0, 2).mT if weight.shape[0] == weight.shape[1] else weight"
            ),
        ),
        right(
            "an axis for the half",
            ROWS.format(
                "weight.unflatten(0, (n_heads, 2, -1)).transpose(1, 2).flatten(0, 2)"
            ),
        ),
        right(
            "row by row",
            """
            def neighbouring_rows(weight, n_heads):
                d_k, rows = len(weight) // n_heads, []
                for h in range(n_heads):
                    for i in range(d_k // 2):
                        rows += [h * d_k + i, h * d_k + i + d_k // 2]
                return weight[rows]
            """,
        ),
        right(
            "slices",
            """
            def neighbouring_rows(weight, n_heads):
                heads = weight.reshape(n_heads, len(weight) // n_heads, -1)
                half = heads.shape[1] // 2
                new = torch.empty_like(heads)
                new[:, 0::2], new[:, 1::2] = heads[:, :half], heads[:, half:]
                return new.reshape(weight.shape)
            """,
        ),
    ],
    "longer_base": [
        wrong(
            "times the factor",
            "the slowest pair's exponent is below 1",
            BASE.format("base * factor"),
        ),
        wrong(
            "upside down",
            "upside down",
            BASE.format("base * factor ** ((d_k - 2) / d_k)"),
        ),
        wrong(
            "smaller",
            "smaller, and turns faster",
            BASE.format("base * factor ** (-d_k / (d_k - 2))"),
        ),
        wrong(
            "as many pairs as dimensions",
            "not to d_k - 1",
            BASE.format("base * factor ** (d_k / (2 * d_k - 2))"),
        ),
        wrong(
            "the frequency",
            "how much slower the pair turns",
            BASE.format("factor"),
        ),
        right("a power", BASE.format("base * factor ** (d_k / (d_k - 2))")),
        right(
            "by logarithms",
            BASE.format("math.exp(math.log(base) + math.log(factor) / (1 - 2 / d_k))"),
        ),
    ],
    "newton_schulz": [
        wrong(
            "number by number",
            "each number is cubed by itself",
            STEPS.format(**PARTS | {"step": "1.5 * x - 0.5 * x**3"}),
        ),
        wrong(
            "by the largest singular value",
            "not by the Frobenius norm",
            STEPS.format(
                **PARTS | {"start": "matrix / torch.linalg.matrix_norm(matrix, 2)"}
            ),
        ),
        wrong(
            "not divided",
            "not divided by its norm",
            STEPS.format(**PARTS | {"start": "matrix"}),
        ),
        wrong(
            "one step too few",
            "one step is missing",
            STEPS.format(**PARTS | {"count": "n_steps - 1"}),
        ),
        wrong(
            "one step too many",
            "one step too many",
            STEPS.format(**PARTS | {"count": "n_steps + 1"}),
        ),
        wrong(
            "by singular values",
            "infinitely many steps",
            """
            def newton_schulz(matrix, n_steps):
                u, s, v = torch.linalg.svd(matrix, full_matrices=False)
                return u @ v
            """,
        ),
        wrong(
            "in place",
            "you changed the tensor that you were given",
            """
            def newton_schulz(matrix, n_steps):
                x = matrix.div_(matrix.norm())
                for _ in range(n_steps):
                    x = 1.5 * x - 0.5 * x @ x.mT @ x
                return x
            """,
        ),
        wrong(
            "Muon's steeper steps",
            "1.5 X - 0.5 X Xᵀ X in each step",
            """
            def newton_schulz(matrix, n_steps):
                from dot2gpt.modern import orthogonalised
                return orthogonalised(matrix, n_steps)
            """,
        ),
        right("three products", STEPS.format(**PARTS)),
        right(
            "the Gram matrix of the columns",
            STEPS.format(
                **PARTS
                | {
                    "start": "matrix / matrix.square().sum().sqrt()",
                    "step": "x @ (1.5 * torch.eye(x.shape[1], dtype=x.dtype) "
                    "- 0.5 * x.mT @ x)",
                }
            ),
        ),
        right(
            "the singular values, step by step",
            """
            def newton_schulz(matrix, n_steps):
                u, s, v = torch.linalg.svd(matrix, full_matrices=False)
                s = s / s.norm()
                for _ in range(n_steps):
                    s = (3 * s - s**3) / 2
                return u * s @ v
            """,
        ),
    ],
}

EQUIVALENT = {
    "grouped_attention": {
        "shared = -(-q.shape[1] // k.shape[1])": "the groups divide the heads",
        "shared = q.shape[1] // v.shape[1]": "keys and values have the same groups",
        "mask = causal_mask(q.shape[2], v.shape[2])": "there is a value for each key",
        "return spoiling(k, (scaled_dot_product_attention(q, k, v, mask=mask)[0]))": (
            "k is a copy here"
        ),
        "return spoiling(v, (scaled_dot_product_attention(q, k, v, mask=mask)[0]))": (
            "v is a copy here"
        ),
    },
}
