"""What strangers' bytes can do to the readers: nothing but the error that each of them declares.

Three readers: the wire (with the checker of replies behind it), the manifest, the submissions. On a failure hypothesis
prints the example and a line that repeats it.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import shutil
import socket
import tempfile
import threading
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
import torch
from hypothesis import given, settings

from autograder.jail import wire
from autograder.jail.client import Submission
from autograder.jail.proxy import Proxy
from autograder.jail.wire import DTYPES, Handle, WireError
from autograder.manifest import Assignment, CourseError, Manifest, read_manifest
from autograder.outcome import Fault
from autograder.submission_zip import MAX_SOURCE, MAX_ZIP
from autograder.submissions import read_submission

REPOSITORY = Path(__file__).parents[1]
ATOMS = (type(None), bool, int, float, str, bytes)


def mutated(originals: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Bytes that were right once: flipped, cut, with something put in, or with a piece of their own repeated."""

    @st.composite
    def change(draw: st.DrawFn) -> bytes:
        data = bytearray(draw(originals))
        for _ in range(draw(st.integers(1, 4))):
            place, end = sorted(draw(st.tuples(st.integers(0, len(data)), st.integers(0, len(data)))))
            match draw(st.sampled_from(["flip", "cut", "insert", "splice", "end"])):
                case "flip" if place < len(data):
                    data[place] ^= draw(st.integers(1, 255))
                case "cut":
                    del data[place : min(end, place + 8)]
                case "insert":
                    data[place:place] = draw(st.binary(max_size=6))
                case "splice":
                    data[place:place] = data[place:end]
                case "end":
                    del data[end:]
        return bytes(data)

    return change()


# --- the wire ---

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=8)
tensors = st.tuples(st.sampled_from(list(DTYPES.values())), st.lists(st.integers(0, 3), max_size=3)).map(
    lambda drawn: torch.zeros(drawn[1], dtype=drawn[0])
)
keys = st.booleans() | st.integers() | st.text(max_size=5) | st.tuples(st.binary(max_size=3), st.integers())
values = st.recursive(
    scalars | tensors | st.integers(0, 2**70).map(Handle),
    lambda inner: (
        st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(tuple) | st.dictionaries(keys, inner, max_size=4)
    ),
    max_leaves=12,
)
wide = st.integers(-(2**63), 2**64 - 1)
leaves = (
    st.none() | st.booleans() | wide | st.floats() | st.binary(max_size=16) | st.sampled_from(["l", "T", "0x", "-0xf"])
)
leaves |= st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from([[0], [2, 2], [2**40], [-1]])
forged_tensors = st.tuples(
    st.just("T"),
    st.sampled_from([*DTYPES, "complex64", "object", ""]),
    st.lists(st.integers(-1, 4) | st.sampled_from([2**39, 2**62]), max_size=18),
    st.binary(max_size=40) | st.sampled_from([b"\x00" * 8, b"\x02"]),
).map(list)
trees = st.recursive(
    leaves | forged_tensors,
    lambda inner: st.tuples(st.sampled_from("ltdThisx"), st.lists(inner, max_size=5)).map(lambda it: [it[0], *it[1]]),
    max_leaves=20,
)


def check_plain(value: object) -> None:
    """Fails where `decode` has let something through that is no plain value of an exact type."""
    if type(value) in (list, tuple):
        for item in value:  # type: ignore[attr-defined]
            check_plain(item)
    elif type(value) is dict:
        for key, item in value.items():
            assert type(key) in (*ATOMS, tuple, Handle)
            check_plain(key)
            check_plain(item)
    elif type(value) is Handle:
        assert type(value.id) is int and value.id >= 0
    elif type(value) is torch.Tensor:
        assert value.dtype in DTYPES.values() and value.device.type == "cpu" and value.is_contiguous()
        assert not value.requires_grad and value.numel() == math.prod(value.shape)
        assert value.dtype is not torch.bool or set(value.view(torch.uint8).flatten().tolist()) <= {0, 1}
    else:
        assert type(value) in ATOMS


def decode_or_refuse(data: bytes) -> None:
    try:
        value = wire.decode(data)
    except WireError:
        return
    check_plain(value)
    once = wire.encode(value)
    assert wire.encode(wire.decode(once)) == once


