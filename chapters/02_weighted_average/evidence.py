"""What chapter 2 claims, measured: `python -m tools.evidence 02_weighted_average`."""

import torch

from tools.evidence import claim, lesson


@claim(
    "Averages never leave the hull: seen from any direction, no output lies farther out "
    "than the outermost token",
    holds=lambda f: f["outputs that stick out, of 100,000"] == 0,
)
def hull(seed, budget):
    page = lesson("02_weighted_average")
    sets, directions = torch.randn(1000, 7, 5).double(), torch.randn(5, 100).double()
    before = (sets @ directions).amax(1)
    after = (page.attend(sets)[0] @ directions).amax(1)
    return {"outputs that stick out, of 100,000": (after > before + 1e-9).sum().item()}


@claim(
    "Applied again and again, softmax(XXᵀ)X never lets the largest distance grow",
    holds=lambda f: f["largest growth of a step"] <= 1 + 1e-9,
)
def collapse(seed, budget):
    page = lesson("02_weighted_average")
    points, growth = torch.randn(200, 8, 2).double(), []
    for _ in range(10):
        after = page.attend(points)[0]
        widest = [torch.cdist(x, x).amax((1, 2)) for x in (points, after)]
        growth.append((widest[1] / widest[0].clamp(min=1e-6)).max().item())
        points = after
    met = (torch.cdist(points, points).amax((1, 2)) < 1e-3).double().mean().item()
    return {"largest growth of a step": max(growth), "met within ten steps": met}


@claim(
    "The derivative of softmax is diag(p) − ppᵀ: its rows add to 0, and its size is never "
    "above ½",
    holds=lambda f: (
        f["off autograd by"] < 1e-9
        and f["rows add to"] < 1e-9
        and f["largest size"] <= 0.5
    ),
)
def jacobian(seed, budget):
    page = lesson("02_weighted_average")
    off, sums, sizes = [], [], []
    for _ in range(100):
        z = 4 * torch.randn(6).double()
        p = page.softmax(z)
        formula = torch.diag(p) - torch.outer(p, p)
        found = torch.autograd.functional.jacobian(page.softmax, z)
        off.append((found - formula).abs().max().item())
        sums.append(formula.sum(-1).abs().max().item())
        sizes.append(formula.norm().item())
    return {
        "off autograd by": max(off),
        "rows add to": max(sums),
        "largest size": max(sizes),
    }


@claim(
    "Attention is equivariant, not invariant: shuffled tokens give shuffled outputs, and "
    "only a summary such as the mean stays",
    holds=lambda f: (
        f["f(PX) and P f(X) differ by"] < 1e-9
        and f["f(PX) and f(X) differ by"] > 0.1
        and f["their means differ by"] < 1e-9
    ),
)
def order(seed, budget):
    page = lesson("02_weighted_average")
    x, moved = torch.randn(50, 7, 5).double(), torch.arange(7).roll(1)
    of_moved, of_x = page.attend(x[:, moved])[0], page.attend(x)[0]
    return {
        "f(PX) and P f(X) differ by": (of_moved - of_x[:, moved]).abs().max().item(),
        "f(PX) and f(X) differ by": (of_moved - of_x).abs().max().item(),
        "their means differ by": (of_moved.mean(1) - of_x.mean(1)).abs().max().item(),
    }


@claim(
    "Softmax sees differences alone: a constant added to all scores changes nothing, and "
    "neither do scores of a thousand",
    holds=lambda f: f["with 100 added"] < 1e-9 and f["with 1,000 added"] < 1e-9,
)
def differences(seed, budget):
    page = lesson("02_weighted_average")
    z = torch.randn(1000, 7).double()
    return {
        f"with {more:,} added": (page.softmax(z + more) - page.softmax(z))
        .abs()
        .max()
        .item()
        for more in (100, 1000)
    }
