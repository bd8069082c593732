"""Training: GPT beside Hugging Face's GPT2LMHeadModel of the same shape and weights."""

from itertools import cycle

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from benchmarks.measure import Row, main, side_by_side
from dot2gpt.gpt import GPT, default_config
from dot2gpt.training import training_step


class Logits(torch.nn.Module):
    """A Hugging Face model that answers as GPT does."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids):
        return self.model(ids, use_cache=False).logits


def twins(config, seed=0):
    """A GPT and a GPT2LMHeadModel with the same random weights and no dropout."""
    torch.manual_seed(seed)
    theirs = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=config.vocab_size,
            n_positions=config.context_length,
            n_embd=config.d_model,
            n_layer=config.n_layers,
            n_head=config.n_heads,
            n_inner=config.d_ff,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=None,
            eos_token_id=None,
        )
    )
    return GPT.from_gpt2(theirs.state_dict(), config.n_heads), theirs


def rows(quick=False):
    """Steps of the default run: same batches, loss, clipping and optimiser for both.

    Asserts that both have the same losses.
    """
    config, training, batch = default_config(vocab_size=103)
    steps, repeats = (2, 2) if quick else (4, 25)
    ours, theirs = twins(config)
    windows = [
        torch.randint(0, config.vocab_size, (2, batch, config.context_length))
        for _ in range(8)
    ]
    losses = [], []

    def trainer(model, losses):
        optimizer = torch.optim.AdamW(
            model.train().parameters(), training.learning_rate / 10, fused=True
        )
        data = cycle(windows)

        def run():
            for _ in range(steps):
                loss, *_ = training_step(model, data, optimizer, training, 0)
                losses.append(loss)

        return run

    times = side_by_side(
        trainer(ours, losses[0]), trainer(Logits(theirs), losses[1]), repeats
    )
    gap = max(abs(a - b) for a, b in zip(*losses))
    assert gap < 1e-3 and len(losses[0]) == steps * (repeats + 1), gap
    n_tokens = steps * batch * config.context_length
    return [Row("training, transformers", *times, n_tokens, "tokens/s", 1.3)]


if __name__ == "__main__":
    main(__doc__, rows)