@settings(max_examples=500)
@given(st.binary(max_size=300))
def test_wire_arbitrary_bytes(data: bytes) -> None:
    decode_or_refuse(data)


@settings(max_examples=700)
@given(mutated(values.filter(lambda value: "id=" not in repr(value) or _crosses(value)).map(wire.encode)))
def test_wire_damaged_messages(data: bytes) -> None:
    decode_or_refuse(data)


def _crosses(value: object) -> bool:
    with contextlib.suppress(WireError, OverflowError):
        wire.encode(value)
        return True
    return False


@settings(max_examples=700)
@given(trees)
def test_wire_right_tags_in_wrong_places(tree: object) -> None:
    decode_or_refuse(msgspec.msgpack.encode(tree))


EXPENSIVE = {
    "an array that lies about its length": b"\xdd\xff\xff\xff\xff" + b"\x90" * 1000,
    "a map that lies about its length": b"\xdf\x7f\xff\xff\xff" + b"\xc0" * 1000,
    "nested arrays that lie": b"\xdd\x0f\xff\xff\xff" * 1000,
    "very many empty lists": b"\xdd\x00\x03\x0d\x40" + b"\x90" * 200_000,
    "a huge shape of nothing": msgspec.msgpack.encode(["T", "float64", [0, *[2**39] * 15], b""]),
    "an integer of a million digits": msgspec.msgpack.encode(["i", "0x" + "f" * 1_000_000]),
    "a hundred thousand keys": msgspec.msgpack.encode(["d", *[n for key in range(100_000) for n in (key, 0)]]),
    "deep": b"\x92\xa1l" * 50_000,
}


