"""Wrong and right answers to the sheet of chapter 17."""

from tests.answers import right, wrong

READ = """
def read(x, segment, memory_length, n_layers):
    memories = [x[:0] for _ in range(n_layers)]
    outputs = []
    for start in range(0, len(x), segment):
        h = x[start : start + segment]
        for n in range(n_layers):
            given = h
            h = layer(n, h, memories[n])
            memories[n] = {}
        outputs.append(h)
    return torch.cat(outputs)
"""

EARLIEST = """
def earliest(position, segment, memory_length, n_layers):
    start = position // segment * segment
    return max(0, {})
"""

TWIN = """
def twin(memory, segment):
    return {}
"""

DISTANCES = """
def distances(n_memory, n_segment):
    queries = torch.arange({})
    keys = torch.arange(n_memory + n_segment)
    return {}
"""

SCORES = """
def relative_scores(q, k, r, u, v):
    n_queries, n_keys = len(q), len(k)
    i = torch.arange(n_queries)[:, None] + {first}
    j = torch.arange(n_keys)
    by_distance = {by_distance}
    scores = {by_key} + {moved}
    scores = scores / {scale}
    return {last}
"""


def scores(**changes):
    parts = {
        "first": "n_keys - n_queries",
        "by_distance": "(q + v) @ r.T",
        "by_key": "(q + u) @ k.T",
        "moved": "by_distance.gather(1, (i - j).clamp(min=0))",
        "scale": "q.shape[1] ** 0.5",
        "last": "scores.masked_fill(i < j, -torch.inf)",
    }
    return SCORES.format(**parts | changes)


STOPPED = """
def stopped(w, x, n_layers):
    h, g = list(x), [0.0] * len(x)
    for _ in range({layers}):
        new_h, new_g = [], []
        for s in range(len(x)):
            before = {before}
            slope = g[s - 1] if s > 0 else 0.0
            new_h.append(h[s] + {step})
            new_g.append({gradient})
        h, g = new_h, new_g
    return h[-1], g[-1]
"""


def toy(**changes):
    parts = {
        "layers": "n_layers",
        "before": "h[s - 1] if s > 0 else 0.0",
        "step": "w * before",
        "gradient": "g[s] + before",
    }
    return STOPPED.format(**parts | changes)


