"""Hostile and broken submissions: each gets what its honest part earns, learns nothing, disturbs nobody, leaves nothing.

The attacks are in `tests/attacks/`: modules in `submissions/`, and odd files, archives and names in `folders.py`. All of
them are graded as one class under each tier, beside honest students, in a process that has secrets in every place that
an attack could look at.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from attacks import folders
from attacks.expectation import ALL, Attack, Expectation
from attacks.table import DOCS, all_attacks, replace_section

from autograder.jail.isolation import TIERS, Tier, missing_for

HERE = Path(__file__).parent / "attacks"
REPOSITORY = HERE.parents[1]
ASSIGNMENT, MODULE = "77_target", "target.py"
HONEST = ("0_honest", "m_honest", "zz_honest")
PLACES = ("solution", "tests", "input", "expected", "submission", "environment", "argument", "tmp", "home")
UNSEEN_IN_JSON = {chr(number) for number in (*range(9), 11, 12, *range(14, 32))}
UNSEEN = UNSEEN_IN_JSON | {chr(number) for number in (*range(127, 160), 0x202E, 0x2066)}
MOST_MEMORY = 10**9
ATTACKS = all_attacks()
JAILS: tuple[Tier, ...] = tuple(tier for tier in TIERS if tier != "none" and missing_for(tier) is None)


@dataclass(frozen=True)
class Ground:
    """Where it all happens: a folder below /tmp that anybody may enter, so that only a jail can keep anybody out."""

    root: Path
    token: str
    port: int
    bystander: subprocess.Popen[bytes]

    def secret(self, place: str) -> str:
        return f"secret-{place}-{self.token}"

    @property
    def left(self) -> str:
        """What attacks call that which they leave."""
        return f"left-{self.token}"

    def out(self, name: str) -> Path:
        return self.root / name

    def tmp(self, name: str) -> Path:
        """Where one grading has its temporary files."""
        return self.root / f"tmp-{name}"

    def students_of(self, attack: Attack) -> list[str]:
        """Who hands it in. What is left for the next is handed in often enough that two meet in one jail."""
        student = folders.STUDENTS.get(attack.name, f"s_{attack.name}")
        return [student, *(f"{student}-{number}" for number in (2, 3) if attack.name.startswith("leave_"))]

    def result(self, out: str, student: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.out(out) / student / ASSIGNMENT / "result.json").read_text())
        return found

    def fill(self, text: str) -> str:
        """Puts the facts in: an attacker is assumed to know every path, process and port."""
        facts = {
            "course": self.root / "course",
            "submissions": self.root / "class",
            "out": self.root,
            "home": self.root / "home",
            "loose": self.loose,
            "grader": os.getpid(),
            "bystander": self.bystander.pid,
            "left": self.left,
            "port": self.port,
        }
        for name, value in facts.items():
            text = text.replace(f"@{name}@", str(value))
        return text

    @property
    def loose(self) -> Path:
        """A file that somebody left in /tmp."""
        return Path(tempfile.gettempdir()) / f"minigpt-loose-{self.token}.txt"


@pytest.fixture(scope="session")
def ground() -> Iterator[Ground]:
    root = Path(tempfile.mkdtemp(prefix="minigpt-attacks-"))
    root.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as server:
        bystander = subprocess.Popen(["sleep", "infinity"])
        made = Ground(root, secrets.token_hex(4), server.getsockname()[1], bystander)
        _make_course(made)
        _make_secret_files(made)
        _make_class(made, "class", ATTACKS)
        _make_class(made, "alone", [])
        yield made
    bystander.kill()
    bystander.wait()
    made.loose.unlink()
    shutil.rmtree(root, ignore_errors=True)


def _make_course(ground: Ground) -> None:
    places = {
        "assignment.toml": "assignments/77_target/assignment.toml",
        "visible.py": "assignments/77_target/test_target.py",
        "hidden.py": "solutions/77_target/test_target_hidden.py",
        "reference.py": "solutions/77_target/target.py",
    }
    for name, place in places.items():
        text = (HERE / "course" / name).read_text()
        for kind in PLACES:
            text = text.replace(f"@secret:{kind}@", ground.secret(kind))
        target = ground.root / "course" / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


def _make_secret_files(ground: Ground) -> None:
    (ground.root / "home").mkdir()
    (ground.root / "home/diary.txt").write_text(ground.secret("home"))
    ground.loose.write_text(ground.secret("tmp"))


def _make_class(ground: Ground, name: str, attacks: list[Attack]) -> None:
    honest = (HERE / "honest.py").read_text()
    for student in (*HONEST, "victim"):
        secret = f"\n# {ground.secret('submission')}\n" if student == "victim" else ""
        _hand_in(ground, name, student, honest + secret)
    tools = (HERE / "toolbox.py").read_text()
    for attack in attacks:
        for student in ground.students_of(attack):
            if attack.name in folders.ATTACKS:
                folders.ATTACKS[attack.name](ground.root / name / student, honest)
            else:
                own = (HERE / "submissions" / f"{attack.name}.py").read_text()
                _hand_in(ground, name, student, ground.fill("\n\n".join([honest, tools, own])))


def _hand_in(ground: Ground, name: str, student: str, source: str) -> None:
    target = ground.root / name / student / ASSIGNMENT / MODULE
    target.parent.mkdir(parents=True)
    target.write_text(source)


def _grade(ground: Ground, submissions: str, out: str, tier: str, jobs: int) -> subprocess.CompletedProcess[str]:
    """Grades in a process with a secret in its environment and among its arguments, and a /tmp of its own."""
    ground.tmp(out).mkdir()
    ground.tmp(out).chmod(0o711)
    environment = {
        **os.environ,
        "HOME": str(ground.root / "home"),
        "TMPDIR": str(ground.tmp(out)),
        "SECRET": ground.secret("environment"),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, str(HERE / "run.py"), str(ground.root / "course"), str(ground.root / submissions)]
    command += [str(ground.out(out)), tier, str(jobs), ground.secret("argument")]
    return subprocess.run(command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, errors="replace")


@dataclass(frozen=True)
class Graded:
    """A class of attacks, graded under one tier; the honest students were graded alone before and after it."""

    ground: Ground
    tier: str
    output: str
    told: dict[str, Any]
    before: str
    beside: str
    after: str

    def written(self) -> list[Path]:
        """All that people get to read of it."""
        outs = [self.ground.out(out) for out in (self.before, self.beside, self.after)]
        return [path for out in outs for path in sorted(out.rglob("*")) if path.is_file()]


@pytest.fixture(scope="session")
def gradings(ground: Ground) -> dict[str, str]:
    """Grades the honest alone, then the whole class, then the honest again, under each tier; gives what was printed."""
    rounds = [("before", "alone", 1), ("class", "class", 2), ("after", "alone", 1)]
    printed = {}
    for name, submissions, jobs in rounds:
        with ThreadPoolExecutor(1 if jobs > 1 else len(JAILS)) as pool:
            done = {tier: pool.submit(_grade, ground, submissions, f"{name}-{tier}", tier, jobs) for tier in JAILS}
        for tier, future in done.items():
            assert future.result().returncode == 0, future.result().stderr
            printed[tier] = printed.get(tier, "") + future.result().stdout + future.result().stderr
    return printed


@pytest.fixture(scope="session", params=JAILS)
def graded(request: pytest.FixtureRequest, ground: Ground, gradings: dict[str, str]) -> Graded:
    tier = request.param
    told = json.loads(Path(f"{ground.out(f'class-{tier}')}.json").read_text())
    return Graded(ground, tier, gradings[tier], told, f"before-{tier}", f"class-{tier}", f"after-{tier}")


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_every_attack_gets_what_its_honest_part_earns(graded: Graded, attack: Attack) -> None:
    for student in graded.ground.students_of(attack):
        _check(graded, student, attack.expected(graded.tier))


def _check(graded: Graded, student: str, expected: Expectation) -> None:
    if expected.status == "refused":
        assert not (graded.ground.out(graded.beside) / student / ASSIGNMENT).exists()
        return
    result = graded.ground.result(graded.beside, student)
    assert "reached:" not in _feedback(graded, student)
    found = {test["id"].removeprefix("test_"): test["status"] for task in result["tasks"] for test in task["tests"]}
    assert result["status"] == expected.status, result.get("message")
    if expected.status == "missing":
        assert result["score"] == 0
        assert expected.told in result["message"]
        return
    wrong = {name: status for name, status in found.items() if status not in expected.tests[name]}
    assert not wrong, f"{found}\n{_feedback(graded, student)}"
    assert result["score"] == expected.score


def _feedback(graded: Graded, student: str) -> str:
    return (graded.ground.out(graded.beside) / student / ASSIGNMENT / "feedback.json").read_text()


@pytest.mark.parametrize("place", PLACES)
def test_no_secret_is_in_any_output(graded: Graded, place: str) -> None:
    secret = graded.ground.secret(place)
    assert secret not in graded.output
    for path in graded.written():
        assert secret.encode() not in path.read_bytes(), path


def test_the_same_attacks_find_secrets_where_there_is_no_jail(ground: Ground) -> None:
    """So the test above would notice. Only attacks that read, and do no harm, are let loose."""
    reading = ["read_solution", "read_submissions", "read_loose_files"]
    _make_class(ground, "open", [attack for attack in ATTACKS if attack.name in reading])
    done = _grade(ground, "open", "open-none", "none", 1)
    assert done.returncode == 0, done.stderr
    written = b"".join(path.read_bytes() for path in ground.out("open-none").rglob("feedback.json"))
    found = {place for place in PLACES if ground.secret(place).encode() in written}
    assert found == {"solution", "tests", "input", "expected", "submission", "tmp", "home"}
    assert {ground.result("open-none", f"s_{name}")["score"] for name in reading} == {120}


@pytest.mark.parametrize("student", HONEST)
def test_honest_students_are_not_disturbed(graded: Graded, student: str) -> None:
    path = f"{student}/{ASSIGNMENT}/result.json"
    before, beside, after = (graded.ground.out(out) / path for out in (graded.before, graded.beside, graded.after))
    assert json.loads(before.read_bytes())["score"] == ALL
    assert before.read_bytes() == beside.read_bytes() == after.read_bytes()


def test_nobody_is_lost(graded: Graded) -> None:
    """Everybody has a result, a page and an ordinary row in the table, or is among those who were refused."""
    taken = [attack for attack in ATTACKS if attack.expected(graded.tier).status != "refused"]
    students = {student for attack in taken for student in graded.ground.students_of(attack)} | {*HONEST, "victim"}
    assert len(graded.told["refused"]) == len(ATTACKS) - len(taken)
    out = graded.ground.out(graded.beside)
    with (out / "grades.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["student"].removeprefix("'") for row in rows} == students
    assert {row["status"] for row in rows} == {"graded", "missing"}
    assert all((out / student / "index.html").is_file() for student in students)


def test_what_students_write_does_nothing_to_who_reads_it(graded: Graded) -> None:
    """No markup, no formula, no terminal's control signs in any file, though attacks put them into messages."""
    told = "".join(path.read_text() for path in graded.written() if path.name == "feedback.json")
    assert f"<script>alert('{graded.ground.left}')</script>" in told
    assert "=HYPERLINK" in told
    for path in graded.written():
        text = path.read_text()
        assert not set(text) & (UNSEEN_IN_JSON if path.suffix == ".json" else UNSEEN), path
        if path.suffix == ".html":
            assert "<script" not in text, path
            assert "<img" not in text, path
    with (graded.ground.out(graded.beside) / "grades.csv").open(newline="") as file:
        assert not [
            cell for row in csv.reader(file) for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))
        ]