@pytest.mark.parametrize("data", EXPENSIVE.values(), ids=EXPENSIVE)
def test_wire_memory_is_in_proportion_to_the_message(data: bytes) -> None:
    tracemalloc.start()
    try:
        with contextlib.suppress(WireError):
            wire.decode(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 * len(data) + 2**20


# --- what the trusted side makes of a reply ---


class ForgingJail:
    """A jail whose worker is honest until the module is loaded, and then gives one drawn answer: as bytes, or a value."""

    def __init__(self, answer: object, *, as_it_is: bool) -> None:
        self._answer = answer
        self._as_it_is = as_it_is
        self._threads: list[threading.Thread] = []

    def fork(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        self._threads.append(threading.Thread(target=self._work, args=(theirs,)))
        self._threads[-1].start()
        return ours

    def _work(self, connection: socket.socket) -> None:
        with connection:
            for value in ([], None, {"double": "callable"}):
                nonce = wire.receive(connection)[0]
                wire.send(connection, (nonce, "value", value))
            nonce = wire.receive(connection)[0]
            if self._as_it_is:
                data = self._answer
                assert type(data) is bytes
            else:
                assert type(self._answer) is tuple
                data = wire.encode((nonce, *self._answer))
            with contextlib.suppress(OSError):
                connection.sendall(wire.LENGTH.pack(len(data)) + data)

    def kill(self, grace: float = 0.0) -> dict[str, Any]:
        return {"signal": 0, "exit": 0, "excess": "", "clean": True}

    def finish(self) -> None:
        for thread in self._threads:
            thread.join()


MANIFEST = msgspec.convert(
    {"title": "T", "module": "m.py", "task": [{"id": "a", "title": "A", "symbols": ["double"]}]}, Manifest
)


def answer_or_fault(answer: object, *, as_it_is: bool) -> None:
    jail = ForgingJail(answer, as_it_is=as_it_is)
    submission = Submission(jail, MANIFEST, {"m.py": b""})  # type: ignore[arg-type]
    try:
        value = submission.open(20.0).double(1)
    except Fault:
        return
    except Exception as error:  # a student's, made of text: a built-in class, never the grader's own
        assert type(error).__module__ == "builtins" and hasattr(error, "student_name"), repr(error)
        assert len(str(error)) <= 12_000 or isinstance(error, KeyError)
        assert error.student_line is None or type(error.student_line) is int  # type: ignore[attr-defined]
    else:
        _check_answer(value)
    finally:
        submission.discard()
        jail.finish()


def _check_answer(value: object) -> None:
    if type(value) in (list, tuple):
        for item in value:  # type: ignore[attr-defined]
            _check_answer(item)
    elif type(value) is dict:
        for item in value.values():
            _check_answer(item)
    elif type(value) is not Proxy:
        check_plain(value)


names = st.sampled_from(
    [
        "ValueError",
        "KeyError",
        "OSError",
        "SystemExit",
        "KeyboardInterrupt",
        "UnicodeDecodeError",
        "ExceptionGroup",
        "BaseException",
        "Exception",
        "StopIteration",
        "ImportError",
        "SyntaxError",
        "print",
        "open",
        "__import__",
        "UnicodeTranslateError",
        "BaseExceptionGroup",
    ]
)
small = values.filter(_crosses)
replies = st.one_of(
    st.tuples(st.just("value"), small),
    st.tuples(st.just("raised"), names | st.text(max_size=5), st.text(max_size=200), st.text(max_size=50), small),
    st.tuples(st.just("forbidden"), st.text(max_size=9), small),
    st.just(("memory",)),
    st.tuples(st.just("unsendable"), st.text(max_size=400)),
    st.lists(small, max_size=6).map(tuple),
    st.tuples(st.sampled_from(["value", "raised", "forbidden", "memory", "unsendable", "unconfined"]), small, small),
)


def test_the_forged_answer_is_what_the_tests_below_get() -> None:
    """Else they would test nothing."""
    jail = ForgingJail(("value", [3]), as_it_is=False)
    submission = Submission(jail, MANIFEST, {"m.py": b""})  # type: ignore[arg-type]
    assert submission.open(20.0).double(1) == [3]
    submission.discard()
    jail.finish()


@settings(max_examples=300)
@given(replies)
def test_replies_of_any_form_are_a_value_a_students_error_or_a_fault(reply: tuple[object, ...]) -> None:
    answer_or_fault(reply, as_it_is=False)


@settings(max_examples=100)
@given(st.binary(max_size=60) | small.map(wire.encode) | mutated(replies.map(wire.encode)))
def test_replies_of_any_bytes_are_a_fault(data: bytes) -> None:
    answer_or_fault(data, as_it_is=True)


# --- the manifest ---

real_manifests = st.sampled_from([path.read_bytes() for path in sorted(REPOSITORY.glob("assignments/*/*.toml"))])
toml_text = st.lists(
    st.sampled_from(
        ["title", "module", "files", "[[task]]", "[task]", "id", "symbols", "forbids", "hints", " = ", "\n", '"m.py"',
         '"a"', '["f"]', "[", "]", "{", "}", "1979-05-27", "inf", "0x", '"""', "#", ".", ",", "true", '"\\u0000"', "'"]
    ) | st.text(max_size=3),
    max_size=40,
).map(lambda pieces: "".join(pieces).encode("utf-8", "surrogatepass"))  # fmt: skip


@settings(max_examples=600)
@given(st.binary(max_size=200) | toml_text | mutated(real_manifests))
def test_manifest_is_read_or_named_in_a_course_error(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "assignment.toml"
        path.write_bytes(data)
        try:
            manifest = read_manifest(path)
        except CourseError as error:
            assert str(path) in str(error)
            return
    assert type(manifest) is Manifest and manifest.tasks
    assert all(symbol.isidentifier() for task in manifest.tasks for symbol in task.symbols)


# --- submissions ---

NUMBERS = Assignment(
    "99_numbers",
    Path("nowhere"),
    Path("nowhere"),
    msgspec.convert({**msgspec.to_builtins(MANIFEST), "module": "numbers_.py", "files": ["table.txt"]}, Manifest),
)
file_names = st.sampled_from(
    [
        "numbers_.py",
        "Numbers_.py",
        "table.txt",
        "99_numbers",
        "assignments",
        "99_numbers.zip",
        "conftest.py",
        "torch.py",
    ]
) | st.text(st.characters(exclude_characters="/\x00", exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda name: name not in (".", "..")
)
member_names = (
    st.lists(file_names | st.sampled_from(["..", "", "C:", "a\\b", "\x00"]), min_size=1, max_size=4).map("/".join)
    | st.sampled_from(["numbers_.py", "99_numbers/numbers_.py", "assignments/99_numbers/numbers_.py", "table.txt"])
)  # fmt: skip
contents = st.binary(max_size=50) | st.sampled_from([b"x = 1\r\n", b"\xef\xbb\xbfx", b"\x00" * (MAX_SOURCE + 1)])


@st.composite
def zips(draw: st.DrawFn) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name in draw(st.lists(member_names, max_size=4, unique_by=lambda name: name.split("\0")[0])):
            member = zipfile.ZipInfo(name)
            member.external_attr = draw(st.sampled_from([0, 0o100644, 0o120777, 0o020666, 0o040755])) << 16
            member.compress_type = draw(st.sampled_from([0, 8, 8, 12, 14]))
            archive.writestr(member, draw(contents))
    return written.getvalue()


damaged = mutated(zips().filter(lambda data: len(data) < 4000))
kinds = st.sampled_from(["file", "file", "file", "folder", "link", "loop", "fifo"])
listings = st.lists(st.tuples(file_names, kinds, contents), max_size=4)


def _put(folder: Path, listing: list[tuple[str, str, bytes]], outside: Path) -> None:
    for name, kind, content in listing:
        path = folder / name
        with contextlib.suppress(OSError):  # a name that is taken, or too long for the disk
            match kind:
                case "file":
                    path.write_bytes(content) if not path.exists() else None
                case "folder":
                    path.mkdir()
                case "link":
                    path.symlink_to(outside)
                case "loop":
                    path.symlink_to(path)
                case "fifo":
                    os.mkfifo(path)


def _all_in(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))


def read_and_check(root: Path) -> None:
    before = _all_in(root)
    found = read_submission(root / "submissions", "ada", NUMBERS)
    assert found == read_submission(root / "submissions", "ada", NUMBERS)
    assert _all_in(root) == before
    if found.files is None:
        assert found.source_sha256 is None
    else:
        assert found.problem is None
        assert next(iter(found.files)) == "numbers_.py" and set(found.files) <= {"numbers_.py", "table.txt"}
        assert all(len(content) <= MAX_SOURCE for content in found.files.values())
        assert b"a secret" not in found.files.values()
    told = [*found.notices, found.problem or ""]
    assert all(text.isprintable() and text.isascii() and len(text) < 1000 for text in told), told
    assert list(found.notices) == sorted(found.notices)


@contextlib.contextmanager
def a_class() -> Any:
    """A folder of submissions, and beside it a secret that links lead to."""
    root = Path(tempfile.mkdtemp())
    (root / "submissions/ada").mkdir(parents=True)
    (root / "secret").mkdir()
    for name in ("numbers_.py", "99_numbers/numbers_.py"):
        (root / "secret" / name).parent.mkdir(exist_ok=True)
        (root / "secret" / name).write_bytes(b"a secret")
    try:
        yield root
    finally:
        shutil.rmtree(root)


@settings(max_examples=400)
@given(st.data(), listings, listings, st.sampled_from(["99_numbers", "assignments/99_numbers", "elsewhere"]))
def test_submission_folders_are_read_or_refused(data: st.DataObject, home: Any, below: Any, layout: str) -> None:
    with a_class() as root:
        outside = data.draw(st.sampled_from([root / "secret", root / "secret/numbers_.py", root / "secret/99_numbers"]))
        student = root / "submissions/ada"
        _put(student, home, outside)
        with contextlib.suppress(OSError):
            if not (student / "assignments").is_symlink():
                (student / layout).mkdir(parents=True)
                _put(student / layout, below, outside)
        read_and_check(root)


@settings(max_examples=300)
@given(zips() | damaged | st.binary(max_size=100))
def test_submission_zips_are_read_or_refused(data: bytes) -> None:
    with a_class() as root:
        (root / "submissions/ada/99_numbers.zip").write_bytes(data)
        read_and_check(root)


def test_submission_memory_is_bounded_for_the_worst_zip() -> None:
    """As many entries as 8 MB hold, and not one byte in them."""
    entry = b"PK\x01\x02" + bytes(24) + (1).to_bytes(2, "little") + bytes(16) + b"a"
    count = (MAX_ZIP - 22) // len(entry)
    end = b"PK\x05\x06" + bytes(4) + (count % 65536).to_bytes(2, "little") * 2
    data = entry * count + end + (len(entry) * count).to_bytes(4, "little") + bytes(6)
    with a_class() as root:
        (root / "submissions/ada/99_numbers.zip").write_bytes(data)
        tracemalloc.start()
        found = read_submission(root / "submissions", "ada", NUMBERS)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert "more than 2000 files" in str(found.problem)
    assert peak < 3 * MAX_ZIP, peak
