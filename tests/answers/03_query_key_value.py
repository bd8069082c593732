"""Answers to the sheet of chapter 03."""

from tests.answers import right, wrong

ANSWERS = {
    "self_weight": [
        wrong(
            "all share equally",
            "all share equally",
            """
            def predicted_self_weight(n, d):
                return 1 / n
            """,
        ),
        wrong(
            "the others' scores are 0",
            "the mean of e^z is more than e^0",
            """
            def predicted_self_weight(n, d):
                return math.exp(d**0.5) / (math.exp(d**0.5) + n - 1)
            """,
        ),
        wrong(
            "scores not divided",
            "divided by √d before softmax",
            """
            def predicted_self_weight(n, d):
                return 1 / (1 + (n - 1) * math.exp(0.5 - d))
            """,
        ),
        wrong(
            "counts itself among the others",
            "count the token itself among the others",
            """
            def predicted_self_weight(n, d):
                own = math.exp(d**0.5)
                return own / (own + n * math.exp(0.5))
            """,
        ),
        wrong(
            "scores instead of their exponentials",
            "measured sentences say otherwise",
            """
            def predicted_self_weight(n, d):
                return d**0.5 / (d**0.5 + n - 1)
            """,
        ),
        right(
            "as a sigmoid",
            """
            def predicted_self_weight(n, d):
                if n == 1:
                    return 1.0
                return 1 / (1 + math.exp(math.log(n - 1) + 0.5 - d**0.5))
            """,
        ),
        right(
            "a tensor of scores",
            """
            def predicted_self_weight(n, d):
                scores = torch.full((n,), 0.5)
                scores[0] = d**0.5
                return softmax(scores)[0]
            """,
        ),
        right(
            "by measuring",
            """
            def predicted_self_weight(n, d):
                g = torch.Generator().manual_seed(9)
                x = torch.randn(max(1, 400 // n), n, d, generator=g)
                x = x / x.norm(dim=-1, keepdim=True) * d**0.5
                w = softmax(x @ x.mT / d**0.5)
                return w.diagonal(dim1=-2, dim2=-1).mean().item()
            """,
        ),
    ],
    "half": [
        wrong(
            "the others' scores are 0",
            "the mean of e^z is more than e^0",
            """
            def tokens_until_half(d):
                return 1 + math.exp(d**0.5)
            """,
        ),
        wrong(
            "scores not divided",
            "far off",
            """
            def tokens_until_half(d):
                return 1 + math.exp(d - 0.5)
            """,
        ),
        wrong(
            "as many tokens as the score",
            "measured weight is",
            """
            def tokens_until_half(d):
                return 1 + d**0.5
            """,
        ),
        wrong(
            "grows with d, not exponentially",
            "measured weight is",
            """
            def tokens_until_half(d):
                return 2 * d
            """,
        ),
        wrong(
            "two, as if all shared equally",
            "measured weight is",
            """
            def tokens_until_half(d):
                return 2
            """,
        ),
        right(
            "rounded up",
            """
            def tokens_until_half(d):
                return math.ceil(1 + math.exp(d**0.5 - 0.5))
            """,
        ),
        right(
            "a search",
            """
            def tokens_until_half(d):
                n = 2
                while math.exp(d**0.5) > (n - 1) * math.exp(0.5):
                    n += 1
                return n
            """,
        ),
        right(
            "the mean of e^z by measuring",
            """
            def tokens_until_half(d):
                g = torch.Generator().manual_seed(9)
                z = torch.randn(10**5, generator=g, dtype=torch.float64)
                return 1 + math.exp(d**0.5) / z.exp().mean()
            """,
        ),
    ],
    "verb_to_subject": [
        wrong(
            "one matrix for both",
            "it looks at itself",
            """
            def verb_to_subject():
                w = torch.zeros(6, 3)
                w[[0, 2], 0] = 3.0
                w[[1, 3], 1] = 3.0
                w[4, 2] = 3.0
                return w, w
            """,
        ),
        wrong(
            "queries and keys swapped",
            "the subjects look for their verbs",
            """
            def verb_to_subject():
                w_q, w_k = torch.zeros(6, 2), torch.zeros(6, 2)
                w_q[2, 0] = w_q[3, 1] = 10
                w_k[0, 0] = w_k[1, 1] = 1
                w_k[4] = 1
                return w_k, w_q
            """,
        ),
        wrong(
            "number is ignored",
            "the subject of the other verb",
            """
            def verb_to_subject():
                w_q, w_k = torch.zeros(6, 1), torch.zeros(6, 1)
                w_q[2:4] = 20
                w_k[4] = 1
                return w_q, w_k
            """,
        ),
        wrong(
            "any noun of the right number",
            "use the feature subject",
            """
            def verb_to_subject():
                w_q, w_k = torch.zeros(6, 2), torch.zeros(6, 2)
                w_q[2, 0] = w_q[3, 1] = 20
                w_k[0, 0] = w_k[1, 1] = 1
                return w_q, w_k
            """,
        ),
        wrong(
            "too soft",
            "larger numbers make softmax sharper",
            """
            def verb_to_subject():
                w_q, w_k = torch.zeros(6, 2), torch.zeros(6, 2)
                w_q[2, 0] = w_q[3, 1] = 2
                w_k[0, 0] = w_k[1, 1] = 1
                w_k[4] = 1
                return w_q, w_k
            """,
        ),
        wrong(
            "as nn.Linear stores them",
            "transposed",
            """
            def verb_to_subject():
                w_q, w_k = torch.zeros(2, 6), torch.zeros(2, 6)
                w_q[0, 2] = w_q[1, 3] = 10
                w_k[0, 0] = w_k[1, 1] = 1
                w_k[:, 4] = 1
                return w_q, w_k
            """,
        ),
        wrong(
            "verbs look for other verbs",
            "a verb draws it",
            """
            def verb_to_subject():
                w_q, w_k = torch.zeros(6, 2), torch.zeros(6, 2)
                w_q[2, 0] = w_q[3, 1] = 10
                w_k[3, 0] = w_k[2, 1] = 2
                w_k[0, 0] = w_k[1, 1] = 1
                return w_q, w_k
            """,
        ),
        wrong(
            "both directions",
            "the subject looks for its verb too",
            """
            def verb_to_subject():
                w_q, w_k = torch.zeros(6, 3), torch.zeros(6, 3)
                w_q[2, 0] = w_q[3, 1] = w_q[4, 2] = 10
                w_k[0, 0] = w_k[1, 1] = w_k[2, 2] = w_k[3, 2] = 1
                w_k[4, :2] = 1
                return w_q, w_k
            """,
        ),
        wrong(
            "left empty",
            "looks at everything alike",
            """
            def verb_to_subject():
                return torch.zeros(6, 2), torch.zeros(6, 2)
            """,
        ),
        right(
            "three columns",
            """
            def verb_to_subject():
                w_q = torch.zeros(6, 3)
                w_k = torch.zeros(6, 3)
                w_q[2, 0] = w_q[3, 1] = w_q[2, 2] = w_q[3, 2] = 5
                w_k[0, 0] = w_k[1, 1] = w_k[4, 2] = 3
                return w_q, w_k
            """,
        ),
        right(
            "M first, float64",
            """
            def verb_to_subject():
                m = torch.zeros(6, 6, dtype=torch.float64)
                m[2, [0, 4]] = 12
                m[3, [1, 4]] = 12
                u, s, vh = torch.linalg.svd(m)
                return u[:, :2] * s[:2], vh[:2].T
            """,
        ),
        right(
            "integers, and nouns that look at themselves",
            """
            def verb_to_subject():
                w_q = torch.tensor([[9, 0], [0, 9], [9, 0], [0, 9], [0, 0], [0, 0]])
                w_k = torch.tensor([[1, 0], [0, 1], [0, 0], [0, 0], [1, 1], [0, 0]])
                return w_q, w_k
            """,
        ),
    ],
    "smallest_head": [
        wrong(
            "queries get M, keys the identity",
            "is more than needed",
            """
            def smallest_head(m):
                return m, torch.eye(m.shape[1], dtype=m.dtype)
            """,
        ),
        wrong(
            "the singular values forgotten",
            "the singular values are missing",
            """
            def smallest_head(m):
                u, s, vh = torch.linalg.svd(m, full_matrices=False)
                r = int((s > 1e-9).sum())
                return u[:, :r], vh[:r].T
            """,
        ),
        wrong(
            "the singular values on both sides",
            "the singular values go in twice",
            """
            def smallest_head(m):
                u, s, vh = torch.linalg.svd(m, full_matrices=False)
                r = int((s > 1e-9).sum())
                return u[:, :r] * s[:r], vh[:r].T * s[:r]
            """,
        ),
        wrong(
            "rounding errors counted",
            "is more than needed",
            """
            def smallest_head(m):
                u, s, vh = torch.linalg.svd(m, full_matrices=False)
                r = int((s > 0).sum())
                return u[:, :r] * s[:r], vh[:r].T
            """,
        ),
        wrong(
            "Vh not transposed",
            "their rows are features",
            """
            def smallest_head(m):
                u, s, vh = torch.linalg.svd(m, full_matrices=False)
                r = int((s > 1e-9).sum())
                return u[:, :r] * s[:r], vh[:r]
            """,
        ),
        wrong(
            "eigenvectors, as if M were symmetric",
            "the product",
            """
            def smallest_head(m):
                values, vectors = torch.linalg.eigh(m)
                keep = values.abs() > 1e-9
                return vectors[:, keep] * values[keep], vectors[:, keep]
            """,
        ),
        wrong(
            "queries and keys swapped",
            "m transposed",
            """
            def smallest_head(m):
                u, s, vh = torch.linalg.svd(m, full_matrices=False)
                r = int((s > 1e-9).sum())
                return vh[:r].T * s[:r], u[:, :r]
            """,
        ),
        wrong(
            "a threshold of 0.01",
            "0.005",
            """
            def smallest_head(m):
                u, s, vh = torch.linalg.svd(m, full_matrices=False)
                d_k = int((s > 0.01 * s[0]).sum())
                return u[:, :d_k] * s[:d_k], vh[:d_k].T
            """,
        ),
        right(
            "a root on each side",
            """
            def smallest_head(m):
                r = torch.linalg.matrix_rank(m).item()
                u, s, vh = torch.linalg.svd(m)
                root = s[:r].sqrt()
                return u[:, :r] * root, (root[:, None] * vh[:r]).T
            """,
        ),
        right(
            "a basis of the columns by eigenvectors of M·Mᵀ",
            """
            def smallest_head(m):
                r = int(torch.linalg.matrix_rank(m))
                basis = torch.linalg.eigh(m @ m.T)[1][:, -r:]
                return basis, m.T @ basis
            """,
        ),
    ],
    "smallest_loss": [
        wrong(
            "what is kept",
            "this is what is kept",
            """
            def smallest_loss(m, r):
                return torch.linalg.svdvals(m)[:r].square().sum().sqrt()
            """,
        ),
        wrong(
            "sum instead of squares",
            "the norm adds their squares",
            """
            def smallest_loss(m, r):
                return torch.linalg.svdvals(m)[r:].sum()
            """,
        ),
        wrong(
            "no root",
            "the root is missing",
            """
            def smallest_loss(m, r):
                return torch.linalg.svdvals(m)[r:].square().sum()
            """,
        ),
        wrong(
            "spectral norm",
            "all of them count",
            """
            def smallest_loss(m, r):
                s = torch.linalg.svdvals(m)
                return s[r] if r < len(s) else torch.tensor(0.0)
            """,
        ),
        wrong(
            "one too few kept",
            "one singular value too many",
            """
            def smallest_loss(m, r):
                return torch.linalg.svdvals(m)[r - 1:].square().sum().sqrt()
            """,
        ),
        right(
            "Pythagoras",
            """
            def smallest_loss(m, r):
                kept = torch.linalg.svdvals(m)[:r].norm()
                return max(0.0, (m.norm() ** 2 - kept**2).item()) ** 0.5
            """,
        ),
        right(
            "by the best approximation",
            """
            def smallest_loss(m, r):
                u, s, vh = torch.linalg.svd(m, full_matrices=False)
                s[r:] = 0
                return torch.linalg.matrix_norm(m - u @ torch.diag(s) @ vh)
            """,
        ),
    ],
    "matching_queries": [
        wrong(
            "unchanged",
            "w_q is unchanged",
            """
            def matching_queries(w_q, a):
                return w_q
            """,
        ),
        wrong(
            "the inverse without a transpose",
            "its inverse needs one too",
            """
            def matching_queries(w_q, a):
                return w_q @ torch.linalg.inv(a)
            """,
        ),
        wrong(
            "the same change",
            "cancels only for rotations",
            """
            def matching_queries(w_q, a):
                return w_q @ a
            """,
        ),
        wrong(
            "the transpose as inverse",
            "is its inverse only for rotations",
            """
            def matching_queries(w_q, a):
                return w_q @ a.T
            """,
        ),
        wrong(
            "on the side of the features",
            "cannot be multiplied",
            """
            def matching_queries(w_q, a):
                return torch.linalg.inv(a) @ w_q
            """,
        ),
        right(
            "solve",
            """
            def matching_queries(w_q, a):
                return torch.linalg.solve(a, w_q.T).T
            """,
        ),
        right(
            "pseudo-inverse of the transpose",
            """
            def matching_queries(w_q, a):
                return w_q @ torch.linalg.pinv(a.T)
            """,
        ),
    ],
    "other_keys": [
        wrong(
            "nothing changed",
            "w_k moved by 0 only",
            """
            def other_keys(x, w_q, w_k):
                return w_k
            """,
        ),
        wrong(
            "too small a step",
            "asked is at least 1",
            """
            def other_keys(x, w_q, w_k):
                return w_k + 1e-9 * torch.ones_like(w_k)
            """,
        ),
        wrong(
            "one vector added to every key",
            "softmax hides it",
            """
            def other_keys(x, w_q, w_k):
                ones = torch.ones(len(x), w_k.shape[1], dtype=x.dtype)
                return w_k + 50 * torch.linalg.pinv(x) @ ones
            """,
        ),
        wrong(
            "columns exchanged",
            "changed places",
            """
            def other_keys(x, w_q, w_k):
                return w_k.flip(-1)
            """,
        ),
        wrong(
            "sign turned",
            "the other sign",
            """
            def other_keys(x, w_q, w_k):
                return -w_k
            """,
        ),
        wrong(
            "a direction that a token has",
            "no token of x has",
            """
            def other_keys(x, w_q, w_k):
                return w_k + 5 * torch.linalg.svd(x).Vh[0][:, None]
            """,
        ),
        right(
            "moved by 1, and rounded just below",
            """
            def other_keys(x, w_q, w_k):
                unseen = torch.linalg.svd(x).Vh[-1]
                return w_k + (1 - 1e-15) * unseen[:, None] * torch.eye(w_k.shape[1])[0]
            """,
        ),
        right(
            "a projection",
            """
            def other_keys(x, w_q, w_k):
                eye = torch.eye(x.shape[1], dtype=x.dtype)
                unseen = eye - torch.linalg.pinv(x) @ x
                return w_k + 100 * unseen @ torch.ones_like(w_k)
            """,
        ),
        right(
            "the smallest w_k for these keys",
            """
            def other_keys(x, w_q, w_k):
                smallest = torch.linalg.pinv(x) @ (x @ w_k)
                unseen = w_k - smallest
                return smallest - unseen * (1 + 2 / unseen.norm())
            """,
        ),
        right(
            "one column alone, by QR",
            """
            def other_keys(x, w_q, w_k):
                q = torch.linalg.qr(x.T, mode="complete").Q
                new = w_k.clone()
                new[:, 0] += 3 * q[:, -1]
                return new
            """,
        ),
    ],
    "stored_head": [
        wrong(
            "as published",
            ("used as they are", "cannot be multiplied"),
            """
            def stored_head(x, w_q, w_k, w_v):
                return attend(x @ w_q, x @ w_k, x @ w_v)
            """,
        ),
        wrong(
            "reshape instead of transpose",
            "reshape keeps the numbers in their order",
            """
            def stored_head(x, w_q, w_k, w_v):
                d = x.shape[-1]
                return attend(*(x @ w.reshape(d, -1) for w in (w_q, w_k, w_v)))
            """,
        ),
        wrong(
            "one sentence only",
            "a batch of 2",
            """
            def stored_head(x, w_q, w_k, w_v):
                return attend(*((w @ x.T).T for w in (w_q, w_k, w_v)))
            """,
        ),
        wrong(
            "values not transposed",
            "the value matrix needs the transpose too",
            """
            def stored_head(x, w_q, w_k, w_v):
                w_v = w_v if w_v.shape[0] == w_v.shape[1] else w_v.T
                return attend(x @ w_q.T, x @ w_k.T, x @ w_v)
            """,
        ),
        wrong(
            "values left out",
            "have not gone through w_v",
            """
            def stored_head(x, w_q, w_k, w_v):
                return attend(x @ w_q.T, x @ w_k.T, x)
            """,
        ),
        right(
            "linear layers",
            """
            def stored_head(x, w_q, w_k, w_v):
                linear = torch.nn.functional.linear
                return attend(linear(x, w_q), linear(x, w_k), linear(x, w_v))
            """,
        ),
        right(
            "einsum",
            """
            def stored_head(x, w_q, w_k, w_v):
                q, k, v = (
                    torch.einsum("...td,kd->...tk", x, w) for w in (w_q, w_k, w_v)
                )
                weights = torch.softmax(q @ k.mT, dim=-1)
                return weights @ v, weights
            """,
        ),
        right(
            "one matrix M",
            """
            def stored_head(x, w_q, w_k, w_v):
                weights = softmax(x @ (w_q.T @ w_k) @ x.mT)
                return (weights @ x) @ w_v.mT, weights
            """,
        ),
    ],
}

