# Made from solutions/ by `make sync`: do not edit.

# %% predictions
c = checks.Checks("Exercise 1 · Run it in your head")
c.that(
    "line A as it stands",
    lambda: predictions()["line_a"] == "raises",
    "matmul does not convert: one tensor is float, the other is int, and torch refuses",
)
c.close(
    "weights",
    lambda: predictions()["weights"],
    [0.6225, 0.3775],
    mistakes={
        "that is what the article prints: the softmax of [1, 0], not of [1, 0.5]": [
            0.7311,
            0.2689,
        ],
        "that is each score divided by their sum: the exponentials are missing": [
            2 / 3,
            1 / 3,
        ],
        "the larger score gets the larger weight": [0.3775, 0.6225],
    },
    atol=1e-3,
)
c.close(
    "output",
    lambda: predictions()["output"],
    [1.7551, 2.7551],
    mistakes={
        "that is what the article prints; it does not even follow from its weights": [
            1.7311,
            2.7311,
        ],
        "that follows from the article's weights, which are wrong": [1.5378, 2.5378],
        "each value is a row: weigh the rows [1, 2] and [3, 4], not the columns": [
            1.3775,
            3.3775,
        ],
    },
    atol=1e-3,
)
c.close(
    "scores as written",
    lambda: predictions()["scores_as_written"],
    [1.5, 0.5],
    mistakes={"that is query @ key.T, and line A has no .T": [1.0, 1.5]},
    atol=1e-3,
)
c.close(
    "scores as they should be",
    lambda: predictions()["scores_right"],
    [1.0, 1.5],
    mistakes={
        "that is the query times the columns of key; each key is a row": [1.5, 0.5]
    },
    atol=1e-3,
)
c.report()

# %% what_it_gives
c = checks.Checks("Exercise 2 · The value that never moves, part 1")


def published(weights, values):
    output = torch.zeros_like(values)
    for i in range(len(weights)):
        for j in range(len(weights)):
            output[i] += weights[i, j] * values[i]
    return output


def compare(what, a, v):
    c.close(
        what,
        lambda: what_it_gives(a, v),
        published(a, v),
        mistakes={
            "that is the right average; the published code does not compute it": a @ v,
            "true only while the rows add to 1; here they do not": v,
            "that adds along the columns; the loop over j runs along row i": a.sum(0)[
                :, None
            ]
            * v,
            "that keeps only the weight of the token on itself": a.diagonal()[:, None]
            * v,
        },
    )


generator = torch.Generator().manual_seed(0)
a = torch.softmax(torch.randn(5, 5, generator=generator), -1)
v = torch.randn(5, 3, generator=generator)
compare("rows that add to 1", a, v)
compare(
    "rows that add to other numbers", a * torch.tensor([[2.0], [3], [5], [7], [0]]), v
)
c.report()

# %% mix (more is tested when it is handed in)
c = checks.Checks("Exercise 2 · The value that never moves, part 2")


def weights_and_values(n_queries, n_keys, d, seed=0):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(n_queries, n_keys, generator=generator, dtype=torch.float64)
    values = torch.randn(n_keys, d, generator=generator, dtype=torch.float64)
    return torch.softmax(scores, -1), values


a = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.25, 0.75], [0.0, 0.0, 1.0]])
v = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 10.0]])
want = torch.tensor([[2.0, 3.0], [4.5, 8.5], [5.0, 10.0]])  # worked out by hand
mistakes = {
    "every token still gets its own value: the inner loop must use values[j]": v,
    "the weights are used along their columns: transposed": a.T @ v,
    "only the first column of the values is averaged": want[:, 0],
    "that is the plain mean: the weights are not used": v.mean(0).expand(3, 2),
    "an average over the keys is divided by their number once more": want / 3,
}
c.close("three tokens, by hand", lambda: mix(a, v), want, mistakes=mistakes)
c.close(
    "rows that do not add to 1",
    lambda: mix(torch.tensor([[2.0, 0.5], [-1.0, 3.0]]), torch.tensor([[1.0], [2.0]])),
    [[3.0], [5.0]],
    mistakes={
        "each row is divided by its sum: take the weights as they are": [[1.2], [2.5]]
    },
)
for sizes in ((2, 5, 3), (7, 3, 1), (1, 1, 2)):
    weights, values = weights_and_values(*sizes)
    c.close(
        f"{sizes[0]} queries, {sizes[1]} values of size {sizes[2]}",
        lambda a=weights, v=values: mix(a, v),
        torch.einsum("qk,kd->qd", weights, values),
        hint="the loop over queries and the loop over values have different ends",
    )
