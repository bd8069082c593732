"""Tensors that both ends of a conversation hold: one tensor, as far as tests can tell.

What one end writes into a shared tensor, or into its gradient, goes with the next
message. Each message is answered before the next is sent, so both ends always agree on
which tensors they share. The same text is run inside the sandbox, after `codec`.
"""

import weakref

import torch

from grading.boundary import codec
from grading.boundary.codec import CodecError, text


class Shared:
    """A tensor that both ends hold: what the other end knows of it."""

    def __init__(self, key, tensor, on_death):
        self.key = key
        self.reference = weakref.ref(tensor, on_death)
        self.data, self.grad, self.needs = b"", None, False

    def note(self, tensor, data=None):
        """Remember the tensor as it is now."""
        self.data = codec.content(tensor) if data is None else data
        self.grad = gradient(tensor)
        self.needs = tensor.requires_grad


class SharedTensors:
    """The tensors that both ends hold, under keys that both ends know."""

    def __init__(self, letter):
        self._letter, self._last = letter, 0
        self._by_key, self._by_id = {}, {}
        self._gone, self._pinned = [], []

    def pack(self, tensor, packer):
        """The header of a tensor: what the other end does not know of it yet."""
        shared = self._find(tensor)
        if shared and tensor.requires_grad and not tensor.is_leaf:
            self._drop(shared.key)  # a result of a graph is another one there
            shared = None
        if shared:
            return self._change(shared, tensor, packer) or {"key": shared.key}
        self._last += 1
        key = f"{self._letter}{self._last}"
        header = codec.describe(tensor)
        shared = self._add(key, tensor)
        shared.note(tensor)
        header |= {"key": key, "blob": packer.blob(shared.data)}
        if shared.grad is not None:
            header["grad"] = packer.blob(shared.grad)
        if isinstance(tensor, torch.nn.Parameter):
            header["needs"] = "parameter" if tensor.requires_grad else "frozen"
        elif tensor.requires_grad:
            header["needs"] = "leaf" if tensor.is_leaf else "result"
        return header

    def unpack(self, header, unpacker):
        """The tensor of a header; raises CodecError."""
        if type(header) is not dict:
            raise CodecError("a tensor without a header")
        key = text(header.get("key"), 30)
        if "dtype" not in header:
            tensor = self._by_key[key].reference() if key in self._by_key else None
            if tensor is None:
                raise CodecError("a tensor that is not here")
            self.change([header], unpacker)
            return tensor
        data = unpacker.blob(header.get("blob"))
        tensor = codec.build(header, data)
        needs = header.get("needs")
        if needs:
            tensor = _needing(tensor, needs)
        if "grad" in header:
            set_gradient(tensor, unpacker.blob(header["grad"]))
        self._add(key, tensor).note(tensor, data)
        return tensor

    def changes(self, packer):
        """What has changed in the tensors that both ends hold and is not sent yet."""
        alive = [(shared, shared.reference()) for shared in self._by_key.values()]
        alive = [(shared, tensor) for shared, tensor in alive if tensor is not None]
        # What is said to be here must stay until the next message says otherwise.
        self._pinned = [tensor for _, tensor in alive]
        found = [self._change(shared, tensor, packer) for shared, tensor in alive]
        return [change for change in found if change]

    def change(self, changes, unpacker):
        """Take over what the other end has changed; raises CodecError."""
        for change in changes:
            key = change.get("key") if type(change) is dict else None
            shared = self._by_key.get(key) if type(key) is str else None
            tensor = shared.reference() if shared else None
            if tensor is None:
                raise CodecError("a change of a tensor that is not here")
            try:
                if "needs" in change and tensor.is_leaf:
                    tensor.requires_grad_(change["needs"] is True)
                if "blob" in change:
                    codec.overwrite(tensor, unpacker.blob(change["blob"]))
                if "grad" in change:
                    grad = change["grad"]
                    set_gradient(tensor, None if grad is None else unpacker.blob(grad))
            except RuntimeError as error:
                raise CodecError(f"a change that is not possible: {error}") from None
            shared.note(tensor)

    def gone(self):
        """Keys of tensors that ended here, once."""
        gone, self._gone = self._gone, []
        return gone

    def release(self):
        """Let tensors end that were kept because the other end was told of them."""
        self._pinned = []

    def abandon(self, packer):
        """Take back that the other end knows what was packed but never sent."""
        for tensor in packer.objects:
            if shared := self._find(tensor):
                self._drop(shared.key)

    def forget(self, keys):
        """Drop tensors that ended at the other end."""
        for key in keys:
            if shared := self._by_key.pop(text(key, 30), None):
                self._by_id.pop(id(shared.reference()), None)

    def _change(self, shared, tensor, packer):
        """What the other end does not know of a shared tensor; None if nothing."""
        change, data, grad = {}, codec.content(tensor), gradient(tensor)
        if data != shared.data and len(data) == len(shared.data):
            change["blob"] = packer.blob(data)
        if grad != shared.grad:
            change["grad"] = None if grad is None else packer.blob(grad)
        if tensor.requires_grad != shared.needs and tensor.is_leaf:
            change["needs"] = tensor.requires_grad
        shared.note(tensor, data)
        return {"key": shared.key, **change} if change else None

    def _find(self, tensor):
        shared = self._by_id.get(id(tensor))
        return shared if shared and shared.reference() is tensor else None

    def _add(self, key, tensor):
        identity = id(tensor)

        def on_death(_, key=key):
            if self._by_key.pop(key, None):
                self._by_id.pop(identity, None)
                self._gone.append(key)

        shared = self._by_key[key] = Shared(key, tensor, on_death)
        self._by_id[identity] = shared
        return shared

    def _drop(self, key):
        shared = self._by_key.pop(key)
        self._by_id.pop(id(shared.reference()), None)
        self._gone.append(key)


def gradient(tensor):
    """The gradient of a leaf as bytes; None if it has none."""
    grad = tensor.grad if tensor.is_leaf else None
    return None if grad is None else codec.content(grad)


def set_gradient(tensor, data):
    """Give a leaf the gradient whose bytes these are; None takes it away."""
    if not tensor.is_leaf:
        raise CodecError("a gradient of a result")
    if data is None:
        tensor.grad = None
    elif tensor.grad is not None and tensor.grad.shape == tensor.shape:
        codec.overwrite(tensor.grad, data)
    else:
        grad = torch.empty_like(tensor, requires_grad=False)
        codec.overwrite(grad, data)
        tensor.grad = grad


def _needing(tensor, kind):
    """The tensor as one that gradients flow to, or a parameter to which none do."""
    if kind == "frozen":
        return torch.nn.Parameter(tensor, requires_grad=False)
    if not (tensor.is_floating_point() or tensor.is_complex()):
        raise CodecError("a whole number that needs a gradient")
    if kind == "parameter":
        return torch.nn.Parameter(tensor)
    tensor.requires_grad_()
    if kind == "leaf":
        return tensor
    with torch.enable_grad():
        copy = tensor.clone()
    copy._boundary_base = tensor
    return copy
