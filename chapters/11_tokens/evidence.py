"""What chapter 11 claims, measured: `python -m tools.evidence 11_tokens`."""

import random

import torch
from torch import nn

from dot2gpt.corpus import textbook
from dot2gpt.tokens import encoding, train_bpe
from tools.evidence import claim, lesson


@claim(
    "Byte pairs give back every text, in any writing: emoji, Chinese, broken surrogates "
    "aside",
    holds=lambda f: f["of 500 texts, given back"] == 500,
)
def round_trip(seed, budget):
    bpe = encoding(train_bpe(textbook()[:20_000], 256 + 64)[1])
    draw, back = random.Random(0), 0
    for _ in range(500):
        text = "".join(
            chr(draw.choice([draw.randrange(0xD800), draw.randrange(0xE000, 0x110000)]))
            for _ in range(draw.randrange(40))
        )
        back += bpe.decode(bpe.encode_ordinary(text)) == text
    return {"of 500 texts, given back": back}


@claim(
    "More merges make fewer tokens of the same text, and each further hundred saves less",
    holds=lambda f: (
        f["0 merges"] == 1
        and f["64 merges"] < f["128 merges"] < f["256 merges"]
        and f["256 merges"] - f["128 merges"] < 2 * (f["128 merges"] - f["0 merges"])
    ),
)
def merges(seed, budget):
    text = textbook()
    start = 40_000 * seed
    piece, found = text[start : start + 40_000], {}
    pairs = train_bpe(piece, 256 + 256)[1]
    for n in (0, 64, 128, 256):
        tokens = len(encoding(pairs[:n]).encode_ordinary(piece))
        found[f"{n} merges"] = len(piece.encode()) / tokens
    return found


@claim(
    "An embedding is a one-hot row times a table, and only the rows that were used get a "
    "gradient",
    holds=lambda f: f["off by"] < 1e-6 and f["unused rows with a gradient"] == 0,
)
def embedding(seed, budget):
    table, ids = nn.Embedding(50, 7), torch.randint(50, (3, 5))
    product = nn.functional.one_hot(ids, 50).float() @ table.weight
    table(ids).square().sum().backward()
    unused = ~torch.isin(torch.arange(50), ids)
    return {
        "off by": (product - table(ids)).abs().max().item(),
        "unused rows with a gradient": table.weight.grad[unused].count_nonzero().item(),
    }


@claim(
    "tiktoken joins two tokens if the bytes that they make are a token, whatever pair made it in training; for merges that training makes that is the same",
    holds=lambda f: f["of 500 words, the same"] == 500,
)
def pairs_or_bytes(seed, budget):
    page, draw = lesson("11_tokens"), random.Random(0)
    merges = train_bpe(textbook()[:40_000], 256 + 128)[1]
    bpe, same = encoding(merges), 0
    for _ in range(500):
        word = "".join(draw.choice("etaoinsrhl") for _ in range(draw.randrange(1, 12)))
        ids = [bytes([b]) for b in word.encode()]
        for left, right in merges:
            ids = page.join_pair(ids, (left, right), left + right)
        same += ids == bpe.decode_tokens_bytes(bpe.encode_ordinary(word))
    return {"of 500 words, the same": same}
