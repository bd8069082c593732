"""Text to text: spans are cut out and written again. Built in chapter 16."""

import math
from dataclasses import dataclass

import torch
from torch import nn

from dot2gpt.block import FeedForward
from dot2gpt.masking import causal_mask
from dot2gpt.multi_head import MultiHeadAttention


class RMSNorm(nn.Module):
    """Each token divided by the root of its mean square, times a learned scale: a
    LayerNorm without mean and shift (Zhang and Sennrich 2019).

    d_model: size of a token. eps: added to the mean square.
    """

    def __init__(self, d_model, eps=1e-6):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.eps = eps

    def forward(self, x):
        """x: (..., d_model). Returns the same shape."""
        mean_square = x.square().mean(-1, keepdim=True)
        return self.weight * x * torch.rsqrt(mean_square + self.eps)


def relative_bucket(distance, n_buckets=32, max_distance=128, both_sides=True):
    """The bucket of a distance, key position minus query position (Raffel et al. 2019,
    section 2.1, and the published code).

    distance: ints of any shape. Half of the buckets are exact, the others grow as a
    logarithm up to max_distance; all beyond share the last. both_sides: half of the
    buckets for keys on the right; else those are all in bucket 0. Returns ints of the
    same shape, 0 to n_buckets - 1.
    """
    first = torch.zeros_like(distance)
    if both_sides:
        n_buckets //= 2
        first = (distance > 0) * n_buckets
        distance = distance.abs()
    else:
        distance = (-distance).clamp(min=0)
    exact = n_buckets // 2
    far = distance.clamp(min=1).float() / exact
    share = far.log() / math.log(max_distance / exact)  # 0 at exact, 1 at max_distance
    large = (exact + share * (n_buckets - exact)).long().clamp(max=n_buckets - 1)
    return first + torch.where(distance < exact, distance, large)


class RelativeBias(nn.Module):
    """A learned number a head and a bucket of distances, added to the scores."""

    def __init__(self, n_heads, n_buckets=32, max_distance=128, both_sides=True):
        super().__init__()
        self.table = nn.Embedding(n_buckets, n_heads)
        self.how = n_buckets, max_distance, both_sides

    def forward(self, n_queries, n_keys):
        """Returns (n_heads, n_queries, n_keys); the last query stands at the last
        key."""
        device = self.table.weight.device
        queries = torch.arange(n_keys - n_queries, n_keys, device=device)
        keys = torch.arange(n_keys, device=device)
        buckets = relative_bucket(keys - queries[:, None], *self.how)
        return self.table(buckets).permute(2, 0, 1)


@dataclass(frozen=True)
class T5Config:
    """The sizes of a T5. Raises ValueError for sizes that cannot be."""

    vocab_size: int
    d_model: int = 64
    n_heads: int = 4
    n_layers: int = 2  # of the encoder, and of the decoder
    d_ff: int = 256
    n_buckets: int = 32
    max_distance: int = 128
    dropout: float = 0.0

    def __post_init__(self):
        names = "vocab_size d_model n_heads n_layers d_ff n_buckets max_distance"
        for name in names.split():
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} is not 1 or more")
        if self.d_model % self.n_heads:
            raise ValueError(
                f"d_model={self.d_model} is not divisible by n_heads={self.n_heads}"
            )


class T5Layer(nn.Module):
    """Self-attention, cross-attention in a decoder, feed-forward net; each reads a
    normed copy and is added (pre-norm with RMSNorm, no biases).

    config: a T5Config. cross: with cross-attention.
    """

    def __init__(self, config, cross):
        super().__init__()
        sizes = config.d_model, config.n_heads
        self.attention = MultiHeadAttention(*sizes, bias=False)
        self.cross = MultiHeadAttention(*sizes, bias=False) if cross else None
        self.feed_forward = FeedForward(config.d_model, config.d_ff)
        self.feed_forward.widen.register_parameter("bias", None)
        self.feed_forward.narrow.register_parameter("bias", None)
        self.norms = nn.ModuleList(RMSNorm(config.d_model) for _ in range(2 + cross))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x, bias, mask=None, read=None, read_mask=None):
        """x: (batch, time, d_model). bias: of the positions, (n_heads, time, time).
        read: what the encoder gave, (batch, n_keys, d_model). Shape of x stays."""
        norms = iter(self.norms)
        attended, _ = self.attention(next(norms)(x), mask=mask, bias=bias)
        x = x + self.dropout(attended)
        if self.cross is not None:
            attended, _ = self.cross(next(norms)(x), read, mask=read_mask)
            x = x + self.dropout(attended)
        return x + self.dropout(self.feed_forward(next(norms)(x)))


class T5Stack(nn.Module):
    """Layers that share one table of position biases, and a norm at the end."""

    def __init__(self, config, decoder):
        super().__init__()
        self.bias = RelativeBias(
            config.n_heads, config.n_buckets, config.max_distance, not decoder
        )
        self.layers = nn.ModuleList(
            T5Layer(config, decoder) for _ in range(config.n_layers)
        )
        self.norm = RMSNorm(config.d_model)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x, mask=None, read=None, read_mask=None):
        """As T5Layer, without the bias. Shape of x stays."""
        bias = self.bias(x.shape[1], x.shape[1])
        x = self.dropout(x)
        for layer in self.layers:
            x = layer(x, bias, mask, read, read_mask)
        return self.dropout(self.norm(x))


