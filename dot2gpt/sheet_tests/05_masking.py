# Made from solutions/ by `make sync`: do not edit.

# %% predicted
c = checks.Checks("Exercise 1 · What a score of 0 hides: predict")
hidden = torch.triu(torch.ones(4, 4), 1).bool()
visible_keys, hidden_keys = torch.arange(1.0, 5), torch.arange(3.0, -1, -1)


def kept(score, also_self=False):
    weights = torch.full((4, 4), score).masked_fill(hidden, 0).softmax(-1)
    counted = torch.triu(torch.ones(4, 4), 0 if also_self else 1)
    return (weights * counted).sum(-1)


def numbers(rows, row):  # float, since a Fraction is welcome too
    given = ... if rows is ... else rows[row]
    return [float(n) for n in given] if isinstance(given, (list, tuple)) else given


cases = [("0", 0.0), ("ln 2", math.log(2)), ("-ln 2", -math.log(2))]
for row, (name, score) in enumerate(cases):
    c.close(
        f"every score is {name}",
        lambda row=row: numbers(predicted, row),
        kept(score),
        mistakes={
            "a score of 0 is not a weight of 0: e to the power 0 is 1": torch.zeros(4),
            "this is the weight on the past: asked is the weight on the future": (
                1 - kept(score)
            ),
            "a query's own position is not its future": kept(score, also_self=True),
            "this is the weight of one hidden key: add them up": (
                kept(score) / hidden_keys.clamp(min=1)
            ),
            "the scores are not 0 here: a visible key counts exp(score)": kept(0.0),
            "the exponential is missing: a score counts exp(score), not itself": (
                (hidden_keys / (visible_keys * score + hidden_keys)).nan_to_num()
            ),
            "the hidden keys count exp(0) = 1 each, and the visible ones exp(score)": (
                hidden_keys * math.exp(score)
                / (visible_keys + hidden_keys * math.exp(score))
            ),
        },
        atol=1e-3,
    )
c.report()

# %% score_needed (more is tested when it is handed in)
c = checks.Checks("Exercise 1 · What a score of 0 hides: the score needed")
# n_keys, limit: the score, and what each mistake gives
cases = {
    (5, 0.01): (5.981414, 6.204558, 5.991465, 396, 2.597695, 8.629357, 4.595120),
    (2, 0.5): (0.0, 0.693147, 0.693147, 1, None, None, None),  # both scores are 0
}
whys = (
    "the visible key itself is not hidden: n_keys - 1 keys are",
    "the weights add to 1: the visible key keeps 1 - limit, not 1",
    "this is exp(score): take the logarithm",
    "softmax uses e: take the natural logarithm",
    "that is base 2: take the natural logarithm",
    "all n_keys - 1 hidden keys count, not one",
)
for (n_keys, limit), (want, *wrong) in cases.items():
    c.close(
        f"{n_keys} keys, at most {limit}",
        lambda: score_needed(n_keys, limit),
        want,
        mistakes=dict(zip(whys, wrong))
        | {"the sign is turned: a larger score leaves less for the future": -want},
        atol=1e-5,
    )
c.that(
    "softmax agrees: 4 keys, 20 %",
    lambda: (
        abs(
            torch.tensor([float(score_needed(4, 0.2))] + [0.0] * 3).softmax(0)[1:].sum()
            - 0.2
        )
        < 1e-5
    ),
    "with your score the future does not keep 0.2",
)
c.report()

