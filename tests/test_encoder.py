"""The encoder against PyTorch's own, and what must never change it."""

import pytest
import torch
from torch import nn

from dot2gpt.encoder import Encoder, EncoderLayer
from dot2gpt.masking import causal_mask, leak_test, padding_mask

PRECISION = [(torch.float32, 1e-5), (torch.float64, 1e-10)]
LENGTHS = [7, 3, 5]


def randomised(module, dtype, seed=0):
    """Every parameter random, the norms' too, so that no two can be exchanged."""
    torch.manual_seed(seed)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module.to(dtype)


def as_torch(layer, norm_first):
    """PyTorch's encoder layer with the weights of ours."""
    ours = layer.state_dict()
    d_ff, d_model = ours["feed_forward.widen.weight"].shape
    theirs = nn.TransformerEncoderLayer(
        d_model,
        layer.attention.n_heads,
        d_ff,
        dropout=0.0,
        batch_first=True,
        norm_first=norm_first,
        dtype=ours["feed_forward.widen.weight"].dtype,
    )
    names = {
        "self_attn.out_proj": "attention.w_o",
        "linear1": "feed_forward.widen",
        "linear2": "feed_forward.narrow",
        "norm1": "around_attention.norm",
        "norm2": "around_feed_forward.norm",
    }
    state = {
        f"self_attn.in_proj_{kind}": torch.cat(
            [ours[f"attention.w_{n}.{kind}"] for n in "qkv"]
        )
        for kind in ("weight", "bias")
    }
    for new, old in names.items():
        state |= {f"{new}.{kind}": ours[f"{old}.{kind}"] for kind in ("weight", "bias")}
    theirs.load_state_dict(state)
    return theirs


def stack_as_torch(encoder, norm_first):
    """PyTorch's encoder with the weights of ours."""
    layers = [as_torch(layer, norm_first) for layer in encoder.layers]
    norm = None
    if norm_first:
        norm = nn.LayerNorm(len(encoder.norm.weight), dtype=encoder.norm.weight.dtype)
        norm.load_state_dict(encoder.norm.state_dict())
    theirs = nn.TransformerEncoder(layers[0], len(layers), norm, False)
    theirs.layers = nn.ModuleList(layers)
    return theirs


def masks(kind):
    """Ours, and the same for PyTorch, where True means "may not attend"."""
    padding, causal = padding_mask(LENGTHS, 7), causal_mask(7)
    return {
        "none": (None, {}),
        "padding": (padding, {"src_key_padding_mask": ~padding[:, 0]}),
        "causal": (causal, {"mask": ~causal}),
        "both": (
            padding & causal,
            {"src_key_padding_mask": ~padding[:, 0], "mask": ~causal},
        ),
    }[kind]


@pytest.mark.parametrize("kind", ["none", "padding", "causal", "both"])
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("dtype, atol", PRECISION)
def test_it_equals_torch_with_its_gradients(dtype, atol, norm_first, kind):
    ours = randomised(Encoder(3, 12, 3, 31, norm_first), dtype)
    theirs = stack_as_torch(ours, norm_first)
    mask, options = masks(kind)
    x = torch.randn(3, 7, 12, dtype=dtype, requires_grad=True)
    real = padding_mask(LENGTHS if mask is not None else [7] * 3, 7)[:, 0, :, None]
    weight = torch.randn(3, 7, 12, dtype=dtype) * real  # what is padded does not count

    got, want = ours(x, mask), theirs(x, **options)
    torch.testing.assert_close(got * real, want * real, atol=atol, rtol=0)
    got_grad, want_grad = (
        torch.autograd.grad((out * weight).sum(), x)[0] for out in (got, want)
    )
    torch.testing.assert_close(got_grad, want_grad, atol=10 * atol, rtol=10 * atol)


