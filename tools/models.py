"""Train the models that the book's pages load, and store them as the pages take them:
the GPT of chapter 13, the Transformer of chapter 10, the readers of chapter 15's page.

python -m tools.models [gpt] [dates] [words]
"""

import copy
import io
import json
import os
import random
import sys

import torch

from dot2gpt.dates import END, START, draw, to_ids, to_text
from dot2gpt.encoder_decoder import greedy_decode, move_right
from dot2gpt.page.weights import pack, still_picture, unpack, vocabulary
from tools.evidence import lesson
from tools.tree import ROOT

FOLDER = ROOT / "chapters" / "14_generation" / "weights"
STEPS = (0, 30, 100, 500, 2000)
PROMPT = "If the object is"

WORDS = ROOT / "chapters" / "15_bert" / "weights"
DATES = ROOT / "chapters" / "10_encoder_decoder" / "weights"
DATE_STEPS, RATE = 600, 4e-3  # as chapter 10 trains
DATE = "May 24, 2029"
EXAMPLES = {
    "forms that it has read": (
        "Thursday 24 May 2029",
        "Thu, May 24 2029",
        "24.5.2029",
        "5/24/2029",
        "29.2.2028",
    ),
    "what it has never seen": (
        "2029-05-24",
        "24 May, 2029",
        "24/5/2029",
        "31.6.2029",
        "1.1.2150",
    ),
}


class Snapshots:
    """Copies of a model at STEPS. every: steps between two looks."""

    def __init__(self, every):
        self.every, self.step, self.models = every, 0, {}

    def __call__(self, model):
        if self.step in STEPS:
            self.models[self.step] = copy.deepcopy(model).eval()
        self.step += self.every
        return 0.0


def train_gpt():
    """{step: GPT} of one run of chapter 13, and the lesson that it is from."""
    page = lesson("13_gpt")
    watch = Snapshots(page.plan.evaluate_every)
    page.fit(lambda: page.small_gpt(page.config), watch=watch)
    return watch.models, page


def script(packed):
    """Weights as a script: a page on the disk may not fetch. An event has them."""
    detail = json.dumps(packed, separators=(",", ":"))
    return (
        "document.currentScript.dispatchEvent(new CustomEvent('weights', "
        f"{{ detail: {detail} }}));\n"
    )


def stored(step, folder=FOLDER):
    """The packed weights that `script` wrote of a step."""
    text = (folder / f"step_{step}.js").read_text(encoding="utf-8")
    return json.loads(text[text.index("detail: ") + 8 : text.rindex(" })")])


def describe_gpt(models, page):
    """({file: text}, what gpt.json says) of snapshots."""
    files, said = {}, []
    for step, model in models.items():
        packed = pack(model)
        stored = unpack(packed)
        files[f"step_{step}.js"] = script(packed)
        bars, sample = still_picture(stored, page.bpe, PROMPT)
        loss, exact = (
            page.losses(each, page.whole).mean().item() / page.per_token
            for each in (stored, model)
        )
        said.append(
            {
                "step": step,
                "loss": round(loss, 4),  # of unseen text
                "float32_loss": round(exact, 4),
                "sample": sample,
            }
        )
    about = {
        "prompt": PROMPT,
        "vocabulary": vocabulary(page.bpe),
        "unit": "character",  # of the losses, in nats
        "bars": bars,
        "models": said,
    }
    return files, about


def train_dates():
    """The Transformer of chapter 10, trained as it is there."""
    page = lesson("10_encoder_decoder")
    model = page.new_model()
    page.teach(model, steps=DATE_STEPS, rate=RATE)
    return model


@torch.no_grad()
def translate(model, texts):
    """What it writes for each text, and the weights of the last cross-attention,
    the mean of the heads: (batch, time, n_keys)."""
    source, mask = to_ids(texts)
    ids = greedy_decode(model, source, START, END, 11, mask)
    seen, layer = [], model.decoder.layers[-1].cross_attention
    hook = layer.register_forward_hook(lambda _, __, result: seen.append(result[1]))
    model(source, move_right(ids), mask)
    hook.remove()
    return [to_text(row) for row in ids], seen[0].mean(1)


def exact_match(model):
    """The share of 500 texts of days that training left out that come out right."""
    texts, dates = zip(*draw(500, random.Random(99), test=True))
    return sum(a == b for a, b in zip(translate(model, texts)[0], dates)) / 500


def describe_dates(model):
    """({file: text}, what dates.json says) of the Transformer."""
    packed = pack(model)
    rounded = unpack(packed)
    (written,), weights = translate(rounded, [DATE])
    about = {
        "text": DATE,
        "written": written,
        "weights": [[round(w, 3) for w in row] for row in weights[0].tolist()],
        "examples": [
            [name, list(zip(texts, translate(rounded, texts)[0]))]
            for name, texts in EXAMPLES.items()
        ],
        "step": DATE_STEPS,
        "exact_match": exact_match(rounded),
        "float32_exact_match": exact_match(model),
    }
    return {f"step_{DATE_STEPS}.js": script(packed)}, about


def train_words():
    """{side: (Reader, its curve)} of the page beside chapter 15."""
    page = lesson("15_bert/real_words")
    return {name: page.learn_words(left) for name, left in page.SIDES.items()}


def describe_words(found):
    """({file: bytes}, the curves) of trained readers; weights in half precision."""
    file = io.BytesIO()
    halves = {
        side: {name: weight.half() for name, weight in reader.state_dict().items()}
        for side, (reader, _) in found.items()
    }
    torch.save(halves, file)
    return {"words.pt": file.getvalue()}, {side: c for side, (_, c) in found.items()}


MODELS = {
    "gpt": (FOLDER, lambda: describe_gpt(*train_gpt())),
    "dates": (DATES, lambda: describe_dates(train_dates())),
    "words": (WORDS, lambda: describe_words(train_words())),
}


def main(names):
    for name in names:
        if name not in MODELS:
            sys.exit(f"there is no model {name!r}, only {', '.join(MODELS)}")
    for name in names or MODELS:
        folder, make = MODELS[name]
        try:
            files, about = make()
        except KeyboardInterrupt:
            sys.exit(f"stopped: the stored weights of {name} are those of before")
        files[f"{name}.json"] = json.dumps(about, indent=1, ensure_ascii=False) + "\n"
        folder.mkdir(exist_ok=True)
        for file, content in files.items():
            partial = folder / f"{file}.partial"
            binary = content if isinstance(content, bytes) else content.encode()
            partial.write_bytes(binary)
            os.replace(partial, folder / file)
        print(f"{name}: stored in {folder}")


if __name__ == "__main__":
    main(sys.argv[1:])
