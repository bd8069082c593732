"""Wrong and right answers to the exercises of chapter 01."""

from tests.answers import right, wrong

ANSWERS = {
    "by_dot": [
        wrong(
            "ranks by dot product as by angle",
            "this is the order of the cosines",
            """
            by_dot, by_cosine, by_distance = "abc", "abc", "acb"
            """,
        ),
        wrong(
            "takes the cosine to keep the lengths",
            "this is the order of the dot products",
            """
            by_dot, by_cosine, by_distance = "bca", "bca", "acb"
            """,
        ),
        wrong(
            "best last",
            ("by dot product; by cosine; by distance", "from worst to best"),
            """
            by_dot, by_cosine, by_distance = "acb", "cba", "bca"
            """,
        ),
        wrong(
            "thinks that well aligned means near",
            "by distance: this is the order of the cosines",
            """
            by_dot, by_cosine, by_distance = "bca", "abc", "abc"
            """,
        ),
        wrong(
            "thinks that near means well aligned",
            "by cosine: this is the order of the distances",
            """
            by_dot, by_cosine, by_distance = "bca", "acb", "acb"
            """,
        ),
        wrong(
            "names one candidate only",
            "expected each of a, b, c once",
            """
            by_dot, by_cosine, by_distance = "b", "a", "a"
            """,
        ),
        right(
            "as lists, in capitals",
            """
            by_dot = ["B", "C", "A"]
            by_cosine = ["A", "B", "C"]
            by_distance = ["A", "C", "B"]
            """,
        ),
        right(
            "worked out",
            """
            query = torch.tensor([1.0, 0.0])
            found = torch.tensor([[0.9, 0.1], [5, 5], [2, 4]])
            dots = found @ query
            orders = [-dots, -dots / found.norm(dim=-1), (found - query).norm(dim=-1)]
            by_dot, by_cosine, by_distance = (
                ", ".join("abc"[i] for i in order.argsort()) for order in orders
            )
            """,
        ),
    ],
    "scores": [
        wrong(
            "as published",
            "this is the published number",
            """
            def scores(q, k):
                return (q * k).sum()
            """,
        ),
        wrong(
            "a sum along d, but no pairs",
            "row i meets row i only",
            """
            def scores(q, k):
                return (q * k).sum(-1)
            """,
        ),
        wrong(
            "keys as rows",
            "the table lies on its side",
            """
            def scores(q, k):
                return (k[:, None] * q[None]).sum(-1)
            """,
        ),
        wrong(
            "adds up the axis of the queries",
            "added up over the queries",
            """
            def scores(q, k):
                return (q[:, None] * k[None]).sum(0)
            """,
        ),
        wrong(
            "adds up the axis of the keys",
            "added up over the keys",
            """
            def scores(q, k):
                return (q[:, None] * k[None]).sum(1)
            """,
        ),
        wrong(
            "transposes the wrong factor",
            "q turned, times k",
            """
            def scores(q, k):
                return (q.T[:, :, None] * k[None]).sum(1)
            """,
        ),
        wrong(
            "a matrix product",
            "may not be used here",
            """
            def scores(q, k):
                return q @ k.T
            """,
        ),
        wrong(
            "einsum",
            "may not be used here",
            """
            def scores(q, k):
                return torch.einsum("id,jd->ij", q, k)
            """,
        ),
        wrong(
            "takes the number of keys for that of queries",
            "one query, three keys",
            """
            def scores(q, k):
                n = len(q)
                table = torch.zeros(n, n, dtype=q.dtype)
                for i in range(n):
                    for j in range(n):
                        table[i, j] = (q[i] * k[j]).sum()
                return table
            """,
        ),
        wrong(
            "drops the axes of length 1",
            "its shape is (3,), expected (1, 3)",
            """
            def scores(q, k):
                return (q[:, None] * k[None]).sum(-1).squeeze()
            """,
        ),
        right(
            "two loops",
            """
            def scores(q, k):
                return torch.stack([
                    torch.stack([(a * b).sum() for b in k]) for a in q
                ])
            """,
        ),
        right(
            "a row at a time",
            """
            def scores(q, k):
                return torch.stack([(row * k).sum(1) for row in q])
            """,
        ),
        right(
            "d in the middle",
            """
            def scores(q, k):
                return (q.unsqueeze(2) * k.T.unsqueeze(0)).sum(dim=1)
            """,
        ),
    ],
    "published_from": [
        wrong(
            "adds up all pairs",
            "the whole table is added up",
            """
            def published_from(table):
                return table.sum()
            """,
        ),
        wrong(
            "an average",
            "nothing is divided",
            """
            def published_from(table):
                return table.diagonal().mean()
            """,
        ),
        wrong(
            "does not add up",
            "not yet added up",
            """
            def published_from(table):
                return table.diagonal()
            """,
        ),
        wrong(
            "the first row",
            "this is a row of the table",
            """
            def published_from(table):
                return table[0].sum()
            """,
        ),
        wrong(
            "the other diagonal",
            "row i with another row",
            """
            def published_from(table):
                return table.flip(-1).trace()
            """,
        ),
        right(
            "trace",
            """
            def published_from(table):
                return torch.trace(table)
            """,
        ),
        right(
            "a loop, as a Python number",
            """
            def published_from(table):
                return sum(table[i, i].item() for i in range(len(table)))
            """,
        ),
        right(
            "a mask",
            """
            def published_from(table):
                return (table * torch.eye(len(table))).sum()
            """,
        ),
    ],
    "cosines": [
        wrong(
            "divides by squared lengths",
            "the square root is missing",
            """
            def cosines(G):
                d = G.diagonal()
                return G / (d[:, None] * d[None, :])
            """,
        ),
        wrong(
            "divides by one length",
            "one length of the two",
            """
            def cosines(G):
                return G / G.diagonal().sqrt()[:, None]
            """,
        ),
        wrong(
            "divides by the diagonal",
            "the squared length of one token",
            """
            def cosines(G):
                return G / G.diagonal()
            """,
        ),
        wrong(
            "takes rows of G for vectors",
            "its rows are not the vectors",
            """
            def cosines(G):
                return cosine_similarity(G)
            """,
        ),
        wrong(
            "divides nothing",
            "nothing is divided",
            """
            def cosines(G):
                return G
            """,
        ),
        wrong(
            "prints instead of returning",
            "is a `return` missing?",
            """
            def cosines(G):
                lengths = G.diagonal().sqrt()
                print(G / lengths[:, None] / lengths)
            """,
        ),
        right(
            "outer product",
            """
            def cosines(G):
                d = torch.diag(G)
                return G / torch.outer(d, d).sqrt()
            """,
        ),
        right(
            "two diagonal matrices",
            """
            def cosines(G):
                scale = torch.diag(G.diagonal() ** -0.5)
                return scale @ G @ scale
            """,
        ),
        right(
            "two loops",
            """
            def cosines(G):
                out = torch.zeros_like(G)
                for i in range(len(G)):
                    for j in range(len(G)):
                        out[i, j] = G[i, j] / (G[i, i] * G[j, j]) ** 0.5
                return out
            """,
        ),
    ],
    "distances": [
        wrong(
            "squared distances",
            "the square root is missing",
            """
            def distances(G):
                d = G.diagonal()
                return d[:, None] + d - 2 * G
            """,
        ),
        wrong(
            "no middle term",
            "the term 2 g_ij is missing",
            """
            def distances(G):
                d = G.diagonal()
                return (d[:, None] + d).sqrt()
            """,
        ),
        wrong(
            "half the middle term",
            "g_ij is taken off once",
            """
            def distances(G):
                d = G.diagonal()
                return (d[:, None] + d - G).clamp(min=0).sqrt()
            """,
        ),
        wrong(
            "plus sign",
            "2 g_ij is added",
            """
            def distances(G):
                d = G.diagonal()
                return (d[:, None] + d + 2 * G).clamp(min=0).sqrt()
            """,
        ),
        wrong(
            "takes rows of G for vectors",
            "its rows are not the vectors",
            """
            def distances(G):
                return torch.cdist(G, G)
            """,
        ),
        wrong(
            "squares the diagonal again",
            "it holds squared lengths",
            """
            def distances(G):
                d = G.diagonal() ** 2
                return (d[:, None] + d - 2 * G).clamp(min=0).sqrt()
            """,
        ),
        wrong(
            "root of rounding noise",
            "lift it to 0 before the root",
            """
            def distances(G):
                d = G.diagonal()
                return (d[:, None] + d - 2 * G).sqrt()
            """,
        ),
        right(
            "relu",
            """
            def distances(G):
                d = torch.diag(G)
                return torch.relu(d.unsqueeze(0) + d.unsqueeze(1) - 2 * G) ** 0.5
            """,
        ),
        right(
            "absolute value",
            """
            def distances(G):
                n = len(G)
                d = G.diagonal().expand(n, n)
                return (d + d.T - 2 * G).abs().sqrt()
            """,
        ),
        right(
            "loops, to a list",
            """
            def distances(G):
                rows = []
                for i in range(len(G)):
                    squares = [G[i, i] + G[j, j] - 2 * G[i, j] for j in range(len(G))]
                    rows.append([max(s.item(), 0) ** 0.5 for s in squares])
                return rows
            """,
        ),
    ],
    "opposed": [
        wrong(
            "opposite vectors",
            "at 180 degrees, not at 90",
            """
            opposed = torch.tensor([1.0, 2, 3, 4, 5]), -torch.tensor([1.0, 2, 3, 4, 5])
            """,
        ),
        wrong(
            "orthogonal, which is not uncorrelated or opposite",
            "expected -1",
            """
            opposed = torch.tensor([1.0, 0, 0, 0, 0]), torch.tensor([0.0, 1, 0, 0, 0])
            """,
        ),
        wrong(
            "a vector of zeros",
            "all numbers of one vector are equal",
            """
            opposed = torch.tensor([1.0, 2, 3, 4, 5]), torch.zeros(5)
            """,
        ),
        wrong(
            "too short",
            "expected five numbers each",
            """
            opposed = torch.tensor([1.0, 0]), torch.tensor([0.0, 1])
            """,
        ),
        wrong(
            "a constant minus the vector, but not the right one",
            "expected 0",
            """
            first = torch.tensor([1.0, 2, 3, 4, 5])
            opposed = first, 6 - first
            """,
        ),
        wrong(
            "sign",
            "Pearson is 1: the sign is wrong",
            """
            first = torch.tensor([1.0, 2, 3, 4, 5])
            opposed = first, first - 55 / 15
            """,
        ),
        right(
            "from any vector",
            """
            first = torch.tensor([1.0, 2, 3, 4, 5])
            opposed = first, (first @ first) / first.sum() - first
            """,
        ),
        right(
            "integers in lists",
            """
            opposed = [[1, 0, 0, 0, 0], [0, 3, 3, 3, 3]]
            """,
        ),
        right(
            "one tensor of two rows, float64",
            """
            opposed = torch.tensor([[0, 0, 2, 2, 2], [7, 7, 0, 0, 0]]).double()
            """,
        ),
    ],
    "aligned": [
        wrong(
            "the same vector twice",
            "Pearson is 1.000, expected 0",
            """
            aligned = torch.tensor([1.0, 2, 3, 4, 5]), torch.tensor([1.0, 2, 3, 4, 5])
            """,
        ),
        wrong(
            "orthogonal vectors with mean 0",
            "expected above 0.9",
            """
            aligned = torch.tensor([1.0, -1, 0, 0, 0]), torch.tensor([0.0, 0, 1, -1, 0])
            """,
        ),
        wrong(
            "a constant vector",
            "all numbers of one vector are equal",
            """
            aligned = torch.ones(5), torch.tensor([10.0, 11, 10, 10, 10])
            """,
        ),
        wrong(
            "orthogonal with means that are not 0, then shifted",
            "expected 0: after the means",
            """
            aligned = torch.eye(5)[0] + 100, torch.eye(5)[1] + 100
            """,
        ),
        wrong(
            "a shift that is too small",
            "add a large constant",
            """
            aligned = (
                torch.tensor([2.0, 0, 1, 1, 1]),
                torch.tensor([1.0, 1, 2, 0, 1]),
            )
            """,
        ),
        wrong(
            "two numbers",
            "expected five numbers each",
            """
            aligned = torch.tensor([10.0, 9]), torch.tensor([9.0, 10])
            """,
        ),
        right(
            "integers in lists",
            """
            aligned = [4, 5, 6, 5, 5], [5, 4, 5, 6, 5]
            """,
        ),
        right(
            "from random numbers",
            """
            torch.manual_seed(0)
            noise = torch.randn(2, 5).double()
            noise -= noise.mean(-1, keepdim=True)
            noise[1] -= noise[0] * (noise[0] @ noise[1]) / (noise[0] @ noise[0])
            aligned = noise + 30
            """,
        ),
    ],
    "recover": [
        wrong(
            "no square root",
            "the eigenvalues need a square root",
            """
            def recover(G):
                values, V = torch.linalg.eigh(G)
                return V * values
            """,
        ),
        wrong(
            "G itself",
            "X·Xᵀ came out as G·G",
            """
            def recover(G):
                return G
            """,
        ),
        wrong(
            "scales rows",
            "scale the columns of V, not its rows",
            """
            def recover(G):
                values, V = torch.linalg.eigh(G)
                return values.clamp(min=0).sqrt()[:, None] * V
            """,
        ),
        wrong(
            "transposed",
            "do not transpose",
            """
            def recover(G):
                values, V = torch.linalg.eigh(G)
                return (V * values.clamp(min=0).sqrt()).T
            """,
        ),
        wrong(
            "eigenvectors alone",
            "the eigenvalues are not used",
            """
            def recover(G):
                return torch.linalg.eigh(G).eigenvectors
            """,
        ),
        wrong(
            "root of rounding noise",
            "lift it to 0 before the root",
            """
            def recover(G):
                values, V = torch.linalg.eigh(G)
                return V * values.sqrt()
            """,
        ),
        wrong(
            "Cholesky, which needs eigenvalues above 0",
            "linalg.cholesky",
            """
            def recover(G):
                return torch.linalg.cholesky(G)
            """,
        ),
        wrong(
            "complex numbers",
            "X is complex",
            """
            def recover(G):
                values, V = torch.linalg.eig(G)
                return V * values.sqrt()
            """,
        ),
        wrong(
            "the square root of each entry",
            "X·Xᵀ is not G",
            """
            def recover(G):
                return G.sqrt()
            """,
        ),
        wrong(
            "the real parts of eig",
            "`eigh` gives eigenvectors at right angles",
            """
            def recover(G):
                values, V = torch.linalg.eig(G)
                return V.real * values.real.clamp(min=0).sqrt()
            """,
        ),
        right(
            "a square root of G in numpy",
            """
            def recover(G):
                import numpy as np

                values, V = np.linalg.eigh(G.numpy())
                return V * np.sqrt(values.clip(0))
            """,
        ),
        right(
            "the symmetric root",
            """
            def recover(G):
                values, V = torch.linalg.eigh(G)
                return V @ torch.diag(values.clamp(min=0).sqrt()) @ V.T
            """,
        ),
        right(
            "singular values",
            """
            def recover(G):
                U, S, _ = torch.linalg.svd(G)
                return U * S.sqrt()
            """,
        ),
        right(
            "only the dimensions in use",
            """
            def recover(G):
                values, V = torch.linalg.eigh(G)
                used = values > 1e-9
                return V[:, used] * values[used] ** 0.5
            """,
        ),
    ],
    "is_gram": [
        wrong(
            "symmetry alone",
            "cannot have the dot product 2",
            """
            def is_gram(M):
                return torch.allclose(M, M.T)
            """,
        ),
        wrong(
            "no entry below 0",
            "entries may be negative",
            """
            def is_gram(M):
                return bool((M >= 0).all()) and torch.allclose(M, M.T)
            """,
        ),
        wrong(
            "no symmetry",
            "it is not symmetric",
            """
            def is_gram(M):
                return bool(torch.linalg.eigvalsh(M).min() >= -1e-5 * M.abs().max())
            """,
        ),
        wrong(
            "no eigenvalue 0",
            "an eigenvalue may be 0",
            """
            def is_gram(M):
                symmetric = torch.allclose(M, M.T)
                return symmetric and bool((torch.linalg.eigvalsh(M) > 0).all())
            """,
        ),
        wrong(
            "Cholesky",
            "an eigenvalue may be 0",
            """
            def is_gram(M):
                symmetric = torch.allclose(M, M.T)
                return symmetric and bool(torch.linalg.cholesky_ex(M).info == 0)
            """,
        ),
        wrong(
            "no slack for rounding",
            "some of them below 0",
            """
            def is_gram(M):
                symmetric = torch.allclose(M, M.T)
                return symmetric and bool(torch.linalg.eigvalsh(M).min() >= 0)
            """,
        ),
        wrong(
            "pairs only",
            "all three together are not",
            """
            def is_gram(M):
                d = M.diagonal()
                if (d < 0).any() or not torch.allclose(M, M.T):
                    return False
                return bool((M**2 <= d[:, None] * d * (1 + 1e-5)).all())
            """,
        ),
        wrong(
            "the determinant",
            "the determinant is positive",
            """
            def is_gram(M):
                if (M.diagonal() < 0).any() or not torch.allclose(M, M.T):
                    return False
                return bool(torch.linalg.det(M) >= -1e-3)
            """,
        ),
        wrong(
            "slack that does not go with the entries",
            "goes with the size of the entries",
            """
            def is_gram(M):
                symmetric = bool((M - M.T).abs().max() <= 1e-5 * M.abs().max())
                return symmetric and bool(torch.linalg.eigvalsh(M).min() >= -1e-6)
            """,
        ),
        wrong(
            "always yes",
            ("it is not symmetric", "cannot have the dot product 2"),
            """
            def is_gram(M):
                return True
            """,
        ),
        wrong(
            "exactly symmetric",
            "a difference of 1e-6 is rounding",
            """
            def is_gram(M):
                slack = 1e-5 * M.abs().max()
                return torch.equal(M, M.T) and bool(torch.linalg.eigvalsh(M).min() >= -slack)
            """,
        ),
        wrong(
            "a wide tolerance",
            "an eigenvalue of -0.01 is more than rounding",
            """
            def is_gram(M):
                slack = 0.1 * M.abs().max()
                if (M - M.T).abs().max() > slack:
                    return False
                return bool(torch.linalg.eigvalsh(M).min() >= -slack)
            """,
        ),
        right(
            "builds X and multiplies",
            """
            def is_gram(M):
                values, V = torch.linalg.eigh(M)
                x = V * values.clamp(min=0).sqrt()
                return bool((x @ x.T - M).abs().max() <= 1e-5 * M.abs().max())
            """,
        ),
        right(
            "in float64, as a tensor",
            """
            def is_gram(M):
                M = M.double() / M.abs().max().clamp(min=1e-30)
                symmetric = torch.allclose(M, M.T, rtol=0, atol=1e-5)
                values = torch.linalg.eigvalsh((M + M.T) / 2)
                return torch.tensor(symmetric) & (values >= -1e-5).all()
            """,
        ),
    ],
}

EQUIVALENT = {
    "by_dot": {"by_… = '…_'…": "only the letters are read"},
    "opposed": {"opposed = …": "another pair with the two properties: any will do"},
    "aligned": {
        "aligned = …": "another pair with the two properties: any will do",
        "torch.tensor([…]),": "another pair with the two properties: any will do",
    },
    "is_gram": {
        "slack = 1e-5 * M.max()": "a Gram matrix's largest entry is on its diagonal",
        "if (M.T - M).abs().max() > slack:": "the same size, with the other sign",
    },
}
