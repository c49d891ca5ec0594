"""The class that `soak.py` grades: honest, wrong and hostile submissions, mixed by a seed.

    write_course(folder / "course")
    kinds = write_class(folder / "submissions", students=300, seed=1)      # {"student-000": "honest", ...}

The course is the small one of `tests/attacks/`: three tasks, seven tests of a second each at most. Every submission is
that course's honest module, changed in one place or with something hostile written below it. All of them get the same
result whenever they are graded, which a soak needs; attacks with more than one right end are in `tests/attacks/`.
"""

from __future__ import annotations

import random
import shutil
from pathlib import Path

ATTACKS = Path(__file__).parents[1] / "tests/attacks"
ASSIGNMENT, MODULE = "77_target", "target.py"
PLACES = {
    "assignment.toml": "assignments/77_target/assignment.toml",
    "visible.py": "assignments/77_target/test_target.py",
    "hidden.py": "solutions/77_target/test_target_hidden.py",
    "reference.py": "solutions/77_target/target.py",
}
SHARES = {"honest": 0.35, "right": 0.1, "wrong": 0.3, "hostile": 0.22, "missing": 0.03}
COSTLY_SHARE = 0.04  # of the class: kinds that run into time limits

# Other right modules, and wrong ones: a line of the honest module, and what stands there instead.
RIGHT = {
    "log-sum-exp": ("x - x.amax(dim, keepdim=True)", "x - x.logsumexp(dim, keepdim=True)"),
    "words from a list": ("Counter(text.lower().split())", "Counter([word for word in text.lower().split()])"),
    "total from a list": ("sum(self.counts.values())", "sum([self.counts[word] for word in self.counts])"),
}
WRONG = {
    "overflows": ("torch.exp(x - x.amax(dim, keepdim=True))", "torch.exp(x)"),
    "sums everything": ("powers.sum(dim, keepdim=True)", "powers.sum()"),
    "never refuses": ("if x.dim() == 0:", "if False:"),
    "always refuses": ("if x.dim() == 0:", "if True:"),
    "forbidden": ("return powers / powers.sum(dim, keepdim=True)", "return torch.softmax(x, dim)"),
    "forgets": ("self.counts.get(word, 0) + times", "times"),
    "counts words": ("sum(self.counts.values())", "len(self.counts)"),
    "another order": ("iter(self.counts.items())", "iter(sorted(self.counts.items()))"),
    "in its own case": ("text.lower().split()", "text.split()"),
    "splits at spaces": ("text.lower().split()", 'text.lower().split(" ")'),
    "not written": ("return dict(Counter(text.lower().split()))", "raise NotImplementedError"),
    "does not compile": ("def softmax(x, dim):", "def softmax(x, dim:"),
    "returns an object": ("return dict(Counter(text.lower().split()))", "return object()"),
}

IN_SOFTMAX = """
import ctypes, os, signal, socket, struct, sys, tempfile, threading, time

honest_softmax = softmax


def softmax(x, dim):
    {body}
    return honest_softmax(x, dim)
"""

# What a hostile softmax does before it gives the honest answer, where it comes to that.
HOSTILE = {
    "ends the process": "os._exit(0)",
    "segfault": "ctypes.string_at(0)",
    "abort": "os.abort()",
    "kills itself": "os.kill(os.getpid(), signal.SIGKILL)",
    "system exit": "raise SystemExit(0)",
    "keyboard interrupt": "raise KeyboardInterrupt",
    "one huge tensor": "torch.zeros(2**40)",
    "many large tensors": "many = [torch.empty(2**24) for _ in range(10**6)]",
    "deep recursion": "(lambda again: again(again))(lambda again: again(again))",
    "a forged frame": "os.write(3, struct.pack('>Q', 2) + b'{}')",
    "a frame of 2**60 bytes": "os.write(3, struct.pack('>Q', 2**60))",
    "noise on every descriptor": "[os.write(number, b'passed') for number in range(256) if try_it(os.fstat, number)]",
    "forks": "[try_it(os.fork) for _ in range(100)]",
    "sockets": "[try_it(socket.socket, family) for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)]",
    "kills the others": "[try_it(os.kill, number, signal.SIGKILL) for number in (os.getppid(), -1, 1)]",
    "many files": "[try_it(tempfile.mkstemp) for _ in range(200)]",
    "a file of 100 GB": "try_it(os.truncate, tempfile.mkstemp()[1], 10**11)",
    "shared memory": "try_it(open, '/dev/shm/left-behind', 'w')",
    "other people's files": "[try_it(open, path) for path in ('/etc/shadow', '/proc/1/environ', '/proc/self/mem')]",
    "patched torch": "torch.exp = torch.Tensor.amax = lambda *arguments, **options: torch.zeros(1)",
    "threads that sleep": "[threading.Thread(target=time.sleep, args=(3600,), daemon=True).start() for _ in range(5)]",
    "ignored signals": "[try_it(signal.signal, number, signal.SIG_IGN) for number in range(1, 65)]",
}
COSTLY = {
    "endless loop": "while True: pass",
    "endless sleep": "time.sleep(3600)",
    "a flood of output": "while True: print('x' * 10**6, file=sys.stderr)",
    "an endless loop when it goes": "Endless()",
}
HELPERS = """

def try_it(action, *arguments):
    try:
        return action(*arguments) is None or True
    except OSError:
        return False


class Endless:
    def __del__(self):
        while True:
            pass
"""


def write_course(folder: Path) -> None:
    for name, place in PLACES.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ATTACKS / "course" / name, folder / place)


def sources() -> dict[str, dict[str, str]]:
    """Of each kind, what there is of it, by name."""
    honest = (ATTACKS / "honest.py").read_text(encoding="utf-8")
    return {
        "honest": {"honest": honest},
        "right": {name: changed(honest, *change) for name, change in RIGHT.items()},
        "wrong": {name: changed(honest, *change) for name, change in WRONG.items()},
        "hostile": {name: honest + IN_SOFTMAX.format(body=body) + HELPERS for name, body in HOSTILE.items()},
        "costly": {name: honest + IN_SOFTMAX.format(body=body) + HELPERS for name, body in COSTLY.items()},
    }


def changed(text: str, old: str, new: str) -> str:
    if text.count(old) != 1:
        raise ValueError(f"{old!r} should stand once in {ATTACKS / 'honest.py'}")
    return text.replace(old, new)


def draw_kinds(students: int, seed: int) -> list[str]:
    """A kind for each student. The costly ones are counted, not drawn: they decide how long a grading takes."""
    rng = random.Random(seed)
    costly = ["costly"] * max(1, round(COSTLY_SHARE * students))
    others = rng.choices(list(SHARES), weights=list(SHARES.values()), k=students - len(costly))
    kinds = costly + others
    rng.shuffle(kinds)
    return kinds


def write_class(folder: Path, students: int, seed: int) -> dict[str, str]:
    """Writes the submissions; gives each student's kind."""
    rng = random.Random(f"{seed} sources")
    table = sources()
    kinds = {f"student-{number:03}": kind for number, kind in enumerate(draw_kinds(students, seed))}
    for student, kind in kinds.items():
        target = folder / student / ASSIGNMENT / MODULE
        target.parent.mkdir(parents=True)
        if kind != "missing":
            name = rng.choice(sorted(table[kind]))
            target.write_text(f"# {student}: {name}\n{table[kind][name]}", encoding="utf-8")
    return kinds
