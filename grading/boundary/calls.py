"""Calls across the boundary: arguments that change, and gradients of any order.

The same text is run inside the sandbox, after those of `codec` and `shared`.
"""

import weakref

import torch
from torch.autograd import Function

from grading.boundary import codec
from grading.boundary.codec import CodecError, items, natural


class Calls:
    """Calls to the other end, and from it."""

    def __init__(self, peer):
        self.peer = peer

    def make(self, op, target, arguments, named):
        """Ask for a call; returns its result."""
        inputs, graded = [], torch.is_grad_enabled()
        containers = containers_in([*arguments, *named.values()])

        def pack(packer):
            fields = {
                "target": target,
                "arguments": packer.value(list(arguments)),
                "named": packer.value(named),
                "grad": graded,
            }
            inputs.extend(x for x in packer.objects if x.requires_grad)
            return fields

        fields, unpacker = self.peer.ask(op, pack)
        value = self.peer.graphs.connected(fields, unpacker, inputs)
        refill(containers, items(fields, "contents"), unpacker)
        return value

    def take(self, function, fields, unpacker):
        """Make a call that the other end asks for; returns what packs its answer."""
        arguments = unpacker.value(fields.get("arguments"))
        named = unpacker.value(fields.get("named"))
        if type(arguments) is not list or type(named) is not dict:
            raise CodecError("a call without arguments")
        inputs = [base_of(x) for x in unpacker.tensors if x.requires_grad]
        containers = containers_in([*arguments, *named.values()])
        before = [contents(container) for container in containers]
        with torch.set_grad_enabled(fields.get("grad") is True):
            result = function(*arguments, **named)

        def pack(packer):
            changed = [
                [number, packer.value(held)]
                for number, held in enumerate(map(contents, containers))
                if not same(held, before[number])
            ]
            fields = self.peer.graphs.answer(result, inputs, packer)
            return fields | {"contents": changed}

        return pack


class Graphs:
    """What leads from the results of calls back to what went into them."""

    def __init__(self, peer):
        self.peer = peer
        self._graphs, self._last = {}, 0  # number -> (results, inputs)
        self._freed = []

    def answer(self, result, inputs, packer, find_leaves=True):
        """The fields of an answer; its graph is kept where gradients may flow."""
        fields = {"value": packer.value(result)}
        results = [x for x in packer.objects if x.requires_grad and not x.is_leaf]
        if not results:
            return fields
        known = {id(x) for x in inputs}
        leaves = leaves_of(results) if find_leaves else []
        leaves = [x for x in leaves if id(x) not in known]
        for tensor in results:  # it gets a graph of its own at the other end
            packer.tensors[packer.tensor(tensor)].pop("needs")
        self._last += 1
        self._graphs[self._last] = (results, [*inputs, *leaves])
        return fields | {
            "graph": self._last,
            "results": [packer.tensor(x) for x in results],
            "leaves": [packer.tensor(x) for x in leaves],
        }

    def connected(self, fields, unpacker, inputs):
        """The value of an answer, whose tensors are made results of `inputs`."""
        if fields.get("graph") is None:
            return unpacker.value(fields.get("value"))
        graph = Graph(self, natural(fields["graph"], 1 << 40))
        tensors = unpacker.tensors
        places = [natural(n, len(tensors)) for n in items(fields, "results")]
        leaves = [tensors[natural(n, len(tensors))] for n in items(fields, "leaves")]
        results = [tensors[place] for place in places]
        if any(x.requires_grad for x in results) or len(set(places)) < len(places):
            raise CodecError("a result that is one already")
        with torch._C.DisableTorchFunction(), torch.enable_grad():
            connected = _Crossing.apply(graph, results, *inputs, *leaves)
        for place, tensor in zip(places, connected):
            tensors[place] = tensor
        return unpacker.value(fields.get("value"))

    def go_back(self, graph, gradients, inputs, needed):
        """Gradients of `inputs`, given those of a graph's results; None for none."""
        create, used = torch.is_grad_enabled(), []

        def pack(packer):
            fields = {
                "graph": graph.number,
                "gradients": packer.value(list(gradients)),
                "needed": list(needed),
                "create": create,
            }
            used.extend(x for x in packer.objects if x.requires_grad)
            return fields

        fields, unpacker = self.peer.ask("backward", pack)
        found = self.connected(fields, unpacker, [*used, *inputs])
        if type(found) is not list or len(found) != len(inputs):
            raise CodecError("gradients of other inputs")
        return found

    def take_back(self, fields, unpacker):
        """Work out what `go_back` asks for; returns what packs its answer."""
        results, inputs = self._graphs.get(fields.get("graph"), ((), ()))
        gradients = unpacker.value(fields.get("gradients"))
        needed, create = items(fields, "needed"), fields.get("create") is True
        if (len(gradients), len(needed)) != (len(results), len(inputs)):
            raise CodecError("gradients of other results")
        used = [base_of(x) for x in unpacker.tensors if x.requires_grad]
        pairs = [(r, g) for r, g in zip(results, gradients) if g is not None]
        with torch._C.DisableTorchFunction(), torch.enable_grad():
            found = torch.autograd.grad(
                [r for r, _ in pairs],
                [x for x, need in zip(inputs, needed) if need],
                [g for _, g in pairs],
                retain_graph=True,
                create_graph=create,
                allow_unused=True,
            )
        found = iter(found)
        values = [next(found) if need else None for need in needed]
        return lambda packer: self.answer(values, [*used, *inputs], packer, False)

    def free(self, number):
        """Remember that a graph of the other end's is not needed any more."""
        self._freed.append(number)

    def freed(self):
        """The numbers of such graphs, once."""
        freed, self._freed = self._freed, []
        return freed

    def forget(self, numbers):
        """Drop graphs that the other end does not need."""
        for number in numbers:
            self._graphs.pop(natural(number, 1 << 40), None)


