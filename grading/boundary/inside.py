"""The half of the judge that runs in the learner's kernel.

Its text, after those of `codec`, `shared`, `calls` and `boundary`, is run in the kernel
before any code of the learner's. `checkpoint` forks the kernel after an answer: the
copy waits for a test, while the kernel goes on with the next cell. So tests run after
all cells, and nothing that a test shows to an answer can appear in what a cell prints.
The learner can break all this, and gets wrong answers for it: nothing here is trusted.
"""

import copy
import importlib
import operator
import os
import signal
import socket
import sys
import types
from contextlib import ExitStack

import torch

from grading.boundary.codec import CodecError, items
from grading.boundary.peer import Peer

# What the other end may do with an object of ours, besides calling it. None of them
# gives the object anything of the test's to compare itself with.
ACTS = {
    "getattr": getattr,
    "setattr": setattr,
    "len": len,
    "getitem": operator.getitem,
    "setitem": operator.setitem,
    "iter": iter,
    "bool": bool,
    "int": int,
    "float": float,
    "index": operator.index,
    "enter": lambda thing: type(thing).__enter__(thing),
    "exit": lambda thing, *reason: type(thing).__exit__(thing, *reason),
    "deepcopy": copy.deepcopy,
    "dir": dir,
}
FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodType)


class Inside(Peer):
    """The end of the conversation that has the learner's names."""

    def __init__(self, connection, namespace):
        super().__init__(connection, "i")
        self.namespace = namespace
        self.forbidden = []

    def look_up(self, fields, unpacker):
        """Which of some names are there, and what they stand for."""
        names = [name for name in items(fields, "names") if name in self.namespace]
        found = {name: self.namespace[name] for name in names}
        return lambda packer: {"value": packer.value(found)}

    def take_call(self, fields, unpacker):
        """Call one of our objects, or do something else with it."""
        target = fields.get("target")
        if type(target) is int:
            return self.calls.take(self.things.ours(target), fields, unpacker)
        return self.calls.take(
            _next if target == "next" else ACTS[target], fields, unpacker
        )

    def take_back(self, fields, unpacker):
        """Gradients through an earlier call."""
        return self.graphs.take_back(fields, unpacker)

    def forbid(self, fields, unpacker):
        """Take library functions away from the learner's code."""
        stack = ExitStack()
        stack.enter_context(FORBID(*items(fields, "names")))
        self.forbidden.append(stack)
        return lambda packer: {}

    def allow(self, fields, unpacker):
        """Give back what was taken last."""
        self.forbidden.pop().close()
        return lambda packer: {}

    operations = {
        "names": look_up,
        "call": take_call,
        "backward": take_back,
        "forbid": forbid,
        "allow": allow,
    }

    def describe(self, thing):
        """What the tests have to know to make a stand-in."""
        kind = type(thing)
        label = thing if isinstance(thing, (type, *FUNCTIONS)) else kind
        known = [c for c in kind.__mro__ if c.__module__.startswith("torch.nn.modules")]
        return {
            "function": isinstance(thing, FUNCTIONS),
            "label": str(getattr(label, "__name__", kind.__name__))[:200],
            "methods": [name for name in METHODS if hasattr(kind, name)],
            "module": known[0].__name__ if known else None,
        }

    def proxy(self, number, name):
        """A function that calls one of the tests'."""

        def function(*arguments, **named):
            return self.call(number, arguments, named)

        function.__name__ = function.__qualname__ = name["label"]
        return function

    def meet(self, name, unpacker):
        """What a name stands for: also a library's object, or a copy of the tests'."""
        if "library" in name:
            return _found(*name["library"])
        if "copy" in name:
            kind = self.namespace.get(name["copy"][1])
            if name["copy"][0] != "__main__":
                kind = _found(*name["copy"])
            made = kind.__new__(kind)
            made.__dict__.update(unpacker.value(name["state"]))
            return made
        return super().meet(name, unpacker)

    def read_more(self, document, unpacker):
        """Go on with the random numbers of the tests."""
        if "random" in document:
            state = bytearray(unpacker.blob(document["random"]))
            torch.set_rng_state(torch.frombuffer(state, dtype=torch.uint8))
        if "default" in document:
            torch.set_default_dtype(getattr(torch, document["default"]))


METHODS = {
    "__call__",
    "__len__",
    "__getitem__",
    "__setitem__",
    "__iter__",
    "__next__",
    "__bool__",
    "__int__",
    "__float__",
    "__index__",
    "__enter__",
    "__exit__",
}


def _next(thing):
    """[the next item], or [] at the end: StopIteration does not cross."""
    try:
        return [next(thing)]
    except StopIteration:
        return []


def _found(module, path):
    """The object of a library that a path of names leads to."""
    found = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found


def serve(path, namespace):
    """Connect to the socket at `path` and answer until nobody asks."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    Inside(connection, namespace).serve()


def checkpoint(path, namespace):
    """Leave a copy of this process that serves a test; returns its process id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        be_quiet()
        serve(path, namespace)
    finally:
        os._exit(0)


def be_quiet():
    """Print nothing and show nothing: the cells have been run."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    sys.stdout = sys.stderr = open(os.devnull, "w")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is meant for the kernel alone
    if "IPython" in sys.modules:
        shell = sys.modules["IPython"].get_ipython()
        if shell:
            shell.display_pub.publish = lambda *_, **__: None


try:
    from dot2gpt.checks import forbid as FORBID
except ImportError:
    raise CodecError("dot2gpt is not installed") from None
