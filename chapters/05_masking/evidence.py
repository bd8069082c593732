"""What chapter 5 claims, measured: `python -m tools.evidence 05_masking`."""

import torch

from tools.evidence import claim, lesson


@claim(
    "Under the causal mask a later token changes no earlier output, not even in the last "
    "digit; `leak_test` finds a mask that is one too wide and a mean over time",
    holds=lambda f: (
        f["causal: pairs"] == f["causal: change before the last token"] == 0
        and f["one too wide: pairs"] == 5
        and f["centred: pairs"] == 15
    ),
)
def leaks(seed, budget):
    page = lesson("05_masking")
    x = torch.randn(6, 5)
    other = torch.cat([x[:5], torch.randn(1, 5)])
    change = (page.causal_attention(other) - page.causal_attention(x))[:5]
    return {
        "causal: change before the last token": change.abs().max().item(),
        "causal: pairs": len(page.leak_test(page.causal_attention, x)),
        "one too wide: pairs": len(page.leak_test(page.one_too_wide, x)),
        "centred: pairs": len(page.leak_test(page.centred, x)),
    }


@claim(
    "A causal mask hides padding on the right and not on the left; a padding mask leaves "
    "the future open",
    holds=lambda f: (
        f["causal, padding right"] == 0
        and f["causal, padding left"] > 0.05
        and f["padding mask, future"] > 0.05
        and f["both, padding left"] == f["both, future"] == 0
    ),
)
def two_masks(seed, budget):
    page = lesson("05_masking")
    tokens, noise = torch.randn(2, 5, 7)
    causal, right, left = page.causal_mask(5), torch.arange(5) < 3, torch.arange(5) > 1
    new = {n: torch.where(m[:, None], tokens, noise) for n, m in
           (("right", right), ("left", left))}  # fmt: skip
    last = torch.cat([tokens[:4], noise[4:]])
    change, ends = page.largest_change, {"right": [0, 1, 2], "left": [2, 3, 4]}
    open_ = torch.ones(5, 5, dtype=torch.bool)
    both = causal & left
    return {
        "causal, padding right": change(tokens, new["right"], causal, ends["right"]),
        "causal, padding left": change(tokens, new["left"], causal, ends["left"]),
        "padding mask, future": change(tokens, last, open_ & left, [2, 3]),
        "both, padding left": change(tokens, new["left"], both, ends["left"]),
        "both, future": change(tokens, last, both, [2, 3]),
    }


@claim(
    "A masked score of 0 leaks: the hidden key keeps weight. A weight cut after softmax "
    "leaves rows that do not add to 1. Minus infinity does neither",
    holds=lambda f: (
        f["score 0: weight of a hidden key"] > 0.01
        and f["weight 0: a row adds to"] < 0.99
        and f["−∞: weight of a hidden key"] == 0
        and abs(f["−∞: a row adds to"] - 1) < 1e-5
    ),
)
def ways_to_hide(seed, budget):
    page = lesson("05_masking")
    scores, mask = torch.randn(100, 6, 6), page.causal_mask(6)
    zero = page.softmax(scores.masked_fill(~mask, 0))
    cut = page.softmax(scores).masked_fill(~mask, 0)
    right = page.masked_softmax(scores, mask)
    return {
        "score 0: weight of a hidden key": zero[:, ~mask].mean().item(),
        "weight 0: a row adds to": cut.sum(-1)[:, :-1].mean().item(),
        "−∞: weight of a hidden key": right[:, ~mask].max().item(),
        "−∞: a row adds to": right.sum(-1).mean().item(),
    }


@claim(
    "A row with nothing to see gives NaN in the whole gradient if it is filled with −∞; "
    "with the softmax of chapter 2 it gives 0 and a finite gradient",
    holds=lambda f: (
        f["−∞: NaN of 16"] == 16
        and f["ours: NaN of 16"] == f["ours: the empty row"] == 0
        and abs(f["−9e15: the empty row"] - 0.25) < 1e-5
    ),
)
def empty_row(seed, budget):
    page = lesson("05_masking")
    given, mask = torch.randn(4, 4), page.causal_mask(4).clone()
    mask[0] = False
    kinds = {
        "−∞": page.fill_with_inf,
        "−9e15": page.fill_with_9e15,
        "ours": page.ours,
    }
    found = {}
    for name, attend in kinds.items():
        v = torch.eye(4, requires_grad=True)
        out = attend(given.clone(), v, mask)
        out[1:].square().sum().backward()
        found[f"{name}: NaN of 16"] = v.grad.isnan().sum().item()
        if name != "−∞":
            found[f"{name}: the empty row"] = out[0].max().item()
    return found
