"""The block of today, a Llama made of it, and Muon, for chapter 21."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from dot2gpt.generation import KVCache
from dot2gpt.gpt import start_small
from dot2gpt.multi_head import merge_heads, split_heads
from dot2gpt.positions import rotary
from dot2gpt.t5 import RMSNorm
from dot2gpt.training import AdamW


class SwiGLU(nn.Module):
    """A feed-forward net whose wide numbers are gated: silu(x W_g) · (x W_1), then back
    (Shazeer 2020, section 2). No biases.

    d_model: size of a token. d_ff: size in between; 8/3 · d_model has the weights of a
    FeedForward with 4 · d_model.
    """

    def __init__(self, d_model, d_ff):
        super().__init__()
        self.gate = nn.Linear(d_model, d_ff, bias=False)
        self.widen = nn.Linear(d_model, d_ff, bias=False)
        self.narrow = nn.Linear(d_ff, d_model, bias=False)

    def forward(self, x):
        """x: (..., d_model). Returns the same shape."""
        return self.narrow(F.silu(self.gate(x)) * self.widen(x))


@dataclass(frozen=True)
class LlamaConfig:
    """The sizes of a Llama. Raises ValueError for impossible ones.

    context_length: the most tokens it sees. base: of the rotary angles. norm_qk: as in
    Qwen3. bias_qkv: as in Qwen2. tied: the output layer is the token table.
    """

    vocab_size: int
    context_length: int = 64
    d_model: int = 128
    n_heads: int = 4  # of queries
    n_kv_heads: int | None = None  # of keys and values; n_heads if left out
    n_layers: int = 4
    d_ff: int | None = None  # 8/3 · d_model if left out
    d_k: int | None = None  # numbers a head; d_model / n_heads if left out
    base: float = 10_000.0
    norm_eps: float = 1e-6
    norm_qk: bool = False
    bias_qkv: bool = False
    tied: bool = False

    def __post_init__(self):
        if self.d_k is None and self.d_model % max(1, self.n_heads):
            raise ValueError(
                f"d_model={self.d_model} is not divisible by n_heads={self.n_heads}"
            )
        defaults = {
            "n_kv_heads": self.n_heads,
            "d_ff": round(8 * self.d_model / 3),
            "d_k": self.d_model // max(1, self.n_heads),
        }
        for name, value in defaults.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        sizes = "vocab_size context_length d_model n_heads n_kv_heads n_layers d_ff d_k"
        for name in sizes.split():
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} is not 1 or more")
        if self.n_heads % self.n_kv_heads:
            raise ValueError(
                f"n_heads={self.n_heads} is not divisible by "
                f"n_kv_heads={self.n_kv_heads}"
            )
        if self.d_k % 2:
            raise ValueError(f"d_k={self.d_k} is odd: rotary turns pairs of dimensions")
        if not self.base > 0:
            raise ValueError(f"base={self.base} is not above 0")


class GroupedAttention(nn.Module):
    """Causal self-attention with rotary positions, in which n_heads / n_kv_heads heads
    of queries share one of keys and values (Ainslie et al. 2023). config: a
    LlamaConfig."""

    def __init__(self, config):
        super().__init__()
        c = self.config = config
        self.w_q = nn.Linear(c.d_model, c.n_heads * c.d_k, c.bias_qkv)
        self.w_k = nn.Linear(c.d_model, c.n_kv_heads * c.d_k, c.bias_qkv)
        self.w_v = nn.Linear(c.d_model, c.n_kv_heads * c.d_k, c.bias_qkv)
        self.w_o = nn.Linear(c.n_heads * c.d_k, c.d_model, bias=False)
        self.norm_q, self.norm_k = (
            RMSNorm(c.d_k, c.norm_eps) if c.norm_qk else nn.Identity() for _ in "qk"
        )

    def project(self, x, positions):
        """Queries (batch, n_heads, time, d_k), and keys and values (batch, n_kv_heads,
        time, d_k), of x (batch, time, d_model). positions: (time,) or (batch, 1, time).
        """
        c = self.config
        q = self.norm_q(split_heads(self.w_q(x), c.n_heads))
        k = self.norm_k(split_heads(self.w_k(x), c.n_kv_heads))
        v = split_heads(self.w_v(x), c.n_kv_heads)
        return rotary(q, positions, c.base), rotary(k, positions, c.base), v

    def forward(self, x, mask=None, cache=None, layer=0):
        """x: (batch, time, d_model). Shape stays. mask, cache, layer: as in
        CausalAttention; the cache is a GroupedCache."""
        time = x.shape[1]
        at = torch.arange(time, device=x.device)
        q, k, v = self.project(x, at if cache is None else cache.places(time)[:, None])
        if cache is not None:
            k, v = cache.extend(layer, k, v)
        first = k.shape[-2] == time
        output = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=mask is None and first, enable_gqa=True
        )
        return self.w_o(merge_heads(output))


class LlamaLayer(nn.Module):
    """Grouped attention, then SwiGLU, each on an RMS-normed copy and added back
    (Touvron et al. 2023, section 2.2). config: a LlamaConfig."""

    def __init__(self, config):
        super().__init__()
        self.norm_1 = RMSNorm(config.d_model, config.norm_eps)
        self.attention = GroupedAttention(config)
        self.norm_2 = RMSNorm(config.d_model, config.norm_eps)
        self.feed_forward = SwiGLU(config.d_model, config.d_ff)

    def forward(self, x, mask=None, cache=None, layer=0):
        """x: (batch, time, d_model); the rest as in GroupedAttention. Shape stays."""
        x = x + self.attention(self.norm_1(x), mask, cache, layer)
        return x + self.feed_forward(self.norm_2(x))


class Llama(nn.Module):
    """A token table, n_layers LlamaLayers, an RMSNorm, a score per token (Touvron et
    al. 2023). With norm_qk a Qwen3, with bias_qkv a Qwen2. config: a LlamaConfig.
    """

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.vocab_size, config.d_model)
        self.layers = nn.ModuleList(LlamaLayer(config) for _ in range(config.n_layers))
        self.norm = RMSNorm(config.d_model, config.norm_eps)
        self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        start_small(self)
        if config.tied:
            self.head.weight = self.tokens.weight

    def states(self, ids, cache=None, counts=None):
        """What stands before the output layer: (batch, time, d_model).

        ids, cache, counts: as in GPT; the cache is a GroupedCache. Raises ValueError
        past context_length.
        """
        time, before = ids.shape[1], [0] if cache is None else cache.lengths
        if max(before) + time > self.config.context_length:
            raise ValueError(
                f"{max(before) + time} tokens are more than "
                f"context_length={self.config.context_length}"
            )
        x, mask = self.tokens(ids), cache.mask(time) if any(before) else None
        for number, layer in enumerate(self.layers):
            x = layer(x, mask, cache, number)
        if cache is not None:
            cache.advance([time] * len(ids) if counts is None else counts)
        return self.norm(x)

    def forward(self, ids, cache=None, counts=None):
        """Next-token scores: (batch, time, vocab_size). Arguments as in states."""
        return self.head(self.states(ids, cache, counts))

    @classmethod
    def from_hugging_face(cls, weights, theirs):
        """A Llama with the weights of a LlamaForCausalLM, Qwen2ForCausalLM or
        Qwen3ForCausalLM.

        weights: its state_dict. theirs: its config as a dict (config.json). Raises
        ValueError, naming it, for what the config asks and a Llama does not have, and
        for a weight that is missing, unknown or of the wrong shape.
        """
        model = cls(llama_config(theirs))
        model.load_state_dict(llama_weights(weights, model))
        return model

    def to_hugging_face(self):
        """(weights, config) for from_hugging_face, or for Hugging Face's own classes.

        Raises ValueError for norm_qk with bias_qkv, which no published layout has.
        """
        weights = {
            hugging_face_name(name): reorder_pairs(name, weight, self.config, back=True)
            for name, weight in self.state_dict().items()
        }
        return weights, hugging_face_config(self.config)


class GroupedCache(KVCache):
    """A KVCache for a Llama: 2 · n_layers · batch · context_length · n_kv_heads · d_k
    numbers. model: a Llama. batch: rows."""

    def __init__(self, model, batch):
        c, weight = model.config, model.tokens.weight
        shape = (c.n_layers, 2, batch, c.n_kv_heads, c.context_length, c.d_k)
        self.store = weight.new_zeros(shape)
        self.lengths = [0] * batch


def reorder_pairs(name, weight, config, back=False):
    """A weight with its rows moved from Hugging Face's pairs (i, i + d_k/2) of a head
    to ours (2i, 2i + 1); weights that make no queries or keys stay as they are.

    name: ours, as in Llama.state_dict(). back: from ours to theirs. Shape stays.
    """
    if not any(part in name for part in (".w_q.", ".w_k.", ".norm_q.", ".norm_k.")):
        return weight
    pairs = config.d_k // 2
    shape = (-1, pairs, 2) if back else (-1, 2, pairs)
    return weight.unflatten(0, shape).transpose(1, 2).flatten(0, 2)


def hugging_face_name(name):
    """What Hugging Face calls a weight of Llama.state_dict()."""
    outside = {"tokens": "model.embed_tokens", "norm": "model.norm", "head": "lm_head"}
    inside = {
        "norm_1": "input_layernorm",
        "norm_2": "post_attention_layernorm",
        "attention.w_q": "self_attn.q_proj",
        "attention.w_k": "self_attn.k_proj",
        "attention.w_v": "self_attn.v_proj",
        "attention.w_o": "self_attn.o_proj",
        "attention.norm_q": "self_attn.q_norm",
        "attention.norm_k": "self_attn.k_norm",
        "feed_forward.gate": "mlp.gate_proj",
        "feed_forward.widen": "mlp.up_proj",
        "feed_forward.narrow": "mlp.down_proj",
    }
    place, _, kind = name.rpartition(".")
    if place in outside:
        return f"{outside[place]}.{kind}"
    layers, number, part = place.split(".", 2)
    return f"model.{layers}.{number}.{inside[part]}.{kind}"


def llama_weights(weights, model):
    """Hugging Face's weights under the names and in the order of a Llama.

    weights: a state_dict. model: what they are for. Raises ValueError if one is
    missing, of another shape or not known.
    """
    weights, ours = dict(weights), {}
    if model.config.tied:
        weights.setdefault("lm_head.weight", weights.get("model.embed_tokens.weight"))
    for name, want in model.state_dict().items():
        source = hugging_face_name(name)
        if weights.get(source) is None:
            raise ValueError(f"{source!r} is missing")
        weight = weights.pop(source)
        if weight.shape != want.shape:
            size, need = tuple(weight.shape), tuple(want.shape)
            raise ValueError(f"{source!r} is {size}, expected {need}")
        ours[name] = reorder_pairs(name, weight, model.config)
    if unknown := [name for name in weights if not name.endswith("inv_freq")]:
        raise ValueError(f"{unknown[0]!r} has no place in a Llama")
    return ours


def check_supported(theirs, rope):
    """Refuse what a Hugging Face config asks and a Llama does not have: a ValueError
    with its name, its value and what is supported. rope: its rotary parameters."""
    kind = rope.get("rope_type", rope.get("type", "default"))
    layers = " ".join(sorted({*(theirs.get("layer_types") or ())}))
    found = {
        "model_type": (theirs.get("model_type"), ("llama", "qwen2", "qwen3")),
        "rope_type": (kind, ("default",)),
        "partial_rotary_factor": (rope.get("partial_rotary_factor", 1.0), (1.0,)),
        "layer_types": (layers, ("full_attention", "")),
        "hidden_act": (theirs.get("hidden_act", "silu"), ("silu",)),
        "quantization_config": (theirs.get("quantization_config"), (None,)),
    }
    for name in ("attention_bias", "mlp_bias", "use_sliding_window"):
        found[name] = bool(theirs.get(name)), (False,)
    for name, (value, known) in found.items():
        if value not in known:
            expected = " or ".join(repr(each) for each in known if each != "")
            raise ValueError(f"{name}={value!r} is not supported, expected {expected}")


def llama_config(theirs):
    """The LlamaConfig of a Hugging Face config of the kind llama, qwen2 or qwen3.

    theirs: a dict (config.json). Raises ValueError, naming it, for what is missing and
    as check_supported: scaled rotary, sliding windows, other biases, ...
    """
    rope = theirs.get("rope_parameters") or {
        "rope_theta": theirs.get("rope_theta", 10_000.0),
        **(theirs.get("rope_scaling") or {}),
    }
    check_supported(theirs, rope)
    try:
        return LlamaConfig(
            theirs["vocab_size"],
            context_length=theirs["max_position_embeddings"],
            d_model=theirs["hidden_size"],
            n_heads=theirs["num_attention_heads"],
            n_kv_heads=theirs.get("num_key_value_heads"),
            n_layers=theirs["num_hidden_layers"],
            d_ff=theirs["intermediate_size"],
            d_k=theirs.get("head_dim"),
            base=rope["rope_theta"],
            norm_eps=theirs["rms_norm_eps"],
            norm_qk=theirs["model_type"] == "qwen3",
            bias_qkv=theirs["model_type"] == "qwen2",
            tied=theirs.get("tie_word_embeddings", False),
        )
    except KeyError as missing:
        raise ValueError(f"{missing} is missing in the config") from None


def hugging_face_config(config):
    """A LlamaConfig as Hugging Face's, a dict. Raises ValueError for norm_qk with
    bias_qkv, which no published layout has."""
    if config.norm_qk and config.bias_qkv:
        raise ValueError("norm_qk with bias_qkv is neither a Qwen2 nor a Qwen3")
    kind = "qwen3" if config.norm_qk else "qwen2" if config.bias_qkv else "llama"
    return {
        "model_type": kind,
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.context_length,
        "hidden_size": config.d_model,
        "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.n_kv_heads,
        "num_hidden_layers": config.n_layers,
        "intermediate_size": config.d_ff,
        "head_dim": config.d_k,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.base},
        "rms_norm_eps": config.norm_eps,
        "tie_word_embeddings": config.tied,
        "hidden_act": "silu",
    }


@torch.no_grad()
def orthogonalised(matrix, n_steps=5):
    """The matrix with all its singular values near 1, by Newton–Schulz (Jordan et al.
    2024): five steps take values from 0.01 to 1 of its norm to between 0.6 and 1.3.

    matrix: (rows, columns). Shape stays. Raises ValueError for another number of axes.
    """
    if matrix.dim() != 2:
        raise ValueError(f"a tensor of shape {tuple(matrix.shape)} is no matrix")
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix / (matrix.norm() + 1e-7)  # no singular value is above 1
    wide = x if len(x) <= x.shape[1] else x.mT  # the smaller Gram matrix
    for _ in range(n_steps):
        gram = wide @ wide.mT
        wide = a * wide + (b * gram + c * gram @ gram) @ wide
    return wide if len(x) <= x.shape[1] else wide.mT


class Muon(AdamW):
    """AdamW, but groups with "matrices": True take orthogonalised steps (Jordan et al.
    2024, with the scale of Liu et al. 2025, section 2.2).

    params: groups as for any PyTorch optimiser. momentum: how much of the running sum
    is kept. The rest as in AdamW. Raises ValueError as AdamW, for a momentum outside
    [0, 1) and for what is no matrix in such a group.
    """

    def __init__(self, params, lr=1e-3, *, momentum=0.95, **how):
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum={momentum} is not in [0, 1)")
        super().__init__(params, lr, **how)
        self.momentum = momentum
        for group in self.param_groups:
            for weight in group["params"] if group.get("matrices") else ():
                if weight.dim() != 2:
                    raise ValueError(f"{tuple(weight.shape)} is the shape of no matrix")

    def _move(self, weight, group):
        if not group.get("matrices"):
            return super()._move(weight, group)
        state = self.state[weight]
        if not state:
            state["sum"] = torch.zeros_like(weight)
        state["sum"].mul_(self.momentum).add_(weight.grad)
        step = orthogonalised(weight.grad + self.momentum * state["sum"])
        scale = 0.2 * math.sqrt(max(weight.shape))
        weight.mul_(1 - group["lr"] * group["weight_decay"])
        weight.sub_(step, alpha=group["lr"] * scale)


def new_muon(model, config):
    """Muon with the numbers of a TrainConfig: orthogonalised steps for the matrices of
    model.layers, AdamW for tables, output layer and vectors; vectors do not decay."""
    inside = [w for w in model.layers.parameters() if w.dim() == 2]
    taken = {id(w) for w in inside}
    others = [w for w in model.parameters() if id(w) not in taken]
    groups = [
        {"params": inside, "matrices": True},
        {"params": [w for w in others if w.dim() > 1]},
        {"params": [w for w in others if w.dim() <= 1], "weight_decay": 0.0},
    ]
    rate, decay = config.learning_rate, config.weight_decay
    return Muon(groups, rate, betas=config.betas, weight_decay=decay)