# %% window_mask (more is tested when it is handed in)
c = checks.Checks("Exercise 2 · A sliding window")
# n_queries, n_keys, window: the mask, and what each mistake gives
cases = {
    (4, 4, 2): (
        [[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]],
        [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1]],
        None,
        [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]],
        [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]],
        [[0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]],
    ),
    (1, 5, 3): (
        [[0, 0, 1, 1, 1]],
        [[0, 1, 1, 1, 1]],
        [[1, 0, 0, 0, 0]],
        None,
        [[1, 1, 1, 1, 1]],
        [[0, 0, 1, 1, 0]],
    ),
}
whys = (
    "the window counts the query itself: it sees window - 1 before it",
    "the first query is put at the first key: the last belongs at the last",
    "the future is visible: a window looks back only",
    "no window: this is the causal mask",
    "the query does not see itself",
)
for (n_queries, n_keys, window), (want, *wrong) in cases.items():
    c.close(
        f"{n_queries} queries, {n_keys} keys, window {window}",
        lambda: window_mask(n_queries, n_keys, window),
        want,
        mistakes=dict(zip(whys, wrong))
        | {
            "True and False are exchanged: True means 'may attend'": (
                1 - torch.tensor(want).int()
            )
        },
    )
c.that(
    "it is boolean",
    lambda: window_mask(3, 5, 2).dtype == torch.bool,
    "attention refuses a mask of numbers: return booleans",
)
c.report()

# %% safe_softmax (more is tested when it is handed in)
c = checks.Checks("Exercise 3 · Repair a published softmax")
NAN = "a row is NaN: 0 divided by 0, or infinity by infinity"


def weights(scores, lengths):
    with checks.by_hand("masked softmax"):
        return safe_softmax(scores, lengths)


def per_query(scores, lengths):
    return lengths if lengths.dim() == 2 else lengths[:, None].expand(scores.shape[:2])


def expected(scores, lengths):
    out = torch.zeros_like(scores)
    for place, n in zip(
        ((b, t) for b in range(scores.shape[0]) for t in range(scores.shape[1])),
        per_query(scores, lengths).flatten().tolist(),
        strict=True,
    ):
        if n:
            out[place][:n] = scores[place][:n].softmax(0)
    return out


def filled(scores, lengths, fill):
    n = per_query(scores, lengths)[..., None]
    return scores.masked_fill(torch.arange(scores.shape[-1]) >= n, fill).softmax(-1)


def real(scores, lengths):
    return torch.arange(scores.shape[-1]) < per_query(scores, lengths)[..., None]


def cut_after(scores, lengths):
    return scores.softmax(-1) * real(scores, lengths)


def compare(what, scores, lengths, want=None):
    def got():
        out = weights(scores.clone(), lengths.clone())
        if out is not None and out.isnan().any():
            raise checks.Wrong(NAN)
        return out

    c.close(
        what,
        got,
        expected(scores, lengths) if want is None else want,
        mistakes={
            "an empty row is uniform: with nothing to attend to, its weights are 0": (
                filled(scores, lengths, -9e15)
            ),
            "the padding wins: the number filled in is not below these scores": (
                filled(scores, lengths, -1e6)
            ),
            "the padding takes the weight: what is filled in must be below every "
            "score": (
                filled(scores, lengths, -1e7) * real(scores, lengths)
            ),
            "the weights do not add to 1: padding was cut after softmax": (
                cut_after(scores, lengths)
            ),
            "a score of 0 does not hide: exp(0) is 1": filled(scores, lengths, 0.0),
            "nothing is masked": scores.softmax(-1),
        },
    )


def gradient(scores, lengths, weight):
    scores = scores.clone().requires_grad_()
    try:
        loss = (weights(scores, lengths) * weight).sum()
    except RuntimeError as error:
        if "in-place" in str(error):
            raise checks.Wrong("the function writes into the caller's scores") from None
        raise
    found = torch.autograd.grad(loss, scores)[0]
    if found.isnan().any():
        raise checks.Wrong(
            "a NaN that is overwritten in the result comes back in the gradient"
        )
    return found


def expected_gradient(scores, lengths, weight):
    scores = scores.clone().requires_grad_()
    return torch.autograd.grad(expected(scores, lengths), scores, weight)[0]


def same_scores():
    scores = torch.arange(24.0).reshape(2, 3, 4)
    weights(scores, torch.tensor([1, 2]))
    return scores


logs = torch.tensor([[[1.0, 2, 5]]]).log()
compare("by hand: ln 1, ln 2 and padding", logs, torch.tensor([2]),
        [[[1 / 3, 2 / 3, 0]]])  # fmt: skip
