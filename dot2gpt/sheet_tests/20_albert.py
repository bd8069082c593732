# Made from solutions/ by `make sync`: do not edit.

# %% table_weights (more is tested when it is handed in)
c = checks.Checks("Exercise 1 · Weights by hand: the table")
# vocab_size, d_embedding, d_model: the weights, and what each mistake gives
cases = {
    (10, 2, 6): (38, 32, 34, 60, 240, 20, 78),
    (30_000, 128, 768): (
        3_939_072,
        3_938_304,
        3_938_432,
        23_040_000,
        377_487_360_000,
        3_840_000,
        23_139_072,
    ),
}
whys = (
    "the bias of the linear map is missing",
    "the bias is as long as what comes out, d_model",
    "this is one table of d_model numbers a token, without factors",
    "the two factors are stored one beside the other: their sizes add up",
    "the widening is missing",
    "each token has a row of d_embedding numbers, not of d_model",
)
for (v, e, d), (want, *wrong) in cases.items():
    c.close(
        f"vocab_size={v}, d_embedding={e}, d_model={d}",
        lambda: table_weights(v, e, d),
        want,
        mistakes=dict(zip(whys, wrong)),
        hint="a table of d_embedding numbers a token, a matrix and a bias",
    )
c.report()

# %% stack_weights (more is tested when it is handed in)
c = checks.Checks("Exercise 1 · Weights by hand: the layers")
cases = [(128, 512, 12, False), (128, 512, 12, True), (6, 7, 1, False)]
for d, f, n, shared in cases:
    with torch.device("meta"):
        layer = sum(p.numel() for p in BERTLayer(d, 1, f, 1e-12).parameters())
    times = 1 if shared else n
    want, maps = times * layer, 4 * d * d + 2 * d * f
    mistakes = {
        "the biases are missing": times * (maps + 4 * d),
        "the norms are missing": times * (layer - 4 * d),
        "each layer has two norms, and a norm has a scale and a shift": (
            times * (layer - 2 * d)
        ),
        "the output projection of the attention is missing": (
            times * (layer - d * d - d)
        ),
        "shared or not, the number is the same: one layer serves for all": n * layer,
        "without sharing each layer has weights of its own": layer,
        "shared means that n_layers does not count: the layer is stored once": (
            layer / n if shared else None
        ),
    }
    c.close(
        f"d_model={d}, d_ff={f}, n_layers={n}, shared={shared}",
        lambda: stack_weights(d, f, n, shared),
        want,
        mistakes=mistakes,
        hint="four maps, one up, one down, all with a bias, and two norms",
    )
c.report()

# %% factorise (more is tested when it is handed in)
c = checks.Checks("Exercise 2 · The best narrow table")
table = [[4, 5.5, 1], [6, 1.5, -3], [2, 6.5, -1], [4, 2.5, -5]]
# table, d_embedding, dtype; the best product, and what each mistake gives: singular
# values missing, in twice, the smallest ones, the first columns
cases = [
    (
        table,
        2,
        torch.float64,
        [[3, 6, 0], [5, 2, -4], [3, 6, 0], [5, 2, -4]],
        [[1 / 6, 2 / 3, 1 / 6], [0.5, 0, -0.5], [1 / 6, 2 / 3, 1 / 6], [0.5, 0, -0.5]],
        [[42, 60, -12], [54, 36, -36], [42, 60, -12], [54, 36, -36]],
        [[0, 1.5, 3], [2, -2.5, -1], [-2, 2.5, 1], [0, -1.5, -3]],
        [[4, 5.5, 0], [6, 1.5, 0], [2, 6.5, 0], [4, 2.5, 0]],
    ),
    (table[:3], 3, torch.float32, table[:3], None, None, None, None),
]
whys = (
    "the singular values are missing",
    "the singular values are in twice, once in each factor",
    "these are the smallest singular values: the largest must stay",
    "keeping the first columns throws the others away: mix all of them",
)
for rows, e, dtype, want, *wrong in cases:
    table = torch.tensor(rows, dtype=dtype)
    v, d = table.shape
    before, label = table.clone(), f"table {v} x {d}, d_embedding={e}"

    def factors(table=table, e=e, v=v, d=d):
        got = factorise(table, e)
        if not isinstance(got, (tuple, list)) or len(got) != 2:
            raise checks.Wrong("return two things, narrow and wide")
        for name, x, shape in zip(("narrow", "wide"), got, ((v, e), (e, d))):
            if tuple(x.shape) != shape:
                raise checks.Wrong(f"{name} is {tuple(x.shape)}, expected {shape}")
        return got

    def product(factors=factors):
        narrow, wide = factors()
        return narrow @ wide

    c.close(
        f"the product, {label}",
        product,
        want,
        mistakes=dict(zip(whys, wrong)),
        hint="there is a nearer product",
        atol=1e-8 if dtype == torch.float64 else 1e-4,
    )
    c.that(
        f"the table is left as it is, {label}",
        torch.equal(table, before),
        "the table was changed in place",
    )
c.report()

