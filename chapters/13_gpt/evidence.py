"""What chapter 13 measures, to be run again under other seeds and budgets."""

from dataclasses import replace

from tools.evidence import claim, lesson


@claim(
    "In the steps of the page the GPT ends at least 0.05 nats a character below nets "
    "without attention; with twice the steps it learns the text by heart and ends where "
    "they do; the gap is always wider late in the window",
    seeds=3,
    budgets=(1, 2),
    stronger="nets that see two tokens more or less, eight, or are twice as wide",
    holds=lambda f: (
        f["gap, places 32 to 63"] > f["gap, places 0 to 7"]
        and (f["budget"] == 1)
        == (f["GPT"] < min(f[name] for name in f if "Tiny" in name) - 0.05)
    ),
)
def attention_pays(seed, budget):
    page = lesson("13_gpt")
    plan = replace(page.plan, n_steps=page.plan.n_steps * budget)
    makers = {
        "GPT": lambda: page.small_gpt(page.config),
        "Tiny": lambda: page.Tiny(page.V, reach=4),
        "Tiny, 2 tokens": lambda: page.Tiny(page.V, reach=2),
        "Tiny, 6 tokens": lambda: page.Tiny(page.V, reach=6),
        "Tiny, 8 tokens": lambda: page.Tiny(page.V, reach=8),
        "wide Tiny": lambda: page.Tiny(page.V, d_model=128, reach=4),
    }
    found = {
        name: page.losses(page.fit(make, seed, plan), page.whole) / page.per_token
        for name, make in makers.items()
    }
    gap = found["Tiny"] - found["GPT"]  # (windows, time)
    return {
        **{name: losses.mean().item() for name, losses in found.items()},
        "gap, places 0 to 7": gap[:, :8].mean().item(),
        "gap, places 32 to 63": gap[:, 32:].mean().item(),
    }


@claim(
    "At width 96 a GPT with a larger start, and sines in its position table, learns "
    "sooner than from GPT-2's start",
    seeds=3,
    budgets=(0.3, 0.6, 1),
    holds=lambda f: f["larger"] < f["GPT-2's"] - 0.03,
)
def a_larger_start(seed, budget):
    page = lesson("13_gpt")
    plan = replace(page.plan, n_steps=round(page.plan.n_steps * budget))
    makers = {
        "larger": lambda: page.small_gpt(page.config),
        "GPT-2's": lambda: page.GPT(page.config),
    }
    return {
        name: page.losses(page.fit(make, seed, plan), page.whole).mean().item()
        / page.per_token
        for name, make in makers.items()
    }


@claim(
    "A GPT adds three-digit numbers to 99 % sooner when the answer is written in "
    "reverse, though the usual order starts earlier",
    seeds=5,
    holds=lambda f: (
        f["reversed"] < f["as usual"]
        and f["first digit, as usual"] > f["first digit, reversed"] + 0.2
    ),
)
def addition_backwards(seed, budget):
    page, found = lesson("13_gpt"), {}
    for name in ("reversed", "as usual"):
        curve, by_digit = page.learn_to_add(name == "reversed", seed)
        found[name] = min(page.steps_to_99(curve), 525)  # 525: not in 500 steps
        found[f"first digit, {name}"] = by_digit[3][0]  # at step 100
    return found
