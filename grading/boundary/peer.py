"""The two ends of a conversation between a test and the code that it tests.

A `Peer` is one end. It calls functions of the other end, and is called back, with
arguments and results that cross as `codec` says. The same text is run inside the
sandbox, after those of `codec`, `shared` and `calls`.
"""

import builtins
import linecache
import traceback

import torch

from grading.boundary import codec
from grading.boundary.calls import Calls, Graphs
from grading.boundary.codec import CodecError, Packer, Unpacker, items, natural, text
from grading.boundary.shared import SharedTensors

MAX_NESTED = 30  # calls within calls
MAX_MESSAGE = 2000  # characters of an error's text


class BoundaryError(Exception):
    """The other end is gone or does not keep to the rules; the text says which."""


class Peer:
    """One end of the conversation.

    letter: "o" outside the sandbox, "i" inside; the ends must differ.
    operations: {name of a request: method that answers it}.
    errors: {name: exception class} of errors to know besides the standard ones.
    """

    operations = {}
    errors = {"_LinAlgError": torch.linalg.LinAlgError}

    def __init__(self, connection, letter):
        self.connection = connection
        self.tensors = SharedTensors(letter)
        self.things = Things()
        self.calls, self.graphs = Calls(self), Graphs(self)
        self.depth = 0

    def ask(self, op, pack):
        """Send a request and serve the other end until its answer comes.

        pack: called with a Packer; returns the request's fields.

        Returns (fields, Unpacker). Raises what the other end raised.
        """
        if self.depth >= MAX_NESTED:
            raise RecursionError("calls across the boundary are nested too deep")
        self.depth += 1
        try:
            self.send("ask", lambda packer: {"op": op, **pack(packer)})
            while True:
                kind, fields, unpacker = self.receive()
                if kind == "answer":
                    return fields, unpacker
                if kind == "error":
                    self.things.raise_error(fields, unpacker, self.errors)
                self.answer(kind, fields, unpacker)
        finally:
            self.depth -= 1

    def serve(self):
        """Answer requests until the other end is gone."""
        while True:
            try:
                message = self.receive()
            except EOFError:
                return
            self.answer(*message)
            del message

    def answer(self, kind, fields, unpacker):
        """Do what a request asks for and send what came of it."""
        operation = self.operations.get(fields.get("op"))
        try:
            if kind != "ask" or not operation:
                raise CodecError("a request of no known kind")
            self.send("answer", operation(self, fields, unpacker))
        except BoundaryError:
            raise
        except BaseException as error:  # sys.exit() in an answer ends no sandbox
            fields = self.things.pack_error(error, keep=self.depth > 0)
            self.send("error", lambda packer: fields)

    def send(self, kind, pack):
        """Send one message."""
        with torch._C.DisableTorchFunction(), torch.no_grad():
            packer = Packer(self.tensors.pack, self.name)
            try:
                document = {
                    "kind": kind,
                    "fields": pack(packer),
                    "changes": self.tensors.changes(packer),
                    "tensors": packer.tensors,
                    "gone": self.tensors.gone(),
                    "freed": self.graphs.freed(),
                    **self.more(packer),
                }
                self.write(document, packer.blobs)
            except BaseException:
                self.tensors.abandon(packer)
                raise

    def receive(self):
        """(kind, fields, Unpacker) of the next message; raises CodecError, EOFError."""
        document, blobs = self.read()
        with torch._C.DisableTorchFunction(), torch.no_grad():
            if type(document) is not dict or type(document.get("fields")) is not dict:
                raise CodecError("a message without fields")
            unpacker = Unpacker([], blobs, self.meet)
            self.tensors.forget(items(document, "gone"))
            self.graphs.forget(items(document, "freed"))
            self.tensors.change(items(document, "changes"), unpacker)
            for header in items(document, "tensors"):
                unpacker.tensors.append(self.tensors.unpack(header, unpacker))
            self.read_more(document, unpacker)
            self.tensors.release()
        return document.get("kind"), document["fields"], unpacker

    def read(self):
        """The next frame."""
        return codec.read_frame(self.connection)

    def write(self, document, blobs):
        """Send a frame."""
        codec.write_frame(self.connection, document, blobs)

    def more(self, packer):
        """Fields that every message of this end carries besides."""
        return {}

    def read_more(self, document, unpacker):
        """Take note of such fields."""

    def name(self, thing, packer):
        """A name for an object: of ours, or of theirs that came here before."""
        number = self.things.number_of_proxy(thing)
        if number is not None:
            return {"yours": number}
        return {"mine": self.things.number(thing), **self.describe(thing)}

    def describe(self, thing):
        """What the other end is told of an object of ours."""
        return {}

    def proxy(self, number, name):
        """What stands here for an object of theirs."""
        raise CodecError("an object that cannot be used here")

    def meet(self, name, unpacker):
        """What a name stands for here."""
        if type(name) is not dict:
            raise CodecError("an object without a name")
        if "yours" in name:
            return self.things.ours(name["yours"])
        number = natural(name.get("mine"), 1 << 40)
        return self.things.theirs(number, lambda: self.proxy(number, name))

    def call(self, target, arguments, named, op="call"):
        """Call a function of the other end; gradients flow through its result.

        target: the number of the function, or what else `op` calls.
        """
        return self.calls.make(op, target, arguments, named)


