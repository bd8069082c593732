"""What the commands share: options, devices, and errors said in one sentence."""

import argparse
import os
import sys

FOLDER = "runs/gpt"


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


def in_words(command, arguments):
    """Run a command; what its library refuses becomes one sentence, printed once."""
    from dot2gpt.commands.runs import GPTError, first_line

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


def device_named(name):
    import torch

    from dot2gpt.commands.runs import GPTError
    from dot2gpt.processes import pick_device

    if name is None:
        return pick_device()
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError):
        raise GPTError(f"--device {name}: this machine has none") from None


def whole(text, least=1):
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if not least <= number < 2**63:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a whole number from {least} on"
        )
    return number


def seed_number(text):
    return whole(text, 0)


def add_device(parser):
    parser.add_argument(
        "--device",
        choices=["cpu", "cuda", "mps"],
        help="(default: the fastest there is)",
    )


def new_command(commands, name, help, description):
    return commands.add_parser(
        name,
        help=help,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
