"""Scaled dot-product attention against torch's own, and what it refuses."""

import math

import pytest
import torch
from torch.nn import functional as F

from dot2gpt.scaling import check_mask, scaled_dot_product_attention

EXACT = {torch.float32: 1e-6, torch.float64: 1e-12}
BATCHES = {"no batch": (), "batch": (2,), "batch and heads": (2, 3)}


def tensors(*batch, n_queries=5, n_keys=11, d_k=7, d_v=13, dtype=torch.float64, **more):
    generator = torch.Generator().manual_seed(0)
    sizes = (n_queries, d_k), (n_keys, d_k), (n_keys, d_v)
    return [
        torch.randn(*batch, *size, dtype=dtype, generator=generator, **more)
        for size in sizes
    ]


def random_mask(*shape):
    """Half of the entries, at random, and at least the first key of each query."""
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(1)) < 0.5
    mask[..., 0] = True
    return mask


def assert_same_as_torch(q, k, v, mask=None):
    tolerance = EXACT[q.dtype]
    output, weights = scaled_dot_product_attention(q, k, v, mask)
    theirs = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    assert output.dtype == weights.dtype == q.dtype
    torch.testing.assert_close(output, theirs, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(weights @ v, theirs, rtol=tolerance, atol=tolerance)
    return weights


@pytest.mark.parametrize("dtype", EXACT)
@pytest.mark.parametrize("batch", BATCHES.values(), ids=BATCHES)
def test_it_equals_torch(batch, dtype):
    weights = assert_same_as_torch(*tensors(*batch, dtype=dtype))
    assert weights.shape == (*batch, 5, 11)
    assert (weights.sum(-1) - 1).abs().max() < EXACT[dtype]


@pytest.mark.parametrize("dtype", EXACT)
@pytest.mark.parametrize(
    "shape", [(5, 11), (1, 11), (2, 1, 5, 11), (2, 1, 1, 11), (2, 3, 5, 11), (3, 5, 11)]
)
def test_it_equals_torch_under_a_mask_of_any_shape_that_broadcasts(shape, dtype):
    mask = random_mask(*shape)
    weights = assert_same_as_torch(*tensors(2, 3, dtype=dtype), mask)
    assert (weights[~mask.expand(2, 3, 5, 11)] == 0).all()


@pytest.mark.parametrize("size", ["n_queries", "n_keys", "d_k", "d_v"])
def test_it_equals_torch_where_a_size_is_one(size):
    assert_same_as_torch(*tensors(2, **{size: 1}))


def test_two_keys_by_hand():
    q = torch.tensor([[2.0, 0, 0, 0]])
    k = torch.tensor([[math.log(9), 0, 0, 0], [0.0, 5, 5, 5]])  # scores ln 9 and 0
    v = torch.tensor([[10.0], [0.0]])
    output, weights = scaled_dot_product_attention(q, k, v)
    torch.testing.assert_close(weights, torch.tensor([[0.9, 0.1]]))
    torch.testing.assert_close(output, torch.tensor([[9.0]]))


@pytest.mark.parametrize("d_k", [16, 1024])
def test_the_spread_of_the_scaled_scores_does_not_depend_on_d_k(d_k):
    q, k, v = tensors(n_queries=300, n_keys=400, d_k=d_k, d_v=1)
    log_weights = scaled_dot_product_attention(q, k, v)[1].log()
    assert log_weights.std(-1).mean() == pytest.approx(1, abs=0.05)


def test_huge_scores_overflow_nowhere():
    q, k, v = tensors(dtype=torch.float32)
    output, weights = scaled_dot_product_attention(q * 1e9, k * 1e9, v)
    torch.testing.assert_close(weights.sum(-1), torch.ones(5))
    assert output.isfinite().all()


@pytest.mark.parametrize("dtype", EXACT)
def test_a_query_that_may_attend_to_nothing_gets_zero_and_finite_gradients(dtype):
    q, k, v = tensors(2, dtype=dtype, requires_grad=True)
    mask = random_mask(2, 5, 11)
    mask[0, 3] = False
    output, weights = scaled_dot_product_attention(q, k, v, mask)
    assert (output[0, 3] == 0).all() and (weights[0, 3] == 0).all()
    output.square().sum().backward()
    assert all(x.grad.isfinite().all() for x in (q, k, v))
    assert (q.grad[0, 3] == 0).all() and (q.grad[0, 2] != 0).any()


def test_a_masked_key_gets_no_gradient():
    q, k, v = tensors(requires_grad=True)
    mask = torch.ones(1, 11, dtype=torch.bool)
    mask[0, 4] = False
    scaled_dot_product_attention(q, k, v, mask)[0].square().sum().backward()
    assert (k.grad[4] == 0).all() and (v.grad[4] == 0).all()
    assert (k.grad[5] != 0).any()


@pytest.mark.parametrize("masked", [False, True])
def test_gradients_are_those_of_finite_differences(masked):
    mask = None
    if masked:
        mask = random_mask(2, 5, 11)
        mask[1, 2] = False  # a row with nothing allowed
    inputs = tensors(2, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda q, k, v: scaled_dot_product_attention(q, k, v, mask), inputs
    )


def test_reordered_queries_reorder_the_output_and_reordered_keys_change_nothing():
    q, k, v = tensors(2)
    output, weights = scaled_dot_product_attention(q, k, v)
    rows, columns = torch.arange(5).roll(2), torch.arange(11).flip(0)
    moved, _ = scaled_dot_product_attention(q[:, rows], k, v)
    torch.testing.assert_close(moved, output[:, rows])
    moved, shuffled = scaled_dot_product_attention(q, k[:, columns], v[:, columns])
    torch.testing.assert_close(moved, output)
    torch.testing.assert_close(shuffled, weights[..., columns])


def test_the_arguments_are_left_as_they_are():
    arguments = [*tensors(2), random_mask(2, 5, 11)]
    before = [x.clone() for x in arguments]
    scaled_dot_product_attention(*arguments)
    assert all(map(torch.equal, arguments, before))


def test_sizes_that_do_not_fit_are_named():
    q, k, v = tensors(2)
    with pytest.raises(ValueError, match="queries have d_k=6, but keys have d_k=7"):
        scaled_dot_product_attention(q[..., :6], k, v)
    with pytest.raises(ValueError, match="there are 11 keys, but 10 values"):
        scaled_dot_product_attention(q, k, v[:, :10])


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.uint8])
def test_a_mask_that_is_not_bool_is_refused(dtype):
    q, k, v = tensors()
    says = rf"the mask is {dtype}, expected torch\.bool: True may attend"
    with pytest.raises(TypeError, match=says):
        scaled_dot_product_attention(q, k, v, torch.ones(5, 11, dtype=dtype))


