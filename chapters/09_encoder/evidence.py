"""What chapter 09 claims, measured: `python -m tools.evidence 09_encoder`."""

import torch

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
