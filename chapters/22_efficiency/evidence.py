"""What chapter 22 measures, to be run again under other seeds and budgets."""

from dataclasses import replace
from functools import cache

from tools.evidence import claim, lesson


@cache
def trained(seed, budget):
    """A GPT of chapter 13 after 500 · budget steps, and the lesson of chapter 22."""
    page = lesson("13_gpt")
    plan = replace(page.plan, n_steps=500 * budget)
    model = page.fit(lambda: page.small_gpt(page.config), seed, plan)
    return model.eval(), lesson("22_efficiency")


@claim(
    "With a cache cut to 16 tokens, the GPT of chapter 13 gains nothing by keeping the "
    "first one, two or four in place of recent ones",
    seeds=3,
    budgets=(1, 2, 4),
    stronger="one, two and four first tokens",
    holds=lambda f: (
        f["whole"] < f["last ones"]
        and f["last ones"] < min(f["1 first"], f["2 first"], f["4 first"])
    ),
)
def no_sinks(seed, budget):
    model, page = trained(seed, budget)
    found = {"whole": page.loss_at(model)[16:].mean().item()}
    for sinks, name in enumerate(("last ones", "1 first", "2 first", None, "4 first")):
        if name:
            mask = page.window_mask(page.TIME, 16 - sinks, sinks)
            found[name] = page.loss_at(model, mask)[16:].mean().item()
    return found


@claim(
    "int8 costs the GPT of chapter 13, after 500 steps, less than 0.01 nats a token; int4 "
    "costs more with a scale for a matrix than for a row, and more for a row than for 32 "
    "neighbours",
    seeds=3,
    holds=lambda f: (
        abs(f["int8, a scale a row"]) < 0.01
        and f["int4, a scale a matrix"] > f["int4, a scale a row"]
        and f["int4, a scale a row"] > f["int4, groups of 32"]
    ),
)
def whole_numbers(seed, budget):
    model, page = trained(seed, budget)
    base, found = page.loss_at(model).mean().item(), {}
    for name, how in page.ROUNDINGS.items():
        rounded, _ = page.rounded(model, *how)
        found[name] = page.loss_at(rounded).mean().item() - base
    return found


@claim(
    "Of four drafts a pass, the stored GPT keeps enough for 1.3 tokens a pass and more "
    "from a table of pairs, more from itself after 500 steps, and most from its own int4",
    seeds=3,
    holds=lambda f: (
        1.3
        < f["a table of pairs"]
        < f["the GPT of step 500"]
        < f["the GPT in int4"] - 0.5
    ),
)
def drafts(seed, budget):
    page = lesson("22_efficiency")
    return {
        name: page.tokens_a_pass(draft, seed=seed)
        for name, draft in page.DRAFTS.items()
    }


@claim(
    "Without a balance loss one of four experts takes more than half of the tokens, with "
    "noise on the scores too; with it none does, and from twice the steps on the error "
    "is lower",
    seeds=3,
    budgets=(1, 2, 4),
    stronger="noise of three times the size",
    holds=lambda f: (
        min(f["nothing, most"], f["noise, most"], f["noise of 3, most"]) > 0.5
        and f["balance loss, most"] < 0.5
        and (f["budget"] == 1 or f["balance loss, error"] < f["nothing, error"])
    ),
)
def load(seed, budget):
    page, found = lesson("22_efficiency"), {}
    routers = {**page.ROUTERS, "noise of 3": (0.0, 3.0)}
    for name, (balance, noise) in routers.items():
        loads, error = page.learn(balance, noise, seed, page.N_STEPS * budget)
        found |= {f"{name}, most": loads[0], f"{name}, error": error}
    return found
