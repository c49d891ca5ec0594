"""The wire: plain values to bytes and back, with nothing else able to cross.

    encode((1, "a", torch.zeros(2)))  ->  bytes           decode(those bytes)  ->  (1, "a", tensor([0., 0.]))

Values are None, bool, int, float, str, bytes, list, tuple, dict, dense CPU tensor and handle (a number that stands for
an object on the other side), by exact type. Underneath it is MessagePack (the msgspec library); every list is tagged,
so that tuples, dicts with any keys, big integers, tensors and handles can be told apart. A frame is a length and that
many bytes.

`decode` is what the trusted side runs on bytes that hostile code wrote. Whatever they are, it gives plain values or
raises `WireError`. It never unpickles, never looks up a name, and allocates no more than a few times the frame's size.
"""

from __future__ import annotations

import math
import socket
import struct
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import msgspec
import torch
from torch import Tensor

MAX_FRAME = 64 * 2**20
MAX_DEPTH = 32
MAX_NODES = 1_000_000
MAX_KEYS = 65_536
MAX_SAME_HASH = 32  # keys that are made to collide take time by the square of their number
MAX_AXES = 16
MAX_INT_DIGITS = 4000
MAX_WIDE_INTS = 1000  # of more than 60 bits: only those can be made to collide in a set

DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.bool, torch.uint8, torch.uint16, torch.uint32, torch.int8, torch.int16, torch.int32, torch.int64,
        torch.float16, torch.bfloat16, torch.float32, torch.float64,
    )
}  # fmt: skip

LENGTH = struct.Struct(">Q")
CHUNK = 1 << 16  # most messages come whole in one read


class WireError(Exception):
    """Bytes that are no message, or a value that may not cross. Never a `ValueError`: that could be a student's."""


@dataclass(frozen=True)
class Handle:
    """Stands for an object that stays on the student's side."""

    id: int


_AS_THEY_ARE = frozenset({type(None), bool, float, bytes})
_IN_A_TREE = frozenset({type(None), bool, int, float, str, bytes})


def encode(value: object) -> bytes:
    """A plain value as bytes; `WireError` for anything that is not one, by exact type, or is too large."""
    data = msgspec.msgpack.encode(_to_tree(value, MAX_DEPTH))
    if len(data) > MAX_FRAME:
        raise WireError(f"a message of {len(data)} bytes is over the limit of {MAX_FRAME}")
    return data


def decode(data: bytes) -> Any:
    """The plain value that the bytes stand for; `WireError` for any other bytes."""
    if len(data) > MAX_NODES:
        _refuse_too_many_nodes(data)
    try:
        tree = msgspec.msgpack.decode(data)
    except (msgspec.DecodeError, RecursionError, MemoryError, UnicodeDecodeError) as error:
        raise WireError(f"not a message: {error}") from None
    return _Reader().value(tree, MAX_DEPTH)


# How long a MessagePack item is, by its first byte: (bytes of the header, bytes of its length field, extra bytes).
_HEADERS = {
    0xC4: (2, 1, 0), 0xC5: (3, 2, 0), 0xC6: (5, 4, 0), 0xC7: (2, 1, 1), 0xC8: (3, 2, 1), 0xC9: (5, 4, 1),
    0xD9: (2, 1, 0), 0xDA: (3, 2, 0), 0xDB: (5, 4, 0),
}  # fmt: skip
_FIXED = {
    0xCA: 5, 0xCB: 9, 0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9, 0xD0: 2, 0xD1: 3, 0xD2: 5, 0xD3: 9,
    0xD4: 3, 0xD5: 4, 0xD6: 6, 0xD7: 10, 0xD8: 18, 0xDC: 3, 0xDD: 5, 0xDE: 3, 0xDF: 5,
}  # fmt: skip


