"""T5's parts: what test_family.py, which compares with Hugging Face, leaves out."""

import math

import pytest
import torch
from torch import nn

from dot2gpt.block import LayerNorm
from dot2gpt.masking import leak_test, padding_mask
from dot2gpt.t5 import (
    T5,
    RelativeBias,
    RMSNorm,
    T5Config,
    corrupt_spans,
    random_parts,
    relative_bucket,
    restore_spans,
)

SIZES = {"vocab_size": 23, "d_model": 12, "n_heads": 3, "n_layers": 2, "d_ff": 31}


def small_t5(**change):
    torch.manual_seed(0)
    model = T5(T5Config(**SIZES | change)).double()
    for weight in model.parameters():
        nn.init.normal_(weight, std=0.3)
    return model


@pytest.mark.parametrize("dtype, atol", [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_rms_norm_and_its_gradients_equal_torch(dtype, atol):
    torch.manual_seed(0)
    x = (3 * torch.randn(5, 7, 11)).to(dtype)
    ours, theirs = RMSNorm(11).to(dtype), nn.RMSNorm(11, eps=1e-6).to(dtype)
    nn.init.normal_(ours.weight)
    theirs.load_state_dict(ours.state_dict())
    inputs = x.clone().requires_grad_(), x.clone().requires_grad_()
    results = [norm(i) for norm, i in zip((ours, theirs), inputs)]
    torch.testing.assert_close(*results, atol=atol, rtol=0)
    for result in results:
        result.square().sum().backward()
    torch.testing.assert_close(
        *(i.grad for i in inputs), atol=20 * atol, rtol=20 * atol
    )
    torch.testing.assert_close(
        ours.weight.grad, theirs.weight.grad, atol=1e3 * atol, rtol=0
    )


def test_rms_norm_is_a_layer_norm_where_the_mean_is_0():
    x = torch.randn(5, 12, dtype=torch.float64)
    centred = x - x.mean(-1, keepdim=True)
    rms, layer = RMSNorm(12).double(), LayerNorm(12, eps=1e-6).double()
    torch.testing.assert_close(rms(centred), layer(x))
    assert (rms(x) - layer(x)).abs().max() > 0.01
    assert torch.equal(rms(torch.zeros(2, 12).double()), torch.zeros(2, 12).double())


def test_buckets_by_hand():
    distance = torch.tensor([[0, -3, 3, -7], [-8, -16, 16, -10_000]])
    both = [[0, 3, 19, 7], [8, 10, 26, 15]]
    assert relative_bucket(distance).tolist() == both
    left = [[0, 3, 0, 7], [8, 16, 0, 31]]
    assert relative_bucket(distance, both_sides=False).tolist() == left


def test_buckets_never_go_back_as_the_distance_grows():
    distance = torch.arange(1000)
    for n_buckets, max_distance in (32, 128), (8, 12), (20, 500):
        for both_sides in True, False:
            found = relative_bucket(-distance, n_buckets, max_distance, both_sides)
            steps = found.diff()
            assert steps.min() == 0 and steps.max() == 1
            assert found.max() == n_buckets // (2 if both_sides else 1) - 1


@pytest.mark.parametrize("both_sides", [True, False])
def test_biases_depend_on_the_distance_and_a_cache_needs_the_last_rows_alone(
    both_sides,
):
    bias = RelativeBias(3, 8, 12, both_sides)
    whole = bias(9, 9)
    assert whole.shape == (3, 9, 9)
    for offset in range(-8, 9):
        diagonal = whole.diagonal(offset, -2, -1)
        assert torch.equal(diagonal, diagonal[:, :1].expand_as(diagonal))
    assert torch.equal(bias(2, 9), whole[:, -2:])
    if both_sides:  # left and right have numbers of their own
        assert not torch.equal(whole[:, 0, 1], whole[:, 1, 0])
    whole.sum().backward()
    assert bias.table.weight.grad.sum() == 3 * 81


def test_the_decoder_sees_no_later_token_and_learns_from_its_loss():
    model = small_t5()
    read, x = torch.randn(1, 6, 12).double(), torch.randn(5, 12).double()
    mask = torch.ones(5, 5).tril().bool()
    assert leak_test(lambda x: model.decoder(x[None], mask, read)[0], x) == []
    source, target = torch.randint(23, (2, 7)), torch.randint(23, (2, 5))
    logits = model(source, target)
    assert logits.shape == (2, 5, 23)
    changed = target.clone()
    changed[:, 3] = (changed[:, 3] + 1) % 23
    gap = (model(source, changed) - logits).abs().amax((0, 2))
    assert (gap[:3] == 0).all() and (gap[3:] > 1e-9).all()
    nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten()).backward()
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())


