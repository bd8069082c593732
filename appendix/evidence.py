"""What the appendix claims, measured: `python -m tools.evidence appendix`."""

import torch

from dot2gpt.encoder import EncoderLayer
from dot2gpt.multi_head import MultiHeadAttention
from tools.evidence import claim, lesson


@claim(
    "Attention that also looks at the segment before reaches back a segment a layer, and "
    "no farther",
    page="errata_family",
    holds=lambda f: list(f.values()) == [8, 12, 16],
)
def segment_reach(seed, budget):
    page, x, found = lesson("errata_family"), torch.randn(32, 12).double(), {}
    for n_layers in (1, 2, 3):
        layers = [MultiHeadAttention(12, 3).double() for _ in range(n_layers)]
        jacobian = torch.autograd.functional.jacobian(lambda x: page.run(x, layers), x)  # noqa: B023
        found[f"{n_layers} layers"] = (jacobian.abs().sum((0, 2)) > 0).sum().item()
    return found


@claim(
    "Twelve layers that share their weights do the work of twelve that do not, forwards "
    "and backwards, with a twelfth of the parameters and of the gradients to exchange",
    page="errata_family",
    seeds=1,
    holds=lambda f: (
        f["operations, shared over own"] == 1
        and abs(f["parameters, own over shared"] - 12) < 1e-9
    ),
)
def sharing(seed, budget):
    from torch.utils.flop_counter import FlopCounterMode

    one, x = EncoderLayer(128, 4, 512), torch.randn(1, 64, 128)
    kinds = {
        "own": [EncoderLayer(128, 4, 512) for _ in range(12)],
        "shared": [one] * 12,
    }
    work, sizes = {}, {}
    for name, layers in kinds.items():
        model = torch.nn.Sequential(*layers)
        with FlopCounterMode(display=False) as counter:
            model(x).sum().backward()
        work[name] = counter.get_total_flops()
        sizes[name] = sum(p.numel() for p in model.parameters())
    return {
        "operations, shared over own": work["shared"] / work["own"],
        "parameters, own over shared": sizes["own"] / sizes["shared"],
    }
