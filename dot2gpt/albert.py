"""One layer for all, and a small table. Built in chapter 20."""

from dataclasses import dataclass

import torch
from torch import nn

from dot2gpt.bert import BERTEmbedding, BERTLayer, MaskedTokenHead, rename
from dot2gpt.gpt import gelu


@dataclass(frozen=True)
class ALBERTConfig:
    """The sizes of an ALBERT. Raises ValueError for sizes that cannot be."""

    vocab_size: int
    context_length: int
    d_embedding: int = 32  # size of a row of the token table
    d_model: int = 64
    n_heads: int = 4
    n_layers: int = 4  # how often the one layer is applied
    d_ff: int = 256
    n_segments: int = 2
    dropout: float = 0.0
    norm_eps: float = 1e-12

    def __post_init__(self):
        names = "vocab_size context_length d_embedding d_model n_heads n_layers d_ff"
        for name in names.split():
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} is not 1 or more")
        if self.d_model % self.n_heads:
            raise ValueError(
                f"d_model={self.d_model} is not divisible by n_heads={self.n_heads}"
            )


class ALBERT(nn.Module):
    """A BERT with a factorised token table and one layer applied n_layers times (Lan et
    al. 2020, section 3.1). config: an ALBERTConfig."""

    def __init__(self, config):
        super().__init__()
        c = self.config = config
        self.embedding = BERTEmbedding(
            c.vocab_size,
            c.context_length,
            c.n_segments,
            c.d_embedding,
            c.norm_eps,
            c.dropout,
        )
        self.widen = nn.Linear(c.d_embedding, c.d_model)
        self.layer = BERTLayer(
            c.d_model, c.n_heads, c.d_ff, c.norm_eps, c.dropout, gelu
        )
        self.pooler = nn.Linear(c.d_model, c.d_model)

    def forward(self, ids, segments=None, mask=None):
        """As BERT: (batch, time) ids to hidden states (batch, time, d_model)."""
        x = self.widen(self.embedding(ids, segments))
        for _ in range(self.config.n_layers):
            x = self.layer(x, mask)
        return x

    def pool(self, hidden):
        """One vector a sequence, from its first token: (batch, d_model)."""
        return torch.tanh(self.pooler(hidden[:, 0]))

    @classmethod
    def from_hugging_face(cls, state_dict, config):
        """With the weights of Hugging Face's AlbertModel. Raises RuntimeError, naming
        them, if weights are missing or do not fit."""
        names = {
            "albert.": "",
            "embeddings.word_embeddings": "embedding.token",
            "embeddings.position_embeddings.weight": "embedding.position.table",
            "embeddings.token_type_embeddings": "embedding.segment",
            "embeddings.LayerNorm": "embedding.norm",
            "encoder.embedding_hidden_mapping_in": "widen",
            "encoder.albert_layer_groups.0.albert_layers.0.": "layer.",
            "attention.query": "attention.w_q",
            "attention.key": "attention.w_k",
            "attention.value": "attention.w_v",
            "attention.dense": "attention.w_o",
            "attention.LayerNorm": "around_attention.norm",
            "full_layer_layer_norm": "around_feed_forward.norm",
            "ffn_output": "feed_forward.narrow",
            "ffn.": "feed_forward.widen.",
        }
        model = cls(config)
        model.load_state_dict(rename(state_dict, names))
        return model


class ALBERTForPreTraining(nn.Module):
    """ALBERT with its two objectives: which token was hidden, and whether two pieces of
    text were swapped (Lan et al. 2020, section 3.1). config: an ALBERTConfig."""

    def __init__(self, config):
        super().__init__()
        c = config
        self.albert = ALBERT(config)
        self.masked_token = MaskedTokenHead(
            c.d_model, c.d_embedding, c.vocab_size, c.norm_eps, gelu
        )
        self.order = nn.Linear(c.d_model, 2)

    def forward(self, ids, segments=None, mask=None):
        """As BERT. Returns (token_logits, order_logits), (batch, time, vocab_size) and
        (batch, 2): class 0 says "in order", class 1 "swapped"."""
        hidden = self.albert(ids, segments, mask)
        tokens = self.masked_token(hidden, self.albert.embedding.token.weight)
        return tokens, self.order(self.albert.pool(hidden))


def swap_pairs(first, second, generator=None):
    """Swap about half of the pairs of a batch. first, second: (batch, n) ids each, of
    one length. Returns (first, second, swapped); swapped is bool (batch,)."""
    swapped = torch.rand(len(first), generator=generator) < 0.5
    here = swapped[:, None]
    return torch.where(here, second, first), torch.where(here, first, second), swapped
