"""Wrong and right answers to the sheet of chapter 20."""

from tests.answers import right, wrong

TABLE = """
def table_weights(vocab_size, d_embedding, d_model):
    return {}
"""

STACK = """
def stack_weights(d_model, d_ff, n_layers, shared):
    attention = {maps} * (d_model * d_model + {bias})
    feed_forward = 2 * d_model * d_ff + {biases}
    layer = attention + feed_forward + {norms} * d_model
    return {total}
"""
PARTS = {
    "maps": "4",
    "bias": "d_model",
    "biases": "d_ff + d_model",
    "norms": "4",
    "total": "layer if shared else n_layers * layer",
}

SVD = """
def factorise(table, d_embedding):
    e = d_embedding
    u, s, v = torch.linalg.svd(table, full_matrices=False)
    return {}
"""

PAIRS = """
def order_pairs(pieces, texts, seed):
    generator = torch.Generator().manual_seed({seed})
    keep = {keep}
    a, b = pieces[:-1][keep], pieces[1:][keep]
    swapped = {swapped}
    here = swapped[:, None]
    first = torch.where(here, b, a)
    return first, {second}, {label}
"""
PAIR = {
    "seed": "seed",
    "keep": "texts[:-1] == texts[1:]",
    "swapped": "torch.rand(len(a), generator=generator) < 0.5",
    "second": "torch.where(here, a, b)",
    "label": "swapped",
}

CLASS = """
class SharedStack(nn.Module):
    def __init__(self, d_model, n_heads, d_ff, n_layers):
        super().__init__()
        self.n_layers = n_layers
        layer = BERTLayer(d_model, n_heads, d_ff, 1e-12)
        self.layers = {layers}

    def forward(self, x, mask=None):
        {forward}
        return x
"""
CALLS = {
    "layers": "nn.ModuleList([layer])",
    "forward": "for _ in range(self.n_layers): x = self.layers[0](x, mask)",
}

LOOK = """
def look(state):
    places = torch.eye(state.shape[-1], dtype=state.dtype).expand_as(state)
    return {}, {}, {}
"""

