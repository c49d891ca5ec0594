"""Grades a class twice, once undisturbed and once killed again and again, and compares: python benchmarks/soak.py

    python benchmarks/soak.py --students 40 --kills 4        # the quick form, a minute

The class is that of `soak_class.py`: honest, wrong and hostile submissions, mixed by a seed. Each time it is graded by
`minigpt grade --jobs 2` as a process of its own.

Undisturbed: memory and open descriptors of the command's own processes are sampled about every second. Between the
first and the last quarter of the time, memory should grow by less than 5 %, descriptors not at all.

Killed: SIGKILL, to the process alone or to its group, at moments that are drawn to fall over the whole run: at the
start, between two submissions, while reports are written. Then it is started again with the same arguments, at once or
when everything of it has gone, until it ends by itself. After each kill, what is graded must be as the undisturbed
grading has it, and what was graded before must not have been touched. At the end all files but timings must be equal,
byte by byte, and no process, no jail's folder and no temporary file may be left.

Ends with exit code 1 if anything is not so, and leaves its folder for a look.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from processes import Trend, Watch, adopt_orphans, wait_until_gone
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from soak_class import ASSIGNMENT, write_class, write_course

import autograder

MINIGPT = Path(sys.executable).with_name("minigpt")
CHANGING = {"timings.json", "graded.json"}  # the second has the checksum of the first
PATIENCE = 60.0
POLL = 0.01
MOST_TOLD = 20
console = Console(highlight=False)

Phase = Literal["start", "grading", "reports"]


@dataclass(frozen=True)
class Moment:
    """When to kill: `delay` seconds after the phase has begun, or after `graded` students are done."""

    phase: Phase
    delay: float
    graded: int = 0
    group: bool = False
    at_once: bool = False


@dataclass(frozen=True)
class Kill:
    """What became of a moment: seconds after the start, students done by then, and until all processes had gone."""

    moment: Moment
    seconds: float
    graded: int
    gone_after: float | None


@dataclass(frozen=True)
class Undisturbed:
    """How long the undisturbed grading took, and its parts; from these the moments are drawn."""

    seconds: float
    start: float
    reports: float
    trends: dict[str, Trend]


@dataclass
class Soak:
    """One class in a folder, and what was found wrong."""

    folder: Path
    kinds: dict[str, str]
    seed: int
    isolation: str = "auto"
    problems: list[str] = field(default_factory=list)

    def out(self, name: str) -> Path:
        return self.folder / name

    def temporary(self, name: str) -> Path:
        return self.folder / f"tmp-{name}"

    def start(self, name: str) -> subprocess.Popen[bytes]:
        """The command, in a session and with a temporary folder of its own."""
        self.temporary(name).mkdir(exist_ok=True)
        self.temporary(name).chmod(0o711)  # student code, which has no rights, must reach its own folder in there
        arguments = [
            MINIGPT, "grade", self.folder / "submissions", "--out", self.out(name), "--course", self.folder / "course",
            "--jobs", "2", "--seed", str(self.seed), "--train-steps", "0", "--isolation", self.isolation,
        ]  # fmt: skip
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                list(map(str, arguments)),
                cwd=self.folder,
                env=os.environ | {"TMPDIR": str(self.temporary(name)), "OMP_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def graded(self, name: str) -> int:
        return sum((self.out(name) / student / "graded.json").exists() for student in self.kinds)

    def problem(self, text: str) -> None:
        self.problems.append(text)
        if len(self.problems) <= MOST_TOLD:
            console.print(f"[red]wrong:[/red] {escape(text)}", soft_wrap=True)


# --- undisturbed -----------------------------------------------------------------------------------------------------


def grade_undisturbed(soak: Soak) -> Undisturbed:
    started, first = time.monotonic(), 0.0
    process = soak.start("undisturbed")
    with Watch(process.pid, lambda: soak.graded("undisturbed") >= 5) as watch:
        while process.poll() is None:
            first = first or (time.monotonic() - started if soak.graded("undisturbed") else 0.0)
            time.sleep(0.05)
    seconds = time.monotonic() - started
    if process.returncode != 0:
        log = (soak.folder / "undisturbed.log").read_text(encoding="utf-8")
        sys.exit(f"the undisturbed grading ended with {process.returncode}:\n{log[-2000:]}\nsee {soak.folder}")
    check_clean(soak, "undisturbed")
    written = [path.stat().st_mtime for path in pages(soak, "undisturbed")]
    return Undisturbed(seconds, first, max(written) - min(written), watch.trends())


def pages(soak: Soak, name: str) -> list[Path]:
    """Every report, in the order in which they happen to be found."""
    return [*soak.out(name).glob("*/index.html"), *soak.out(name).glob("*.html"), *soak.out(name).glob("*.csv")]


def check_scores(soak: Soak) -> None:
    """That there is something to compare: honest and right submissions have all points, wrong ones have not."""
    for student, kind in soak.kinds.items():
        result = json.loads((soak.out("undisturbed") / student / ASSIGNMENT / "result.json").read_bytes())
        full = result.get("score") == result["max_score"]
        status = "missing" if kind == "missing" else "graded"
        if result["status"] != status or full != (kind in ("honest", "right")) and kind != "hostile":
            soak.problem(f"{student}, {kind}: {result['status']}, {result.get('score')} of {result['max_score']}")


# --- killed ----------------------------------------------------------------------------------------------------------


def draw_moments(students: int, kills: int, undisturbed: Undisturbed, rng: random.Random) -> list[Moment]:
    """A fifth at the start, some in the reports, the others over all of the grading, in parts of about equal length."""
    n_start, n_reports = max(1, kills // 5), max(1, kills // 7)
    n_grading = max(0, kills - n_start - n_reports)
    each = (undisturbed.seconds - undisturbed.start) / students
    part = students / max(1, n_grading)
    targets = [min(int((index + rng.random()) * part), students - 1) for index in range(n_grading)]

    def moment(phase: Phase, delay: float, graded: int = 0) -> Moment:
        return Moment(phase, rng.uniform(0, delay), graded, rng.random() < 0.5, rng.random() < 0.5)

    moments = [moment("grading", 2 * each, target) for target in targets]
    for _ in range(n_start):
        moments.insert(rng.randint(0, len(moments)), moment("start", undisturbed.start))
    return moments + [moment("reports", undisturbed.reports) for _ in range(n_reports)]


def begun(soak: Soak, moment: Moment, started_at: float) -> Callable[[], bool]:
    """Whether the moment's phase has begun."""
    if moment.phase == "start":
        return lambda: True
    if moment.phase == "grading":
        wanted = max(moment.graded, soak.graded("killed") + 1)
        return lambda: soak.graded("killed") >= wanted
    return lambda: any(path.stat().st_mtime >= started_at for path in pages(soak, "killed"))


