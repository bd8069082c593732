"""`python -m dot2gpt generate`: chapter 14 from the shell."""

import sys

from dot2gpt.commands.options import (
    FOLDER,
    add_device,
    device_named,
    from_zero,
    in_words,
    need_folder,
    new_command,
    whole,
)

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


def add_generate(commands):
    """Add `generate`: a model continues a text."""
    parser = new_command(commands, "generate", "let a GPT continue a text", GENERATE)
    add = parser.add_argument
    add("--model", metavar="FOLDER", default=FOLDER, help="(default: %(default)s)")
    add("--prompt", metavar="TEXT", help="what to continue (default: standard input)")
    add(
        "--tokens",
        metavar="N",
        type=whole,
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
    add("--seed", metavar="N", type=from_zero, help="for the same text again")
    add(
        "--count",
        metavar="N",
        type=whole,
        default=1,
        help="texts, one after the other (default: %(default)s)",
    )
    add_device(parser)
    parser.set_defaults(run=lambda arguments: in_words(generate, arguments))


def generate(arguments):
    """Write continuations to standard output as they are drawn; returns 0."""
    import torch

    from dot2gpt.commands.runs import load_model
    from dot2gpt.generation import stream_text

    need_folder(arguments.model)
    prompt = _prompt(arguments)
    model, encoding, stop = load_model(arguments.model)
    device = device_named(arguments.device)
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


def _prompt(arguments):
    from dot2gpt.commands.runs import GPTError

    prompt = arguments.prompt
    if prompt is None:
        if sys.stdin.isatty():
            raise GPTError("there is no text to continue: give --prompt TEXT")
        prompt = sys.stdin.read().removesuffix("\n")
    if not prompt:
        raise GPTError("the prompt is empty: give at least one character")
    return prompt
