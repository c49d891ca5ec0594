"""The jail: what student code can do there, what it cannot, and how each way to end is told. Run under every tier."""

from __future__ import annotations

import collections
import os
import socket
from pathlib import Path
from typing import Any

import pytest
import torch

from autograder.jail.client import Jail, Submission
from autograder.jail.isolation import Limits, readable_paths
from autograder.jail.proxy import Proxy
from autograder.manifest import Manifest, Task
from autograder.outcome import Crashed, Fault, Forbidden, ImportFailed, OutOfMemory, TimedOut
from autograder.plugin import Case
from autograder.suite import failure

REPOSITORY = Path(__file__).parents[1]
MANIFEST = Manifest(
    title="Anything",
    module="anything.py",
    tasks=(
        Task(id="one", title="One", symbols=("f",), forbids=("torch.softmax", "torch.Tensor.softmax", "torch.ops")),
    ),
)


def case(limit: float = 5.0) -> Case:
    return Case("test_it", "one", 1, "visible", "It works.", None, limit)


def submitted(jail: Jail, source: str) -> Submission:
    return jail.submission(MANIFEST, {"anything.py": source.encode()})


def call(jail: Jail, body: str, *arguments: Any, limit: float = 5.0) -> Any:
    """What `f(*arguments)` gives, where `f` has this body."""
    lines = "\n".join("    " + line for line in body.strip().splitlines())
    submission = submitted(
        jail, f"import os, sys, torch\nsaved = getattr(torch, 'soft' + 'max')\ndef f(*args):\n{lines}\n"
    )
    try:
        result = submission.begin(case(limit), 0).f(*arguments)
        return list(result) if isinstance(result, Proxy) else result
    finally:
        submission.end()
        submission.discard()


# Values and objects


def test_values_go_in_and_come_out(jail: Jail) -> None:
    x = torch.arange(6.0).reshape(2, 3)
    values = [None, True, 3, 1.5, "text", b"bytes", [1, (2,)], {("a", "b"): x}]
    returned = call(jail, "return args[0]", values)
    assert torch.equal(returned[-1]["a", "b"], x)
    assert returned[:-1] == values[:-1]


def test_what_students_naturally_return_becomes_plain(jail: Jail) -> None:
    body = """
import collections, enum, numpy
Point = collections.namedtuple("Point", "x y")
number = enum.IntEnum("Number", "one two")
return [collections.Counter("aab"), collections.defaultdict(int, a=1), collections.OrderedDict(b=2), Point(1, 2),
        numpy.float32(0.5), numpy.int64(3), numpy.bool_(True), number.two, torch.nn.Parameter(torch.ones(2)),
        numpy.arange(3, dtype=">i4"), torch.ones(2, 2).T, numpy.memmap("ids", dtype="uint16", mode="w+", shape=(2,))]
"""
    counter, default, ordered, point, *numbers, parameter, array, view, memory_map = call(jail, body)
    assert type(counter) is type(default) is type(ordered) is dict
    assert (counter, default, ordered) == ({"a": 2, "b": 1}, {"a": 1}, {"b": 2})
    assert type(point) is tuple and point == (1, 2)
    assert [(type(number), number) for number in numbers] == [(float, 0.5), (int, 3), (bool, True), (int, 2)]
    for tensor, expected in ((parameter, [1, 1]), (array, [0, 1, 2]), (view, [[1, 1], [1, 1]]), (memory_map, [0, 0])):
        assert type(tensor) is torch.Tensor and tensor.tolist() == expected


def test_objects_stay_and_their_handles_work_like_them(jail: Jail) -> None:
    source = """
class f:
    def __init__(self, n): self.items = list(range(n)); self.inner = torch.nn.Linear(2, 2)
    def __len__(self): return len(self.items)
    def __getitem__(self, i): return self.items[i]
    def grow(self, by=1): self.items += [0] * by; return self
    @property
    def size(self): return len(self.items)
def same(a, b): return a is b
"""
    submission = submitted(jail, "import torch\n" + source)
    student = submission.begin(case(), 0)
    thing = student.f(3)
    assert (len(thing), thing[2], thing.size, list(thing)) == (3, 2, 3, [0, 1, 2])
    assert thing.grow(by=2).size == 5
    assert thing.inner.weight.shape == (2, 2)
    assert student.same(thing, thing) is True
    with pytest.raises(IndexError):
        thing[99]
    with pytest.raises(TypeError, match="neither true nor false"):
        bool(thing)
    assert submission.end() is None
    submission.discard()


