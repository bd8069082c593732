# Made from solutions/ by `make sync`: do not edit.

# %% prefix_mask (more is tested when it is handed in)
c = checks.Checks("Exercise 1 · A prefix that sees itself")
cases = [([2, 0], 5), ([5, 1, 3], 5)]
for lengths, time in cases:
    n, i, j = (
        torch.tensor(lengths)[:, None, None],
        *torch.meshgrid(torch.arange(time), torch.arange(time), indexing="ij"),
    )
    past, key, query = (j <= i).expand(len(n), -1, -1), j < n, i < n
    want = past | key
    mistakes = {
        "this is causal: the prefix does not see its own right side": past,
        "only the prefix is seen: a later token sees those up to itself, too": (
            key.expand(want.shape)
        ),
        "within the prefix each token sees the others, but no later token sees it": (
            (past & ~key) | (query & key)
        ),
        "a token of the prefix sees the whole sequence, the future too: the prefix "
        "is what may be looked *at*": past | query,
        "the prefix is one token too long": past | (j <= n),
        "the mask is inverted: True means may attend": ~want,
        "rows are queries and columns are keys: this is transposed": want.mT,
    }
    c.that(
        f"it is boolean, lengths {lengths}",
        lambda: prefix_mask(torch.tensor(lengths), time).dtype == torch.bool,
        "the mask is not boolean",
    )
    c.close(
        f"lengths {lengths}, time={time}",
        lambda: prefix_mask(torch.tensor(lengths), time) * 1,
        want * 1,
        mistakes={why: value * 1 for why, value in mistakes.items()},
    )
c.report()

# %% ceiling (more is tested when it is handed in)
c = checks.Checks("Exercise 2 · The ceiling under any mask")


def prefix(n, time):
    return causal_mask(time) | (torch.arange(time) < n)


# mask, n_letters, share; the ceiling, and what each mistake gives
cases = [
    (
        ("both sides", torch.ones(16, 16).bool(), 16, 0.15),
        0.859375,
        (0.85, 0.859375, 1.0, 0.859375, 0.859375, 0.203125),
    ),
    (
        ("causal", causal_mask(16), 16, 0.15),
        0.4609375,
        (0.45625, 0.4296875, 0.53125, 0.4609375, 0.859375, 0.1328125),
    ),
    (
        ("both sides, odd", torch.ones(5, 5).bool(), 7, 0.3),
        4.36 / 7,
        (4.12 / 7, 4.16 / 7, 5.8 / 7, 5.2 / 7, 4.36 / 7, 2.44 / 7),
    ),
    (
        ("prefix of 10", prefix(10, 16), 16, 0.15),
        0.560546875,
        (0.5546875, 0.537109375, 0.6484375, 0.560546875, 0.859375, 0.150390625),
    ),
]
whys = (
    "a hidden mirror image still leaves a guess: add its share",
    "where the mirror image cannot be seen, a guess is right sometimes",
    "the mirror image may be hidden, too",
    "the middle letter has no mirror image but itself, and it is hidden",
    "the mask is not taken into account",
    "share is the probability of being hidden, not of being seen",
)
for (name, mask, n, share), want, wrong in cases:
    c.close(
        f"{name}, {n} letters, share {share}",
        lambda: ceiling(mask, n, share),
        want,
        mistakes=dict(zip(whys, wrong)),
        atol=1e-8,
    )
c.report()

# %% hide_words (more is tested when it is handed in)
c = checks.Checks("Exercise 3 · Hide whole words")