c.report()

# %% numerical_jacobian (more is tested when it is handed in)
c = checks.Checks("Exercise 3 · Nudge it, part 1")
generator = torch.Generator().manual_seed(0)
m = torch.randn(5, 3, generator=generator, dtype=torch.float64)
c.close(
    "a linear map from 3 to 5 numbers",
    lambda: numerical_jacobian(
        lambda x: m @ x, torch.ones(3, dtype=torch.float64), 0.1
    ),
    m,
    mistakes={
        "rows and columns are exchanged: row i belongs to output i": m.T,
        "the two nudges are 2 * step apart: divide by that": 2 * m,
        "a nudge to one side is only one step: divide by what you moved": m / 2,
    },
)
c.close(
    "x³ at (1, 2), step 0.1: central differences give 3x² + 0.01",
    lambda: numerical_jacobian(
        lambda x: x**3, torch.tensor([1.0, 2.0], dtype=torch.float64), 0.1
    ),
    torch.diag(torch.tensor([3.01, 12.01], dtype=torch.float64)),
    mistakes={
        "that nudges up only: go the same way down": torch.diag(
            torch.tensor([3.31, 12.61], dtype=torch.float64)
        ),
        "that nudges down only: go the same way up": torch.diag(
            torch.tensor([2.71, 11.41], dtype=torch.float64)
        ),
    },
)
c.close(
    "a product of two numbers",
    lambda: numerical_jacobian(
        lambda x: x[:1] * x[1:], torch.tensor([1.0, 2.0], dtype=torch.float64), 0.1
    ),
    torch.tensor([[2.0, 1.0]], dtype=torch.float64),
    hint="is each nudge taken back before the next one?",
)
row = torch.tensor([11.0, 11.0, 10.0], dtype=torch.float64)
p = torch.softmax(row, -1)
c.close(
    "softmax of the scores of 早",
    lambda: numerical_jacobian(softmax, row, 1e-5),
    torch.diag(p) - torch.outer(p, p),
)
c.report()

# %% softmax_backward
c = checks.Checks("Exercise 3 · Nudge it, part 2")
half = torch.tensor([0.5, 0.5], dtype=torch.float64)
c.close(
    "p = (½, ½), g = (1, 0), by hand",
    lambda: softmax_backward(half, torch.tensor([1.0, 0.0], dtype=torch.float64)),
    [0.25, -0.25],
    mistakes={
        "p·(1 − p)·g is only the diagonal: a score moves the other weights as well": [
            0.25,
            0.0,
        ],
        "p·g leaves out the second term, pp·g": [0.5, 0.0],
        "the sign is turned round": [-0.25, 0.25],
    },
)
p = torch.tensor([[0.5, 0.25, 0.25], [0.25, 0.75, 0], [0.125, 0.625, 0.25]]).double()
g = torch.tensor([[8.0, 0, 4], [-4, 4, 16], [0, 8, 32]]).double()
c.close(
    "three rows of three, by hand",
    lambda: softmax_backward(p, g),
    [[1.5, -1.25, -0.25], [-1.5, 1.5, 0], [-1.625, -3.125, 4.75]],
    mistakes={
        "the sum has lost its axis and lands on the columns: keep that axis": (
            [[1.5, -0.5, -2.25], [-2.25, 1.5, 0], [-0.625, 3.75, 4.75]]
        ),
        "the sum runs down the columns; each row has a sum of its own": (
            [[2.5, -2.0, -1.25], [-1.75, -3.0, 0], [-0.375, 0, 5.75]]
        ),
        "subtract the average of g under the weights p, not its plain mean": (
            [[2.0, -1.0, 0], [-7 / 3, -1.0, 0], [-5 / 3, -10 / 3, 14 / 3]]
        ),
        "p·g is added up over the whole batch: each row has a sum of its own": (
            [[-6, -5, -4], [-6, -12, 0], [-2.5, -7.5, 3]]
        ),
    },
)
for shape in ((3,), (5, 3), (2, 3, 5)):
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(*shape, generator=generator, dtype=torch.float64)
    g = torch.randn(*shape, generator=generator, dtype=torch.float64)
    z.requires_grad_()
    p = torch.softmax(z, -1)
    c.close(
        f"shape {shape}",
        lambda p=p.detach(), g=g: softmax_backward(p, g),
        torch.autograd.grad(p, z, g)[0],
        hint="add p·g up along the last axis",
    )