def test_iterators_are_pulled_item_by_item(jail: Jail) -> None:
    submission = submitted(
        jail,
        "pulled = []\ndef f():\n    for i in range(10):\n        pulled.append(i)\n        yield i\ndef count(): return len(pulled)",
    )
    student = submission.begin(case(), 0)
    items = iter(student.f())
    assert [next(items), next(items)] == [0, 1]
    assert student.count() == 2
    submission.discard()


def test_gradients_are_taken_on_the_students_side(jail: Jail) -> None:
    submission = submitted(jail, "def f(x, power=2): return x ** power, x")
    student = submission.begin(case(), 0)
    x = torch.tensor([1.0, 2.0])
    (gradient,) = student.library.gradients(student.f, [x], output=0, power=3, upstream=torch.tensor([1.0, 10.0]))
    assert torch.allclose(gradient, torch.tensor([3.0, 120.0]))
    submission.discard()


# Exceptions


@pytest.mark.parametrize(
    ("raising", "kind"),
    [
        ("raise ValueError('n must be positive')", ValueError),
        ("class Own(IndexError): pass\nraise Own('far out')", IndexError),
        ("class ValueError(Exception): pass\nraise ValueError('only the name')", Exception),
        ("'é'.encode('ascii')", UnicodeError),
        ("raise torch.OutOfMemoryError('no more')", RuntimeError),
        ("return {}['missing']", KeyError),
        ("raise NotImplementedError", NotImplementedError),
    ],
)
def test_an_exception_crosses_as_the_built_in_class_that_it_derives_from(jail: Jail, raising: str, kind: type) -> None:
    with pytest.raises(Exception) as caught:
        call(jail, raising)
    assert type(caught.value) is kind
    assert not isinstance(caught.value, Fault)


def test_the_line_of_an_exception_is_told(jail: Jail) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        call(jail, "x = 1\nreturn x / 0")
    assert failure(case(), caught.value).message == "ZeroDivisionError: division by zero (line 5 of your file)"


@pytest.mark.parametrize("stop", ["sys.exit(0)", "raise KeyboardInterrupt", "raise SystemExit", "raise GeneratorExit"])
def test_stopping_the_interpreter_stops_nothing_here(jail: Jail, stop: str) -> None:
    with pytest.raises(Fault, match="stopped the code"):
        call(jail, stop)


def test_an_exception_with_a_hostile_text_is_cut(jail: Jail) -> None:
    with pytest.raises(ValueError) as caught:
        call(jail, "raise ValueError('x' * 10**7)")
    assert len(str(caught.value)) <= 2000
    with pytest.raises(ValueError, match="cannot be shown"):
        call(jail, "class E(ValueError):\n    def __str__(self): raise SystemExit\nraise E")


# Walls


def denied(jail: Jail, body: str, *arguments: Any) -> None:
    with pytest.raises(OSError):
        call(jail, body, *arguments)