ANSWERS = {
    "table_weights": [
        wrong(
            "no bias",
            "the bias of the linear map is missing",
            TABLE.format("(vocab_size + d_model) * d_embedding"),
        ),
        wrong(
            "the bias of the wrong side",
            "as long as what comes out",
            TABLE.format("(vocab_size + d_model + 1) * d_embedding"),
        ),
        wrong(
            "one table",
            "without factors",
            TABLE.format("vocab_size * d_model"),
        ),
        wrong(
            "the sizes multiplied",
            "their sizes add up",
            TABLE.format("(vocab_size * d_embedding) * (d_embedding * d_model)"),
        ),
        wrong(
            "the table alone",
            "the widening is missing",
            TABLE.format("vocab_size * d_embedding"),
        ),
        wrong(
            "a wide table and a map",
            "a row of d_embedding numbers, not of d_model",
            TABLE.format("vocab_size * d_model + (d_embedding + 1) * d_model"),
        ),
        right(
            "a matrix with one row more",
            TABLE.format("vocab_size * d_embedding + (d_embedding + 1) * d_model"),
        ),
        right(
            "counted in modules without numbers",
            """
            def table_weights(vocab_size, d_embedding, d_model):
                table = nn.Embedding(vocab_size, d_embedding, device="meta")
                widen = nn.Linear(d_embedding, d_model, device="meta")
                both = [*table.parameters(), *widen.parameters()]
                return sum(weight.numel() for weight in both)
            """,
        ),
    ],
    "stack_weights": [
        wrong(
            "no biases",
            "the biases are missing",
            STACK.format(**PARTS | {"bias": "0", "biases": "0"}),
        ),
        wrong(
            "no norms",
            "the norms are missing",
            STACK.format(**PARTS | {"norms": "0"}),
        ),
        wrong(
            "one norm",
            "each layer has two norms",
            STACK.format(**PARTS | {"norms": "2"}),
        ),
        wrong(
            "three maps",
            "the output projection",
            STACK.format(**PARTS | {"maps": "3"}),
        ),
        wrong(
            "sharing ignored",
            "one layer serves for all",
            STACK.format(**PARTS | {"total": "n_layers * layer"}),
        ),
        wrong(
            "always shared",
            "weights of its own",
            STACK.format(**PARTS | {"total": "layer"}),
        ),
        wrong(
            "divided by the number of layers",
            "the layer is stored once",
            STACK.format(
                **PARTS | {"total": "layer / n_layers if shared else n_layers * layer"}
            ),
        ),
        right("a sum", STACK.format(**PARTS)),
        right(
            "counted in a layer without numbers",
            """
            def stack_weights(d_model, d_ff, n_layers, shared):
                with torch.device("meta"):
                    layers = [
                        BERTLayer(d_model, 1, d_ff, 1e-12)
                        for _ in range(1 if shared else n_layers)
                    ]
                return sum(p.numel() for p in nn.ModuleList(layers).parameters())
            """,
        ),
    ],
    "factorise": [
        wrong(
            "no singular values",
            "the singular values are missing",
            SVD.format("u[:, :e], v[:e]"),
        ),
        wrong(
            "singular values twice",
            "in twice",
            SVD.format("u[:, :e] * s[:e], s[:e, None] * v[:e]"),
        ),
        wrong(
            "the smallest",
            "the smallest singular values",
            SVD.format("u[:, -e:] * s[-e:], v[-e:]"),
        ),
        wrong(
            "the first columns",
            "keeping the first columns",
            SVD.format("table[:, :e], torch.eye(e, len(v[0]), dtype=table.dtype)"),
        ),
        wrong(
            "wide transposed",
            "wide is (3, 2), expected (2, 3)",
            SVD.format("u[:, :e] * s[:e], v[:e].mT"),
        ),
        wrong(
            "a random map",
            "there is a nearer product",
            """
            def factorise(table, d_embedding):
                g = torch.Generator().manual_seed(0)
                wide = torch.randn(
                    d_embedding, table.shape[1], generator=g, dtype=table.dtype
                )
                return table @ torch.linalg.pinv(wide), wide
            """,
        ),
        right(
            "a root on each side",
            SVD.format("u[:, :e] * s[:e].sqrt(), s[:e, None].sqrt() * v[:e]"),
        ),
        right(
            "eigenvectors of the Gram matrix",
            """
            def factorise(table, d_embedding):
                values, vectors = torch.linalg.eigh(table.mT @ table)
                wide = vectors[:, -d_embedding:].mT
                return table @ wide.mT, wide
            """,
        ),
    ],
    "order_pairs": [
        wrong(
            "over the end of a text",
            "may not join two texts",
            PAIRS.format(**PAIR | {"keep": "torch.ones(len(pieces) - 1).bool()"}),
        ),
        wrong(
            "labels inverted",
            "the labels are inverted",
            PAIRS.format(**PAIR | {"label": "~swapped"}),
        ),
        wrong(
            "first overwritten",
            "are the same",
            PAIRS.format(**PAIR | {"second": "torch.where(here, first, b)"}),
        ),
        wrong(
            "second never swapped",
            "are the same",
            PAIRS.format(**PAIR | {"second": "b"}),
        ),
        wrong(
            "one coin for all",
            "the share of swapped pairs",
            PAIRS.format(
                **PAIR
                | {
                    "swapped": "(torch.rand(1, generator=generator) < 0.5).repeat(len(a))"
                }
            ),
        ),
        wrong(
            "every other pair",
            "a pair's fate depends on its neighbour's",
            PAIRS.format(
                **PAIR | {"swapped": "(torch.arange(len(a)) + seed) % 2 == 0"}
            ),
        ),
        wrong(
            "too rarely",
            "the share of swapped pairs",
            PAIRS.format(
                **PAIR | {"swapped": "torch.rand(len(a), generator=generator) < 0.15"}
            ),
        ),
        wrong(
            "each piece in one pair",
            "every piece but the last of a text begins one",
            PAIRS.format(
                **PAIR
                | {
                    "keep": "(texts[:-1] == texts[1:]) & (torch.arange(len(texts) - 1) % 2 == 0)"
                }
            ),
        ),
        wrong(
            "a fixed seed",
            "the seed is not used",
            PAIRS.format(**PAIR | {"seed": "0"}),
        ),
        wrong(
            "the global random state",
            "the same seed gives another result",
            PAIRS.format(**PAIR | {"swapped": "torch.rand(len(a)) < 0.5"}),
        ),
        right("two selections", PAIRS.format(**PAIR)),
        right(
            "pair by pair",
            """
            def order_pairs(pieces, texts, seed):
                import random
                rng = random.Random(seed)
                first, second, swapped = [], [], []
                for i in range(len(texts) - 1):
                    if texts[i] == texts[i + 1]:
                        swap = rng.random() < 0.5
                        first.append(pieces[i + swap].tolist())
                        second.append(pieces[i + 1 - swap].tolist())
                        swapped.append(swap)
                shape = (-1, pieces.shape[1])
                return (
                    torch.tensor(first, dtype=torch.long).view(shape),
                    torch.tensor(second, dtype=torch.long).view(shape),
                    torch.tensor(swapped, dtype=torch.bool),
                )
            """,
        ),
    ],
    "shared_stack": [
        wrong(
            "copies as before",
            "they are not shared",
            CLASS.format(
                layers="nn.ModuleList(copy.deepcopy(layer) for _ in range(n_layers))",
                forward="for layer in self.layers: x = layer(x, mask)",
            ),
        ),
        wrong(
            "copies, made equal before each pass",
            "they are not shared",
            CLASS.format(
                layers="nn.ModuleList(copy.deepcopy(layer) for _ in range(n_layers))",
                forward="for layer in self.layers:\n"
                "            layer.load_state_dict(self.layers[0].state_dict())\n"
                "            x = layer(x, mask)",
            ),
        ),
        wrong(
            "one use",
            "applied once, not n_layers times",
            CLASS.format(
                **CALLS | {"forward": "for layer in self.layers: x = layer(x, mask)"}
            ),
        ),
        wrong(
            "one use too many",
            "once too often",
            CLASS.format(
                **CALLS
                | {
                    "forward": "for _ in range(self.n_layers + 1): "
                    "x = self.layers[0](x, mask)"
                }
            ),
        ),
        wrong(
            "the mask forgotten",
            "the mask is not passed on",
            CLASS.format(
                **CALLS
                | {"forward": "for _ in range(self.n_layers): x = self.layers[0](x)"}
            ),
        ),
        wrong(
            "cut off between the uses",
            "the last use alone",
            CLASS.format(
                **CALLS
                | {
                    "forward": "for _ in range(self.n_layers): "
                    "x = self.layers[0](x.detach(), mask)"
                }
            ),
        ),
        right("one layer in a list", CLASS.format(**CALLS)),
        right(
            "the same object many times",
            CLASS.format(
                layers="nn.ModuleList([layer] * n_layers)",
                forward="for layer in self.layers: x = layer(x, mask)",
            ),
        ),
    ],
    "look": [
        wrong(
            "keys that move",
            "nothing moves",
            LOOK.format("100 * state", "state", "state"),
        ),
        wrong(
            "the first question only",
            "the places themselves",
            LOOK.format("100 * places", "places", "places"),
        ),
        wrong(
            "who points at me",
            "who points at it",
            LOOK.format("100 * places", "state", "places"),
        ),
        wrong(
            "exchanged",
            "queries and keys are exchanged",
            LOOK.format("100 * places", "state", "state"),
        ),
        wrong(
            "not sharp",
            "spread over all places",
            LOOK.format("state", "places", "state"),
        ),
        wrong(
            "a little sharper",
            "scaled up too little",
            LOOK.format("10 * state", "places", "state"),
        ),
        wrong(
            "the value of the place",
            "nothing moves",
            LOOK.format("100 * state", "places", "places"),
        ),
        wrong(
            "in place",
            "you changed the tensor that you were given",
            """
            def look(state):
                places = torch.eye(state.shape[-1], dtype=state.dtype)
                values = state.clone()
                return state.mul_(100), places.expand_as(state), values
            """,
        ),
        wrong(
            "keys without a batch",
            "keys are",
            """
            def look(state):
                places = torch.eye(state.shape[-1], dtype=state.dtype)
                return 100 * state, places, state
            """,
        ),
        right("sharp queries", LOOK.format("100 * state", "places", "state")),
        right(
            "sharp keys",
            """
            def look(state):
                n = state.shape[-1]
                numbers = torch.arange(n).expand(len(state), n)
                keys = torch.nn.functional.one_hot(numbers, n).to(state.dtype)
                return state, 300.0 * keys, state
            """,
        ),
        right(
            "from numbers to vectors on a circle",
            """
            def look(state):
                return (state - 0.5) * 100, 2 * torch.eye(state.shape[-1]).to(
                    state
                ).expand_as(state), state
            """,
        ),
    ],
}

EQUIVALENT = {
    "factorise": {
        "u, s, v = torch.linalg.svd(table)": "what is more is cut off",
        "u, s, v = torch.linalg.svd(table, full_matrices=True)": (
            "what is more is cut off"
        ),
    },
    "order_pairs": {
        "swapped = torch.rand(…) <= 0.5": "a draw is never just that number",
        "swapped = torch.rand(…) > 0.5": "the probability is 1/2, too",
    },
    "look": {
        "places = torch.eye(state.shape[…": "state has as many rows as columns",
        "return 101 * state, …": "any large factor will do",
        "return 99 * state, …": "any large factor will do",
    },
}
