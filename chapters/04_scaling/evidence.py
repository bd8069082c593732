"""What chapter 4 claims, measured: `python -m tools.evidence 04_scaling`."""

import math
from unittest import mock

import torch

from tools.evidence import claim, lesson


@claim(
    "The variance of q·k is d_k; divided by √d_k the spread is 1 at every size",
    holds=lambda f: all(
        0.95 < f[f"variance / d_k, d_k = {d}"] < 1.05
        and 0.97 < f[f"std of q·k/√d_k, d_k = {d}"] < 1.03
        for d in (4, 64, 1024)
    ),
)
def variance(seed, budget):
    found = {}
    for d in (4, 64, 1024):
        dots = (torch.randn(20_000, d) * torch.randn(20_000, d)).sum(-1)
        found[f"variance / d_k, d_k = {d}"] = dots.var().item() / d
        found[f"std of q·k/√d_k, d_k = {d}"] = (dots / math.sqrt(d)).std().item()
    return found


@claim(
    "Without the scale most queries get hardly any gradient and a few get a lot; with it "
    "neither depends on d_k",
    holds=lambda f: (
        f["no scale, median, d_k = 1024"] < 0.002
        and f["no scale, 99 %, d_k = 1024"] > 15
        and f["no scale, mean, d_k = 1024"] > 1
        and all(0.22 < f[f"scaled, median, d_k = {d}"] < 0.32 for d in (16, 256, 1024))
    ),
)
def gradients(seed, budget):
    page, found = lesson("04_scaling"), {}
    for d in (16, 256, 1024):
        for name, divisor in (("no scale", 1), ("scaled", math.sqrt(d))):
            lengths = page.query_gradients(d, divisor)
            found[f"{name}, median, d_k = {d}"] = lengths.median().item()
            found[f"{name}, 99 %, d_k = {d}"] = lengths.quantile(0.99).item()
            found[f"{name}, mean, d_k = {d}"] = lengths.mean().item()
    return found


@claim(
    "Divided by √512 in place of √64, sixteen keys share almost evenly: the entropy is "
    "2.7 of 2.77; undivided it is 0.4",
    holds=lambda f: (
        0.35 < f["no scale"] < 0.48
        and 2.3 < f["√64"] < 2.42
        and 2.69 < f["√512"] < 2.75
    ),
)
def entropies(seed, budget):
    page = lesson("04_scaling")
    q, k = torch.randn(2000, 1, 64), torch.randn(2000, 16, 64)
    return {
        name: page.entropy(page.softmax(q @ k.mT / divisor)).mean().item()
        for name, divisor in (("no scale", 1), ("√64", 8), ("√512", math.sqrt(512)))
    }


@claim(
    "In XXᵀ a score with itself has mean d and variance 2d, and the scale does not mend "
    "it: a token of 512 numbers keeps all its weight",
    holds=lambda f: (
        0.98 < f["mean / d"] < 1.02
        and 1.85 < f["variance / d"] < 2.15
        and f["weight on itself"] > 0.999
    ),
)
def diagonal(seed, budget):
    x = torch.randn(1000, 10, 512)
    dots = x @ x.mT
    own = dots.diagonal(dim1=1, dim2=2)
    weights = (dots / math.sqrt(512)).softmax(-1).diagonal(dim1=1, dim2=2)
    return {
        "mean / d": own.mean().item() / 512,
        "variance / d": own.var().item() / 512,
        "weight on itself": weights.mean().item(),
    }


def loss_of(page, d_k, scaled, budget, rate=1, **how):
    adam = torch.optim.Adam
    with mock.patch("torch.optim.Adam", lambda p, lr: adam(p, lr=rate * lr)):
        losses = page.learn(d_k, scaled, steps=400 * budget, **how)[0]
    return sum(losses[-20:]) / 20


@claim(
    "At d_k = 256 the phone book is learned with the scale and not without it; with "
    "smudged names it is learned without the scale too",
    budgets=(1, 2, 4),
    stronger="three times and a third of the learning rate",
    holds=lambda f: (
        f["scaled"] < 0.05
        and min(f["no scale"], f["no scale, rate · 3"], f["no scale, rate / 3"]) > 1
        and f["no scale, smudged"] < 0.2
    ),
)
def phone_book(seed, budget):
    page = lesson("04_scaling")
    return {
        "scaled": loss_of(page, 256, True, budget),
        "no scale": loss_of(page, 256, False, budget),
        "no scale, rate · 3": loss_of(page, 256, False, budget, rate=3),
        "no scale, rate / 3": loss_of(page, 256, False, budget, rate=1 / 3),
        "no scale, smudged": loss_of(page, 256, False, budget, noise=0.6),
    }


@claim(
    "At d_k = 8 the scale is not needed",
    holds=lambda f: f["scaled"] < 0.05 and f["no scale"] < 0.4,
)
def short_heads(seed, budget):
    page = lesson("04_scaling")
    return {n: loss_of(page, 8, n == "scaled", 1) for n in ("scaled", "no scale")}
