"""What the chapter on positions claims, measured again."""

from tools.evidence import claim, lesson


def near_and_far(curve):
    """Accuracy inside the trained length and at positions 40 to 63."""
    return curve[3:24].mean().item(), curve[40:].mean().item()


@claim(
    "With two heads, rotary alone names the token three back beyond the trained "
    "length; sinusoidal and learned positions solve the trained length and break",
    budgets=(1, 2, 4),
    holds=lambda f: (
        f["rotary, inside"] > 0.9
        and f["sinusoidal, inside"] > 0.9
        and f["learned, inside"] > 0.9
        and f["rotary, beyond"] > 0.8
        and f["sinusoidal, beyond"] < 0.4
        and f["learned, beyond"] < 0.2
    ),
)
def two_heads(seed, budget):
    page, figures = lesson("08_positions"), {}
    for way in ("rotary", "sinusoidal", "learned"):
        curve = page.accuracy_by_position(way, 2, 500 * budget, seed)
        figures[f"{way}, inside"], figures[f"{way}, beyond"] = near_and_far(curve)
    return figures


@claim(
    "ALiBi does better with eight heads than with two, inside the trained length and "
    "beyond it, and keeps beyond it most of what it has inside",
    budgets=(1, 2, 4),
    stronger="four times the steps for the two heads as well",
    holds=lambda f: (
        f["8 heads, inside"] > f["2 heads, inside"] + 0.1
        and f["8 heads, beyond"] > f["2 heads, beyond"] + 0.1
        and f["8 heads, beyond"] > 0.75 * f["8 heads, inside"]
    ),
)
def alibi_heads(seed, budget):
    page, figures = lesson("08_positions"), {}
    for heads in (2, 8):
        curve = page.accuracy_by_position("ALiBi", heads, 500 * budget, seed)
        near, far = near_and_far(curve)
        figures |= {f"{heads} heads, inside": near, f"{heads} heads, beyond": far}
    return figures


@claim(
    "Rotary with eight heads of 8 numbers solves the trained length and loses much of "
    "it beyond",
    budgets=(1, 2, 4),
    holds=lambda f: f["inside"] > 0.9 and f["beyond"] < 0.7,
)
def rotary_eight_heads(seed, budget):
    page = lesson("08_positions")
    curve = page.accuracy_by_position("rotary", 8, 500 * budget, seed)
    near, far = near_and_far(curve)
    return {"inside": near, "beyond": far}


@claim(
    "On text ALiBi's loss stays level beyond the trained length, and rotary's climbs; "
    "a larger base carries rotary further, and divided positions blunt it",
    budgets=(1, 2, 4),
    holds=lambda f: (
        f["ALiBi, 64-127"] < f["ALiBi, 8-31"] + 0.2
        and f["rotary, 64-127"] > f["rotary, 8-31"] + 0.7
        and f["base 200,000, 32-63"] < f["rotary, 32-63"] - 0.3
        and f["base 200,000, 8-31"] < f["positions / 2, 8-31"]
    ),
)
def on_text(seed, budget):
    page, figures = lesson("08_positions"), {}
    places = "8-31", "32-63", "64-127"
    models = {
        way: page.text_model(way, 400 * budget, seed) for way in ("rotary", "ALiBi")
    }
    models["base 200,000"] = page.reread(models["rotary"], base=200_000.0)
    models["positions / 2"] = page.reread(models["rotary"], factor=0.5)
    for name, model in models.items():
        losses = page.parts(page.loss_by_position(model))
        figures |= {f"{name}, {p}": loss for p, loss in zip(places, losses)}
    return figures
