"""`python -m dot2gpt train`: chapter 13 from the shell.

torch takes seconds to import, so everything that needs it is imported when it runs.
"""

import math
import os

from dot2gpt.commands.options import (
    FOLDER,
    Default,
    add_device,
    device_named,
    in_words,
    new_command,
    seed_number,
    whole,
)

TRAIN = """\
Train a GPT on a text, show how well it predicts what it has not seen, and let it write.

  python -m dot2gpt train                        the textbook of the course
  python -m dot2gpt train --text my_book.txt     a text of your own (UTF-8)
  python -m dot2gpt train --tokens bpe           pieces of words instead of characters
  python -m dot2gpt train --steps 200            a first try
  python -m dot2gpt train --resume               go on after Ctrl-C
  torchrun --nproc-per-node 2 -m dot2gpt train   two processes share each batch

The last tenth of the text is kept for validation. The loss is in nats a token: ln of
the number of tokens for a model that knows nothing ("uniform"), less for one that knows
how often each occurs ("unigram"). Beside those lines you see whether yours learns.
The defaults are a run on characters, made for two cores and a few minutes. A larger
model (--layers, --width, --context) and more --steps are better and slower; with a
small text --dropout 0.1 or more keeps it from learning by heart.

Ctrl-C saves and stops; --resume goes on to the same losses as without a stop.
"""
OPTIONS = "text tokens vocab_size layers heads width context batch steps".split()
OPTIONS += ["learning_rate", "dropout", "dtype", "seed"]


def add_train(commands):
    """Add `train`: a text becomes a model in a folder."""
    parser = new_command(commands, "train", "train a GPT on a text", TRAIN)
    add = parser.add_argument
    add("--text", metavar="FILE", help="what to learn (default: the textbook)")
    add("--tokens", choices=["characters", "bpe"], help="(default: characters)")
    add("--vocab-size", metavar="N", type=int, help="tokens of bpe (default: 1024)")
    sizes = (
        ("--layers", "layers", (0, "n_layers")),
        ("--heads", "attention heads a layer", (0, "n_heads")),
        ("--width", "numbers a token, divisible by the heads", (0, "d_model")),
        ("--context", "tokens that the model sees", (0, "context_length")),
        ("--batch", "windows a step, of all processes together", (2, None)),
        ("--steps", "steps of training", (1, "n_steps")),
    )
    for name, says, default in sizes:
        says, default = f"{says} (default: %(default)s)", Default(*default)
        add(name, metavar="N", type=int, default=default, help=says)
    for name, says, default in (
        ("--learning-rate", "the highest rate", Default(1, "learning_rate")),
        ("--dropout", "what part is left out in training", Default(0, "dropout")),
    ):
        says = f"{says} (default: %(default)s)"
        add(name, metavar="X", type=float, default=default, help=says)
    add(
        "--dtype",
        choices=["float32", "bfloat16"],
        default=Default(1, "dtype"),
        help="precision of the matrix products (default: %(default)s)",
    )
    add("--seed", metavar="N", type=seed_number, help="another run (default: 0)")
    add_device(parser)
    add("--threads", metavar="N", type=whole, help="of the CPU (default: torch's)")
    add("--out", metavar="FOLDER", default=FOLDER, help="(default: %(default)s)")
    add("--resume", action="store_true", help="go on with the training in --out")
    parser.set_defaults(run=lambda arguments: in_words(train, arguments))


def train(arguments):
    """Train, print what was reached, show a sample; returns the exit code."""
    import torch

    from dot2gpt import processes
    from dot2gpt.commands import runs

    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    with processes.distributed() as (rank, size):
        out = print if rank == 0 else lambda *_, **__: None
        run, text = _prepare(arguments, size)
        processes.mean_over_processes(0)  # all have looked before the first one writes
        if rank == 0 and not arguments.resume:
            runs.save_run(arguments.out, run)
        try:
            model, loss = _fit(run, text, arguments, out)
        except KeyboardInterrupt as stop:
            out(f"{stop}, saved; go on with:\n  {_again(arguments.out, size)}")
            return 130
        kinds = run.model.vocab_size
        out(f"perplexity {math.exp(loss):.1f}: it wavers between so many of {kinds:,}")
        if rank == 0:
            _show_sample(model, run, text, arguments.out)
    return 0