def text(batch, time, seed, n_special, vocab_size):
    """Random ids and words of 1 to 4 tokens; about one token in ten is special."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.rand((batch, time), generator=generator) < 0.4
    first[:, 0] = True
    special = torch.rand((batch, time), generator=generator) < 0.1
    new = (first & ~special) | (special.roll(1, 1) & ~special)
    new[:, 0] = ~special[:, 0]
    words = (new.cumsum(1) - 1).masked_fill(special, -1)
    ids = torch.randint(n_special, vocab_size, (batch, time), generator=generator)
    low = torch.randint(0, n_special, (batch, time), generator=generator)
    return torch.where(special, low, ids), words


def near(count, n, p, what, low, high):
    """Refuse a count that is six standard deviations or more from n · p."""
    width = 6 * math.sqrt(n * p * (1 - p)) + 1e-9
    if abs(count - n * p) > width:
        share = f"{count / n:.3f} of them, expected {p:.3f}"
        raise checks.Wrong(f"{low if count < n * p else high}: {what} is {share}")
    return True


# The call itself is inside a check: an error in it becomes a row of the table.
cases = [(0, 0.15, 0, 5, 25)]
for seed, share, mask_id, n_special, vocab_size in cases:
    ids, words = text(400, 101, 1000 + seed, n_special, vocab_size)
    label = f"share {share}, {vocab_size - n_special} ordinary ids"
    result = []

    def call(seed=seed):
        got = hide_words(ids, words, mask_id, n_special, vocab_size, share, seed)
        if not isinstance(got, (tuple, list)) or len(got) != 2:
            raise checks.Wrong("return two things, inputs and chosen")
        inputs, chosen = (torch.as_tensor(x) for x in got)
        for name, x in ("inputs", inputs), ("chosen", chosen):
            if tuple(x.shape) != tuple(ids.shape):
                raise checks.Wrong(
                    f"{name} is {tuple(x.shape)}, expected {tuple(ids.shape)}"
                )
        if chosen.dtype != torch.bool or inputs.dtype != torch.long:
            raise checks.Wrong("inputs are whole numbers (int64), chosen is bool")
        return inputs, chosen

    def first_call():
        with checks.by_hand("corruption"):
            result.extend(call())
        return True

    if not c.that(f"it runs, {label}", first_call):
        continue
    inputs, chosen = result
    real, new, old = words >= 0, inputs[chosen], ids[chosen]
    n, n_ordinary = int(chosen.sum()), vocab_size - n_special
    row = torch.arange(len(ids))[:, None] * 1000
    named, where = (row + words)[real].unique(return_inverse=True)
    size = torch.bincount(where)
    taken = torch.bincount(where, chosen[real].double())
    whole = taken == size

    c.that(
        f"special tokens are never chosen, {label}",
        not bool(chosen[~real].any()),
        "tokens of word -1 belong to no word: they may not be chosen",
    )
    c.that(
        f"a word is chosen as a whole, {label}",
        bool((whole | (taken == 0)).all()),
        "some words are chosen in part: draw one random number for each word",
    )
    c.that(
        f"share of the words, {label}",
        lambda: near(
            int(whole.sum()),
            len(named),
            share,
            "the share of chosen words",
            "too few words are chosen",
            "too many words are chosen",
        ),
    )
    c.that(
        f"rows are independent, {label}",
        0 < int(chosen[words == 0].sum()) < int((words == 0).sum()),
        "the same words are chosen in every row: draw for each row",
    )
    following = named[1:] == named[:-1] + 1
    beginning = following & (named[:-1] % 1000 == 0)
    for which, pairs in ("the words", following), ("the first two words", beginning):
        c.that(
            f"{which} of a row are independent, {label}",
            lambda: near(
                int((whole[1:] & whole[:-1])[pairs].sum()),
                int(pairs.sum()),
                share**2,
                f"among {which} that follow each other, the share with both chosen",
                f"{which} of a row are not chosen independently",
                f"{which} of a row are chosen together: draw for each word",
            ),
        )
    c.that(
        f"nothing else is changed, {label}",
        torch.equal(inputs[~chosen], ids[~chosen]),
        "tokens that are not chosen were changed",
    )
    c.that(
        f"80 % become [MASK], {label}",
        lambda: near(
            int((new == mask_id).sum()),
            n,
            0.8,
            "the share of [MASK] among the chosen",
            "too few become [MASK]",
            "too many become [MASK]: 10 % become a random id and 10 % stay",
        ),
    )
    other = new[(new != mask_id) & (new != old)]
    c.that(
        f"random ids are ordinary ones, {label}",
        bool(((other >= n_special) & (other < vocab_size)).all()),
        "a random id is a special one or outside the vocabulary",
    )
    c.that(
        f"10 % become a random id, {label}",
        lambda: near(
            len(other),
            n,
            0.1 * (n_ordinary - 1) / n_ordinary,
            "the share that became another id",
            "too few become a random id",
            "too many become a random id: 10 % stay as they are",
        ),
    )
    if n_ordinary < 30 and len(other) > 300:
        c.that(
            f"random ids are even, {label}",
            lambda: all(
                near(
                    int((other == id).sum()),
                    int((old[(new != mask_id) & (new != old)] != id).sum()),
                    1 / (n_ordinary - 1),
                    f"the share of id {id}",
                    "not all ordinary ids are drawn alike",
                    "not all ordinary ids are drawn alike",
                )
                for id in range(n_special, vocab_size)
            ),
        )
    swapped = chosen & (inputs != mask_id) & (inputs != ids)
    for line, values, at in (
        ("row", inputs, swapped),
        ("column", inputs.T, swapped.T),
    ):
        number, drawn = at.nonzero()[:, 0], values[at]
        together = number[1:] == number[:-1]
        c.that(
            f"each random id of a {line} is drawn by itself, {label}",
            lambda: near(
                int((drawn[1:] == drawn[:-1])[together].sum()),
                int(together.sum()),
                1 / n_ordinary,
                f"among random ids that follow each other in a {line}, the share of "
                "equal ones",
                f"the random ids of a {line} avoid each other",
                f"one random id serves a whole {line}: draw one for each token",
            ),
        )
    masked = torch.bincount(where, (inputs == mask_id)[real].double())
    pairs = whole & (size == 2)
    c.that(
        f"each token of a word has a fate of its own, {label}",
        lambda: near(
            int((masked[pairs] == 1).sum()),
            int(pairs.sum()),
            2 * 0.8 * 0.2,
            "among words of two tokens, the share with just one [MASK]",
            "the tokens of a word share their fate: draw it for each token",
            "the tokens of a word are hidden one by one, not independently",
        ),
    )
    c.that(
        f"the same seed, the same result, {label}",
        lambda: all(torch.equal(a, b) for a, b in zip(call(), result)),
        "the same seed gives another result: use torch.Generator().manual_seed(seed)",
    )
    c.that(
        f"another seed, another result, {label}",
        lambda: not torch.equal(call(seed + 100)[1], chosen),
        "the seed is not used",
    )
c.report()

# %% lowest_loss (more is tested when it is handed in)
c = checks.Checks("Exercise 4 · A loss too good to be true: predict")
sizes = [6]
for n in sizes:
    nats = math.log(n)
    copied = "the next token lies open under a full mask: the model copies it"
    unknown = "nothing tells it the letter: all are equally likely"
    for mask_name, objective, want, why in [
        ("full", "next token", 0.0, copied),
        ("causal", "next token", nats, unknown + ", the past says nothing"),
        ("full", "hidden token", nats, unknown + ", the others say nothing"),
        ("causal", "hidden token", nats, unknown + ", the others say nothing"),
    ]:
        values = {
            why: nats if want == 0 else 0.0,
            "the loss is the *logarithm* of the number of equally likely letters": (
                float(n)
            ),
            "this is a probability; the loss is -ln of it": 1 / n,
            "the loss is in nats, the natural logarithm: this is in bits": math.log2(n),
        }
        c.close(
            f"{mask_name} mask, {objective}, {n} letters",
            lambda: lowest_loss(mask_name, objective, n),
            want,
            mistakes=values,
            hint=why,
            atol=1e-3,
        )
c.report()

# %% mended (more is tested when it is handed in)
c = checks.Checks("Exercise 4 · A loss too good to be true: mend it")
cases = [(0, 2, 5, 7, torch.float32), (1, 3, 11, 13, torch.float64)]
cases += [(2, 1, 2, 3, torch.float64)]
for seed, batch, time, vocab_size, dtype in cases:
    torch.manual_seed(seed)
    logits = torch.randn(batch, time, vocab_size, dtype=dtype, requires_grad=True)
    ids = torch.randint(0, vocab_size, (batch, time))
    chosen = torch.rand(batch, time) < 0.4
    chosen[0, 0], chosen[-1, -1] = True, False
    each = -logits.detach().log_softmax(-1).gather(-1, ids[..., None])[..., 0]
    want, label = each[chosen].mean(), f"batch={batch}, time={time}, {dtype}"
    shifted = -logits.detach()[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:, None])
    moved = shifted[..., 0][chosen[:, 1:]]
    by_row = torch.stack([e[m].mean() for e, m in zip(each, chosen) if m.any()]).mean()
    mistakes = {
        "every place is asked: the loss counts at the chosen ones alone": each.mean(),
        "this still asks for the next token at every place": shifted.mean(),
        "this asks at the place before the hidden token: nothing is shifted here": (
            moved.mean() if len(moved) else None
        ),
        "the sum is divided by all places, not by the chosen ones": (
            (each * chosen).mean()
        ),
        "this is the sum; the mean is wanted": each[chosen].sum(),
        "this counts where nothing was chosen": each[~chosen].mean(),
        "this is the mean of the rows' means: every chosen token counts alike": by_row,
    }
    none = torch.zeros_like(chosen)

    def gradient(chosen, logits=logits, ids=ids):
        loss = mended(logits, ids, chosen)
        if not getattr(loss, "requires_grad", False):
            raise checks.Wrong("the loss is cut off from the logits: no gradient")
        return torch.autograd.grad(loss, logits)[0]

    c.close(
        f"the loss, {label}",
        lambda: mended(logits, ids, chosen),
        want,
        mistakes=mistakes,
        atol=1e-5,
    )
    c.close(
        f"no gradient where nothing is asked, {label}",
        lambda: gradient(chosen)[~chosen],
        torch.zeros(int((~chosen).sum()), vocab_size),
        hint="the logits of other places do not count",
    )
    c.close(
        f"nothing chosen: the loss, {label}",
        lambda: mended(logits, ids, none),
        0.0,
        hint="with nothing chosen the loss is 0: do not divide by 0",
    )
    c.close(
        f"nothing chosen: its gradient, {label}",
        lambda: gradient(none),
        torch.zeros_like(logits),
        hint="with nothing chosen the gradient is 0",
    )
c.report()

# %% bayes_ceiling (more is tested when it is handed in)
c = checks.Checks("Exercise 5 · The ceiling with 80/10/10")
# n_letters, share, split: the ceiling, and what each mistake gives
cases = {
    (16, 0.15, (0.8, 0.1, 0.1)): (
        0.8846875,
        (0.859375, 0.8734375, 0.15625, 0.8659375, 0.883),
    ),
    (16, 0.15, (1.0, 0.0, 0.0)): (
        0.859375,
        (0.859375, 0.859375, 0.0625, 0.85, 0.859375),
    ),
    (5, 0.4, (0.5, 0.3, 0.2)): (0.776, (0.68, 0.744, 0.36, 0.704, 0.74)),
}
whys = (
    "this is the ceiling when every chosen letter becomes [MASK]",
    "a chosen letter may still be seen, right or wrong, at the place itself (x) "
    "and at its mirror image (y)",
    "the mirror image is not used",
    "when the mirror image is [MASK], there is still x, or a guess",
    "a random letter may be the old one: each has 1 / n_letters",
)
for (n, share, split), (want, wrong) in cases.items():
    c.close(
        f"{n} letters, share {share}, split {split}",
        lambda: bayes_ceiling(n, share, split),
        want,
        mistakes=dict(zip(whys, wrong)),
        hint="for each x and y, the largest P(t) P(x|t) P(y|t), added up",
        atol=5e-4,
    )
c.report()