# %% order_pairs (more is tested when it is handed in)
c = checks.Checks("Exercise 3 · Pairs from many texts")


def near(count, n, what):
    """Refuse a count that is five standard deviations or more from n / 2."""
    if abs(count - n / 2) > 2.5 * math.sqrt(n):
        raise checks.Wrong(f"{what}: {count} of {n}, expected about half")
    return True


# Number the pieces: piece i holds the ids 3i, 3i + 1, 3i + 2.
cases = [("three short texts", [3, 1, 2], 0), ("many texts", [4, 2, 7] * 800, 1)]
cases += [("no two together", [1] * 5, 4)]
for label, sizes, seed in cases:
    n = sum(sizes)
    pieces = torch.arange(3 * n).view(n, 3)
    numbers = torch.arange(len(sizes)) * 7 % (len(sizes) + 7)
    texts = numbers.repeat_interleave(torch.tensor(sizes))
    ends = set((torch.tensor(sizes).cumsum(0) - 1).tolist())
    above = torch.tensor([i for i in range(n) if i not in ends], dtype=torch.long)
    result = []

    def call(seed=seed, pieces=pieces, texts=texts):
        got = order_pairs(pieces, texts, seed)
        if not isinstance(got, (tuple, list)) or len(got) != 3:
            raise checks.Wrong("return three things: first, second, swapped")
        if got[2].dtype != torch.bool:
            raise checks.Wrong("swapped is not bool")
        return got

    def first_call():
        with checks.by_hand("swapped pairs"):
            result.extend(call())
        return True

    if not c.that(f"it runs, {label}", first_call):
        continue
    first, second, swapped = result

    def all_pairs(first=first, second=second, swapped=swapped, above=above, n=n):
        if len(first) != len(above) or tuple(second.shape) != tuple(first.shape):
            if len(first) == n - 1:
                raise checks.Wrong("a pair may not join two texts")
            raise checks.Wrong(
                f"there are {len(above)} pairs of neighbours, not {len(first)}: "
                "every piece but the last of a text begins one"
            )
        if tuple(swapped.shape) != (len(above),):
            raise checks.Wrong(
                f"swapped is {tuple(swapped.shape)}, expected {(len(above),)}"
            )
        if tuple(first.shape)[1:] != (3,):
            raise checks.Wrong(f"first is {tuple(first.shape)}, expected (n_pairs, 3)")
        a, b = first[:, 0] // 3, second[:, 0] // 3
        if len(a) and torch.equal(a, b):
            raise checks.Wrong("both pieces of a pair are the same")
        if (a == b).any():
            raise checks.Wrong("the two pieces of a swapped pair are the same")
        return torch.equal(torch.minimum(a, b), above)

    right_pairs = c.that(
        f"every pair of neighbours once, {label}",
        all_pairs,
        "these are not the pairs of neighbours, from the top to the bottom",
    )
    if not right_pairs:
        continue

    def labels(first=first, second=second, swapped=swapped):
        says = first[:, 0] > second[:, 0]
        if len(says) and torch.equal(~says, swapped):
            raise checks.Wrong("the labels are inverted: True means swapped")
        return torch.equal(says, swapped)

    c.that(f"swapped says what was done, {label}", labels, "the labels are wrong")
    c.that(
        f"the same seed, the same result, {label}",
        lambda: all(torch.equal(x, y) for x, y in zip(call(), result)),
        "the same seed gives another result: use torch.Generator().manual_seed(seed)",
    )
    if len(above) > 300:
        # Drawn one by one, about half are swapped, and as many differ from the next.
        c.that(
            f"half of the pairs, {label}",
            lambda: near(
                int(swapped.sum()), len(swapped), "the share of swapped pairs"
            ),
        )
        c.that(
            f"each on its own, {label}",
            lambda: near(
                int((swapped[1:] != swapped[:-1]).sum()),
                len(swapped) - 1,
                "a pair's fate depends on its neighbour's",
            ),
        )
        c.that(
            f"another seed, another result, {label}",
            lambda: not torch.equal(call(seed + 100)[2], swapped),
            "the seed is not used",
        )
c.report()

