"""A GPT's folder: what `python -m dot2gpt train` writes and `generate` reads.

It holds model.json (sizes, vocabulary, how it was trained), checkpoint.pt, best.pt and
losses.csv. Published GPT-2 folders are read, too.
"""

import csv
import json
import os
import re
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from dot2gpt.gpt import GPT, Characters, GPTConfig, default_config
from dot2gpt.tokens import encoding, gpt2_encoding, train_bpe
from dot2gpt.training import TrainConfig, load_checkpoint

END = "<|endoftext|>"  # the token between two documents
BPE_SIZE = 1024  # tokens; their training takes a second on the textbook
GPT2S = {"gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl", "distilgpt2"}


class GPTError(Exception):
    """A model cannot be trained or read; the text says why in one sentence."""


@dataclass(frozen=True)
class Run:
    """A training as model.json keeps it."""

    settings: dict  # the command's options by name
    digest: str  # SHA-256 of the text
    vocabulary: list | str | dict  # merges in hexadecimal, also with special tokens;
    # characters; or GPT-2's ids
    model: GPTConfig
    training: TrainConfig

    @property
    def encoding(self):
        """Text to ids and back."""
        known = self.vocabulary
        if isinstance(known, str):
            return Characters(known)
        if isinstance(known, list):
            known = {"merges": known, "special": ()}
        if "merges" in known:
            pairs = [tuple(map(bytes.fromhex, pair)) for pair in known["merges"]]
            return encoding(pairs, known["special"])
        ranks = {bytes.fromhex(t): id for t, id in known["ranks"].items()}
        return encoding(ranks, known["special"], "gpt2", "gpt2")


def new_run(settings, text):
    """A Run with these settings; BPE is trained. Raises ValueError, GPTError.

    text: a texts.Text. BPE learns from what the model learns from.
    """
    if settings["begin"] is not None:
        return _begun_with(settings, text)
    if settings["tokens"] == "characters":
        if settings["vocab_size"] is not None:
            raise GPTError(
                "--vocab-size goes with --tokens bpe: characters are counted"
            )
        vocabulary = text.characters
        vocab_size = len(vocabulary)
    else:
        size, ends = settings["vocab_size"] or BPE_SIZE, text.ends
        vocab, merges = train_bpe(text.for_bpe(), size, ends)
        vocabulary = [[part.hex() for part in pair] for pair in merges]
        if ends:
            vocabulary = {"merges": vocabulary, "special": list(ends)}
        vocab_size = len(vocab)
    return Run(settings, text.digest, vocabulary, *configs(settings, vocab_size))


def _begun_with(settings, text):
    """new_run with the tokens and sizes of another model."""
    model, words, _ = load_model(settings["begin"])
    if Path(settings["begin"]).is_dir():
        settings = {**settings, "begin": os.path.abspath(settings["begin"])}
    if isinstance(words, Characters):
        vocabulary = "".join(words.characters)
    elif has_weights(settings["begin"]):
        vocabulary = load_run(settings["begin"]).vocabulary
    else:
        ranks = {token.hex(): id for token, id in words._mergeable_ranks.items()}
        vocabulary = {"ranks": ranks, "special": words._special_tokens}
    known, context = model.config.context_length, settings["context"]
    if context is not None and not 1 <= context <= known:
        raise GPTError(f"--context {context} is not in 1 to {known}, that of --from")
    config = replace(
        model.config, context_length=context or known, dropout=settings["dropout"]
    )
    settings = {**settings, "context": config.context_length}
    return Run(settings, text.digest, vocabulary, config, _training(settings))


def begin_with(model, name):
    """Put the weights of another model into one; of its positions, the first ones."""
    weights = load_model(name)[0].state_dict()
    place = "positions.weight"
    weights[place] = weights[place][: model.config.context_length]
    model.load_state_dict(weights)


def configs(settings, vocab_size):
    """GPTConfig and TrainConfig of the default run, changed as the settings say."""
    model, _, _ = default_config(vocab_size)
    model = replace(
        model,
        d_ff=None,
        context_length=settings["context"],
        d_model=settings["width"],
        n_heads=settings["heads"],
        n_layers=settings["layers"],
        dropout=settings["dropout"],
    )
    return model, _training(settings)


def _training(settings):
    """Warm-up and floor keep their part of steps and learning rate."""
    usual = default_config(1)[1]
    n_steps, rate, warm_up = (
        settings[name] for name in ("steps", "learning_rate", "warm_up")
    )
    if warm_up is None:
        warm_up = usual.warm_up * n_steps // usual.n_steps
    same = "dtype accumulate weight_decay evaluate_every save_every".split()
    return replace(
        usual,
        n_steps=n_steps,
        learning_rate=rate,
        warm_up=warm_up,
        floor=usual.floor * rate / usual.learning_rate,
        **{name: settings[name] for name in same},
    )


def has_weights(folder):
    """Whether a folder holds what a training saved."""
    folder = Path(folder)
    return any((folder / name).exists() for name in ("checkpoint.pt", "best.pt"))


def clear(folder):
    """Remove what a training that saved no weights has left."""
    for name in ("losses.csv", "losses.svg"):
        if (Path(folder) / name).is_file():
            (Path(folder) / name).unlink()


def remove_partial(folder):
    """Remove what was half written when the disk was full."""
    for name in ("checkpoint.pt", "best.pt"):
        (Path(folder) / f"{name}.partial").unlink(missing_ok=True)


