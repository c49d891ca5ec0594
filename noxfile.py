"""The project's sessions. `nox -s demo` shows what it does, `nox -s tests` proves it; `nox -l` lists the rest.

Each session makes an environment of its own below `.nox/`, with the exact versions of `constraints.txt`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import nox

nox.options.sessions = ["tests", "lint", "types"]
nox.options.reuse_existing_virtualenvs = True

DEMO = Path("demo-report")


def install(session: nox.Session, extras: str) -> None:
    """Installs the project with some of its extras, at the pinned versions."""
    session.install("--quiet", "-e", f".[{extras}]", "-c", "constraints.txt")


@nox.session
def demo(session: nox.Session) -> None:
    """Grade a class of five, train their MiniGPTs, and leave the reports in demo-report/."""
    install(session, "instructor")
    shutil.rmtree(DEMO, ignore_errors=True)
    session.run("python", "solutions/demo/make_class.py", str(DEMO / "submissions"))
    session.run(
        "minigpt", "grade", str(DEMO / "submissions"), "--out", str(DEMO), "--jobs", "2", "--seed", "1234",
        *session.posargs,
    )  # fmt: skip


@nox.session
def tests(session: nox.Session) -> None:
    """Run the project's own tests."""
    install(session, "instructor,cluster,dev")
    session.run("pytest", *(session.posargs or ["--numprocesses", "2", "--dist", "loadscope", "tests"]))


@nox.session
def variants(session: nox.Session) -> None:
    """Grade references, alternatives and known mistakes, and see whether each gets what it deserves."""
    install(session, "instructor")
    session.run("python", "solutions/tools/check_variants.py", *session.posargs)


@nox.session
def mutation(session: nox.Session) -> None:
    """Change the references in small ways, and see whether the tests notice: about a quarter of an hour."""
    install(session, "instructor,cluster,dev")
    session.run("python", "solutions/tools/mutation.py", *session.posargs)


@nox.session
def diagnoses(session: nox.Session) -> None:
    """See whether each known mistake is told by its name, under the grader and in a student's repository."""
    install(session, "instructor")
    session.run("python", "solutions/tools/write_diagnoses.py", "--check")
    session.run("python", "solutions/tools/check_diagnoses.py", *session.posargs)


@nox.session
def shapes(session: nox.Session) -> None:
    """See that no right answer is told of a wrong shape: some minutes."""
    install(session, "instructor")
    session.run("python", "solutions/tools/check_shapes.py", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting with ruff."""
    session.install("--quiet", "ruff", "-c", "constraints.txt")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly, with mypy."""
    install(session, "instructor,cluster,dev")
    session.run("mypy")


@nox.session
def release(session: nox.Session) -> None:
    """Build the students' repository in dist/student, checked for leaks."""
    install(session, "instructor")
    target = Path(session.posargs[0] if session.posargs else "dist/student")
    if target == Path("dist/student"):
        shutil.rmtree(target, ignore_errors=True)
    session.run("minigpt", "release", "--target", "student", "--to", str(target))


@nox.session
def bench(session: nox.Session) -> None:
    """Time training, writing, byte pairs, grading and `check --watch`, beside other ways: half an hour."""
    install(session, "instructor,cluster,dev")
    for command in (
        "training",
        "generation",
        "byte_pairs --gpt2 --recounting",
        "grading",
        "throughput",
        "nbgrader_execution",
        "visible_suites",
        "watch",
    ):
        name, *options = command.split()
        session.run("python", f"benchmarks/{name}.py", *options)


@nox.session
def screenshots(session: nox.Session) -> None:
    """Take the pictures in docs/images again, in Debian's Chromium; those of reports are of what `demo` left."""
    install(session, "instructor,dev")
    session.run("pytest", "tests/test_browser.py", env={"MINIGPT_SCREENSHOTS": "1"})
    session.run("pytest", "tests/test_pages.py", "-k", "pictures", env={"MINIGPT_SCREENSHOTS": "1"})


@nox.session
def soak(session: nox.Session) -> None:
    """Grade a class of 300 that is hostile in part, killed twenty times: about five minutes."""
    install(session, "instructor,dev")
    session.run("python", "benchmarks/soak.py", *session.posargs)
