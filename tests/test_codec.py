"""What crosses the boundary arrives as it was, and rubbish is refused."""

import json
import socket
import struct
import threading
import time
from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from grading.boundary import codec
from grading.boundary.codec import CodecError, Packer, Unpacker
from grading.boundary.shared import SharedTensors

QUICK = settings(max_examples=60, deadline=None)
FLOATS = ["float16", "bfloat16", "float32", "float64", "complex64", "complex128"]


def refuse(*_):
    raise CodecError("no objects here")


def crossed(value):
    """The value after it went through a socket."""
    packer = Packer(SharedTensors("o").pack, refuse)
    packed = packer.value(value)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        document = {"value": packed, "tensors": packer.tensors}
        sender = threading.Thread(
            target=codec.write_frame, args=(ours, document, packer.blobs)
        )
        sender.start()
        document, blobs = codec.read_frame(theirs)
        sender.join()
    shared = SharedTensors("i")
    unpacker = Unpacker([], blobs, refuse)
    for header in document["tensors"]:
        unpacker.tensors.append(shared.unpack(header, unpacker))
    return unpacker.value(document["value"])


def equal(a, b):
    """Whether two values are the same, NaN and the types of containers included."""
    if isinstance(a, torch.Tensor):
        same = (a.dtype, a.shape) == (b.dtype, b.shape)
        same = same and a.is_contiguous() == b.is_contiguous()
        return same and codec.content(a) == codec.content(b)
    if isinstance(a, (np.ndarray, np.generic)):
        return a.dtype == b.dtype and np.array_equal(
            a, b, equal_nan=a.dtype.kind in "fc"
        )
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return a == b or (a != a and b != b)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, dict):
        return equal(list(a.items()), list(b.items()))
    return a == b


@st.composite
def tensors(draw):
    dtype = getattr(torch, draw(st.sampled_from([*FLOATS, "int64", "uint8", "bool"])))
    shape = draw(st.lists(st.integers(0, 4), max_size=4))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    x = (8 * torch.randn([n + 1 for n in shape], generator=generator)).to(dtype)
    for axis, size in enumerate(shape):
        x = x.narrow(axis, draw(st.integers(0, 1)), size)  # a part: gaps between rows
    x = x.permute(draw(st.permutations(range(len(shape)))))
    if draw(st.booleans()):
        x = x[None].expand(3, *x.shape)
    return x


numbers = st.one_of(
    st.booleans(), st.integers(), st.floats(), st.complex_numbers(allow_nan=False)
)
leaves = st.one_of(
    st.none(),
    numbers,
    st.text(),
    st.binary(),
    st.just(...),
    st.sampled_from([torch.float32, torch.bool, torch.device("cpu")]),
    st.builds(torch.Size, st.lists(st.integers(0, 9), max_size=3)),
    st.builds(slice, st.none() | st.integers(), st.integers(), st.none()),
    st.builds(range, st.integers(0, 9), st.integers(0, 9)),
    hnp.arrays(st.sampled_from(["f4", "f8", "i8", "u1", "?", "c16"]), (2, 3)),
    st.builds(np.float64, st.floats()),
    tensors(),
)
keys = st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.binary())
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.builds(tuple, st.lists(inner, max_size=4)),
        st.dictionaries(keys, inner, max_size=4),
        st.builds(OrderedDict, st.dictionaries(keys, inner, max_size=3)),
        st.sets(keys, max_size=4),
        st.frozensets(keys, max_size=4),
    ),
    max_leaves=12,
)


@QUICK
@given(values)
def test_a_value_arrives_as_it_was(value):
    assert equal(crossed([value])[0], value)


def test_an_array_of_foreign_byte_order_arrives_the_right_way_round():
    got = crossed(np.arange(3, dtype=">i4"))
    assert got.tolist() == [0, 1, 2] and got.dtype == np.int32


@pytest.mark.parametrize(
    "x",
    [
        torch.arange(6.0).view(2, 3).T,
        torch.arange(3.0).expand(4, 3),
        torch.arange(24.0).view(4, 6)[::2, 1:3],
        torch.arange(5.0).unfold(0, 3, 1).contiguous(),
    ],
    ids=["turned", "repeated", "a part", "plain"],
)
def test_a_tensor_keeps_its_layout(x):
    got = crossed(x)
    assert torch.equal(got, x) and got.stride() == x.stride()


def test_a_tensor_whose_places_overlap_arrives_plain():
    x = torch.arange(5.0).unfold(0, 3, 1)
    got = crossed(x)
    assert torch.equal(got, x) and got.is_contiguous()


def test_the_same_tensor_arrives_as_one():
    x = torch.ones(2)
    a, b, c = crossed([x, x, x + 1])
    assert a is b and a is not c


