"""ALBERT beyond tests/test_family.py: both heads, sharing, swapped pairs, refusals."""

import pytest
import torch
from transformers import AlbertConfig, AlbertForPreTraining

from dot2gpt.albert import ALBERT, ALBERTConfig, ALBERTForPreTraining, swap_pairs
from dot2gpt.bert import rename
from dot2gpt.masking import padding_mask

CONFIG = ALBERTConfig(23, 17, d_embedding=5, d_model=12, n_heads=3, n_layers=3, d_ff=31)


@pytest.mark.parametrize("dtype, atol", [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_both_heads_equal_hugging_face(dtype, atol):
    torch.manual_seed(0)
    c = CONFIG
    theirs = AlbertForPreTraining(
        AlbertConfig(
            vocab_size=c.vocab_size, embedding_size=c.d_embedding,
            hidden_size=c.d_model, num_hidden_layers=c.n_layers,
            num_attention_heads=c.n_heads,
            intermediate_size=c.d_ff, max_position_embeddings=c.context_length,
            hidden_dropout_prob=0, attention_probs_dropout_prob=0,
            classifier_dropout_prob=0,
        )
    )  # fmt: skip
    with torch.no_grad():
        for weight in theirs.parameters():
            weight.normal_(std=0.3)
    theirs = theirs.to(dtype)
    state = theirs.state_dict()
    ours = ALBERTForPreTraining(c).to(dtype)
    body = {n: t for n, t in state.items() if n.startswith("albert.")}
    ours.albert = ALBERT.from_hugging_face(body, c).to(dtype)
    names = {
        "predictions.dense": "dense",
        "predictions.LayerNorm": "norm",
        "predictions.bias": "bias",
    }
    head = {n: t for n, t in state.items() if n.startswith(tuple(names))}
    ours.masked_token.load_state_dict(rename(head, names))
    ours.order.load_state_dict(theirs.sop_classifier.classifier.state_dict())
    ids, segments = torch.randint(0, 23, (2, 11)), torch.randint(0, 2, (2, 11))
    want = theirs(ids, token_type_ids=segments)
    tokens, order = ours(ids, segments)
    torch.testing.assert_close(
        tokens, want.prediction_logits, atol=10 * atol, rtol=atol
    )
    torch.testing.assert_close(order, want.sop_logits, atol=10 * atol, rtol=atol)


def test_depth_costs_no_weights():
    sizes = {
        sum(
            p.numel()
            for p in ALBERT(ALBERTConfig(23, 17, 5, 12, 3, n, 31)).parameters()
        )
        for n in (1, 2, 7)
    }
    assert len(sizes) == 1


def test_the_head_has_no_table_of_its_own():
    model = ALBERTForPreTraining(CONFIG)
    tables = [p for p in model.parameters() if tuple(p.shape) in {(23, 5), (23, 12)}]
    assert len(tables) == 1
    tokens, _ = model(torch.zeros(2, 7, dtype=torch.long))
    tokens.square().sum().backward()
    untouched = model.albert.embedding.token.weight.grad[1:]  # read by the head alone
    assert (untouched.abs().sum(1) > 0).all()


def test_every_use_adds_to_the_gradient():
    torch.manual_seed(0)
    model = ALBERT(CONFIG).double()
    ids = torch.randint(0, 23, (2, 7))
    weight = model.layer.feed_forward.widen.weight
    readout = torch.randn(2, 7, 12)  # squares add to a constant after a norm
    (model(ids) * readout.double()).sum().backward()
    x = model.widen(model.embedding(ids)).detach()
    copies = [weight.detach().clone().requires_grad_() for _ in range(3)]
    for copy in copies:
        x = torch.func.functional_call(
            model.layer, {"feed_forward.widen.weight": copy}, (x,)
        )
    each = torch.autograd.grad((x * readout.double()).sum(), copies)
    torch.testing.assert_close(weight.grad, sum(each), atol=1e-10, rtol=1e-9)
    assert all(g.abs().max() > 1e-3 for g in each)


def test_a_padded_batch_equals_the_sequences_alone():
    torch.manual_seed(0)
    model, lengths = ALBERT(CONFIG).double(), [11, 7]
    ids = torch.randint(0, 23, (2, 11))
    out = model(ids, mask=padding_mask(lengths, 11))
    for i, n in enumerate(lengths):
        alone = model(ids[i : i + 1, :n])[0]
        torch.testing.assert_close(out[i, :n], alone, atol=1e-12, rtol=0)


@pytest.mark.parametrize("seed", range(5))
def test_half_of_the_pairs_are_swapped_and_said_to_be(seed):
    first = torch.arange(9001)[:, None] * 10 + torch.arange(3)
    second, before = first + 5, first.clone()
    a, b, swapped = swap_pairs(first, second, torch.Generator().manual_seed(seed))
    assert swapped.dtype == torch.bool
    assert torch.equal(a[swapped], second[swapped])
    assert torch.equal(b[swapped], first[swapped])
    assert torch.equal(a[~swapped], first[~swapped])
    assert torch.equal(b[~swapped], second[~swapped])
    assert torch.equal(first, before)
    four_sigma = 4 * (9001 / 4) ** 0.5
    assert abs(swapped.sum() - 9001 / 2) < four_sigma
    assert abs((swapped[1:] != swapped[:-1]).sum() - 4500) < four_sigma
    again = swap_pairs(first, second, torch.Generator().manual_seed(seed))[2]
    assert torch.equal(swapped, again)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"d_model": 10}, "d_model=10 is not divisible by n_heads=3"),
        ({"d_embedding": 0}, "d_embedding=0 is not 1 or more"),
        ({"n_layers": -1}, "n_layers=-1 is not 1 or more"),
    ],
)
def test_sizes_that_cannot_be_are_refused(change, words):
    sizes = {"vocab_size": 23, "context_length": 17, "d_model": 12, "n_heads": 3}
    with pytest.raises(ValueError, match=words):
        ALBERTConfig(**sizes | change)


def test_ids_and_weights_that_do_not_fit_are_refused():
    model = ALBERT(CONFIG)
    with pytest.raises(ValueError, match="token id 23 has no row in a table of 23"):
        model(torch.full((1, 3), 23))
    with pytest.raises(ValueError, match="time=18, .* only 17 positions"):
        model(torch.zeros(1, 18, dtype=torch.long))
    with pytest.raises(RuntimeError, match="widen.weight"):
        ALBERT.from_hugging_face({}, CONFIG)