def test_no_file_outside_can_be_read(jail: Jail, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    tmp_path.chmod(0o755)
    for path in (secret, REPOSITORY / "solutions/04_attention/attention.py", REPOSITORY / "README.md", "/etc/passwd"):
        denied(jail, "return open(args[0]).read()", str(path))
    for folder in (tmp_path, REPOSITORY, "/", "/tmp", "/proc", "/home", "/dev/shm"):
        denied(jail, "return os.listdir(args[0])", str(folder))


def test_neither_memory_nor_environment_of_the_grader_can_be_read(jail: Jail) -> None:
    assert "secret-environment-5512" not in str(call(jail, "return dict(os.environ)"))
    for name in ("environ", "cmdline", "mem", "maps", "fd"):
        for process in ("self", "1", str(os.getpid()), str(os.getppid())):
            denied(
                jail,
                "return os.listdir(args[0]) if args[0].endswith('fd') else open(args[0], 'rb').read(9)",
                f"/proc/{process}/{name}",
            )


def test_nothing_outside_can_be_written(jail: Jail, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    for path in (
        tmp_path / "left",
        REPOSITORY / "left",
        REPOSITORY / "autograder/left.py",
        "/tmp/left",
        "/dev/shm/left",
    ):
        denied(jail, "open(args[0], 'w').write('left')", str(path))
        assert not Path(path).exists()


def test_its_own_folder_can_be_written_and_is_gone_afterwards(jail: Jail) -> None:
    assert call(jail, "open('note', 'w').write('here'); return open('note').read()") == "here"
    assert call(jail, "return sorted(os.listdir('.'))") == ["anything.py"]


def test_the_installed_packages_can_be_imported(jail: Jail) -> None:
    assert call(jail, "import statistics, fractions, numpy.fft\nreturn statistics.mean([1, 3])") == 2


@pytest.mark.parametrize(
    "body",
    [
        "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_STREAM)",
        "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
        "import socket\nsocket.socket(socket.AF_UNIX)",
        "import socket\nsocket.socketpair()",
        "import socket\nsocket.create_connection(('127.0.0.1', args[0]), 1)",
    ],
)
def test_there_is_no_network(jail: Jail, body: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        denied(jail, body, server.getsockname()[1])


@pytest.mark.parametrize(
    "body",
    [
        "os.kill(args[0], 9)",
        "os.kill(1, 9)",
        "os.kill(os.getppid(), 15)",
        "os.kill(-1, 9)",
        "os.fork()",
        "os.execv(sys.executable, [sys.executable])",
        "import subprocess\nsubprocess.run(['/bin/true'])",
        "import multiprocessing\nmultiprocessing.get_context('fork').Process(target=print).start()",
        "os.setuid(0) or os.chroot('/')",
        "os.symlink('/etc/passwd', 'link')",
        "os.chmod('.', 0)",
        "os.chmod(sys.executable, 0)",
        "os.utime(os.__file__)",
        "os.setxattr(os.__file__, 'user.left', b'here')",
        "import fcntl\nfcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, args[0])",
        "import fcntl\nfcntl.fcntl(os.pipe()[0], 10, 9)",
        "import fcntl\nfcntl.fcntl(os.open('file', os.O_CREAT), fcntl.F_SETLEASE, fcntl.F_WRLCK)",
        "import fcntl, struct\nfcntl.ioctl(os.pipe()[0], 0x8901, struct.pack('i', args[0]))",
        "import ctypes\nif ctypes.CDLL(None, use_errno=True).memfd_create(b'hidden', 0) < 0: raise OSError(ctypes.get_errno(), 'no')",
        "os.mkfifo('pipe')",
    ],
)
def test_no_other_process_can_be_made_or_reached(jail: Jail, body: str) -> None:
    denied(jail, body, os.getpid())


def test_only_its_own_line_to_the_grader_is_open(jail: Jail) -> None:
    body = """
found = []
for number in range(4096):
    try: found.append(os.fstat(number).st_mode >> 12)
    except OSError: pass
return found
"""
    assert call(jail, body) == [2, 2, 2, 12]  # three times /dev/null, one socket


def test_threads_work(jail: Jail) -> None:
    assert call(
        jail,
        "import threading\nout = []\nt = threading.Thread(target=out.append, args=(1,))\nt.start(); t.join()\nreturn out",
    ) == [1]


# Limits


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("while True: pass", TimedOut),
        ("import time\ntime.sleep(3600)", TimedOut),
        (
            "import signal\nfor s in range(1, 32):\n    try: signal.signal(s, signal.SIG_IGN)\n    except Exception: pass\nwhile True: pass",
            TimedOut,
        ),
        ("os._exit(0)", Crashed),
        ("os.abort()", Crashed),
        ("import ctypes\nctypes.string_at(0)", Crashed),
        ("os.closerange(3, 100)\nreturn 1", Crashed),
        ("os.write(3, b'nonsense' * 100)\nreturn 1", Crashed),
        ("return torch.zeros(10**11)", OutOfMemory),
        ("return [bytearray(10**7) for _ in range(10**6)]", OutOfMemory),
        ("return torch.zeros(2, dtype=torch.complex64)", Fault),
        ("def deep(n): return deep(n + 1)\nreturn deep(0)", RecursionError),
        ("x = []\nfor _ in range(10**4): x = [x]\nreturn x", Exception),
    ],
)
def test_every_way_to_fail_is_told_apart_and_costs_one_test_only(jail: Jail, body: str, kind: type) -> None:
    lines = "\n".join("    " + line for line in body.splitlines())
    submission = submitted(jail, f"import os, torch\ndef f():\n{lines}\ndef fine(): return 1\n")
    with pytest.raises(kind) as caught:
        submission.begin(case(limit=3.0), 0).f()
    fault = submission.end()
    assert isinstance(caught.value, Fault) == (fault is not None)
    assert submission.begin(case(), 0).fine() == 1
    assert submission.end() is None
    submission.discard()


def test_a_file_cannot_grow_without_end(jail: Jail) -> None:
    body = "with open('big', 'wb') as file:\n    for _ in range(10**6): file.write(bytes(2**20))"
    with pytest.raises((OSError, Crashed)):
        call(jail, body)
    assert Limits().file_size < 2**30


def test_output_goes_nowhere(jail: Jail, capfd: pytest.CaptureFixture[str]) -> None:
    assert call(jail, "print('x' * 10**6); os.write(1, b'y'); os.write(2, b'z'); return 1") == 1
    assert capfd.readouterr() == ("", "")


def test_a_fault_that_the_test_swallowed_is_remembered(jail: Jail) -> None:
    submission = submitted(jail, "import os\ndef f(): os._exit(0)\n")
    student = submission.begin(case(), 0)
    with pytest.raises(Crashed):
        student.f()
    with pytest.raises(Crashed):  # and the rest of the test meets no fresh process
        student.f()
    assert isinstance(submission.end(), Crashed)
    submission.discard()


def test_submissions_leave_nothing_for_each_other(jail: Jail) -> None:
    first = submitted(
        jail, "import torch, builtins\ntorch.left = builtins.left = 1\ntorch.relu = None\ndef f(): open('left', 'w')"
    )
    first.begin(case(), 0).f()
    first.end()
    first.discard()
    assert call(
        jail,
        "import builtins\nreturn [hasattr(torch, 'left'), hasattr(builtins, 'left'), torch.relu is None, os.listdir('.')]",
    ) == [
        False,
        False,
        False,
        ["anything.py"],
    ]


# Replies


def test_a_reply_written_before_the_question_is_worth_nothing(jail: Jail) -> None:
    source = """
import os
import sys
wire = sys._getframe(1).f_globals['wire']
def f():
    data = wire.encode((1, "value", 42))
    os.write(3, wire.LENGTH.pack(len(data)) + data)
    return 0
"""
    submission = submitted(jail, source)
    with pytest.raises(Crashed, match="broke the protocol"):
        submission.begin(case(), 0).f()
    submission.discard()


def test_a_reply_too_many_costs_the_next_question(jail: Jail) -> None:
    source = """
import gc, os, threading
import sys
wire = sys._getframe(1).f_globals['wire']
def f():
    data = wire.encode((0, "value", 42))
    threading.Timer(0.2, os.write, (3, wire.LENGTH.pack(len(data)) + data)).start()
    return 0
def g():
    import time
    time.sleep(1)
    return 1
"""
    submission = submitted(jail, source)
    student = submission.begin(case(), 0)
    assert student.f() == 0
    with pytest.raises(Crashed):
        student.g()
    submission.discard()


def test_nobody_is_believed_who_blames_the_grader(jail: Jail) -> None:
    source = """
import os, sys
wire = sys._getframe(1).f_globals["wire"]
def f():
    data = wire.encode((0, "unconfined", "not my fault"))
    os.write(3, wire.LENGTH.pack(len(data)) + data)
"""
    submission = submitted(jail, source)
    with pytest.raises(Crashed):
        submission.begin(case(), 0).f()
    submission.discard()


def test_an_object_that_never_lets_go_costs_its_own_test(jail: Jail) -> None:
    source = "class f:\n    def __del__(self):\n        while True: pass\ndef fine(): return 1\n"
    submission = submitted(jail, source)
    submission.begin(case(limit=1.0), 0).f()
    assert isinstance(submission.end(), TimedOut)
    assert submission.begin(case(), 0).fine() == 1
    submission.discard()


# Imports and forbidden calls


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("def f(:\n", "line 1"),
        ("x = 1\nimport nothing_of_the_kind\n", "import nothing_of_the_kind (line 2): only the standard library"),
        ("x = 1\nimport torch.nothing_of_the_kind\n", "ModuleNotFoundError"),
        ("raise RuntimeError('at import')", "RuntimeError: at import"),
        ("\0", "null bytes"),
        ("# coding: nonsense\n", "encoding"),
        ("é = 1".encode("latin-1").decode("latin-1"), None),
    ],
)
def test_a_module_that_cannot_be_imported_says_why(jail: Jail, source: str, told: str | None) -> None:
    submission = submitted(jail, source)
    with pytest.raises(Fault) as caught:
        submission.begin(case(), 0).f()
    if told is not None:
        assert told in str(caught.value)
    submission.discard()


