"""Chapter 21 against Hugging Face's models, PyTorch's Muon and its own definitions."""

import math

import pytest
import torch
from torch import nn
from transformers import (
    LlamaConfig as TheirLlamaConfig,
)
from transformers import (
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from dot2gpt.gpt import GPTConfig
from dot2gpt.modern import (
    GroupedAttention,
    GroupedCache,
    Llama,
    LlamaConfig,
    Muon,
    SwiGLU,
    hugging_face_config,
    llama_config,
    new_muon,
    orthogonalised,
)
from dot2gpt.multi_head import MultiHeadAttention
from dot2gpt.positions import RotaryAttention
from dot2gpt.training import AdamW, TrainConfig, training_step

SIZES = dict(
    vocab_size=97,
    hidden_size=48,
    intermediate_size=77,
    num_hidden_layers=3,
    num_attention_heads=6,
    num_key_value_heads=2,
    max_position_embeddings=41,
)
KINDS = {
    "llama": (TheirLlamaConfig, LlamaForCausalLM, {}),
    "llama, tied, wide heads": (
        TheirLlamaConfig,
        LlamaForCausalLM,
        {"tie_word_embeddings": True, "head_dim": 14},
    ),
    "llama, one group, another base": (
        TheirLlamaConfig,
        LlamaForCausalLM,
        {
            "num_key_value_heads": 1,
            "rope_parameters": {"rope_type": "default", "rope_theta": 500.0},
        },
    ),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM, {}),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM, {"head_dim": 10}),
}


def shaken(model):
    """A model whose weights are all random, so that none can be forgotten."""
    for weight in model.parameters():
        nn.init.normal_(weight, std=0.3)
    return model.eval()


def theirs_of(kind, seed=0, **more):
    """A small random model of Hugging Face's."""
    torch.manual_seed(seed)
    config, model, changes = KINDS[kind]
    return shaken(model(config(**SIZES | {"pad_token_id": None} | changes | more)))


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_it_equals_hugging_face_at_once_and_token_by_token(kind):
    theirs = theirs_of(kind)
    ours = Llama.from_hugging_face(theirs.state_dict(), theirs.config.to_dict())
    ids = torch.randint(97, (2, 31))
    want = theirs(ids).logits
    torch.testing.assert_close(ours(ids), want, atol=1e-5, rtol=1e-5)
    cache, parts = GroupedCache(ours, 2), []
    for part in ids.split([7, 1, 1, 11, 11], dim=1):
        parts.append(ours(part, cache))
    torch.testing.assert_close(torch.cat(parts, 1), want, atol=1e-5, rtol=1e-5)
    c = ours.config
    assert cache.store.shape == (3, 2, 2, c.n_kv_heads, 41, c.d_k)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_the_way_back_gives_their_weights_and_their_config(kind):
    theirs = theirs_of(kind, seed=1)
    state = theirs.state_dict()
    ours = Llama.from_hugging_face(state, theirs.config.to_dict())
    weights, config = ours.to_hugging_face()
    assert {*weights} == {*state}
    for name, weight in state.items():
        assert torch.equal(weights[name], weight), name
    assert llama_config(config) == ours.config
    make, model, _ = KINDS[kind]
    again = model(make(**config)).eval()
    again.load_state_dict(weights)
    ids = torch.randint(97, (2, 11))
    torch.testing.assert_close(again(ids).logits, theirs(ids).logits)


@torch.no_grad()
def test_rows_of_a_batch_that_have_read_more_or_less_do_not_mix():
    model = shaken(Llama(LlamaConfig(23, 17, 24, 4, 2, 2, norm_qk=True))).double()
    ids, counts = torch.randint(23, (2, 9)), [9, 5]
    cache = GroupedCache(model, 2)
    model.states(ids, cache, counts)
    more = torch.randint(23, (2, 3))
    got = model(more, cache)
    for row, count in enumerate(counts):
        alone = torch.cat([ids[row, :count], more[row]])[None]
        torch.testing.assert_close(got[row], model(alone)[0, -3:])
    with pytest.raises(ValueError, match="18 tokens are more than context_length=17"):
        model(torch.zeros(2, 6, dtype=torch.long), cache)


def test_with_as_many_groups_as_heads_it_is_rotary_attention():
    grouped = GroupedAttention(LlamaConfig(23, d_model=24, n_heads=3)).double()
    plain = RotaryAttention(24, 3, bias=False).double()
    plain.load_state_dict(grouped.state_dict())
    x = torch.randn(2, 7, 24, dtype=torch.float64)
    mask = torch.ones(7, 7).tril().bool()
    torch.testing.assert_close(grouped(x), plain(x, mask=mask)[0])


