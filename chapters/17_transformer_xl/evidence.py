"""What chapter 17 claims, measured: `python -m tools.evidence 17_transformer_xl`."""

import torch
from torch import nn

from tools.evidence import claim, lesson


@claim(
    "A memory that holds everything makes no difference to reading the text at once, "
    "however it is cut",
    holds=lambda f: max(f.values()) < 1e-10,
)
def whole_text(seed, budget):
    page = lesson("17_transformer_xl")
    config = page.TransformerXLConfig(11, 64, 12, 3, 3, 17)
    model, ids = page.TransformerXL(config).double(), torch.randint(11, (2, 24))
    for layer in model.layers:
        nn.init.normal_(layer.attention.u)
        nn.init.normal_(layer.attention.v)
    with torch.no_grad():
        whole = model(ids)[0]
        return {
            f"segments of {n}": (page.InSegments(model, n)(ids) - whole)
            .abs()
            .max()
            .item()
            for n in (8, 5, 1)
        }


@claim(
    "What an output depends on reaches back layers · memory + its place, and no farther",
    holds=lambda f: all(
        f[f"{n} layers, memory {m}"] == n * m + 3
        for n, m in ((1, 4), (2, 4), (3, 4), (2, 8))
    ),
)
def reach(seed, budget):
    page, found = lesson("17_transformer_xl"), {}
    for n_layers, memory in ((1, 4), (2, 4), (3, 4), (2, 8)):
        seen = page.dependence(page.LetsThrough, n_layers, memory)[-1]
        found[f"{n_layers} layers, memory {memory}"] = 23 - seen.nonzero()[0].item()
    return found


@claim(
    "With positions that begin again in each segment, a model can only guess among the "
    "tokens that share a place: 0.43 right, as worked out; with distances it is right",
    holds=lambda f: abs(f["absolute"] - 0.429) < 0.03 and f["relative"] > 0.99,
)
def ten_back(seed, budget):
    page = lesson("17_transformer_xl")
    return {
        name: page.by_place(name == "relative").mean().item()
        for name in ("absolute", "relative")
    }


@claim(
    "In segments of 16, a model without memory guesses, one with a memory of 32 does "
    "better, but no better with four times the steps, and with the gradient let through "
    "the memory it is right",
    budgets=(1, 2, 4),
    stronger="more steps",
    holds=lambda f: (
        f["no memory"] < 0.11
        and f["no memory"] + 0.05 < f["memory of 32"] < 0.5
        and f["gradient let through"] > 0.9
    ),
)
def verses(seed, budget):
    page = lesson("17_transformer_xl")
    config = page.TrainConfig

    def longer(n_steps, warm_up, **options):
        return config(n_steps * budget, warm_up=warm_up * budget, **options)

    page.TrainConfig = longer
    kinds = {
        "no memory": (0, page.TransformerXL),
        "memory of 32": (32, page.TransformerXL),
        "gradient let through": (32, page.LetsThrough),
    }
    return {
        name: page.accuracy(page.learn(16, memory, kind), 32).mean().item()
        for name, (memory, kind) in kinds.items()
    }
