"""What chapter 12 measures, to be run again under other seeds and budgets."""

import math

from tools.evidence import claim, lesson


@claim(
    "A learning rate thirty times below the best is too slow for the budget, and one "
    "ten times above it ends higher, too",
    seeds=3,
    budgets=(1, 2, 4),
    stronger="four times the steps, in which a low rate can catch up",
    holds=lambda f: f["0.0003"] > f["0.01"] + 0.2 and f["0.3"] > f["0.01"] + 0.2,
)
def a_rate_has_a_valley(seed, budget):
    page = lesson("12_training")
    return {
        str(rate): page.reached(page.short_run(rate, seed, 150 * budget))
        for rate in (3e-4, 1e-2, 3e-1)
    }


@claim(
    "At a rate of 0.1 the net ends higher without warm-up; at 0.01 it makes no "
    "difference",
    seeds=3,
    budgets=(1, 2, 4),
    stronger="four times the steps",
    holds=lambda f: (
        f["off at 0.1"] > f["on at 0.1"] + 0.1
        and abs(f["off at 0.01"] - f["on at 0.01"]) < 0.2
    ),
)
def warm_up_saves_a_high_rate(seed, budget):
    page, found = lesson("12_training"), {}
    for rate in (0.01, 0.1):
        for name, warm_up in ("on", 15), ("off", 0):
            history = page.short_run(rate, seed, 150 * budget, warm_up=warm_up)
            found[f"{name} at {rate}"] = page.reached(history)
    return found


@claim(
    "One gradient 512 times too long undoes a run of AdamW without clipping for 90 "
    "steps and more; clipped, it does no harm",
    seeds=5,
    holds=lambda f: (
        f["not clipped"] > f["before"] + 0.2 and f["clipped"] < f["before"] + 0.15
    ),
)
def one_bad_step(seed, budget):
    page = lesson("12_training")
    before, clipped = page.before_and_after(page.with_a_bad_step("AdamW", 1, seed))
    _, free = page.before_and_after(page.with_a_bad_step("AdamW", math.inf, seed))
    return {"before": before, "clipped": clipped, "not clipped": free}


@claim(
    "On 10,000 characters the validation loss turns and climbs; twenty times the text "
    "ends far lower, and dropout does not come near that",
    seeds=5,
    budgets=(1, 2),
    holds=lambda f: (
        f["end"] > f["lowest"] + 0.3
        and f["more text, end"] < f["lowest"] - 0.5
        and f["more text, end"] < f["dropout, end"] - 0.5
    ),
)
def learned_by_heart(seed, budget):
    page, steps = lesson("12_training"), 400 * budget
    few = page.small_text(10_000, seed=seed, n_steps=steps)
    dropped = page.small_text(10_000, dropout=0.5, seed=seed, n_steps=steps)
    many = page.small_text(200_000, seed=seed, n_steps=steps)
    return {
        "lowest": min(loss for _, loss in few["evaluations"]),
        "end": page.reached(few),
        "dropout, end": page.reached(dropped),
        "more text, end": page.reached(many),
    }
