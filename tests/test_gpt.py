"""The GPT against Hugging Face's GPT-2, its counts against torch's, its refusals."""

import copy
import json
import math
from dataclasses import replace

import huggingface_hub
import pytest
import torch
from huggingface_hub import errors
from safetensors.torch import save_file
from torch.utils.flop_counter import FlopCounterMode
from transformers import GPT2Config, GPT2LMHeadModel

from dot2gpt.counting import memory, n_flops, n_parameters
from dot2gpt.gpt import (
    GPT,
    CausalAttention,
    Characters,
    GPTConfig,
    default_config,
    gelu,
)
from dot2gpt.masking import causal_mask, leak_test
from dot2gpt.multi_head import MultiHeadAttention
from dot2gpt.training import cross_entropy

CONFIG = GPTConfig(41, context_length=17, d_model=24, n_heads=4, n_layers=3, d_ff=53)
CLOSE = {torch.float32: 1e-5, torch.float64: 1e-10}


@pytest.fixture(scope="module")
def published():
    """Hugging Face's model with the sizes of CONFIG, weights drawn at random."""
    torch.manual_seed(0)
    sizes = GPT2Config(
        vocab_size=41,
        n_positions=17,
        n_embd=24,
        n_head=4,
        n_layer=3,
        n_inner=53,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = GPT2LMHeadModel(sizes).eval()
    with torch.no_grad():  # all of them, biases and norms too, far from their start
        for weight in model.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return model


@pytest.mark.parametrize("dtype", CLOSE, ids=str)
def test_equals_hugging_faces_gpt2_forward_and_backward(published, dtype):
    theirs = copy.deepcopy(published).to(dtype)
    ours = GPT.from_gpt2(published.state_dict(), n_heads=4).to(dtype)
    assert ours.config == CONFIG
    ids = torch.randint(41, (5, 13), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        ours(ids), theirs(ids).logits, atol=CLOSE[dtype], rtol=CLOSE[dtype]
    )
    cross_entropy(ours(ids[:, :-1]), ids[:, 1:]).backward()
    # Their own loss is computed in float32, whatever the model is.
    cross_entropy(theirs(ids).logits[:, :-1], ids[:, 1:]).backward()
    body = theirs.transformer
    for mine, other in (
        (ours.tokens.weight.grad, body.wte.weight.grad),
        (ours.positions.weight.grad, body.wpe.weight.grad),
        (
            ours.layers[1].attention.w_qkv.weight.grad,
            body.h[1].attn.c_attn.weight.grad.T,
        ),
        (ours.layers[0].norm_2.bias.grad, body.h[0].ln_2.bias.grad),
    ):
        torch.testing.assert_close(mine, other, atol=CLOSE[dtype], rtol=1e-4)


def test_heads_are_64_wide_unless_said():
    sizes = GPT2Config(
        vocab_size=7, n_positions=5, n_embd=128, n_layer=1, n_head=2, bos_token_id=0
    )
    model = GPT2LMHeadModel(sizes).eval()
    ours, ids = GPT.from_gpt2(model.state_dict()), torch.tensor([[1, 6, 2]])
    assert ours.config.n_heads == 2
    torch.testing.assert_close(ours(ids), model(ids).logits, atol=1e-5, rtol=1e-5)


def test_a_model_without_head_is_tied_and_one_with_its_own_is_not(published):
    weights = published.state_dict()
    ids = torch.tensor([[3, 1, 4, 1, 5]])
    bare = GPT.from_gpt2(published.transformer.state_dict(), 4)
    assert bare.config.tied
    torch.testing.assert_close(bare(ids), GPT.from_gpt2(weights, 4)(ids))
    own = {**weights, "lm_head.weight": 2 * weights["transformer.wte.weight"]}
    untied = GPT.from_gpt2(own, 4)
    assert not untied.config.tied
    torch.testing.assert_close(untied(ids), 2 * bare(ids))


def test_weights_that_are_not_gpt2s_are_refused(published):
    weights = published.state_dict()
    with pytest.raises(ValueError, match="wte.weight.* is missing: not GPT-2's"):
        GPT.from_gpt2({"model.embed_tokens.weight": torch.ones(2, 2)})
    lacking = {k: w for k, w in weights.items() if k != "transformer.h.1.ln_2.bias"}
    with pytest.raises(ValueError, match="'h.1.ln_2.bias' is missing"):
        GPT.from_gpt2(lacking, 4)
    turned = dict(weights)
    turned["transformer.h.2.attn.c_attn.weight"] = torch.ones(72, 24)
    with pytest.raises(ValueError, match=r"h.2.attn.c_attn.*\(24, 72\).*\(72, 24\)"):
        GPT.from_gpt2(turned, 4)
    with pytest.raises(ValueError, match="d_model=24 is not divisible by n_heads=5"):
        GPT.from_gpt2(weights, 5)


def write_checkpoint(folder, model, **changes):
    """A folder as the hub has it: GPT2LMHeadModel's own names, the table once."""
    weights = {k: w for k, w in model.state_dict().items() if k != "lm_head.weight"}
    weights = {k.removeprefix("transformer."): w for k, w in weights.items()}
    save_file(
        {k: w.contiguous() for k, w in weights.items()}, folder / "model.safetensors"
    )
    config = {**model.config.to_dict(), **changes}
    (folder / "config.json").write_text(json.dumps(config))


def test_a_checkpoint_in_a_folder_is_read(published, tmp_path):
    write_checkpoint(tmp_path, published)
    ids = torch.arange(13).view(1, 13)
    for name in (tmp_path, str(tmp_path)):
        ours = GPT.from_pretrained(name)
        torch.testing.assert_close(
            ours(ids), published(ids).logits, atol=1e-5, rtol=1e-5
        )


def test_a_checkpoint_that_huggingface_saved_is_read(published, tmp_path):
    published.save_pretrained(tmp_path)
    ids = torch.arange(13).view(1, 13)
    ours = GPT.from_pretrained(tmp_path)
    torch.testing.assert_close(ours(ids), published(ids).logits, atol=1e-5, rtol=1e-5)


def test_a_name_on_the_hub_is_downloaded(published, tmp_path, monkeypatch):
    write_checkpoint(tmp_path, published)
    asked = []

    def download(name, file):
        asked.append((name, file))
        return str(tmp_path / file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    assert GPT.from_pretrained("gpt2").config == CONFIG
    assert asked == [("gpt2", "config.json"), ("gpt2", "model.safetensors")]


def response(status):
    import httpx

    return httpx.Response(status, request=httpx.Request("GET", "https://hub.invalid"))


@pytest.mark.parametrize(
    "raised, error, says",
    [
        (
            errors.LocalEntryNotFoundError("down"),
            ConnectionError,
            "'nobody/gpt' is no folder, was not downloaded before, and the Hugging "
            "Face hub cannot be reached",
        ),
        (
            errors.RepositoryNotFoundError("404", response=response(404)),
            ValueError,
            "'nobody/gpt' is neither a folder nor a model on the Hugging Face hub",
        ),
        (
            errors.HFValidationError("no name"),
            ValueError,
            "'nobody/gpt' is neither a folder nor a model on the Hugging Face hub",
        ),
        (
            errors.RemoteEntryNotFoundError("404", response=response(404)),
            FileNotFoundError,
            "'nobody/gpt' has no config.json",
        ),
    ],
)
def test_what_the_hub_refuses_is_one_sentence(raised, error, says, monkeypatch):
    def download(name, file):
        raise raised

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(error) as caught:
        GPT.from_pretrained("nobody/gpt")
    assert str(caught.value) == says
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "setting, value",
    [
        ("model_type", "llama"),
        ("activation_function", "relu"),
        ("layer_norm_epsilon", 1e-6),
        ("scale_attn_weights", False),
        ("scale_attn_by_inverse_layer_idx", True),
        ("add_cross_attention", True),
    ],
)
def test_a_setting_that_a_gpt_lacks_is_refused_by_name(
    setting, value, published, tmp_path
):
    write_checkpoint(tmp_path, published, **{setting: value})
    with pytest.raises(ValueError, match=f"{setting}={value!r}, not "):
        GPT.from_pretrained(tmp_path)


def test_a_checkpoint_in_parts_is_read_and_a_missing_part_named(published, tmp_path):
    published.save_pretrained(tmp_path, max_shard_size="20KB")
    parts = sorted(tmp_path.glob("model-*.safetensors"))
    assert len(parts) > 1
    ids = torch.arange(13).view(1, 13)
    ours = GPT.from_pretrained(tmp_path)
    torch.testing.assert_close(ours(ids), published(ids).logits, atol=1e-5, rtol=1e-5)
    parts[-1].unlink()
    with pytest.raises(FileNotFoundError, match=f"has no {parts[-1].name}"):
        GPT.from_pretrained(tmp_path)


def test_a_folder_that_lacks_a_file(published, tmp_path):
    with pytest.raises(FileNotFoundError, match="has no config.json"):
        GPT.from_pretrained(tmp_path)
    write_checkpoint(tmp_path, published)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="has no model.safetensors"):
        GPT.from_pretrained(tmp_path)


