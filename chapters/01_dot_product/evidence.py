"""What chapter 1 claims, measured: `python -m tools.evidence 01_dot_product`."""

import torch

from tools.evidence import claim, lesson


@claim(
    "A vector that is made long enough wins every row in which it makes an angle below "
    "90 degrees, and comes last in every row in which the angle is above",
    holds=lambda f: f["rows won"] == f["rows lost, turned round"] == 1,
)
def long_vector(seed, budget):
    page = lesson("01_dot_product")
    x = torch.randn(200, 7, 5).double()
    side = torch.randn(200, 5).double()
    x = x * (x @ side[..., None]).sign()  # every angle with `side` is below 90 degrees
    won, lost = [], []
    for tokens, long in zip(x, side):
        rows = page.gram(torch.cat([tokens, 1e4 * long[None]]))
        won.append((page.nearest(rows)[1][:7] == 7).double().mean())
        rows = page.gram(torch.cat([tokens, -1e4 * long[None]]))
        lost.append((rows[:7].argmin(-1) == 7).double().mean())
    return {"rows won": sum(won) / 200, "rows lost, turned round": sum(lost) / 200}


@claim(
    "A Gram matrix has no negative eigenvalue, holds the squared lengths on its "
    "diagonal, and stays as it is when all vectors are turned",
    holds=lambda f: (
        f["lowest eigenvalue"] > -1e-9
        and f["diagonal, off by"] < 1e-9
        and f["after turning, off by"] < 1e-9
    ),
)
def gram_matrix(seed, budget):
    page = lesson("01_dot_product")
    x = torch.randn(100, 8, 5).double()
    turn = torch.linalg.qr(torch.randn(5, 5).double()).Q
    table = page.gram(x)
    return {
        "lowest eigenvalue": torch.linalg.eigvalsh(table).min().item(),
        "diagonal, off by": (table.diagonal(dim1=1, dim2=2) - x.square().sum(-1))
        .abs()
        .max()
        .item(),
        "after turning, off by": (page.gram(x @ turn) - table).abs().max().item(),
    }


@claim(
    "Cosines do not see lengths: all vectors stretched, each by its own factor, give the "
    "same table",
    holds=lambda f: f["cosines, off by"] < 1e-9 and f["dot products, off by"] > 1,
)
def lengths(seed, budget):
    page = lesson("01_dot_product")
    x = torch.randn(100, 8, 5).double()
    stretched = x * (1 + 4 * torch.rand(100, 8, 1).double())
    pairs = {"cosines": page.cosine_similarity, "dot products": page.gram}
    return {
        f"{name}, off by": (table(stretched) - table(x)).abs().max().item()
        for name, table in pairs.items()
    }
