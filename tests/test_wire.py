"""The wire format: what crosses comes back the same, and no bytes whatever do more than raise `WireError`."""

from __future__ import annotations

import collections
import contextlib
import socket
import time

import hypothesis.strategies as st
import msgspec
import pytest
import torch
from hypothesis import given, settings

from autograder.jail import wire
from autograder.jail.wire import DTYPES, Handle, WireError

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
keys = st.booleans() | st.integers() | st.text() | st.binary() | st.tuples(st.binary(), st.binary())
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(keys, inner),
    max_leaves=20,
)


@given(values)
def test_plain_values_come_back_the_same(value: object) -> None:
    back = wire.decode(wire.encode(value))
    assert back == value
    assert repr(back) == repr(value)  # True is not 1, a tuple no list, -0.0 not 0.0


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 4), (2, 3, 4)])
def test_tensors_come_back_the_same(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    tensor = (torch.arange(24)[: max(1, torch.Size(shape).numel())] % 2 * 3).to(dtype)
    tensor = tensor[: torch.Size(shape).numel()].reshape(shape)
    back = wire.decode(wire.encode(tensor))
    assert back.dtype == dtype
    assert back.shape == tensor.shape
    assert torch.equal(back.double(), tensor.double())


def test_a_tensor_of_any_layout_arrives_dense() -> None:
    one_column = torch.arange(12).reshape(1, 12)[..., 0]  # contiguous by torch's book, and yet with a stride of 12
    negated = torch.randn(3, dtype=torch.complex64).conj().imag  # a view that is to be negated when it is read
    others = (torch.eye(3).to_sparse(), torch.nn.Parameter(torch.ones(2)), one_column, negated)
    for tensor in (torch.arange(6.0).reshape(2, 3).T, *others):
        back = wire.decode(wire.encode(tensor))
        assert type(back) is torch.Tensor
        assert back.is_contiguous()
        assert torch.equal(back, tensor.detach().to_dense() if tensor.is_sparse else tensor.detach())


def test_text_with_lone_surrogates_and_big_integers_cross() -> None:
    for value in ("\ud800 lone", 2**64, -(2**63) - 1, 10**100):
        assert wire.decode(wire.encode(value)) == value


class Text(str):
    pass


@pytest.mark.parametrize(
    "value",
    [
        object(),
        Text("a"),
        collections.Counter("aab"),
        {1, 2},
        1j,
        torch.zeros(1, dtype=torch.complex64),
        range(3),
        wire,
        [[object()]],
    ],
    ids=["object", "text", "counter", "set", "complex", "complex-tensor", "range", "module", "nested"],
)
def test_nothing_else_is_sent(value: object) -> None:
    with pytest.raises(WireError):
        wire.encode(value)


def packed(tree: object) -> bytes:
    return msgspec.msgpack.encode(tree)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\xdd\xff\xff\xff\xff",  # an array of four thousand million, and no more
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\x91" * 100_000,
        packed({"a": 1}),
        packed([]),
        packed([1, 2]),
        packed(["z", 1]),
        packed(["d", 1]),
        packed(["d", 1, 2, 1, 3]),
        packed(["d", ["l"], 1]),
        packed(["d", ["T", "float32", [0], b""], 1]),
        packed(["h", -1]),
        packed(["h", True]),
        packed(["h", 1, 2]),
        packed(["i", "0x" + "f" * 5000]),
        packed(["i", "seven"]),
        packed(["s", b"\xff"]),
        packed(["T", "float32", [2], b"1234"]),
        packed(["T", "float32", [2**39, 2**39], b""]),
        packed(["T", "float32", [0, 2**39, 2**39], b""]),
        packed(["T", "float32", [-1], b""]),
        packed(["T", "float32", [1] * 40, b"1234"]),
        packed(["T", "complex64", [1], b"12345678"]),
        packed(["T", "bool", [1], b"\x07"]),
        packed(["T", "object", [1], b"12345678"]),
        packed(["l", *[["l"]] * 10, ["q"]]),
    ],
)
def test_malformed_bytes_are_a_wire_error(data: bytes) -> None:
    with pytest.raises(WireError):
        wire.decode(data)


@settings(max_examples=1000)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_wire_error(data: bytes) -> None:
    with contextlib.suppress(WireError):
        wire.decode(data)


tags = st.sampled_from(["l", "t", "d", "T", "h", "i", "s", "x"])
trees = st.recursive(
    scalars.filter(lambda value: not (type(value) is int and abs(value) >= 2**63)).filter(
        lambda value: not (type(value) is str and any("\ud800" <= c <= "\udfff" for c in value))
    )
    | st.sampled_from(["float32", "bool", [2], [0], b"\x00" * 8]),
    lambda inner: st.tuples(tags, st.lists(inner, max_size=4)).map(lambda pair: [pair[0], *pair[1]]),
    max_leaves=15,
)


@settings(max_examples=1000)
@given(trees)
def test_any_tree_is_a_value_or_a_wire_error(tree: object) -> None:
    """Well-formed MessagePack with the right tags in all the wrong places."""
    with contextlib.suppress(WireError):
        wire.decode(packed(tree))


def test_too_deep_does_not_cross_in_either_direction() -> None:
    value: object = 1
    for _ in range(wire.MAX_DEPTH + 1):
        value = [value]
    with pytest.raises(WireError):
        wire.encode(value)
    tree: object = 1
    for _ in range(wire.MAX_DEPTH + 1):
        tree = ["l", tree]
    with pytest.raises(WireError):
        wire.decode(packed(tree))


def test_a_frame_that_claims_too_much_is_refused_before_it_is_read() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(wire.LENGTH.pack(wire.MAX_FRAME + 1))
        with pytest.raises(WireError, match="over the limit"):
            wire.receive(ours)


def test_an_unfinished_frame_ends_at_the_deadline_and_a_hung_up_line_at_once() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        theirs.sendall(wire.LENGTH.pack(100) + b"half")
        with pytest.raises(TimeoutError):
            wire.receive(ours, time.monotonic() + 0.05)
        theirs.close()
        with pytest.raises(EOFError):
            wire.receive(ours)


def test_handles_cross_as_numbers() -> None:
    assert wire.decode(wire.encode([Handle(7)])) == [Handle(7)]


def test_an_empty_tensor_cannot_have_an_axis_that_a_sum_would_fill() -> None:
    """A sum along the empty axis of [2**30, 0] is a tensor of 2**30 zeros, on the trusted side."""
    honest = torch.empty(4, 0, 3)
    assert wire.decode(wire.encode(honest)).shape == honest.shape
    with pytest.raises(WireError, match="impossible shape"):
        wire.decode(wire.encode(torch.empty(2**30, 0)))


def test_integers_that_could_be_made_to_collide_are_few() -> None:
    """Multiples of 2**61 - 1 have one hash: a set of many would take time by the square of their number."""
    same_hash = [(2**61 - 1) * (number + 1) for number in range(2000)]
    assert len(set(map(hash, same_hash))) == 1
    assert wire.decode(wire.encode(same_hash[:500])) == same_hash[:500]
    with pytest.raises(WireError, match="very large integers"):
        wire.decode(wire.encode(same_hash))
