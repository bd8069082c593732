"""What the commands share: options, devices, and errors said in one sentence."""

import argparse
import os
import sys
import tomllib
from pathlib import Path

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


class FromFile(argparse.Action):
    """--config FILE: options from a TOML file. Those of the command line win."""

    def __call__(self, parser, namespace, path, option_string=None):
        try:
            values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            parser.error(f"{path} cannot be read: {error.strerror}")
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            parser.error(f"{path} is no TOML: {error}")
        words = []
        for key, value in values.items():
            option = "--" + key.replace("_", "-")
            if option == option_string:
                parser.error(f"{path}: a file of options names no other")
            if isinstance(value, list | dict):
                parser.error(f"{path}: {key} is not one value")
            if value is True:
                words.append(option)
            elif value is not False:
                words.append(f"{option}={value}")
        read, unknown = parser.parse_known_args(words)
        if unknown:
            parser.error(f"{path}: there is no option {unknown[0].split('=')[0]}")
        for name, value in vars(read).items():
            if getattr(namespace, name) is parser.get_default(name):
                setattr(namespace, name, value)


def in_words(command, arguments):
    """Run a command; what its library refuses becomes one sentence, printed once."""
    from dot2gpt.commands.runs import GPTError, first_line

    try:
        return command(arguments)
    except BrokenPipeError:
        raise
    except (GPTError, OSError, ValueError, FloatingPointError, RuntimeError) as error:
        if arguments.traceback:
            raise
        if isinstance(error, OSError):
            named = f"{error.filename}: {error.strerror}"
            said = named if error.filename else str(error)
        elif not isinstance(error, RuntimeError):
            said = first_line(error)
        elif "inline_container" in str(error):  # where torch writes its files
            said = "the checkpoint cannot be written: the disk is full"
        elif "memory" in str(error):
            said = "there is not enough memory for these sizes"
        else:
            raise
    if os.environ.get("RANK", "0") == "0":  # of several processes one speaks
        print(f"dot2gpt: {said}", file=sys.stderr)
    return 2


def need_folder(model):
    """Say how to get a model where the default one is not there. Raises GPTError."""
    from dot2gpt.commands.runs import GPTError

    if model == FOLDER and not os.path.isdir(FOLDER):
        raise GPTError(
            f"there is no folder {FOLDER}: python -m dot2gpt train makes it, "
            "--model names another"
        )


def device_named(name):
    """The torch.device of --device, or the fastest. Raises GPTError."""
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
    """An argument as a whole number from `least` on."""
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if not least <= number < 2**63:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a whole number from {least} on"
        )
    return number


def from_zero(text):
    """An argument as a whole number from 0 on."""
    return whole(text, 0)


def new_command(commands, name, help, description):
    """A command's parser, with what all have."""
    parser = commands.add_parser(
        name,
        help=help,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--traceback", action="store_true", help="show where an error came from"
    )
    return parser


def add_device(parser):
    """Add --device."""
    parser.add_argument(
        "--device",
        choices=["cpu", "cuda", "mps"],
        help="(default: the fastest there is)",
    )
