"""Generation: with the cache, without it, and by Hugging Face's generate."""

from dataclasses import replace

import torch

from benchmarks.measure import Row, main, side_by_side
from benchmarks.training import twins
from dot2gpt.generation import generate
from dot2gpt.gpt import default_config


def rows(quick=False):
    """One text, the most probable token each time. Asserts that all write the same."""
    n_tokens, repeats = (20, 2) if quick else (500, 7)
    prompt = [3, 1, 4, 1, 5]
    config = replace(
        default_config(vocab_size=103)[0], context_length=n_tokens + len(prompt)
    )
    model, reference = twins(config)
    reference.eval()
    written = {}

    def ours(use_cache=True):
        texts = generate(model, [prompt], n_tokens, temperature=0, use_cache=use_cache)
        written[f"use_cache={use_cache}"] = texts[0]

    def theirs():
        ids = torch.tensor([prompt])
        options = {"max_new_tokens": n_tokens, "do_sample": False}
        options |= {"attention_mask": torch.ones_like(ids), "pad_token_id": 0}
        written["transformers"] = reference.generate(ids, **options)[0].tolist()

    against_theirs = side_by_side(ours, theirs, repeats)
    against_none = side_by_side(ours, lambda: ours(False), min(repeats, 3))
    first, *others = written.values()
    assert len(written) == 3 and all(text == first for text in others)
    assert len(first) == len(prompt) + n_tokens
    what = f"{n_tokens} tokens, "
    return [
        Row(f"{what}transformers", *against_theirs, n_tokens, "tokens/s", 1.5),
        Row(f"{what}no cache", *against_none, n_tokens, "tokens/s", 5),
    ]


if __name__ == "__main__":
    main(__doc__, rows)
