# Made from solutions/ by `make sync`: do not edit.

# %% read (more is tested when it is handed in)
c = checks.Checks("Exercise 1 · Write the memory")
cases = [(0, 8, 4, 4, 2), (1, 10, 4, 6, 2)]  # seed, time, segment, memory, layers
cases += [(2, 9, 3, 2, 3), (3, 7, 2, 0, 2)]


def by_definition(x, segment, length, n_layers, keep="inputs", cut=True):
    """The last layer's outputs, each segment from a table of all states."""
    states = [[] for _ in range(n_layers + 1)]  # of each layer, all tokens so far
    for start in range(0, len(x), segment):
        piece = x[start : start + segment]
        for n in range(n_layers):
            past = states[n + (keep == "outputs")][:start]
            kept = {
                "last segment": past[-segment:][-length:] if length else [],
                "first": past[:length],
                "all": past,
                "none": [],
            }.get(keep, past[-length:] if length else [])
            memory = torch.stack(kept) if kept else x[:0]
            states[n] += list(piece)
            piece = layer(n, piece, memory.detach() if cut else memory)
        states[n_layers] += list(piece)
    return torch.stack(states[n_layers])


for seed, time, segment, length, n_layers in cases:
    torch.manual_seed(seed)
    x = torch.randn(time, 5, dtype=torch.float64)
    sizes = segment, length, n_layers
    label = f"time={time}, segment={segment}, memory={length}, layers={n_layers}"
    wrong = {
        "the memory holds what the layer gave; it should hold the layer's inputs": (
            by_definition(x, *sizes, keep="outputs")
        ),
        "the memory holds the last segment alone: older states stay in it too": (
            by_definition(x, *sizes, keep="last segment")
        ),
        "these are the first tokens of the text; the memory is the last ones": (
            by_definition(x, *sizes, keep="first")
        ),
        "nothing is forgotten: the memory is longer than memory_length": (
            by_definition(x, *sizes, keep="all")
        ),
        "each segment is read as if it were the first: there is no memory": (
            by_definition(x, *sizes, keep="none")
        ),
    }
    c.close(
        f"outputs, {label}",
        lambda: read(x, *sizes),
        by_definition(x, *sizes),
        mistakes=wrong,
        hint="not the outputs of the definition",
    )

    def gradient(f, x=x, sizes=sizes, time=time):
        leaf = x.clone().requires_grad_()
        output = f(leaf, *sizes)
        if not getattr(output, "requires_grad", False):
            raise checks.Wrong("no gradient flows inside the segment either")
        weights = torch.arange(1.0, time + 1, dtype=torch.float64)[:, None]
        (output * weights).sum().backward()
        return torch.zeros_like(x) if leaf.grad is None else leaf.grad

    c.close(
        f"gradients, {label}",
        lambda: gradient(read),
        gradient(by_definition),
        mistakes={
            "the gradient flows on into the memory: it should stop there": (
                gradient(lambda *a: by_definition(*a, cut=False))
            ),
        },
        hint="not the gradients of the definition",
    )
c.report()

# %% earliest (more is tested when it is handed in)
c = checks.Checks("Exercise 2 · How far does it see?")
# position, segment, memory, layers: the earliest, and what each mistake gives
cases = {
    (23, 4, 4, 2): (12, 15, None, 4, 16, 8, None),
    (40, 16, 1, 2): (15, 38, 30, 0, 31, 0, None),
    (38, 5, 7, 2): (18, 24, 21, 11, 28, 8, None),
    (9, 4, 8, 3): (0, None, None, None, None, None, -16),
    (29, 8, 3, 1): (21, 26, None, 13, None, 13, None),
}
whys = (
    "its own segment is in view too, not the memory alone",
    "below the first layer a state has its own segment in view, before the memory",
    "each layer goes back once: not the whole memory and segment each time",
    "that is one layer: the states in the memory have seen a memory as well",
    "the last layer sees the states of the layer below: that is a layer too many",
    "before the start of the text there is nothing: position 0 at least",
)
for sizes, (want, *wrong) in cases.items():
    label = "position {}, segments of {}, memory {}, {} layers".format(*sizes)
    c.close(
        label,
        lambda: earliest(*sizes),
        want,
        mistakes=dict(zip(whys, wrong)),
        hint="not the earliest token that this output depends on",
    )
c.report()

# %% twin (more is tested when it is handed in)
c = checks.Checks("Exercise 3 · A memory with absolute positions: the blind spot")
cases = [(0, 4, 8, 4), (1, 3, 9, 2)]  # seed, segment, length of the memory, time of x


def verdict(seed, segment, length, time):
    torch.manual_seed(seed)
    memory = torch.randn(length, 6, dtype=torch.float64)
    other = twin(memory.clone(), segment)
    if other is None:
        raise checks.Wrong("it is None: is a `return` missing?")
    if tuple(other.shape) != tuple(memory.shape):
        raise checks.Wrong(f"its shape is {tuple(other.shape)}, not {(length, 6)}")
    other = other.detach().double()
    same = (other[:, None] == memory).all(-1)  # which token is which
    for start in range(0, length, segment):
        piece = slice(start, start + segment)
        if same[piece, piece].any(1).all():
            raise checks.Wrong("a segment holds the same tokens as before")
    x = torch.randn(3, time, 6, dtype=torch.float64)
    for text in x:
        want, got = (attend_restarting(text, m, segment) for m in (memory, other))
        if not torch.allclose(got, want, atol=1e-9):
            if not (same.any(0).all() and same.any(1).all()):
                raise checks.Wrong("tokens are lost or changed: the output sees that")
            moved = same.int().argmax(1) % segment != torch.arange(length) % segment
            if moved.any():
                raise checks.Wrong(
                    "a token has another place in its segment, so another position"
                )
            raise checks.Wrong("the outputs differ")
    return True


