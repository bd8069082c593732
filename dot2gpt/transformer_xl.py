"""A Transformer that keeps what it read in the segment before. Built in chapter 17."""

from dataclasses import dataclass

import torch
from torch import nn

from dot2gpt.block import FeedForward, Residual
from dot2gpt.multi_head import merge_heads, split_heads
from dot2gpt.positions import sinusoidal_positions
from dot2gpt.scaling import scaled_dot_product_attention


def distance_codes(distances, d_model):
    """Sines and cosines of distances: ints (n,), of either sign, to (n, d_model), with
    the wavelengths of `sinusoidal_positions`."""
    codes = sinusoidal_positions(int(distances.abs().max()) + 1, d_model)
    codes = codes.to(distances.device)[distances.abs()]
    codes[:, 0::2] *= distances.sign()[:, None]  # sin(-x) = -sin(x), cos(-x) = cos(x)
    return codes


class RelativeAttention(nn.Module):
    """Attention whose scores know distances, not positions (Dai et al. 2019, section
    3.3): the score of query i for key j is, over √d_k,

        q_i · k_j  +  q_i · r_{i-j}  +  u · k_j  +  v · r_{i-j}

    with r = W_R times the sine and cosine code of the distance, u and v learned.

    d_model: size of a token. n_heads: must divide d_model.
    """

    def __init__(self, d_model, n_heads):
        super().__init__()
        if n_heads < 1 or d_model % n_heads:
            raise ValueError(f"d_model={d_model} is not divisible by n_heads={n_heads}")
        self.n_heads = n_heads
        self.w_q, self.w_k, self.w_v, self.w_r, self.w_o = (
            nn.Linear(d_model, d_model, bias=False) for _ in range(5)
        )
        self.u = nn.Parameter(torch.zeros(n_heads, 1, d_model // n_heads))
        self.v = nn.Parameter(torch.zeros(n_heads, 1, d_model // n_heads))

    def forward(self, query, key, distance, mask=None):
        """query: (batch, n_queries, d_model). key: (batch, n_keys, d_model), also the
        values. distance: ints (n_queries, n_keys), place of the query minus place of
        the key. mask: bool, True means "may attend", broadcastable to (batch, n_heads,
        n_queries, n_keys). Returns (output, weights): the shape of query, and
        (batch, n_heads, n_queries, n_keys)."""
        first, last = int(distance.min()), int(distance.max())
        every = torch.arange(first, last + 1, device=query.device)
        codes = distance_codes(every, query.shape[-1]).to(query.dtype)
        projected = self.w_q(query), self.w_k(key), self.w_v(key), self.w_r(codes)
        q, k, v, r = (split_heads(part, self.n_heads) for part in projected)
        by_distance = (q + self.v) @ r.transpose(-2, -1)  # a column a distance
        bias = by_distance.gather(-1, (distance - first).expand(*q.shape[:2], -1, -1))
        output, weights = scaled_dot_product_attention(
            q + self.u, k, v, mask, bias / q.shape[-1] ** 0.5
        )
        return self.w_o(merge_heads(output)), weights


@dataclass(frozen=True)
class TransformerXLConfig:
    """The sizes of a Transformer-XL. Raises ValueError for sizes that cannot be.

    memory_length: how many states of each layer are kept for the next segment; 0: none.
    """

    vocab_size: int
    memory_length: int
    d_model: int = 64
    n_heads: int = 4
    n_layers: int = 2
    d_ff: int = 256
    dropout: float = 0.0

    def __post_init__(self):
        for name in "vocab_size d_model n_heads n_layers d_ff".split():
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} is not 1 or more")
        if self.memory_length < 0:
            raise ValueError(f"memory_length={self.memory_length} is not 0 or more")
        if self.d_model % self.n_heads:
            raise ValueError(
                f"d_model={self.d_model} is not divisible by n_heads={self.n_heads}"
            )


class TransformerXLLayer(nn.Module):
    """Relative attention to memory and segment, then a feed-forward net, each with
    residual and norm after it, as in the paper. config: a TransformerXLConfig."""

    def __init__(self, config):
        super().__init__()
        self.attention = RelativeAttention(config.d_model, config.n_heads)
        self.feed_forward = FeedForward(config.d_model, config.d_ff)
        self.around_attention = Residual(config.d_model, dropout=config.dropout)
        self.around_feed_forward = Residual(config.d_model, dropout=config.dropout)

    def forward(self, x, memory=None):
        """x: (batch, time, d_model), one segment. memory: the inputs of this layer in
        the segments before, (batch, n_before, d_model), or None. Shape of x stays."""
        keys = x if memory is None else torch.cat([memory, x], dim=1)
        time, n_keys = x.shape[1], keys.shape[1]
        place = torch.arange(n_keys, device=x.device)
        distance = place[-time:, None] - place
        seen = distance >= 0
        x = self.around_attention(
            x, lambda x: self.attention(x, keys, distance, seen)[0]
        )
        return self.around_feed_forward(x, self.feed_forward)


class TransformerXL(nn.Module):
    """A causal language model that reads a text in segments and takes along, for each
    layer, the states of the last memory_length tokens (Dai et al. 2019, section 3.2).
    config: a TransformerXLConfig."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.vocab_size, config.d_model)
        self.layers = nn.ModuleList(
            TransformerXLLayer(config) for _ in range(config.n_layers)
        )
        self.head = nn.Linear(config.d_model, config.vocab_size)

    def forward(self, ids, memory=None):
        """ids: (batch, time), one segment. memory: what the call for the segment before
        returned, or None. Returns (logits, memory): (batch, time, vocab_size), and a
        list of (batch, up to memory_length, d_model), without gradient. Raises
        ValueError for a memory of another number of layers."""
        memory = memory or [None] * len(self.layers)
        if len(memory) != len(self.layers):
            raise ValueError(
                f"a memory of {len(memory)} layers, but the model has"
                f" {len(self.layers)}"
            )
        x, kept = self.tokens(ids), []
        for layer, before in zip(self.layers, memory):
            kept.append(self.remember(x, before))
            x = layer(x, before)
        return self.head(x), kept

    def remember(self, x, before):
        """The last memory_length states of memory and segment, without gradient."""
        states = x if before is None else torch.cat([before, x], dim=1)
        start = max(0, states.shape[1] - self.config.memory_length)
        return states[:, start:].detach()
