"""Predicting the tokens of a text in any order. Built in chapter 18."""

from dataclasses import dataclass

import torch
from torch import nn

from dot2gpt.block import FeedForward, Residual
from dot2gpt.transformer_xl import RelativeAttention


def permutation_masks(rank):
    """Who may see whom when a text is predicted in an order (Yang et al. 2019, section
    2.3).

    rank: (batch, time) or (time,), the turn of each token: 0 is predicted first.
    Returns (content, query), bool (..., time, time), True means "may attend": content
    sees what came before it and itself, query only what came before it.
    """
    mine, other = rank.unsqueeze(-1), rank.unsqueeze(-2)
    return other <= mine, other < mine


@dataclass(frozen=True)
class XLNetConfig:
    """The sizes of an XLNet. Raises ValueError for sizes that cannot be."""

    vocab_size: int
    d_model: int = 64
    n_heads: int = 4
    n_layers: int = 2
    d_ff: int = 256
    dropout: float = 0.0

    def __post_init__(self):
        for name in "vocab_size d_model n_heads n_layers d_ff".split():
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} is not 1 or more")
        if self.d_model % self.n_heads:
            raise ValueError(
                f"d_model={self.d_model} is not divisible by n_heads={self.n_heads}"
            )


class XLNetLayer(nn.Module):
    """One layer for two streams, with the same weights (Yang et al. 2019, section 2.3).
    config: an XLNetConfig."""

    def __init__(self, config):
        super().__init__()
        self.attention = RelativeAttention(config.d_model, config.n_heads)
        self.feed_forward = FeedForward(config.d_model, config.d_ff)
        self.around_attention = Residual(config.d_model, dropout=config.dropout)
        self.around_feed_forward = Residual(config.d_model, dropout=config.dropout)

    def forward(self, stream, content, distance, mask):
        """stream: (batch, time, d_model), the queries. content: (batch, time, d_model),
        the keys and values. mask: bool (batch, 1, time, time). Shape stays."""
        stream = self.around_attention(
            stream, lambda x: self.attention(x, content, distance, mask)[0]
        )
        return self.around_feed_forward(stream, self.feed_forward)


class XLNet(nn.Module):
    """A model that predicts each token from those before it in an order that is given
    anew for every text, and knows where each stands. config: an XLNetConfig."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.vocab_size, config.d_model)
        self.blank = nn.Parameter(torch.randn(config.d_model) * 0.02)
        self.layers = nn.ModuleList(XLNetLayer(config) for _ in range(config.n_layers))
        self.head = nn.Linear(config.d_model, config.vocab_size)

    def forward(self, ids, rank):
        """ids: (batch, time). rank: (batch, time), the turn of each token. Returns
        logits (batch, time, vocab_size) for the token at each place, from those whose
        turn came before."""
        content = self.tokens(ids)
        query = self.blank.expand_as(content)
        place = torch.arange(ids.shape[1], device=ids.device)
        distance = place[:, None] - place
        sees_itself, sees_before = (m.unsqueeze(1) for m in permutation_masks(rank))
        for layer in self.layers:
            query = layer(query, content, distance, sees_before)
            content = layer(content, content, distance, sees_itself)
        return self.head(query)


def random_ranks(batch, time, generator=None):
    """A random order a row: (batch, time), the turn of each token."""
    return torch.rand(batch, time, generator=generator).argsort(-1)
