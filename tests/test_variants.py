"""Variants: that a mistake or an alternative, put in the reference's place, is the module that its author meant."""

from pathlib import Path

import pytest
from synthetic_course import make_assignment

from autograder.manifest import Course, CourseError
from autograder.variants import alternative, mistake, read_alternatives, read_mistakes

REPOSITORY = Course(Path(__file__).parents[1])


def load(source):
    namespace = {"__name__": "variant"}
    exec(compile(source, "<variant>", "exec"), namespace)
    return namespace


def write_mistakes(assignment, text):
    (assignment.solution_folder / "mistakes.py").write_text("from autograder.variants import mistake\n" + text)


@pytest.fixture
def assignment(tmp_path):
    return make_assignment(tmp_path)


@pytest.fixture
def mistakes(assignment):
    return {each.name: each for each in read_mistakes(assignment)}


def test_names_tasks_and_what_they_say_in_the_files_order(assignment):
    found = [(each.name, each.task, each.says) for each in read_mistakes(assignment)]
    assert found == [
        ("begins_at_one", "total", "You begin to count at 1."),
        ("forgets_the_last", "total", "You forget the last number."),
        ("Scaler", "scaler", "You scale twice."),
        ("strict", "total", "Empty is an error."),
    ]
    assert [(each.name, each.says) for each in read_alternatives(assignment)] == [("total", "by recursion")]


def test_the_references_other_parts_find_the_replacement(mistakes):
    module = load(mistakes["begins_at_one"].source)
    assert module["total"]([1, 2]) == 4
    assert module["mean"]([1, 2]) == 2  # the reference's mean, with the wrong total
    assert "begins_at_one" not in module


def test_a_variant_has_the_parts_that_it_does_not_replace_from_the_reference(mistakes):
    module = load(mistakes["Scaler"].source)
    assert module["total"]([1, 2]) == 3
    assert module["mean"]([1, 2]) == 1.5


def test_a_class_may_derive_from_the_one_that_it_replaces(mistakes):
    assert load(mistakes["Scaler"].source)["Scaler"](3).apply([1]) == [9]


def test_a_call_of_its_own_name_goes_along_with_the_new_name(mistakes):
    module = load(mistakes["forgets_the_last"].source)
    assert [module["total"](numbers) for numbers in ([4, 5], [4])] == [4, 4]


def test_parts_of_one_name_make_one_variant_and_know_each_other(mistakes):
    module = load(mistakes["strict"].source)
    for name in ("total", "mean"):
        with pytest.raises(ValueError, match="nothing to add"):
            module[name]([])


def test_an_alternative_under_the_symbols_own_name_may_be_recursive(assignment):
    assert load(read_alternatives(assignment)[0].source)["total"]([1, 2, 3]) == 6


def test_comments_stay_and_decorators_and_imports_of_ours_go(mistakes):
    source = mistakes["begins_at_one"].source
    assert "    # a comment that stays\n" in source
    assert "import operator\n" in source
    for gone in ("@mistake", "autograder.variants", "from sums", "says", "Wrong variants"):
        assert gone not in source


def test_other_decorators_stay(assignment):
    decorators = "@functools.cache\n@mistake('total', replaces='total', says='x')\n"
    write_mistakes(assignment, f"import functools\n{decorators}def cached(numbers):\n    return 0\n")
    (found,) = read_mistakes(assignment)
    assert load(found.source)["total"](()) == 0
    assert "@functools.cache\ndef total(numbers):" in found.source


def test_text_beyond_ascii_does_not_shift_the_new_name(assignment):
    text = "def wrong(numbers):\n    return ('Σ√', wrong) if numbers else 'π'\n"
    write_mistakes(assignment, f"@mistake('total', replaces='total', says='√')\n{text}")
    module = load(read_mistakes(assignment)[0].source)
    assert module["total"]([1]) == ("Σ√", module["total"])


def test_the_file_is_read_and_never_run(assignment):
    write_mistakes(
        assignment, "N = print('run') or 1 / 0\n@mistake('total', replaces='total', says='x')\ndef f(numbers): ...\n"
    )
    assert [each.name for each in read_mistakes(assignment)] == ["f"]


