"""Which tests there are, and what becomes of each: a test that does not report an ordinary pass has not passed."""

from __future__ import annotations

from pathlib import Path

import pytest

from autograder.in_process import InProcess
from autograder.jail.client import Jail
from autograder.manifest import Course, CourseError
from autograder.outcome import GraderFault, Status
from autograder.suite import Outcome, collect, run

HEADER = '''"""Tests."""
import pytest
from autograder.testing import close, hint, points, require, task
'''


def in_process(course: Course, source: str, *, seed: int = 1) -> dict[str, Outcome]:
    assignment = course.assignment("99_numbers")
    path = course.root / "numbers_.py"
    path.write_text(source)
    return run(collect(assignment, hidden=True), InProcess(assignment.manifest, path), seed)


def in_jail(course: Course, jail: Jail, source: str, *, seed: int = 1) -> dict[str, Outcome]:
    assignment = course.assignment("99_numbers")
    submission = jail.submission(assignment.manifest, {"numbers_.py": source.encode()})
    outcomes = run(collect(assignment, hidden=True), submission, seed)
    submission.discard()
    return outcomes


def statuses(outcomes: dict[str, Outcome]) -> dict[str, Status]:
    return {name: outcome.status for name, outcome in outcomes.items()}


def reference(course: Course) -> str:
    return course.assignment("99_numbers").reference.read_text()


def write_tests(course: Course, body: str) -> None:
    course.assignment("99_numbers").hidden_tests.write_text(HEADER + body)


def test_a_suite_is_what_the_files_collect(small_course: Course) -> None:
    suite = collect(small_course.assignment("99_numbers"), hidden=True)
    assert [(case.id, case.task, case.points, case.visibility) for case in suite.cases] == [
        ("test_doubles", "double", 2, "visible"),
        ("test_counts", "counter", 1, "visible"),
        ("test_doubles_nothing", "double", 3, "hidden"),
        ("test_refuses_text", "double", 1, "hidden"),
        ("test_count_is_an_attribute", "counter", 3, "hidden"),
    ]
    assert suite.max_score == 10
    assert suite.cases[2].title == "Zeros stay zeros."


def test_the_digest_changes_with_every_file_of_the_suite(small_course: Course) -> None:
    assignment = small_course.assignment("99_numbers")
    digests = {collect(assignment, hidden=True).sha256, collect(assignment, hidden=True).sha256}
    for path in (assignment.folder / "assignment.toml", assignment.visible_tests, assignment.hidden_tests):
        path.write_text(path.read_text() + "\n# changed\n")
        digests.add(collect(assignment, hidden=True).sha256)
    assert len(digests) == 4


def test_the_reference_passes_in_process_and_across_the_boundary(small_course: Course, jail: Jail) -> None:
    source = reference(small_course)
    assert set(statuses(in_process(small_course, source)).values()) == {"passed"}
    assert set(statuses(in_jail(small_course, jail, source)).values()) == {"passed"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("return x + x", "return x * 3"), {"test_doubles": "failed", "test_refuses_text": "failed"}),
        (("return x + x", "return torch.mul(x, 2)"), dict.fromkeys(["test_doubles", "test_doubles_nothing", "test_refuses_text"], "forbidden")),
        (("    return x + x", "    raise NotImplementedError"), dict.fromkeys(["test_doubles", "test_doubles_nothing", "test_refuses_text"], "not_attempted")),
        (("import torch", "import torch\nimport autograder.minigpt.library"), dict.fromkeys(["test_doubles", "test_doubles_nothing", "test_refuses_text", "test_counts", "test_count_is_an_attribute"], "forbidden")),
        (("import torch", "import torch, nothing_of_the_kind"), dict.fromkeys(["test_doubles", "test_doubles_nothing", "test_refuses_text", "test_counts", "test_count_is_an_attribute"], "forbidden")),
        (("def double", "def triple"), dict.fromkeys(["test_doubles", "test_doubles_nothing", "test_refuses_text"], "failed")),
        (("class Counter:", "Counter = 3\nclass Count:"), dict.fromkeys(["test_counts", "test_count_is_an_attribute"], "failed")),
        (("self.count += int(number)", "self.count = int(number)"), {"test_counts": "failed"}),
    ],
)  # fmt: skip
def test_both_sides_of_the_boundary_agree(
    small_course: Course, jail: Jail, change: tuple[str, str], expected: dict[str, Status]
) -> None:
    source = reference(small_course)
    assert change[0] in source
    source = source.replace(*change)
    everything = dict.fromkeys(statuses(in_process(small_course, reference(small_course))), "passed")
    assert statuses(in_process(small_course, source)) == {**everything, **expected}
    assert statuses(in_jail(small_course, jail, source)) == {**everything, **expected}


