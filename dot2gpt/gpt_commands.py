"""`python -m dot2gpt train` and `generate`: chapters 13 and 14 from the shell.

torch takes seconds to import, so everything that needs it is imported when it runs.
"""

import argparse
import math
import os
import sys

FOLDER = "runs/gpt"
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
GENERATE = """\
Let a GPT continue a text. It appears as it is made.

  python -m dot2gpt generate --prompt "The import statement"
  python -m dot2gpt generate --prompt "def " --temperature 0.5 --count 3
  echo "The import statement" | python -m dot2gpt generate --tokens 500
  python -m dot2gpt generate --model gpt2 --prompt "Once upon a time"

--model is a folder that `train` wrote, a folder with a GPT-2 (config.json,
model.safetensors, vocab.json, merges.txt), or the name of one on the Hugging Face hub,
which is downloaded once. A low --temperature is careful and repeats itself, a high one
is bold and errs; --top-k and --top-p leave out what is improbable. Without --prompt the
text comes from standard input, without its last line break.
"""
OPTIONS = "text tokens vocab_size layers heads width context batch steps".split()
OPTIONS += ["learning_rate", "dropout", "dtype", "seed"]


class Default:
    """A number of the default run, looked up only when it is shown or used."""

    def __init__(self, part, name):
        self.part, self.name = part, name

    def value(self):
        """The number itself."""
        from dot2gpt.gpt import default_config

        part = default_config(1)[self.part]
        return getattr(part, self.name) if self.name else part

    def __str__(self):
        return str(self.value())


def add_train(commands):
    """Add `train`: a text becomes a model in a folder."""
    parser = _command(commands, "train", "train a GPT on a text", TRAIN)
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
    add("--seed", metavar="N", type=_seed, help="another run (default: 0)")
    _add_device(parser)
    add("--threads", metavar="N", type=_whole, help="of the CPU (default: torch's)")
    add("--out", metavar="FOLDER", default=FOLDER, help="(default: %(default)s)")
    add("--resume", action="store_true", help="go on with the training in --out")
    parser.set_defaults(run=lambda arguments: _in_words(train, arguments))


def add_generate(commands):
    """Add `generate`: a model continues a text."""
    parser = _command(commands, "generate", "let a GPT continue a text", GENERATE)
    add = parser.add_argument
    add("--model", metavar="FOLDER", default=FOLDER, help="(default: %(default)s)")
    add("--prompt", metavar="TEXT", help="what to continue (default: standard input)")
    add(
        "--tokens",
        metavar="N",
        type=_whole,
        default=200,
        help="how many to add (default: %(default)s)",
    )
    add(
        "--temperature",
        metavar="X",
        type=float,
        default=0.8,
        help="0 takes the most probable token (default: %(default)s)",
    )
    add("--top-k", metavar="N", type=int, help="draw from the N most probable alone")
    add("--top-p", metavar="X", type=float, help="draw from the top that adds up to X")
    add("--seed", metavar="N", type=_seed, help="for the same text again")
    add(
        "--count",
        metavar="N",
        type=_whole,
        default=1,
        help="texts, one after the other (default: %(default)s)",
    )
    _add_device(parser)
    parser.set_defaults(run=lambda arguments: _in_words(generate, arguments))


def train(arguments):
    """Train, print what was reached, show a sample; returns the exit code."""
    import torch

    from dot2gpt import gpt_runs, processes

    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    with processes.distributed() as (rank, size):
        out = print if rank == 0 else lambda *_, **__: None
        run, text = _prepare(arguments, size)
        processes.mean_over_processes(0)  # all have looked before the first one writes
        if rank == 0 and not arguments.resume:
            gpt_runs.save_run(arguments.out, run)
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


