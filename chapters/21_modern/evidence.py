"""What chapter 21 measures, to be run again under other seeds and budgets."""

from tools.evidence import claim, lesson


def ends(page, seed, budget, machines):
    """The last loss on unseen text of {name: (parts, muon)}, nats a character."""
    n_steps, found = page.N_STEPS * budget, {}
    for name, (parts, muon) in machines.items():
        found[name] = page.fit(parts, seed, n_steps, muon)[1][n_steps]
    return found


@claim(
    "In the same steps rotary positions alone bring a GPT of 2019 at least 0.05 nats a "
    "character lower, and with all seven parts Muon ends lower than AdamW",
    seeds=3,
    budgets=(1, 4),
    stronger="the larger start and the sines of chapter 13 for the GPT of 2019",
    holds=lambda f: (
        f["rotary"] < f["2019"] - 0.05 and f["all seven, Muon"] < f["all seven"]
    ),
)
def rotary_and_muon(seed, budget):
    page = lesson("21_modern")
    machines = {n: m for n, m in page.MACHINES.items() if n != "all but untied"}
    return ends(page, seed, budget, machines)


@claim(
    "At width 64, an output table of its own ends higher than the token table used twice",
    seeds=3,
    budgets=(1, 2, 4),
    stronger="an output table that starts as large as the token table does",
    holds=lambda f: f["all seven"] > f["all but untied"],
)
def own_table(seed, budget):
    page = lesson("21_modern")
    names = "all but untied", "all seven"
    return ends(page, seed, budget, {name: page.MACHINES[name] for name in names})


@claim(
    "Of the other six parts, each exchanged alone on top of rotary positions, none "
    "moves the loss as far as rotary did",
    seeds=3,
    budgets=(1, 4),
    holds=lambda f: (
        max(abs(f[part] - f["rotary"]) for part in f if part not in ("2019", "rotary"))
        < f["2019"] - f["rotary"]
    ),
)
def one_at_a_time(seed, budget):
    page = lesson("21_modern")
    machines = {"2019": ((), False), "rotary": (("rotary",), False)}
    machines |= {part: (("rotary", part), False) for part in page.PARTS[1:]}
    return ends(page, seed, budget, machines)


@claim(
    "Read on text four times as long as in training, the loss of the model with all "
    "seven parts rises; positions divided by four cost it within the window",
    seeds=3,
    budgets=(1, 4),
    holds=lambda f: (
        f["as trained, far"] > f["as trained, near"]
        and f["positions / 4, near"] > f["as trained, near"]
    ),
)
def beyond_the_window(seed, budget):
    page, found = lesson("21_modern"), {}
    model, _ = page.fit(page.PARTS, seed, page.N_STEPS * budget)
    for name, changes in {"as trained": {}, "positions / 4": {"divide": 4}}.items():
        loss = page.loss_by_place(page.reread(model, **changes), 256)
        found[f"{name}, near"] = loss[16:64].mean().item()
        found[f"{name}, far"] = loss[128:].mean().item()
    return found
