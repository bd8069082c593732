"""What T5's lesson claims, measured."""

from tools.evidence import claim, lesson


@claim(
    "With the prefix, one model learns three tasks nearly without an error",
    seeds=3,
    holds=lambda f: f["worst task"] > 0.9,
)
def with_prefix(seed, budget):
    page = lesson("16_t5")
    by_task, _, _ = page.test(page.teach(True)[0], True)
    return {"worst task": min(by_task)}


@claim(
    "Without the prefix, the share of right answers stands at its ceiling, and what is"
    " written is nearly always the answer to one of the tasks",
    seeds=3,
    budgets=(1, 2, 4),
    stronger="four times the steps",
    holds=lambda f: abs(f["right"] - f["ceiling"]) < 0.04 and f["any task"] > 0.9,
)
def without_prefix(seed, budget):
    page = lesson("16_t5")
    _, right, any_task = page.test(page.teach(False, page.N_STEPS * budget)[0], False)
    return {"right": right, "any task": any_task, "ceiling": page.ceiling}


@claim(
    "Every text that corrupt_spans cuts comes back",
    seeds=3,
    holds=lambda f: f["restored"] == 1,
)
def restored(seed, budget):
    page, torch = lesson("16_t5"), lesson("16_t5").torch
    generator, marks = torch.Generator().manual_seed(0), list(range(1000, 1100))
    back = 0
    for _ in range(300):
        length = int(torch.randint(2, 300, (1,), generator=generator))
        text = torch.randint(50, (length,), generator=generator).tolist()
        pair = page.corrupt_spans(text, marks, generator=generator)
        back += page.restore_spans(*pair, marks) == text
    return {"restored": back / 300}


@claim(
    "The biases are all that the encoder knows about order",
    seeds=3,
    holds=lambda f: f["with biases"] > 0.05 and f["without"] < 1e-5,
)
def order_from_biases(seed, budget):
    page, torch = lesson("16_t5"), lesson("16_t5").torch
    torch.manual_seed(0)
    model = page.T5(page.T5Config(vocab_size=20, d_model=16, n_heads=2, d_ff=32))
    ids, order, gaps = torch.arange(7)[None], torch.tensor([3, 0, 6, 1, 5, 2, 4]), []
    with torch.no_grad():
        for _ in range(2):
            moved = model.encode(ids[:, order]) - model.encode(ids)[:, order]
            gaps.append(moved.abs().max().item())
            model.encoder.bias.table.weight.zero_()
    return dict(zip(("with biases", "without"), gaps))