def test_a_padded_source_equals_the_sequences_alone():
    model, lengths = small_t5(), [7, 4]
    source, target = torch.randint(23, (2, 7)), torch.randint(23, (2, 5))
    logits = model(source, target, padding_mask(lengths, 7))
    for i, n in enumerate(lengths):
        alone = model(source[i : i + 1, :n], target[i : i + 1])
        torch.testing.assert_close(logits[i : i + 1], alone, atol=1e-12, rtol=0)


def test_without_biases_the_encoder_does_not_know_the_order():
    model, ids = small_t5(), torch.randperm(23)[None, :9]
    order = torch.randperm(9)

    def gap():
        return (model.encode(ids[:, order]) - model.encode(ids)[:, order]).abs().max()

    assert gap() > 0.01
    nn.init.zeros_(model.encoder.bias.table.weight)
    assert gap() < 1e-12


def test_the_published_sizes_have_the_published_number_of_parameters():
    for sizes, count in [
        ((32_128, 512, 8, 6, 2048), 60_506_624),
        ((32_128, 768, 12, 12, 3072), 222_903_552),
    ]:
        with torch.device("meta"):
            model = T5(T5Config(*sizes))
        assert sum(p.numel() for p in model.parameters()) == count


def test_weights_that_are_missing_are_named():
    config = T5Config(**SIZES)
    with pytest.raises(RuntimeError, match="encoder.bias.table.weight"):
        T5.from_hugging_face({}, config)


def test_dropout_works_in_training_alone():
    model = small_t5(dropout=0.5)
    source, target = torch.randint(23, (2, 7)), torch.randint(23, (2, 5))
    assert not torch.equal(model(source, target), model(source, target))
    model.eval()
    assert torch.equal(model(source, target), model(source, target))


@pytest.mark.parametrize("seed", range(5))
def test_spans_are_random_in_length_and_sentinels_are_used_once_each(seed):
    generator = torch.Generator().manual_seed(seed)
    text, sentinels = list(range(100)), list(range(200, 230))
    lengths = set()
    for _ in range(50):
        source, target = corrupt_spans(text, sentinels, 0.3, 3.0, generator)
        assert [i for i in source if i >= 200] == sentinels[:10]
        assert [i for i in target if i >= 200] == sentinels[:11]
        assert len(source) == 70 + 10 and len(target) == 30 + 11
        assert target[-1] == sentinels[10]
        assert restore_spans(source, target, sentinels) == text
        places = [i for i, token in enumerate(target) if token >= 200]
        lengths |= {b - a - 1 for a, b in zip(places, places[1:])}
    assert min(lengths) == 1 and max(lengths) > 6


def test_parts_are_drawn_alike():
    generator = torch.Generator().manual_seed(0)
    counts = {}
    for _ in range(6000):
        parts = tuple(random_parts(5, 3, generator))
        assert sum(parts) == 5 and min(parts) >= 1
        counts[parts] = counts.get(parts, 0) + 1
    assert len(counts) == math.comb(4, 2)
    width = 4 * math.sqrt(6000 * (1 / 6) * (5 / 6))
    assert all(abs(n - 1000) < width for n in counts.values())


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="a text of 1 tokens is too short"):
        corrupt_spans([5], [90, 91])
    with pytest.raises(ValueError, match="1 sentinels for 1 spans and the end"):
        corrupt_spans([5, 6], [90])
    with pytest.raises(ValueError, match="d_model=10 is not divisible by n_heads=3"):
        T5Config(**SIZES | {"d_model": 10})
    with pytest.raises(ValueError, match="n_buckets=0 is not 1 or more"):
        T5Config(**SIZES, n_buckets=0)
    with pytest.raises(ValueError, match="n_buckets=3 is not 4 or more"):
        T5Config(**SIZES, n_buckets=3)
    with pytest.raises(ValueError, match="max_distance=16 is not above 16, the half"):
        T5Config(**SIZES, n_buckets=32, max_distance=16)
    for n_buckets in range(4, 12):  # all that is let through computes
        model, ids = small_t5(n_buckets=n_buckets, max_distance=6), torch.arange(9)
        assert model(ids[None], ids[None]).isfinite().all()
