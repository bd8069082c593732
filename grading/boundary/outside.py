"""The half of the judge that has the tests: stand-ins for what stays in the sandbox.

Everything that comes from the sandbox is untrusted. What a stand-in is asked goes to
the learner's object; what a test expects of it never does.
"""

import sys
import time
import types
from contextlib import contextmanager

import torch

from dot2gpt import checks
from grading.boundary import codec
from grading.boundary.codec import CodecError
from grading.boundary.peer import BoundaryError, Peer

FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodType)
LIBRARIES = ("torch", "dot2gpt", "math", "operator")  # they are in the sandbox, too
_forbid = checks.forbid


class Gone(BoundaryError, checks.Wrong):
    """The answer's process can't be asked any more; the text is for the learner."""


class Outside(Peer):
    """The end of the conversation that has the tests.

    seconds: that one call may take. until: of time.monotonic(), the end of the test.
    """

    errors = Peer.errors | {
        "CodecError": checks.Wrong,
        "Forbidden": checks.Forbidden,
        "Wrong": checks.Wrong,
    }

    def __init__(self, connection, seconds, until):
        super().__init__(connection, "o")
        self.seconds, self.until = seconds, until
        self.deadline, self.gone = None, None
        self._sent = {}

    def ask(self, op, pack):
        """As of Peer; once something has gone wrong, every question raises Gone."""
        if self.gone:
            raise self.gone
        before = self.deadline
        self.deadline = min(time.monotonic() + self.seconds, self.until)
        try:
            return super().ask(op, pack)
        finally:
            self.deadline = before

    def call(self, target, arguments, named, op="call"):
        """As of Peer; a result that can't be read raises Gone."""
        outermost = type(target) is int and not self.depth
        given = checks.Given([*arguments, *named.values()] if outermost else [])
        try:
            return super().call(target, arguments, named, op)
        except CodecError as error:
            self.end(f"what your code returned can't be read: {error}")
        finally:
            checks.note_changes(given)

    def receive(self):
        """As of Peer; what can't be read, or does not come, raises Gone."""
        try:
            return super().receive()
        except CodecError as error:
            self.end(f"what your code returned can't be read: {error}")

    def answer(self, *message):
        """As of Peer; time that the tests take is not the learner's."""
        began = time.monotonic()
        super().answer(*message)
        self.deadline = min(self.deadline + time.monotonic() - began, self.until)

    def read(self):
        """The next frame, unless it is too late."""
        with self._watched():
            return codec.read_frame(self.connection, self.deadline)

    def write(self, document, blobs):
        """Send a frame, unless nobody takes it."""
        with self._watched():
            self.connection.settimeout(max(0.01, self.deadline - time.monotonic()))
            codec.write_frame(self.connection, document, blobs)

    @contextmanager
    def _watched(self):
        try:
            yield
        except TimeoutError:
            late = f"no result after {self.seconds:g} s"
            self.end(f"{late}: is there a loop that does not end?")
        except (EOFError, OSError):
            self.end("your code ended its own process: most often, memory was full")

    def end(self, why):
        """Ask nothing any more; raises Gone."""
        self.gone = Gone(why)
        raise self.gone from None

    def take_call(self, fields, unpacker):
        """The learner's code calls a function that it got as an argument."""
        function = self.things.ours(fields.get("target"))
        return self.calls.take(function, fields, unpacker)

    def take_back(self, fields, unpacker):
        """The learner's code differentiates such a call."""
        return self.graphs.take_back(fields, unpacker)

    operations = {"call": take_call, "backward": take_back}

    def more(self, packer):
        """The state of what the code under test shares with the tests, if it is new."""
        state = torch.get_rng_state().numpy().tobytes()
        default = str(torch.get_default_dtype()).split(".")[-1]
        fields = {}
        if self._sent.get("random") != state:
            fields["random"] = packer.blob(state)
        if self._sent.get("default") != default:
            fields["default"] = default
        self._sent = {"random": state, "default": default}
        return fields

    def name(self, thing, packer):
        """A name for an object: a library's and a copy's besides those of Peer.

        Raises TypeError for an object that a test may not pass.
        """
        if self.things.number_of_proxy(thing) is not None:
            return super().name(thing, packer)
        if isinstance(thing, (type, *FUNCTIONS)) and (place := library_place(thing)):
            return {"library": place}
        if isinstance(thing, FUNCTIONS):
            return super().name(thing, packer)
        kind = type(thing)
        place = library_place(kind)
        if not place and sys.modules["__main__"].__dict__.get(kind.__name__) is kind:
            place = ["__main__", kind.__name__]
        if not place or not hasattr(thing, "__dict__"):
            raise TypeError(f"a test may not pass a {kind.__name__} to an answer")
        return {"copy": place, "state": packer.value(dict(vars(thing)))}

    def describe(self, thing):
        return {"label": getattr(thing, "__name__", "function")}

    def proxy(self, number, name):
        """A stand-in for an object of the learner's."""
        label = codec.text(name.get("label"), 200)
        label = label if label.isidentifier() else "object"
        if name.get("function") is True:
            return _function(self, number, label)
        methods = [m for m in name.get("methods", []) if m in METHODS]
        module = name.get("module")
        body = {method: METHODS[method] for method in methods}
        if type(module) is str and isinstance(getattr(torch.nn, module, 0), type):
            like = getattr(torch.nn, module)  # so that isinstance says what it should
            body["__class__"] = property(lambda self: like)
        return type(label, (StandIn,), body)(self, number)

    def act(self, what, thing, *arguments):
        """Do something with an object of the learner's; see inside.ACTS."""
        return self.call(what, [thing, *arguments], {})

    @contextmanager
    def forbid(self, *names):
        """checks.forbid, out here and in the sandbox."""
        with _forbid(*names):
            self.ask("forbid", lambda packer: {"names": list(names)})
            try:
                yield
            finally:
                if not self.gone:
                    self.ask("allow", lambda packer: {})


