"""What chapter 9 claims, measured: `python -m tools.evidence 09_encoder`."""

import torch
from torch import nn

from tools.evidence import claim, lesson


@claim(
    "An encoder without positions cannot count: one digit gives what four of it give",
    holds=lambda f: f["largest difference"] < 1e-5,
)
def counting(seed, budget):
    page = lesson("09_encoder")
    encoder = page.Encoder(2, 12, 3, 48).double()
    digit = torch.randn(1, 1, 12).double()
    four = encoder(digit.expand(1, 4, 12))
    return {"largest difference": (four - encoder(digit)).abs().max().item()}


@claim(
    "With the same weights the encoder is PyTorch's, layer by layer, in both orders of "
    "the norm",
    holds=lambda f: max(f.values()) < 1e-5,
)
def as_pytorch(seed, budget):
    page, found = lesson("09_encoder"), {}
    for norm_first, name in ((False, "post-norm"), (True, "pre-norm")):
        encoder, x = page.Encoder(3, 12, 3, 48, norm_first), torch.randn(2, 5, 12)
        theirs = x
        for layer in encoder.layers:
            theirs = page.as_torch(layer, norm_first)(theirs)
        if norm_first:
            theirs = nn.LayerNorm(12)(theirs)
        found[name] = (encoder(x) - theirs).abs().max().item()
    return found


@claim(
    "A layer whose heads are merged carelessly has the right shape and fails the test "
    "of a shuffle; the right layer passes, and so does a feed-forward net alone",
    holds=lambda f: (
        f["our layer"] < 1e-5
        and f["feed-forward net alone"] < 1e-5
        and f["heads merged carelessly"] > 0.1
    ),
)
def shuffle_test(seed, budget):
    page = lesson("09_encoder")
    x, order = torch.randn(2, 7, 12), torch.tensor([3, 0, 6, 2, 5, 1, 4])
    good, slip = page.EncoderLayer(12, 3, 48), page.EncoderLayer(12, 3, 48)
    slip.attention = page.Careless(12, 3)
    kinds = {
        "our layer": good,
        "heads merged carelessly": slip,
        "feed-forward net alone": good.feed_forward,
    }
    gap = page.equivariance_gap
    return {name: gap(f, x, order) for name, f in kinds.items()}


@claim(
    "One layer reverses sixteen digits, without its feed-forward net too",
    holds=lambda f: f["digits"] > 0.999 and f["without feed-forward net"] > 0.999,
)
def reversing(seed, budget):
    page, found = lesson("09_encoder"), {}
    for name in ("digits", "without feed-forward net"):
        model = page.Reverser()
        if name != "digits":
            model.encoder.layers[0] = page.AttentionOnly(32, 1, 128)
        page.train(model, name)
        found[name] = page.test(model)[0]
    return found


@claim(
    "Without positions an encoder names 24 % of the digits backwards and never a whole "
    "sequence",
    budgets=(1, 2, 4),
    stronger="three layers",
    holds=lambda f: (
        all(0.22 < f[n] < 0.26 for n in ("digits", "digits, 3 layers"))
        and f["sequences"] == 0
    ),
)
def no_positions(seed, budget):
    page = lesson("09_encoder")
    page.N_STEPS = 600 * budget
    one, three = page.Reverser(positions=False), page.Reverser(positions=False)
    three.encoder = page.Encoder(n_layers=3, d_model=32, n_heads=1, d_ff=128)
    for model in (one, three):
        page.train(model, "")
    digits, sequences = page.test(one)
    return {
        "digits": digits,
        "digits, 3 layers": page.test(three)[0],
        "sequences": sequences,
    }
