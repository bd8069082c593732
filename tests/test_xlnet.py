"""XLNet against a causal model on the shuffled text, and who gets a gradient."""

import itertools

import pytest
import torch
from torch import nn

from dot2gpt.masking import causal_mask
from dot2gpt.transformer_xl import TransformerXLConfig, TransformerXLLayer
from dot2gpt.xlnet import (
    XLNet,
    XLNetConfig,
    XLNetLayer,
    permutation_masks,
    random_ranks,
)

PRECISION = [(torch.float32, 1e-5), (torch.float64, 1e-10)]
SIZES = dict(d_model=12, n_heads=3, n_layers=3, d_ff=17)


def small(dtype=torch.float64):
    """An XLNet, every weight random: zeros of u and v would hide a mistake."""
    torch.manual_seed(0)
    model = XLNet(XLNetConfig(11, **SIZES))
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.4)
    return model.to(dtype)


def one_answer(model, ids, known, place):
    """Logits for a place from the known ones in their order, and no others: a causal
    model on the shuffled text in which each token keeps its place. No rank, no mask of
    the module's."""
    where = torch.tensor(known)
    among, towards = where[:, None] - where, place - where[None]
    content, query = model.tokens(ids[where])[None], model.blank[None, None]
    past, all_of_them = causal_mask(len(known)), torch.ones(1, len(known)).bool()
    for layer in model.layers:
        query = layer(query, content, towards, all_of_them)
        content = layer(content, content, among, past)
    return model.head(query)[0, 0]


@pytest.mark.parametrize("dtype, atol", PRECISION)
def test_every_answer_is_that_of_a_causal_model_on_the_shuffled_text(dtype, atol):
    model = small(dtype)
    ids = torch.randint(11, (4,))
    for order in itertools.permutations(range(4)):
        logits = model(ids[None], torch.tensor(order).argsort()[None])[0]
        for turn in range(1, 4):
            want = one_answer(model, ids, list(order[:turn]), order[turn])
            torch.testing.assert_close(logits[order[turn]], want, atol=atol, rtol=atol)


def test_the_first_of_an_order_is_answered_from_nothing():
    model, ranks = small(), random_ranks(13, 5)
    logits = model(torch.randint(11, (13, 5)), ranks)[ranks == 0]
    torch.testing.assert_close(logits, logits[:1].expand(13, -1))
    alone = model(torch.tensor([[3]]), torch.tensor([[0]]))
    torch.testing.assert_close(alone[0], logits[:1])


def test_from_left_to_right_the_content_layer_is_transformer_xls():
    theirs = TransformerXLLayer(TransformerXLConfig(11, 0, **SIZES)).double()
    ours = XLNetLayer(XLNetConfig(11, **SIZES)).double()
    ours.load_state_dict(theirs.state_dict())
    x, place = torch.randn(2, 5, 12, dtype=torch.float64), torch.arange(5)
    content, _ = permutation_masks(place)
    got = ours(x, x, place[:, None] - place, content)
    torch.testing.assert_close(got, theirs(x))


def test_masks_of_a_batch_and_of_equal_ranks():
    ranks = torch.tensor([[1, 3, 0, 2], [0, 1, 1, 0]])
    content, query = permutation_masks(ranks)
    for row, i, j in itertools.product(range(2), range(4), range(4)):
        assert content[row, i, j] == (ranks[row, j] <= ranks[row, i])
        assert query[row, i, j] == (ranks[row, j] < ranks[row, i])
    assert content.dtype == query.dtype == torch.bool
    for whole, alone in zip((content, query), permutation_masks(ranks[1])):
        assert torch.equal(whole[1], alone)


def test_only_the_order_of_ranks_matters_not_their_size():
    model, ids, ranks = small(), torch.randint(11, (3, 7)), random_ranks(3, 7)
    torch.testing.assert_close(model(ids, ranks), model(ids, 5 * ranks - 100))


def test_places_of_equal_rank_are_answered_independently():
    model, ids = small(), torch.randint(11, (1, 6))
    ranks = torch.tensor([[0, 2, 1, 3, 2, 4]])
    before = model(ids, ranks)
    ids[0, 1] = (ids[0, 1] + 1) % 11
    moved = (model(ids, ranks) - before).abs().amax(-1)[0] > 1e-9
    assert moved.tolist() == [False, False, False, True, False, True]


def test_no_gradient_reaches_a_token_from_its_own_answer():
    model, ranks = small(), random_ranks(1, 6)
    model.tokens = nn.Identity()
    x = torch.randn(1, 6, 12, dtype=torch.float64, requires_grad=True)
    for place in range(6):
        answer = model(x, ranks)[0, place].square().sum()
        (gradient,) = torch.autograd.grad(answer, x)
        reached = gradient[0].abs().amax(-1) > 1e-12
        assert torch.equal(reached, ranks[0] < ranks[0, place])


def test_every_weight_learns():
    model = small()
    model(torch.arange(6)[None], random_ranks(1, 6)).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


def test_random_orders_are_even_and_repeat_with_their_generator():
    ranks = random_ranks(24_000, 4, torch.Generator().manual_seed(0))
    assert torch.equal(ranks.sort(-1)[0], torch.arange(4).expand(24_000, 4))
    _, counts = ranks.unique(dim=0, return_counts=True)
    assert len(counts) == 24
    width = 5 * (24_000 / 24 * 23 / 24) ** 0.5  # five standard deviations
    assert (counts - 1000).abs().max() < width
    assert torch.equal(ranks, random_ranks(24_000, 4, torch.Generator().manual_seed(0)))


@pytest.mark.parametrize(
    "change, words",
    [
        ({"d_model": 10}, "d_model=10 is not divisible by n_heads=3"),
        ({"vocab_size": 0}, "vocab_size=0 is not 1 or more"),
        ({"n_heads": 0}, "n_heads=0 is not 1 or more"),
        ({"n_layers": -1}, "n_layers=-1 is not 1 or more"),
        ({"d_ff": 0}, "d_ff=0 is not 1 or more"),
    ],
)
def test_sizes_that_cannot_be_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        XLNetConfig(**{"vocab_size": 11, **SIZES, **change})
