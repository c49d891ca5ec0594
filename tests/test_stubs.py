"""Stubs: what is cleared, what is refused, and when a committed stub is stale."""

import ast
import re
from pathlib import Path

import pytest
from synthetic_course import FILES, make_course

from autograder.in_process import load_module
from autograder.manifest import Course, CourseError
from autograder.stubs import make_stub, stale_stubs, write_stubs

REPOSITORY = Course(Path(__file__).parents[1])
REFERENCE = FILES["solutions/01_sums/sums.py"]


def test_regions_become_nbgraders_stub_and_the_rest_stays():
    region = "    ### BEGIN SOLUTION\n    y = 1\n    return x + y\n    ### END SOLUTION\n"
    source = 'def two():\n    """Two."""\n    x = 1\n' + region
    expected = 'def two():\n    """Two."""\n    x = 1\n    # YOUR CODE HERE\n    raise NotImplementedError()\n'
    assert make_stub(source) == expected


def test_stub_looks_as_nbgraders_own_release_of_a_notebook_does():
    from nbformat.v4 import new_code_cell, new_notebook
    from nbgrader.preprocessors import ClearSolutions

    metadata = {"nbgrader": {"solution": True, "grade": False, "grade_id": "a", "locked": False, "schema_version": 3}}
    notebook = new_notebook(cells=[new_code_cell(REFERENCE, metadata=metadata)])
    cleared, _ = ClearSolutions().preprocess(notebook, {})
    assert make_stub(REFERENCE) == cleared.cells[0].source


def test_stub_can_be_imported_and_says_what_is_not_written(tmp_path):
    assignment = make_course(tmp_path).assignment("sums")
    module = load_module(assignment.stub)
    for call in (lambda: module.total([1]), lambda: module.mean([1]), lambda: module.Scaler(2)):
        with pytest.raises(NotImplementedError):
            call()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("    ### BEGIN SOLUTION\n    return 1\n", "line 2: .*without an '### END"),
        ("    return 1\n    ### END SOLUTION\n", "line 3: .*without a '### BEGIN"),
        ("    ### BEGIN SOLUTION\n    x = 1\n    ### BEGIN SOLUTION\n    ### END SOLUTION\n", "line 4: a second"),
        ("    # BEGIN SOLUTION\n    return 1\n    ### END SOLUTION\n", "line 2: a marker is a line of its own"),
        ('    """The text BEGIN SOLUTION marks it."""\n    return 1\n', "line 2: a marker is a line of its own"),
        ("    return 1\n", "its stub would be the solution"),
        ("    pass\n### BEGIN SOLUTION\nx = 1\n### END SOLUTION\n", "line 3: .*not inside a function"),
        (
            "    pass\nclass A:\n    ### BEGIN SOLUTION\n    x = 1\n    ### END SOLUTION\n",
            "line 4: .*not inside a func",
        ),
        (
            "    try:\n        ### BEGIN SOLUTION\n        x = 1\n    finally:\n        pass\n    ### END SOLUTION\n",
            "compile",
        ),
        ("    ### BEGIN SOLUTION\n    return (\n    ### END SOLUTION\n", "line 3"),
    ],
)
def test_what_would_make_a_bad_stub_is_refused_with_its_line(body, message):
    with pytest.raises(CourseError, match=message):
        make_stub("def f():\n" + body)


def test_a_symbol_whose_markers_were_forgotten_is_refused(tmp_path):
    course = make_course(tmp_path)
    reference = course.assignment("sums").reference
    solved = re.sub(
        r"    ### (BEGIN|END) SOLUTION\n", "", REFERENCE[REFERENCE.index("def mean") : REFERENCE.index("class")]
    )
    reference.write_text(REFERENCE[: REFERENCE.index("def mean")] + solved + REFERENCE[REFERENCE.index("class") :])
    with pytest.raises(CourseError, match=r"sums\.py: line \d+: mean has no '### BEGIN SOLUTION'"):
        write_stubs(course)


def test_a_fault_names_its_file_and_leaves_every_stub_as_it_was(tmp_path):
    course = make_course(tmp_path)
    assignment = course.assignment("sums")
    before = assignment.stub.read_bytes()
    assignment.reference.write_text(REFERENCE.replace("    ### END SOLUTION\n", "", 1))
    with pytest.raises(CourseError, match=r"solutions/01_sums/sums\.py: line \d+"):
        write_stubs(course)
    assert assignment.stub.read_bytes() == before


def test_a_stub_is_stale_when_missing_edited_or_older_than_its_reference(tmp_path):
    course = make_course(tmp_path)
    assignment = course.assignment("sums")
    assert stale_stubs(course) == []
    for change in (
        lambda: assignment.stub.unlink(),
        lambda: assignment.stub.write_text(assignment.stub.read_text() + "\n"),
        lambda: assignment.reference.write_text(REFERENCE.replace("Adds the numbers up.", "Adds up.")),
    ):
        change()
        assert stale_stubs(course) == [assignment.stub]
        assert write_stubs(course) == [assignment.stub]
        assert stale_stubs(course) == [] == write_stubs(course)
    assert '"""Adds up."""' in assignment.stub.read_text()


def test_a_change_inside_a_region_alone_makes_no_stub_stale(tmp_path):
    course = make_course(tmp_path)
    course.assignment("sums").reference.write_text(REFERENCE.replace("max(len(numbers), 1)", "len(numbers)"))
    assert stale_stubs(course) == []


def test_without_solutions_the_error_says_where_stubs_are_made(tmp_path):
    course = make_course(tmp_path)
    course.assignment("sums").reference.unlink()
    with pytest.raises(CourseError, match="instructor's repository"):
        stale_stubs(course)


def test_the_stubs_of_this_course_are_fresh():
    assert stale_stubs(REPOSITORY) == []


def test_every_symbol_of_this_course_has_something_left_to_write():
    for assignment in REPOSITORY.assignments():
        tree = ast.parse(assignment.stub.read_text(encoding="utf-8"))
        definitions = {getattr(node, "name", None): ast.unparse(node) for node in tree.body}
        for task in assignment.manifest.tasks:
            for symbol in task.symbols:
                assert "raise NotImplementedError()" in definitions[symbol], (assignment.name, symbol)
