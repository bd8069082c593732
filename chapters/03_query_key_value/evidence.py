"""What chapter 3 claims, measured: `python -m tools.evidence 03_query_key_value`."""

from unittest import mock

import torch

from tools.evidence import claim, lesson


@claim(
    "In XXᵀ a token of 64 numbers or more keeps nearly all of its weight; one matrix for "
    "both sides does not help, two bring it to a tenth",
    holds=lambda f: (
        f["XXᵀ, d = 64"] > 0.97
        and f["one matrix, d = 64"] > 0.95
        and all(0.08 < f[f"two matrices, d = {d}"] < 0.13 for d in (16, 64, 256))
    ),
)
def keeps_itself(seed, budget):
    page = lesson("03_query_key_value")
    found = {}
    for d in (16, 64, 256):
        tokens, w = torch.randn(100, 10, d), torch.randn(2, 100, d, d) / d**0.5
        q, k = tokens @ w[0], tokens @ w[1]
        found[f"XXᵀ, d = {d}"] = page.self_weight(tokens @ tokens.mT / d**0.5)
        found[f"one matrix, d = {d}"] = page.self_weight(q @ q.mT / d**0.5)
        found[f"two matrices, d = {d}"] = page.self_weight(q @ k.mT / d**0.5)
    return found


@claim(
    "In XXᵀ the longest token scores highest with itself",
    holds=lambda f: f["share of 1,000 sentences"] == 1,
)
def longest(seed, budget):
    x = torch.randn(1000, 10, 4)
    who = x.norm(dim=-1).argmax(-1)
    best = (x @ x.mT)[torch.arange(1000), who].argmax(-1)
    return {"share of 1,000 sentences": (best == who).double().mean().item()}


@claim(
    "One matrix for queries and keys cannot find what each token wants; two can",
    budgets=(1, 2, 4),
    stronger="a tenth and three times the learning rate",
    holds=lambda f: (
        max(v for k, v in f.items() if k.startswith("one")) < 0.8
        and f["two matrices"] > 0.99
    ),
)
def two_matrices(seed, budget):
    page, adam = lesson("03_query_key_value"), torch.optim.Adam
    found = {"two matrices": page.trained_head("two matrices", 400 * budget)[1]}
    for times, name in (
        (1, "one matrix"),
        (0.1, "one, rate / 10"),
        (3, "one, rate · 3"),
    ):
        with mock.patch("torch.optim.Adam", lambda p, lr, n=times: adam(p, lr=n * lr)):
            found[name] = page.trained_head("one matrix", 400 * budget)[1]
    return found


@claim(
    "A bias of the key layer changes no weight; one of the query layer does",
    holds=lambda f: f["key"] < 1e-6 and f["query"] > 0.01,
)
def biases(seed, budget):
    page = lesson("03_query_key_value")
    q, k, v, b = torch.randn(4, 50, 8, 2).double()
    weights = page.attend(q, k, v)[1]
    b = b[:, :1]
    return {
        "key": (page.attend(q, k + b, v)[1] - weights).abs().max().item(),
        "query": (page.attend(q + b, k, v)[1] - weights).abs().max().item(),
    }
