"""Multi-head attention against PyTorch's own, and what must never change it."""

import pytest
import torch
from torch import nn

from dot2gpt.masking import causal_mask, leak_test, padding_mask
from dot2gpt.multi_head import MultiHeadAttention, merge_heads, split_heads

PRECISION = [(torch.float32, 1e-6), (torch.float64, 1e-12)]


def pair(d_model, n_heads, dtype, bias=True):
    """Our module and PyTorch's, with the same weights."""
    torch.manual_seed(0)
    ours = MultiHeadAttention(d_model, n_heads, bias).to(dtype)
    theirs = nn.MultiheadAttention(
        d_model, n_heads, bias=bias, batch_first=True, dtype=dtype
    )
    parts = ours.w_q, ours.w_k, ours.w_v
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([p.weight for p in parts]))
        if bias:
            theirs.in_proj_bias.copy_(torch.cat([p.bias for p in parts]))
    theirs.out_proj.load_state_dict(ours.w_o.state_dict())
    return ours, theirs


@pytest.mark.parametrize("dtype, atol", PRECISION)
@pytest.mark.parametrize("d_model, n_heads", [(12, 3), (22, 11), (10, 1)])
@pytest.mark.parametrize("bias", [True, False])
def test_it_equals_torch(dtype, atol, d_model, n_heads, bias):
    ours, theirs = pair(d_model, n_heads, dtype, bias)
    x = torch.randn(2, 5, d_model, dtype=dtype)
    for mask in (None, causal_mask(5)):
        theirs_mask = None if mask is None else ~mask
        out, weights = ours(x, mask=mask)
        ref, ref_weights = theirs(
            x, x, x, attn_mask=theirs_mask, average_attn_weights=False
        )
        torch.testing.assert_close(out, ref, atol=atol, rtol=0)
        torch.testing.assert_close(weights, ref_weights, atol=atol, rtol=0)


@pytest.mark.parametrize("dtype, atol", PRECISION)
def test_cross_attention_with_padding_equals_torch(dtype, atol):
    ours, theirs = pair(12, 3, dtype)
    query, memory = (torch.randn(2, n, 12, dtype=dtype) for n in (5, 11))
    mask = padding_mask([7, 11], 11)
    ref, _ = theirs(query, memory, memory, key_padding_mask=~mask[:, 0])
    masked, _ = ours(query, memory, mask=mask)
    torch.testing.assert_close(masked, ref, atol=atol, rtol=0)
    value = torch.randn_like(memory)
    ref, _ = theirs(query, memory, value)
    torch.testing.assert_close(ours(query, memory, value)[0], ref, atol=atol, rtol=0)


def test_gradients_equal_torch_and_are_finite_for_a_fully_masked_row():
    ours, theirs = pair(12, 3, torch.float64)
    x = torch.randn(2, 5, 12, dtype=torch.float64, requires_grad=True)
    ours_grad = torch.autograd.grad(ours(x)[0].square().sum(), x)[0]
    theirs_grad = torch.autograd.grad(theirs(x, x, x)[0].square().sum(), x)[0]
    torch.testing.assert_close(ours_grad, theirs_grad)

    mask = padding_mask([0, 5], 5)
    out, weights = ours(x, mask=mask)
    grads = torch.autograd.grad(out.sum(), [x, *ours.parameters()])
    assert weights[0].abs().sum() == 0
    torch.testing.assert_close(out[0], ours.w_o.bias.expand(5, 12))
    assert all(g.isfinite().all() for g in grads)


def test_heads_split_and_merge():
    x = torch.arange(2 * 5 * 12).view(2, 5, 12)
    heads = split_heads(x, 3)
    assert heads.shape == (2, 3, 5, 4)
    assert torch.equal(heads[1, 2, 4], x[1, 4, 8:])
    assert torch.equal(merge_heads(heads), x)


def test_tokens_in_another_order_come_out_in_that_order():
    attention = MultiHeadAttention(12, 3).double()
    x, order = torch.randn(2, 7, 12, dtype=torch.float64), torch.randperm(7)
    torch.testing.assert_close(attention(x[:, order])[0], attention(x)[0][:, order])


def test_a_causal_mask_hides_the_future():
    attention = MultiHeadAttention(12, 3).double()
    x = torch.randn(5, 12, dtype=torch.float64)
    assert leak_test(lambda x: attention(x[None], mask=causal_mask(5))[0][0], x) == []
    assert leak_test(lambda x: attention(x[None])[0][0], x) != []


def test_a_bias_is_added_to_the_scores():
    attention = MultiHeadAttention(12, 3)
    x = torch.randn(1, 5, 12)
    far = torch.zeros(3, 5, 5)
    far[1, :, 2] = 100.0
    weights = attention(x, bias=far)[1]
    torch.testing.assert_close(weights[0, 1, :, 2], torch.ones(5))
    torch.testing.assert_close(weights[0, 0], attention(x)[1][0, 0])


@pytest.mark.parametrize("d_model, n_heads", [(64, 5), (64, 0), (12, 24)])
def test_sizes_that_cannot_be_are_refused_with_both_numbers(d_model, n_heads):
    words = f"d_model={d_model} is not divisible by n_heads={n_heads}"
    with pytest.raises(ValueError, match=words):
        MultiHeadAttention(d_model, n_heads)


def test_a_mask_that_cannot_be_is_refused():
    attention, x = MultiHeadAttention(12, 3), torch.randn(2, 5, 12)
    with pytest.raises(TypeError, match="torch.float32"):
        attention(x, mask=torch.ones(5, 5))
    with pytest.raises(ValueError, match=r"\(7, 7\).*\(2, 3, 5, 5\)"):
        attention(x, mask=causal_mask(7))