for case in cases:
    c.that(
        "segments of {1}, a memory of {2}, seed {0}".format(*case),
        lambda: verdict(*case),
    )
c.report()

# %% distances (more is tested when it is handed in)
c = checks.Checks("Exercise 3 · A memory with absolute positions: the cure")
# n_memory, n_segment: the distances, and what restarts in the segment
cases = {
    (2, 3): (
        [[2, 1, 0, -1, -2], [3, 2, 1, 0, -1], [4, 3, 2, 1, 0]],
        [[0, -1, 0, -1, -2], [1, 0, 1, 0, -1], [2, 1, 2, 1, 0]],
    ),
    (0, 4): ([[0, -1, -2, -3], [1, 0, -1, -2], [2, 1, 0, -1], [3, 2, 1, 0]], None),
}
for (m, n), (right, restarted) in cases.items():
    right = torch.tensor(right)
    c.close(
        f"{m} tokens of memory, {n} of the segment",
        lambda: distances(m, n),
        right,
        mistakes={
            "the first query stands behind the memory, not at place 0": right - m,
            "the sign: keys before the query have positive distances": -right,
            "rows are queries, columns are keys": right.T,
            "keys on the right have negative distances": right.abs(),
            "that restarts in the segment: a key of the memory is further away": (
                restarted
            ),
            "a token has distance 0 to itself": right + 1,
        },
        hint="not the place of the query minus the place of the key",
    )
c.report()

# %% relative_scores (more is tested when it is handed in)
c = checks.Checks("Exercise 4 · From distances to keys")
inf = torch.inf
q = [[1, 0, 2, 1], [0, 3, 1, -1]]
k = [[1, 1, 0, 0], [0, 2, 1, 1], [3, 0, 0, 1]]
r = [[2, 0, 0, 0], [0, 1, 0, 3], [1, 0, 4, 0]]
vectors = [q, k, r, [1, 0, 0, 2], [0, 2, 1, 0]]  # u and v last
c.close(
    "2 queries, 3 keys, d_k=4, worked out by hand",
    lambda: relative_scores(*(torch.tensor(x).double() for x in vectors)),
    [[3.5, 3.5, -inf], [6, 5, 2]],
    mistakes={
        "the columns are distances still: turn and move the rows": (
            [[2, 5, -inf], [2, 5, 6]]
        ),
        "the rows are turned round, but not moved, each by its own place": (
            [[7.5, 5, -inf], [6, 5, 2]]
        ),
        "the last query stands at the last key, not the first at the first": (
            [[2, -inf, -inf], [3, 4, -inf]]
        ),
        "u belongs to the keys, v to the distances": [[6, 6, -inf], [5, 8.5, 0.5]],
        "the scale 1/√d_k is missing": [[7, 7, -inf], [12, 10, 4]],
        "without v: it goes with the distances": [[2.5, 3.5, -inf], [4, 4, 2]],
        "without u: it goes with the keys": [[3, 2.5, -inf], [5.5, 4, -0.5]],
        "keys on the right of a query get -inf": [[3.5, 3.5, 5.5], [6, 5, 2]],
    },
)
c.close(
    "3 queries, 3 keys, d_k=1, worked out by hand",
    lambda: relative_scores(
        *(
            torch.tensor(x).double()
            for x in ([[1], [-2], [3]], [[2], [1], [-1]], [[1], [3], [-2]], [0.5], [-1])
        )
    ),
    [[3, -inf, -inf], [-12, -4.5, -inf], [3, 9.5, -1.5]],
    hint="not the four-term sum",
)
c.report()

# %% stopped (more is tested when it is handed in)
c = checks.Checks("Exercise 5 · The gradient that stops")
# w, x, layers: output and gradient; the output with a layer's outputs as its memory,
# with one layer; the gradient through the memory, with outputs, of the first layer,
# of the last layer
cases = [
    (1.0, [1.0, 10.0, 100.0], 2, 121.0, 21.0, (123.0, 110.0), (22.0, 23.0, 10.0, 11.0)),
    (
        -0.3,
        [1.5, 2.5, -3.5, 0.5, 7.0],
        3,
        5.5375,
        4.875,
        (4.16725, 6.85),
        (8.475, 9.4425, 0.5, 2.825),
    ),
]
not_output = "the memory is the input of the layer one segment before, not its output"
for w, x, n_layers, output, gradient, outputs, gradients in cases:
    label = f"w={w}, x={x}, {n_layers} layers"
    c.close(
        f"output, {label}",
        lambda: stopped(w, x, n_layers)[0],
        output,
        mistakes={
            not_output: outputs[0],
            "the memory is missing": x[-1],
            "one layer alone": outputs[1],
            "these are all tokens added up": sum(x),
        },
        hint="not the last state of the last layer",
    )
    c.close(
        f"gradient, {label}",
        lambda: stopped(w, x, n_layers)[1],
        gradient,
        mistakes={
            "the gradient goes on into the memory: there it is a constant": (
                gradients[0]
            ),
            "w multiplies the memory: its value is what w learns from": 0.0,
            not_output: gradients[1],
            "that is one layer's share: every layer uses w, add them up": gradients[2],
            "that is the last layer's share: every layer uses w, add them up": (
                gradients[3]
            ),
        },
        hint="not the derivative with the memory as a constant",
    )
c.report()
