"""The masks of chapter 05, against PyTorch's own and against numbers by hand."""

import pytest
import torch
import torch.nn.functional as F
from torch.nn.attention.bias import causal_lower_right

from dot2gpt.masking import (
    causal_mask,
    influence,
    leak_test,
    masked_softmax,
    padding_mask,
)
from dot2gpt.scaling import scaled_dot_product_attention

FLOATS = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


@pytest.mark.parametrize("n_queries, n_keys", [(1, 1), (1, 5), (2, 5), (5, 5), (3, 11)])
def test_the_last_query_stands_at_the_last_key(n_queries, n_keys):
    mask = causal_mask(n_queries, n_keys)
    theirs = causal_lower_right(n_queries, n_keys)._materialize()
    assert mask.dtype == torch.bool and torch.equal(mask, theirs)
    assert torch.equal(mask, causal_mask(n_keys)[-n_queries:])


def test_more_queries_than_keys_are_refused():
    with pytest.raises(ValueError, match="5 queries, but only 3 keys"):
        causal_mask(5, 3)


@pytest.mark.parametrize("lengths", [[2, 0, 5], torch.tensor([2, 0, 5])], ids=type)
def test_padding_is_what_stands_behind_the_real_tokens(lengths):
    mask = padding_mask(lengths, 5)
    assert mask.dtype == torch.bool and mask.shape == (3, 1, 5)
    assert mask[:, 0].int().tolist() == [[1, 1, 0, 0, 0], [0] * 5, [1] * 5]


@pytest.mark.parametrize("length", [-1, 6])
def test_a_length_outside_the_batch_is_refused(length):
    with pytest.raises(ValueError, match=f"{length}, but the batch has time=5"):
        padding_mask([2, length], 5)


@FLOATS
@pytest.mark.parametrize("scale", [1, 1e4], ids=["small", "large"])
def test_masked_softmax_is_softmax_of_the_allowed(dtype, scale):
    torch.manual_seed(0)
    scores = scale * torch.randn(2, 3, 5, 7, dtype=dtype)
    mask = torch.rand(2, 1, 5, 7) < 0.5
    mask[..., 0] = True
    ours, kept = masked_softmax(scores, mask), scores.clone()
    for place in torch.cartesian_prod(*map(torch.arange, scores.shape[:-1])).tolist():
        allowed = mask.expand_as(scores)[tuple(place)]
        row, weights = scores[tuple(place)], ours[tuple(place)]
        torch.testing.assert_close(weights[allowed], row[allowed].softmax(0))
        assert (weights[~allowed] == 0).all()
    assert ours.dtype == dtype and torch.equal(scores, kept)


@FLOATS
def test_an_empty_row_gives_zero_and_a_finite_gradient(dtype):
    torch.manual_seed(0)
    scores = torch.randn(3, 5, dtype=dtype, requires_grad=True)
    mask = torch.tensor([1, 0, 1]).bool()[:, None]
    weights = masked_softmax(scores, mask)
    weights.square().sum().backward()
    assert (weights[1] == 0).all() and (scores.grad[1] == 0).all()
    theirs = scores.detach().clone().requires_grad_()
    theirs.softmax(-1)[[0, 2]].square().sum().backward()
    torch.testing.assert_close(scores.grad, theirs.grad)


def test_gradients_pass_gradcheck():
    torch.manual_seed(0)
    scores = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    mask = causal_mask(3, 5).clone()
    mask[0] = False
    assert torch.autograd.gradcheck(lambda s: masked_softmax(s, mask), scores)


def test_masks_that_are_not_boolean_or_do_not_fit_are_refused():
    with pytest.raises(TypeError, match="True may attend"):
        masked_softmax(torch.zeros(2, 2), torch.ones(2, 2))
    with pytest.raises(ValueError, match=r"\(3, 3\) does not broadcast .* \(2, 2\)"):
        masked_softmax(torch.zeros(2, 2), causal_mask(3))


@FLOATS
def test_causal_and_padding_agree_with_torch(dtype):
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 5, 7, dtype=dtype)
    mask = causal_mask(5) & padding_mask([3, 5], 5)
    ours, _ = scaled_dot_product_attention(q, k, v, mask)
    torch.testing.assert_close(
        ours, F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    )


@FLOATS
def test_influence_of_a_linear_map_is_its_matrix(dtype):
    torch.manual_seed(0)
    mix = torch.randn(3, 5, dtype=dtype)
    x = torch.randn(5, 7, dtype=dtype)
    # the block of a pair is mix[t, s] times the unit matrix, of norm √7
    want = mix.abs() * 7**0.5
    torch.testing.assert_close(influence(lambda x: mix @ x, x), want)
    torch.testing.assert_close(influence(lambda x: (mix @ x, None), x), want)
    torch.testing.assert_close(
        influence(lambda x: (mix @ x).sum(-1), x), want, msg="one number per position"
    )


def test_influence_agrees_with_differences():
    torch.manual_seed(0)
    x, h = torch.randn(5, 3, dtype=torch.float64), 1e-6

    def f(x):
        return scaled_dot_product_attention(x, x, x, causal_mask(5))[0]

    squares = torch.zeros(5, 5, dtype=torch.float64)
    for s in range(5):
        for i in range(3):
            step = torch.zeros_like(x)
            step[s, i] = h
            slope = (f(x + step) - f(x - step)) / (2 * h)
            squares[:, s] += slope.square().sum(-1)
    torch.testing.assert_close(influence(f, x), squares.sqrt(), atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_leak_test_names_the_pairs(seed):
    torch.manual_seed(seed)
    x = torch.randn(5, 7)
    ahead = [(t, s) for t in range(5) for s in range(t + 1, 5)]

    def attention(mask):
        return lambda x: scaled_dot_product_attention(x, x, x, mask)

    ones = torch.ones(5, 5, dtype=torch.bool)
    assert leak_test(attention(causal_mask(5)), x) == []
    assert leak_test(attention(ones.tril(1)), x) == [(t, t + 1) for t in range(4)]
    assert leak_test(attention(ones), x) == ahead
    assert leak_test(lambda x: x.cumsum(0), x) == []
    assert leak_test(lambda x: x + x.roll(-4, 0), x) == [(0, 4)]
    assert leak_test(lambda x: x * torch.nan, x) == ahead, "NaN is no proof"
