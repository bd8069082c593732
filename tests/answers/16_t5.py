"""Wrong and right answers to the sheet of chapter 16."""

from tests.answers import right, wrong

DISTANCES = """
def distances_of(bucket, n_buckets, max_distance):
    e = {exact}
    def first(b):
        if b < {half}:
            return b
        return {round}({edge})
    last = {no_end} if bucket == n_buckets - 1 else first(bucket + 1){minus}
    return first(bucket), last
"""
DISTANCE = {
    "exact": "n_buckets // 2",
    "half": "e",
    "round": "math.ceil",
    "edge": "e * (max_distance / e) ** ((b - e) / (n_buckets - e))",
    "no_end": "math.inf",
    "minus": " - 1",
}

CUT = """
def cut_out(ids, gone, sentinels):
    {text}
    source, target, k = [], [], -1
    for i, token in enumerate(ids):
        if not gone[i]:
            source.append(token)
            {kept}
            continue
        if {begins}:
            k += 1
            {check}
            source.append(sentinels[{which}])
            target.append(sentinels[{which}])
        target.append(token)
    {enough}
    return source, target{end}
"""
CUTS = {
    "text": "if any(s in ids for s in sentinels): raise ValueError(str(sentinels))",
    "kept": "pass",
    "begins": "i == 0 or not gone[i - 1]",
    "check": "if k >= len(sentinels): raise ValueError('too few sentinels')",
    "which": "k",
    "enough": "if k + 1 >= len(sentinels): raise ValueError('too few sentinels')",
    "end": " + [sentinels[k + 1]]",
}

MEAN = """
def without_mean(weight, bias):
    return {}, {}
"""

TOLD = """
def told_apart(how, time):
    place = torch.arange(time)
    distance = place - place[:, None]
    buckets = relative_bucket({distance}, both_sides={both})
    return len(buckets{seen}.unique()){minus}
"""
TELL = {
    "distance": "-distance if how == 'turned round' else distance",
    "both": "how == 'both sides'",
    "seen": "[causal_mask(time)]",
    "minus": "",
}

BIAS = """
def mended_bias(table, n_queries, n_keys, n_buckets=32, max_distance=128):
    i = torch.arange(n_queries){start}
    j = torch.arange(n_keys)
    buckets = relative_bucket({distance}, {sizes}both_sides={both})
    return {out}
"""
BIASES = {
    "start": " + n_keys - n_queries",
    "distance": "j - i[:, None]",
    "sizes": "n_buckets, max_distance, ",
    "both": "False",
    "out": "table[buckets].permute(2, 0, 1)",
}