p = torch.softmax(torch.arange(15.0).view(5, 3), -1)
c.close(
    "the same g for all weights of a row moves nothing",
    lambda: softmax_backward(p, torch.ones_like(p)),
    torch.zeros_like(p),
)
c.report()

# %% most_sensitive
c = checks.Checks("Exercise 3 · Nudge it, part 3")


def jacobian_norm(n):
    scores = torch.as_tensor(most_sensitive(n), dtype=torch.float64)
    if scores.shape != (n,):
        raise checks.Wrong(f"{n} scores wanted, got the shape {tuple(scores.shape)}")
    if not torch.isfinite(scores).all():
        raise checks.Wrong("the scores must be finite")
    p = torch.softmax(scores, -1)
    norm = (torch.diag(p) - torch.outer(p, p)).norm().item()
    if norm <= 0.499:
        weights = ", ".join(f"{value:.2f}" for value in p.sort(descending=True)[0][:4])
        raise checks.Wrong(
            f"the norm is {norm:.3f}, with largest weights {weights}: "
            + (
                "a row that has decided does not move"
                if p.max() > 0.9
                else "too many tokens share the weight"
                if p.max() < 0.4
                else "two tokens should be equal, and the others have nothing"
            )
        )
    return True


for n in (2, 3, 7, 101):
    c.that(f"{n} scores", lambda n=n: jacobian_norm(n))
c.report()

# %% limits (more is tested when it is handed in)
c = checks.Checks("Exercise 4 · Very small and very large scores")


def check_limits(name, rows, wrong):
    """wrong: by hint, what a mistake gives for c → ∞."""
    x = torch.tensor(rows).double()
    zero, infinity = (torch.softmax(f * x @ x.T, -1) @ x for f in (0.0, 1e4))
    with checks.by_hand("softmax", "exponential"):
        c.close(
            f"{name}, c → 0",
            lambda: limits(x)[0],
            zero,
            mistakes={
                "at c = 0 all weights are equal, not all on the token itself": x,
                "the weights become 1 / time, not 0": torch.zeros_like(x),
                "equal weights still add to 1: the mean, not the sum": zero * len(x),
                "one mean for all tokens is right, but in the shape of x": zero[0],
            },
        )
        c.close(
            f"{name}, c → ∞",
            lambda: limits(x)[1],
            infinity,
            mistakes={
                "that is each token itself; a longer one can have the larger score": x
            }
            | dict.fromkeys(whys)
            | wrong,
        )


whys = (
    "two scores of a row are the largest: they share the weight",
    "that is the nearest other token; the score is a dot product",
    "that follows the cosine; the score is a dot product, length counts",
    "that leaves the token itself out; its own score counts as well",
    "scores that are near each other are no tie: the larger one wins",
    "tied values are added up; their weights must add to 1",
)
one_wins, nearest, cosine, others, near, added = whys
words = a, b, d = [1, 2, 1, 2, 1], [1, 1, 3, 2, 1], [3, 1, 2, 1, 1]
wrong = {one_wins: words, nearest: [b, a, b], others: [b, d, b]}
check_limits("早上好", words, wrong | {added: [[2, 3, 4, 4, 2], b, d]})
a, b, d = three = [1, 0], [0.5, 0.5], [5, 5]
wrong = {nearest: [b, a, b], cosine: [a, d, d], others: [d, d, a]}
check_limits("(1, 0), (0.5, 0.5), (5, 5)", three, wrong)
two = [[1, 0], [1.2, 0]]
wrong = {nearest: two[::-1], others: two[::-1], near: [[1.1, 0], [1.1, 0]]}
check_limits("scores of 1 and 1.2: no tie", two, wrong)
check_limits("one token", [[2, 3, 5]], {})
c.report()

