"""Train the GPT of chapter 13 and store it as the page of chapter 14 takes it.

python -m tools.models
"""

import copy
import json
import os
import sys

from dot2gpt.page.weights import pack, still_picture, unpack, vocabulary
from tools.evidence import lesson
from tools.tree import ROOT

FOLDER = ROOT / "chapters" / "14_generation" / "weights"
STEPS = (0, 30, 100, 500, 2000)
PROMPT = "If the object is"


class Snapshots:
    """Copies of a model at STEPS. every: steps between two looks."""

    def __init__(self, every):
        self.every, self.step, self.models = every, 0, {}

    def __call__(self, model):
        if self.step in STEPS:
            self.models[self.step] = copy.deepcopy(model).eval()
        self.step += self.every
        return 0.0


def train():
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


def stored(step):
    """The packed weights that `script` wrote of a step."""
    text = (FOLDER / f"step_{step}.js").read_text(encoding="utf-8")
    return json.loads(text[text.index("detail: ") + 8 : text.rindex(" })")])


def describe(models, page):
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


def main():
    try:
        files, about = describe(*train())
    except KeyboardInterrupt:
        sys.exit("stopped: the stored weights are those of before")
    files["gpt.json"] = json.dumps(about, indent=1, ensure_ascii=False) + "\n"
    FOLDER.mkdir(exist_ok=True)
    for name, text in files.items():
        partial = FOLDER / f"{name}.partial"
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, FOLDER / name)
    for model in about["models"]:
        print(f"step {model['step']:4}: {model['loss']:.2f} nats a character")


if __name__ == "__main__":
    main()
