"""What goes to Canvas and Moodle: the right points in the right row, and nothing where there is no grade."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from autograder.files import write_atomically
from autograder.lms import lms_command, parse_columns, read_graded
from autograder.lms_canvas import canvas_csv
from autograder.lms_moodle import moodle_csv
from autograder.manifest import CourseError
from autograder.result import Result, to_json

# As Canvas's own exporter writes it: lib/gradebook_exporter.rb
GRADEBOOK = """\
Student,ID,SIS User ID,SIS Login ID,Section,Notes,04 Attention (1234),Essay (99),Data (77),Current Score,Final Score
,,,,,,Manual Posting,,,,
    Points Possible,,,,,,30.0,10.0,20.0,(read only),(read only)
"Lovelace, Ada",1001,007,ada@uni.example,Lab 1 and Lab 2,,12.0,9.0,,50.0,50.0
"=cmd|' /C calc'!A0, Ben",1002,-2+3,ben,Lab 1,,,,,,
"Curie, Cy",1003,cy9,cy@uni.example,Lab 1,,5.5,,,,
"Doe, Dan",1004,,dan,Lab 2,,7.0,,3.0,,
"Ek, Eva",1005,e5,eva,Lab 2,,EX,,N/A,,
"Student, Test",1999,,f3a9,Lab 1,,,,,,
"""

# As Moodle's page of participants and its grader report write it
PARTICIPANTS = """\
"First name","Last name","ID number","Institution","Email address","Course total (Real)"
Ada,Lovelace,007,Uni,Ada@uni.example,-
@Ben,"=1+1",b2,Uni,ben@uni.example,-
Zoe,Ek,z9,Uni,zoe@uni.example,-
"""


def result(student: str, assignment: str = "04_attention", **changes: Any) -> Result:
    made: dict[str, Any] = {
        "student": student, "assignment": assignment, "seed": 1, "isolation": "landlock", "status": "graded",
        "score": 21, "max_score": 30, "source_sha256": "0", "suite_sha256": "1", "tasks": (),
    }  # fmt: skip
    made |= changes
    if made["status"] == "grader_error":
        del made["score"]
    return Result(**made)


def store(folder: Path, *results: Result) -> Path:
    for each in results:
        write_atomically(folder / each.student / each.assignment / "result.json", to_json(each))
    return folder


@pytest.fixture
def graded(tmp_path: Path) -> Path:
    """Ada is graded, ben could not be, cy handed in nothing, eva is excused, zoe is in no LMS."""
    return store(
        tmp_path / "graded",
        result("ada@uni.example"),
        result("ben", status="grader_error", message="the lights went out", source_sha256=None),
        result("CY9", status="missing", score=0, message="nothing was handed in"),
        result("eva", score=30),
        result("zoe", score=3),
    )


@pytest.fixture
def gradebook(tmp_path: Path) -> Path:
    path = tmp_path / "gradebook.csv"
    path.write_text(GRADEBOOK)
    return path


@pytest.fixture
def participants(tmp_path: Path) -> Path:
    path = tmp_path / "participants.csv"
    path.write_text(PARTICIPANTS)
    return path


def rows(text: str, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


def test_canvas_gets_its_own_columns_back_with_the_points(graded: Path, gradebook: Path) -> None:
    sheet = canvas_csv(read_graded(graded), gradebook)
    assert rows(sheet.text) == [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "04 Attention (1234)"],
        ["    Points Possible", "", "", "", "", "30.0"],
        ["Lovelace, Ada", "1001", "007", "ada@uni.example", "Lab 1 and Lab 2", "21"],
        ["'=cmd|' /C calc'!A0, Ben", "1002", "-2+3", "ben", "Lab 1", ""],
        ["Curie, Cy", "1003", "cy9", "cy@uni.example", "Lab 1", "0"],
        ["Ek, Eva", "1005", "e5", "eva", "Lab 2", "EX"],
    ]
    assert sheet.notices == [
        "eva is excused from 04_attention in Canvas, and stays so",
        "graded, but not in gradebook.csv, so left out: zoe",
        "in gradebook.csv, but without results, so left alone: Doe, Dan 1004; Student, Test 1999",
        "not graded, so no grade (the grader failed: grade again): ben for 04_attention",
    ]


def test_what_was_not_graded_here_keeps_what_canvas_has(graded: Path, gradebook: Path) -> None:
    store(graded, result("dan", "02_data", score=20, max_score=20))
    sheet = canvas_csv(read_graded(graded), gradebook)
    header, points, *students = rows(sheet.text)
    assert header[5:] == ["Data (77)", "04 Attention (1234)"]
    assert points[5:] == ["20.0", "30.0"]
    assert {row[1]: row[5:] for row in students} == {
        "1001": ["", "21"], "1002": ["", ""], "1003": ["", "0"], "1004": ["20", "7.0"], "1005": ["N/A", "EX"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("header", "titles"),
    [
        ("Attention (12)", {}),
        ("04_attention (12)", {}),
        ("attention", {}),
        ("  04  ATTENTION (12)", {}),
        ("Who looks at whom (12)", {"04_attention": "Who looks at whom"}),
        ("04 Who looks at whom (12)", {"04_attention": "Who looks at whom"}),
    ],
)
def test_a_column_of_canvas_is_found_by_folder_or_title(
    graded: Path, gradebook: Path, header: str, titles: dict[str, str]
) -> None:
    gradebook.write_text(GRADEBOOK.replace("04 Attention (1234)", header))
    assert rows(canvas_csv(read_graded(graded), gradebook, titles=titles).text)[0][5] == header


def test_a_column_may_be_named_and_must_then_be_there(graded: Path, gradebook: Path) -> None:
    results = read_graded(graded)
    for column in ("Essay (99)", "essay"):
        text = canvas_csv(results, gradebook, parse_columns([f"04_attention = {column}"], results)).text
        assert rows(text)[0][5] == "Essay (99)"
    with pytest.raises(CourseError, match=r"no column Poem; there are: Notes; 04 Attention \(1234\); Essay \(99\)"):
        canvas_csv(results, gradebook, {"04_attention": "Poem"})
    for wrong, told in (
        (["04_attention"], "it should be such as"),
        (["05_transformer=Essay"], "there are results of 04_attention"),
        (["04_attention=Essay", "04_attention=Data"], "has a column already"),
    ):
        with pytest.raises(CourseError, match=told):
            parse_columns(wrong, results)


def test_two_assignments_never_go_into_one_column_nor_one_into_a_choice_of_two(graded: Path, gradebook: Path) -> None:
    store(graded, result("dan", "02_data"))
    results = read_graded(graded)
    with pytest.raises(CourseError, match="02_data and 04_attention would go into the same column"):
        parse_columns(["02_data=Essay (99)", "04_attention=Essay (99)"], results)
    with pytest.raises(CourseError, match="would go into the same column"):
        canvas_csv(results, gradebook, {"02_data": "04 attention"})
    gradebook.write_text(GRADEBOOK.replace("Essay (99)", "Attention (99)"))
    with pytest.raises(CourseError, match=r"could be 04 Attention \(1234\), Attention \(99\): say which"):
        canvas_csv(results, gradebook)


def test_an_assignment_without_a_column_is_told_and_none_at_all_is_an_error(graded: Path, gradebook: Path) -> None:
    store(graded, result("dan", "05_transformer"))
    sheet = canvas_csv(read_graded(graded), gradebook)
    assert sheet.notices[0].startswith("05_transformer has no column in gradebook.csv and is left out")
    gradebook.write_text(GRADEBOOK.replace("04 Attention", "Poem"))
    with pytest.raises(CourseError, match="no column for 04_attention, 05_transformer; there are: Notes"):
        canvas_csv(read_graded(graded), gradebook)


@pytest.mark.parametrize("points", ["100.0", "", "30,5"])
def test_other_full_marks_in_canvas_are_told(graded: Path, gradebook: Path, points: str) -> None:
    gradebook.write_text(GRADEBOOK.replace(",30.0,", f',"{points}",'))
    notices = canvas_csv(read_graded(graded), gradebook).notices
    assert any(notice.startswith("04_attention has 30 points here and") for notice in notices)


def test_a_gradebook_comes_back_as_it_was_separated(graded: Path, gradebook: Path) -> None:
    """Canvas exports semicolons, decimal commas and a byte order mark where its user asks for them."""
    lines = csv.reader(io.StringIO(GRADEBOOK.replace("30.0", '"30,0"')))
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=";").writerows(lines)
    gradebook.write_bytes(b"\xef\xbb\xbf" + file.getvalue().encode())
    sheet = canvas_csv(read_graded(graded), gradebook)
    assert sheet.text.startswith("\ufeffStudent;ID;")
    assert rows(sheet.text, ";")[2] == ["Lovelace, Ada", "1001", "007", "ada@uni.example", "Lab 1 and Lab 2", "21"]
    assert not any("points here" in notice for notice in sheet.notices)


def test_split_names_are_a_gradebook_too_and_other_tables_are_none(graded: Path, gradebook: Path) -> None:
    split = GRADEBOOK.replace("Student,ID", "LastName,FirstName,ID").replace("Possible,", "Possible,,")
    split = split.replace('"Lovelace, Ada"', "Lovelace,Ada").replace("\n,,", "\n,,,")
    split = "\n".join(line.replace('", Ben"', '"') for line in split.splitlines()[:4]) + "\n"
    gradebook.write_text(split)
    results = read_graded(store(graded.parent / "one", result("ada@uni.example")))
    assert rows(canvas_csv(results, gradebook).text)[-1][:3] == ["Lovelace", "Ada", "1001"]
    for other in (PARTICIPANTS, "Student,ID\nAda,1\n", "Name,ID,Section\nAda,1,2\n"):
        gradebook.write_text(other)
        with pytest.raises(CourseError, match="is no gradebook as Canvas exports it"):
            canvas_csv(results, gradebook)


def test_a_name_that_fits_two_rows_needs_a_column_to_go_by(tmp_path: Path, gradebook: Path) -> None:
    gradebook.write_text(GRADEBOOK.replace("cy9", "ben"))
    results = read_graded(store(tmp_path / "two", result("ben")))
    with pytest.raises(
        CourseError, match=r"ben is in line 5 \(SIS Login ID\) and line 6 \(SIS User ID\): say with --match"
    ):
        canvas_csv(results, gradebook)
    assert rows(canvas_csv(results, gradebook, match="sis login id").text)[-1][1] == "1002"
    with pytest.raises(CourseError, match="has no column Nickname; there are: Student; ID; SIS"):
        canvas_csv(results, gradebook, match="Nickname")


def test_two_results_never_share_a_row(tmp_path: Path, gradebook: Path) -> None:
    results = read_graded(store(tmp_path / "two", result("cy9"), result("1003")))
    with pytest.raises(CourseError, match="1003 and cy9 are both in line 6"):
        canvas_csv(results, gradebook)


def test_the_wrong_class_is_an_error_not_an_empty_file(tmp_path: Path, gradebook: Path, participants: Path) -> None:
    results = read_graded(store(tmp_path / "others", result("nobody")))
    with pytest.raises(CourseError, match="has none of the students in it: nobody"):
        canvas_csv(results, gradebook)
    with pytest.raises(CourseError, match="has none of the students in it: nobody"):
        moodle_csv(results, participants)


def test_moodle_gets_its_own_spelling_and_a_dash_where_there_is_no_grade(graded: Path, participants: Path) -> None:
    store(
        graded, result("b2", "02_data", status="grader_error"), result("b2", "04_attention", status="missing", score=0)
    )
    sheet = moodle_csv(read_graded(graded), participants)
    assert rows(sheet.text) == [
        ["First name", "Last name", "ID number", "Email address", "02 Data", "04 Attention"],
        ["Ada", "Lovelace", "007", "Ada@uni.example", "-", "21"],
        ["'@Ben", "'=1+1", "b2", "ben@uni.example", "-", "0"],
    ]
    assert sheet.notices[:3] == [
        "graded, but not in participants.csv, so left out: CY9; ben; eva; zoe",
        "in participants.csv, but without results, so left alone: Zoe Ek",
        "not graded, so no grade (the grader failed: grade again): b2 for 02_data; ben for 04_attention",
    ]
    assert sheet.notices[4] == "set the maximum grades in Moodle: 02 Data 30; 04 Attention 30"
    assert "CY9 for 02_data" in sheet.notices[3] and "clears a grade" in sheet.notices[3]


def test_moodle_without_a_list_of_its_own(graded: Path) -> None:
    sheet = moodle_csv(read_graded(graded), columns={"04_attention": "Assignment: Attention"})
    assert rows(sheet.text)[:2] == [["Username", "Assignment: Attention"], ["CY9", "0"]]
    assert ["ben", "-"] in rows(sheet.text)
    assert 'map "Username" yourself' in sheet.notices[0]


def test_moodle_in_another_language_goes_by_the_column_that_is_named(graded: Path, participants: Path) -> None:
    participants.write_text("Vorname;Anmeldename\nAda;ada@uni.example\n")
    with pytest.raises(CourseError, match="has no column Username, ID number, Email address; there are: Vorname; Anm"):
        moodle_csv(read_graded(graded), participants)
    sheet = moodle_csv(read_graded(graded), participants, "Anmeldename")
    assert rows(sheet.text) == [["Anmeldename", "04 Attention"], ["ada@uni.example", "21"]]


def test_the_command_writes_the_file_and_tells_what_there_is_to_tell(
    graded: Path, gradebook: Path, participants: Path
) -> None:
    to = graded.parent / "new/canvas.csv"
    told = lms_command(graded, "canvas", to, gradebook, "SIS Login ID", ["04_attention=Essay (99)"])
    assert "Essay (99)" in to.read_text() and any("CY9" in line for line in told)
    lms_command(graded, "moodle", to, participants, None, [])
    assert to.read_text().startswith("First name,")
    before = gradebook.read_bytes()
    with pytest.raises(CourseError, match="is the file that is read"):
        lms_command(graded, "canvas", gradebook, gradebook, None, [])
    with pytest.raises(CourseError, match="export its gradebook"):
        lms_command(graded, "canvas", to, None, None, [])
    assert gradebook.read_bytes() == before
    assert sorted(path.name for path in to.parent.iterdir()) == ["canvas.csv"]


def test_only_results_that_can_be_trusted_are_exported(graded: Path) -> None:
    path = graded / "eva/04_attention/result.json"
    whole = path.read_bytes()
    for content, told in (
        (b"{", "cannot be read"),
        (b"\xff", "cannot be read"),
        (whole.replace(b"result/v1", b"result/v2"), "is of minigpt/result/v2"),
        (whole.replace(b'"eva"', b'"ada"'), "lies in a wrong place"),
        (whole.replace(b'"score": 30', b'"score": 31'), "31 of 30 points"),
        (whole.replace(b'"score": 30', b'"score": -1'), "-1 of 30 points"),
        (whole.replace(b' "score": 30,\n', b""), "None of 30 points"),
        (whole.replace(b'"suite_sha256": "1"', b'"suite_sha256": "2"'), "2 versions of its tests.*most: eva"),
    ):
        assert content != whole
        path.write_bytes(content)
        with pytest.raises(CourseError, match=told):
            read_graded(graded)
    with pytest.raises(CourseError, match="holds no results"):
        read_graded(graded / "eva")