def test_values_are_not_turned():
    c = LlamaConfig(23, d_model=24, n_heads=3)
    attention = GroupedAttention(c)
    x = torch.randn(2, 7, 24)
    near = attention.project(x, torch.arange(7))
    far = attention.project(x, torch.arange(7) + 100)
    assert torch.equal(near[2], far[2])
    assert not torch.allclose(near[0], far[0], atol=0.1)
    scores = [q @ k.mT for q, k, _ in (near, far)]
    torch.testing.assert_close(*scores, atol=1e-4, rtol=1e-4)
    assert not isinstance(attention, MultiHeadAttention)


def test_swiglu_is_its_formula():
    net = SwiGLU(5, 7).double()
    x = torch.randn(2, 3, 5, dtype=torch.float64)
    gate, wide = x @ net.gate.weight.T, x @ net.widen.weight.T
    want = (gate / (1 + torch.exp(-gate)) * wide) @ net.narrow.weight.T
    torch.testing.assert_close(net(x), want)
    assert len(list(net.parameters())) == 3


@pytest.mark.parametrize(
    "change, words",
    [
        ({"n_heads": 5}, "d_model=24 is not divisible by n_heads=5"),
        ({"n_kv_heads": 3}, "n_heads=4 is not divisible by n_kv_heads=3"),
        ({"d_k": 7}, "d_k=7 is odd"),
        ({"d_model": 12}, "d_k=3 is odd"),
        ({"n_layers": 0}, "n_layers=0 is not 1 or more"),
        ({"n_kv_heads": 0}, "n_kv_heads=0 is not 1 or more"),
        ({"n_heads": 0}, "n_heads=0 is not 1 or more"),
        ({"base": 0.0}, "base=0.0 is not above 0"),
    ],
)
def test_sizes_that_cannot_be_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        LlamaConfig(23, **{"d_model": 24, "n_heads": 4} | change)


def test_what_is_left_out_follows_from_the_rest():
    config = LlamaConfig(23, d_model=96, n_heads=6)
    assert (config.n_kv_heads, config.d_ff, config.d_k) == (6, 256, 16)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"model_type": "mixtral"}, "model_type='mixtral' is not supported"),
        (
            {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}},
            "rope_type='yarn' is not supported, expected 'default'",
        ),
        (
            {"rope_parameters": None, "rope_scaling": {"type": "linear", "factor": 2}},
            "rope_type='linear' is not supported",
        ),
        ({"attention_bias": True}, "attention_bias=True is not supported"),
        ({"mlp_bias": True}, "mlp_bias=True is not supported"),
        ({"hidden_act": "gelu"}, "hidden_act='gelu' is not supported"),
        ({"use_sliding_window": True}, "use_sliding_window=True is not supported"),
        (
            {"layer_types": ["full_attention", "sliding_attention"]},
            "layer_types='full_attention sliding_attention' is not supported",
        ),
        ({"quantization_config": {"bits": 4}}, "quantization_config={'bits': 4} is"),
        ({"hidden_size": ...}, "'hidden_size' is missing in the config"),
    ],
)
def test_what_a_config_asks_and_a_llama_lacks_is_refused_by_name(change, words):
    config = {**hugging_face_config(LlamaConfig(23)), **change}
    config = {name: value for name, value in config.items() if value is not ...}
    with pytest.raises(ValueError, match=words):
        llama_config(config)


def test_an_old_config_with_its_base_outside_is_read():
    config = hugging_face_config(LlamaConfig(23, base=500.0))
    del config["rope_parameters"]
    assert llama_config({**config, "rope_theta": 500.0}).base == 500.0
    assert llama_config(config).base == 10_000.0


def test_weights_that_do_not_fit_are_refused_by_name():
    model = Llama(LlamaConfig(23, 17, 24, 4, 2, 1))
    weights, config = model.to_hugging_face()
    cases = {
        "'lm_head.weight' is missing": {"lm_head.weight": None},
        "'model.norm.bias' has no place": {"model.norm.bias": torch.zeros(24)},
        r"k_proj.weight' is \(3, 24\), expected \(12, 24\)": {
            "model.layers.0.self_attn.k_proj.weight": torch.zeros(3, 24)
        },
    }
    for words, change in cases.items():
        with pytest.raises(ValueError, match=words):
            Llama.from_hugging_face({**weights, **change}, config)
    both = LlamaConfig(23, norm_qk=True, bias_qkv=True)
    with pytest.raises(ValueError, match="norm_qk with bias_qkv"):
        hugging_face_config(both)


@pytest.mark.parametrize("shape", [(7, 7), (5, 11), (13, 3), (1, 4)])
def test_steps_of_newton_and_schulz_keep_directions_and_level_strengths(shape):
    torch.manual_seed(0)
    matrix = torch.randn(shape, dtype=torch.float64)
    before = matrix.clone()
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    values = s / s.norm()
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    got = orthogonalised(matrix)
    torch.testing.assert_close(got, u * values @ v, atol=1e-5, rtol=1e-5)
    assert torch.equal(matrix, before)
    strong = s / s.norm() > 0.01
    assert ((values > 0.6) & (values < 1.3))[strong].all()
    with pytest.raises(ValueError, match=r"shape \(3,\) is no matrix"):
        orthogonalised(torch.zeros(3))


