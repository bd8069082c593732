"""Chapter 24 against Hugging Face's GPT-2, and against its definitions."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from dot2gpt.gpt import GPT, GPTConfig
from dot2gpt.inside import (
    SparseDictionary,
    attention_weights,
    hooked,
    induction_score,
    logit_parts,
    patch,
    previous_token_score,
    record,
)


def small_gpt(seed=0, tied=True):
    torch.manual_seed(seed)
    config = GPTConfig(13, 11, d_model=12, n_heads=3, n_layers=2, d_ff=20, tied=tied)
    model = GPT(config).double().eval()
    for weight in model.parameters():  # biases and norms that do something
        weight.data += 0.2 * torch.randn_like(weight)
    return model


def text(seed=0, batch=2, time=7):
    torch.manual_seed(seed)
    return torch.randint(13, (batch, time))


def test_a_recorded_part_is_what_the_model_computes():
    model, ids = small_gpt(), text()
    names = ["tokens", "layers.0", "into layers.1.norm_1", "layers.1.attention"]
    with record(model, names) as kept:
        assert kept == {}
        model(ids)
    x = model.tokens(ids) + model.positions.weight[:7]
    first = model.layers[0](x)
    assert kept.keys() == set(names)
    assert torch.equal(kept["tokens"], model.tokens(ids))
    assert torch.equal(kept["layers.0"], first)
    assert torch.equal(kept["into layers.1.norm_1"], first)
    mixed = model.layers[1].attention(model.layers[1].norm_1(first))
    torch.testing.assert_close(kept["layers.1.attention"], mixed)


def test_the_last_of_several_calls_is_recorded():
    part = nn.Sequential(nn.Identity())
    with record(part, ["0"]) as kept:
        part(torch.tensor(1.0))
        part(torch.tensor(2.0))
    assert kept["0"] == 2


def test_a_changed_part_goes_on_as_changed():
    model, ids = small_gpt(), text()
    with hooked(model, {"layers.1.feed_forward": lambda out: torch.zeros_like(out)}):
        without = model.states(ids)
    x = model.layers[0](model.tokens(ids) + model.positions.weight[:7])
    layer = model.layers[1]
    want = model.norm(x + layer.attention(layer.norm_1(x)))
    torch.testing.assert_close(without, want)


def test_what_goes_into_a_part_can_be_changed_with_the_rest_of_its_arguments():
    class Scale(nn.Module):
        def forward(self, x, by, plus=0):
            return x * by + plus

    model = nn.ModuleDict({"scale": Scale()})
    with hooked(model, {"into scale": lambda x: x + 1}):
        assert model["scale"](2, 10, plus=5) == 35
    with hooked(model, {"into scale": lambda x: None}):
        assert model["scale"](2, 10, plus=5) == 25


def test_no_hook_stays():
    model, ids = small_gpt(), text()
    before = model(ids)
    with pytest.raises(ZeroDivisionError):
        with hooked(model, {"tokens": lambda out: 0 * out, "layers.0": lambda out: 1}):
            raise ZeroDivisionError
    assert torch.equal(model(ids), before)
    with pytest.raises(ValueError, match="no part 'layers.7'"):
        with hooked(model, {"tokens": lambda out: 0 * out, "layers.7": lambda out: 1}):
            pass
    assert torch.equal(model(ids), before)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


@pytest.mark.parametrize("place", [0, 3, 6])
def test_a_patched_token_is_the_other_token(place):
    model, clean, corrupted = small_gpt(), text(0), text(1)
    mixed = corrupted.clone()
    mixed[:, place] = clean[:, place]
    got = patch(model, (clean,), (corrupted,), ("tokens", place))
    torch.testing.assert_close(got, model(mixed))


def test_patching_all_places_of_a_layer_is_the_clean_run():
    model, clean, corrupted = small_gpt(), text(0), text(1)
    for name in ("layers.0", "layers.1", "into head"):
        got = patch(model, (clean,), (corrupted,), (name, slice(None)))
        torch.testing.assert_close(got, model(clean))
    at = patch(model, (clean,), (corrupted,), ("layers.1", [2, 4]))
    torch.testing.assert_close(at[:, [2, 4]], model(clean)[:, [2, 4]])
    rest = [0, 1, 3, 5, 6]
    torch.testing.assert_close(at[:, rest], model(corrupted)[:, rest])


def test_patching_leaves_no_trace_and_wants_equal_shapes():
    model, clean, corrupted = small_gpt(), text(0), text(1)
    before = model(clean)
    assert not patch(model, (clean,), (corrupted,), ("layers.0", 1)).requires_grad
    assert torch.equal(model(clean), before)
    with pytest.raises(ValueError, match=r"\(2, 7, 12\).*\(2, 5, 12\)"):
        patch(model, (clean,), (corrupted[:, :5],), ("layers.0", 1))


def test_weights_of_attention_are_hugging_faces():
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=13, n_positions=11, n_embd=12, n_layer=2, n_head=3,
        bos_token_id=None, eos_token_id=None,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, attn_implementation="eager",
    )  # fmt: skip
    theirs = GPT2LMHeadModel(config).eval()
    for weight in theirs.parameters():
        weight.data += 0.3 * torch.randn_like(weight)
    ours = GPT.from_gpt2(theirs.state_dict(), n_heads=3).double().eval()
    ids, theirs = text(), theirs.double()
    want = torch.stack(theirs(ids, output_attentions=True).attentions, 1)
    got = attention_weights(ours, ids)
    assert got.shape == (2, 2, 3, 7, 7)
    torch.testing.assert_close(got, want, rtol=0, atol=1e-12)


@pytest.mark.parametrize("tied", [True, False])
def test_parts_add_up_to_the_logits(tied):
    model, ids = small_gpt(tied=tied), text()
    parts = logit_parts(model, ids)
    heads = [f"head {n}.{h}" for n in range(2) for h in range(3)]
    biases = ["bias 0", "bias 1"]
    nets = ["net 0", "net 1"]
    assert set(parts) == {"tokens", "positions", "shift", *heads, *biases, *nets}
    assert all(part.shape == (2, 7, 13) for part in parts.values())
    torch.testing.assert_close(sum(parts.values()), model(ids), rtol=0, atol=1e-11)
    halves = {
        name: part.float() for name, part in logit_parts(model.float(), ids).items()
    }
    torch.testing.assert_close(sum(halves.values()), model(ids), rtol=0, atol=1e-4)


def test_a_head_of_the_last_layer_gives_what_is_lost_without_it():
    # With the last net and the norm taken away, a part is a difference of two runs.
    model, ids = small_gpt(), text()
    with record(model, ["into norm"]) as kept:
        model(ids)
    stream = kept["into norm"]
    scale = (stream.var(-1, keepdim=True, correction=0) + model.norm.eps).sqrt()
    parts = logit_parts(model, ids)

    def without(mixed, head):
        mixed = mixed.clone()
        mixed[..., 4 * head : 4 * head + 4] = 0
        return mixed

    with record(model, ["layers.1.feed_forward"]) as kept:
        model(ids)
    net = kept["layers.1.feed_forward"]
    for head in range(3):
        changes = {
            "into layers.1.attention.w_o": lambda x, head=head: without(x, head),
            "layers.1.feed_forward": lambda out: net,
        }
        with hooked(model, changes), record(model, ["into norm"]) as kept:
            model(ids)
        gone = stream - kept["into norm"]
        gone = (gone - gone.mean(-1, keepdim=True)) / scale * model.norm.weight
        torch.testing.assert_close(parts[f"head 1.{head}"], model.head(gone))


def test_scores_of_maps_that_were_made_by_hand():
    time = 6
    back = F.one_hot(torch.tensor([0, 0, 1, 2, 3, 4]), time).double()
    assert previous_token_score(back) == 1 and induction_score(back, 2) == 1
    assert induction_score(back, 3) == 0
    # With period 3, queries 3, 4, 5 have read their token before: behind it is 1, 2, 3.
    copy = F.one_hot(torch.tensor([0, 0, 0, 1, 2, 3]), time).double()
    assert induction_score(copy, 3) == 1 and previous_token_score(copy) == 0.2
    even = torch.ones(2, 4, time, time).tril() / torch.arange(1, time + 1)[:, None]
    scores = induction_score(even, 4)
    assert scores.shape == (2, 4)
    assert torch.allclose(scores, torch.tensor((1 / 5 + 1 / 6) / 2))
    want = torch.tensor((1 / 2 + 1 / 3 + 1 / 4 + 1 / 5 + 1 / 6) / 5)
    assert torch.allclose(previous_token_score(even), want)
    for period in (0, 6):
        with pytest.raises(ValueError, match=f"period={period}"):
            induction_score(even, period)
    with pytest.raises(ValueError, match="time=1"):
        previous_token_score(torch.ones(1, 1))


def test_a_dictionary_keeps_the_k_strongest():
    torch.manual_seed(0)
    model = SparseDictionary(3, 3, k=2).double()
    with torch.no_grad():
        model.read.weight.copy_(torch.eye(3))
        model.write.weight.copy_(torch.eye(3))
        model.write.bias.copy_(torch.tensor([1.0, 0.0, 0.0]))
    x = torch.tensor([[4.0, 2.0, 1.0], [0.0, -1.0, 5.0]], dtype=torch.float64)
    assert model.units(x).tolist() == [[3, 2, 0], [0, 0, 5]]
    assert model(x).tolist() == [[4, 2, 0], [1, 0, 5]]


def test_a_new_dictionary_has_directions_of_length_1_and_is_sparse():
    torch.manual_seed(0)
    model = SparseDictionary(5, 17, k=4)
    assert torch.allclose(model.write.weight.norm(dim=0), torch.ones(17))
    assert torch.equal(model.read.weight, model.write.weight.T)
    units = model.units(torch.randn(3, 7, 5))
    assert units.shape == (3, 7, 17) and (units >= 0).all()
    assert ((units > 0).sum(-1) <= 4).all() and (units > 0).sum(-1).max() == 4
    model(torch.randn(1, 5)).sum().backward()
    used = (model.read.weight.grad.abs().sum(1) > 0).sum()
    assert 0 < used <= 4
    for k in (0, 18):
        with pytest.raises(ValueError, match=f"k={k}"):
            SparseDictionary(5, 17, k)
