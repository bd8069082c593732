# Made from solutions/ by `make sync`: do not edit.

# %% by_dot
c = checks.Checks("Exercise 1 · Three rankings")
query = torch.tensor([1.0, 0.0])
found = torch.tensor([[0.9, 0.1], [5.0, 5.0], [2.0, 4.0]])
dots = found @ query
fits = {
    "dot products": dots,
    "cosines": dots / found.norm(dim=-1),
    "distances": -(found - query).norm(dim=-1),
}
orders = {
    name: "".join("abc"[i] for i in fit.argsort(descending=True))
    for name, fit in fits.items()
}


def ranks(given, name):
    letters = "".join(m for m in "".join(given).lower() if m.isalpha())
    if sorted(letters) != ["a", "b", "c"]:
        raise checks.Wrong(f"expected each of a, b, c once, got {letters!r}")
    if letters == orders[name][::-1]:
        raise checks.Wrong("this is the order from worst to best")
    for other, order in orders.items():
        if letters == order and other != name:
            raise checks.Wrong(f"this is the order of the {other}")
    return letters == orders[name]


c.that("by dot product", lambda: ranks(by_dot, "dot products"),
    hint="multiply number by number with (1, 0) and add up")
c.that("by cosine", lambda: ranks(by_cosine, "cosines"),
    hint="only the angle with (1, 0) counts, not the length")
c.that("by distance", lambda: ranks(by_distance, "distances"),
    hint="work out the length of query - candidate")
c.report()

# %% scores (more is tested when it is handed in)
c = checks.Checks("Exercise 2a · One number where a table should be")
q = torch.tensor([[1.0, 2.0], [0.0, 3.0]])
k = torch.tensor([[4.0, 1.0], [1.0, -1.0]])
with checks.by_hand("matrix product"):
    c.close("two queries, two keys", lambda: scores(q, k), [[6.0, -1.0], [3.0, -3.0]],
        mistakes={
            "this is the published number: each row must meet every row": 3.0,
            "row i meets row i only: each query must meet every key": [6.0, -3.0],
            "the table lies on its side: rows are queries": [[6.0, 3.0], [-1.0, -3.0]],
            "added up over the queries: add up along d": [[4.0, 5.0], [1.0, -5.0]],
            "added up over the keys: add up along d": [[5.0, 0.0], [0.0, 0.0]],
            "this is q turned, times k: add up along d": [[4.0, 1.0], [11.0, -1.0]],
        })
    c.close("one query, three keys", lambda: scores(q[:1], torch.eye(3)[:, :2]),
        [[1.0, 2.0, 0.0]], mistakes={
            "the table lies on its side: rows are queries": [[1.0], [2.0], [0.0]],
        }, hint="the numbers of queries and keys may differ")
    small = torch.tensor([[0.5, 0.25], [0.0, -1.5], [-3.0, 0.0]]).double()
    c.close("fractions below 0, float64", lambda: scores(small[:2], small),
        [[0.3125, -0.375, -1.5], [-0.375, 2.25, 0.0]], hint="two queries, three keys")
c.report()

# %% published_from (more is tested when it is handed in)
c = checks.Checks("Exercise 2b · What the published line computes")
table = torch.tensor([[6.0, 3.0], [4.0, -3.0]])
c.close("two tokens, by hand", lambda: published_from(table), 3.0, mistakes={
    "the whole table is added up: `published` pairs row i with row i only": 10.0,
    "this is an average: nothing is divided": 1.5,
    "these are the pairs, not yet added up": [6.0, -3.0],
    "this is a row of the table: which pairs does `published` multiply?": 9.0,
    "these pairs are row i with another row: `published` keeps row i with row i": 7.0,
})
fractions = torch.tensor([[0.5, 2], [1, -0.75]])
c.close("fractions below 0", lambda: published_from(fractions),
    -0.25, mistakes={"the whole table is added up": 2.75})
c.report()

# %% cosines (more is tested when it is handed in)
c = checks.Checks("Exercise 3a · Cosines from G alone")


def check_cosines(what, G, want):
    d = G.diagonal()
    c.close(what, lambda: cosines(G), want, mistakes={
        "nothing is divided: these are the dot products": G,
        "the square root is missing: the diagonal holds squared lengths":
            G / (d[:, None] * d),
        "divided by one length of the two": G / d.sqrt()[:, None],
        "divided by one length of the two, that of the column": G / d.sqrt(),
        "divided by the squared length of one token": G / d[:, None],
        "divided by the squared length of one token, the column's": G / d,
        "these are cosines of the rows of G: its rows are not the vectors":
            cosine_similarity(G),
    }, hint="the cosine divides by both lengths")


