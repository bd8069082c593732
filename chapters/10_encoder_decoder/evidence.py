"""What the Transformer's lesson and its further page claim, measured."""

from tools.evidence import claim, lesson


@claim(
    "600 steps on dates: the exact match is above 99 %; decoding from pad, below half",
    seeds=3,
    holds=lambda f: f["from start"] > 0.99 and f["from pad"] < 0.5,
)
def dates(seed, budget):
    page = lesson("10_encoder_decoder")
    model = page.new_model()
    page.teach(model, steps=600, rate=4e-3)
    pairs = page.draw(500, page.random.Random(99), test=True)
    return {
        "from start": page.exact_match(model, pairs),
        "from pad": page.exact_match(model, pairs, start=page.PAD),
    }


@claim(
    "A form that training never showed is not even copied",
    seeds=3,
    budgets=(1, 2, 4),
    stronger="four times the steps",
    holds=lambda f: f["seen forms"] > 0.99 and f["the answer itself"] < 0.5,
)
def ninth_form(seed, budget):
    page = lesson("10_encoder_decoder")
    model = page.new_model()
    page.teach(model, steps=600 * budget, rate=4e-3)
    pairs = page.draw(200, page.random.Random(99), test=True)
    return {
        "seen forms": page.exact_match(model, pairs),
        "the answer itself": page.exact_match(model, [(d, d) for _, d in pairs]),
    }


@claim(
    "Without the causal mask the loss falls to nearly 0 and no date is written",
    seeds=3,
    budgets=(1, 2, 4),
    stronger="four times the steps",
    holds=lambda f: f["loss"] < 0.1 and f["exact match"] < 0.05,
)
def peeking(seed, budget):
    page = lesson("10_encoder_decoder")
    model = page.Peeking(page.new_model().config)
    losses = page.teach(model, steps=100 * budget, rate=4e-3, warm_up=50)
    pairs = page.draw(200, page.random.Random(99), test=True)
    return {"loss": losses[-1], "exact match": page.exact_match(model, pairs)}


@claim(
    "Width 4 often finds a likelier text than greedy decoding in a half-trained model",
    seeds=3,
    holds=lambda f: f["likelier"] > 0.1,
    page="10_encoder_decoder/beam_search",
)
def beams(seed, budget):
    page = lesson("10_encoder_decoder")
    search = lesson("10_encoder_decoder/beam_search").beam_search
    model = page.new_model()
    page.teach(model, steps=100, rate=4e-3, warm_up=50)
    source, mask, _ = page.make_batch(page.draw(200, page.random.Random(99), test=True))
    narrow, wide = (
        search(model, source, page.START, page.END, 11, width, mask)[1]
        for width in (1, 4)
    )
    return {"likelier": (wide > narrow + 1e-4).float().mean().item()}