# %% steps_to_meet (more is tested when it is handed in)
c = checks.Checks("Exercise 5 · Do they always meet? part 1")


def path(x, steps):
    found = [x]
    for _ in range(steps):
        x = found[-1]
        found.append(torch.softmax(x @ x.T, -1) @ x)
    return found


def ask(x, tolerance, limit):
    states = path(x, limit)
    widths = [torch.cdist(s, s).max().item() for s in states]
    want = next((n for n, width in enumerate(widths) if width <= tolerance), None)
    got = steps_to_meet(x, tolerance, limit)
    if got is Ellipsis:
        raise NotImplementedError
    if got == want:
        return True
    moves = [(b - a).norm(dim=-1).max().item() for a, b in zip(states, states[1:])]
    stands = next((n for n, move in enumerate(moves) if move <= tolerance), None)
    radii = [(s - s.mean(0)).norm(dim=-1).max().item() for s in states]
    near = next((n for n, radius in enumerate(radii) if radius <= tolerance), None)
    hints = [
        (got is None and want == limit, "look once more after the last step"),
        (want is None and got == limit, "give None where the limit is reached"),
        (
            want is None and got in (stands, (stands or 0) + 1),
            "standing still is not meeting",
        ),
        (want is not None and got == want + 1, "one too many: look before you step"),
        (
            got == near,
            "one too few; if you measure the distance to the mean: "
            "two tokens can be twice that apart",
        ),
        (want is not None and got == want - 1, "one too few"),
        (got is None, "they do meet: does each step begin where the last one ended?"),
    ]
    hint = next(
        (text for holds, text in hints if holds), "count the steps of this path"
    )
    raise checks.Wrong(f"got {got}, expected {want}: {hint}")


two = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
cross = torch.tensor([[0.5, 0], [0, 0.5], [-0.5, 0], [0, -0.5]], dtype=torch.float64)
far = torch.tensor([[10.0, 0.0], [0.0, 10.0]], dtype=torch.float64)
c.that("(1, 0) and (−1, 0) come within 0.5", lambda: ask(two, 0.5, 20))
c.that("they come within 0.001", lambda: ask(two, 1e-3, 20))
c.that("already there: 0 steps", lambda: ask(two, 2.0, 20))
c.that("a limit that is just enough", lambda: ask(two, 0.5, 3))
c.that("a limit that is one too few", lambda: ask(two, 0.5, 2))
c.that("two steps are not enough", lambda: ask(two, 1e-3, 2))
c.that("four points of a cross, within 0.7", lambda: ask(cross, 0.7, 20))
c.that("(10, 0) and (0, 10) stay apart", lambda: ask(far, 1e-3, 20))
c.that("one token has met itself", lambda: ask(two[:1], 1e-3, 20))
c.report()

# %% counterexamples
c = checks.Checks("Exercise 5 · Do they always meet? part 2")


def width(x):
    return torch.cdist(x, x).max().item()


def step(x):
    return torch.softmax(x @ x.T, -1) @ x


def tokens(name):
    x = torch.as_tensor(counterexamples()[name], dtype=torch.float64)
    if x.dim() != 2 or x.shape[1] != 2 or not 2 <= len(x) <= 20:
        raise checks.Wrong(f"its shape is {tuple(x.shape)}, expected (2 to 20, 2)")
    if not torch.isfinite(x).all():
        raise checks.Wrong("all numbers must be finite")
    return x


def stay_apart():
    x = tokens("apart")
    for _ in range(1000):
        x = step(x)
    if not width(x) >= 1:
        raise checks.Wrong(f"after 1000 steps the largest distance is {width(x):.3g}")
    return True


def meet_elsewhere():
    start = x = tokens("mean")
    for _ in range(100):
        if width(x) <= 1e-6:
            break
        x = step(x)
    if width(x) > 1e-6:
        raise checks.Wrong(f"they do not meet: after 100 steps {width(x):.3g} apart")
    gap = (x[0] - start.mean(0)).norm().item()
    if gap < 0.5:
        raise checks.Wrong(f"they meet only {gap:.3f} away from their first mean")
    return True