# %% shared_stack (more is tested when it is handed in)
c = checks.Checks("Exercise 4 · Layers that only look shared")
cases = [(12, 3, 20, 2, False), (8, 2, 5, 3, True)]
for d, h, f, n, with_mask in cases:
    label = f"d_model={d}, n_layers={n}" + (", a mask" if with_mask else "")
    torch.manual_seed(d)
    one = BERTLayer(d, h, f, 1e-12)
    size = sum(p.numel() for p in one.parameters())
    x, target = torch.randn(2, 5, d), torch.randn(2, 5, d)
    mask = torch.ones(5, 5).tril().bool() if with_mask else None
    made = []

    def build(d=d, h=h, f=f, n=n, size=size):
        stack = SharedStack(d, h, f, n)
        weights = list(stack.parameters())
        found = sum(p.numel() for p in weights)
        if found == n * size != size:
            raise checks.Wrong(
                f"it has the weights of {n} layers, not of one: they are not shared"
            )
        if found != size:
            raise checks.Wrong(f"it has {found} weights; one layer has {size}")
        made.extend([stack, weights])
        return True

    if not c.that(f"the weights of one layer, {label}", build):
        continue
    stack, weights = made
    with torch.no_grad():  # the reference gets the weights of the learner's layer
        for mine, theirs in zip(one.parameters(), weights):
            mine.copy_(theirs)
    uses = [x]
    for _ in range(n + 1):
        uses.append(one(uses[-1], mask))
    unmasked = x
    for _ in range(n):
        unmasked = one(unmasked)
    outputs = {
        "the layer is applied once, not n_layers times": uses[1],
        "the layer is applied once too often": uses[n + 1],
        "the layer is applied once too few": uses[n - 1],
        "the mask is not passed on": unmasked,
    }
    c.close(
        f"the output, {label}",
        lambda: stack(x, mask),
        uses[n].detach(),
        mistakes=outputs,
        hint="not what one layer gives, applied n_layers times",
        atol=1e-5,
    )

    def gradients(output, weights, target=target):
        found = torch.autograd.grad((output * target).sum(), weights, allow_unused=True)
        if any(g is None for g in found):
            raise checks.Wrong("some weights get no gradient")
        return torch.cat([g.flatten() for g in found])

    own = list(one.parameters())
    want = gradients(uses[n], own)
    last = gradients(one(uses[n - 1].detach(), mask), own)
    mistakes = {
        "the gradient of the last use alone arrives: every use adds to it": last,
        "the gradient is the sum over the uses, not the mean": want / n,
    }
    c.close(
        f"the gradient, {label}",
        lambda: gradients(stack(x, mask), weights),
        want,
        mistakes=mistakes,
        hint="not the sum of the gradients of all uses",
        atol=1e-4,
    )
    # Where small scales of the norms alone are left, tiny numbers show what eps is.
    small = 1e-5
    named = stack.named_parameters()
    state = {k: small * p.detach() * (p == 1).all() for k, p in named}
    with torch.no_grad():
        for mine, theirs in zip(own, state.values()):
            mine.copy_(theirs)
    faint = tiny = small * x
    for _ in range(n):
        faint = one(faint, mask)

    def enlarged(stack=stack, state=state, tiny=tiny, mask=mask):
        stack.load_state_dict(state, strict=False)
        return stack(tiny, mask) / small

    c.close(
        f"norm_eps is 1e-12, {label}",
        enlarged,
        faint.detach() / small,
        hint="tiny numbers come out differently",
        atol=1e-4,
    )
c.report()

# %% look (more is tested when it is handed in)
c = checks.Checks("Exercise 5 · One operation, done again")
cases = [(0, 5, 1, False), (1, 7, 2, False), (2, 7, 2, True)]
for seed, n, uses, any_map in cases:
    generator = torch.Generator().manual_seed(seed)
    places = torch.rand(2, n, generator=generator).argsort(-1)
    if any_map:
        places = torch.randint(n, (2, n), generator=generator)
    eye = torch.eye(n, dtype=torch.float64)
    ends = places
    for _ in range(uses):
        ends = ends.gather(1, ends)

    def run(look, n=n, uses=uses, start=eye[places]):
        state = start.clone()
        for _ in range(uses):
            before = state.clone()
            parts = look(state)
            if not isinstance(parts, (tuple, list)) or len(parts) != 3:
                raise checks.Wrong("return three things: queries, keys, values")
            for name, part in zip(("queries", "keys", "values"), parts):
                shape, expected = tuple(part.shape), tuple(before.shape)
                if shape != expected:
                    raise checks.Wrong(f"{name} are {shape}, expected {expected}")
            if not torch.equal(state, before):
                raise checks.Wrong("state was changed in place")
            state = scaled_dot_product_attention(*parts)[0]
        return state

    def ids(state, eye=eye):
        return eye.expand_as(state)

    steps = places  # what fetching the first pointers again and again would give
    for _ in range(uses):
        steps = places.gather(1, steps)
    mistakes = {
        "nothing moves: keys say which place this is, values what it has found": (
            eye[places]
        ),
        "these are the places themselves: each must take what the other has found": (
            eye.expand(2, n, n)
        ),
        "each place asks who points at it; it should look where it points": (
            lambda: run(lambda s: (100 * ids(s), s, ids(s)))
        ),
        "queries and keys are exchanged: the place that points does the asking": (
            lambda: run(lambda s: (100 * ids(s), s, s))
        ),
        "the weights are spread over all places: scale the scores up": (
            lambda: run(lambda s: (s, ids(s), s))
        ),
        "the scores are scaled up too little for a softmax of this many places": (
            lambda: run(lambda s: (10 * s, ids(s), s))
        ),
        "this is one hop more at each use; it should be twice as many": eye[steps],
    }
    want = eye[ends]



    c.close(
        f"{2**uses} hops among {n} places" + (", any pointers" if any_map else ""),
        lambda: run(look),
        want,
        mistakes=mistakes,
        hint="look where you point, and take what you find there",
        atol=1e-4,
    )
c.report()
