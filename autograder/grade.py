"""Grades a class: reads what was handed in, has it graded, and writes the results as they come.

    records, refused = grade_class(Settings(course.root, submissions, out, ("04_attention",), seed=1, tier="bwrap"))

Started again with the same arguments it goes on where it was: see `finished.py`. Where the work is done, on how many
processes or machines, changes nothing in the results: see `spread.py`. What they have in common is looked for
afterwards, and is no part of a grade: see `alike.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from autograder.alike_pair import Alike, Pair
from autograder.finished import kept, key_of, write_student, writing
from autograder.grader import Graded, Settings, Work, close_here, grade_here, grader_error
from autograder.manifest import Assignment, Course, CourseError
from autograder.outcome import GraderFault
from autograder.result import Record
from autograder.roster import Class, find_class, read_roster
from autograder.spread import Start, on_cluster, on_this_machine, spread
from autograder.submissions import Submission, read_submission
from autograder.suite import Suite, collect

__all__ = ["Settings", "find_alike", "grade_class"]

OnRecord = Callable[[Record], object]
OnKept = Callable[[str], object]


def grade_class(
    settings: Settings,
    on_record: OnRecord | None = None,
    on_kept: OnKept | None = None,
    at_end: Callable[[list[Record]], None] | None = None,
) -> tuple[list[Record], list[str]]:
    """Grades everybody who is not graded yet. Gives all records in the students' order, and refused folders.

    With a roster that is the roster's order, and whoever has no folder is `missing`.

    on_record: called with each new record. on_kept: with the name of each student whose results were there already.
    at_end: with all records, while nobody else may write to `settings.out`; reports are made in it.
    """
    whole = find_class(settings.submissions, None if settings.roster is None else read_roster(settings.roster))
    course = Course(settings.course)
    suites = [collect(course.assignment(name), hidden=settings.hidden) for name in settings.assignments]
    _refuse_within(settings)
    found: dict[str, list[Record]] = {}
    keys: dict[str, str] = {}

    def not_yet_graded() -> Iterator[Work]:
        for student in whole.folders:
            work = read_work(settings.submissions, student, whole, suites)
            keys[student] = key_of(settings, suites, work)
            if (records := kept(settings.out, student, keys[student])) is None:
                yield work
                continue
            found[student] = records
            if on_kept is not None:
                on_kept(student)

    with writing(settings.out, settings.seed):
        for work, outcome in spread(partial(grade_here, settings), not_yet_graded(), _start(settings)):
            graded = checked(outcome, settings, suites, work)
            found[work.student] = write_student(settings.out, work.student, keys[work.student], graded)
            for record in found[work.student]:
                if on_record is not None:
                    on_record(record)
        records = [record for student in whole.folders for record in found[student]]
        if at_end is not None:
            at_end(records)
    return records, whole.refused


def _refuse_within(settings: Settings) -> None:
    """Results among the submissions would be graded as a student's the next time."""
    out, submissions = settings.out.resolve(), settings.submissions.resolve()
    if out == submissions or submissions in out.parents:
        raise CourseError(f"--out {settings.out} is inside of {settings.submissions}: name a folder outside of it")


def find_alike(settings: Settings, records: Sequence[Record]) -> Alike:
    """Submissions that are suspiciously alike. Never fails: what goes wrong is one of the `notices`."""
    course, pairs, notices = Course(settings.course), {}, []
    for name in settings.assignments:
        try:
            pairs[name], told = _alike_in(settings, course.assignment(name), records)
            notices += told
        except Exception as error:
            notices.append(f"{name}: submissions were not compared: {type(error).__name__}: {error}")
    return Alike(pairs, tuple(notices))


def _alike_in(
    settings: Settings, assignment: Assignment, records: Sequence[Record]
) -> tuple[tuple[Pair, ...], list[str]]:
    """Of what was graded, as long as it is still there as it was."""
    from autograder.alike import alike_pairs, known_texts  # copydetect loads slowly: a worker that grades needs none

    graded = {
        record.result.student: record.result.source_sha256
        for record in records
        if record.result.assignment == assignment.name and record.result.status == "graded"
    }
    whole = find_class(settings.submissions, None if settings.roster is None else read_roster(settings.roster))
    sources, notices = {}, []
    for student, sha256 in graded.items():
        submission = read_submission(settings.submissions, student, assignment, whole.folders.get(student))
        if submission.files and submission.source_sha256 == sha256:
            sources[student] = submission.files[assignment.manifest.module]
        else:
            notices.append(f"{assignment.name}: {student} is not compared: the file has changed since it was graded")
    pairs, left_out = alike_pairs(sources, known_texts(assignment))
    notices += [f"{assignment.name}: {student} is not compared: {reason}" for student, reason in left_out.items()]
    return tuple(pairs), notices


def read_work(root: Path, student: str, whole: Class, suites: list[Suite]) -> Work:
    """What lies in the student's folder, whatever it is called; nothing where there is none."""
    names = [suite.assignment.name for suite in suites]
    if (folder := whole.folders[student]) is None:
        absent = whole.absent[student]
        return Work(student, tuple(Submission(student, name, None, problem=absent) for name in names))
    return Work(student, tuple(read_submission(root, student, suite.assignment, folder) for suite in suites))


def checked(outcome: list[Graded] | BaseException, settings: Settings, suites: list[Suite], work: Work) -> list[Graded]:
    """What a process answered, if it graded with these very tests; else a `grader_error` for each submission."""
    if isinstance(outcome, BaseException):
        return [grader_error(settings, suite, work.student, outcome) for suite in suites]
    if [each.record.result.suite_sha256 for each in outcome] != [suite.sha256 for suite in suites]:
        fault = GraderFault("a worker has other tests, or another version of the grader, than this machine")
        return [grader_error(settings, suite, work.student, fault) for suite in suites]
    return outcome


def _start(settings: Settings) -> Start:
    if settings.cluster is not None:
        return partial(on_cluster, settings.cluster, close_here)
    return partial(on_this_machine, settings.jobs)
