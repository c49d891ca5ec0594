"""`minigpt check` and its ways: what it says of work that fails, --watch, --debug, and plain pytest beside it."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Queue

import pytest
from rich.console import Console

from autograder.advice import shortened
from autograder.check import check_command
from autograder.debugging import debug_command
from autograder.manifest import Course

COMMAND = Path(sys.executable).parent / "minigpt"
NOTATION = re.compile("\x1b")


@pytest.fixture
def attention(course: Course, tmp_path: Path) -> Course:
    """A student's repository with 04_attention alone, finished."""
    given = course.assignment("attention")
    folder = tmp_path / "repository/assignments/04_attention"
    shutil.copytree(given.folder, folder)
    shutil.copy(given.reference, folder)
    return Course(tmp_path / "repository")


def spoil(course: Course, *definitions: str) -> Path:
    """Puts something else in place of some of the functions, behind them."""
    stub = course.assignments()[0].stub
    stub.write_text("\n\n\n".join([stub.read_text(), *definitions]) + "\n")
    return stub


def shown(course: Course, *names: str, width: int = 80) -> tuple[int, str]:
    """Exit code and text of a check in this process."""
    paper = io.StringIO()
    return check_command(course, names, Console(file=paper, width=width, highlight=False)), paper.getvalue()


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "80", **more}


def run(course: Course, *arguments: str, typed: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments], cwd=course.root, env=environment(**more), input=typed, capture_output=True, text=True
    )


HEADS = """\
def split_heads(x: Float[Tensor, "batch time d_model"], n_heads: int) -> Float[Tensor, "batch heads time head_dim"]:
    return x.unflatten(-1, (n_heads, -1))
"""
NO_ROOT = "def softmax(x, dim):\n    scores = x * 2\n    return broken(scores)"
SHAPE = "split_heads returned a tensor of shape [2, 5, 3, 4]"


def flat(text: str) -> str:
    return " ".join(text.split())


def test_a_wrong_shape_is_told_once_and_pointed_at_later(attention: Course) -> None:
    spoil(attention, HEADS)
    code, text = shown(attention)
    assert code == 1
    assert flat(text).count(SHAPE) == 1
    assert "heads and time are swapped." in flat(text)
    assert "attention: With the same weights" in text and "split_heads is wrong, as above: mend that first." in text
    assert "expected shape" not in text  # the test's own words for it


def test_an_exception_is_told_with_the_students_own_lines(attention: Course) -> None:
    spoil(attention, NO_ROOT)
    _, text = shown(attention, "softmax", "sdpa")
    assert "NameError: name 'broken' is not defined" in text
    number = attention.assignments()[0].stub.read_text().splitlines().index("    return broken(scores)") + 1
    assert re.search(rf"line {number}, in softmax:\s+return broken\(scores\)", text)
    assert "called from line" in text and "in scaled_dot_product_attention" in text
    assert "Traceback" not in text and "autograder" not in text and "torch/" not in text


@pytest.mark.parametrize(
    ("definition", "message", "line"),
    [
        ("def softmax(x, dim:\n    return x", "SyntaxError", "def softmax(x, dim:"),
        ("import nothing_of_the_kind", "is forbidden", ""),
        ("half = 1 / 0", "ZeroDivisionError: division by zero", "half = 1 / 0"),
    ],
)
def test_a_module_that_cannot_be_imported_is_told_of_once(
    attention: Course, definition: str, message: str, line: str
) -> None:
    spoil(attention, definition)
    code, text = shown(attention)
    if message == "is forbidden":
        assert code == 1 and "nothing_of_the_kind" in text
        return
    assert code == 1
    assert text.count("cannot be imported") == 1 and message in text and line in text
    assert "more: minigpt hint" not in text


def test_breakpoints_questions_and_prints_do_not_stop_a_check(attention: Course) -> None:
    spoil(attention, "def softmax(x, dim):\n    print('here')\n    breakpoint()\n    input('and now?')\n    return x")
    code, text = shown(attention, "softmax")
    assert code == 1 and "EOFError" in text and "here" not in text


def test_of_several_assignments_those_that_wait_take_a_line(attention: Course, course: Course) -> None:
    shutil.copytree(course.assignment("data").folder, attention.root / "assignments/02_data")
    spoiled = attention.assignment("attention").stub
    spoiled.write_text(spoiled.read_text() + f"\n\n{HEADS}\n")
    code, text = shown(attention)
    assert code == 1
    assert "02_data: not started, 0 of 32 points" in text and "04_attention: Attention" in text


