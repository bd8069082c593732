"""A GPT's folder: what `python -m dot2gpt train` writes and `generate` reads.

It holds model.json (sizes, vocabulary, how it was trained) and checkpoint.pt. Published
GPT-2 folders are read, too.
"""

import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from dot2gpt.corpus import textbook
from dot2gpt.gpt import GPT, Characters, GPTConfig, default_config
from dot2gpt.tokens import encoding, load_gpt2, train_bpe
from dot2gpt.training import TrainConfig, load_checkpoint

BPE_SIZE = 1024  # tokens; their training takes a second on the textbook


class GPTError(Exception):
    """A model cannot be trained or read; the text says why in one sentence."""


@dataclass(frozen=True)
class Run:
    """A training as model.json keeps it."""

    settings: dict  # the command's options by name
    digest: str  # SHA-256 of the text
    vocabulary: list | str  # merges as pairs of hexadecimal bytes, or the characters
    model: GPTConfig
    training: TrainConfig

    @property
    def encoding(self):
        """Text to ids and back."""
        if self.settings["tokens"] == "characters":
            return Characters(self.vocabulary)
        return encoding([tuple(map(bytes.fromhex, pair)) for pair in self.vocabulary])


def read_text(path=None):
    """The text of a UTF-8 file, or the textbook. Raises GPTError."""
    if path is None:
        return textbook()
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise GPTError(f"{path} is not UTF-8 text: byte {error.start}") from None
    except OSError as error:
        raise GPTError(f"{path} cannot be read: {error.strerror}") from None
    if not text:
        raise GPTError(f"{path} is empty: there is nothing to learn")
    return text


def digest(text):
    """What tells one text from another."""
    return hashlib.sha256(text.encode()).hexdigest()


def new_run(settings, text):
    """A Run with these settings; BPE is trained. Raises ValueError, GPTError."""
    if settings["tokens"] == "characters":
        if settings["vocab_size"] is not None:
            raise GPTError(
                "--vocab-size goes with --tokens bpe: characters are counted"
            )
        vocabulary = "".join(Characters(text).characters)
        vocab_size = len(vocabulary)
    else:
        vocab, merges = train_bpe(text, settings["vocab_size"] or BPE_SIZE)
        vocabulary = [[part.hex() for part in pair] for pair in merges]
        vocab_size = len(vocab)
    return Run(settings, digest(text), vocabulary, *configs(settings, vocab_size))


def configs(settings, vocab_size):
    """GPTConfig and TrainConfig of the default run, changed as the settings say.

    Warm-up and floor keep their part of steps and learning rate.
    """
    model, training, _ = default_config(vocab_size)
    model = replace(
        model,
        d_ff=None,
        context_length=settings["context"],
        d_model=settings["width"],
        n_heads=settings["heads"],
        n_layers=settings["layers"],
        dropout=settings["dropout"],
    )
    n_steps, rate = settings["steps"], settings["learning_rate"]
    training = replace(
        training,
        n_steps=n_steps,
        learning_rate=rate,
        warm_up=training.warm_up * n_steps // training.n_steps,
        floor=training.floor * rate / training.learning_rate,
        dtype=settings["dtype"],
    )
    return model, training


def save_run(folder, run):
    """Write model.json, whole or not at all."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / "model.json.partial"
    partial.write_text(json.dumps(asdict(run), indent=1), encoding="utf-8")
    os.replace(partial, folder / "model.json")


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
    run, checkpoint = load_run(folder), folder / "checkpoint.pt"
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
    return model, run.encoding, None


def load_published(name):
    """As load_model, for a GPT-2 in a folder or on the Hugging Face hub."""
    folder = Path(name)
    if not folder.is_dir() and not re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", name):
        raise GPTError(f"there is no folder {name}")
    try:
        model = GPT.from_pretrained(name)
        if not folder.is_dir():
            from huggingface_hub import hf_hub_download

            for file in ("vocab.json", "merges.txt"):
                folder = Path(hf_hub_download(name, file)).parent
        words, end = gpt2_encoding(folder)
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
    return model, words, end


def gpt2_encoding(folder):
    """The encoding of vocab.json and merges.txt, and the id of <|endoftext|> or None.

    Tokens that are neither a byte nor made by a merge are special.
    """
    vocab, merges = load_gpt2(folder)
    made = {bytes([byte]) for byte in range(256)} | {a + b for a, b in merges}
    ranks = {token: id for id, token in vocab.items() if token in made}
    special = {t.decode(): id for id, t in vocab.items() if t not in made}
    words = encoding(ranks, special, pattern="gpt2", name="gpt2")
    return words, special.get("<|endoftext|>")


def first_line(error):
    """The first line of an error's text, or its kind."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