def move_apart():
    x = tokens("pair")
    before, after = (torch.dist(s[0], s[1]).item() for s in (x, step(x)))
    if before == 0:
        raise checks.Wrong("tokens 0 and 1 are equal, and equal tokens stay equal")
    if after < 2 * before:
        raise checks.Wrong(f"their distance goes from {before:.3g} to {after:.3g}")
    return True


c.that("apart: some never meet", stay_apart)
c.that("mean: they meet somewhere else", meet_elsewhere)
c.that("pair: two move away from each other", move_apart)
c.report()

# %% equivariance_test (more is tested when it is handed in)
c = checks.Checks("Exercise 6 · A test for order")


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def ask(what, f, x, want, hint):
    def verdict():
        got = equivariance_test(f, x)
        if got is Ellipsis:
            raise NotImplementedError
        if got != want:
            raise checks.Wrong(f"you say {got!r}, it is {want!r}: {hint}")
        return True

    c.that(what, verdict)


def heads(x, permute):
    """Two heads; `permute` is what a published article does once too often."""
    q = (x @ draw(14, 14, seed=1)).unflatten(-1, (2, 7))  # (time, heads, 7)
    a = torch.softmax(torch.einsum("qhd,khd->hqk", q, q) / 7, -1)
    out = torch.einsum("hqk,khd->qhd", a, q)
    return (out.transpose(0, 1) if permute else out).reshape(x.shape)


x = draw(7, 3)
ask(
    "attention",
    lambda x: attend(x)[0],
    x,
    "equivariant",
    "the rows of f(x[order]) are those of f(x)[order], up to the last digits",
)
ask(
    "attention, then the mean over tokens",
    lambda x: attend(x)[0].mean(0),
    x,
    "invariant",
    "the output has no token axis and does not change",
)
ask(
    "attention on tokens with positions",
    lambda x: attend(x + draw(7, 3, seed=2))[0],
    x,
    "neither",
    "a token is another vector at another place",
)
ask(
    "two heads",
    lambda x: heads(x, permute=False),
    draw(5, 14),
    "equivariant",
    "each head treats all tokens alike",
)
ask(
    "two heads with the published extra permute",
    lambda x: heads(x, permute=True),
    draw(5, 14),
    "neither",
    "the heads of one token end up in the rows of others",
)
ask(
    "each token becomes the mean of all",
    lambda x: x.mean(0).expand(x.shape),
    x,
    "both",
    "all rows are equal, so that moving them changes nothing",
)
ask(
    "two tokens",
    lambda x: attend(x)[0],
    x[:2],
    "equivariant",
    "two tokens can change places, so there is something to test",
)
ask(
    "one number for each token",
    lambda x: x.sum(-1),
    x,
    "equivariant",
    "an output of shape (time,) has a row for each token",
)
ask(
    "the first token",
    lambda x: x[0],
    x,
    "neither",
    "one shuffle that changes the output is enough, whatever the later ones do",
)
ask(
    "only the last token is changed",
    lambda x: torch.cat([x[:-1], 2 * x[-1:]]),
    x,
    "neither",
    "every place must be moved in some shuffle, the last one too",
)
ask(
    "only the first token is changed",
    lambda x: torch.cat([2 * x[:1], x[1:]]),
    x,
    "neither",
    "every place must be moved in some shuffle, the first one too",
)
ask(
    "the mean of all, and 0.001 of what depends on the place",
    lambda x: x.mean(0) + 0.001 * draw(7, 3, seed=2) * x,
    x,
    "neither",
    "the tolerance is too wide",
)
ask(
    "float32, a sum that cancels",
    lambda x: (x - x.mean(0)).mean(0).expand(x.shape),
    draw(31, 3).float(),
    "both",
    "all of it is 0, up to the last digits: the tolerance is 1e-6, whatever the size",
)
ask("the sum of everything", lambda x: x.sum(), x, "invariant", "a number has no rows")
ask(
    "twice as many rows as tokens",
    lambda x: x.sort(0).values.repeat(2, 1),
    x,
    "invariant",
    "its rows are not those of the tokens",
)
c.raises(
    "one token",
    ValueError,
    lambda: equivariance_test(lambda x: x, draw(1, 3)),
    hint="with one token every function passes: refuse it",
)
c.report()