def test_the_bounds_of_the_docstring_hold_from_a_hundredth_on():
    values = torch.logspace(-2, 0, 1000, dtype=torch.float64)
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    assert 0.6 < values.min() and values.max() < 1.3


def test_a_zero_gradient_moves_nothing_but_the_decay():
    weight = nn.Parameter(torch.ones(3, 5))
    optimizer = Muon([{"params": [weight], "matrices": True}], 0.1, weight_decay=0.5)
    weight.grad = torch.zeros(3, 5)
    optimizer.step()
    torch.testing.assert_close(weight.data, torch.full((3, 5), 0.95))


def test_muon_is_its_definition_over_several_steps():
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(5, 11, dtype=torch.float64))
    want, total = weight.detach().clone(), torch.zeros(5, 11, dtype=torch.float64)
    optimizer = Muon([{"params": [weight], "matrices": True}], 0.02, weight_decay=0.1)
    for _ in range(7):
        weight.grad = torch.randn(5, 11, dtype=torch.float64)
        total = 0.95 * total + weight.grad
        step = orthogonalised(weight.grad + 0.95 * total)
        want = want * (1 - 0.02 * 0.1) - 0.02 * 0.2 * math.sqrt(11) * step
        optimizer.step()
    torch.testing.assert_close(weight.data, want)


def test_muon_is_pytorchs_up_to_its_half_precision():
    torch.manual_seed(0)
    start = torch.randn(24, 16)
    mine, theirs = (nn.Parameter(start.clone()) for _ in range(2))
    group = [{"params": [mine], "matrices": True}]
    ours = Muon(group, 0.02, weight_decay=0.1)
    other = torch.optim.Muon(
        [theirs], 0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"
    )
    for _ in range(5):
        mine.grad = torch.randn(24, 16)
        theirs.grad = mine.grad.clone()
        ours.step()
        other.step()
    moved = (theirs - start).norm()
    assert (mine - theirs).norm() < 0.02 * moved


def test_other_groups_are_adamw():
    torch.manual_seed(0)
    mine, theirs = (nn.Parameter(torch.ones(4, 3)) for _ in range(2))
    ours, other = Muon([mine], 0.1), AdamW([theirs], 0.1)
    for _ in range(3):
        mine.grad = torch.randn(4, 3)
        theirs.grad = mine.grad.clone()
        ours.step()
        other.step()
    assert torch.equal(mine, theirs)


def test_impossible_numbers_of_muon_are_refused():
    vector = nn.Parameter(torch.zeros(3))
    with pytest.raises(ValueError, match="momentum=1.0 is not in"):
        Muon([vector], momentum=1.0)
    with pytest.raises(ValueError, match=r"\(3,\) is the shape of no matrix"):
        Muon([{"params": [vector], "matrices": True}])
    with pytest.raises(ValueError, match="lr=-1 is not 0 or more"):
        Muon([vector], -1)


def test_a_model_learns_with_muon_and_each_weight_has_one_group():
    torch.manual_seed(0)
    model = Llama(LlamaConfig(11, 16, 24, 4, 2, 2, norm_qk=True))
    plan = TrainConfig(20, 1e-2)
    optimizer = new_muon(model, plan)
    groups = [{id(w) for w in g["params"]} for g in optimizer.param_groups]
    assert sum(map(len, groups)) == len({id(w) for w in model.parameters()})
    names = {id(w): name for name, w in model.named_parameters()}
    matrices, tables, vectors = ({names[w] for w in group} for group in groups)
    assert matrices == {
        f"layers.{n}.{part}.weight"
        for n in range(2)
        for part in (
            *(f"attention.w_{x}" for x in "qkvo"),
            *(f"feed_forward.{x}" for x in ("gate", "widen", "narrow")),
        )
    }
    assert tables == {"tokens.weight", "head.weight"}
    assert all("norm" in name for name in vectors)
    assert optimizer.param_groups[2]["weight_decay"] == 0
    ids = torch.arange(16).repeat(4, 1) % 11
    windows = iter(lambda: (ids, (ids + 1) % 11), None)
    losses = [training_step(model, windows, optimizer, plan, n)[0] for n in range(20)]
    assert losses[-1] < losses[0] - 1


def test_a_gpt_and_a_llama_count_their_weights_alike_at_equal_width():
    d = 96
    gelu = 2 * d * GPTConfig(23, d_model=d).d_ff
    gated = sum(
        w.numel() for w in SwiGLU(d, LlamaConfig(23, d_model=d).d_ff).parameters()
    )
    assert gated == gelu