def comes(process: subprocess.Popen[bytes], true: Callable[[], bool]) -> bool:
    """Polls; False where the process ends first."""
    while process.poll() is None:
        if true():
            return True
        time.sleep(POLL)
    return False


def kill_at(soak: Soak, moment: Moment) -> Kill | None:
    """Starts the command and kills it at that moment; None where it had ended by itself before."""
    started, started_at = time.monotonic(), time.time()
    phase = begun(soak, moment, started_at)
    process = soak.start("killed")
    if comes(process, phase):
        time.sleep(moment.delay)
        if process.poll() is None:
            (os.killpg if moment.group else os.kill)(process.pid, signal.SIGKILL)
    if process.wait() != -signal.SIGKILL:
        check_exit(soak, process)
        return None
    seconds = time.monotonic() - started
    gone_after = None if moment.at_once else wait_until_gone(PATIENCE)
    return Kill(moment, seconds, soak.graded("killed"), gone_after)


def grade_killed(soak: Soak, moments: list[Moment], rng: random.Random) -> list[Kill]:
    """Kills at every moment, and at others in place of those that came too late; then lets the command end."""
    kills: list[Kill] = []
    seen: dict[Path, tuple[int, int]] = {}
    wanted, waiting = len(moments), list(moments)
    while len(kills) < wanted:
        moment = waiting.pop(0) if waiting else Moment("start", rng.uniform(0, 2.0))
        kill = kill_at(soak, moment)
        check_kept(soak, seen)
        if kill is not None:
            kills.append(kill)
            console.print(row_of(len(kills), kill), style="dim")
    process = soak.start("killed")
    process.wait()
    check_exit(soak, process)
    check_kept(soak, seen)
    return kills


def check_exit(soak: Soak, process: subprocess.Popen[bytes]) -> None:
    if process.returncode != 0:
        soak.problem(f"a grading ended by itself with {process.returncode}: see {soak.folder / 'killed.log'}")


def check_kept(soak: Soak, seen: dict[Path, tuple[int, int]]) -> None:
    """What is graded is right, whole, and has not been graded again. `seen` gets the files that are there by now."""
    for student in soak.kinds:
        folder = soak.out("killed") / student
        if not (folder / "graded.json").exists():
            if folder / "graded.json" in seen:
                soak.problem(f"{student} was graded, and is no more")
            continue
        for path in (folder / "graded.json", folder / ASSIGNMENT / "result.json"):
            written = (path.stat().st_ino, path.stat().st_mtime_ns)
            if seen.get(path, written) != written:
                soak.problem(f"{path.relative_to(soak.folder)} was written again")
            seen[path] = written
        expected = soak.out("undisturbed") / student / ASSIGNMENT / "result.json"
        if (folder / ASSIGNMENT / "result.json").read_bytes() != expected.read_bytes():
            soak.problem(f"{student}'s result.json differs after a kill")


# --- at the end ------------------------------------------------------------------------------------------------------