ANSWERS = {
    "read": [
        wrong(
            "outputs in the memory",
            "it should hold the layer's inputs",
            READ.format(
                "torch.cat([memories[n], h]).detach()[-memory_length:]"
                " if memory_length else x[:0]"
            ),
        ),
        wrong(
            "the last segment alone",
            "the last segment alone",
            READ.format("given[max(0, len(given) - memory_length):].detach()"),
        ),
        wrong(
            "the first tokens are kept",
            "the memory is the last ones",
            READ.format("torch.cat([memories[n], given]).detach()[:memory_length]"),
        ),
        wrong(
            "the slice [-0:]",
            "nothing is forgotten",
            READ.format("torch.cat([memories[n], given]).detach()[-memory_length:]"),
        ),
        wrong(
            "no limit",
            "nothing is forgotten",
            READ.format("torch.cat([memories[n], given]).detach()"),
        ),
        wrong(
            "no detach",
            "the gradient flows on into the memory",
            READ.format(
                "torch.cat([memories[n], given])"
                "[max(0, len(memories[n]) + len(given) - memory_length):]"
            ),
        ),
        wrong("nothing is kept", "there is no memory", READ.format("memories[n]")),
        wrong(
            "everything is detached",
            "no gradient flows inside the segment either",
            """
            @torch.no_grad()
            def read(x, segment, memory_length, n_layers):
                m, out = [x[:0]] * n_layers, []
                for piece in x.split(segment):
                    for n in range(n_layers):
                        old = torch.cat([m[n], piece])
                        piece = layer(n, piece, m[n])
                        m[n] = old[max(0, len(old) - memory_length):]
                    out.append(piece)
                return torch.cat(out)
            """,
        ),
        right(
            "a window over the segments",
            READ.format(
                "torch.cat([memories[n], given.detach()])[-memory_length:]"
                " if memory_length > 0 else x[:0]"
            ),
        ),
        right(
            "layer by layer, each over the whole text",
            """
            def read(x, segment, memory_length, n_layers):
                for n in range(n_layers):
                    rows = []
                    for start in range(0, len(x), segment):
                        past = x[max(0, start - memory_length):start].detach()
                        rows.append(layer(n, x[start:start + segment], past))
                    x = torch.cat(rows)
                return x
            """,
        ),
        right(
            "recursive over the segments",
            """
            def read(x, segment, memory_length, n_layers):
                def go(x, memories):
                    if not len(x):
                        return x
                    h, later = x[:segment], []
                    for n, old in enumerate(memories):
                        states = torch.cat([old, h.detach()])
                        later.append(states[max(0, len(states) - memory_length):])
                        h = layer(n, h, old)
                    return torch.cat([h, go(x[segment:], later)])

                return go(x, [x[:0].detach()] * n_layers)
            """,
        ),
    ],
    "earliest": [
        wrong(
            "layers times memory, from the token",
            "its own segment is in view too",
            EARLIEST.format("position - n_layers * memory_length"),
        ),
        wrong(
            "layers times memory, from the segment",
            "a state has its own segment in view",
            EARLIEST.format("start - n_layers * memory_length"),
        ),
        wrong(
            "memory and segment in each layer",
            "each layer goes back once",
            EARLIEST.format("start - n_layers * (memory_length + segment)"),
        ),
        wrong(
            "one layer",
            "that is one layer",
            EARLIEST.format("start - memory_length"),
        ),
        wrong(
            "one layer too many",
            "a layer too many",
            """
            def earliest(position, segment, memory_length, n_layers):
                for _ in range(n_layers + 1):
                    position = max(0, position // segment * segment - memory_length)
                return position
            """,
        ),
        wrong(
            "before the start of the text",
            "position 0 at least",
            """
            def earliest(position, segment, memory_length, n_layers):
                return position // segment * segment - n_layers * memory_length
            """,
        ),
        right(
            "recursive",
            """
            def earliest(position, segment, memory_length, n_layers):
                if n_layers == 0:
                    return position
                first = max(0, position - position % segment - memory_length)
                return earliest(first, segment, memory_length, n_layers - 1)
            """,
        ),
        right(
            "by sets of positions",
            """
            def earliest(position, segment, memory_length, n_layers):
                known = {position}
                for _ in range(n_layers):
                    known = {
                        j
                        for p in known
                        for j in range(p // segment * segment - memory_length, p + 1)
                        if j >= 0
                    }
                return min(known)
            """,
        ),
        right(
            "in closed form after the first step",
            """
            def earliest(position, segment, memory_length, n_layers):
                up = -(-memory_length // segment) * segment
                start = position // segment * segment
                return max(0, start - (n_layers - 1) * up - memory_length)
            """,
        ),
    ],
    "twin": [
        wrong(
            "the same memory",
            "a segment holds the same tokens as before",
            TWIN.format("memory.clone()"),
        ),
        wrong(
            "moved by one token",
            "another place in its segment",
            TWIN.format("memory.roll(1, dims=0) if segment > 1 else memory"),
        ),
        wrong(
            "reversed",
            "another place in its segment",
            TWIN.format("memory.flip(0)"),
        ),
        wrong(
            "the first segment again and again",
            "tokens are lost or changed",
            TWIN.format(
                "torch.cat([memory[-segment:]] + [memory[:segment]]"
                " * (len(memory) // segment - 1)) if len(memory) > 2 * segment"
                " else torch.cat([memory[segment:], memory[segment:]])"
            ),
        ),
        wrong("noise", "tokens are lost", TWIN.format("torch.randn_like(memory)")),
        wrong(
            "exchanged within each segment",
            "a segment holds the same tokens as before",
            TWIN.format("memory.unflatten(0, (-1, segment)).flip(1).flatten(0, 1)"),
        ),
        right(
            "the last segment first",
            TWIN.format("torch.cat([memory[-segment:], memory[:-segment]])"),
        ),
        right(
            "each place turned by itself",
            """
            def twin(memory, segment):
                other = memory.clone()
                for place in range(segment):
                    rows = list(range(place, len(memory), segment))
                    other[rows] = memory[rows[1:] + rows[:1]]
                return other
            """,
        ),
        right(
            "as a block with three axes",
            TWIN.format(
                "memory.view(-1, segment, memory.shape[1]).roll(-1, 0)"
                ".reshape(memory.shape)"
            ),
        ),
    ],
    "distances": [
        wrong(
            "the first query at place 0",
            "stands behind the memory",
            DISTANCES.format("n_segment", "queries[:, None] - keys"),
        ),
        wrong(
            "the sign",
            "the sign",
            DISTANCES.format(
                "n_memory, n_memory + n_segment", "keys - queries[:, None]"
            ),
        ),
        wrong(
            "rows and columns",
            "rows are queries",
            DISTANCES.format(
                "n_memory, n_memory + n_segment", "queries - keys[:, None]"
            ),
        ),
        wrong(
            "absolute values",
            "keys on the right have negative distances",
            DISTANCES.format(
                "n_memory, n_memory + n_segment", "(queries[:, None] - keys).abs()"
            ),
        ),
        wrong(
            "places that restart",
            "a key of the memory is further away",
            """
            def distances(n_memory, n_segment):
                i = torch.arange(n_segment)
                keys = torch.cat([torch.arange(n_memory), i])
                return i[:, None] - keys
            """,
        ),
        wrong(
            "counting from 1",
            "distance 0 to itself",
            DISTANCES.format(
                "n_memory, n_memory + n_segment", "queries[:, None] - keys + 1"
            ),
        ),
        right(
            "lists",
            """
            def distances(n_memory, n_segment):
                keys = range(n_memory + n_segment)
                return [[n_memory + i - j for j in keys] for i in range(n_segment)]
            """,
        ),
        right(
            "the last rows of a square",
            """
            def distances(n_memory, n_segment):
                place = torch.arange(n_memory + n_segment)
                return (place.view(-1, 1) - place)[n_memory:]
            """,
        ),
    ],
    "relative_scores": [
        wrong(
            "columns of distances",
            "the columns are distances still",
            scores(moved="by_distance"),
        ),
        wrong(
            "turned round alone",
            "not moved, each by its own place",
            scores(moved="by_distance.flip(1)"),
        ),
        wrong(
            "the first query at the first key",
            "the last query stands at the last key",
            scores(first="0"),
        ),
        wrong(
            "u and v exchanged",
            "u belongs to the keys",
            scores(by_distance="(q + u) @ r.T", by_key="(q + v) @ k.T"),
        ),
        wrong("no scale", "the scale 1/√d_k", scores(scale="1")),
        wrong("no v", "without v", scores(by_distance="q @ r.T")),
        wrong("no u", "without u", scores(by_key="q @ k.T")),
        wrong("no mask", "keys on the right", scores(last="scores")),
        right("with an index", scores(moved="by_distance[i - i[:1], (i - j).relu()]")),
        right(
            "the shift of the paper: pad, and cut the rows elsewhere",
            """
            def relative_scores(q, k, r, u, v):
                n_queries, n_keys = len(q), len(k)
                far_first = (q + v) @ r.flip(0).T
                padded = torch.cat([far_first.new_zeros(n_queries, 1), far_first], 1)
                shifted = padded.view(n_keys + 1, n_queries)[1:].view(n_queries, n_keys)
                scores = ((q + u) @ k.T + shifted) / q.shape[1] ** 0.5
                seen = torch.ones(n_queries, n_keys).tril(n_keys - n_queries) > 0
                return torch.where(seen, scores, -torch.inf)
            """,
        ),
        right(
            "row by row",
            """
            def relative_scores(q, k, r, u, v):
                rows = []
                for i in range(len(q)):
                    n = len(k) - len(q) + i + 1  # keys in view
                    row = (q[i] + u) @ k[:n].T + (q[i] + v) @ r[:n].flip(0).T
                    rest = torch.full((len(k) - n,), -torch.inf)
                    rows.append(torch.cat([row / q.shape[1] ** 0.5, rest]))
                return torch.stack(rows)
            """,
        ),
    ],
    "stopped": [
        wrong(
            "the gradient goes on",
            "the gradient goes on into the memory",
            toy(gradient="g[s] + before + w * slope"),
        ),
        wrong("no gradient", "w multiplies the memory", toy(gradient="0.0")),
        wrong(
            "the memory holds outputs",
            "not its output",
            toy(before="new_h[s - 1] if s > 0 else 0.0"),
        ),
        wrong("one layer", ("one layer alone", "one layer's share"), toy(layers="1")),
        wrong(
            "the last layer's share",
            "every layer uses w",
            toy(gradient="before"),
        ),
        wrong("no memory", "the memory is missing", toy(step="0.0")),
        right("two lists", toy()),
        right(
            "with PyTorch",
            """
            def stopped(w, x, n_layers):
                w = torch.tensor(w, dtype=torch.float64, requires_grad=True)
                memory = [torch.zeros((), dtype=torch.float64)] * n_layers
                for number in x:
                    h = torch.tensor(number, dtype=torch.float64)
                    for n in range(n_layers):
                        h, memory[n] = h + w * memory[n], h.detach()
                total = h + 0 * w
                total.backward()
                return total.item(), w.grad.item()
            """,
        ),
        right(
            "binomial coefficients",
            """
            from math import comb

            def stopped(w, x, n_layers):
                def state(n, back):
                    kept = x[:len(x) - back][::-1]
                    return sum(comb(n, m) * w**m * y for m, y in enumerate(kept))

                slopes = [state(n, 1) for n in range(n_layers)]
                return state(n_layers, 0), float(sum(slopes))
            """,
        ),
    ],
}

_ONE_SIZE = "r has as many rows as k, and all have d_k columns"

EQUIVALENT = {
    "read": {
        "memories = [x[:0]] * n_layers": "no rows, no gradient",
        "….detach().detach()": "once is enough",
        "memories[n] = ….detach()": "the states are detached already",
    },
    "relative_scores": {
        "place = torch.arange(len(r))": _ONE_SIZE,
        "distance = place[len(r) - len(q) :, None] - place": _ONE_SIZE,
        "return (scores / k.shape[1] ** 0.5)…": _ONE_SIZE,
        "return (scores / r.shape[1] ** 0.5)…": _ONE_SIZE,
    },
    "stopped": {
        "h, g = x, …": "nothing is changed in place",
        "before = [0.0, *h[:]]": "zip leaves the last one out",
        "g = [g_s + b for g_s, b in zip(before, g)]": "a sum has no order",
    },
}