def test_a_module_that_always_raises_earns_nothing_for_raising(small_course: Course, jail: Jail) -> None:
    source = "def double(x):\n    raise TypeError('no')\n"
    assert statuses(in_jail(small_course, jail, source))["test_refuses_text"] == "failed"


def test_the_line_of_an_exception_is_told_on_both_sides(small_course: Course, jail: Jail) -> None:
    source = reference(small_course).replace("return x + x", "return x + y")
    line = 1 + source[: source.index("x + y")].count("\n")
    told = f"NameError: name 'y' is not defined (line {line} of your file)"
    assert in_process(small_course, source)["test_doubles"].message == told
    assert in_jail(small_course, jail, source)["test_doubles"].message == told


def test_a_hint_is_the_lines_own_or_the_tests(small_course: Course) -> None:
    outcomes = in_process(small_course, reference(small_course).replace("return x + x", "return x + 1"))
    assert outcomes["test_doubles"].hint == "Add x to itself."
    assert outcomes["test_doubles_nothing"].hint == "What is twice nothing?"
    assert outcomes["test_counts"].hint is None


@pytest.mark.parametrize(
    "body",
    [
        "    pytest.skip('not today')",
        "    pytest.xfail('known')",
        "    import sys; sys.exit(0)",
        "    pytest.importorskip('nothing_of_the_kind')",
        "    raise AssertionError",
        "    assert student.double is None",
    ],
)
def test_whatever_is_no_pass_is_worth_nothing(small_course: Course, body: str) -> None:
    write_tests(small_course, f'\n@task("double")\n@points(5)\ndef test_it(student):\n    """It."""\n{body}\n')
    assert statuses(in_process(small_course, reference(small_course)))["test_it"] == "failed"


@pytest.mark.parametrize("mark", ["@pytest.mark.skip", "@pytest.mark.xfail", "@pytest.mark.skipif(True, reason='x')"])
def test_marks_that_excuse_a_test_do_not_give_its_points(small_course: Course, mark: str) -> None:
    write_tests(
        small_course, f'\n{mark}\n@task("double")\n@points(5)\ndef test_it(student):\n    """It."""\n    assert False\n'
    )
    assert statuses(in_process(small_course, reference(small_course)))["test_it"] == "failed"
    write_tests(
        small_course, '\n@pytest.mark.xfail\n@task("double")\n@points(5)\ndef test_it(student):\n    """It."""\n'
    )
    assert statuses(in_process(small_course, reference(small_course)))["test_it"] == "failed"


def test_each_value_of_a_parameter_is_a_test_of_its_own(small_course: Course, jail: Jail) -> None:
    write_tests(
        small_course,
        '\n@task("counter")\n@points(2)\n@pytest.mark.parametrize("number", [1, 2])\n'
        'def test_it(student, rng, number):\n    """It."""\n    require(student.Counter().add(number) == 1, "no")\n',
    )
    outcomes = statuses(in_jail(small_course, jail, reference(small_course)))
    assert (outcomes["test_it[1]"], outcomes["test_it[2]"]) == ("passed", "failed")


def test_what_a_test_prints_goes_nowhere(small_course: Course, capfd: pytest.CaptureFixture[str]) -> None:
    write_tests(
        small_course, '\n@task("double")\n@points(5)\ndef test_it(student):\n    """It."""\n    print("loud")\n'
    )
    assert statuses(in_process(small_course, reference(small_course)))["test_it"] == "passed"
    assert "loud" not in "".join(capfd.readouterr())


def test_settings_that_lie_about_change_nothing(
    small_course: Course, jail: Jail, monkeypatch: pytest.MonkeyPatch
) -> None:
    assignment = small_course.assignment("99_numbers")
    for folder in (assignment.folder, assignment.solution_folder, small_course.root):
        (folder / "conftest.py").write_text(
            "import pytest\n@pytest.fixture\ndef rng(): return None\ndef pytest_collection_modifyitems(items): items[:] = []\n"
        )
        (folder / "pytest.ini").write_text("[pytest]\naddopts = --collect-only\n")
    monkeypatch.setenv("PYTEST_ADDOPTS", "--collect-only")
    outcomes = in_jail(small_course, jail, "def double(x): return x + x\n")
    assert len(outcomes) == 5
    assert statuses(outcomes)["test_doubles_nothing"] == "passed"
    assert statuses(outcomes)["test_counts"] == "failed"