class T5(nn.Module):
    """Encoder and decoder with one token table and relative positions (Raffel et al.
    2019). config: a T5Config.
    """

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.vocab_size, config.d_model)
        self.encoder = T5Stack(config, decoder=False)
        self.decoder = T5Stack(config, decoder=True)
        nn.init.normal_(self.tokens.weight, std=1.0)

    def encode(self, ids, mask=None):
        """What is read: ids (batch, n_keys) to (batch, n_keys, d_model).
        mask: a padding_mask."""
        return self.encoder(self.tokens(ids), mask)

    def decode(self, ids, read, read_mask=None):
        """What is written so far, (batch, time), to states (batch, time, d_model)."""
        mask = causal_mask(ids.shape[1]).to(ids.device)
        return self.decoder(self.tokens(ids), mask, read, read_mask)

    def forward(self, source, target, mask=None):
        """source: (batch, n_keys) ids to read. target: (batch, time) ids written before
        each place. Returns logits (batch, time, vocab_size): the table is the output
        layer, too, with the states scaled by 1/√d_model."""
        states = self.decode(target, self.encode(source, mask), mask)
        return states @ self.tokens.weight.T / math.sqrt(self.config.d_model)

    @classmethod
    def from_hugging_face(cls, state_dict, config):
        """With the weights of Hugging Face's T5Model or a tied
        T5ForConditionalGeneration. Raises RuntimeError, naming them, if weights are
        missing or do not fit."""
        model = cls(config)
        model.load_state_dict(from_hugging_face_t5(state_dict, config))
        return model


def from_hugging_face_t5(state_dict, config):
    """Hugging Face's weights under our names. T5 doesn't divide scores by √d_k, our
    attention does: the queries' weights are multiplied by it instead."""
    names = {
        "shared": "tokens",
        "block.0.layer.0.SelfAttention.relative_attention_bias": "bias.table",
        "block.": "layers.",
        "layer.0.SelfAttention.": "attention.w_",
        "layer.1.EncDecAttention.": "cross.w_",
        "layer.1.DenseReluDense.wi": "feed_forward.widen",
        "layer.1.DenseReluDense.wo": "feed_forward.narrow",
        "layer.2.DenseReluDense.wi": "feed_forward.widen",
        "layer.2.DenseReluDense.wo": "feed_forward.narrow",
        "layer.0.layer_norm": "norms.0",
        "layer.1.layer_norm": "norms.1",
        "layer.2.layer_norm": "norms.2",
        "final_layer_norm": "norm",
    }
    ours = {}
    for name, weight in state_dict.items():
        if "embed_tokens" in name or name.startswith("lm_head"):
            continue  # copies of the one table
        for old, new in names.items():
            name = name.replace(old, new)
        if name.endswith("w_q.weight"):
            weight = weight * math.sqrt(config.d_model // config.n_heads)
        ours[name] = weight
    return ours


def corrupt_spans(ids, sentinels, share=0.15, mean_length=3.0, generator=None):
    """Cut spans out of one text and put a sentinel into each gap (Raffel et al. 2019,
    section 3.1.4).

    ids: list of ids. sentinels: ids that no text has, in the order in which they are
    used. share: of the tokens that are cut out. mean_length: of a span. Returns
    (source, target), lists of ids: the target is each sentinel and what it stands for,
    and one more sentinel at the end. Raises ValueError if a sentinel stands in the text
    or too few are given.
    """
    if overlap := set(ids) & set(sentinels):
        raise ValueError(f"the text holds the sentinel {min(overlap)}")
    n_cut = min(max(1, round(len(ids) * share)), len(ids) - 1)
    n_spans = min(max(1, round(n_cut / mean_length)), n_cut, len(ids) - n_cut)
    if len(ids) < 2:
        raise ValueError(f"a text of {len(ids)} tokens is too short to cut a span")
    if n_spans + 1 > len(sentinels):
        raise ValueError(f"{len(sentinels)} sentinels for {n_spans} spans and the end")
    cut = random_parts(n_cut, n_spans, generator)
    kept = random_parts(len(ids) - n_cut, n_spans, generator)
    source, target, place = [], [], 0
    for sentinel, n_kept, n_gone in zip(sentinels, kept, cut):
        middle, end = place + n_kept, place + n_kept + n_gone
        source += [*ids[place:middle], sentinel]
        target += [sentinel, *ids[middle:end]]
        place = end
    return source, [*target, sentinels[n_spans]]


def random_parts(total, n_parts, generator=None):
    """Cut a number into n_parts whole numbers of at least 1, all ways alike."""
    order = torch.randperm(total - 1, generator=generator)[: n_parts - 1] + 1
    ends = [0, *sorted(order.tolist()), total]
    return [b - a for a, b in zip(ends, ends[1:])]


def restore_spans(source, target, sentinels):
    """The text that corrupt_spans cut: each sentinel replaced by what it stands for."""
    spans, current = {}, None
    for token in target:
        if token in sentinels:
            current = spans.setdefault(token, [])
        elif current is not None:
            current.append(token)
    text = []
    for token in source:
        text += spans.get(token, []) if token in sentinels else [token]
    return text
