"""What ALBERT's lesson claims, measured."""

from tools.evidence import claim, lesson


@claim(
    "Three hops: a second use of the same layer lifts the accuracy close to 1",
    seeds=3,
    holds=lambda f: f["used once"] < 0.8 and f["used twice"] > 0.9,
)
def second_use(seed, budget):
    page = lesson("20_albert")
    uses = {"used once": 1, "used twice": 2}
    return {name: page.follow(3, n, True, 300)[2] for name, n in uses.items()}


@claim(
    "Four hops: one layer used twice learns what two layers learn, later",
    seeds=3,
    budgets=(1, 2, 4),
    stronger="four times the steps: it was late, and no more",
    holds=lambda f: (
        f["two layers, 300 steps"] > 0.9
        and (
            f["budget"] > 1 or f["one layer, twice"] < f["two layers, 300 steps"] - 0.05
        )
        and (f["budget"] < 4 or f["one layer, twice"] > 0.9)
    ),
)
def four_hops(seed, budget):
    page = lesson("20_albert")
    return {
        "two layers, 300 steps": page.follow(4, 2, False, 300)[2],
        "one layer, twice": page.follow(4, 2, True, 300 * budget)[2],
    }


@claim(
    "Four hops: in the steps that two layers take, one layer used once stays at the "
    "level of 'I am back'; it gets there with four times as many",
    seeds=3,
    budgets=(1, 2, 4),
    stronger="four times the steps: it was late, and no more",
    holds=lambda f: (
        (f["budget"] > 1 or f["one layer, once"] < 0.65)
        and (f["budget"] < 4 or f["one layer, once"] > 0.9)
    ),
)
def one_use(seed, budget):
    page = lesson("20_albert")
    return {"one layer, once": page.follow(4, 1, True, 300 * budget)[2]}


@claim(
    "One matrix used twice never learns to swap two numbers, on three numbers it does",
    seeds=3,
    budgets=(1, 2, 4),
    stronger="a third number to work in: the page shows that it helps",
    holds=lambda f: (
        f["one matrix, twice"] > 0.999
        and max(f["two matrices"], f["one, twice, with room"]) < 0.01
    ),
)
def swap(seed, budget):
    page = lesson("20_albert")
    last = {
        name: page.swap_losses(*how, 600 * budget, range(5))[-1]
        for name, how in page.SWAPS.items()
    }
    return {
        name: (x.min() if name == "one matrix, twice" else x.max()).item()
        for name, x in last.items()
    }


@claim(
    "Sharing saves weights and not one operation",
    holds=lambda f: f["weights"] > 11.9 and f["operations"] == 1,
)
def smaller_not_faster(seed, budget):
    page = lesson("20_albert")
    own = [page.BERTLayer(128, 4, 512, 1e-12) for _ in range(12)]
    weights, operations = [], []
    for layers in own, own[:1] * 12:
        stack = page.nn.Sequential(*layers)
        with page.torch.no_grad(), page.FlopCounterMode(display=False) as counter:
            stack(page.torch.randn(2, 64, 128))
        weights.append(page.count(stack))
        operations.append(counter.get_total_flops())
    return {
        "weights": weights[0] / weights[1],
        "operations": operations[0] / operations[1],
    }
