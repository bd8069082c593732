"""Values that cross between the tests and the sandbox: JSON and raw bytes, no pickle.

A frame is two lengths, a JSON document and the bytes of its tensors and arrays. What
arrives can only become a plain number, string, container, tensor or array, or a name
for an object that stayed where it was: nothing that arrives is ever executed. Whoever
reads trusts nothing; what is wrong in any way raises CodecError.

The same text is run inside the sandbox, so only the standard library, NumPy and torch
are imported.
"""

import json
import math
import struct
import time
from collections import Counter, OrderedDict, defaultdict

import numpy as np
import torch

MAX_DOCUMENT = 16 << 20  # bytes of JSON in a frame
MAX_BYTES = 64 << 20  # of tensors in a frame, and in memory of one tensor
MAX_ITEMS = 200_000  # values in a frame
MAX_DEPTH = 40
MAX_BITS = 100_000  # of a whole number
LENGTHS = struct.Struct("!IQ")
_NUMBERS = "uint8 int8 int16 int32 int64 float16 float32 float64 complex64 complex128"
DTYPES = {
    name: getattr(torch, name)
    for name in [*_NUMBERS.split(), "bool", "bfloat16", "uint16", "uint32", "uint64"]
}
ARRAYS = {name: np.dtype(name) for name in [*_NUMBERS.split(), "bool"]} | {
    name: np.dtype(name) for name in ("uint16", "uint32", "uint64")
}
DICTS = (dict, OrderedDict, defaultdict, Counter)


class CodecError(Exception):
    """A value cannot cross, or what came is not a frame; the text says why."""


# ---- frames -------------------------------------------------------------------------


def write_frame(connection, document, blobs):
    """Send a JSON document and byte strings through a socket.

    Raises CodecError if they are too long, OSError if nobody is there.
    """
    try:
        text = json.dumps(document).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise CodecError(f"it cannot be written as JSON: {error}") from None
    lengths = [len(blob) for blob in blobs]
    table = struct.pack(f"!{len(lengths)}Q", *lengths)
    size = len(table) + sum(lengths)
    if len(text) > MAX_DOCUMENT or size > MAX_BYTES:
        raise CodecError(f"it is too large: {(len(text) + size) >> 20} MiB")
    head = LENGTHS.pack(len(text), size) + struct.pack("!I", len(lengths))
    connection.sendall(b"".join([head, text, table, *blobs]))


def read_frame(connection, deadline=None):
    """(document, blobs) from a socket.

    deadline: of time.monotonic(); None to wait for ever.

    Raises CodecError for what is no frame, EOFError at its end, TimeoutError when late.
    """
    head = _receive(connection, LENGTHS.size + 4, deadline)
    length, size = LENGTHS.unpack(head[: LENGTHS.size])
    (number,) = struct.unpack("!I", head[LENGTHS.size :])
    if length > MAX_DOCUMENT or size > MAX_BYTES or number > MAX_ITEMS:
        raise CodecError("a frame that is too large")
    text = _receive(connection, length, deadline)
    data = memoryview(_receive(connection, size, deadline))
    if 8 * number > size:
        raise CodecError("a frame without the lengths of its parts")
    blobs, place = [], 8 * number
    for part in struct.unpack(f"!{number}Q", data[:place]):
        if place + part > size:
            raise CodecError("a part that reaches beyond its frame")
        blobs.append(bytes(data[place : place + part]))
        place += part
    try:
        return json.loads(text), blobs
    except (ValueError, RecursionError):
        raise CodecError("a frame that is not JSON") from None


def _receive(connection, size, deadline):
    """Exactly `size` bytes."""
    data = bytearray(size)
    view, place = memoryview(data), 0
    while place < size:
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            connection.settimeout(left)
        got = connection.recv_into(view[place:])
        if not got:
            raise EOFError
        place += got
    return data


# ---- values -------------------------------------------------------------------------