@pytest.mark.parametrize("kind", ["leaf", "parameter", "frozen", "grad"])
def test_what_needs_a_gradient_still_does(kind):
    x = torch.nn.Parameter(torch.ones(3), requires_grad=kind != "frozen")
    if kind == "leaf":
        x = torch.ones(3, requires_grad=True)
    if kind == "grad":
        x.grad = torch.tensor([1.0, 2, 3])
    got = crossed(x)
    assert type(got) is type(x) and got.requires_grad == x.requires_grad
    assert got.grad is None if kind != "grad" else got.grad.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    "value, says",
    [
        (2**200_000, "200001 bits"),
        (torch.empty(1, device="meta"), "meta"),
        (torch.zeros(1).expand(1 << 30), "too large"),
        ([[]] * 300_000, "more than 200000 parts"),
        (object(), "no objects"),
    ],
    ids=["a long number", "no numbers", "a large tensor", "many parts", "an object"],
)
def test_what_cannot_cross_says_why(value, says):
    with pytest.raises(CodecError, match=says):
        crossed(value)


def test_a_value_in_itself_is_refused():
    value = []
    value.append(value)
    with pytest.raises(CodecError, match="nested deeper"):
        crossed(value)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=9), inner, max_size=3)
        | st.builds(
            lambda kind, v: {kind: v}, st.sampled_from(sorted(codec._UNPACKERS)), inner
        )
    ),
    max_leaves=20,
)
header_like = st.fixed_dictionaries(
    {"key": st.sampled_from(["i1", "i2", "", 3, None])},
    optional={
        "dtype": st.sampled_from([*codec.DTYPES, "nothing", None]),
        "shape": st.lists(st.integers(-1, 1 << 40) | st.text(max_size=2), max_size=4),
        "stride": st.lists(st.integers(-1, 1 << 40), max_size=4),
        "blob": st.integers(-1, 3),
        "grad": st.integers(-1, 3) | st.none(),
        "needs": st.sampled_from(["leaf", "parameter", "frozen", "result", True, 7]),
    },
)


@settings(max_examples=400, deadline=None)
@given(json_like, st.lists(st.binary(max_size=64), max_size=2))
def test_rubbish_is_refused_or_plain(packed, blobs):
    try:
        Unpacker([torch.ones(1)], blobs, refuse).value(packed)
    except CodecError:
        pass


@settings(max_examples=400, deadline=None)
@given(st.lists(header_like, max_size=3), st.lists(st.binary(max_size=64), max_size=2))
def test_a_rubbish_tensor_is_refused(headers, blobs):
    shared, unpacker = SharedTensors("o"), Unpacker([], blobs, refuse)
    for header in headers:
        try:
            tensor = shared.unpack(header, unpacker)
        except CodecError:
            continue
        assert tensor.numel() * tensor.element_size() <= codec.MAX_BYTES
        tensor.sum()  # every number is really there


@QUICK
@given(st.binary(max_size=200))
def test_rubbish_bytes_are_no_frame(data):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(data)
        ours.shutdown(socket.SHUT_WR)
        with pytest.raises((CodecError, EOFError)):
            codec.read_frame(theirs, deadline=None)


@pytest.mark.parametrize("length, size", [(1 << 31, 0), (2, 1 << 60)])
def test_a_frame_that_claims_to_be_huge_is_not_waited_for(length, size):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(codec.LENGTHS.pack(length, size) + struct.pack("!I", 1))
        with pytest.raises(CodecError, match="too large"):
            codec.read_frame(theirs)


@pytest.mark.parametrize("text", ["[" * 90_000, "1" * 9000, "nothing", '"\\ud800'])
def test_a_frame_of_bad_json_is_refused(text):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        head = codec.LENGTHS.pack(len(text), 0) + struct.pack("!I", 0)
        threading.Thread(target=ours.sendall, args=(head + text.encode(),)).start()
        with pytest.raises(CodecError, match="not JSON"):
            codec.read_frame(theirs)


def test_a_slow_frame_is_late():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"\0")
        with pytest.raises(TimeoutError):
            codec.read_frame(theirs, time.monotonic() + 0.05)


def test_no_bool_is_anything_but_true_or_false():
    header = {"key": "i1", "dtype": "bool", "shape": [3], "blob": 0}
    got = SharedTensors("o").unpack(header, Unpacker([], [b"\x00\x01\xff"], refuse))
    assert got.view(torch.uint8).tolist() == [0, 1, 1]


def test_what_is_written_is_json():
    assert json.loads(json.dumps(Packer(None, refuse).value({1: (2.5, "é")})))
