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
cases = [(23, 4, 4, 2), (40, 16, 1, 2)]  # position, segment, memory, layers
cases += [(38, 5, 7, 2), (9, 4, 8, 3), (29, 8, 3, 1)]


def measured(position, segment, length, n_layers):
    """By definition: which states of each layer see which of the layer below."""
    place = torch.arange(position + 1)
    start = (place // segment * segment)[:, None]
    seen = ((place <= place[:, None]) & (place >= start - length)).double()
    reached = torch.linalg.matrix_power(seen, n_layers)[position]
    return reached.nonzero()[0].item()


rules = {
    "its own segment is in view too, not the memory alone": (
        lambda p, s, m, n: p - n * m
    ),
    "below the first layer a state has its own segment in view, before the memory": (
        lambda p, s, m, n: p // s * s - n * m
    ),
    "each layer goes back once: not the whole memory and segment each time": (
        lambda p, s, m, n: p // s * s - n * (m + s)
    ),
    "that is one layer: the states in the memory have seen a memory as well": (
        lambda p, s, m, n: p // s * s - m
    ),
    "the last layer sees the states of the layer below: that is a layer too many": (
        lambda p, s, m, n: measured(p, s, m, n + 1)
    ),
}
for position, segment, length, n_layers in cases:
    want = measured(position, segment, length, n_layers)
    sizes = position, segment, length, n_layers
    wrong = {hint: max(0, rule(*sizes)) for hint, rule in rules.items()}
    wrong["before the start of the text there is nothing: position 0 at least"] = (
        None if want else position // segment * segment - n_layers * length
    )
    label = f"position {position}, segments of {segment}, memory {length}"
    c.close(
        f"{label}, {n_layers} layers",
        lambda: earliest(*sizes),
        want,
        mistakes=wrong,
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
cases = [(2, 3), (0, 4)]
for m, n in cases:
    right = [[m + i - j for j in range(m + n)] for i in range(n)]
    c.close(
        f"{m} tokens of memory, {n} of the segment",
        lambda: distances(m, n),
        right,
        mistakes={
            "the first query stands behind the memory, not at place 0": (
                [[i - j for j in range(m + n)] for i in range(n)]
            ),
            "the sign: keys before the query have positive distances": (
                [[j - m - i for j in range(m + n)] for i in range(n)]
            ),
            "rows are queries, columns are keys": (
                [[m + i - j for i in range(n)] for j in range(m + n)]
            ),
            "keys on the right have negative distances": (
                [[abs(m + i - j) for j in range(m + n)] for i in range(n)]
            ),
            "that restarts in the segment: a key of the memory is further away": (
                [[i - (j if j < m else j - m) for j in range(m + n)] for i in range(n)]
            ),
            "a token has distance 0 to itself": (
                [[m + i - j + 1 for j in range(m + n)] for i in range(n)]
            ),
        },
        hint="not the place of the query minus the place of the key",
    )
c.report()

# %% relative_scores (more is tested when it is handed in)
c = checks.Checks("Exercise 4 · From distances to keys")
cases = [(0, 2, 5, 4), (1, 3, 3, 6)]  # seed, n_queries, n_keys, d_k


def loops(q, k, r, u, v, back=lambda i, j: i - j, first=None, scale=True):
    """The four-term sum; the first query stands at the key number `first`."""
    first, rows = len(k) - len(q) if first is None else first, []
    for i in range(len(q)):
        row = []
        for j in range(len(k)):
            if j > first + i:
                row.append(torch.tensor(-torch.inf, dtype=q.dtype))
                continue
            code = r[back(first + i, j) % len(k)]
            total = q[i] @ k[j] + q[i] @ code + u @ k[j] + v @ code
            row.append(total / q.shape[1] ** 0.5 if scale else total)
        rows.append(torch.stack(row))
    return torch.stack(rows)


for seed, n_queries, n_keys, d_k in cases:
    torch.manual_seed(seed)
    q = torch.randn(n_queries, d_k, dtype=torch.float64)
    k, r = torch.randn(2, n_keys, d_k, dtype=torch.float64)
    u, v = torch.randn(2, d_k, dtype=torch.float64)
    inputs = q, k, r, u, v
    c.close(
        f"{n_queries} queries, {n_keys} keys, d_k={d_k}",
        lambda: relative_scores(*(tensor.clone() for tensor in inputs)),
        loops(*inputs),
        mistakes={
            "the columns are distances still: turn and move the rows": (
                loops(*inputs, back=lambda i, j: j)
            ),
            "the rows are turned round, but not moved, each by its own place": (
                loops(*inputs, back=lambda i, j: len(k) - 1 - j)
            ),
            "the last query stands at the last key, not the first at the first": (
                loops(*inputs, first=0)
            ),
            "u belongs to the keys, v to the distances": loops(q, k, r, v, u),
            "the scale 1/√d_k is missing": loops(*inputs, scale=False),
            "without v: it goes with the distances": loops(q, k, r, u, 0 * v),
            "without u: it goes with the keys": loops(q, k, r, 0 * u, v),
            "keys on the right of a query get -inf": lambda: torch.where(
                loops(*inputs).isinf(),
                ((q + u) @ k.T + (q + v) @ r[:1].T) / d_k**0.5,
                loops(*inputs),
            ),
        },
        hint="not the four-term sum",
    )
c.report()

# %% stopped (more is tested when it is handed in)
c = checks.Checks("Exercise 5 · The gradient that stops")
cases = [(1.0, [1.0, 10.0, 100.0], 2), (-0.3, [1.5, 2.5, -3.5, 0.5, 7.0], 3)]


def differentiate(w, x, n_layers, stop=True, outputs=False):
    """(output, gradient) with PyTorch's own derivative."""
    w = torch.tensor(w, dtype=torch.float64, requires_grad=True)
    h = [torch.tensor(number, dtype=torch.float64) for number in x]
    memory = [0 * h[0]] * n_layers
    for state in h:
        for n in range(n_layers):
            before, state = state, state + w * memory[n]
            kept = state if outputs else before
            memory[n] = kept.detach() if stop else kept
    if state.requires_grad:
        state.backward()
    return state.item(), 0.0 if w.grad is None else w.grad.item()


for w, x, n_layers in cases:
    output, gradient = differentiate(w, x, n_layers)
    other = differentiate(w, x, n_layers, outputs=True)
    one = differentiate(w, x, 1)
    label = f"w={w}, x={x}, {n_layers} layers"
    c.close(
        f"output, {label}",
        lambda: stopped(w, x, n_layers)[0],
        output,
        mistakes={
            "the memory is the input of the layer one segment before, not its output": (
                other[0]
            ),
            "the memory is missing": x[-1],
            "one layer alone": one[0],
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
                differentiate(w, x, n_layers, stop=False)[1]
            ),
            "w multiplies the memory: its value is what w learns from": 0.0,
            "the memory is the input of the layer one segment before, not its output": (
                other[1]
            ),
            "that is one layer's share: every layer uses w, add them up": one[1],
            "that is the last layer's share: every layer uses w, add them up": (
                gradient - differentiate(w, x, n_layers - 1)[1]
            ),
        },
        hint="not the derivative with the memory as a constant",
    )
c.report()
