"""Wrong and right answers to the sheet of chapter 18."""

from tests.answers import right, wrong

HAND = """
def by_hand():
    order = [3, 0, 4, 2, 1]
    turn = {turn}
    content = [[int(turn[j] <= turn[i]) for j in range(5)] for i in range(5)]
    query = [[int(turn[j] < turn[i]) for j in range(5)] for i in range(5)]
    return {result}
"""
TURN = "[order.index(place) for place in range(5)]"

PARTIAL = """
def partial_masks(order, n_given):
    rank = {rank}
    given = rank < n_given
    before = rank < rank[:, None]
    itself = rank == rank[:, None]
    together = given & given[:, None]
    return {content}, {query}
"""
PARTS = {
    "rank": "order.argsort()",
    "content": "before | itself | together",
    "query": "before & ~given[:, None]",
}

MEANS = """
def mean_log_probs(table, text):
    time = len(text)

    def p(places):
        index = tuple(text[i] if i in places else slice(None) for i in range(time))
        return table[index].sum()

    orders = {orders}
    means = torch.zeros(time)
    for order in orders:
        for turn, place in enumerate(order):
            known = {known}
            means[place] += {term}
    return {result}
"""
MEAN = {
    "orders": "list(itertools.permutations(range(time)))",
    "known": "order[:turn]",
    "term": "(p((*known, place)) / p(known)).log()",
    "result": "means / len(orders)",
}

SETS = """
def mean_log_probs(table, text):
    time = len(text)

    def log_p(places):
        keep = [i if i in places else None for i in range(time)]
        gone = [i for i in range(time) if keep[i] is None]
        small = table.sum(gone) if gone else table
        return small[tuple(text[i] for i in range(time) if i in places)].log()

    means = []
    for place in range(time):
        others = [i for i in range(time) if i != place]
        total = 0.0
        for size in range(time):
            for known in itertools.combinations(others, size):
                gain = log_p([*known, place]) - log_p(known)
                total += {weight} * gain.item()
        means.append(total)
    return means
"""
ORDERS_OF_A_SET = (
    "math.factorial(size) * math.factorial(time - 1 - size) / math.factorial(time)"
)

LOSS = """
def lowest_loss(stream, time, n_letters):
    nats = {log}(n_letters)
    return {{"query": {query}, "content": {content}, "at once": {at_once}}}[stream]
"""
LOSSES = {
    "log": "math.log",
    "query": "math.ceil(time / 2) / time * nats",
    "content": "0",
    "at_once": "nats",
}

STREAMS = """
def mended(tokens, places, blank, rank):
    content_mask, query_mask = permutation_masks(rank)
    content = tokens + places
    query = {start}
    for _ in range(2):
        {first}
        {second}
    return query
"""
STREAM = {
    "start": "blank + places",
    "first": "query = look(query, content, query_mask)",
    "second": "content = look(content, content, content_mask)",
}