def _prepare(arguments, size):
    """The Run, new or to go on with, and its text; nothing is written yet."""
    from dot2gpt.commands import runs

    given = {name: getattr(arguments, name) for name in OPTIONS}
    if given["text"] is not None:
        given["text"] = os.path.abspath(given["text"])
    if arguments.resume:
        run = _resumed(arguments.out, given)
        text = runs.read_text(given["text"] or run.settings["text"])
        if runs.digest(text) != run.digest:
            raise runs.GPTError(
                f"{arguments.out} was begun with another text: give it with --text"
            )
    else:
        if os.path.exists(os.path.join(arguments.out, "model.json")):
            raise runs.GPTError(
                f"{arguments.out} holds a model already: --resume goes on with it, "
                "--out names another folder"
            )
        text = runs.read_text(given["text"])
        run = runs.new_run(_settings(given), text)
    batch = run.settings["batch"]
    if batch < 1 or batch % size:
        parts = f" and divisible by {size}, the processes" if size > 1 else ""
        raise runs.GPTError(f"--batch {batch} is not above 0{parts}")
    return run, text


def _resumed(folder, given):
    """The Run of a folder. What was given must be what it was begun with."""
    from dot2gpt.commands import runs

    run = runs.load_run(folder)
    for name, value in given.items():
        then = run.settings[name]
        left_out = value is None or isinstance(value, Default)
        if name != "text" and not left_out and value != then:
            option = "--" + name.replace("_", "-")
            raise runs.GPTError(
                f"{folder} was begun with {option} {then}, not {value}: leave it out, "
                "or begin anew in another --out"
            )
    return run


def _settings(given):
    """The options with defaults in the place of what was left out."""
    settings = {
        name: value.value() if isinstance(value, Default) else value
        for name, value in given.items()
    }
    settings["tokens"] = settings["tokens"] or "characters"
    settings["seed"] = settings["seed"] or 0
    return settings


def _fit(run, text, arguments, out):
    """Train the model of a Run. Returns it and its loss on the text not learned."""
    import torch
    from tqdm import tqdm

    from dot2gpt.gpt import GPT
    from dot2gpt.tokens import batches
    from dot2gpt.training import evaluate, train

    learn, unseen = _split(run, text)
    batch, context = run.settings["batch"], run.model.context_length
    torch.manual_seed(run.settings["seed"])
    generator = torch.Generator().manual_seed(run.settings["seed"])
    device = device_named(arguments.device)
    model = GPT(run.model).to(device)
    n_weights = sum(weight.numel() for weight in model.parameters())
    out(
        f"{len(text):,} characters, {len(learn) + len(unseen):,} tokens of "
        f"{run.model.vocab_size:,} kinds; {n_weights:,} weights on {device.type}"
    )
    for name, loss in _baselines(learn, unseen, run.model.vocab_size).items():
        out(f"{name:12}{loss:.3f}")

    def validate(model):
        fixed = torch.Generator().manual_seed(1)
        loss = evaluate(model, batches(unseen, batch, context, fixed), 20)
        with tqdm.external_write_mode():
            out(f"{'validation':12}{loss:.3f}")
        return loss

    history = train(
        model,
        batches(learn, batch, context, generator),
        run.training,
        validate=validate,
        path=os.path.join(arguments.out, "checkpoint.pt"),
        generator=generator,
        resume=arguments.resume,
    )
    return model, history["evaluations"][-1][1]


def _split(run, text):
    """The ids of the text: the first nine tenths to learn, the rest to validate."""
    import torch

    from dot2gpt.commands.runs import GPTError

    ids = torch.tensor(run.encoding.encode(text))
    cut, context = len(ids) * 9 // 10, run.model.context_length
    if len(ids) - cut <= context:
        raise GPTError(
            f"the text is too short: its last tenth, for validation, has "
            f"{len(ids) - cut} tokens, and --context {context} takes {context + 1}"
        )
    return ids[:cut], ids[cut:]


def _baselines(learn, unseen, vocab_size):
    """The losses of models that know nothing, and how often each token occurs."""
    counts = learn.bincount(minlength=vocab_size) + 1.0  # none is impossible
    alone = (counts / counts.sum()).log()
    return {"uniform": math.log(vocab_size), "unigram": -alone[unseen].mean().item()}


def _show_sample(model, run, text, folder):
    """Print a continuation of the first words that the model has not seen."""
    import torch

    from dot2gpt.generation import stream_text

    start = len(text) * 9 // 10
    prompt = text[start : start + 20]
    generator = torch.Generator(next(model.parameters()).device).manual_seed(0)
    print(f"\n{prompt}", end="")
    how = {"temperature": 0.8, "generator": generator}
    for piece in stream_text(model, run.encoding, prompt, 200, **how):
        print(piece, end="", flush=True)
    print(f"\n\nmore: python -m dot2gpt generate --model {folder} --prompt TEXT")


def _again(folder, size):
    """The command that goes on with a training."""
    start = "python" if size == 1 else f"torchrun --nproc-per-node {size}"
    return f"{start} -m dot2gpt train --out {folder} --resume"