class Packer:
    """Turns values into what JSON can hold, and collects the bytes beside it.

    tensor: called with a tensor and this Packer; returns a header, a dict.
    thing: called with any other object and this Packer; returns a name for it.
    """

    def __init__(self, tensor, thing):
        self.blobs, self.tensors, self.objects = [], [], []
        self._tensor, self._thing = tensor, thing
        self._places, self._left = {}, MAX_ITEMS

    def blob(self, data):
        """Keep bytes; returns their place."""
        self.blobs.append(data)
        return len(self.blobs) - 1

    def tensor(self, tensor):
        """The place of a tensor in the frame's table; the same one is there once."""
        if id(tensor) not in self._places:
            self._places[id(tensor)] = len(self.tensors)
            self.tensors.append(None)
            self.objects.append(tensor)  # alive, so that no other gets its id
            self.tensors[self._places[id(tensor)]] = self._tensor(tensor, self)
        return self._places[id(tensor)]

    def thing(self, value):
        """A name for an object that stays where it is."""
        return {"thing": self._thing(value, self)}

    def value(self, value, depth=0):
        """What JSON can hold for any value.

        Raises CodecError if it is nested too deep or has too many parts.
        """
        self._left -= 1
        if depth > MAX_DEPTH:
            raise CodecError(f"it is nested deeper than {MAX_DEPTH}")
        if self._left < 0:
            raise CodecError(f"it has more than {MAX_ITEMS} parts")
        if value is None or type(value) in (bool, str, float):
            return value
        if isinstance(value, torch.Tensor):
            return {"tensor": self.tensor(value)}
        for kind, pack in _PACKERS:
            if isinstance(value, kind):
                return pack(value, lambda part: self.value(part, depth + 1), self)
        if type(value) is list:
            return [self.value(part, depth + 1) for part in value]
        return self.thing(value)


def _pack_int(value, pack, packer):
    value = int(value)
    if value.bit_length() > MAX_BITS:
        raise CodecError(f"a whole number of {value.bit_length()} bits")
    return value if value.bit_length() < 64 else {"int": hex(value)}


def _pack_array(value, pack, packer):
    if value.dtype.name not in ARRAYS:
        return packer.thing(value)
    native = np.ascontiguousarray(value, value.dtype.newbyteorder("="))
    place = packer.blob(native.tobytes())
    return {"array": [value.dtype.name, list(value.shape), place]}


def _pack_scalar(value, pack, packer):
    if value.dtype.name not in ARRAYS:
        return packer.thing(value)
    return {"scalar": [value.dtype.name, packer.blob(value.tobytes())]}


def _pack_dict(value, pack, packer):
    if type(value) not in DICTS:
        return packer.thing(value)
    kind = "ordered" if type(value) is OrderedDict else "dict"
    return {kind: [[pack(key), pack(part)] for key, part in value.items()]}


_PACKERS = [
    (np.generic, _pack_scalar),
    (np.ndarray, _pack_array),
    (bool, lambda value, pack, packer: bool(value)),
    (int, _pack_int),
    (float, lambda value, pack, packer: float(value)),
    (str, lambda value, pack, packer: str.__str__(value)),
    (complex, lambda value, pack, packer: {"complex": [value.real, value.imag]}),
    ((bytes, bytearray), lambda value, pack, packer: {"bytes": packer.blob(value)}),
    (torch.Size, lambda value, pack, packer: {"size": [int(n) for n in value]}),
    (tuple, lambda value, pack, packer: {"tuple": [pack(part) for part in value]}),
    (frozenset, lambda value, pack, packer: {"frozenset": [pack(x) for x in value]}),
    (set, lambda value, pack, packer: {"set": [pack(part) for part in value]}),
    (dict, _pack_dict),
    (
        slice,
        lambda value, pack, packer: {
            "slice": [pack(value.start), pack(value.stop), pack(value.step)]
        },
    ),
    (
        range,
        lambda value, pack, packer: {
            "range": [pack(n) for n in (value.start, value.stop, value.step)]
        },
    ),
    (type(...), lambda value, pack, packer: {"ellipsis": None}),
    (torch.dtype, lambda value, pack, packer: {"dtype": str(value).split(".")[-1]}),
    (torch.device, lambda value, pack, packer: {"device": str(value)}),
]