@pytest.mark.parametrize("dtype", CLOSE, ids=str)
def test_the_fused_attention_is_chapter_6s(dtype):
    torch.manual_seed(0)
    fast = CausalAttention(12, n_heads=3).to(dtype)
    slow = MultiHeadAttention(12, 3).to(dtype)
    for name, part in zip("qkv", fast.w_qkv.weight.chunk(3)):
        getattr(slow, f"w_{name}").weight.data = part.data
    for name, part in zip("qkv", fast.w_qkv.bias.chunk(3)):
        getattr(slow, f"w_{name}").bias.data = part.data
    slow.w_o = fast.w_o
    x = torch.randn(2, 7, 12, dtype=dtype)
    want = slow(x, mask=causal_mask(7))[0]
    torch.testing.assert_close(fast(x), want, atol=CLOSE[dtype], rtol=CLOSE[dtype])


def test_gelu_by_hand():
    x = torch.linspace(-4, 4, 33, dtype=torch.float64)
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    torch.testing.assert_close(gelu(x), 0.5 * x * (1 + inner.tanh()))


def test_no_place_sees_a_later_one():
    torch.manual_seed(0)
    model = GPT(CONFIG).double().eval()

    def after_embedding(x):  # (time, d_model)
        for layer in model.layers:
            x = layer(x[None])[0]
        return model.head(model.norm(x))

    assert leak_test(after_embedding, torch.randn(9, 24, dtype=torch.float64)) == []


