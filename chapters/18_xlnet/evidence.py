"""What chapter 18 claims, measured: `python -m tools.evidence 18_xlnet`."""

import math

import torch

from tools.evidence import claim, lesson


@claim(
    "The query stream depends on the turns before its own and on nothing else; the "
    "content stream knows its own token",
    holds=lambda f: f["query stream: leaks"] == 0 and f["content stream: leaks"] == 3,
)
def streams(seed, budget):
    page = lesson("18_xlnet")
    config = page.XLNetConfig(11, d_model=12, n_heads=3, n_layers=2, d_ff=20)
    page.model = page.XLNet(config).double()
    rank, x = page.random_ranks(1, 4)[0], torch.randn(4, 12).double()
    return {
        f"{stream} stream: leaks": len(
            page.leak_test(lambda x: page.in_turn(stream, rank)(x)[1:], x)  # noqa: B023
        )
        for stream in ("query", "content")
    }


@claim(
    "One batch with the masks of all 24 orders gives the mean log-probability that 96 "
    "texts with erased tokens give",
    holds=lambda f: f["differ by"] < 1e-6,
)
def all_orders(seed, budget):
    page = lesson("18_xlnet")
    config = page.XLNetConfig(11, d_model=12, n_heads=3, n_layers=2, d_ff=20)
    model, ids = page.XLNet(config).double(), torch.randint(11, (4,))
    orders = torch.cartesian_prod(*[torch.arange(4)] * 4)
    orders = orders[(orders.sort(-1).values == torch.arange(4)).all(-1)]  # (24, 4)
    with torch.no_grad():
        each = model(ids.expand(24, 4), orders.argsort(-1)).log_softmax(-1)
        each = each.gather(-1, ids.expand(24, 4)[..., None]).sum((1, 2)).mean()
        return {"differ by": (each - page.by_definition(model, ids)).abs().item()}


@torch.no_grad()
def answers(page, model, ids, ranks):
    """Where a model names the letters that stand there, bool (batch, TIME)."""
    return page.letter_logits(model, ids, ranks).argmax(-1) == ids[:, 1:-1]


@claim(
    "Trained on random orders, a model answers in both directions; trained from left to "
    "right, it is perfect in its own direction and poor in the other",
    budgets=(1, 2, 4),
    stronger="more steps",
    holds=lambda f: (
        min(f.get("random, second half", 1), f.get("random, first half", 1)) > 0.95
        and f["left to right, second half"] > 0.95
        and f["left to right, first half"] < 0.5
    ),
)
def directions(seed, budget):
    page, found = lesson("18_xlnet"), {}
    ids = page.palindromes(2000, torch.Generator().manual_seed(99))
    forwards = page.left_to_right(2000, page.TIME)
    kinds = {"left to right": page.left_to_right}
    if budget == 1:
        kinds["random"] = page.random_ranks
    for name, draw in kinds.items():
        model, _ = page.fit(draw, name, n_steps=700 * budget)
        right = answers(page, model, ids, forwards)[:, page.HALF :]
        found[f"{name}, second half"] = right.double().mean().item()
        right = answers(page, model, ids, forwards.flip(1))[:, : page.HALF]
        found[f"{name}, first half"] = right.double().mean().item()
    return found


@claim(
    "Asked for two mirrored letters at once, a model cannot do better than 2 ln 16 for "
    "the pair; asked in order, ln 16 is enough",
    holds=lambda f: (
        abs(f["at once"] - 2 * math.log(16)) < 0.6
        and abs(f["in order"] - math.log(16)) < 0.6
    ),
)
def pairs(seed, budget):
    page, found = lesson("18_xlnet"), {}
    model, _ = page.fit(page.random_ranks, "")
    ids = page.palindromes(2000, torch.Generator().manual_seed(99))
    first = torch.randint(page.HALF, (2000, 1))
    pair = torch.cat([first, page.TIME - 1 - first], 1)
    others = page.random_ranks(2000, page.TIME)
    letters, rows = ids[:, 1:-1].gather(1, pair), torch.arange(2000)[:, None]
    for name, last in (("at once", 0), ("in order", 1)):
        turn = torch.tensor([page.TIME, page.TIME + last]).expand(2000, 2)
        with torch.no_grad():
            logits = page.letter_logits(model, ids, others.scatter(1, pair, turn))
        found[name] = 2 * page.cross_entropy(logits[rows, pair], letters).item()
    return found
