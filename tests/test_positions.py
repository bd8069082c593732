"""Positions against the paper's formulas, and what they promise about distances."""

import math

import pytest
import torch

from dot2gpt.masking import causal_mask, leak_test
from dot2gpt.multi_head import MultiHeadAttention
from dot2gpt.positions import (
    LearnedPositions,
    RotaryAttention,
    alibi_bias,
    rotary,
    sinusoidal_positions,
)

PRECISION = [(torch.float32, 1e-5), (torch.float64, 1e-10)]


@pytest.mark.parametrize("time, d_model", [(16, 64), (1, 2), (7, 10), (0, 4)])
def test_the_sinusoidal_table_is_the_formula(time, d_model):
    want = torch.zeros(time, d_model)
    for p in range(time):
        for i in range(d_model // 2):
            angle = p / 10000 ** (2 * i / d_model)
            want[p, 2 * i], want[p, 2 * i + 1] = math.sin(angle), math.cos(angle)
    table = sinusoidal_positions(time, d_model)
    assert table.dtype == torch.float32
    torch.testing.assert_close(table, want, atol=1e-6, rtol=0)


def test_far_positions_keep_their_digits():
    row = sinusoidal_positions(100_001, 64)[-1]
    want = [100_000 / 10000 ** (2 * i / 64) for i in range(32)]
    want = [f(angle) for angle in want for f in (math.sin, math.cos)]
    torch.testing.assert_close(row, torch.tensor(want), atol=1e-6, rtol=0)


def test_similarity_depends_on_distance_and_rises_first_at_six():
    table = sinusoidal_positions(129, 64).double()
    gram = table @ table.T
    for distance in (1, 5, 40):
        diagonal = gram.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal))
    rises = (gram[0].diff() > 0).nonzero().flatten() + 1
    assert (rises[0].item(), len(rises)) == (6, 49)


def test_learned_positions_are_added_row_by_row_and_learn():
    learned = LearnedPositions(11, 6)
    x = torch.randn(2, 7, 6)
    out = learned(x)
    torch.testing.assert_close(out - x, learned.table[:7].expand(2, 7, 6))
    out.sum().backward()
    assert torch.equal(learned.table.grad[:7], torch.full((7, 6), 2.0))
    assert torch.equal(learned.table.grad[7:], torch.zeros(4, 6))
    assert learned(torch.randn(2, 11, 6)).shape == (2, 11, 6)


@pytest.mark.parametrize("dtype, atol", PRECISION)
@pytest.mark.parametrize("base", [10_000.0, 500.0])
def test_rotary_multiplies_complex_numbers(dtype, atol, base):
    torch.manual_seed(0)
    x = torch.randn(2, 3, 7, 10, dtype=dtype)
    positions = torch.tensor([0, 1, 2, 5, 11, 100, 1000])
    angles = positions[:, None] / base ** (torch.arange(0, 10, 2).double() / 10)
    z = torch.view_as_complex(x.double().unflatten(-1, (5, 2)))
    want = torch.view_as_real(z * torch.exp(1j * angles)).flatten(-2)
    got = rotary(x, positions, base)
    assert got.dtype == dtype
    torch.testing.assert_close(got.double(), want, atol=atol, rtol=0)
    torch.testing.assert_close(got.norm(dim=-1), x.norm(dim=-1))


@pytest.mark.parametrize("dtype, atol", PRECISION)
def test_rotary_scores_depend_on_the_distance_alone(dtype, atol):
    torch.manual_seed(0)
    q, k = torch.randn(2, 1, 12, dtype=dtype).expand(2, 9, 12)

    def scores(start):
        at = torch.arange(start, start + 9)
        return rotary(q, at) @ rotary(k, at).T

    toeplitz = scores(0)
    torch.testing.assert_close(toeplitz[1:, 1:], toeplitz[:-1, :-1], atol=atol, rtol=0)
    torch.testing.assert_close(scores(50), toeplitz, atol=atol, rtol=0)
    assert toeplitz[0].std() > 0.1  # it does depend on the distance


def test_rotary_lets_gradients_through():
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: rotary(x, torch.arange(3)), x)