def test_nothing_is_left_on_the_machine(graded: Graded) -> None:
    """No process, no temporary file, and nothing anywhere that bears the name which attacks give to what they leave."""
    ground = graded.ground
    assert graded.told["left"] == []
    assert ground.bystander.poll() is None
    for out in (graded.before, graded.beside, graded.after):
        assert list(ground.tmp(out).iterdir()) == []
    packages = Path(sysconfig.get_paths()["purelib"])
    places = ["/tmp", "/var/tmp", "/dev", "/dev/shm", "/dev/mqueue", "/run", "/", ground.root / "home", Path.home()]
    for place in [*places, packages, Path(os.__file__).parent, REPOSITORY / "autograder", REPOSITORY]:
        assert not [path for path in Path(place).glob("*") if ground.left in path.name], place
    for name in ("shm", "sem", "msg"):
        keys = [line.split()[0] for line in Path(f"/proc/sysvipc/{name}").read_text().splitlines()[1:]]
        assert str(int(ground.token, 16) & 0x7FFFFFFF) not in keys
    for comm in Path("/proc").glob("[0-9]*/task/*/comm"):
        with contextlib.suppress(OSError):
            assert ground.left[:15] not in comm.read_text()
    for path in (
        ground.root / "course",
        Path(sys.executable),
        Path(sys.executable).resolve(),
        Path(os.__file__).parent,
    ):
        assert not [name for name in os.listxattr(path) if name.endswith(".left")]


def test_no_attack_fills_the_graders_memory(graded: Graded) -> None:
    """What comes back is bounded before it is unpacked: a grading process stays below what one message may hold."""
    assert 0 < graded.told["peak"] < MOST_MEMORY


def test_the_table_in_the_docs_is_up_to_date() -> None:
    page = DOCS.read_text(encoding="utf-8")
    assert page == replace_section(page), "run: python tests/attacks/table.py"