@pytest.mark.parametrize(("source", "kind"), [("import os\nos._exit(0)", Crashed), ("raise SystemExit", Fault)])
def test_a_module_that_ends_the_process_on_import_fails_every_test(jail: Jail, source: str, kind: type) -> None:
    submission = submitted(jail, source)
    for _ in range(2):
        with pytest.raises(kind):
            submission.begin(case(), 0)
        assert isinstance(submission.end(), kind)


def test_latin_1_bytes_are_a_syntax_error_not_a_crash(jail: Jail) -> None:
    submission = jail.submission(MANIFEST, {"anything.py": "name = 'é'".encode("latin-1")})
    with pytest.raises(ImportFailed, match="cannot be imported"):
        submission.begin(case(), 0)


@pytest.mark.parametrize(
    "body",
    [
        "return torch.softmax(args[0], -1)",
        "return args[0].softmax(-1)",
        "return getattr(torch, 'soft' + 'max')(args[0], -1)",
        "s = torch.softmax\nreturn s(args[0], -1)",
        "return list(map(lambda row: torch.softmax(row, 0), args[0]))",
        "try: torch.Tensor.softmax(args[0], -1)\nexcept BaseException: pass\nreturn args[0]",
        "import importlib\nreturn importlib.import_module('torch').__dict__['softmax'](args[0], -1)",
        "return vars(torch)['softmax'](args[0], -1)",
        "return saved(args[0], -1)",
        "return getattr(torch, 'o' + 'ps').aten._softmax(args[0], -1, False)",
        "return getattr(torch, 'o' + 'ps').aten._softmax.default(args[0], -1, False)",
        "import threading\nt = threading.Thread(target=saved, args=(args[0], -1))\nt.start()\nt.join()",
    ],
)
def test_forbidden_calls_are_caught_by_whatever_alias(jail: Jail, body: str) -> None:
    with pytest.raises(Forbidden, match=r"softmax|torch\.ops"):
        call(jail, body, torch.zeros(2, 2))


