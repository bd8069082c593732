"""`python -m dot2gpt train`: chapter 13 from the shell.

torch takes seconds to import, so everything that needs it is imported when it runs.
"""

import csv
import math
import os
import shlex

from dot2gpt.commands.options import (
    FOLDER,
    Default,
    FromFile,
    add_device,
    device_named,
    from_zero,
    in_words,
    new_command,
    whole,
)

TRAIN = """\
Train a GPT on a text, show how well it predicts what it has not seen, and let it write.

  python -m dot2gpt train                        the textbook of the course
  python -m dot2gpt train --text my_book.txt     a text of your own (UTF-8)
  python -m dot2gpt train --text my_books/       all .txt and .md below a folder
  python -m dot2gpt train --tokens bpe           pieces of words instead of characters
  python -m dot2gpt train --steps 200            a first try
  python -m dot2gpt train --resume               go on after Ctrl-C
  python -m dot2gpt train --resume --steps 3000  go on with what is finished
  python -m dot2gpt train --from runs/gpt --text poems.txt --out runs/poems
  python -m dot2gpt train --config my_run.toml   steps = 500, learning_rate = 1e-3, …
  torchrun --nproc-per-node 2 -m dot2gpt train   two processes share each batch

A text may be of any size: its tokens lie on the disk. In a folder each file is a
document, and a token of its own ends it if the tokens are pieces of words.
The last tenth of the text is kept for validation. The loss is in nats a token: ln of
the number of tokens for a model that knows nothing ("uniform"), less for one that knows
how often each occurs ("unigram"). Beside those lines you see whether yours learns.
Bits a byte can be compared between characters and BPE, too.
The defaults are a run on characters, made for two cores and a few minutes. A larger
model (--layers, --width, --context) and more --steps are better and slower; with a
small text --dropout 0.1 or more keeps it from learning by heart.

Ctrl-C saves and stops; --resume goes on to the same losses as without a stop. With more
--steps the learning rate takes the place on the longer curve that it would have there.
In --out lie model.json, checkpoint.pt, best.pt (the weights with the lowest validation
loss: `generate` takes these), losses.csv, the tokens of the text (learn.ids and
unseen.ids) and, with --plot, losses.svg.
"""
OPTIONS = "text tokens vocab_size layers heads width context batch steps".split()
OPTIONS += ["learning_rate", "dropout", "dtype", "seed", "accumulate", "weight_decay"]
OPTIONS += ["warm_up", "evaluate_every", "save_every", "begin"]
MAY_CHANGE = {"text", "steps", "evaluate_every", "save_every"}  # when it goes on
COLUMNS = ["step", "training", "validation", "bits_a_byte", "learning_rate"]
PROMPT = 20  # characters of unseen text that a sample begins with
PATIENCE = 3  # evaluations without a new best, after which a word is said