@pytest.mark.parametrize("width", [40, 80])
def test_every_line_fits_the_terminal(attention: Course, width: int) -> None:
    spoil(attention, HEADS, NO_ROOT)
    _, text = shown(attention, width=width)
    assert max(map(len, text.splitlines())) <= width
    assert "in progress" in text


def test_in_a_log_comes_nothing_but_text(attention: Course) -> None:
    spoil(attention, HEADS)
    done = run(attention, "check", "heads", GITHUB_ACTIONS="true", CI="true", TERM="dumb")
    assert done.returncode == 1 and done.stderr == ""
    assert not NOTATION.search(done.stdout) and SHAPE in flat(done.stdout)


@pytest.mark.parametrize("more", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_states_show_without_colours(attention: Course, monkeypatch: pytest.MonkeyPatch, more: dict[str, str]) -> None:
    for name, value in more.items():
        monkeypatch.setenv(name, value)
    paper = io.StringIO()
    spoil(attention, HEADS)
    check_command(attention, ["heads"], Console(file=paper, width=80, force_terminal=True, highlight=False))
    assert not re.search("\x1b\\[[34][0-9]", paper.getvalue()) and "in progress" in paper.getvalue()


def test_finished_work_exits_0(attention: Course) -> None:
    code, text = shown(attention)
    assert code == 0 and "32 of 32 points: all visible tests pass." in text


def test_of_long_values_the_difference_is_shown() -> None:
    due = [0] * 300
    got = due[:200] + [7] + due[:99]
    text = shortened(f"the ids: expected {due}, got {got}")
    assert text.startswith("the ids: expected ...") and "7" in text and len(text) < 200
    assert shortened("expected 1, got 2") == "expected 1, got 2"
    assert shortened("\n".join(map(str, range(9)))).splitlines() == ["0", "1", "2", "3", "..."]


# --- plain pytest ----------------------------------------------------------------------------------------------------


def test_pytest_shows_the_tests_line_the_students_lines_and_the_shape(attention: Course, course: Course) -> None:
    """And of a failed import what it met, without the grader's lines."""
    spoil(attention, HEADS, NO_ROOT)
    data = attention.root / "assignments/02_data"
    shutil.copytree(course.assignment("data").folder, data)
    (data / "data.py").write_text("def get_batch(ids,:\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "assignments", "-k"]
    command.append("layer_agrees or split_gives or windows_of_the_docstring")
    text = subprocess.run(command, cwd=attention.root, env=environment(), capture_output=True, text=True).stdout
    assert "attention.py" in text and "return broken(scores)" in text
    assert "close(" in text or "has_shape(" in text
    assert "- shape -" in text and SHAPE in text
    assert text.index("- shape -") < text.index("- hint -")
    assert "site-packages" not in text and "autograder/" not in text
    assert "Vaswani" not in text  # no docstring of the function in which it happened
    assert "data.py cannot be imported: SyntaxError" in text and "line 1: def get_batch(ids,:" in text


@pytest.mark.parametrize("options", [[], ["-n", "2"]], ids=["in one process", "in two"])
def test_pytest_ends_with_points_and_the_likely_mistake(attention: Course, options: list[str]) -> None:
    """As `minigpt check` tells it. With other inputs than those that the shipped data is about, it is silent."""
    spoil(attention, "def softmax(x, dim):\n    return x.exp() / x.exp().sum()")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "assignments",
        "-k",
        "softmax or mask",
        *options,
    ]
    ends = []
    for seed in ("0", "1"):
        done = subprocess.run(
            [*command, "--minigpt-seed", seed], cwd=attention.root, env=environment(), capture_output=True, text=True
        )
        ends.append(done.stdout.partition("points of these tests")[2].splitlines()[1:4])
    likely = "  likely: Your softmax divides by the sum of everything, not of each row."
    assert [line.split() for line in ends[0]] == [["softmax", "0", "of", "4"], likely.split(), ["mask", "3", "of", "3"]]
    assert ends[0][1] == likely
    assert "likely" not in "".join(ends[1])


# --- --debug ---------------------------------------------------------------------------------------------------------


def test_debug_stops_in_the_students_innermost_line(attention: Course) -> None:
    spoil(attention, NO_ROOT)
    done = run(attention, "check", "sdpa", "--debug", typed="p 'shape', scores.shape\nu\np 'queries', q.shape\nq\n")
    assert done.returncode == 1
    assert "You are in attention.py" in done.stdout and "-> return broken(scores)" in done.stdout
    assert "('shape', torch.Size(" in done.stdout and "('queries', torch.Size(" in done.stdout


def test_debug_of_a_wrong_value_stops_in_the_test(
    attention: Course, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(attention, "def softmax(x, dim):\n    return x")
    monkeypatch.setattr(sys, "stdin", io.StringIO("p 'dims', x.shape\nq\n"))
    assert debug_command(attention, ["softmax"], Console(highlight=False)) == 1
    text = capsys.readouterr().out
    assert "You are in the test" in text and "('dims', torch.Size([2, 3, 4]))" in text


def test_debug_of_a_breakpoint_stops_there(
    attention: Course, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(attention, "def softmax(x, dim):\n    import pdb; pdb.Pdb().set_trace()\n    return x")
    monkeypatch.setattr(sys, "stdin", io.StringIO("p 'here', dim\n" + "c\n" * 3 + "q\n"))
    assert debug_command(attention, ["softmax"], Console(highlight=False)) == 1
    assert "('here', 0)" in capsys.readouterr().out


def test_debug_without_a_failure_has_nothing_to_do(attention: Course, capsys: pytest.CaptureFixture[str]) -> None:
    assert debug_command(attention, ["softmax"], Console(highlight=False)) == 0
    spoil(attention, "def softmax(x, dim):\n    raise NotImplementedError")
    assert debug_command(attention, ["softmax"], Console(highlight=False)) == 1
    assert "softmax not written yet" in capsys.readouterr().out


# --- --watch ---------------------------------------------------------------------------------------------------------


class Watching:
    """A `minigpt check --watch` that runs, and what it prints, up to the end of each run."""

    def __init__(self, course: Course, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [COMMAND, "check", "--watch", *arguments],
            cwd=course.root,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._lines: Queue[str | None] = Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._lines.put(line)
        self._lines.put(None)

    def until(self, mark: str) -> str:
        """What comes up to a line with this in it. A process that ends before fails the test."""
        read = []
        while mark not in (read[-1] if read else ""):
            line = self._lines.get()
            assert line is not None, "".join(read)
            read.append(line)
        return "".join(read)

    def interrupt(self) -> tuple[int, str]:
        os.killpg(self._process.pid, signal.SIGINT)  # as Ctrl-C does: to every process of the terminal
        code = self._process.wait()
        rest = list(iter(self._lines.get, None))
        return code, "".join(line for line in rest if line)

    def kill(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)


@pytest.fixture
def watching(attention: Course) -> Iterator[Watching]:
    started = Watching(attention)
    yield started
    started.kill()


RUN_IS_OVER = "Watching: save"


def test_watch_follows_what_is_saved(attention: Course, watching: Watching) -> None:
    """One session: broken, half typed, endless, fatal, a broken test, another test, mended."""
    assignment = attention.assignments()[0]
    right = assignment.stub.read_text()
    assert "all visible tests pass" in watching.until(RUN_IS_OVER)
    leak = "torch.set_default_dtype(torch.float64)\ntorch.softmax = None\nimport sys\nsys.path.insert(0, 'nowhere')"
    assignment.stub.write_text(f"{right}\n\n{HEADS}\n\n{leak}\n")
    assert SHAPE in flat(watching.until(RUN_IS_OVER))
    assignment.stub.write_text(right + "\n\ndef half(:\n")
    assert "SyntaxError" in watching.until(RUN_IS_OVER)
    assignment.stub.write_text(right + "\n\nwhile True:\n    pass\n")
    watching.until("attention.py")  # this run has begun, and would never end
    assignment.stub.write_text(right + "\n\nimport os\nos._exit(3)\n")
    assert "exit code 3" in watching.until(RUN_IS_OVER)
    tests = assignment.visible_tests.read_text()
    assignment.visible_tests.write_text(tests + "\ndef test_half(:\n")
    assert "minigpt: " in watching.until(RUN_IS_OVER)
    assignment.visible_tests.write_text(tests.replace('"""Softmax gives', '"""A line that was changed'))
    assignment.stub.write_text(f"{right}\n\ndef softmax(x, dim):\n    return x\n")
    assert "A line that was changed" in watching.until(RUN_IS_OVER)
    assignment.stub.write_text(right)
    while "all visible tests pass" not in watching.until(RUN_IS_OVER):
        pass  # two files were saved one after the other: that may have been two runs
    code, rest = watching.interrupt()
    assert code == 0 and "Traceback" not in rest


def test_watch_and_debug_do_not_go_together(attention: Course) -> None:
    done = run(attention, "check", "--watch", "--debug")
    assert done.returncode == 2 and "--watch and --debug" in flat(done.stderr)
