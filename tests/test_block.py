"""LayerNorm, the feed-forward net and the residual connection against PyTorch's own."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dot2gpt.block import FeedForward, LayerNorm, Residual
from dot2gpt.masking import causal_mask, leak_test, padding_mask
from dot2gpt.multi_head import MultiHeadAttention

PRECISION = [(torch.float32, 1e-5), (torch.float64, 1e-10)]


def random_norm(d_model, dtype, eps=1e-5):
    """Our LayerNorm with a scale and a shift that are not 1 and 0."""
    norm = LayerNorm(d_model, eps).to(dtype)
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    return norm


@pytest.mark.parametrize("dtype, atol", PRECISION)
@pytest.mark.parametrize("shape", [(2, 5, 7), (3, 1), (11,), (0, 5, 7)])
@pytest.mark.parametrize("eps", [1e-5, 0.5])
def test_the_norm_and_its_gradients_equal_torch(dtype, atol, shape, eps):
    torch.manual_seed(0)
    norm = random_norm(shape[-1], dtype, eps)
    x = (3 * torch.randn(shape, dtype=dtype) + 2).requires_grad_()
    inputs = [x, norm.weight, norm.bias]
    ours, theirs = norm(x), F.layer_norm(x, shape[-1:], norm.weight, norm.bias, eps)
    torch.testing.assert_close(ours, theirs, atol=atol, rtol=0)
    upstream = torch.randn_like(ours)
    for got, want in zip(
        torch.autograd.grad(ours, inputs, upstream),
        torch.autograd.grad(theirs, inputs, upstream),
    ):
        torch.testing.assert_close(got, want, atol=10 * atol, rtol=10 * atol)


def test_the_norm_of_1_2_3_4_has_the_numbers_worked_out_by_hand():
    got = LayerNorm(4, eps=0.0)(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    torch.testing.assert_close(
        got, torch.tensor([-3.0, -1.0, 1.0, 3.0]) / 5**0.5, atol=1e-6, rtol=0
    )


def test_a_constant_token_becomes_the_shift_and_has_a_finite_gradient():
    norm = random_norm(5, torch.float64)
    x = torch.full((2, 5), 7.0, dtype=torch.float64, requires_grad=True)
    out = norm(x)
    torch.testing.assert_close(out, norm.bias.expand(2, 5))
    assert torch.autograd.grad(out.square().sum(), x)[0].isfinite().all()


def test_the_norm_forgets_offset_and_size():
    norm, x = random_norm(7, torch.float64), torch.randn(3, 7, dtype=torch.float64)
    torch.testing.assert_close(norm(1e3 * x + 50), norm(1e3 * x))
    torch.testing.assert_close(norm(1e4 * x), norm(1e3 * x), atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("dtype, atol", PRECISION)
@pytest.mark.parametrize("activation", [F.relu, F.gelu, torch.tanh])
def test_feed_forward_is_two_linear_maps_with_the_activation_between(
    dtype, atol, activation
):
    torch.manual_seed(0)
    net = FeedForward(5, 13, activation).to(dtype)
    x = torch.randn(2, 3, 5, dtype=dtype)
    state = net.state_dict()
    inside = activation(x @ state["widen.weight"].T + state["widen.bias"])
    want = inside @ state["narrow.weight"].T + state["narrow.bias"]
    torch.testing.assert_close(net(x), want, atol=atol, rtol=0)
    assert {n: tuple(p.shape) for n, p in state.items()} == {
        "widen.weight": (13, 5),
        "widen.bias": (13,),
        "narrow.weight": (5, 13),
        "narrow.bias": (5,),
    }


@pytest.mark.parametrize("make", [lambda: FeedForward(5, 11), lambda: LayerNorm(5)])
def test_no_position_sees_another(make):
    torch.manual_seed(0)
    module, x = make().double(), torch.randn(7, 5, dtype=torch.float64)
    order = torch.randperm(7)
    torch.testing.assert_close(module(x[order]), module(x)[order])
    torch.testing.assert_close(module(x)[2], module(x[2]))
    assert leak_test(module, x) == []
    assert leak_test(lambda x: module(x.flip(0)).flip(0), x) == []


def test_feed_forward_learns_with_all_its_parameters():
    net = FeedForward(5, 11)
    gradients = torch.autograd.grad(net(torch.randn(9, 5)).sum(), net.parameters())
    assert len(gradients) == 4 and all(g.abs().sum() > 0 for g in gradients)


@pytest.mark.parametrize("norm_first", [False, True])
def test_a_residual_that_adds_nothing(norm_first):
    torch.manual_seed(0)
    residual, x = Residual(5, norm_first), torch.randn(2, 3, 5)
    residual.norm = random_norm(5, torch.float32)
    silent = residual(x, torch.zeros_like)
    assert torch.equal(silent, x if norm_first else residual.norm(x))


@pytest.mark.parametrize("norm_first", [False, True])
def test_dropout_works_on_the_sublayer_alone_and_in_training_alone(norm_first):
    torch.manual_seed(0)
    residual, x = Residual(5, norm_first, dropout=1.0), torch.randn(2, 3, 5)
    dropped = residual(x, lambda x: x + 9)
    assert torch.equal(dropped, x if norm_first else residual.norm(x))
    residual.eval()
    kept = residual(x, lambda x: x + torch.arange(5.0))
    assert torch.equal(
        kept, Residual(5, norm_first)(x, lambda x: x + torch.arange(5.0))
    )
    assert not torch.allclose(kept, dropped)


def test_a_sublayer_of_another_size_is_refused_with_both_sizes():
    with pytest.raises(RuntimeError, match=r"size.*\(5\).*\(7\)"):
        Residual(5)(torch.randn(2, 5), lambda x: torch.zeros(2, 7))


def torchs_layer(attention, net, residuals, norm_first, dtype):
    """torch's encoder layer with the weights of our parts."""
    theirs = nn.TransformerEncoderLayer(
        12, 3, 17, dropout=0.0, batch_first=True, norm_first=norm_first, dtype=dtype
    )
    parts = attention.w_q, attention.w_k, attention.w_v
    with torch.no_grad():
        theirs.self_attn.in_proj_weight.copy_(torch.cat([p.weight for p in parts]))
        theirs.self_attn.in_proj_bias.copy_(torch.cat([p.bias for p in parts]))
    theirs.self_attn.out_proj.load_state_dict(attention.w_o.state_dict())
    theirs.linear1.load_state_dict(net.widen.state_dict())
    theirs.linear2.load_state_dict(net.narrow.state_dict())
    for norm, residual in zip((theirs.norm1, theirs.norm2), residuals):
        norm.load_state_dict(residual.norm.state_dict())
    return theirs


@pytest.mark.parametrize("dtype, atol", PRECISION)
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("masked", ["nothing", "future", "padding"])
def test_the_parts_together_equal_torchs_layer(dtype, atol, norm_first, masked):
    torch.manual_seed(0)
    attention = MultiHeadAttention(12, 3).to(dtype)
    net = FeedForward(12, 17).to(dtype)
    residuals = [Residual(12, norm_first).to(dtype) for _ in range(2)]
    for residual in residuals:
        residual.norm = random_norm(12, dtype)
    theirs = torchs_layer(attention, net, residuals, norm_first, dtype)
    x = torch.randn(2, 5, 12, dtype=dtype)
    mask, options = None, {}
    if masked == "future":
        mask = causal_mask(5)
        options = {"src_mask": ~mask}
    elif masked == "padding":
        mask = padding_mask([3, 5], 5)
        options = {"src_key_padding_mask": ~mask[:, 0]}

    y = residuals[0](x, lambda x: attention(x, mask=mask)[0])
    y = residuals[1](y, net)
    torch.testing.assert_close(y, theirs(x, **options), atol=atol, rtol=0)
