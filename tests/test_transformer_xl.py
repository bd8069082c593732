"""Transformer-XL against its definition: loops, and one long text read at once."""

import pytest
import torch
from torch import nn

from dot2gpt.masking import causal_mask, influence, leak_test
from dot2gpt.positions import sinusoidal_positions
from dot2gpt.transformer_xl import (
    RelativeAttention,
    TransformerXL,
    TransformerXLConfig,
    TransformerXLLayer,
    distance_codes,
)

PRECISION = [(torch.float32, 1e-5), (torch.float64, 1e-10)]


def randomise(module):
    """Random weights, u and v too: their zeros would hide a mistake."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.4)
    return module


def distances(n_queries, n_keys):
    place = torch.arange(n_keys)
    return place[n_keys - n_queries :, None] - place


def small(memory_length=0, **changes):
    sizes = dict(d_model=12, n_heads=3, n_layers=2, d_ff=17) | changes
    config = TransformerXLConfig(11, memory_length, **sizes)
    return randomise(TransformerXL(config)).double()


def read(model, ids, segment):
    """Logits of a text read in segments, and the last memory."""
    logits, memory = [], None
    for piece in ids.split(segment, dim=1):
        some, memory = model(piece, memory)
        logits.append(some)
    return torch.cat(logits, dim=1), memory


def close(got, want, atol=1e-10):
    torch.testing.assert_close(got, want, atol=atol, rtol=0)


def test_codes_of_distances_are_the_positions_and_their_mirror_image():
    table = sinusoidal_positions(8, 10)
    got = distance_codes(torch.tensor([7, 0, 3]), 10)
    assert torch.equal(got, table[[7, 0, 3]])
    mirrored = distance_codes(torch.tensor([-7, -1]), 10)
    assert torch.equal(mirrored[:, 0::2], -table[[7, 1], 0::2])
    assert torch.equal(mirrored[:, 1::2], table[[7, 1], 1::2])


def four_terms(attention, query, key, distance):
    """The scores of one text by the paper's sum, one pair at a time."""
    n_heads, d_k = attention.n_heads, query.shape[-1] // attention.n_heads
    scores = query.new_zeros(n_heads, *distance.shape)
    for h in range(n_heads):
        rows = slice(h * d_k, (h + 1) * d_k)
        w_q, w_k, w_r = (
            w.weight[rows] for w in (attention.w_q, attention.w_k, attention.w_r)
        )
        u, v = attention.u[h, 0], attention.v[h, 0]
        for i, x in enumerate(query):
            for j, y in enumerate(key):
                code = distance_codes(distance[i, j][None], len(x))[0].to(x.dtype)
                q, k, r = w_q @ x, w_k @ y, w_r @ code
                scores[h, i, j] = (q @ k + q @ r + u @ k + v @ r) / d_k**0.5
    return scores


@pytest.mark.parametrize("dtype, atol", PRECISION)
@pytest.mark.parametrize("n_queries, n_keys", [(3, 7), (5, 5), (1, 4), (1, 1)])
@pytest.mark.parametrize("causal", [True, False])
def test_the_scores_are_the_four_term_sum(dtype, atol, n_queries, n_keys, causal):
    attention = randomise(RelativeAttention(12, 3)).to(dtype)
    key = torch.randn(2, n_keys, 12, dtype=dtype)
    query, distance = key[:, n_keys - n_queries :], distances(n_queries, n_keys)
    mask = distance >= 0 if causal else None
    output, weights = attention(query, key, distance, mask)
    for row in range(2):
        scores = four_terms(attention, query[row], key[row], distance)
        if causal:
            scores = scores.masked_fill(~causal_mask(n_queries, n_keys), -torch.inf)
        want = scores.softmax(-1)
        close(weights[row], want, atol)
        values = attention.w_v(key[row]).unflatten(-1, (3, 4)).transpose(0, 1)
        mixed = (want @ values).transpose(0, 1).flatten(1)
        close(output[row], attention.w_o(mixed), atol)


def test_any_table_of_distances_is_taken():
    attention = randomise(RelativeAttention(12, 3)).double()
    x = torch.randn(1, 4, 12, dtype=torch.float64)
    distance = torch.tensor([[2, -3, 0, 9], [5, 5, 5, 5]])
    weights = attention(x[:, :2], x, distance)[1][0]
    close(weights, four_terms(attention, x[0, :2], x[0], distance).softmax(-1))


def test_moving_all_places_changes_nothing_and_their_order_something():
    attention = randomise(RelativeAttention(12, 3)).double()
    x = torch.randn(2, 5, 12, dtype=torch.float64)
    distance = distances(5, 5)
    output = attention(x, x, distance)[0]
    order = torch.tensor([3, 0, 4, 1, 2])  # tokens move together with their places
    moved = attention(x[:, order], x[:, order], distance[order][:, order])[0]
    close(moved, output[:, order])
    assert (attention(x[:, order], x[:, order], distance)[0] - moved).abs().max() > 1e-3


def test_gradients_of_the_attention_are_right():
    attention = randomise(RelativeAttention(4, 2)).double()
    x = torch.randn(1, 4, 4, dtype=torch.float64, requires_grad=True)
    mask = distances(2, 4) >= 0

    def run(x, u, v):
        weights = {"u": u, "v": v}
        args = x[:, 2:], x, distances(2, 4), mask
        return torch.func.functional_call(attention, weights, args)[0]

    u, v = (p.detach().clone().requires_grad_() for p in (attention.u, attention.v))
    assert torch.autograd.gradcheck(run, (x, u, v))