G = torch.tensor([[4.0, 3.0, 0.0], [3.0, 9.0, -3.0], [0.0, -3.0, 4.0]])
by_hand = [[1, 0.5, 0], [0.5, 1, -0.5], [0, -0.5, 1]]
check_cosines("lengths 2, 3, 2, by hand", G, by_hand)
c.report()

# %% distances (more is tested when it is handed in)
c = checks.Checks("Exercise 3b · Distances from G alone")


def check_distances(what, G, want):
    d, want = G.diagonal(), torch.as_tensor(want)
    both = d[:, None] + d
    c.close(what, lambda: distances(G), want, atol=1e-5, mistakes={
        "the square root is missing: these are squared distances": want**2,
        "the term 2 g_ij is missing: both lengths alone do not give the distance":
            both.sqrt(),
        "g_ij is taken off once: the middle term is 2 g_ij":
            (both - G).clamp(min=0).sqrt(),
        "2 g_ij is added: this is the length of the sum of two vectors":
            (both + 2 * G).clamp(min=0).sqrt(),
        "these are distances of the rows of G: its rows are not the vectors":
            (G[:, None] - G[None]).norm(dim=-1),
        "this takes the diagonal as lengths: it holds squared lengths":
            (d[:, None] ** 2 + d**2 - 2 * G).clamp(min=0).sqrt(),
    }, hint="multiply out |x_i - x_j|², three terms")


# Gram matrix of (3, 0), (0, 4), (3, 4)
G = torch.tensor([[9.0, 0.0, 9.0], [0.0, 16.0, 16.0], [9.0, 16.0, 25.0]])
check_distances("the triangle 3, 4, 5, by hand", G, [[0.0, 5, 4], [5, 0, 3], [4, 3, 0]])
G = torch.tensor([[0.25, 0.0], [0.0, 1.44]])  # of (0.5, 0), (0, 1.2)
check_distances("lengths 0.5 and 1.2, by hand", G, [[0.0, 1.3], [1.3, 0.0]])
noisy = torch.tensor([[1, 1 + 1e-12], [1 + 1e-12, 1]], dtype=torch.float64)
c.close("two equal vectors, after rounding", lambda: distances(noisy),
    torch.zeros(2, 2), atol=1e-5,
    hint="rounding left a square below 0: lift it to 0 before the root")
c.report()

# %% opposed
c = checks.Checks("Exercise 4a · Orthogonal, with Pearson -1")


def pair_of(given):
    a, b = (torch.as_tensor(v, dtype=torch.float64) for v in given)
    if a.shape != (5,) or b.shape != (5,):
        raise checks.Wrong(
            f"expected five numbers each, got {list(a.shape)} and {list(b.shape)}"
        )
    if a.max() == a.min() or b.max() == b.min():
        raise checks.Wrong("all numbers of one vector are equal: Pearson is 0 / 0")
    return a, b


def cosine_of(a, b):
    return (a @ b / (a.norm() * b.norm())).item()


def pearson_of(a, b):
    return cosine_of(a - a.mean(), b - b.mean())


def orthogonal(a, b):
    if cosine_of(a, b) < -0.99:
        raise checks.Wrong("the vectors are opposite, at 180 degrees, not at 90")
    if abs(cosine_of(a, b)) > 1e-5:
        raise checks.Wrong(f"the dot product is {a @ b:.4g}, expected 0")
    return True


def anticorrelated(a, b):
    pearson = pearson_of(a, b)
    if pearson > 0.99:
        raise checks.Wrong("Pearson is 1: the sign is wrong")
    if pearson > -1 + 1e-5:
        raise checks.Wrong(f"Pearson is {pearson:.3f}, expected -1: write one vector "
                           "as a constant minus a multiple of the other")
    return True


c.that("dot product 0", lambda: orthogonal(*pair_of(opposed)))
c.that("Pearson -1", lambda: anticorrelated(*pair_of(opposed)))
c.report()

# %% aligned
c = checks.Checks("Exercise 4b · Uncorrelated, with cosine above 0.9")


def pair_of(given):
    a, b = (torch.as_tensor(v, dtype=torch.float64) for v in given)
    if a.shape != (5,) or b.shape != (5,):
        raise checks.Wrong(
            f"expected five numbers each, got {list(a.shape)} and {list(b.shape)}"
        )
    if a.max() == a.min() or b.max() == b.min():
        raise checks.Wrong("all numbers of one vector are equal: Pearson is 0 / 0")
    return a, b


def cosine_of(a, b):
    return (a @ b / (a.norm() * b.norm())).item()


def pearson_of(a, b):
    return cosine_of(a - a.mean(), b - b.mean())


