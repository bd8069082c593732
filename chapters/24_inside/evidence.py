"""What chapter 24 measures, to be run again under other seeds and budgets."""

from dataclasses import replace

from tools.evidence import claim, lesson


@claim(
    "One layer of attention does not learn to copy with a random period",
    seeds=3,
    budgets=(1, 2, 4),
    stronger="eight heads, twice the width, and a net behind",
    holds=lambda f: f["one layer"] < 0.4 and f["one layer, wide, net"] < 0.5,
)
def one_layer(seed, budget):
    page, steps = lesson("24_inside"), {"n_steps": 600 * budget}
    wide = page.Copier(1, n_heads=8, d=64, net=True)
    return {
        "one layer": page.right(page.learn(page.Copier(1), **steps)),
        "one layer, wide, net": page.right(page.learn(wide, **steps)),
    }


@claim(
    "Two layers learn it, and so does one whose keys are mixed with the one before; in "
    "the two, the first layer looks at the place before, and the second behind the copy",
    seeds=3,
    holds=lambda f: (
        min(f["two layers"], f["one layer, smeared keys"]) > 0.9
        and f["layer 0, the place before"] > 0.25 > f["layer 1, the place before"]
        and f["layer 1, behind the copy"] > 0.6 > f["layer 0, behind the copy"]
    ),
)
def two_layers(seed, budget):
    page = lesson("24_inside")
    two = page.learn(page.Copier(2))
    smeared = page.learn(page.Copier(1, attention=page.SmearedAttention))
    maps = page.maps_of(two, page.repeats(100, (12, 12), 24)[0])
    before = page.previous_token_score(maps).mean(0).tolist()
    behind = page.induction_score(maps, 12).mean(0).tolist()
    return {
        "two layers": page.right(two),
        "one layer, smeared keys": page.right(smeared),
        "layer 0, the place before": max(before[:2]),
        "layer 1, the place before": max(before[2:]),
        "layer 0, behind the copy": max(behind[:2]),
        "layer 1, behind the copy": max(behind[2:]),
    }


@claim(
    "With one period for all texts one layer is enough, and at another period it is "
    "hardly ever right",
    seeds=3,
    holds=lambda f: f["period 10"] > 0.9 and max(f["period 8"], f["period 12"]) < 0.3,
)
def fixed_period(seed, budget):
    page = lesson("24_inside")
    model = page.learn(page.Copier(1), periods=(10, 10))
    return {f"period {p}": page.right(model, (p, p)) for p in (8, 10, 12)}


@claim(
    "In a GPT of chapter 13 after 500 steps, every head of the first layer adds less to "
    "the right logit than the strongest of the second, and all attention of the first "
    "layer is worth at least five times as many nats",
    seeds=3,
    holds=lambda f: (
        f["direct, first layer"] < f["direct, second layer"]
        and f["nats, first layer"] > 5 * f["nats, second layer"]
    ),
)
def heads(seed, budget):
    from_13, page = lesson("13_gpt"), lesson("24_inside")
    plan = replace(from_13.plan, n_steps=500)
    model = from_13.fit(lambda: from_13.small_gpt(from_13.config), seed, plan).eval()
    shares, whole = page.direct(model), page.loss_of(model)
    names, found = ("first layer", "second layer"), {}
    for n, name in enumerate(names):
        found[f"direct, {name}"] = max(shares[f"head {n}.{h}"] for h in range(4))
        change = {f"layers.{n}.attention": lambda x: 0 * x + x.mean((0, 1))}
        found[f"nats, {name}"] = page.loss_of(model, change) - whole
    return found


@claim(
    "A sparse dictionary of the GPT before its training explains as much and has units "
    "as readable as one of the trained GPT; only the token to come tells them apart",
    seeds=3,
    holds=lambda f: (
        abs(f["trained, unexplained"] - f["random, unexplained"]) < 0.1
        and abs(f["trained, token read"] - f["random, token read"]) < 0.15
        and f["trained, token to come"] > f["random, token to come"] + 0.03
        and f["shuffled, token read"] < 0.3
    ),
)
def dictionaries(seed, budget):
    page, found = lesson("24_inside"), {}
    for name, (left, token, following) in page.controls().items():
        found |= {f"{name}, unexplained": left, f"{name}, token read": token}
        found |= {f"{name}, token to come": following}
    return found
