# Made from solutions/ by `make sync`: do not edit.

# %% self_weight (more is tested when it is handed in)
c = checks.Checks("Exercise 1 · How many others free a token? The weight")


def measured_weight(n, d, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(max(2, 1000 // n), n, d, generator=generator)
    x = x / x.norm(dim=-1, keepdim=True) * d**0.5
    weights = softmax(x @ x.transpose(-2, -1) / d**0.5)
    return weights.diagonal(dim1=-2, dim2=-1).mean().item()


def check_weight(n, d, seed=0):
    flat = torch.zeros(n)
    flat[0] = d**0.5
    slips = {
        "the others' scores are not all 0: they vary, and the mean of e^z is more "
        "than e^0": softmax(flat)[0],
        "this is what each token gets if all share equally; but the score with itself "
        "is larger": 1 / n,
        "the scores are divided by √d before softmax": 1.0,
    }
    want = measured_weight(n, d, seed)
    c.close(
        f"n = {n}, d = {d}",
        lambda: predicted_self_weight(n, d),
        want,
        mistakes=slips,
        hint="measured sentences say otherwise",
        atol=0.05 / (1 + want),
    )


c.close(
    "one token alone",
    lambda: predicted_self_weight(1, 4),
    1.0,
    hint="you count the token itself among the others",
)
check_weight(50, 16)
check_weight(50, 64)
c.report()

# %% half (more is tested when it is handed in)
c = checks.Checks("Exercise 1 · How many others free a token? One half")


def measured_weight(n, d):
    x = torch.randn(max(2, 1000 // n), n, d, generator=torch.Generator().manual_seed(0))
    x = x / x.norm(dim=-1, keepdim=True) * d**0.5
    weights = softmax(x @ x.transpose(-2, -1) / d**0.5)
    return weights.diagonal(dim1=-2, dim2=-1).mean().item()


def check_half(d, right):
    def in_band():
        n = float(tokens_until_half(d))
        if abs(n / right - 1) <= 0.05:
            return True
        if not 2 <= n <= 10 * right:
            raise checks.Wrong(f"{n:.4g} tokens is far off")
        if abs(n / right - math.exp(0.5)) < 0.1:
            raise checks.Wrong(
                "the others' scores are not all 0: they vary, and the mean of e^z is "
                "more than e^0"
            )
        weight = measured_weight(round(n), d) if n < 4000 else 0.0
        raise checks.Wrong(f"with {n:.4g} tokens the measured weight is {weight:.2f}")

    c.that(f"d = {d}", in_band)


check_half(16, 34.1)
check_half(64, 1809.0)
c.report()

# %% verb_to_subject (more is tested when it is handed in)
c = checks.Checks("Exercise 2 · Verbs look for their subject")


def shapes_fit():
    w_q, w_k = verb_to_subject()
    if w_q.shape != w_k.shape:
        raise checks.Wrong("queries and keys need the same d_k for their dot product")
    if w_q.shape[0] != 6 and w_q.shape[-1] == 6:
        raise checks.Wrong("x @ w needs shape (6, d_k): yours are transposed")
    if w_q.shape[0] != 6 or not 1 <= w_q.shape[1] <= 3:
        raise checks.Wrong(f"{tuple(w_q.shape)} is not (6, d_k) with d_k up to 3")
    return True


def weights_of(sentence):
    x, (w_q, w_k) = encode(sentence), verb_to_subject()
    return attend(x @ w_q.float(), x @ w_k.float())[1]


def pairs_of(sentence):
    """[(place of a verb, place of its subject)]"""
    tokens = [word.rstrip("*") for word in sentence.split()]
    found = {}
    for place, word in enumerate(sentence.split()):
        number = kinds.get(tokens[place], "other").split()[0]
        if word.endswith("*"):
            found.setdefault(number, {})["subject"] = place
        elif "verb" in kinds.get(tokens[place], ""):
            found.setdefault(number, {})["verb"] = place
    return [(p["verb"], p["subject"]) for p in found.values() if len(p) == 2]


def verbs_find(sentence):
    weights, tokens = weights_of(sentence), sentence.split()
    for verb, subject in pairs_of(sentence):
        if weights[verb, subject] >= 0.9:
            continue
        who = f"{tokens[verb]} gives {tokens[subject]} {weights[verb, subject]:.2f}"
        if weights[subject, verb] > max(0.5, weights[verb, subject]):
            raise checks.Wrong("the subjects look for their verbs: swap w_q and w_k")
        rest = weights[verb].clone()
        rest[subject] = 0
        rival = rest.argmax().item()
        if weights[verb, subject] > 2 * rest[rival]:
            raise checks.Wrong(
                f"{who}: the right token leads, but by too little; larger numbers make "
                "softmax sharper"
            )
        if weights[verb].max() - weights[verb].min() < 0.05:
            raise checks.Wrong(f"{who}: it looks at everything alike")
        if rival == verb:
            reason = "it looks at itself; a verb should offer nothing that verbs seek"
        elif "verb" in kinds.get(tokens[rival], ""):
            reason = "a verb draws it; only nouns and subjects should offer something"
        elif tokens[rival].endswith("*"):
            reason = "it looks at the subject of the other verb; use the number"
        else:
            reason = "a word that is no subject draws it; use the feature subject"
        raise checks.Wrong(f"{who} and {tokens[rival]} {rest[rival]:.2f}: {reason}")
    return True


def subjects_do_not(sentence):
    weights, tokens = weights_of(sentence), sentence.split()
    for verb, subject in pairs_of(sentence):
        given = weights[subject, verb].item()
        if given > 1 / len(tokens) + 1e-4:
            raise checks.Wrong(
                f"{tokens[subject]} gives {tokens[verb]} {given:.2f}, more than "
                f"1/{len(tokens)}: the subject looks for its verb too"
            )
    return True


def check_sentence(sentence):
    c.that(f"verbs: {sentence}", lambda: verbs_find(sentence))
    c.that(f"subjects: {sentence}", lambda: subjects_do_not(sentence))


c.that("two matrices, (6, d_k)", shapes_fit)
check_sentence("the dog* barks and the cats* sleep")
check_sentence("the girls* chase a dog")
check_sentence("a cat* near a dog sleeps")
c.report()

# %% smallest_head (more is tested when it is handed in)
c = checks.Checks("Exercise 3 · The smallest head")


def check_head(what, m, d_k):
    def product():
        w_q, w_k = smallest_head(m.clone())
        if w_q.shape[0] != m.shape[0] or w_k.shape[0] != m.shape[1]:
            raise checks.Wrong(
                f"w_q is {tuple(w_q.shape)} and w_k {tuple(w_k.shape)}, but their rows "
                f"are features: {m.shape[0]} and {m.shape[1]}"
            )
        return w_q @ w_k.T

    def smallest():
        w_q, w_k = smallest_head(m.clone())
        if w_q.shape[1] > d_k:
            raise checks.Wrong(f"d_k = {w_q.shape[1]} is more than needed: {d_k} do")
        return w_q.shape[1] == d_k

    u, s, vh = torch.linalg.svd(m, full_matrices=False)
    slips = {
        "the singular values are missing": u[:, :d_k] @ vh[:d_k],
        "the singular values go in twice: take the root, or give them to one side": (
            u * s**2 @ vh
        ),
        "this is m transposed: w_q and w_k are swapped": m.T,
    }
    c.close(f"{what}: the product", product, m, mistakes=slips, hint="not m", atol=1e-8)
    c.that(f"{what}: d_k", smallest, "too small a d_k")


generator = torch.Generator().manual_seed(0)
a, b = torch.randn(2, 7, 2, generator=generator, dtype=torch.float64)
swap = torch.zeros(5, 5, dtype=torch.float64)
swap[0, 1], swap[1, 0] = 3, -3
check_head("feature 0 likes 1, 1 dislikes 0", swap, 2)
small = torch.diag(torch.tensor([1, 0.005, 1e-6], dtype=torch.float64))
check_head("1, 0.005 and 1e-6 on the diagonal", small, 3)
check_head("rank 2 of 7", a @ b.T, 2)
check_head("symmetric", a @ a.T, 2)
c.report()

# %% smallest_loss (more is tested when it is handed in)
c = checks.Checks("Exercise 3 · The smallest head: what is lost below it")


def check_loss(what, m, r, want):
    s = torch.linalg.svdvals(m)
    slips = {
        "this is what is kept; asked is what is lost": s[:r].square().sum().sqrt(),
        "the singular values are added; the norm adds their squares": s[r:].sum(),
        "the root is missing": s[r:].square().sum(),
        "this is the largest singular value that is lost; all of them count": (
            s[r:].max() if r < len(s) else torch.tensor(-1.0)
        ),
        "you lose one singular value too many": s[max(r - 1, 0) :].norm(),
        "you keep one singular value too many": s[r + 1 :].norm(),
    }
    c.close(what, lambda: smallest_loss(m.clone(), r), want, mistakes=slips, atol=1e-6)


diagonal = torch.diag(torch.tensor([2.0, 12.0, 3.0, 4.0], dtype=torch.float64))
check_loss("diagonal 2, 12, 3, 4; r = 2", diagonal, 2, 13**0.5)
check_loss("diagonal 2, 12, 3, 4; r = 1", diagonal, 1, 29**0.5)
check_loss("r = 4 reaches it", diagonal, 4, 0.0)
c.report()

# %% matching_queries (more is tested when it is handed in)
c = checks.Checks("Exercise 4 · Other keys, same scores: matching queries")


def check_match(what, a, seed, d_model=7):
    generator = torch.Generator().manual_seed(seed)
    size = len(a)
    w_q, w_k = torch.randn(2, d_model, size, generator=generator, dtype=torch.float64)
    inverse = torch.linalg.inv(a)

    def new_m():
        return matching_queries(w_q.clone(), a.clone()) @ (w_k @ a).T

    slips = {
        "w_q is unchanged": w_q @ (w_k @ a).T,
        "the scores multiply by the transpose of a, so its inverse needs one too": (
            w_q @ inverse @ (w_k @ a).T
        ),
        "w_q changed as w_k did; that cancels only for rotations": (
            w_q @ a @ (w_k @ a).T
        ),
        "the transpose of a is its inverse only for rotations": w_q @ a.T @ (w_k @ a).T,
    }
    c.close(what, new_m, w_q @ w_k.T, mistakes=slips, hint="other scores", atol=1e-8)


turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
stretch = torch.tensor([[2.0, 0.0], [0.0, 0.25]], dtype=torch.float64)
shear = torch.tensor([[1.0, 3.0], [0.0, 1.0]], dtype=torch.float64)
check_match("a quarter turn", turn, 0)
check_match("a stretch", stretch, 1)
check_match("a shear", shear, 2)
c.report()

# %% other_keys (more is tested when it is handed in)
c = checks.Checks("Exercise 4 · Other keys, same scores: other keys")


def check_other(what, time, d_model, d_k, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(time, d_model, generator=generator, dtype=torch.float64)
    w_q, w_k = torch.randn(2, d_model, d_k, generator=generator, dtype=torch.float64)
    scores = (x @ w_q) @ (x @ w_k).T

    def differs():
        gap = (other_keys(x.clone(), w_q.clone(), w_k.clone()) - w_k).norm()
        if gap < 1 - 1e-9:  # rounding
            raise checks.Wrong(f"w_k moved by {gap:.3g} only; asked is at least 1")
        return True

    def same_scores():
        new = other_keys(x.clone(), w_q.clone(), w_k.clone())
        if tuple(new.shape) != tuple(w_k.shape):
            raise checks.Wrong(f"shape {tuple(new.shape)}, expected {tuple(w_k.shape)}")
        found = (x @ w_q) @ (x @ new).T
        same = torch.allclose(softmax(found), softmax(scores), atol=1e-8)
        if same and not torch.allclose(found, scores, atol=1e-6):
            raise checks.Wrong(
                "the weights are the same but the scores are not: every key moved by "
                "one vector, and softmax hides it"
            )
        return found

    slips = {
        "the columns of w_k changed places, but not those of w_q": (
            (x @ w_q) @ (x @ w_k.flip(-1)).T
        ),
        "the keys have the other sign, and so have the scores": -scores,
    }
    hint = "the scores on x changed: add to w_k only directions that no token of x has"
    c.that(f"{what}: another w_k", differs)
    c.close(f"{what}: the scores", same_scores, scores, mistakes=slips, hint=hint)


check_other("3 tokens of 7 features", 3, 7, 2, 0)
check_other("6 tokens of 7 features", 6, 7, 5, 1)
c.report()

# %% stored_head (more is tested when it is handed in)
c = checks.Checks("Exercise 5 · Which way round is W?")


def check_stored(what, shape, d_k, d_v, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator, dtype=dtype)
    sizes = (d_k, d_k, d_v)
    d = shape[-1]
    stored = [torch.randn(s, d, generator=generator, dtype=dtype) for s in sizes]
    linear = torch.nn.functional.linear
    q, k, v = (linear(x, w) for w in stored)
    want = torch.softmax(torch.einsum("...ik,...jk->...ij", q, k), dim=-1)
    raw = [w.reshape(d, -1) for w in stored]  # as they are, if square
    mixed = (
        "the matrices are used as they are; both sizes are equal here, so nothing "
        "complains, but x @ w needs the transpose"
        if d_k == d
        else "reshape keeps the numbers in their order and so mixes the features; a "
        "transpose is needed"
    )
    slips = {mixed: attend(*(x @ w for w in raw))[1]}
    atol = 1e-8 if dtype == torch.float64 else 1e-4

    def part(index):
        return stored_head(x.clone(), *(w.clone() for w in stored))[index]

    value_slips = {
        mixed: attend(*(x @ w for w in raw))[0],
        "the value matrix needs the transpose too": want @ (x @ raw[2]),
        "the values have not gone through w_v": want @ x,
    }
    c.close(f"{what}: weights", lambda: part(1), want, mistakes=slips, atol=atol)
    output = want @ v
    c.close(f"{what}: output", lambda: part(0), output, mistakes=value_slips, atol=atol)


check_stored("d_k 2, d_v 7", (3, 5), 2, 7, seed=0)
check_stored("all sizes 5", (3, 5), 5, 5, seed=1)
check_stored("a batch of 2", (2, 3, 5), 7, 2, seed=2)
c.report()
