"""What the chapter on several heads claims, measured again."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from dot2gpt.masking import causal_mask
from dot2gpt.multi_head import MultiHeadAttention
from tools.evidence import claim, lesson


@claim(
    "One head leaves half of the error when it has to report two random vectors, "
    "whatever reads it",
    budgets=(1, 2, 4),
    stronger="a net as the reader, twice the width, a third of the learning rate",
    holds=lambda f: all(0.45 < v < 0.6 for k, v in f.items() if "head" in k),
)
def one_head(seed, budget):
    page, steps = lesson("06_multi_head"), 300 * budget
    runs = {
        "one head": page.train(32, 1, steps=steps, seed=seed),
        "one head + net": page.train(32, 1, "net", steps, seed),
        "one head + net, d_model 64": page.train(64, 1, "net", steps, seed),
        "one head + net, slower": page.train(32, 1, "net", steps, seed, rate=3e-3),
    }
    return {name: sum(errors) / 2 for name, (_, errors, _) in runs.items()}


@claim(
    "Two heads report both vectors, each head one of them: without it only its own "
    "vector is lost",
    seeds=5,
    holds=lambda f: (
        f["two heads"] < 0.01
        and f["least weight on the own place"] > 0.8
        and f["own vector without the head"] > 0.8
        and f["other vector without the head"] < 0.2
    ),
)
def two_heads(seed, budget):
    page = lesson("06_multi_head")
    model, errors, _ = page.train(32, 2, steps=300 * budget, seed=seed)
    vectors, _ = page.batch_of(500, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        weights = model.attend(vectors)[1].mean(0)  # (n_heads, time, time)
    stripes = torch.stack([weights.diagonal(-b, 1, 2).mean(-1) for b in (1, 3)])
    own = stripes.argmax(0).tolist()  # for each head: 0 looks one back, 1 three back
    lost = [page.errors(page.without(model, head)) for head in (0, 1)]
    return {
        "two heads": sum(errors) / 2,
        "least weight on the own place": stripes.max(1).values.min().item(),
        "own vector without the head": min(lost[h][own[h]] for h in (0, 1)),
        "other vector without the head": max(lost[h][1 - own[h]] for h in (0, 1)),
    }


@claim(
    "A second layer of one head brings back both vectors too",
    holds=lambda f: f["two layers of one head"] < 0.05,
)
def two_layers(seed, budget):
    page = lesson("06_multi_head")

    class TwoLayers(page.TwoPlaces):
        """One more layer of one head, and the sum that keeps what the first found."""

        def __init__(self, d_model, n_heads, reader="linear"):
            super().__init__(d_model, n_heads, reader)
            self.second = MultiHeadAttention(d_model, n_heads)

        def attend(self, vectors):
            x, mask = self.enter(vectors) + self.position, causal_mask(16)
            x = x + self.attention(x, mask=mask)[0]
            output, weights = self.second(x, mask=mask)
            return x + output, weights

    page.TwoPlaces = TwoLayers
    _, errors, _ = page.train(64, 1, steps=1500 * budget, seed=seed, rate=3e-3)
    return {"two layers of one head": sum(errors) / 2}


@claim(
    "One average of vectors of 16 numbers is 16 numbers, in a wider model too; two "
    "averages are 32",
    holds=lambda f: (f["one head"], f["wider"], f["two heads"]) == (16, 16, 32),
)
def numbers_that_arrive(seed, budget):
    page = lesson("06_multi_head")
    vectors, _ = page.batch_of(500, torch.Generator().manual_seed(seed))
    ranks = {}
    sizes = {"one head": (32, 1), "wider": (64, 1), "two heads": (32, 2)}
    for name, (d_model, n_heads) in sizes.items():
        torch.manual_seed(seed)
        with torch.no_grad():
            model = page.TwoPlaces(d_model, n_heads).double()
            output = model.attend(vectors.double())[0].flatten(0, 1)
        ranks[name] = torch.linalg.matrix_rank(output - output.mean(0), rtol=1e-9)
    return {name: float(rank) for name, rank in ranks.items()}


@claim(
    "Eight heads have the parameters and the multiplications of one, and eight times "
    "its attention weights",
    seeds=1,
    holds=lambda f: (
        f["parameters"] == f["multiplications"] == 1 and f["weights kept"] == 8
    ),
)
def cost(seed, budget):
    counts = []
    for n_heads in (1, 8):
        module = MultiHeadAttention(64, n_heads)
        with FlopCounterMode(display=False) as counter:
            kept = module(torch.zeros(1, 16, 64))[1].numel()
        size = sum(p.numel() for p in module.parameters())
        counts.append((size, counter.get_total_flops(), kept))
    names = "parameters", "multiplications", "weights kept"
    return {name: eight / one for name, one, eight in zip(names, *counts)}