def check_clean(soak: Soak, name: str) -> None:
    """No process is left, and nothing in the temporary folder."""
    deadline = time.monotonic() + PATIENCE
    try:
        wait_until_gone(PATIENCE)
    except TimeoutError as error:
        soak.problem(f"{name}: processes are {error}")
    while (left := sorted(path.name for path in soak.temporary(name).iterdir())) and time.monotonic() < deadline:
        time.sleep(0.05)
    if left:
        soak.problem(f"{name}: {len(left)} entries are left in the temporary folder, such as {left[0]}")


def files_of(folder: Path) -> dict[str, bytes]:
    """Everything by its name; files that differ from run to run by their name alone."""
    return {
        str(path.relative_to(folder)): b"" if path.name in CHANGING else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def check_equal(soak: Soak) -> int:
    """How many files are the same."""
    expected, found = files_of(soak.out("undisturbed")), files_of(soak.out("killed"))
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            soak.problem(f"{name} is missing in the grading that was killed")
        elif name not in expected:
            soak.problem(f"{name} is in the grading that was killed alone")
        elif expected[name] != found[name]:
            soak.problem(f"{name} differs")
    return len(expected)


# --- what is shown ---------------------------------------------------------------------------------------------------


def row_of(number: int, kill: Kill) -> str:
    whom = "group" if kill.moment.group else "process"
    gone = "started again at once" if kill.gone_after is None else f"all gone after {kill.gone_after:.2f} s"
    return f"kill {number:2}  {kill.moment.phase:8} {kill.seconds:6.1f} s  {kill.graded:3} graded  {whom:8} {gone}"


def trends_table(trends: dict[str, Trend]) -> Table:
    table = Table(title="undisturbed: first quarter → last quarter, medians of a process")
    for column in ("", "memory, MB", "growth", "peak", "descriptors", ""):
        table.add_column(column, justify="right" if column else "left")
    words = {True: "flat", False: "[red]not flat[/red]", None: "too short to say"}
    for role, trend in trends.items():
        megabytes = [f"{value / 2**20:.1f}" for value in trend.memory]
        table.add_row(
            role,
            " → ".join(megabytes),
            f"{trend.growth:+.1%}",
            f"{trend.peak / 2**20:.1f}",
            " → ".join(f"{value:g}" for value in trend.descriptors),
            words[trend.flat],
        )
    return table


def summary_table(soak: Soak, undisturbed: Undisturbed, kills: list[Kill], seconds: float, same: int) -> Table:
    table = Table(title=f"a class of {len(soak.kinds)}, seed {soak.seed}", show_header=False)
    phases = Counter(kill.moment.phase for kill in kills)
    waits = [kill.gone_after for kill in kills if kill.gone_after is not None]
    for name, value in (
        ("submissions", ", ".join(f"{count} {kind}" for kind, count in Counter(soak.kinds.values()).most_common())),
        ("undisturbed", f"{undisturbed.seconds:.0f} s"),
        ("killed", f"{len(kills)} times, {seconds:.0f} s in all"),
        ("moments", ", ".join(f"{count} in {phase}" for phase, count in phases.items())),
        ("processes gone after a kill", f"{max(waits, default=0):.2f} s at most"),
        ("files compared", str(same)),
        ("found wrong", str(len(soak.problems))),
    ):
        table.add_row(name, value)
    return table


def run(soak: Soak, n_kills: int) -> None:
    rng = random.Random(f"{soak.seed} moments")
    undisturbed = grade_undisturbed(soak)
    check_scores(soak)
    console.print(trends_table(undisturbed.trends))
    for role, trend in undisturbed.trends.items():
        if trend.flat is False:
            soak.problem(f"the {role}'s memory or descriptors grow")
    started = time.monotonic()
    kills = grade_killed(soak, draw_moments(len(soak.kinds), n_kills, undisturbed, rng), rng)
    seconds = time.monotonic() - started
    check_clean(soak, "killed")
    console.print(summary_table(soak, undisturbed, kills, seconds, check_equal(soak)))


def grader_files() -> dict[Path, int]:
    """When each of the grader's files was changed: a changed grader does not keep what another one graded."""
    return {path: path.stat().st_mtime_ns for path in Path(autograder.__file__).parent.rglob("*.py")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--students", type=int, default=300)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1, help="of the class, of the moments, and of the grading")
    parser.add_argument("--isolation", choices=["auto", "bwrap", "landlock"], default="auto")
    given = parser.parse_args()
    if given.students < 2 or given.kills < 1:
        parser.error("--students must be at least 2, --kills at least 1")
    adopt_orphans()
    before = grader_files()
    folder = Path(tempfile.mkdtemp(prefix="minigpt-soak-"))
    folder.chmod(0o711)
    write_course(folder / "course")
    kinds = write_class(folder / "submissions", given.students, given.seed)
    soak = Soak(folder, kinds, given.seed, given.isolation)
    run(soak, given.kills)
    if grader_files() != before:
        sys.exit("files of the grader were changed while it ran, so students were graded anew: start again")
    if soak.problems:
        console.print(f"{len(soak.problems)} wrong; see {folder}")
        sys.exit(1)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