torch.manual_seed(0)
scores = torch.randn(2, 3, 5)
compare("a length for each sequence", scores, torch.tensor([2, 5]))
compare("a length for each query", scores, torch.tensor([[1, 2, 3], [4, 5, 2]]))
compare("a sequence of length 0", scores, torch.tensor([0, 3]))
c.close("the caller's scores", same_scores, torch.arange(24.0).reshape(2, 3, 4),
        hint="the function writes into the caller's scores")  # fmt: skip
for what, lengths in [
    ("the gradient", torch.tensor([2, 4])),
    ("the gradient beside a row of length 0", torch.tensor([0, 4])),
]:
    weight = torch.randn(2, 3, 5)
    c.close(
        what,
        lambda lengths=lengths, weight=weight: gradient(scores, lengths, weight),
        expected_gradient(scores, lengths, weight),
        hint="it is not the gradient of a softmax over the real keys",
        atol=1e-5,
    )
compare("very negative real scores", scores - 2e6, torch.tensor([2, 4]))
compare("still lower ones", 1e7 * scores - 2e7, torch.tensor([2, 4]))
compare("the lowest ones", torch.full((2, 3, 5), -1e30), torch.tensor([2, 4]))
c.report()

# %% left_padded_mask (more is tested when it is handed in)
c = checks.Checks("Exercise 4 · Padding on the left")


def prompts(lengths, seed, dtype=torch.float32):
    torch.manual_seed(seed)
    return [torch.randn(n, 7, dtype=dtype) for n in lengths]


def alone(sequences):
    runs = [
        scaled_dot_product_attention(x, x, x, causal_mask(len(x)))[0] for x in sequences
    ]
    return torch.cat(runs)


def together(sequences, time, mask):
    batch = 50 * torch.ones(len(sequences), time, 7, dtype=sequences[0].dtype)
    for row, x in zip(batch, sequences, strict=True):
        row[time - len(x) :] = x
    out, _ = scaled_dot_product_attention(batch, batch, batch, mask)
    return torch.cat(
        [row[time - len(x) :] for row, x in zip(out, sequences, strict=True)]
    )


def agree(what, lengths, time, seed, dtype=torch.float32):
    sequences, lengths = prompts(lengths, seed, dtype), torch.tensor(lengths)
    c.close(
        what,
        lambda: together(sequences, time, left_padded_mask(lengths, time)),
        alone(sequences),
        hint="each prompt should come out as it does alone",
    )


real = torch.tensor([[[0], [1], [1]], [[1], [1], [1]]])


def rows(*lines):
    """A row of 0 and 1 for each query of two prompts."""
    return [[[int(n) for n in row] for row in line.split()] for line in lines]


c.close(
    "the queries of real tokens, prompts of 2 and 3, time 3",
    lambda: left_padded_mask(torch.tensor([2, 3]), 3) * real,
    rows("000 010 011", "100 110 111"),
    mistakes={
        "the padding is visible: the causal mask hides the future alone": (
            rows("000 110 111", "100 110 111")
        ),
        "the future is visible: the padding mask hides the padding alone": (
            rows("000 011 011", "111 111 111")
        ),
        "this masks padding on the right: real tokens come last here": (
            rows("000 110 110", "100 110 111")
        ),
        "True and False are exchanged: True means 'may attend'": (
            rows("000 101 100", "011 001 000")
        ),
        "a key must be real and not in the future: `&`, not `|`": (
            rows("000 111 111", "111 111 111")
        ),
        "the triangle is turned round: this shows the future": (
            rows("000 011 001", "111 011 001")
        ),
        "the query does not see itself": rows("000 000 010", "000 100 110"),
    },
)
agree("prompts of 2, 5 and 3 tokens", [2, 5, 3], time=5, seed=0)
c.report()

