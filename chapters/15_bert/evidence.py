"""What chapter 15 claims, measured: `python -m tools.evidence 15_bert`."""

import copy

import torch

from tools.evidence import claim, lesson


@claim(
    "`corrupt` keeps its probabilities: 15 % are chosen, and of those 80 % are hidden, "
    "10 % replaced, 10 % left; nothing else changes",
    holds=lambda f: (
        abs(f["chosen"] - 0.15) < 0.003
        and abs(f["[MASK]"] - 0.8) < 0.006
        and abs(f["stays"] - 0.1) < 0.006
        and f["changed elsewhere"] == 0
    ),
)
def shares(seed, budget):
    page = lesson("15_bert")
    ids = torch.randint(3, 1000, (1000, 500))
    inputs, chosen = page.corrupt(ids, 2, 1000, special_ids=(0, 1))
    new, old = inputs[chosen], ids[chosen]
    return {
        "chosen": chosen.double().mean().item(),
        "[MASK]": (new == 2).double().mean().item(),
        "stays": (new == old).double().mean().item(),
        "changed elsewhere": (inputs != ids)[~chosen].sum().item(),
    }


@claim(
    "With ReLU and the norm's usual ε a BERT layer is the encoder layer of chapter 9; "
    "GELU makes the difference",
    holds=lambda f: f["ReLU"] < 1e-6 and f["GELU"] > 0.03,
)
def same_layer(seed, budget):
    page, x = lesson("15_bert"), torch.randn(2, 5, 12)
    layer, found = page.EncoderLayer(12, 3, 48), {}
    for name, options in (
        ("ReLU", {"norm_eps": 1e-5, "activation": torch.relu}),
        ("GELU", {"norm_eps": 1e-12}),
    ):
        berts = page.BERTLayer(12, 3, 48, **options)
        berts.load_state_dict(layer.state_dict())
        found[name] = (berts(x) - layer(x)).abs().max().item()
    return found


def pretrained(page, mask, n_steps):
    model = page.BERTForPreTraining(page.config)

    def loss(generator):
        ids, segments = page.palindromes(64, generator)
        return page.masked_loss(model, ids, segments, mask, page.ONLY_MASKS, generator)

    page.fit(model, loss, n_steps=n_steps, rate=2e-3, name="")
    return model


@claim(
    "A model that sees both sides names 0.86 of the hidden letters of a palindrome, the "
    "best that is possible; one that sees the left alone 0.46, and in the first half it "
    "only guesses",
    budgets=(1, 2, 4),
    stronger="more steps: the ceiling is worked out before training",
    holds=lambda f: (
        0.84 < f.get("both sides", 0.86) < 0.88
        and 0.44 < f["left alone"] < 0.49
        and f["left alone, first half"] < 0.09
    ),
)
def ceilings(seed, budget):
    page, found = lesson("15_bert"), {}
    kinds = {"left alone": page.causal_mask(page.TIME)}
    if budget == 1:
        kinds["both sides"] = None
    for name, mask in kinds.items():
        model = pretrained(page, mask, 500 * budget)
        right, asked = page.is_right(model, mask), page.test_chosen
        found[name] = right[asked].double().mean().item()
        if name == "left alone":
            asked = asked & (torch.arange(page.TIME) <= page.HALF)
            found["left alone, first half"] = right[asked].double().mean().item()
    return found


@claim(
    "Asked at [MASK] alone, the model stumbles over letters that it sees; with 80/10/10 "
    "it names them and mends wrong ones",
    budgets=(1, 2, 4),
    stronger="more steps",
    holds=lambda f: (
        f["[MASK] alone: names"] < 0.98
        and min(f["80/10/10: names"], f["80/10/10: mends"]) > 0.99
    ),
)
def other_twenty(seed, budget):
    page, found = lesson("15_bert"), {}
    first = pretrained(page, None, 500)
    for name, split in (
        ("[MASK] alone", page.ONLY_MASKS),
        ("80/10/10", (0.8, 0.1, 0.1)),
    ):
        model = copy.deepcopy(first)

        def loss(generator, model=model, split=split):
            ids, segments = page.palindromes(64, generator)
            return page.masked_loss(model, ids, segments, None, split, generator)

        page.fit(model, loss, n_steps=100 * budget, rate=1e-3, name=name)
        named, mended = page.at_visible_letters(model)
        found |= {f"{name}: names": named, f"{name}: mends": mended}
    return found


@claim(
    "Fine-tuned on 300 examples, a model that was pre-trained with both objectives is "
    "far above chance on new ones; with fresh weights it is at chance",
    budgets=(1, 2, 4),
    stronger="more steps of fine-tuning for the fresh weights",
    holds=lambda f: f["pre-trained"] > 0.75 and f["fresh weights"] < 0.58,
)
def fine_tuning(seed, budget):
    page, found = lesson("15_bert"), {}
    steps, fit = 150 * budget, page.fit
    fresh = page.BERT(page.config)
    model = pretrained(page, None, 500)

    def loss(generator):
        ids, segments = page.palindromes(64, generator)
        return page.masked_loss(model, ids, segments, None, (0.8, 0.1, 0.1), generator)

    fit(model, loss, n_steps=100, rate=1e-3, name="")
    fit(model, lambda g: page.both_losses(model, 64, g), 200, 1e-3, "")
    page.fit = lambda m, loss_of, n_steps, rate, name: fit(
        m, loss_of, steps, rate, name
    )
    for name, bert in (("pre-trained", model.bert), ("fresh weights", fresh)):
        found[name] = page.fine_tune(bert, name)[1]
    return found


@claim(
    "On words of the textbook a small BERT names more hidden words, and loses fewer nats, "
    "than the same net that reads from the left and is asked at every place; after 600 "
    "steps the left-only one is ahead",
    budgets=(1, 2),
    stronger="the left-only model's best step counts; with dropout as well",
    holds=lambda f: (
        f["both sides: right"] > f["left only: right"] + 0.01
        and f["both sides: least nats"] < f["left only: least nats"] - 0.4
        and f["both sides: least nats"] < f["left only, dropout: least nats"] - 0.2
        and f["both sides: nats at 600"] > f["left only: nats at 600"]
    ),
)
def real_words(seed, budget):
    page, found = lesson("15_bert/real_words"), {}
    for name, left_only, dropout in (
        ("left only", True, 0.0),
        ("left only, dropout", True, 0.2),
        ("both sides", False, 0.0),
    ):
        reader, curve = page.learn_words(left_only, seed, 3000 * budget, dropout)
        log_p = page.log_shares(reader, page.windows, page.at)
        found[f"{name}: right"] = page.scores(log_p)[0]
        found[f"{name}: least nats"] = min(nats for _, nats in curve)
        found[f"{name}: nats at 600"] = dict(curve)[600]
    return found