def test_inputs_follow_from_the_seed_and_the_tests_name(small_course: Course) -> None:
    write_tests(
        small_course,
        '\n@task("double")\n@points(5)\ndef test_it(student, rng):\n    """It."""\n    require(False, str(rng.integer(0, 10**9)))\n',
    )
    drawn = [in_process(small_course, reference(small_course), seed=seed)["test_it"].message for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("\ndef test_it(student):\n    pass\n", "without @task and @points"),
        ('\n@task("nothing")\n@points(1)\ndef test_it(student):\n    pass\n', "task 'nothing'"),
        ('\n@task("double")\n@points(1)\ndef test_doubles(student):\n    pass\n', "two tests are called"),
        ("\ndef (", "SyntaxError"),
        ('\n@task("double")\n@points(1)\ndef test_it(student, tmp_path):\n    pass\n', "test_it asks for tmp_path"),
        ('\n@task("double")\n@points(1)\ndef test_it(request):\n    pass\n', "test_it asks for request"),
        (
            "\n@pytest.fixture(autouse=True)\ndef own(): pass\n"
            + '@task("double")\n@points(1)\ndef test_it(student):\n    pass\n',
            "test_it asks for own",
        ),
        (
            '\nclass TestIt:\n    @task("double")\n    @points(1)\n    def test_it(self, student):\n        pass\n',
            "test_it is no function",
        ),
        ("\nimport nothing_of_the_kind\n", "nothing_of_the_kind"),
        ('\n@task("double")\n@points(0)\ndef test_it(student):\n    pass\n', "at least 1"),
        ('\n@task("double")\ndef test_it(student):\n    pass\n', "needs both"),
    ],
)
def test_a_fault_in_the_tests_is_the_graders_and_is_told(small_course: Course, body: str, told: str) -> None:
    write_tests(small_course, body)
    with pytest.raises((GraderFault, CourseError), match=told):
        collect(small_course.assignment("99_numbers"), hidden=True)


def test_hidden_tests_that_are_not_there_are_missed_by_name(small_course: Course) -> None:
    small_course.assignment("99_numbers").hidden_tests.unlink()
    with pytest.raises(CourseError, match=r"test_numbers__hidden\.py is missing"):
        collect(small_course.assignment("99_numbers"), hidden=True)


def test_a_fault_of_the_grader_is_nobodys_zero(small_course: Course) -> None:
    class Broken:
        own_file = None

        def begin(self, case: object, torch_seed: int) -> object:
            raise GraderFault("the jail is gone")

        def end(self) -> None:
            return None

    with pytest.raises(GraderFault, match="the jail is gone"):
        run(collect(small_course.assignment("99_numbers"), hidden=True), Broken(), 1)


def test_plain_pytest_works_for_a_student(small_course: Course, pytester: pytest.Pytester) -> None:
    assignment = small_course.assignment("99_numbers")
    assignment.stub.write_text(reference(small_course).replace("return x + x", "return x + 1"))
    result = pytester.runpytest_subprocess(str(assignment.folder), "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["*hint*", "Add x to itself.", "*points of these tests*", "double*0 of 2", "counter*1 of 1"]
    )


def test_hidden_tests_can_be_run_on_the_reference_beside_them(small_course: Course, pytester: pytest.Pytester) -> None:
    folder = small_course.assignment("99_numbers").solution_folder
    result = pytester.runpytest_subprocess(str(folder), "-p", "no:cacheprovider")
    result.assert_outcomes(passed=3)


def test_the_module_under_test_may_be_named(small_course: Course, pytester: pytest.Pytester, tmp_path: Path) -> None:
    other = tmp_path / "other.py"
    other.write_text(reference(small_course).replace("return x + x", "return x"))
    folder = small_course.assignment("99_numbers").solution_folder
    result = pytester.runpytest_subprocess(str(folder), "-p", "no:cacheprovider", "--minigpt-module", str(other))
    result.assert_outcomes(passed=2, failed=1)
