"""Chapter 03: one attention head against PyTorch's own."""

import pytest
import torch
from torch.nn import functional as F

from dot2gpt.query_key_value import SelfAttention

DTYPES = [torch.float32, torch.float64]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


def head_and_tokens(dtype, shape=(2, 5, 11), d_k=7, d_v=3):
    torch.manual_seed(0)
    head = SelfAttention(shape[-1], d_k, d_v).to(dtype)
    return head, torch.randn(shape, dtype=dtype, requires_grad=True)


def by_torch(head, x):
    q, k, v = (x @ w.weight.T for w in (head.w_q, head.w_k, head.w_v))
    return F.scaled_dot_product_attention(q, k, v, scale=1.0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 11), (5, 11), (2, 5, 11), (2, 3, 5, 11)])
def test_output_equals_torch_without_its_scale(dtype, shape):
    head, x = head_and_tokens(dtype, shape)
    output, weights = head(x)
    assert output.shape == (*shape[:-1], 3) and output.dtype == dtype
    assert weights.shape == (*shape[:-1], shape[-2])
    torch.testing.assert_close(
        output, by_torch(head, x), atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype]
    )
    torch.testing.assert_close(weights.sum(-1), torch.ones(shape[:-1], dtype=dtype))


def test_gradients_equal_torch():
    head, x = head_and_tokens(torch.float64)
    parameters = [x, *head.parameters()]
    ours = torch.autograd.grad(head(x)[0].square().sum(), parameters)
    theirs = torch.autograd.grad(by_torch(head, x).square().sum(), parameters)
    torch.testing.assert_close(ours, theirs)


def test_gradients_equal_finite_differences():
    head, x = head_and_tokens(torch.float64, (3, 5), 2, 4)
    assert torch.autograd.gradcheck(head, (x,))


def test_permuted_tokens_give_permuted_outputs():
    head, x = head_and_tokens(torch.float64)
    order = torch.tensor([3, 0, 4, 2, 1])
    output, weights = head(x)
    moved, moved_weights = head(x[:, order])
    torch.testing.assert_close(moved, output[:, order])
    torch.testing.assert_close(moved_weights, weights[:, order][:, :, order])


def test_rows_are_queries():
    head, x = head_and_tokens(torch.float64, (5, 11))
    want = torch.softmax(head.w_q(x) @ head.w_k(x).T, dim=-1)
    torch.testing.assert_close(head(x)[1], want)


def test_scores_depend_on_the_product_of_the_two_matrices_alone():
    head, x = head_and_tokens(torch.float64)
    before = head(x)[1]
    a = torch.randn(7, 7, dtype=torch.float64) + 3 * torch.eye(7)
    with torch.no_grad():
        head.w_k.weight.copy_(a.T @ head.w_k.weight)
        head.w_q.weight.copy_(torch.linalg.inv(a) @ head.w_q.weight)
    torch.testing.assert_close(head(x)[1], before)


def test_d_v_is_d_k_if_left_out_and_there_are_no_biases():
    shapes = [tuple(p.shape) for p in SelfAttention(11, 7).parameters()]
    assert shapes == [(7, 11), (7, 11), (7, 11)]
    assert SelfAttention(11, 7, 3)(torch.zeros(5, 11))[0].shape == (5, 3)


def test_tokens_of_another_size_are_refused():
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        SelfAttention(11, 7)(torch.zeros(5, 7))