ANSWERS = {
    "by_hand": [
        wrong(
            "the two swapped",
            "the content stream sees itself",
            HAND.format(turn=TURN, result="query, content"),
        ),
        wrong(
            "content without itself",
            "the content stream sees itself",
            HAND.format(turn=TURN, result="query, query"),
        ),
        wrong(
            "query with itself",
            "the query stream does not",
            HAND.format(turn=TURN, result="content, content"),
        ),
        wrong(
            "the order taken for the ranks",
            "the order lists places by turn",
            HAND.format(turn="order", result="content, query"),
        ),
        wrong(
            "transposed",
            "rows look and columns are looked at",
            HAND.format(turn=TURN, result="[*zip(*content)], [*zip(*query)]"),
        ),
        wrong(
            "left to right",
            "this is the order left to right",
            HAND.format(turn="range(5)", result="content, query"),
        ),
        wrong(
            "rows by turn",
            "row i belongs to place i",
            HAND.format(
                turn=TURN,
                result="[content[i] for i in order], [query[i] for i in order]",
            ),
        ),
        right("one comparison", HAND.format(turn=TURN, result="content, query")),
        right(
            "as tensors",
            """
            def by_hand():
                query = torch.zeros(5, 5)
                for place, known in {0: [3], 1: [0, 2, 3, 4], 2: [0, 3, 4], 4: [0, 3]}.items():
                    query[place, known] = 1
                return query + torch.eye(5), query
            """,
        ),
    ],
    "partial_masks": [
        wrong(
            "nothing is given",
            "the given tokens see each other",
            "def partial_masks(order, n_given):\n"
            "    return permutation_masks(order.argsort())",
        ),
        wrong(
            "given tokens are asked, too",
            "a given token is not asked for: its row",
            PARTIAL.format(**PARTS | {"query": "before"}),
        ),
        wrong(
            "given tokens see each other in the query mask",
            "it sees the others in the content mask alone",
            PARTIAL.format(
                **PARTS | {"query": "(before & ~given[:, None]) | together"}
            ),
        ),
        wrong(
            "the order taken for the ranks",
            "order lists places by turn",
            PARTIAL.format(**PARTS | {"rank": "order"}),
        ),
        wrong(
            "given tokens see everything",
            "a given token sees the given ones alone",
            PARTIAL.format(**PARTS | {"content": "before | itself | given[:, None]"}),
        ),
        wrong(
            "the given alone",
            "a later token sees those before it, too",
            PARTIAL.format(
                **PARTS
                | {
                    "content": "given | itself",
                    "query": "given & ~given[:, None]",
                }
            ),
        ),
        wrong(
            "the query sees itself",
            "a later token sees itself in the content mask only",
            PARTIAL.format(**PARTS | {"query": "(before | itself) & ~given[:, None]"}),
        ),
        wrong(
            "numbers",
            "not boolean",
            PARTIAL.format(
                **PARTS | {"content": "(before | itself | together).float()"}
            ),
        ),
        right("three masks", PARTIAL.format(**PARTS)),
        right(
            "equal ranks for what is given",
            """
            def partial_masks(order, n_given):
                rank = (order.argsort() + 1 - n_given).clamp(min=0)
                if n_given == 0:
                    rank = order.argsort()
                return permutation_masks(rank)
            """,
        ),
        right(
            "filled turn by turn",
            """
            def partial_masks(order, n_given):
                time = len(order)
                content, query = torch.zeros(2, time, time, dtype=torch.bool)
                for turn, place in enumerate(order.tolist()):
                    if turn < n_given:
                        content[place, order[:n_given]] = True
                    else:
                        query[place, order[:turn]] = True
                        content[place, order[: turn + 1]] = True
                return content, query
            """,
        ),
    ],
    "mean_log_probs": [
        wrong(
            "left to right",
            "this is the order left to right alone",
            MEANS.format(**MEAN | {"orders": "[range(time)]"}),
        ),
        wrong(
            "two directions",
            "two orders are not all orders",
            MEANS.format(
                **MEAN | {"orders": "[tuple(range(time)), tuple(range(time))[::-1]]"}
            ),
        ),
        wrong(
            "all others known",
            "with all others known",
            MEANS.format(
                **MEAN | {"known": "tuple(i for i in range(time) if i != place)"}
            ),
        ),
        wrong(
            "each on its own",
            "each token is asked for alone",
            MEANS.format(**MEAN | {"known": "()"}),
        ),
        wrong(
            "all sets alike",
            "comes in more orders than one of middle size",
            SETS.format(weight="0.5 ** (time - 1)"),
        ),
        wrong(
            "the logarithm of the mean",
            "take the logarithm first",
            MEANS.format(
                **MEAN
                | {
                    "term": "p((*known, place)) / p(known)",
                    "result": "(means / len(orders)).log()",
                }
            ),
        ),
        wrong(
            "no logarithm",
            "the logarithm is missing",
            MEANS.format(**MEAN | {"term": "p((*known, place)) / p(known)"}),
        ),
        wrong(
            "not divided",
            "divide by their number",
            MEANS.format(**MEAN | {"result": "means"}),
        ),
        wrong(
            "the loss",
            "has the other sign",
            MEANS.format(**MEAN | {"result": "-means / len(orders)"}),
        ),
        right("all orders", MEANS.format(**MEAN)),
        right("all sets, weighted", SETS.format(weight=ORDERS_OF_A_SET)),
    ],
    "lowest_loss": [
        wrong(
            "every letter a guess",
            "the second letter of a pair is known",
            LOSS.format(**LOSSES | {"query": "nats"}),
        ),
        wrong(
            "half of the letters, always",
            "the middle letter of an odd text",
            LOSS.format(**LOSSES | {"query": "nats / 2"}),
        ),
        wrong(
            "the content stream guesses",
            "need not guess",
            LOSS.format(**LOSSES | {"content": LOSSES["query"]}),
        ),
        wrong(
            "at once as in order",
            "no letter sees its mirror image",
            LOSS.format(**LOSSES | {"at_once": LOSSES["query"]}),
        ),
        wrong(
            "the sum",
            "this is the sum",
            LOSS.format(
                **LOSSES
                | {"query": "math.ceil(time / 2) * nats", "at_once": "time * nats"}
            ),
        ),
        wrong("bits", "this is in bits", LOSS.format(**LOSSES | {"log": "math.log2"})),
        right("a table", LOSS.format(**LOSSES)),
        right(
            "the probability of a text",
            """
            def lowest_loss(stream, time, n_letters):
                free = {"query": time - time // 2, "content": 0, "at once": time}[stream]
                return -torch.tensor(float(n_letters)).pow(-free).log() / time
            """,
        ),
    ],
    "mended": [
        wrong(
            "as published",
            "nothing was mended",
            "def mended(tokens, places, blank, rank):\n"
            "    return leaky(tokens, places, blank, rank)",
        ),
        wrong(
            "the mask alone",
            "still begins with its own token",
            STREAMS.format(**STREAM | {"start": "tokens + places"}),
        ),
        wrong(
            "the start alone",
            "still looks at the content of its own place",
            STREAMS.format(
                **STREAM | {"first": "query = look(query, content, content_mask)"}
            ),
        ),
        wrong(
            "no place",
            "does not know its place",
            STREAMS.format(**STREAM | {"start": "blank.expand_as(tokens)"}),
        ),
        wrong(
            "the content stream blinded",
            "the content stream is right as it is",
            STREAMS.format(
                **STREAM | {"second": "content = look(content, content, query_mask)"}
            ),
        ),
        wrong(
            "content first",
            "so it goes first",
            STREAMS.format(
                **STREAM | {"first": STREAM["second"], "second": STREAM["first"]}
            ),
        ),
        right("two words changed", STREAMS.format(**STREAM)),
        right(
            "all content states first",
            """
            def mended(tokens, places, blank, rank):
                turn = rank[:, None]
                below = tokens + places
                middle = look(below, below, rank <= turn)
                query = blank.unsqueeze(0) + places
                for content in (below, middle):
                    query = look(query, content, (rank <= turn) & (rank != turn))
                return query
            """,
        ),
    ],
}

EQUIVALENT = {
    "partial_masks": {
        "itself = rank <= rank[:, None]": "what comes before is seen anyway",
        "content = before | itself | (given)": "the given come before all others",
        "return content, (before) & ~given[:, None]": (
            "the given come before all others"
        ),
    },
    "mean_log_probs": {"means = torch.zeros(time)": "float32 is enough for 1e-5"},
    "lowest_loss": {
        "return rounded(0.0)": "it is whole",
        'if stream <= "at once":': "of the three names it is the first",
    },
}