class Unpacker:
    """Turns what a Packer made back into values, trusting nothing.

    tensors: those of the frame's table. blobs: its bytes.
    thing: called with a name and this Unpacker; returns what stands for it here.
    """

    def __init__(self, tensors, blobs, thing):
        self.tensors, self.blobs, self._thing = tensors, blobs, thing
        self._left = MAX_ITEMS

    def value(self, packed, depth=0):
        """The value; raises CodecError for what no Packer makes."""
        self._left -= 1
        if depth > MAX_DEPTH + 2 or self._left < 0:
            raise CodecError("a value with too many parts")
        if packed is None or type(packed) in (bool, int, float, str):
            return packed
        if type(packed) is list:
            return [self.value(part, depth + 1) for part in packed]
        if type(packed) is not dict or len(packed) != 1:
            raise CodecError("a value of no known kind")
        ((kind, parts),) = packed.items()
        unpack = _UNPACKERS.get(kind)
        if not unpack:
            raise CodecError("a value of no known kind")
        try:
            return unpack(self, parts, lambda part: self.value(part, depth + 1))
        except CodecError:
            raise
        except (TypeError, ValueError, OverflowError, LookupError, RuntimeError):
            raise CodecError(f"a damaged value of kind {kind}") from None

    def blob(self, place):
        """The bytes at a place of the frame."""
        return self.blobs[natural(place, len(self.blobs))]

    def thing(self, name):
        """What stands here for an object of that name."""
        return self._thing(name, self)


def natural(number, below):
    """`number`, if it is a whole number from 0 to `below` - 1; else CodecError."""
    if type(number) is not int or not 0 <= number < below:
        raise CodecError("a number out of range")
    return number


def text(value, longest=10_000):
    """`value`, if it is a string that is not too long; else CodecError."""
    if type(value) is not str or len(value) > longest:
        raise CodecError("a text was expected")
    return value


def items(fields, name):
    """The list of that name; CodecError if it is none."""
    if type(fields.get(name)) is not list:
        raise CodecError(f"a message without {name}")
    return fields[name]


def _unpack_tensor(unpacker, place, unpack):
    return unpacker.tensors[natural(place, len(unpacker.tensors))]


def _unpack_array(unpacker, parts, unpack):
    name, shape, place = parts
    dtype = ARRAYS[text(name)]
    data = unpacker.blob(place)
    shape = [natural(size, MAX_BYTES) for size in shape]
    if name == "bool":
        data = (np.frombuffer(data, np.uint8) != 0).tobytes()
    return np.frombuffer(bytearray(data), dtype).reshape(shape)


def _unpack_scalar(unpacker, parts, unpack):
    name, place = parts
    return _unpack_array(unpacker, [name, [], place], unpack)[()]


