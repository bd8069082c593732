"""Chapter 22 against PyTorch's and Hugging Face's own, and against its definitions."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import MixtralConfig
from transformers.models.mixtral.modeling_mixtral import (
    MixtralSparseMoeBlock,
    load_balancing_loss_func,
)

from dot2gpt.efficiency import (
    MixtureOfExperts,
    balance_loss,
    dequantise,
    judge,
    quantise,
    speculate,
    tiled_attention,
    window_mask,
)
from dot2gpt.gpt import GPT, GPTConfig
from dot2gpt.masking import causal_mask
from dot2gpt.page.weights import pack, unpack


def inputs(n_queries, n_keys, dtype=torch.float64, d_k=5, d_v=3, batch=(2, 3)):
    torch.manual_seed(n_queries + n_keys)
    sizes = (n_queries, d_k), (n_keys, d_k), (n_keys, d_v)
    return [torch.randn(*batch, *size, dtype=dtype) for size in sizes]


@pytest.mark.parametrize("tile", [1, 4, 7, 100])
@pytest.mark.parametrize("sizes", [(1, 1), (7, 7), (1, 13), (11, 29)])
@pytest.mark.parametrize("causal", [False, True])
def test_tiles_give_pytorchs_attention(sizes, tile, causal):
    q, k, v = inputs(*sizes)
    mask = causal_mask(*sizes) if causal else None
    want = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    got = tiled_attention(q, k, v, tile, causal)
    torch.testing.assert_close(got, want, rtol=0, atol=1e-14)
    got = tiled_attention(q.float(), k.float(), v.float(), tile, causal)
    torch.testing.assert_close(got, want.float(), rtol=0, atol=2e-6)


def test_tiles_take_scores_that_overflow():
    q, k, v = inputs(9, 9, torch.float32)
    want = F.scaled_dot_product_attention(1e4 * q, k, v)
    got = tiled_attention(1e4 * q, k, v, tile=2)
    torch.testing.assert_close(got, want, rtol=0, atol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_tiles_give_the_gradient(causal):
    q, k, v = (x.requires_grad_() for x in inputs(5, 7, batch=(2,)))
    assert torch.autograd.gradcheck(
        lambda *x: tiled_attention(*x, 3, causal), (q, k, v)
    )


class Made(TorchDispatchMode):
    """Notes the size of each result, and how many products of matrices there were."""

    largest = products = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.largest = max(self.largest, result.numel())
        self.products += function.__name__.startswith(("mm", "bmm"))
        return result


def test_no_tensor_is_as_large_as_the_table_and_no_tile_is_all_future():
    q, k, v = inputs(300, 300, batch=())
    for causal, tiles in ((False, 100), (True, 55)):
        with Made() as made:
            tiled_attention(q, k, v, 30, causal)
        assert made.largest == 900  # a tile, and the output
        assert made.products == 2 * tiles


@pytest.mark.parametrize(
    "change, said",
    [
        ({"tile": 0}, "tile=0"),
        ({"k": torch.ones(0, 5), "v": torch.ones(0, 3)}, "n_keys=0"),
        ({"q": torch.ones(9, 5), "causal": True}, "9 queries, but only 8 keys"),
    ],
)
def test_impossible_tiles_are_refused(change, said):
    q, k, v = inputs(8, 8, batch=())
    with pytest.raises(ValueError, match=said):
        tiled_attention(**{"q": q, "k": k, "v": v} | change)


@pytest.mark.parametrize("time, window, n_sinks", [(1, 1, 0), (9, 3, 0), (9, 2, 4)])
def test_a_window_shows_what_it_says(time, window, n_sinks):
    mask = window_mask(time, window, n_sinks)
    for query, key in itertools.product(range(time), repeat=2):
        near = query - window < key <= query
        assert mask[query, key] == (near or key < n_sinks and key <= query)


def test_a_wide_window_is_causal():
    assert torch.equal(window_mask(7, 7), causal_mask(7))
    for wrong in ({"window": 0}, {"window": 1, "n_sinks": -1}):
        with pytest.raises(ValueError, match="expected 1 or more"):
            window_mask(7, **wrong)


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("group", [None, 1, 3])
def test_a_code_is_at_most_half_a_step_away(bits, group):
    torch.manual_seed(bits)
    weight = 0.1 * torch.randn(5, 12, dtype=torch.float64)
    weight[2] = 0
    codes, scales = quantise(weight, bits, group)
    assert codes.dtype == torch.int8 and codes.shape == (
        5,
        12 // (group or 12),
        group or 12,
    )
    assert codes.abs().max() <= 2 ** (bits - 1) - 1
    error = (dequantise(codes, scales) - weight).abs().view(codes.shape)
    assert (error <= scales / 2 + 1e-12).all()
    top = (codes.abs() == 2 ** (bits - 1) - 1).any(-1)
    assert top[[0, 1, 3, 4]].all() and not codes[2].any()
    for got, want in zip(
        quantise(dequantise(codes, scales), bits, group), (codes, scales)
    ):
        torch.testing.assert_close(got, want)  # the second time changes nothing


def test_int8_is_what_the_page_stores():
    torch.manual_seed(0)
    model = GPT(GPTConfig(11, 8, 12, 2, 1))
    stored = dict(unpack(pack(model)).named_parameters())
    for name, weight in model.named_parameters():
        if weight.dim() == 2:
            rounded = dequantise(*quantise(weight.detach()))
            torch.testing.assert_close(rounded, stored[name].detach())


def test_what_cannot_be_quantised_is_refused():
    with pytest.raises(ValueError, match="bits=9 is not in 2 to 8"):
        quantise(torch.ones(2, 6), 9)
    with pytest.raises(ValueError, match="6 columns are not divisible by group=4"):
        quantise(torch.ones(2, 6), 4, 4)


def tables(n, vocab_size=4, seed=0):
    """Probabilities for n places and n + 1, some of them 0."""
    torch.manual_seed(seed)
    rows = torch.rand(2 * n + 1, vocab_size, dtype=torch.float64) ** 2
    rows[1, 0] = rows[n, 1] = 0
    rows = rows / rows.sum(-1, keepdim=True)
    return rows[: n + 1], rows[n + 1 :]


def test_the_text_is_distributed_as_the_targets():
    # Two tokens whose law is a table: p of the first, p of the second after it.
    torch.manual_seed(3)
    p, q = torch.rand(2, 5, 4, dtype=torch.float64).pow(2).softmax(-1)
    p[4, 0], q[4, 1] = 0, 0  # row 4 stands behind the prompt
    p, q = (x / x.sum(-1, keepdim=True) for x in (p, q))
    draw, counts, n = torch.Generator().manual_seed(0), torch.zeros(4, 4), 4000
    for _ in range(n):
        ids, _ = speculate(lambda i: p[i], lambda i: q[i], [4], 2, 3, draw)
        counts[ids[1], ids[2]] += 1
    law = p[4][:, None] * p[:4]
    possible = law > 0
    assert counts[~possible].sum() == 0
    chi = ((counts - n * law).square() / (n * law))[possible].sum()
    assert chi < 39.1  # 11 degrees of freedom: 1 in 20,000


def test_judging_one_draft_is_exact(monkeypatch):
    # Uniform numbers from a grid in place of random ones, and all that may be redrawn.
    p, q = tables(1)
    law, redrawn, n = torch.zeros(4, dtype=torch.float64), [], 1000

    def multinomial(weights, count, generator=None):
        redrawn.append(weights / weights.sum())
        return torch.tensor([-1])

    monkeypatch.setattr(torch, "multinomial", multinomial)
    for token, step in itertools.product(range(4), range(n)):
        uniform = torch.tensor((step + 0.5) / n, dtype=torch.float64)
        monkeypatch.setattr(torch, "rand", lambda *_, u=uniform, **__: u)
        first = judge(p, q, [token])[0]
        share = q[0, token] / n
        law += share * (redrawn[-1] if first < 0 else F.one_hot(torch.tensor(token), 4))
    torch.testing.assert_close(law, p[0], rtol=0, atol=2 / n)


def test_a_perfect_draft_is_always_kept_and_a_hopeless_one_never():
    p, _ = tables(3, seed=1)
    for seed in range(50):
        draw = torch.Generator().manual_seed(seed)
        drafted = [torch.multinomial(row, 1, generator=draw).item() for row in p[:3]]
        kept = judge(p, p[:3], drafted, draw)
        assert kept[:3] == drafted and len(kept) == 4 and p[3, kept[3]] > 0
    p, q = torch.tensor([[0.0, 1.0], [0.5, 0.5]]), torch.tensor([[1.0, 0.0]])
    assert judge(p, q, [0]) == [1]


def test_a_draft_that_rounding_alone_refuses_is_drawn_from_the_target(monkeypatch):
    p = torch.tensor([[0.0, 1.0], [0.0, 1.0]], dtype=torch.float64)
    q = torch.tensor([[0.0, 1.0 + 1e-9]], dtype=torch.float64)
    almost_1 = torch.tensor(1 - 1e-12, dtype=torch.float64)
    monkeypatch.setattr(torch, "rand", lambda *_, **__: almost_1)
    assert judge(p, q, [1]) == [1]


def test_passes_are_counted_and_the_length_is_exact():
    p, _ = tables(3, seed=2)

    def model(ids):
        return p[torch.tensor(ids) % 4]

    for n_drafts, passes in ((0, 7), (1, 4), (3, 2), (6, 1), (9, 1)):
        ids, found = speculate(model, model, [1, 2], 7, n_drafts)
        assert ids[:2] == [1, 2] and len(ids) == 9 and found == passes
    assert speculate(model, model, [1], 0) == ([1], 0)
    for wrong in (([], 1, 1), ([1], 1, -1)):
        with pytest.raises(ValueError, match="expected 1 or more"):
            speculate(model, model, *wrong)


@pytest.mark.parametrize("top_k", [1, 2, 4])
def test_the_balance_loss_is_hugging_faces(top_k):
    torch.manual_seed(top_k)
    scores = torch.randn(23, 4)
    shares = scores.softmax(-1)
    chosen = shares.topk(top_k).indices
    want = load_balancing_loss_func((scores,), 4, top_k)
    torch.testing.assert_close(balance_loss(shares, chosen), want)
    even = torch.full((8, 4), 0.25)
    assert balance_loss(even, torch.arange(8)[:, None] % 4).item() == 1


@pytest.mark.parametrize("top_k", [2, 3])
def test_a_mixture_is_mixtrals(top_k):
    torch.manual_seed(top_k)
    theirs = MixtralSparseMoeBlock(
        MixtralConfig(
            hidden_size=6,
            intermediate_size=10,
            num_local_experts=4,
            num_experts_per_tok=top_k,
        )
    ).eval()
    for weight in theirs.parameters():
        torch.nn.init.normal_(weight)
    ours = MixtureOfExperts(6, 10, 4, top_k, noise=3.0).eval()
    gates = theirs.experts.gate_up_proj.detach().chunk(2, 1)
    with torch.no_grad():
        ours.router.weight.copy_(theirs.gate.weight)
        for n, expert in enumerate(ours.experts):
            expert.gate.weight.copy_(gates[0][n])
            expert.widen.weight.copy_(gates[1][n])
            expert.narrow.weight.copy_(theirs.experts.down_proj[n])
    x = torch.randn(2, 7, 6)
    want = theirs(x)
    want = want[0] if isinstance(want, tuple) else want
    torch.testing.assert_close(ours(x)[0], want, rtol=1e-4, atol=1e-4)


def test_one_expert_is_scaled_and_its_router_learns():
    torch.manual_seed(0)
    model, x = MixtureOfExperts(6, 10, 3), torch.randn(5, 6)
    shares, factors, chosen = model.route(x)
    want = [f * model.experts[n](t) for t, f, n in zip(x, factors, chosen.flatten())]
    torch.testing.assert_close(model(x)[0], torch.stack(want))
    torch.testing.assert_close(factors.flatten(), shares.amax(-1))
    model(x)[0].sum().backward()
    assert model.router.weight.grad.abs().max() > 0


def test_noise_is_for_training():
    torch.manual_seed(0)
    model, x = MixtureOfExperts(6, 10, 8, noise=5.0), torch.randn(40, 6)
    assert not torch.equal(model.route(x)[2], model.route(x)[2])
    model.eval()
    assert torch.equal(model.route(x)[2], model.route(x)[2])
    with pytest.raises(ValueError, match="top_k=4 is not in 1 to n_experts=3"):
        MixtureOfExperts(6, 10, 3, 4)