def add_train(commands):
    """Add `train`: a text becomes a model in a folder."""
    parser = new_command(commands, "train", "train a GPT on a text", TRAIN)
    add = parser.add_argument
    what = "a file or a folder to learn (default: the textbook)"
    add("--text", metavar="PATH", help=what)
    add("--tokens", choices=["characters", "bpe"], help="(default: characters)")
    add("--vocab-size", metavar="N", type=int, help="tokens of bpe (default: 1024)")
    numbers = (
        ("--layers", int, "layers", (0, "n_layers")),
        ("--heads", int, "attention heads a layer", (0, "n_heads")),
        ("--width", int, "numbers a token, divisible by the heads", (0, "d_model")),
        ("--context", int, "tokens that the model sees", (0, "context_length")),
        ("--batch", int, "windows a step, of all processes together", (2, None)),
        ("--accumulate", int, "batches that make one step", (1, "accumulate")),
        ("--steps", int, "steps of training", (1, "n_steps")),
        ("--learning-rate", float, "the highest rate", (1, "learning_rate")),
        ("--weight-decay", float, "decay of the matrices", (1, "weight_decay")),
        ("--dropout", float, "what part is left out in training", (0, "dropout")),
        ("--evaluate-every", int, "steps between two looks", (1, "evaluate_every")),
        ("--save-every", int, "steps between two checkpoints", (1, "save_every")),
    )
    for name, kind, says, default in numbers:
        says, default = f"{says} (default: %(default)s)", Default(*default)
        shown = "N" if kind is int else "X"
        add(name, metavar=shown, type=kind, default=default, help=says)
    add("--warm-up", metavar="N", type=int, help="(default: a twentieth of the steps)")
    add(
        "--dtype",
        choices=["float32", "bfloat16"],
        default=Default(1, "dtype"),
        help="precision of the matrix products (default: %(default)s)",
    )
    add("--compile", action="store_true", help="torch.compile: slow start, fast steps")
    add("--seed", metavar="N", type=from_zero, help="another run (default: 0)")
    add_device(parser)
    add("--threads", metavar="N", type=whole, help="of the CPU (default: torch's)")
    add(
        "--from",
        dest="begin",
        metavar="MODEL",
        help="begin with these weights and tokens: a folder of train, or a GPT-2",
    )
    add("--out", metavar="FOLDER", default=FOLDER, help="(default: %(default)s)")
    add("--resume", action="store_true", help="go on with the training in --out")
    add("--plot", action="store_true", help="draw the losses to losses.svg in --out")
    add(
        "--config",
        metavar="FILE",
        action=FromFile,
        help="options from a TOML file; those of the command line win",
    )
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
        run, text, state = _prepare(arguments, size)
        processes.mean_over_processes(0)  # all have looked before the first one writes
        data = _split(run, text, arguments.out, rank)
        if rank == 0:
            if not arguments.resume:
                runs.clear(arguments.out)
            runs.save_run(arguments.out, run)
            if state is not None:
                runs.prolong(arguments.out, state, run.training.n_steps)
        processes.mean_over_processes(0)  # all wait until the files are there
        try:
            model, loss = _fit(run, text, data, arguments, out, runs.steps_done(state))
        except KeyboardInterrupt as stop:
            out(f"{stop}, saved; go on with:\n  {_again(arguments.out, size)}")
            return 130
        except (OSError, RuntimeError):
            runs.remove_partial(arguments.out)
            raise
        finally:
            if rank == 0 and arguments.plot:
                _plot(arguments.out, out)
        kinds = run.model.vocab_size
        out(f"perplexity {math.exp(loss):.1f}: it wavers between so many of {kinds:,}")
        if rank == 0:
            _show_sample(model, run, text, arguments.out)
    return 0


def _prepare(arguments, size):
    """The Run, new or to go on with, its text, and the checkpoint that it goes on from
    or None; nothing is written yet."""
    from dot2gpt.commands import runs
    from dot2gpt.commands.texts import Text

    given = {name: getattr(arguments, name) for name in OPTIONS}
    if given["text"] is not None:
        given["text"] = os.path.abspath(given["text"])
    if arguments.resume:
        run, state = _resumed(arguments.out, given)
        text = Text(given["text"] or run.settings["text"])
        if text.digest != run.digest:
            raise runs.GPTError(
                f"{arguments.out} was begun with another text: give it with --text"
            )
    else:
        if runs.has_weights(arguments.out):
            raise runs.GPTError(
                f"{arguments.out} holds a model already: --resume goes on with it, "
                "--out names another folder"
            )
        text = Text(given["text"])
        run, state = runs.new_run(_settings(given), text), None
    batch = run.settings["batch"]
    if batch < 1 or batch % size:
        parts = f" and divisible by {size}, the processes" if size > 1 else ""
        raise runs.GPTError(f"--batch {batch} is not above 0{parts}")
    return run, text, state


def _resumed(folder, given):
    """Run and checkpoint of a folder. Given must be what it was begun with."""
    from dot2gpt.commands import runs

    run, changed = runs.load_run(folder), {}
    for name, value in given.items():
        then = run.settings[name]
        if value is None or isinstance(value, Default) or value == then:
            continue
        if name not in MAY_CHANGE:
            option = "--" + {"begin": "from"}.get(name, name).replace("_", "-")
            raise runs.GPTError(
                f"{folder} was begun with {option} {then}, not {value}: leave it out, "
                "or begin anew in another --out"
            )
        changed[name] = value
    changed.pop("text", None)  # the same text may lie elsewhere now
    return runs.goes_on(folder, run, changed)