class Graph:
    """A graph at the other end; it is freed there when nobody needs this any more."""

    def __init__(self, graphs, number):
        self.graphs, self.number = graphs, number
        weakref.finalize(self, graphs.free, number)


class _Crossing(Function):
    """Makes tensors that came from the other end results of what was sent there."""

    @staticmethod
    def forward(ctx, graph, results, *inputs):
        # Not save_for_backward: it refuses inputs that changed, used or not.
        ctx.graph, ctx.inputs = graph, inputs
        ctx.set_materialize_grads(False)
        return tuple(results)

    @staticmethod
    def backward(ctx, *gradients):
        if all(gradient is None for gradient in gradients):
            return (None,) * len(ctx.needs_input_grad)
        needed = ctx.needs_input_grad[2:]
        graphs = ctx.graph.graphs
        return None, None, *graphs.go_back(ctx.graph, gradients, ctx.inputs, needed)


def leaves_of(results):
    """The leaves of a graph that gradients would gather in."""
    waiting = [x.grad_fn for x in results]
    seen, leaves = set(), []
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            leaves.append(node.variable)
        waiting.extend(following for following, _ in node.next_functions)
    return leaves


def base_of(tensor):
    """The leaf whose gradient is asked for, where the code under test gets a copy."""
    return getattr(tensor, "_boundary_base", tensor)


# ---- containers that are changed in place ------------------------------------------


def containers_in(parts, depth=0):
    """The lists, dicts and sets in arguments, in an order that both ends agree on."""
    found = []
    for part in parts if depth <= codec.MAX_DEPTH else ():
        if type(part) in (list, set) or type(part) in codec.DICTS:
            found.append(part)
        if type(part) in (list, tuple):
            found += containers_in(part, depth + 1)
        elif type(part) in codec.DICTS:
            found += containers_in(part.values(), depth + 1)
    return found


def contents(container):
    """What a container holds now, as a new list, dict or set."""
    return dict(container) if isinstance(container, dict) else container.copy()


def same(now, before):
    """Whether a container holds the very same objects."""
    if isinstance(now, set):
        return now == before
    if isinstance(now, dict):
        if list(now) != list(before):
            return False
        now, before = list(now.values()), list(before.values())
    return len(now) == len(before) and all(a is b for a, b in zip(now, before))


def refill(containers, changed, unpacker):
    """Put into arguments what the function that got them left in them."""
    for number, packed in changed:
        container = containers[natural(number, len(containers))]
        held = unpacker.value(packed)
        kinds = {list: list, set: set}
        if type(held) is not kinds.get(type(container), dict):
            raise CodecError("a container of another kind")
        container.clear()
        container.extend(held) if type(held) is list else container.update(held)