def read_rows(path):
    """The rows of losses.csv as numbers; [] if there is none. Raises GPTError."""
    if not Path(path).exists():
        return []
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = [{k: float(v) for k, v in r.items()} for r in csv.DictReader(file)]
        return [
            {**r, "step": int(r["step"]), "validation": r["validation"]} for r in rows
        ]
    except (ValueError, KeyError, TypeError) as error:
        said = first_line(error)
        raise GPTError(f"{path} is damaged ({said}): remove it to go on") from None


def read_checkpoint(path):
    """What a checkpoint holds. Raises GPTError."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        state["more"]["config"]["n_steps"], state["more"]["history"]["loss"]
        return state
    except Exception as error:  # torch raises many kinds for a file that is none
        raise GPTError(
            f"{path} is damaged ({first_line(error)}): remove it to begin anew"
        ) from None


def goes_on(folder, run, changed):
    """(the Run that goes on in a folder, its checkpoint or None). Raises GPTError.

    changed: settings that are others now. Nothing is written.
    """
    now = replace(run, settings={**run.settings, **changed})
    names = {"steps": "n_steps"}
    training = {names.get(name, name): value for name, value in changed.items()}
    now = replace(now, training=replace(run.training, **training))
    path = Path(folder) / "checkpoint.pt"
    if not path.exists():
        return now, None
    state = read_checkpoint(path)
    done, steps = steps_done(state), now.training.n_steps
    if steps < done:
        raise GPTError(f"{folder} has done {done} steps: --steps {steps} is less")
    try:
        GPT(now.model).load_state_dict(state["model"])
    except (RuntimeError, KeyError) as error:
        raise GPTError(
            f"{path} holds another model than model.json says: {first_line(error)}"
        ) from None
    return now, state


def steps_done(state):
    """How many steps a checkpoint, or None, has behind it."""
    return 0 if state is None else len(state["more"]["history"]["loss"])


def prolong(folder, state, n_steps):
    """Write into a folder's checkpoint for how many steps it is trained."""
    if state["more"]["config"]["n_steps"] != n_steps:
        state["more"]["config"]["n_steps"] = n_steps
        with replaced(Path(folder) / "checkpoint.pt") as partial:
            torch.save(state, partial)


@contextmanager
def replaced(path):
    """A path to write to, which takes the place of this one when all is written."""
    partial = Path(f"{path}.partial")
    try:
        yield partial
        os.replace(partial, path)
    except (OSError, RuntimeError):  # a full disk
        partial.unlink(missing_ok=True)
        raise


def save_run(folder, run):
    """Write model.json, whole or not at all."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with replaced(folder / "model.json") as partial:
        partial.write_text(json.dumps(asdict(run), indent=1), encoding="utf-8")


def load_run(folder):
    """The Run of a folder. Raises GPTError."""
    path = Path(folder) / "model.json"
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        training = {**saved["training"], "betas": tuple(saved["training"]["betas"])}
        saved["model"] = GPTConfig(**saved["model"])
        return Run(**{**saved, "training": TrainConfig(**training)})
    except OSError as error:
        raise GPTError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise GPTError(f"{path} is damaged: {error}") from None


def load_model(name):
    """(GPT, encoding, id that ends a text or None) of a folder or a published GPT-2.

    Raises GPTError.
    """
    folder = Path(name)
    if not (folder / "model.json").exists():
        return load_published(name)
    run, checkpoint = load_run(folder), folder / "best.pt"
    if not checkpoint.exists():
        checkpoint = folder / "checkpoint.pt"
    if not checkpoint.exists():
        raise GPTError(
            f"{folder} has no weights yet: its training was stopped before the first "
            f"checkpoint; go on with python -m dot2gpt train --out {folder} --resume"
        )
    model = GPT(run.model)
    try:
        load_checkpoint(checkpoint, model)
    except Exception as error:  # torch raises many kinds for a file that is none
        raise GPTError(f"{checkpoint} is damaged: {first_line(error)}") from None
    words = run.encoding
    return model, words, end_of(words)


def end_of(words):
    """The id that ends a text; None if an encoding has none."""
    known = END in getattr(words, "special_tokens_set", ())
    return words.encode_single_token(END) if known else None


def load_published(name):
    """As load_model, for a GPT-2 in a folder or on the Hugging Face hub."""
    folder = Path(name)
    owned = re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", name) and not folder.parent.is_dir()
    if not folder.is_dir() and name not in GPT2S and not owned:
        raise GPTError(
            f"there is no folder {name}, and no GPT-2 on the hub has this name "
            f"({', '.join(sorted(GPT2S))}, or owner/name)"
        )
    try:
        model = GPT.from_pretrained(name)
        if not folder.is_dir():
            from huggingface_hub import hf_hub_download

            for file in ("vocab.json", "merges.txt"):
                folder = Path(hf_hub_download(name, file)).parent
        words = gpt2_encoding(folder)
    except ModuleNotFoundError as error:
        raise GPTError(
            f"published models need the package {error.name}: pip install {error.name}"
        ) from None
    except Exception as error:  # many kinds: network, file and content
        if folder.is_dir():
            raise GPTError(f"{name} holds no GPT: {first_line(error)}") from None
        raise GPTError(
            f"there is no folder {name}, and no such model was downloaded: "
            f"{first_line(error)}"
        ) from None
    if model.config.vocab_size != words.n_vocab:
        raise GPTError(
            f"{name}: the model has {model.config.vocab_size} tokens, vocab.json has "
            f"{words.n_vocab}"
        )
    return model, words, end_of(words)


def first_line(error):
    """The first line of an error's text, or its kind."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