ANSWERS = {
    "distances_of": [
        wrong(
            "rounded down",
            "rounded down",
            DISTANCES.format(**DISTANCE | {"round": "math.floor"}),
        ),
        wrong(
            "one too far",
            "not the next one's first",
            DISTANCES.format(**DISTANCE | {"minus": ""}),
        ),
        wrong(
            "the last bucket ends",
            "the last bucket has no end",
            DISTANCES.format(**DISTANCE | {"no_end": "max_distance"}),
        ),
        wrong(
            "equally wide",
            "they are not equally wide",
            DISTANCES.format(
                **DISTANCE
                | {"edge": "e + (b - e) * (max_distance - e) / (n_buckets - e)"}
            ),
        ),
        wrong(
            "by the logarithm from the start",
            "holds one distance each",
            DISTANCES.format(
                **DISTANCE | {"half": "1", "edge": "max_distance ** (b / n_buckets)"}
            ),
        ),
        wrong(
            "the encoder's",
            "these are the encoder's",
            DISTANCES.format(
                **DISTANCE
                | {
                    "exact": "n_buckets // 4",
                    "edge": "e * (max_distance / e) ** ((b - e) / (n_buckets // 2 - e))"
                    " if e else b",
                }
            ),
        ),
        wrong(
            "asked of the library",
            "relative_bucket",
            """
            def distances_of(bucket, n_buckets, max_distance):
                found = relative_bucket(
                    -torch.arange(4000), n_buckets, max_distance, False
                )
                inside = (found == bucket).nonzero().flatten().tolist()
                last = math.inf if bucket == n_buckets - 1 else inside[-1]
                return inside[0], last
            """,
        ),
        right("the edge, rounded up", DISTANCES.format(**DISTANCE)),
        right(
            "search with the formula",
            """
            def distances_of(bucket, n_buckets, max_distance):
                e = n_buckets // 2
                def of(d):
                    if d < e:
                        return d
                    share = math.log(d / e) / math.log(max_distance / e)
                    return min(n_buckets - 1, e + int((n_buckets - e) * share))
                inside = [d for d in range(2 * max_distance) if of(d) == bucket]
                last = math.inf if bucket == n_buckets - 1 else inside[-1]
                return torch.tensor([inside[0], last])
            """,
        ),
        wrong(
            "up to the edge, which may be whole",
            "not the next one's first",
            """
            def distances_of(bucket, n_buckets, max_distance):
                e = n_buckets // 2

                def edge(b):
                    return b if b <= e else e * (max_distance / e) ** ((b - e) / (n_buckets - e))

                if bucket == n_buckets - 1:
                    return math.ceil(edge(bucket)), math.inf
                last = bucket if bucket < e - 1 else int(edge(bucket + 1))
                return math.ceil(edge(bucket)), last - (bucket == e - 1)
            """,
        ),
    ],
    "cut_out": [
        wrong(
            "a sentinel a token",
            "neighbours that are cut share",
            CUT.format(**CUTS | {"begins": "True"}),
        ),
        wrong(
            "one sentinel for all",
            "a sentinel of its own",
            CUT.format(**CUTS | {"which": "0", "end": " + [sentinels[0]]"}),
        ),
        wrong(
            "no end",
            "ends with one more sentinel",
            CUT.format(**CUTS | {"end": ""}),
        ),
        wrong(
            "the whole text",
            "what is cut, not what is kept",
            CUT.format(**CUTS | {"kept": "target.append(token)"}),
        ),
        wrong(
            "the sentinel behind its span",
            "*before* what it stands for",
            """
            def cut_out(ids, gone, sentinels):
                source, target, k = [], [], 0
                for i, token in enumerate(ids):
                    if not gone[i]:
                        source.append(token)
                        continue
                    target.append(token)
                    if i + 1 == len(ids) or not gone[i + 1]:
                        source.append(sentinels[k])
                        target.append(sentinels[k])
                        k += 1
                return source, target + [sentinels[k]]
            """,
        ),
        wrong(
            "a span at the beginning forgotten",
            "a span at the beginning",
            CUT.format(**CUTS | {"begins": "i > 0 and not gone[i - 1]"}),
        ),
        wrong(
            "too few sentinels",
            "two were given: ValueError",
            CUT.format(
                **CUTS
                | {
                    "check": "pass",
                    "enough": "sentinels = list(sentinels) + [-1]",
                }
            ),
        ),
        wrong(
            "a sentinel in the text",
            "stands in the text and is a sentinel",
            CUT.format(**CUTS | {"text": "pass"}),
        ),
        right("a counter", CUT.format(**CUTS)),
        right(
            "with groupby",
            """
            def cut_out(ids, gone, sentinels):
                if not set(ids).isdisjoint(sentinels):
                    raise ValueError("a sentinel stands in the text")
                source, target, left = [], [], list(sentinels)
                for cut, group in itertools.groupby(range(len(ids)), lambda i: gone[i]):
                    tokens = [ids[i] for i in group]
                    if cut:
                        if not left:
                            raise ValueError("too few")
                        source.append(left[0])
                        target += [left.pop(0), *tokens]
                    else:
                        source += tokens
                if not left:
                    raise ValueError("none for the end")
                return tuple(source), tuple(target + left[:1])
            """,
        ),
    ],
    "without_mean": [
        wrong(
            "the wrong axis",
            "the wrong axis",
            MEAN.format("weight - weight.mean(1, keepdim=True)", "bias - bias.mean()"),
        ),
        wrong(
            "one mean for all",
            "each column has a mean of its own",
            MEAN.format("weight - weight.mean()", "bias - bias.mean()"),
        ),
        wrong(
            "the bias forgotten",
            "the bias has a mean, too",
            MEAN.format("weight - weight.mean(0)", "bias"),
        ),
        wrong(
            "no bias",
            "only its mean must go",
            MEAN.format("weight - weight.mean(0)", "torch.zeros_like(bias)"),
        ),
        wrong(
            "divided by the deviation",
            "RMSNorm does that",
            MEAN.format(
                "(weight - weight.mean(0)) / (weight.std(0, correction=0) + 1e-9)",
                "(bias - bias.mean()) / (bias.std(correction=0) + 1e-9)",
            ),
        ),
        wrong(
            "in place",
            "you changed the tensor",
            """
            def without_mean(weight, bias):
                weight -= weight.mean(0)
                bias -= bias.mean()
                return weight, bias
            """,
        ),
        right(
            "the mean as a row",
            MEAN.format(
                "weight - weight.sum(0, keepdim=True) / len(weight)",
                "bias - bias.sum() / len(bias)",
            ),
        ),
        right(
            "a matrix that takes the mean away",
            """
            def without_mean(weight, bias):
                d = len(bias)
                take = torch.eye(d, dtype=weight.dtype) - 1 / d
                return take @ weight, take @ bias
            """,
        ),
        right(
            "by looking at what the map does",
            """
            def without_mean(weight, bias):
                d_in = weight.shape[1]
                def f(x):
                    y = F.linear(x, weight, bias)
                    return y - y.mean(-1, keepdim=True)
                zero = f(torch.zeros(1, d_in, dtype=weight.dtype))
                return (f(torch.eye(d_in, dtype=weight.dtype)) - zero).T, zero[0]
            """,
        ),
    ],
    "told_apart": [
        wrong(
            "the future counts",
            "the causal mask hides do not count",
            TOLD.format(**TELL | {"seen": ""}),
        ),
        wrong(
            "distance 0 forgotten",
            "distance 0 counts",
            TOLD.format(**TELL | {"minus": " - 1"}),
        ),
        wrong(
            "a turned sign costs nothing",
            "that is one bucket: 0",
            TOLD.format(**TELL | {"distance": "distance"}),
        ),
        wrong(
            "both sides cost nothing",
            "for keys on the right",
            TOLD.format(**TELL | {"both": "False"}),
        ),
        wrong(
            "every distance a bucket",
            "beyond the exact ones share buckets",
            """
            def told_apart(how, time):
                return 1 if how == "turned round" else min(time, 32)
            """,
        ),
        wrong(
            "no bucket at all",
            "still the one bucket",
            TOLD.format(**TELL | {"minus": " * (how != 'turned round')"}),
        ),
        right("among the pairs that are seen", TOLD.format(**TELL)),
        right(
            "with the formula",
            """
            def told_apart(how, time):
                if how == "turned round":
                    return 1
                n = 32 if how == "right" else 16
                e = n // 2
                found = set()
                for d in range(time):
                    b = d
                    if d >= e:
                        b = e + int((n - e) * math.log(d / e) / math.log(128 / e) + 1e-9)
                    found.add(min(b, n - 1))
                return torch.tensor(len(found))
            """,
        ),
    ],
    "mended_bias": [
        wrong(
            "nothing mended",
            "both faults are still there",
            """
            def mended_bias(table, n_queries, n_keys, n_buckets=32, max_distance=128):
                return faulty_bias(table, n_queries, n_keys, n_buckets, max_distance)
            """,
        ),
        wrong(
            "the sign is left",
            "it should be key minus query",
            BIAS.format(**BIASES | {"distance": "i[:, None] - j"}),
        ),
        wrong(
            "the start is left",
            "still begin at place 0",
            BIAS.format(**BIASES | {"start": ""}),
        ),
        wrong(
            "both sides",
            "which a decoder never sees",
            BIAS.format(**BIASES | {"both": "True"}),
        ),
        wrong(
            "other sizes forgotten",
            ("n_buckets and max_distance are not passed on", "8 buckets to 12"),
            BIAS.format(**BIASES | {"sizes": ""}),
        ),
        wrong(
            "heads last",
            "expected (n_heads, n_queries, n_keys)",
            BIAS.format(**BIASES | {"out": "table[buckets]"}),
        ),
        wrong(
            "cut off from the table",
            "no gradient",
            BIAS.format(**BIASES | {"out": BIASES["out"] + ".detach()"}),
        ),
        wrong(
            "delegated",
            "RelativeBias",
            """
            def mended_bias(table, n_queries, n_keys, n_buckets=32, max_distance=128):
                from dot2gpt.t5 import RelativeBias
                bias = RelativeBias(table.shape[1], n_buckets, max_distance, False)
                bias.table.weight = torch.nn.Parameter(table)
                return bias(n_queries, n_keys)
            """,
        ),
        right("places from the end", BIAS.format(**BIASES)),
        right(
            "the absolute distance, the future put to 0",
            """
            def mended_bias(table, n_queries, n_keys, n_buckets=32, max_distance=128):
                i = torch.arange(n_keys)[-n_queries:]
                back = (i[:, None] - torch.arange(n_keys)).clamp(min=0)
                buckets = relative_bucket(-back, n_buckets, max_distance, False)
                return torch.stack([head[buckets] for head in table.unbind(1)])
            """,
        ),
        wrong(
            "the start is left, and a lone query sees one bucket",
            "counted from the beginning of the text",
            BIAS.format(**BIASES | {"start": ""}),
        ),
    ],
}

EQUIVALENT = {
    "distances_of": {
        "exact = n_buckets / 2": "n_buckets is even",
        "exact = -(-n_buckets // 2)": "n_buckets is even",
        "if b <= exact:": "the first bucket after the exact ones begins at exact",
        "share = (b - exact) / (exact)": "the exact ones are half of all",
        "is_last = bucket >= (n_buckets - 1)": "there is no later bucket",
    },
    "without_mean": {"….mean(0, keepdim=True)…": "it is subtracted from each row"},
    "told_apart": {
        'if how >= "turned round":': "of the three names it is the last",
        '…=how <= "both sides")': "of the three names it is the first",
    },
    "mended_bias": {
        "distance = ….detach()…": "these are whole numbers",
        "buckets = ….detach()": "these are whole numbers",
    },
}