def test_the_first_loss_is_ln_v_and_the_residual_writes_start_smaller():
    torch.manual_seed(0)
    config = GPTConfig(97, n_layers=8)
    model, ids = GPT(config), torch.randint(97, (8, 64))
    loss = cross_entropy(model(ids[:, :-1]), ids[:, 1:]).item()
    assert abs(loss - math.log(97)) < 0.1
    for name, weight in model.named_parameters():
        if weight.dim() > 1:
            feeds = name.endswith(("w_o.weight", "narrow.weight"))
            assert weight.std().item() == pytest.approx(
                0.005 if feeds else 0.02, rel=0.05
            )
        else:
            assert torch.equal(weight, torch.full_like(weight, name.endswith("weight")))


def test_dropout_acts_in_training_alone():
    torch.manual_seed(0)
    model, ids = GPT(replace(CONFIG, dropout=0.5)), torch.arange(13).view(1, 13)
    assert not torch.equal(model(ids), model(ids))
    model.eval()
    assert torch.equal(model(ids), model(ids))


SIZES = [
    CONFIG,
    replace(CONFIG, tied=False),
    GPTConfig(5, context_length=7, d_model=6, n_heads=1, n_layers=1),
    GPTConfig(11, context_length=7, d_model=6, n_heads=3, n_layers=2, d_ff=5),
]


