"""What the chapter on the block claims, measured again."""

import math

import torch

from dot2gpt.multi_head import MultiHeadAttention
from tools.evidence import claim, lesson


@claim(
    "Attention alone makes tokens alike doubly exponentially: each layer multiplies "
    "the exponent of 1 − cosine by more than 2.5",
    seeds=5,
    holds=lambda f: (
        f["exponent after 2 layers"] < 2.5 * f["exponent after 1 layer"]
        and f["exponent after 3 layers"] < 2.5 * f["exponent after 2 layers"]
    ),
)
def collapse(seed, budget):
    page = lesson("07_block")
    torch.manual_seed(seed)
    x, figures = torch.randn(1, 6, 64).double(), {}
    with torch.no_grad():
        for name in ("1 layer", "2 layers", "3 layers"):
            x, _ = MultiHeadAttention(64, n_heads=4, bias=False).double()(x)
            figures[f"exponent after {name}"] = math.log10(page.unlikeness(x))
    return figures


@claim(
    "Four blocks reverse eight digits with the sum, in either order of the norm, and "
    "do not without it",
    budgets=(1, 2, 4),
    stronger="a third of the rate, and a warm-up",
    holds=lambda f: (
        min(f["post-norm"], f["pre-norm"]) > 0.95
        and max(v for k, v in f.items() if "no sum" in k) < 0.5
    ),
)
def the_sum(seed, budget):
    page, steps = lesson("07_block"), 200 * budget
    runs = {order: page.train(4, order, steps, seed)
            for order in ("post-norm", "pre-norm", "no sum")}  # fmt: skip
    runs["no sum, slower"] = page.train(4, "no sum", steps, seed, rate=1e-3)
    runs["no sum, warm-up"] = page.train(4, "no sum", steps, seed, warm_up=100)
    return {name: right for name, (_, right) in runs.items()}


@claim(
    "Before training, the gradients of the last blocks of 24 are more than twice "
    "as large in post-norm as in pre-norm",
    seeds=5,
    holds=lambda f: f["post-norm"] > 2 * f["pre-norm"],
)
def gradients(seed, budget):
    page, last = lesson("07_block"), {}
    for order in ("post-norm", "pre-norm"):
        last[order] = sum(page.gradients(order, seed=seed)[-6:]) / 6
    return last


@claim(
    "Six blocks at a rate of 0.01: pre-norm learns in 300 steps, post-norm does with a "
    "warm-up of 100 of them",
    seeds=5,
    holds=lambda f: f["pre-norm"] > 0.9 and f["post-norm, warm-up"] > 0.5,
)
def rescued(seed, budget):
    page, steps = lesson("07_block"), 300 * budget
    return {
        "pre-norm": page.train(6, "pre-norm", steps, seed, rate=0.01)[1],
        "post-norm, warm-up": page.train(
            6, "post-norm", steps, seed, rate=0.01, warm_up=100
        )[1],
    }


@claim(
    "Six blocks at a rate of 0.01: post-norm without a warm-up does not start to learn",
    budgets=(1, 2, 4),
    holds=lambda f: f["post-norm"] < 0.5,
)
def not_rescued(seed, budget):
    page = lesson("07_block")
    return {"post-norm": page.train(6, "post-norm", 300 * budget, seed, rate=0.01)[1]}