def library_place(thing):
    """[module, name] under which a library has an object, or None."""
    name = getattr(thing, "__qualname__", "")
    for module in (getattr(thing, "__module__", None), "torch"):
        if module and module.split(".")[0] in LIBRARIES and module in sys.modules:
            found = sys.modules[module]
            for part in name.split("."):
                found = getattr(found, part, None)
            if found is thing:
                return [module, name]
    return None


# ---- stand-ins ----------------------------------------------------------------------


def _function(peer, number, label):
    def function(*arguments, **named):
        return peer.call(number, arguments, named)

    function.__name__ = function.__qualname__ = label
    return function


class StandIn:
    """Stands for an object that stays in the sandbox.

    It compares and calculates with nothing, so that the object is never shown what a
    test expects of it.
    """

    def __init__(self, peer, number):
        self.__dict__.update(_peer=peer, _number=number)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self._peer.act("getattr", self, name)

    def __setattr__(self, name, value):
        self._peer.act("setattr", self, name, value)

    def __deepcopy__(self, memo):
        return self._peer.act("deepcopy", self)

    def __repr__(self):
        return f"<the answer's {type(self).__name__}>"


def _call(self, *arguments, **named):
    return self._peer.call(self._number, arguments, named)


def _next(self):
    found = self._peer.act("next", self)
    if type(found) is not list or len(found) != 1:
        raise StopIteration
    return found[0]


def _acting(what):
    return lambda self, *arguments: self._peer.act(what, self, *arguments)


METHODS = {
    "__call__": _call,
    "__next__": _next,
    "__len__": _acting("len"),
    "__getitem__": _acting("getitem"),
    "__setitem__": _acting("setitem"),
    "__iter__": _acting("iter"),
    "__bool__": _acting("bool"),
    "__int__": _acting("int"),
    "__float__": _acting("float"),
    "__index__": _acting("index"),
    "__enter__": _acting("enter"),
    "__exit__": lambda self, *_: self._peer.act("exit", self, None, None, None),
}
