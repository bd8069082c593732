"""`python -m dot2gpt export`: a trained GPT as a folder that transformers reads."""

import json
import math
import re
from itertools import pairwise
from pathlib import Path

from dot2gpt.commands.options import FOLDER, in_words, new_command

EXPORT = """\
Write a trained GPT as a Hugging Face GPT-2: config.json, model.safetensors and
tokenizer.json.

  python -m dot2gpt export --model runs/gpt --out my_gpt2

transformers reads it: AutoModelForCausalLM.from_pretrained("my_gpt2"), and so does
AutoTokenizer. The logits are equal, the ids too.
"""


def add_export(commands):
    """Add `export`: a run becomes a folder of Hugging Face's."""
    help = "write a trained GPT for transformers"
    parser = new_command(commands, "export", help, EXPORT)
    add = parser.add_argument
    add("--model", metavar="FOLDER", default=FOLDER, help="(default: %(default)s)")
    add("--out", metavar="FOLDER", required=True, help="a new or empty folder")
    parser.set_defaults(run=lambda arguments: in_words(export, arguments))


def export(arguments):
    """Write the folder; returns 0."""
    from safetensors.torch import save_file

    from dot2gpt.commands.runs import GPTError, has_weights, load_model
    from dot2gpt.published_weights import as_gpt2

    folder = Path(arguments.out)
    if folder.exists() and any(folder.iterdir()):
        raise GPTError(f"{folder} is not empty: --out names a new folder")
    if not has_weights(arguments.model):
        raise GPTError(f"{arguments.model} holds no model that `train` wrote")
    model, encoding, end = load_model(arguments.model)
    weights = {
        name if name == "lm_head.weight" else f"transformer.{name}": weight
        for name, weight in as_gpt2(model).items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    ends = {"bos_token_id": end, "eos_token_id": end}
    _write(folder / "config.json", config_of(model.config) | ends)
    _write(folder / "tokenizer.json", tokenizer_of(encoding))
    _write(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "PreTrainedTokenizerFast"},
    )
    print(f"{folder} holds a GPT-2 of {model.config.n_layers} layers")
    return 0


def config_of(config):
    """A GPTConfig as Hugging Face's GPT2Config, a dict."""
    dropout = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), config.dropout)
    return {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "activation_function": "gelu_new",
        "vocab_size": config.vocab_size,
        "n_positions": config.context_length,
        "n_embd": config.d_model,
        "n_head": config.n_heads,
        "n_layer": config.n_layers,
        "n_inner": config.d_ff,
        "layer_norm_epsilon": 1e-5,
        "tie_word_embeddings": config.tied,
        **dropout,
    }


def tokenizer_of(encoding):
    """Characters or a tiktoken.Encoding as the tokenizer.json of `tokenizers`, a dict.

    Its regular expressions know no possessive {1,3}+, and their $ ends a line.
    """
    from dot2gpt.gpt import Characters
    from dot2gpt.tokens import byte_letters

    made = {"version": "1.0", "added_tokens": []}
    split = {"type": "Split", "behavior": "Isolated", "invert": False}
    if isinstance(encoding, Characters):
        return made | {
            "pre_tokenizer": split | {"pattern": {"Regex": r"[\s\S]"}},
            "model": {"type": "WordLevel", "vocab": encoding.ids, "unk_token": ""},
            "decoder": {"type": "Fuse"},
        }
    ranks, letters = encoding._mergeable_ranks, byte_letters()
    spelled = {
        token: "".join(letters[byte] for byte in token)
        for token in sorted(ranks, key=ranks.get)
    }
    pattern = encoding._pat_str.replace("}+", "}").replace("$", r"\z")
    pattern = re.sub(r"(?<=[+*?])\+", "", pattern)
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}
    byte_level["trim_offsets"] = False
    whole = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    special = [
        {"id": id, "content": name, "special": True, **whole}
        for name, id in encoding._special_tokens.items()
    ]
    return made | {
        "added_tokens": special,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [split | {"pattern": {"Regex": pattern}}, byte_level],
        },
        "model": {
            "type": "BPE",
            "vocab": {spelled[token]: ranks[token] for token in spelled},
            "merges": [
                [spelled[left], spelled[right]]
                for token in spelled
                if len(token) > 1
                for left, right in [last_merge(token, ranks)]
            ],
        },
        "decoder": byte_level,
    }


def last_merge(token, ranks):
    """The two tokens whose merge made this one: what is left of it by earlier ones."""
    parts = [token[n : n + 1] for n in range(len(token))]
    while len(parts) > 2:
        pairs = [left + right for left, right in pairwise(parts)]
        n = min(range(len(pairs)), key=lambda n: ranks.get(pairs[n], math.inf))
        parts[n : n + 2] = [pairs[n]]
    return parts


def _write(path, content):
    text = json.dumps(content, ensure_ascii=False, indent=1)
    path.write_text(text, encoding="utf-8")
