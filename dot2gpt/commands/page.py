"""`python -m dot2gpt page`: a trained GPT as one HTML file in which it runs."""

import os
from pathlib import Path

from dot2gpt.commands.options import FOLDER, in_words, need_folder, new_command

PAGE = """\
Write one HTML file in which a GPT runs, to look into it or to send it to a friend.

  python -m dot2gpt page                              the model that `train` wrote
  python -m dot2gpt page --model runs/poems --title "A GPT of poems" --out poems.html

The file needs no network, no Python and nothing beside it: a browser opens it. In it
you write with the model, see what it expects next, where it looks and what each layer
says, and switch parts of it off. Weights are rounded to 8 bits: the default sizes
make a file of about 1 MB. The page begins with --prompt, or else with the first line
that the model was not trained on; nothing else of the text is in it.
"""


def add_page(commands):
    """Add `page`: a model becomes a file to open in a browser."""
    parser = new_command(commands, "page", "put a GPT into one HTML file", PAGE)
    add = parser.add_argument
    add("--model", metavar="FOLDER", default=FOLDER, help="(default: %(default)s)")
    add("--out", metavar="FILE", default="my_gpt.html", help="(default: %(default)s)")
    add("--prompt", metavar="TEXT", help="what the page begins with")
    add("--title", default="A GPT of my own", help="(default: %(default)s)")
    parser.set_defaults(run=lambda arguments: in_words(page, arguments))


def page(arguments):
    """Write the HTML file; returns 0."""
    from dot2gpt.commands.runs import load_model
    from dot2gpt.page.standalone import standalone

    need_folder(arguments.model)
    model, encoding, _ = load_model(arguments.model)
    prompt, trained = arguments.prompt, _trained(arguments.model)
    if prompt is None:
        prompt = _first_unseen_line(arguments.model)
    text = standalone(model, encoding, prompt, title=arguments.title, **trained)
    Path(arguments.out).write_text(text, encoding="utf-8", newline="\n")
    print(f"{arguments.out}: {len(text.encode()) / 1e6:.1f} MB. Open it in a browser.")
    return 0


def _trained(folder):
    """{"step", "loss"} of a folder's best weights; nothing for a published model."""
    from dot2gpt.commands.runs import read_rows

    rows = read_rows(os.path.join(folder, "losses.csv"))
    best = min(rows, key=lambda row: row["validation"], default=None)
    return {} if best is None else {"step": best["step"], "loss": best["validation"]}


def _first_unseen_line(folder):
    """The beginning of the text that the model of a folder was not trained on."""
    from dot2gpt.commands import runs
    from dot2gpt.commands.texts import Text

    try:
        run = runs.load_run(folder)
        text = Text(run.settings["text"])
    except runs.GPTError as error:
        raise runs.GPTError(f"{error}: give --prompt TEXT") from None
    return (text.head_and_bytes[0][:1000].lstrip().splitlines() or [""])[0][:60]
