"""Weights of a model as a page takes them: named tables in one text of base64.

Matrices are int8 with a scale a row, or float32; vectors are float32. `engine.js` reads
the same format.
"""

import base64
from dataclasses import asdict

import numpy as np
import torch

from dot2gpt.encoder_decoder import Transformer, TransformerConfig
from dot2gpt.generation import generate, next_logits
from dot2gpt.gpt import GPT, Characters, GPTConfig
from dot2gpt.tokens import token_pattern

DTYPES = ("int8", "float32")
BARS, SAMPLE = 12, 40  # tokens that a page shows with JavaScript off


def named_parts(model):
    """{name: weight} as the engine reads them: w_qkv cut in three, a tied head once."""
    found = {}
    for name, weight in model.state_dict().items():
        before, qkv, after = name.partition("w_qkv.")
        if qkv:
            parts = zip("qkv", weight.chunk(3))
            found |= {f"{before}w_{letter}.{after}": part for letter, part in parts}
        elif not _tied(name, model):
            found[name] = weight
    return {name: weight.detach().cpu().float() for name, weight in found.items()}


def _tied(name, model):
    """Whether a GPT's output layer is its table of tokens."""
    return name == "head.weight" and model.config.tied


def pack(model, dtype="int8"):
    """{"config", "weights": [[name, rows, size, dtype]], "data": base64} of a model.

    model: a GPT or a Transformer. dtype: of its matrices, "int8" or "float32"; little
    endian. Raises ValueError for another.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype={dtype!r}, expected one of {DTYPES}")
    weights, data = [], []
    for name, weight in named_parts(model).items():
        rows = weight if weight.dim() == 2 else weight[None]
        kind = dtype if weight.dim() == 2 else "float32"
        if kind == "int8":
            scales = rows.abs().amax(1).clamp(min=1e-12) / 127
            data.append(scales.numpy().astype("<f4").tobytes())
            rows = (rows / scales[:, None]).round().to(torch.int8)
        weights.append([name, *rows.shape, kind])
        data.append(rows.numpy().astype("<f4" if kind == "float32" else "i1").tobytes())
    text = base64.b64encode(b"".join(data)).decode()
    return {"config": asdict(model.config), "weights": weights, "data": text}


def unpack(packed):
    """The model that a page computes with, in evaluation mode. packed: of `pack`."""
    data, at, found = base64.b64decode(packed["data"]), 0, {}

    def take(dtype, *shape):
        nonlocal at
        numbers = np.frombuffer(data, dtype, int(np.prod(shape)), at)
        at += numbers.nbytes
        return torch.from_numpy(numbers.astype("f4")).view(shape)

    for name, rows, size, dtype in packed["weights"]:
        scales = take("<f4", rows, 1) if dtype == "int8" else 1
        found[name] = take("i1" if dtype == "int8" else "<f4", rows, size) * scales
    is_gpt = "context_length" in packed["config"]
    kind, config = (GPT, GPTConfig) if is_gpt else (Transformer, TransformerConfig)
    model = kind(config(**packed["config"]))
    state = {}
    for name, old in model.state_dict().items():
        before, qkv, after = name.partition("w_qkv.")
        if qkv:
            parts = [found[f"{before}w_{letter}.{after}"] for letter in "qkv"]
            state[name] = torch.cat(parts).view(old.shape)
        else:
            stored = "tokens.weight" if _tied(name, model) else name
            state[name] = found[stored].view(old.shape)
    model.load_state_dict(state)
    return model.eval()


def vocabulary(encoding):
    """{"tokens": [text of each id], "pattern": name or None} of an encoding.

    encoding: Characters, or a tiktoken.Encoding of `dot2gpt.tokens.encoding`; then a
    token's text has a character below 256 for each of its bytes.
    """
    if isinstance(encoding, Characters):
        return {"tokens": encoding.characters, "pattern": None}
    names = ("cl100k", "gpt2")
    pattern = next(n for n in names if token_pattern(n) == encoding._pat_str)
    tokens = map(encoding.decode_single_token_bytes, range(encoding.n_vocab))
    return {"tokens": [token.decode("latin-1") for token in tokens], "pattern": pattern}


@torch.no_grad()
def still_picture(model, encoding, prompt):
    """What a page shows with JavaScript off: the likeliest next tokens, and a text.

    model: of `unpack`. Returns [[id, probability]] and the prompt with its
    continuation, the likeliest token each time. Raises ValueError for an empty prompt.
    """
    ids = encoding.encode(prompt)
    text = generate(model, [ids], SAMPLE, temperature=0)[0]
    start = max(0, len(ids) - model.config.context_length)
    shares = next_logits(model, [ids], [start])[0].softmax(-1)
    order = shares.argsort(descending=True, stable=True)[:BARS]
    bars = [[id, round(shares[id].item(), 4)] for id in order.tolist()]
    return bars, encoding.decode(text)