def generate(arguments):
    """Write continuations to standard output as they are drawn; returns 0."""
    import torch

    from dot2gpt.generation import stream_text
    from dot2gpt.gpt_runs import GPTError, load_model

    if arguments.model == FOLDER and not os.path.isdir(FOLDER):
        raise GPTError(
            f"there is no folder {FOLDER}: python -m dot2gpt train makes it, "
            "--model names another"
        )
    prompt = _prompt(arguments)
    model, encoding, stop = load_model(arguments.model)
    device = _device(arguments.device)
    generator = torch.Generator(device)
    if arguments.seed is None:
        generator.seed()
    else:
        generator.manual_seed(arguments.seed)
    how = {name: getattr(arguments, name) for name in ("temperature", "top_k", "top_p")}
    how |= {"generator": generator, "stop": stop}
    model.to(device)
    for number in range(arguments.count):
        pieces = stream_text(model, encoding, prompt, arguments.tokens, **how)
        first = next(pieces, "")  # what is wrong with the prompt comes before the text
        if arguments.count > 1:
            print(f"--- {number + 1} of {arguments.count}")
        print(prompt, first, sep="", end="", flush=True)
        for piece in pieces:
            print(piece, end="", flush=True)
        print()
    return 0


def _prepare(arguments, size):
    """The Run, new or to go on with, and its text; nothing is written yet."""
    from dot2gpt import gpt_runs

    given = {name: getattr(arguments, name) for name in OPTIONS}
    if given["text"] is not None:
        given["text"] = os.path.abspath(given["text"])
    if arguments.resume:
        run = _resumed(arguments.out, given)
        text = gpt_runs.read_text(given["text"] or run.settings["text"])
        if gpt_runs.digest(text) != run.digest:
            raise gpt_runs.GPTError(
                f"{arguments.out} was begun with another text: give it with --text"
            )
    else:
        if os.path.exists(os.path.join(arguments.out, "model.json")):
            raise gpt_runs.GPTError(
                f"{arguments.out} holds a model already: --resume goes on with it, "
                "--out names another folder"
            )
        text = gpt_runs.read_text(given["text"])
        run = gpt_runs.new_run(_settings(given), text)
    batch = run.settings["batch"]
    if batch < 1 or batch % size:
        parts = f" and divisible by {size}, the processes" if size > 1 else ""
        raise gpt_runs.GPTError(f"--batch {batch} is not above 0{parts}")
    return run, text


def _resumed(folder, given):
    """The Run of a folder. What was given must be what it was begun with."""
    from dot2gpt import gpt_runs

    run = gpt_runs.load_run(folder)
    for name, value in given.items():
        then = run.settings[name]
        left_out = value is None or isinstance(value, Default)
        if name != "text" and not left_out and value != then:
            option = "--" + name.replace("_", "-")
            raise gpt_runs.GPTError(
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
    device = _device(arguments.device)
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

    from dot2gpt.gpt_runs import GPTError

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


def _prompt(arguments):
    from dot2gpt.gpt_runs import GPTError

    prompt = arguments.prompt
    if prompt is None:
        if sys.stdin.isatty():
            raise GPTError("there is no text to continue: give --prompt TEXT")
        prompt = sys.stdin.read().removesuffix("\n")
    if not prompt:
        raise GPTError("the prompt is empty: give at least one character")
    return prompt


def _in_words(command, arguments):
    """Run a command; what its library refuses becomes one sentence, printed once."""
    from dot2gpt.gpt_runs import GPTError, first_line

    try:
        return command(arguments)
    except BrokenPipeError:
        raise
    except OSError as error:
        said = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    except (GPTError, ValueError, FloatingPointError) as error:
        said = first_line(error)
    except RuntimeError as error:
        if "memory" not in str(error):
            raise
        said = "there is not enough memory for these sizes"
    if os.environ.get("RANK", "0") == "0":  # of several processes one speaks
        print(f"dot2gpt: {said}", file=sys.stderr)
    return 2


def _device(name):
    import torch

    from dot2gpt.gpt_runs import GPTError
    from dot2gpt.processes import pick_device

    if name is None:
        return pick_device()
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError):
        raise GPTError(f"--device {name}: this machine has none") from None


def _whole(text, least=1):
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if not least <= number < 2**63:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a whole number from {least} on"
        )
    return number


def _seed(text):
    return _whole(text, 0)


def _add_device(parser):
    parser.add_argument(
        "--device",
        choices=["cpu", "cuda", "mps"],
        help="(default: the fastest there is)",
    )


def _command(commands, name, help, description):
    return commands.add_parser(
        name,
        help=help,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