def test_decorators_give_back_what_they_decorate():
    def function():
        return 1

    assert mistake("total", replaces="total", says="x")(function) is function
    assert alternative(replaces="total", says="x", name="y")(function) is function


FINE = "@mistake('total', replaces='total', says='x')\n"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("@mistake('totals', replaces='total', says='x')\ndef f(n): ...\n", 2, "no task 'totals'.*total, scaler"),
        ("@mistake('total', replaces='totals', says='x')\ndef f(n): ...\n", 2, "replaces='totals': no task"),
        ("@mistake('total', replaces='total')\ndef f(n): ...\n", 2, "needs says="),
        ("@mistake(replaces='total', says='x')\ndef f(n): ...\n", 2, "needs task="),
        ("SAYS = 'x'\n@mistake('total', replaces='total', says=SAYS)\ndef f(n): ...\n", 3, "says must be a text"),
        (
            "@mistake('total', replaces='total', says='x', nam='y')\ndef f(n): ...\n",
            2,
            "unknown or repeated argument nam",
        ),
        ("@mistake('total', 'total', says='x')\ndef f(n): ...\n", 2, "at most 1 argument"),
        ("@mistake\ndef f(n): ...\n", 2, "needs arguments"),
        (FINE + "def f(n): ...\n" + FINE + "def f(n): ...\n", 5, "the name 'f' is taken"),
        (FINE + FINE + "def f(n): ...\n", 4, "more than one"),
        (FINE + "def mean(n): ...\n", 3, "mean bears the name of another part"),
        (FINE + "def f(n):\n    return total(n) + 1\n", 3, "from sums import total as reference_total"),
        (FINE + "def f(n):\n    return g(n)\n\n" + FINE + "def g(n): ...\n", 3, "f uses g, which belongs to another"),
        ("def helper(n):\n    return f(n)\n" + FINE + "def f(n): ...\n", 2, "cannot use f"),
        ("def total(n): ...\n" + FINE + "def f(n): ...\n", 2, "total is the reference's"),
        ("from autograder.variants import mistake as wrong\n", 2, "under their own names"),
        ("import sums\n" + FINE + "def f(n):\n    return sums.total(n)\n", 2, "from sums import"),
        ("from __future__ import annotations\n" + FINE + "def f(n): ...\n", 2, "__future__"),
        ("for name in 'ab':\n    pass\n" + FINE + "def f(n): ...\n", 2, "only imports, functions"),
        ("@alternative(replaces='total', says='x')\ndef f(n): ...\n", 2, "belongs into alternatives.py"),
        ("def f(:\n", 2, "invalid syntax"),
    ],
)
def test_a_fault_names_file_and_line(assignment, text, line, message):
    write_mistakes(assignment, text)
    with pytest.raises(CourseError, match=rf"solutions/01_sums/mistakes\.py, line {line}: .*{message}"):
        read_mistakes(assignment)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("@mistake('scaler', replaces='mean', says='x', name='both')\n", "name different tasks"),
        ("@mistake('total', replaces='total', says='x', name='both')\n", "replaces total twice"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(assignment, second, message):
    first = "@mistake('total', replaces='total', says='x', name='both')\ndef f(n): ...\n"
    write_mistakes(assignment, first + second + "def g(n): ...\n")
    with pytest.raises(CourseError, match=message):
        read_mistakes(assignment)


@pytest.mark.parametrize("text", ["", "def helper(n): ...\n"])
def test_a_file_without_a_variant_is_a_fault(assignment, text):
    write_mistakes(assignment, text)
    with pytest.raises(CourseError, match="there is no @mistake"):
        read_mistakes(assignment)


def test_a_file_that_is_missing_is_a_fault(assignment):
    (assignment.solution_folder / "alternatives.py").unlink()
    with pytest.raises(CourseError, match=r"alternatives\.py cannot be read"):
        read_alternatives(assignment)


def test_every_variant_of_this_course_loads_with_all_symbols():
    for assignment in REPOSITORY.assignments():
        symbols = [symbol for task in assignment.manifest.tasks for symbol in task.symbols]
        for variant in [*read_mistakes(assignment), *read_alternatives(assignment)]:
            module = load(variant.source)
            assert all(callable(module.get(symbol)) for symbol in symbols), (assignment.name, variant.name)