def _settings(given):
    """The options with defaults in the place of what was left out."""
    from dot2gpt.commands.runs import GPTError

    taken = {"tokens", "vocab_size", "layers", "heads", "width"}
    if given["begin"] is not None:
        for name in taken:
            if not (given[name] is None or isinstance(given[name], Default)):
                option = "--" + name.replace("_", "-")
                raise GPTError(f"{option} is that of --from: leave it out")
        given = {**given, **dict.fromkeys(taken)}
        if isinstance(given["context"], Default):
            given["context"] = None  # that of the model
    settings = {
        name: value.value() if isinstance(value, Default) else value
        for name, value in given.items()
    }
    if given["begin"] is None:
        settings["tokens"] = settings["tokens"] or "characters"
    settings["seed"] = settings["seed"] or 0
    return settings


class Watch:
    """What is looked at every --evaluate-every steps: losses, a sample, the best."""

    def __init__(self, run, text, data, arguments, out):
        self.run, self.folder, self.out = run, arguments.out, out
        self.learn, self.unseen = data
        head, n_bytes = text.head_and_bytes
        self.bits = len(self.unseen) / n_bytes / math.log(2)  # of a nat
        self.prompt = head[:PROMPT]
        self.path = os.path.join(arguments.out, "losses.csv")
        self.done, self.rows = 0, []

    def begin(self, done):
        """Keep the rows of the steps that were done, and show the head of the table."""
        from dot2gpt.commands.runs import read_rows

        self.done = done
        self.rows = [row for row in read_rows(self.path) if row["step"] <= done]
        self.out(f"{'step':>6} {'training':>9} {'validation':>11} {'bits a byte':>12}")

    def __call__(self, model):
        """Look at a model; returns its validation loss."""
        from tqdm import tqdm

        from dot2gpt.processes import rank_and_size

        every, last = self.run.training.evaluate_every, self.run.training.n_steps
        self.done = min(self.done // every * every + every, last)
        training, validation = (
            self._loss(model, ids) for ids in (self.learn, self.unseen)
        )
        best = min((row["validation"] for row in self.rows), default=math.inf)
        rate = _rate(self.run.training, self.done - 1)
        bits = validation * self.bits
        row = dict(
            zip(COLUMNS, (self.done, training, validation, bits, rate), strict=True)
        )
        self.rows.append(row)
        with tqdm.external_write_mode():
            self.out(f"{self.done:6} {training:9.3f} {validation:11.3f} {bits:12.3f}")
            if len(self.rows) % 5 == 0 and self.done < last:
                said = "".join(_continued(model, self.run, self.prompt, 40))
                self.out(f"       {self.prompt + said!r}")
            self._say_if_it_rises()
        if rank_and_size()[0] == 0:
            self._write(model, better=validation < best)
        return validation

    def _loss(self, model, ids):
        import torch

        from dot2gpt.commands.texts import windows
        from dot2gpt.training import evaluate

        fixed = torch.Generator().manual_seed(1)
        batch, context = self.run.settings["batch"], self.run.model.context_length
        return evaluate(model, windows(ids, batch, context, fixed), 20)

    def _say_if_it_rises(self):
        losses = [row["validation"] for row in self.rows]
        best = losses.index(min(losses))
        if len(losses) - 1 - best == PATIENCE:
            self.out(
                f"       the validation loss has risen since step "
                f"{self.rows[best]['step']}: it learns by heart; best.pt keeps that "
                "step, and more text, --dropout or fewer --steps may help"
            )

    def _write(self, model, better):
        from dot2gpt.commands.runs import replaced
        from dot2gpt.training import save_checkpoint

        with (
            replaced(self.path) as partial,
            open(partial, "w", newline="", encoding="utf-8") as file,
        ):
            table = csv.DictWriter(file, COLUMNS)
            table.writeheader()
            table.writerows(self.rows)
        if better:
            best = os.path.join(self.folder, "best.pt")
            save_checkpoint(best, model, step=self.done)


def _rate(training, step):
    from dot2gpt.training import cosine_schedule

    return cosine_schedule(
        step, training.learning_rate, training.warm_up, training.n_steps, training.floor
    )


def _fit(run, text, data, arguments, out, done):
    """Train the model of a Run. Returns it and its loss on the text not learned.

    done: how many steps are behind it.
    """
    import torch

    from dot2gpt.commands import runs
    from dot2gpt.commands.texts import windows
    from dot2gpt.gpt import GPT
    from dot2gpt.training import train

    learn, unseen = data
    batch, context = run.settings["batch"], run.model.context_length
    torch.manual_seed(run.settings["seed"])
    generator = torch.Generator().manual_seed(run.settings["seed"])
    model = GPT(run.model)
    if run.settings["begin"] is not None:
        runs.begin_with(model, run.settings["begin"])
    device = device_named(arguments.device)
    model.to(device)
    n_weights = sum(weight.numel() for weight in model.parameters())
    out(
        f"{text.length:,} characters, {len(learn) + len(unseen):,} tokens of "
        f"{run.model.vocab_size:,} kinds; {n_weights:,} weights on {device.type}"
    )
    for name, loss in _baselines(learn, unseen, run.model.vocab_size).items():
        out(f"{name:12}{loss:.3f}")
    watch = Watch(run, text, data, arguments, out)
    if done == run.training.n_steps:
        out(f"all {done} steps are done: --steps N goes on to the N-th")
    elif done:
        rate = _rate(run.training, done)
        out(f"{done} of {run.training.n_steps} steps are done; the rate is {rate:.2g}")
    watch.begin(done)
    if arguments.compile:
        model.compile()
    history = train(
        model,
        windows(learn, batch, context, generator),
        run.training,
        validate=watch,
        path=os.path.join(arguments.out, "checkpoint.pt"),
        generator=generator,
        resume=arguments.resume,
    )
    return model, history["evaluations"][-1][1]


def _split(run, text, folder, rank):
    """Ids: nine tenths of the text to learn, the rest to validate. Raises GPTError.

    The first process writes them to the folder.
    """
    from dot2gpt.commands.runs import GPTError
    from dot2gpt.commands.texts import ids_in, tokenise
    from dot2gpt.processes import mean_over_processes

    failed = None
    if rank == 0:
        try:
            tokenise(text, run.encoding, folder, run.model.context_length)
        except (GPTError, ValueError, OSError) as error:
            failed = error
    if mean_over_processes(failed is not None) > 0:  # all wait until they are there
        raise failed or GPTError("the first process has no tokens")
    return ids_in(folder, run.encoding)


def _baselines(learn, unseen, vocab_size):
    """The losses of models that know nothing, and how often each token occurs."""
    import numpy as np

    from dot2gpt.commands.texts import counts

    seen = counts(learn, vocab_size) + 1.0  # none is impossible
    alone = -np.log(seen / seen.sum()) @ counts(unseen, vocab_size) / len(unseen)
    return {"uniform": math.log(vocab_size), "unigram": alone}


def _continued(model, run, prompt, n_tokens):
    """What a model writes after a prompt, piece by piece, the same each time."""
    import torch

    from dot2gpt.generation import stream_text

    generator = torch.Generator(next(model.parameters()).device).manual_seed(0)
    how = {"temperature": 0.8, "generator": generator}
    return stream_text(model, run.encoding, prompt, n_tokens, **how)


def _show_sample(model, run, text, folder):
    """Print a continuation of the first words that the model has not seen."""
    prompt = text.head_and_bytes[0][:PROMPT]
    print(f"\n{prompt}", end="")
    for piece in _continued(model, run, prompt, 200):
        print(piece, end="", flush=True)
    name = shlex.quote(folder)
    print(f"\n\nmore: python -m dot2gpt generate --model {name} --prompt TEXT")


def _plot(folder, out):
    """Draw losses.csv to losses.svg."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    from dot2gpt.commands.runs import read_rows

    rows = read_rows(os.path.join(folder, "losses.csv"))
    if not rows:
        return out("there is nothing to plot yet: no --evaluate-every was reached")
    figure, axis = plt.subplots(figsize=(6.5, 4), layout="constrained")
    for name, line in ("training", "k--"), ("validation", "k-"):
        axis.plot([r["step"] for r in rows], [r[name] for r in rows], line, label=name)
    axis.set(xlabel="step", ylabel="nats a token")
    axis.legend()
    path = os.path.join(folder, "losses.svg")
    figure.savefig(path)
    out(f"the losses are drawn in {path}")


def _again(folder, size):
    """The command that goes on with a training."""
    start = "python" if size == 1 else f"torchrun --nproc-per-node {size}"
    return f"{start} -m dot2gpt train --out {shlex.quote(folder)} --resume"