@pytest.mark.parametrize(
    "body",
    [
        "import importlib\nreturn importlib.import_module('autograder.minigpt.library').library_parts",
        "return __import__('autograder.minigpt.library.attention')",
        "return sys.modules['autograder.minigpt.library.attention']",
        "return sys.modules['autograder.student_side'].CausalSelfAttention",
        "import importlib\nreturn importlib.import_module('autograder.testing')",
        "import importlib\nreturn importlib.import_module('datasets')",
    ],
)
def test_library_parts_cannot_be_imported_by_another_door(jail: Jail, body: str) -> None:
    with pytest.raises((ImportError, KeyError)):
        call(jail, body)


def test_config_and_protocols_can_be_imported(jail: Jail) -> None:
    source = (
        "from autograder.minigpt.config import GPTConfig\nfrom autograder.minigpt import protocols\nimport autograder.minigpt.config as c\n"
        "def f(): return c.GPTConfig is GPTConfig, GPTConfig(vocab_size=5).vocab_size, hasattr(protocols, 'Tokenizer')\n"
    )
    submission = submitted(jail, source)
    assert submission.begin(case(), 0).f() == (True, 5, True)
    submission.discard()


def test_library_parts_may_still_use_what_is_forbidden_to_the_student(jail: Jail) -> None:
    submission = submitted(jail, "def f(layer, x): return layer(x)")
    student = submission.begin(case(), 0)
    layer = student.library.CausalSelfAttention(8, 2)
    assert student.f(layer, torch.zeros(1, 3, 8)).shape == (1, 3, 8)
    assert submission.end() is None
    submission.discard()


def test_the_jail_reads_no_more_than_python_needs() -> None:
    for path in readable_paths():
        assert not (REPOSITORY / "solutions").is_relative_to(path)
        assert not (REPOSITORY / "assignments").is_relative_to(path)
        assert Path.home() != Path(path)


def test_counter_is_a_real_counter_in_the_jail(jail: Jail) -> None:
    """The conversion happens on the way out, not to the student's objects."""
    assert call(jail, "import collections\nreturn type(collections.Counter()).__name__") == collections.Counter.__name__
