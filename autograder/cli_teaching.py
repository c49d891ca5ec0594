"""The commands of `minigpt` for instructors, and for the services that grade on their behalf."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from autograder.cli_common import CourseOption, IsolationOption, Wrong, app, console
from autograder.manifest import Course

if TYPE_CHECKING:
    from autograder.result import Record


@app.command()
def grade(
    submissions: Annotated[Path, typer.Argument(help="A folder with a folder for each student.")],
    out: Annotated[Path, typer.Option(help="Where results and reports go.")],
    assignment: Annotated[list[str] | None, typer.Option(help="Grade this one only; may be repeated.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="How many submissions at a time.")] = 1,
    isolation: IsolationOption = "auto",
    force: Annotated[bool, typer.Option("--force", help="Run hidden tests with --isolation none too.")] = False,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of the drawn inputs; without it the one of --out, or a new one.")
    ] = None,
    roster: Annotated[
        Path | None, typer.Option(help="A CSV file that says whose a folder is, such as classroom_roster.csv.")
    ] = None,
    cluster: Annotated[str | None, typer.Option(help="A Dask scheduler, such as tcp://HOST:8786.")] = None,
    train_steps: Annotated[
        int | None, typer.Option(min=0, help="Training steps of each MiniGPT; 0 for no training.")
    ] = None,
    course: CourseOption = None,
) -> None:
    """Grade a class: every student's submissions, each in a jail, with a report for everybody.

    Stopped half-way, by whatever it was, and started again with the same arguments, it goes on where it was.
    """
    from autograder.class_report import write_class_reports, write_reports
    from autograder.finished import seed_for
    from autograder.grade import Settings, find_alike, grade_class
    from autograder.jail.isolation import NoIsolation, choose
    from autograder.terminal import ClassTable

    found = Course.find(course)
    try:
        tier = choose(isolation)
    except NoIsolation as error:
        raise Wrong(f"{error}\nRun `minigpt doctor` for the whole picture.") from error
    names = tuple(dict.fromkeys(found.assignment(name).name for name in assignment)) if assignment else None
    settings = Settings(
        course=found.root,
        submissions=submissions,
        out=out,
        assignments=names or tuple(each.name for each in found.assignments()),
        seed=seed_for(out, seed),
        tier=tier,
        jobs=jobs,
        hidden=tier != "none" or force,
        train_steps=train_steps,
        cluster=cluster,
        roster=roster,
    )
    notices: list[str] = []

    def write(records: list[Record]) -> None:
        write_reports(out, records)
        alike = find_alike(settings, records)
        write_class_reports(out, records, alike)
        notices.extend(alike.notices)

    with ClassTable(console, settings) as table:
        records, refused = grade_class(settings, on_record=table.add, on_kept=table.keep, at_end=write)
    table.summarize(records, refused)
    for notice in notices:
        console.print(notice, markup=False, soft_wrap=True)
    raise typer.Exit(1 if refused or any(record.result.status == "grader_error" for record in records) else 0)


@app.command()
def release(
    to: Annotated[Path, typer.Option(help="The new folder to write.")],
    target: Annotated[
        Literal["student", "nbgrader", "github", "gradescope"], typer.Option(help="For whom.")
    ] = "student",
    assignment: Annotated[list[str] | None, typer.Option(help="gradescope: this one only; may be repeated.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="nbgrader, gradescope: the seed of the drawn inputs.")] = None,
    db_url: Annotated[str | None, typer.Option(help="nbgrader: its database, if not SQLite.")] = None,
    course_id: Annotated[str | None, typer.Option(help="nbgrader: the course's name, minigpt without it.")] = None,
    course: CourseOption = None,
) -> None:
    """Build what is handed out, or what another grader needs. It is checked for leaks before it is there."""
    from autograder.targets import write_release

    options = {"assignment": assignment, "seed": seed, "db_url": db_url, "course_id": course_id}
    for line in write_release(Course.find(course), target, to, options):
        console.print(line, markup=False, soft_wrap=True)


@app.command()
def stubs(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Assignments; all without it.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Write them; without it, only say which are stale.")] = False,
    course: CourseOption = None,
) -> None:
    """Generate the stubs and lab notebooks in assignments/ from those in solutions/."""
    from autograder.stubs import stale_stubs, write_stubs

    found = Course.find(course)
    paths = write_stubs(found, names or ()) if write else stale_stubs(found, names or ())
    for path in paths:
        console.print(f"{'wrote' if write else 'stale:'} {path}", markup=False)
    raise typer.Exit(1 if paths and not write else 0)


@app.command("classroom")
def classroom_command(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Assignments; for exit-code also tasks.")
    ] = None,
    format: Annotated[
        Literal["github", "classroom50", "exit-code"], typer.Option(help="Who is to be told the points.")
    ] = "github",
    out: Annotated[Path | None, typer.Option(help="A file for the JSON.")] = None,
    isolation: IsolationOption = "auto",
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the drawn inputs; without it a new one.")] = None,
    repository: Annotated[Path | None, typer.Option(help="Where the modules are, if not in the course.")] = None,
    course: CourseOption = None,
) -> None:
    """Grade this repository's modules with the visible tests, for GitHub's tools."""
    from autograder import classroom

    code = classroom.classroom_command(
        Course.find(course), names or [], format=format, out=out, isolation=isolation, seed=seed, repository=repository
    )
    raise typer.Exit(code)


@app.command()
def gradescope(
    zip_file: Annotated[Path, typer.Argument(metavar="ZIP", help="One that `minigpt release` wrote.")],
    submission: Annotated[Path, typer.Argument(help="What a student uploads: a file or a folder.")],
    workdir: Annotated[Path | None, typer.Option(help="A new folder for /autograder, to look at afterwards.")] = None,
) -> None:
    """Try an autograder zip on a submission, as Gradescope would run it."""
    from autograder.gradescope_harness import harness_command

    raise typer.Exit(harness_command(zip_file, submission, workdir, console))


@app.command()
def export(
    graded: Annotated[Path, typer.Argument(help="The folder that `minigpt grade` wrote.")],
    to: Annotated[Path, typer.Option(help="The CSV file to write.")],
    form: Annotated[Literal["canvas", "moodle"], typer.Option(help="Who is to read it.")] = "canvas",
    roster: Annotated[
        Path | None, typer.Option(help="Canvas: its exported gradebook. Moodle: its participants or grades.")
    ] = None,
    match: Annotated[str | None, typer.Option(help="The roster's column that names students as you do.")] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="Such as '04_attention=Attention (1234)'; may be repeated.")
    ] = None,
    course: CourseOption = None,
) -> None:
    """Write grades in the form that Canvas or Moodle imports."""
    from autograder.lms import lms_command

    titles = {each.name: each.manifest.title for each in Course.find(course).assignments()}
    for notice in lms_command(graded, form, to, roster, match, column or [], titles):
        console.print(notice, markup=False, soft_wrap=True)
    console.print(f"wrote {to}", markup=False, soft_wrap=True)


@app.command()
def doctor() -> None:
    """Say what works on this machine, and what to install for the rest."""
    from autograder.doctor import examine

    for line in examine():
        console.print(line, markup=False, soft_wrap=True)