@pytest.mark.parametrize("dtype, atol", PRECISION)
def test_rotary_attention_is_attention_with_turned_queries_and_keys(dtype, atol):
    torch.manual_seed(0)
    attention = RotaryAttention(12, 3).to(dtype)
    x, mask = torch.randn(2, 5, 12, dtype=dtype), causal_mask(5)
    q, k, v = MultiHeadAttention.project(attention, x, x, x)
    at = torch.arange(5)
    heads = torch.nn.functional.scaled_dot_product_attention(
        rotary(q, at), rotary(k, at), v, attn_mask=mask
    )
    want = attention.w_o(heads.transpose(1, 2).flatten(2))
    torch.testing.assert_close(attention(x, mask=mask)[0], want, atol=atol, rtol=0)
    assert [*attention.state_dict()] == [*MultiHeadAttention(12, 3).state_dict()]


def test_rotary_attention_of_the_newest_queries_is_that_of_the_whole():
    attention = RotaryAttention(12, 3).double()
    x = torch.randn(2, 7, 12, dtype=torch.float64)
    whole = attention(x, mask=causal_mask(7))[0]
    for n in (1, 3):
        newest = attention(x[:, -n:], x, mask=causal_mask(n, 7))[0]
        torch.testing.assert_close(newest, whole[:, -n:])
    assert (whole - MultiHeadAttention.forward(attention, x)[0]).abs().max() > 1e-3


def test_rotary_attention_tells_orders_apart_and_does_not_leak():
    torch.manual_seed(0)
    attention = RotaryAttention(12, 3).double()
    x = torch.randn(5, 12, dtype=torch.float64)
    order = [4, 3, 2, 1, 0]
    plain = MultiHeadAttention(12, 3).double()
    torch.testing.assert_close(plain(x[None, order])[0], plain(x[None])[0][:, order])
    gap = attention(x[None, order])[0] - attention(x[None])[0][:, order]
    assert gap.abs().max() > 1e-3
    assert leak_test(lambda x: attention(x[None], mask=causal_mask(5))[0][0], x) == []


def test_alibi_takes_off_the_distance_times_a_slope():
    bias = alibi_bias(8, 4)
    assert bias.shape == (8, 4, 4)
    slopes = [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128, 1 / 256]
    torch.testing.assert_close(-bias[:, 3, 2], torch.tensor(slopes))
    assert bias[0].tolist() == [
        [0.0, -0.5, -1.0, -1.5],
        [-0.5, 0.0, -0.5, -1.0],
        [-1.0, -0.5, 0.0, -0.5],
        [-1.5, -1.0, -0.5, 0.0],
    ]
    torch.testing.assert_close(alibi_bias(3, 2, 7), alibi_bias(3, 7)[:, -2:])


def test_alibi_is_added_to_the_scores_of_its_own_head():
    torch.manual_seed(0)
    attention = MultiHeadAttention(12, 3).double()
    x, mask = torch.randn(2, 5, 12, dtype=torch.float64), causal_mask(5)
    q, k, _ = attention.project(x, x, x)
    bias = alibi_bias(3, 5).double()
    scores = (q @ k.transpose(-2, -1) / 2 + bias).masked_fill(~mask, -torch.inf)
    weights = attention(x, mask=mask, bias=bias)[1]
    torch.testing.assert_close(weights, scores.softmax(-1))


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: sinusoidal_positions(5, 7), "d_model=7 is odd: .* in pairs"),
        (lambda: sinusoidal_positions(5, 1), "d_model=1 is odd"),
        (lambda: rotary(torch.zeros(3, 5), torch.arange(3)), "d_k=5 is odd"),
        (
            lambda: LearnedPositions(64, 6)(torch.zeros(2, 70, 6)),
            "time=70, but there are only 64 positions",
        ),
        (lambda: alibi_bias(2, 5, 3), "5 queries, but only 3 keys"),
        (
            lambda: RotaryAttention(8, 2)(torch.zeros(1, 5, 8), torch.zeros(1, 3, 8)),
            "5 queries, but only 3 keys",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_its_numbers(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("n_heads", [1, 2, 3, 5, 8, 12, 16, 112])
def test_alibi_slopes_are_those_of_the_authors_for_any_number_of_heads(n_heads):
    from transformers.models.bloom.modeling_bloom import build_alibi_tensor

    theirs = build_alibi_tensor(torch.ones(1, 2), n_heads, torch.float32)[:, 0, 1]
    torch.testing.assert_close(-alibi_bias(n_heads, 2)[:, 1, 0], theirs)
