"""softmax and attend against torch's own, and what the chapter says of them."""

import pytest
import torch
import torch.nn.functional as F

from dot2gpt.weighted_average import attend, softmax

DTYPES = {torch.float32: 1e-6, torch.float64: 1e-14}


def draw(*shape, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dim", [0, 1, 2, -1])
@pytest.mark.parametrize("size", [1, 30, 1000])
def test_softmax_is_torchs(dtype, dim, size):
    z = draw(2, 3, 5, dtype=dtype) * size
    got = softmax(z, dim)
    assert got.dtype == dtype
    torch.testing.assert_close(got, torch.softmax(z, dim), rtol=0, atol=DTYPES[dtype])


def test_softmax_has_the_gradient_of_the_formula():
    z = draw(3, 5).requires_grad_()
    assert torch.autograd.gradcheck(softmax, z)
    assert torch.autograd.gradcheck(lambda z: softmax(z, 0), z)
    p = softmax(z[0])
    want = torch.diag(p) - torch.outer(p, p)
    got = torch.autograd.functional.jacobian(softmax, z[0])
    torch.testing.assert_close(got, want)


def test_softmax_sees_only_differences():
    z = draw(5, 7)
    torch.testing.assert_close(softmax(z + 1e4), softmax(z), rtol=0, atol=1e-10)
    scores = torch.tensor([11.0, 11.0, 10.0])
    want = torch.tensor([0.4223, 0.4223, 0.1554])  # by hand in the lesson
    torch.testing.assert_close(softmax(scores), want, rtol=0, atol=5e-5)


def test_minus_infinity_gets_nothing_and_a_row_of_it_gives_zeros():
    inf = torch.inf
    z = torch.tensor([[0.0, -inf, 0.0], [-inf, -inf, -inf]], requires_grad=True)
    p = softmax(z)
    assert p.tolist() == [[0.5, 0.0, 0.5], [0.0, 0.0, 0.0]]
    (gradient,) = torch.autograd.grad((p * torch.arange(6.0).view(2, 3)).sum(), z)
    torch.testing.assert_close(
        gradient, torch.tensor([[-0.5, 0.0, 0.5], [0.0, 0.0, 0.0]])
    )


def test_softmax_leaves_its_argument_as_it_is():
    z = draw(3, 5)
    before = z.clone()
    softmax(z)
    assert torch.equal(z, before)


@pytest.mark.parametrize("dtype", DTYPES)
def test_attend_is_torchs_attention_without_the_scale(dtype):
    q, k = draw(2, 3, 5, 7, dtype=dtype), draw(2, 3, 11, 7, dtype=dtype, seed=1)
    v = draw(2, 3, 11, 13, dtype=dtype, seed=2)
    output, weights = attend(q, k, v)
    want = F.scaled_dot_product_attention(q, k, v, scale=1.0)
    torch.testing.assert_close(output, want, rtol=0, atol=10 * DTYPES[dtype])
    assert output.shape == (2, 3, 5, 13) and weights.shape == (2, 3, 5, 11)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, 5, dtype=dtype))


def test_keys_default_to_the_queries_and_values_to_the_keys():
    x, k = draw(5, 7), draw(3, 7, seed=1)
    for short, long in ((attend(x), attend(x, x, x)), (attend(x, k), attend(x, k, k))):
        assert torch.equal(short[0], long[0]) and torch.equal(short[1], long[1])
    torch.testing.assert_close(attend(x)[0], torch.softmax(x @ x.T, -1) @ x)


def test_attend_has_the_right_gradient():
    inputs = [t.requires_grad_() for t in (draw(3, 2), draw(5, 2), draw(5, 7))]
    assert torch.autograd.gradcheck(attend, inputs)


def test_one_token_keeps_its_vector():
    x = draw(1, 5)
    output, weights = attend(x)
    assert torch.equal(output, x) and weights.tolist() == [[1.0]]


def test_attend_moves_with_the_tokens():
    x = draw(11, 7)
    order = torch.randperm(11, generator=torch.Generator().manual_seed(0))
    output, weights = attend(x)
    shuffled, its_weights = attend(x[order])
    torch.testing.assert_close(shuffled, output[order])
    torch.testing.assert_close(its_weights, weights[order][:, order])
    assert not torch.allclose(shuffled, output, atol=1e-3)


def test_the_largest_distance_never_grows():
    for seed in range(20):
        x = draw(7, 3, seed=seed) * (1 + seed % 3)
        widths = []
        for _ in range(10):
            widths.append(torch.cdist(x, x).max().item())
            x = attend(x)[0]
        assert all(b <= a + 1e-12 for a, b in zip(widths, widths[1:], strict=False))