@pytest.mark.parametrize("norm_first", [False, True])
def test_the_gradients_of_every_weight_equal_torch(norm_first):
    ours = randomised(EncoderLayer(12, 3, 31, norm_first), torch.float64)
    theirs = as_torch(ours, norm_first)
    x = torch.randn(2, 5, 12, dtype=torch.float64)
    weight = torch.randn_like(x)
    (ours(x) * weight).sum().backward()
    (theirs(x) * weight).sum().backward()
    attention = ours.attention
    in_proj = [w.weight.grad for w in (attention.w_q, attention.w_k, attention.w_v)]
    pairs = [
        (torch.cat(in_proj), theirs.self_attn.in_proj_weight.grad),
        (attention.w_o.weight.grad, theirs.self_attn.out_proj.weight.grad),
        (ours.feed_forward.widen.weight.grad, theirs.linear1.weight.grad),
        (ours.feed_forward.narrow.bias.grad, theirs.linear2.bias.grad),
        (ours.around_attention.norm.weight.grad, theirs.norm1.weight.grad),
        (ours.around_feed_forward.norm.bias.grad, theirs.norm2.bias.grad),
    ]
    for got, want in pairs:
        torch.testing.assert_close(got, want)


@pytest.mark.parametrize("norm_first", [False, True])
def test_a_padded_batch_equals_the_sequences_alone(norm_first):
    encoder = randomised(Encoder(2, 12, 3, 31, norm_first), torch.float64)
    x = torch.randn(3, 7, 12, dtype=torch.float64)
    out = encoder(x, padding_mask(LENGTHS, 7))
    for i, n in enumerate(LENGTHS):
        alone = encoder(x[i : i + 1, :n])[0]
        torch.testing.assert_close(out[i, :n], alone, atol=1e-12, rtol=0)
    unmasked = encoder(x)
    assert (unmasked[1, :3] - out[1, :3]).abs().max() > 1e-3


@pytest.mark.parametrize("norm_first", [False, True])
def test_tokens_in_another_order_come_out_in_that_order(norm_first):
    encoder = randomised(Encoder(3, 12, 3, 31, norm_first), torch.float64)
    x, order = torch.randn(2, 7, 12).double(), torch.randperm(7)
    torch.testing.assert_close(encoder(x[:, order]), encoder(x)[:, order])
    assert (encoder(x[:, order]) - encoder(x)).abs().max() > 1e-3


def test_a_causal_mask_hides_the_future_through_every_layer():
    encoder = randomised(Encoder(3, 12, 3, 31), torch.float64)
    x = torch.randn(5, 12, dtype=torch.float64)
    assert leak_test(lambda x: encoder(x[None], causal_mask(5))[0], x) == []
    assert len(leak_test(lambda x: encoder(x[None])[0], x)) == 10


def test_each_layer_and_each_norm_has_weights_of_its_own():
    d, d_ff, n_layers = 12, 31, 3
    layer = 4 * (d * d + d) + 2 * d * d_ff + d_ff + d + 4 * d
    for norm_first in (False, True):
        encoder = Encoder(n_layers, d, 3, d_ff, norm_first)
        size = sum(p.numel() for p in encoder.parameters())
        assert size == n_layers * layer + 2 * d * norm_first


def test_dropout_works_in_training_alone_and_reaches_both_sub_layers():
    encoder = Encoder(1, 12, 3, 31, dropout=1.0)
    x = torch.randn(2, 5, 12)
    twice = nn.functional.layer_norm(nn.functional.layer_norm(x, (12,)), (12,))
    torch.testing.assert_close(encoder(x), twice)  # both sub-layers' outputs are 0
    encoder.eval()
    assert (encoder(x) - twice).abs().max() > 1e-3
    torch.testing.assert_close(encoder(x), encoder(x))


def test_sizes_and_masks_that_cannot_be_are_refused_with_the_numbers():
    with pytest.raises(ValueError, match="d_model=64 is not divisible by n_heads=5"):
        EncoderLayer(64, 5, 256)
    with pytest.raises(ValueError, match="d_model=12 is not divisible by n_heads=0"):
        Encoder(2, 12, 0, 31)
    encoder, x = Encoder(2, 12, 3, 31), torch.randn(2, 5, 12)
    with pytest.raises(ValueError, match=r"\(7, 7\).*\(2, 3, 5, 5\)"):
        encoder(x, causal_mask(7))
    with pytest.raises(TypeError, match="torch.float32"):
        encoder(x, torch.ones(5, 5))