@pytest.mark.parametrize("shape", [(11, 5), (5, 10), (3, 5, 11), (2, 2, 5, 11)])
def test_a_mask_that_does_not_fit_is_refused(shape):
    q, k, v = tensors(2)
    with pytest.raises(ValueError) as error:
        scaled_dot_product_attention(q, k, v, torch.ones(shape, dtype=torch.bool))
    says = f"a mask of shape {shape} does not broadcast to the scores' (2, 5, 11)"
    assert says in str(error.value)


def test_check_mask_accepts_what_broadcasts():
    scores = torch.zeros(2, 3, 5, 11)
    for shape in [(), (11,), (5, 1), (5, 11), (3, 1, 1), (2, 1, 5, 11)]:
        check_mask(torch.ones(shape, dtype=torch.bool), scores)


def test_a_bias_is_added_to_the_scaled_scores():
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 3, n, 7, dtype=torch.float64) for n in (5, 11, 11))
    bias = torch.randn(3, 5, 11, dtype=torch.float64)
    ours, _ = scaled_dot_product_attention(q, k, v, bias=bias)
    torch_s = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    torch.testing.assert_close(ours, torch_s, atol=1e-12, rtol=0)

    mask = torch.rand(5, 11) > 0.5
    both = bias.masked_fill(~mask, -torch.inf)
    ours, _ = scaled_dot_product_attention(q, k, v, mask, bias)
    torch_s = F.scaled_dot_product_attention(q, k, v, attn_mask=both)
    torch.testing.assert_close(ours, torch_s, atol=1e-12, rtol=0)