@pytest.mark.parametrize("dtype, atol", PRECISION)
@pytest.mark.parametrize("segment", [8, 5, 1])
def test_a_memory_of_everything_equals_one_long_text(dtype, atol, segment):
    model = small(memory_length=64).to(dtype)
    ids = torch.randint(11, (2, 24))
    whole, _ = model(ids)
    close(read(model, ids, segment)[0], whole, atol)


def test_a_memory_equals_recomputing_the_long_text_with_gradients_stopped():
    model = small(memory_length=3)
    ids = torch.randint(11, (2, 12))
    read(model, ids, 4)[0][:, 8:].square().sum().backward()
    got = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    # One pass over all 12 tokens: each layer sees what who-sees-whom allows, and
    # queries of the last segment see its own states alive, older ones detached.
    place = torch.arange(12)
    start = (place // 4 * 4)[:, None]
    seen = (place <= place[:, None]) & (place >= start - 3)
    x = model.tokens(ids)
    for layer in model.layers:

        def attend(x, layer=layer):
            old = layer.attention(x, x.detach(), distances(12, 12), seen)[0]
            keys = torch.cat([x[:, :8].detach(), x[:, 8:]], dim=1)
            new = layer.attention(x[:, 8:], keys, distances(4, 12), seen[8:])[0]
            return torch.cat([old[:, :8], new], dim=1)

        x = layer.around_attention(x, attend)
        x = layer.around_feed_forward(x, layer.feed_forward)
    logits = model.head(x)
    close(logits.detach(), read(model, ids, 4)[0].detach())
    # The older states are constants for the last segment: only its rows are summed,
    # and x[:, :8] enters them detached alone.
    logits[:, 8:].square().sum().backward()
    for name, parameter in model.named_parameters():
        close(parameter.grad, got[name], 1e-8)


def test_without_memory_each_segment_is_read_as_the_first():
    model = small(memory_length=0)
    ids = torch.randint(11, (2, 12))
    logits, memory = read(model, ids, 4)
    for start in (0, 4, 8):
        close(logits[:, start : start + 4], model(ids[:, start : start + 4])[0])
    assert [m.shape for m in memory] == [(2, 0, 12)] * 2


def test_the_memory_holds_the_last_inputs_of_each_layer_across_segments():
    model = small(memory_length=7)
    ids = torch.randint(11, (2, 9))
    memory = read(model, ids, 3)[1]
    close(memory[0], model.tokens(ids)[:, -7:].detach())
    assert not any(m.requires_grad for m in memory)
    long = small(memory_length=64)
    inputs = read(long, ids, 3)[1]  # everything, layer by layer
    first = long.layers[0](long.tokens(ids))
    close(inputs[1], first.detach())
    assert [m.shape[1] for m in inputs] == [9, 9]


class LetsThrough(TransformerXL):
    def remember(self, x, before):
        states = x if before is None else torch.cat([before, x], dim=1)
        return states[:, max(0, states.shape[1] - self.config.memory_length) :]


def dependence(kind, memory_length, n_layers, segment=4, time=20):
    model = kind(TransformerXLConfig(3, memory_length, 6, 1, n_layers, 5))
    model = randomise(model).double()
    model.tokens = nn.Identity()  # the ids are vectors
    x = torch.randn(time, 6, dtype=torch.float64)
    return influence(lambda x: read(model, x[None], segment)[0][0], x) > 0


@pytest.mark.parametrize("memory_length, n_layers", [(4, 1), (4, 3), (8, 2), (0, 3)])
def test_the_reach_is_layers_times_memory(memory_length, n_layers):
    depends = dependence(LetsThrough, memory_length, n_layers)
    place = torch.arange(20)
    first = (place // 4 * 4 - n_layers * memory_length)[:, None]
    assert torch.equal(depends, (place >= first) & (place <= place[:, None]))


def test_gradients_stay_in_the_segment_and_nothing_leaks():
    learns = dependence(TransformerXL, 8, 2)
    place = torch.arange(20)
    same = place // 4 == (place // 4)[:, None]
    assert torch.equal(learns, same & (place <= place[:, None]))
    layer = randomise(TransformerXLLayer(small().config)).double()
    x, before = torch.randn(2, 5, 12, dtype=torch.float64)
    assert leak_test(lambda x: layer(x[None], before[None])[0], x) == []


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: RelativeAttention(64, 5), "d_model=64 is not divisible by n_heads=5"),
        (lambda: RelativeAttention(64, 0), "n_heads=0"),
        (lambda: TransformerXLConfig(11, -1), "memory_length=-1 is not 0 or more"),
        (lambda: TransformerXLConfig(0, 4), "vocab_size=0 is not 1 or more"),
        (lambda: TransformerXLConfig(5, 4, n_layers=0), "n_layers=0 is not 1 or more"),
        (
            lambda: TransformerXLConfig(5, 4, d_model=14),
            "d_model=14 is not divisible by n_heads=4",
        ),
        (
            lambda: small()(torch.zeros(1, 2).long(), [torch.zeros(1, 2, 12)] * 3),
            "a memory of 3 layers, but the model has 2",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_its_numbers(call, words):
    with pytest.raises(ValueError, match=words):
        call()