def uncorrelated(a, b):
    pearson = pearson_of(a, b)
    if abs(pearson) > 1e-5:
        raise checks.Wrong(f"Pearson is {pearson:.3f}, expected 0: after the means are "
                           "subtracted, the dot product has to be 0")
    return True


def close_by(a, b):
    cosine = cosine_of(a, b)
    if cosine <= 0.9:
        raise checks.Wrong(f"the cosine is {cosine:.3f}, expected above 0.9: "
                           "add a large constant to all numbers")
    return True


c.that("Pearson 0", lambda: uncorrelated(*pair_of(aligned)))
c.that("cosine above 0.9", lambda: close_by(*pair_of(aligned)))
c.report()

# %% recover (more is tested when it is handed in)
c = checks.Checks("Exercise 5 · From G back to vectors")


def product(G):
    x = recover(G)
    if x is None:
        raise checks.Wrong("it is None: is a `return` missing?")
    x = torch.as_tensor(x)
    if torch.is_complex(x):
        raise checks.Wrong("X is complex: G is symmetric, so use `eigh` and not `eig`, "
                           "and lift the eigenvalues to at least 0")
    return gram(x)


def check_recover(what, G, hint):
    values = torch.linalg.eigvalsh(G)
    identity = torch.eye(len(G))
    c.close(what, lambda: product(G), G, atol=1e-5, hint=hint, mistakes={
        "X·Xᵀ came out as G·G: the eigenvalues need a square root": G @ G,
        "X·Xᵀ holds the eigenvalues on its diagonal: scale the columns of V, not its "
        "rows, and do not transpose": values.diag(),
        "X·Xᵀ holds the squared eigenvalues: scale columns, by roots":
            values.diag() ** 2,
        "X·Xᵀ is the identity: the eigenvalues are not used": identity,
    })


G = torch.tensor([[9.0, 12.0], [12.0, 25.0]])
check_recover("two tokens, (3, 0) and (4, 3)", G, "X·Xᵀ is not G")
line = torch.tensor([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [3.0, 6.0, 9.0]]).double()
check_recover("three tokens on a line", line, "two eigenvalues of this G are 0")
noisy = torch.tensor([[1, 1 + 1e-12], [1 + 1e-12, 1]], dtype=torch.float64)
check_recover("two equal tokens, after rounding", noisy,
    "rounding left an eigenvalue below 0: lift it to 0 before the root")
twice = torch.tensor([[2.0, 1.0, 1.0], [1.0, 2.0, 1.0], [1.0, 1.0, 2.0]]).double()
check_recover("an eigenvalue that comes twice", twice,
    "the eigenvalues are 1, 1, 4: `eigh` gives eigenvectors at right angles, "
    "`eig` does not")
c.report()

# %% is_gram (more is tested when it is handed in)
c = checks.Checks("Exercise 6 · Is it a Gram matrix?")


def check_is_gram(what, M, want, hint):
    def right():
        answer = is_gram(M)
        if answer is None:
            raise checks.Wrong("it is None: is a `return` missing?")
        return bool(answer) == want

    c.that(what, right, hint=hint)


three = torch.tensor([[11.0, 11, 10], [11, 16, 13], [10, 13, 16]])
check_is_gram("早上好", three, True, "this is the Gram matrix of the lesson: True")
check_is_gram("[[2, -1], [-1, 2]]", torch.tensor([[2.0, -1], [-1, 2]]), True,
    "entries may be negative, where an angle is above 90 degrees: True")
check_is_gram("[[1, 1], [1, 1]]", torch.ones(2, 2), True,
    "an eigenvalue may be 0, here two equal vectors: True")
check_is_gram("[[2, 1], [0, 2]]", torch.tensor([[2.0, 1], [0, 2]]), False,
    "it is not symmetric: False")
check_is_gram("[[1, 2], [2, 1]]", torch.tensor([[1.0, 2], [2, 1]]), False,
    "two vectors of length 1 cannot have the dot product 2: False")
check_is_gram("small numbers", 1e-8 * torch.tensor([[1.0, 2], [2, 1]]), False,
    "the rounding allowed goes with the size of the entries: False")
nearly = torch.tensor([[2, 1], [1 + 1e-6, 2]]).double()
check_is_gram("[[2, 1], [1 + 1e-6, 2]]", nearly, True,
    "a difference of 1e-6 is rounding, beside entries of 2: True")
check_is_gram("[[1, 1.01], [1.01, 1]]", torch.tensor([[1, 1.01], [1.01, 1]]), False,
    "an eigenvalue of -0.01 is more than rounding: False")
check_is_gram("[[1, 0.01], [0, 1]]", torch.tensor([[1, 0.01], [0, 1]]), False,
    "a difference of 0.01 is more than rounding: False")
check_is_gram("zeros", torch.zeros(2, 2), True, "X may be zeros: True")
c.report()