@pytest.mark.parametrize("config", SIZES)
def test_parameters_by_formula(config):
    assert n_parameters(config) == sum(p.numel() for p in GPT(config).parameters())


@pytest.mark.parametrize(
    "size, sizes",
    [
        (124_439_808, (768, 12, 12)),
        (354_823_168, (1024, 16, 24)),
        (774_030_080, (1280, 20, 36)),
        (1_557_611_200, (1600, 25, 48)),
    ],
)
def test_the_four_published_gpt2s(size, sizes):
    d_model, n_heads, n_layers = sizes
    assert n_parameters(GPTConfig(50257, 1024, d_model, n_heads, n_layers)) == size


@pytest.mark.parametrize("config", SIZES)
@pytest.mark.parametrize("batch, time", [(1, 1), (3, 7), (2, 5)])
def test_flops_equal_torchs_counter(config, batch, time):
    def counted(device):
        with torch.device(device):
            model, ids = GPT(config), torch.zeros(batch, time, dtype=torch.long)
        with FlopCounterMode(display=False) as counter:
            model(ids)
        return counter.get_total_flops()

    flops = n_flops(config, batch, time)
    assert counted("meta") == flops
    kernel = 4 * config.n_layers * batch * time**2 * config.d_model
    assert counted("cpu") == flops - kernel


@pytest.mark.parametrize("config", [*SIZES, replace(CONFIG, dropout=0.1)])
@pytest.mark.parametrize("batch, time", [(2, 1), (3, 7), (2, 5)])
def test_memory_equals_what_autograd_keeps(config, batch, time):
    model = GPT(config)
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    draw = torch.Generator().manual_seed(0)
    inputs, targets = torch.randint(config.vocab_size, (2, batch, time), generator=draw)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = cross_entropy(model(inputs.clone()), targets.clone())
    counted = sum(n for storage, (n, _) in kept.items() if storage not in weights)
    loss.backward()
    sizes = memory(config, batch, time)
    assert sizes["activations"] == counted
    assert sizes["weights"] == sum(4 * p.numel() for p in model.parameters())
    assert sizes["gradients"] == sum(4 * p.grad.numel() for p in model.parameters())
    assert sizes["means"] == 2 * sizes["weights"]


@pytest.mark.parametrize(
    "sizes, says",
    [
        ({"d_model": 64, "n_heads": 5}, "d_model=64 is not divisible by n_heads=5"),
        ({"vocab_size": 0}, "vocab_size=0 is not 1 or more"),
        ({"n_layers": -1}, "n_layers=-1 is not 1 or more"),
        ({"dropout": 1.0}, r"dropout=1.0 is not in \[0, 1\)"),
    ],
)
def test_impossible_sizes_are_refused(sizes, says):
    with pytest.raises(ValueError, match=says):
        GPTConfig(**{"vocab_size": 10, **sizes})


def test_a_text_beyond_the_context_is_refused():
    with pytest.raises(ValueError, match="18 tokens are more than context_length=17"):
        GPT(CONFIG)(torch.zeros(1, 18, dtype=torch.long))


def test_characters_are_an_encoding():
    characters = Characters("good 早\n")
    ids = characters.encode("早 dog")
    assert characters.n_vocab == 6
    assert characters.decode(ids) == "早 dog"
    pieces = [characters.decode_single_token_bytes(id) for id in ids]
    assert b"".join(pieces).decode() == "早 dog"
    again = Characters("".join(characters.characters))
    assert again.encode("早 dog") == ids
    with pytest.raises(ValueError, match="'z' is not among the 6 characters"):
        characters.encode("dozy")
    with pytest.raises(ValueError, match="the text is empty"):
        Characters("")


def test_the_default_run_fits_its_vocabulary():
    model, training, batch = default_config(103)
    assert model.vocab_size == 103
    assert (model.n_layers, model.n_heads, model.d_model) == (4, 4, 128)
    assert training.n_steps >= 1 and batch >= 1