# %% future_leaks (more is tested when it is handed in)
c = checks.Checks("Exercise 5 · A leak finder for token ids")
TIME, VOCAB, D = 6, 7, 8
torch.manual_seed(0)
table = torch.randn(VOCAB, D, dtype=torch.float64)
ids = torch.tensor([5, 1, 4, 1, 0, 2])
triangle = torch.ones(TIME, TIME, dtype=torch.bool)
ahead = [(t, s) for t in range(TIME) for s in range(t + 1, TIME)]


def attention(mask):
    return lambda ids: scaled_dot_product_attention(*[table[ids]] * 3, mask)[0]


def published_heads(ids, n_heads=4):
    # causal attention in four heads; then one permute too many mixes heads and time
    heads = table[ids].view(TIME, n_heads, -1).transpose(0, 1)
    out, _ = scaled_dot_product_attention(heads, heads, heads, triangle.tril())
    return out.transpose(0, 1).permute(1, 0, 2).reshape(TIME, D)


def far(ids):  # position 0 looks at the last token
    out = table[ids].cumsum(0)
    out[0] += table[ids[-1]]
    return out


def balanced(ids):  # the same, but neither the sum of the numbers nor the mean moves
    heard = table.new_tensor([1, -1, 0, 2, -2, 3, -3])[ids[-1]]
    out = table[ids].cumsum(0)
    out[0, 0] += heard
    out[0, 1] -= heard
    return out


def rare(ids):  # everybody hears of token 3, wherever it stands
    return table[ids].cumsum(0) + (ids == 3).sum()


def last(ids):  # the same with the last token of the vocabulary
    return table[ids].cumsum(0) + (ids == VOCAB - 1).sum()


def faint(ids):  # the same, but little of it
    return table[ids].cumsum(0) + 1e-4 * (ids == 0).sum()


def rounding(ids):  # the sum of the past as the whole minus the rest: causal
    x = table[ids]
    return x.sum(0) - (x.flip(0).cumsum(0).flip(0) - x)


# Four heads, six positions: output i holds the pieces 4i..4i+3, piece r is time r % 6.
mixed = [
    (t, s) for t, s in ahead if any(r % TIME >= s for r in range(4 * t, 4 * t + 4))
]


def classify(what, f, want, hint):
    def found():
        pairs = {(int(t), int(s)) for t, s in future_leaks(f, ids.clone(), VOCAB)}
        if pairs == set(want):
            return True
        if want and pairs == {(s, t) for t, s in want}:
            raise checks.Wrong("the pairs are turned round: the output t comes first")
        if any(s == t for t, s in pairs):
            raise checks.Wrong("a position is not its own future: s must be after t")
        if any(s < t for t, s in pairs):
            raise checks.Wrong("to depend on the past is no leak: s must be after t")
        extra, missing = sorted(pairs - set(want)), sorted(set(want) - pairs)
        raise checks.Wrong(
            (f"{extra[0]} is no leak. " if extra else "")
            + (f"{missing[0]} is missing. " if missing else "")
            + hint
        )

    c.that(what, found)


classify("a causal mask", attention(triangle.tril()), [],
         "Set the id back before you change the next one")  # fmt: skip
classify("a mask one step too wide", attention(triangle.tril(1)),
         [(t, t + 1) for t in range(TIME - 1)],
         "Compare position by position, for every s after t")  # fmt: skip
classify("no causal mask, only padding", attention(triangle), ahead,
         "Every position sees every other here")  # fmt: skip
classify("a leak that reaches far ahead", far, [(0, TIME - 1)],
         "Try every s after t, not the next one alone")  # fmt: skip
classify("a leak that no sum and no mean shows", balanced, [(0, TIME - 1)],
         "Look at each number and each id by itself")  # fmt: skip
classify("a leak that one token alone shows", rare, ahead,
         "Try every other id: most of them change nothing here")  # fmt: skip
classify("a leak that the last token of the vocabulary shows", last, ahead,
         "The ids go from 0 to vocab_size - 1")  # fmt: skip
classify("a faint leak, of 1e-4", faint, ahead,
         "A change above 1e-6 counts")  # fmt: skip
c.report()