def _refuse_too_many_nodes(data: bytes) -> None:
    """Counts the items of a large message before it is decoded: a byte can become a list of seventy.

    Looks at headers only, not at what is inside what: https://github.com/msgpack/msgpack/blob/master/spec.md
    """
    position = nodes = 0
    while position < len(data):
        nodes += 1
        if nodes > MAX_NODES:
            raise WireError("too many values in one message")
        first = data[position]
        if 0xA0 <= first <= 0xBF:
            position += 1 + (first & 0x1F)
        elif first in _HEADERS:
            header, width, extra = _HEADERS[first]
            position += header + extra + int.from_bytes(data[position + 1 : position + 1 + width])
        else:
            position += _FIXED.get(first, 1)


def _to_tree(value: object, depth: int) -> object:
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if depth == 0:
        raise WireError(f"values nested more than {MAX_DEPTH} deep cannot cross the boundary")
    if isinstance(value, str) and kind is str:
        return value if value.isascii() or _is_utf8(value) else ["s", value.encode("utf-8", "surrogatepass")]
    if isinstance(value, int) and kind is int:
        return value if -(2**63) <= value < 2**63 else ["i", hex(value)]
    if isinstance(value, list) and kind is list:
        return ["l", *[_to_tree(item, depth - 1) for item in value]]
    if isinstance(value, tuple) and kind is tuple:
        return ["t", *[_to_tree(item, depth - 1) for item in value]]
    if isinstance(value, dict) and kind is dict:
        return ["d", *[_to_tree(item, depth - 1) for pair in value.items() for item in pair]]
    if isinstance(value, Tensor):
        return _tensor_to_tree(value)
    if isinstance(value, Handle) and kind is Handle:
        return ["h", value.id]
    raise WireError(f"a {kind.__name__} is not a plain value and cannot cross the boundary")


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _tensor_to_tree(tensor: Tensor) -> object:
    name = str(tensor.dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise WireError(f"tensors of dtype {name} cannot cross the boundary")
    plain = tensor.detach().to_dense() if tensor.layout != torch.strided else tensor.detach()
    # A copy, as contiguous() keeps odd strides of axes of length 1, which cannot be viewed as bytes.
    flat = torch.empty(plain.shape, dtype=plain.dtype).copy_(plain).reshape(-1)
    return ["T", name, list(plain.shape), flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""]


class _Reader:
    """Turns a decoded MessagePack tree into values; counts its nodes."""

    def __init__(self) -> None:
        self._nodes = 0
        self._wide_ints = 0

    def value(self, tree: object, depth: int) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES or depth == 0:
            raise WireError("too many values in one message, or nested too deep")
        if type(tree) in _IN_A_TREE:
            return self._counted(tree) if type(tree) is int else tree
        if not isinstance(tree, list) or not tree or type(tree[0]) is not str:
            raise WireError("an untagged value")
        tag, body = tree[0], tree[1:]
        if tag == "l":
            return [self.value(item, depth - 1) for item in body]
        if tag == "t":
            return tuple([self.value(item, depth - 1) for item in body])
        if tag == "d":
            return self._dict(body, depth)
        if tag == "T":
            return _tensor_from_tree(body)
        if tag == "h" and len(body) == 1 and type(body[0]) is int and body[0] >= 0:
            return Handle(body[0])
        if tag == "i" and len(body) == 1 and type(body[0]) is str and len(body[0]) <= MAX_INT_DIGITS:
            return self._counted(_big_integer(body[0]))
        if tag == "s" and len(body) == 1 and type(body[0]) is bytes:
            return _text_with_surrogates(body[0])
        raise WireError(f"a malformed value with the tag {tag[:8]!r}")

    def _counted(self, number: int) -> int:
        self._wide_ints += number.bit_length() > 60
        if self._wide_ints > MAX_WIDE_INTS:
            raise WireError("too many very large integers in one message")
        return number

    def _dict(self, body: list[object], depth: int) -> dict[Any, Any]:
        if len(body) % 2 or len(body) > 2 * MAX_KEYS:
            raise WireError("a dict with too many keys, or with a key that has no value")
        found: dict[Any, Any] = {}
        same_hash: Counter[int] = Counter()
        for index in range(0, len(body), 2):
            key = self.value(body[index], depth - 1)
            try:
                number = hash(key)
            except TypeError:
                raise WireError("a dict with a key that cannot be one") from None
            same_hash[number] += 1
            if same_hash[number] > MAX_SAME_HASH or isinstance(key, Tensor) or key in found:
                raise WireError("a dict with a repeated key, a tensor as a key, or keys that are made to collide")
            found[key] = self.value(body[index + 1], depth - 1)
        return found


def _tensor_from_tree(body: list[Any]) -> Tensor:
    if len(body) != 3:
        raise WireError("a malformed tensor")
    name, shape, data = body
    if type(name) is not str or name not in DTYPES or type(data) is not bytes or type(shape) is not list:
        raise WireError("a malformed tensor")
    if len(shape) > MAX_AXES or any(type(size) is not int or not 0 <= size < 2**40 for size in shape):
        raise WireError("a tensor with an impossible shape")
    dtype = DTYPES[name]
    if math.prod(max(size, 1) for size in shape) > MAX_FRAME:  # an empty one, which a sum along an axis would fill
        raise WireError("a tensor with an impossible shape")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise WireError("a tensor whose size is not that of its bytes")
    if not data:
        return _empty_tensor(shape, dtype)
    if dtype is torch.bool and data.strip(b"\x00\x01"):
        raise WireError("a boolean tensor with bytes that are neither 0 nor 1")
    return torch.frombuffer(bytearray(data), dtype=dtype).reshape(shape)


def _empty_tensor(shape: list[int], dtype: torch.dtype) -> Tensor:
    try:
        return torch.empty(shape, dtype=dtype)
    except RuntimeError:  # the strides overflow, as in [0, 2**39, 2**39]
        raise WireError("a tensor with an impossible shape") from None


def _big_integer(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        raise WireError("a malformed integer") from None


def _text_with_surrogates(data: bytes) -> str:
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raise WireError("malformed text") from None


def send(connection: socket.socket, value: object, deadline: float | None = None) -> None:
    """Writes a value as one frame. `deadline` is on `time.monotonic`'s clock; past it, `TimeoutError`."""
    send_frame(connection, encode(value), deadline)


def send_frame(connection: socket.socket, data: bytes, deadline: float | None = None) -> None:
    """Writes what `encode` gave."""
    connection.settimeout(_remaining(deadline))
    connection.sendall(LENGTH.pack(len(data)) + data)


def receive(connection: socket.socket, deadline: float | None = None) -> Any:
    """Reads one frame. `EOFError` where the other side has gone, `TimeoutError` past the deadline, else `WireError`."""
    return decode(receive_frame(connection, deadline))


def receive_frame(connection: socket.socket, deadline: float | None = None) -> bytes:
    """Reads one frame, and leaves it to `decode`."""
    data = bytearray()
    _read_up_to(LENGTH.size, CHUNK, data, connection, deadline)
    (length,) = LENGTH.unpack_from(data)
    if length > MAX_FRAME:
        raise WireError(f"a message of {length} bytes is over the limit of {MAX_FRAME}")
    _read_up_to(LENGTH.size + length, LENGTH.size + length, data, connection, deadline)
    if len(data) > LENGTH.size + length:
        raise WireError("more than one message at a time")
    return bytes(data[LENGTH.size :])


def _read_up_to(size: int, most: int, data: bytearray, connection: socket.socket, deadline: float | None) -> None:
    """Reads on until there are `size` bytes in `data`, and takes what is there already up to `most`."""
    while len(data) < size:
        connection.settimeout(_remaining(deadline))
        chunk = connection.recv(min(most - len(data), 1 << 20))
        if not chunk:
            raise EOFError("the other side has gone")
        data += chunk


def _remaining(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError
    return remaining