class Things:
    """Objects that stay where they are, and errors, by their numbers."""

    def __init__(self):
        self._ours, self._numbers = [], {}
        self._theirs, self._proxies = {}, {}
        self._errors, self._last_error = {}, 0

    def number(self, thing):
        """The number under which the other end may name an object of ours."""
        if id(thing) not in self._numbers:
            self._numbers[id(thing)] = len(self._ours)
            self._ours.append(thing)
        return self._numbers[id(thing)]

    def ours(self, number):
        """Our object of that number."""
        return self._ours[natural(number, len(self._ours))]

    def theirs(self, number, make):
        """What stands for their object of that number; `make` makes it once."""
        if number not in self._theirs:
            proxy = self._theirs[number] = make()
            self._proxies[id(proxy)] = number
        return self._theirs[number]

    def number_of_proxy(self, thing):
        """The number of their object that `thing` stands for, or None."""
        return self._proxies.get(id(thing))

    def pack_error(self, error, keep):
        """The fields of a message that says what was raised.

        keep: whether the error may come back, to be raised again as it is.
        """
        theirs = getattr(error, "_boundary_number", None)
        if theirs is not None:
            return {"yours": theirs}
        self._last_error += 1
        if keep:
            self._errors[self._last_error] = error
        try:
            message = str(error)[:MAX_MESSAGE]
            given = [a for a in error.args if a is None or type(a) in (str, int, bool)]
        except Exception:
            message, given = "", []
        return {
            "mine": self._last_error,
            "types": [kind.__name__[:200] for kind in type(error).__mro__][:20],
            "message": message.encode(errors="replace").decode(),
            "arguments": given if len(given) == len(error.args) < 10 else None,
            "place": place_of(error),
        }

    def raise_error(self, fields, unpacker, known):
        """Raise what the other end raised, as if it had been raised here."""
        if "yours" in fields:
            number = natural(fields["yours"], self._last_error + 1)
            raise self._errors.get(number) or BoundaryError("an error of nobody's")
        error = rebuilt(fields, unpacker, known)
        error._boundary_number = natural(fields.get("mine"), 1 << 40)
        place = fields.get("place")
        if place is None:
            raise error
        if type(place) is not list or len(place) != 3:
            raise CodecError("an error without a place")
        name, line, code = place
        raise_at(error, text(name, 200), natural(line, 10_000), text(code, 500))


# ---- errors -------------------------------------------------------------------------


def rebuilt(fields, unpacker, known):
    """An exception of the same name, of the nearest class that is known here."""
    names = [text(name, 200) for name in items(fields, "types")[:20]]
    message = text(fields.get("message"), MAX_MESSAGE + 10)
    kind = next(filter(None, (error_class(n, known) for n in names)), Exception)
    if kind.__name__ == names[0] and fields.get("arguments") is not None:
        try:
            error = kind(*unpacker.value(fields["arguments"]))
            if str(error) == message:
                return error
        except Exception:
            pass  # its class wants other arguments than it keeps
    label = names[0] if names[0].isidentifier() else "Error"
    # A class of its own, since str() of a KeyError, say, is not what it was given.
    like = type(label, (kind,), {"__str__": lambda self: message})
    error = like.__new__(like, message)
    error.args = (message,)
    return error


def error_class(name, known):
    """The exception class of that name, if it is one to raise here; else None."""
    kind = known.get(name) or getattr(builtins, name, None)
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        return None
    # These would end a loop of the caller's without a word.
    return None if issubclass(kind, (StopIteration, StopAsyncIteration)) else kind


def place_of(error):
    """[function, line, text] of the learner's code in which an error arose, or None."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if ("ipykernel_" in frame.filename or frame.filename.startswith("<"))
        and not frame.filename.startswith(("<frozen", "<judge"))
        and frame.name != "<module>"
    ]
    if not frames:
        return None
    last = frames[-1]
    code = linecache.getline(last.filename, last.lineno).strip()
    return [last.name[:200], min(last.lineno, 9999), code[:500]]


def raise_at(error, name, line, code):
    """Raise an error so that its traceback ends in a line of a function elsewhere."""
    filename = f"<answer {name} {line}>"
    lines = ["\n"] * (line - 1) + [code + "\n"]
    linecache.cache[filename] = (len(code), None, lines, filename)
    frame = compile("\n" * (line - 1) + "raise error", filename, "exec")
    exec(frame.replace(co_name=name, co_qualname=name), {"error": error})