def _unpack_int(unpacker, digits, unpack):
    return int(text(digits, MAX_BITS // 4 + 4), 16)


def _unpack_dict(unpacker, pairs, unpack):
    return {unpack(key): unpack(value) for key, value in pairs}


def _whole(unpack, parts):
    values = [unpack(part) for part in parts]
    if not all(value is None or type(value) is int for value in values):
        raise CodecError("a whole number was expected")
    return values


def _unpack_range(unpacker, parts, unpack):
    found = range(*_whole(unpack, parts))
    if len(found) > MAX_ITEMS:  # a few bytes, and a test may make an array of it
        raise CodecError(f"a range of more than {MAX_ITEMS} numbers")
    return found


_UNPACKERS = {
    "tensor": _unpack_tensor,
    "array": _unpack_array,
    "scalar": _unpack_scalar,
    "int": _unpack_int,
    "complex": lambda unpacker, parts, unpack: complex(*map(float, parts)),
    "bytes": lambda unpacker, place, unpack: unpacker.blob(place),
    "tuple": lambda unpacker, parts, unpack: tuple(unpack(p) for p in parts),
    "size": lambda unpacker, parts, unpack: torch.Size(_whole(unpack, parts)),
    "set": lambda unpacker, parts, unpack: {unpack(part) for part in parts},
    "frozenset": lambda unpacker, parts, unpack: frozenset(unpack(p) for p in parts),
    "dict": _unpack_dict,
    "ordered": lambda *arguments: OrderedDict(_unpack_dict(*arguments)),
    "slice": lambda unpacker, parts, unpack: slice(*_whole(unpack, parts)),
    "range": _unpack_range,
    "ellipsis": lambda unpacker, parts, unpack: ...,
    "dtype": lambda unpacker, name, unpack: DTYPES[text(name)],
    "device": lambda unpacker, name, unpack: torch.device(text(name, 20)),
    "thing": lambda unpacker, name, unpack: unpacker.thing(name),
}


# ---- tensors ------------------------------------------------------------------------


def describe(tensor):
    """The header of a tensor, without its numbers.

    Raises CodecError for one that has none (on the meta device).
    """
    if tensor.is_meta:
        raise CodecError("a tensor on the meta device has no numbers")
    name = str(tensor.dtype).split(".")[-1]
    if name not in DTYPES:
        raise CodecError(f"a tensor of {tensor.dtype}")
    if tensor.numel() * tensor.element_size() > MAX_BYTES:
        raise CodecError(f"a tensor of shape {list(tensor.shape)} is too large")
    header = {"dtype": name, "shape": list(tensor.shape)}
    if strides := _strides(tensor):
        header["stride"] = strides
    return header


def content(tensor):
    """The numbers of a tensor as bytes; an axis that repeats them is taken once."""
    tensor = tensor.detach()
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    tensor = tensor.cpu().resolve_conj().resolve_neg()
    plain = _distinct(tensor).contiguous()
    if not plain.numel():
        return b""
    flat = plain.as_strided((plain.numel(),), (1,))  # a single number may have stride 0
    return flat.view(torch.uint8).numpy().tobytes()


def build(header, data):
    """A tensor from its header and its bytes; raises CodecError if they do not fit."""
    dtype = DTYPES.get(header.get("dtype"))
    shape = _sizes(header.get("shape"))
    strides = header.get("stride")
    if dtype is None:
        raise CodecError("a tensor of no known dtype")
    if math.prod(shape) * dtype.itemsize > MAX_BYTES:
        raise CodecError("a tensor that is too large")
    if strides is None:
        return _flat(data, dtype, shape).view(shape)
    strides = _sizes(strides)
    if len(strides) != len(shape):
        raise CodecError("a tensor with more strides than axes")
    sizes = [n if stride else min(n, 1) for n, stride in zip(shape, strides)]
    reach = 1 + sum((n - 1) * stride for n, stride in zip(sizes, strides))
    if 0 in sizes or reach > MAX_BYTES // dtype.itemsize:
        raise CodecError("a tensor that is too large")
    base = torch.empty_strided(sizes, strides, dtype=dtype)
    base.copy_(_flat(data, dtype, sizes).view(sizes))
    return base.expand(shape)


def overwrite(tensor, data):
    """Put other numbers into a tensor; raises CodecError if they do not fit."""
    target = _distinct(tensor.detach())
    shape = list(target.shape)
    target.copy_(_flat(data, target.dtype, shape).view(shape))


def _flat(data, dtype, shape):
    size = dtype.itemsize
    for n in shape:
        size *= n
    if size != len(data):
        raise CodecError("a tensor whose shape does not fit its numbers")
    if not data:
        return torch.empty(0, dtype=dtype)
    if dtype == torch.bool:  # a byte that is neither 0 nor 1 would be no bool
        return torch.frombuffer(bytearray(data), dtype=torch.uint8) != 0
    return torch.frombuffer(bytearray(data), dtype=dtype)


def _sizes(sizes):
    if type(sizes) is not list or len(sizes) > 64:
        raise CodecError("a tensor with no shape")
    if math.prod(max(1, natural(size, MAX_BYTES + 1)) for size in sizes) >= 1 << 60:
        raise CodecError("a tensor that is too large")
    return sizes


def _strides(tensor):
    """Strides to build it with again; None for a plain one or where places overlap."""
    if tensor.layout != torch.strided or tensor.is_contiguous():
        return None
    reach = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape)):
        if stride and size > 1:
            if stride < reach:
                return None
            reach += (size - 1) * stride
    small = reach * tensor.element_size() <= MAX_BYTES
    return list(tensor.stride()) if small and reach < 16 * tensor.numel() else None


def _distinct(tensor):
    """The tensor with each axis that repeats its numbers narrowed to one place."""
    if 0 not in tensor.stride() or _strides(tensor) is None:
        return tensor
    sizes = [n if stride else 1 for n, stride in zip(tensor.shape, tensor.stride())]
    return tensor.as_strided(sizes, tensor.stride(), tensor.storage_offset())
