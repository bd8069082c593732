"""Gram matrices and cosines: against loops and torch, and what must not change."""

import pytest
import torch
import torch.nn.functional as F

from dot2gpt.dot_product import cosine_similarity, gram

DTYPES = [(torch.float32, 1e-5), (torch.float64, 1e-12)]
SHAPES = [(1, 3), (7, 5), (3, 7), (2, 3, 5), (2, 3, 5, 11)]


def rows(*shape, dtype=torch.float64, seed=0):
    return torch.randn(
        *shape, dtype=dtype, generator=torch.Generator().manual_seed(seed)
    )


@pytest.mark.parametrize("dtype, atol", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_gram_holds_the_dot_product_of_every_pair(shape, dtype, atol):
    x = rows(*shape, dtype=dtype)
    want = torch.stack([(x * row[..., None, :]).sum(-1) for row in x.unbind(-2)], -2)
    torch.testing.assert_close(gram(x), want, atol=atol, rtol=0)


def test_gram_of_the_sentence_by_hand():
    x = torch.tensor([[1.0, 2, 1, 2, 1], [1, 1, 3, 2, 1], [3, 1, 2, 1, 1]])
    assert gram(x).tolist() == [[11, 11, 10], [11, 16, 13], [10, 13, 16]]


@pytest.mark.parametrize("dtype, atol", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_cosine_agrees_with_torch(shape, dtype, atol):
    x = rows(*shape, dtype=dtype)
    want = F.cosine_similarity(x[..., :, None, :], x[..., None, :, :], dim=-1)
    torch.testing.assert_close(cosine_similarity(x), want, atol=atol, rtol=0)


def test_turning_all_vectors_changes_nothing():
    x, turn = rows(7, 5), torch.linalg.qr(rows(5, 5, seed=1)).Q
    torch.testing.assert_close(gram(x @ turn), gram(x))
    torch.testing.assert_close(cosine_similarity(x @ turn), cosine_similarity(x))


def test_length_changes_the_gram_matrix_and_not_the_cosine():
    x, lengths = rows(7, 5), torch.arange(1.0, 8.0, dtype=torch.float64)[:, None]
    torch.testing.assert_close(gram(lengths * x), lengths * gram(x) * lengths.T)
    torch.testing.assert_close(cosine_similarity(lengths * x), cosine_similarity(x))


def test_order_of_the_tokens_is_order_of_rows_and_columns():
    x, order = rows(5, 3), torch.tensor([2, 0, 4, 1, 3])
    for table in (gram, cosine_similarity):
        torch.testing.assert_close(table(x[order]), table(x)[order][:, order])


@pytest.mark.parametrize("table", [gram, cosine_similarity])
def test_gradients(table):
    assert torch.autograd.gradcheck(table, rows(2, 5, 3).requires_grad_())


@pytest.mark.parametrize("index, says", [((1,), r"x\[1\]"), ((1, 2), r"x\[1, 2\]")])
def test_a_row_of_zeros_has_no_cosine(index, says):
    x = torch.ones(*([3] * len(index)), 5)
    x[index] = 0
    with pytest.raises(ValueError, match=f"{says} is all zeros and has no direction"):
        cosine_similarity(x)