_NEAR = "within the 5 % that the task allows"

EQUIVALENT = {
    "self_weight": {
        "own = math.expm1(math.sqrt(d))": "within the 0.05 that the task allows",
        "others = (n - 1) * math.exp(0.45)": "within the 0.05 that the task allows",
    },
    "half": {
        "return int(…": _NEAR,
        "return -int(…": _NEAR,
        "return (1 + math.exp(math.sqrt(d) - 0.5))": _NEAR,
        "return round(2 + …": _NEAR,
        "return round(0 + …": _NEAR,
        "return round(math.exp(math.sqrt(d) - 0.5))": _NEAR,
        "return round(1 + math.expm1(math.sqrt(d) - 0.5))": _NEAR,
    },
    "verb_to_subject": {
        "w_q = torch.ones(6, 2)…": "all look at subjects, verbs ten times as hard",
        "w_q[features.index(…": "another sharpness: any that gives 0.9 will do",
        "w_k[features.index(…] = 2": "another sharpness: any that gives 0.9 will do",
        "w_k[features.index(…, …] = 2": "another sharpness: any that gives 0.9 will do",
    },
    "smallest_head": {
        "u, s, vh = torch.linalg.svd(m)": "what is more is cut off",
        "u, s, vh = torch.linalg.svd(m, full_matrices=True)": "what is more is cut off",
        "d_k = …((s > 1e-9 * s[0]).sum()) // 1)": "a sum of truths is whole",
        "d_k = (s > 1e-9 * s[0]).sum()": "a sum of truths is whole",
        "d_k = int((s >= (1e-9 * s[0])).sum())": "no value is that threshold",
        "d_k = int((s > 1e-9 / s[0]).sum())": "above rounding, below what counts",
        "d_k = int((s > 1e-9).sum())": "above rounding, below what counts",
    },
    "smallest_loss": {"….detach()": "asked is a number"},
    "other_keys": {
        "return w_k - (2 * unseen[:, None])": "any step of 1 or more will do",
        "return w_k + 3 * unseen[:, None]": "any step of 1 or more will do",
        "return w_k + 1 * unseen[:, None]": "any step of 1 or more will do",
        "return w_k + unseen[:, None]": "any step of 1 or more will do",
    },
}
