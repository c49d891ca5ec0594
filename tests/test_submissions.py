"""Reading what a class handed in: two layouts and a zip, and nothing that a hostile folder could do with them."""

from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path

import pytest

from autograder.manifest import Assignment, Course, CourseError
from autograder.submissions import MAX_SOURCE, Submission, find_students, read_submission


@pytest.fixture
def assignment(small_course: Course) -> Assignment:
    return small_course.assignment("99_numbers")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "submissions"
    folder.mkdir()
    return folder


def put(root: Path, path: str, content: bytes = b"x = 1\n") -> Path:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return target


def read(root: Path, assignment: Assignment) -> Submission:
    return read_submission(root, "ada", assignment)


def zipped(root: Path, members: dict[str, bytes], *, mode: int = 0o644) -> None:
    (root / "ada").mkdir()
    with zipfile.ZipFile(root / "ada/99_numbers.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            archive.writestr(member, content)


@pytest.mark.parametrize("layout", ["ada/99_numbers", "ada/assignments/99_numbers"])
def test_both_layouts_are_read(root: Path, assignment: Assignment, layout: str) -> None:
    put(root, f"{layout}/numbers_.py", b"x = 1\r\n")
    found = read(root, assignment)
    assert found.files == {"numbers_.py": b"x = 1\r\n"}
    assert found.notices == ()
    assert found.source_sha256 is not None


def test_nbgraders_layout_comes_first_and_the_other_is_told(root: Path, assignment: Assignment) -> None:
    put(root, "ada/99_numbers/numbers_.py", b"first")
    put(root, "ada/assignments/99_numbers/numbers_.py", b"second")
    found = read(root, assignment)
    assert found.files == {"numbers_.py": b"first"}
    assert "ada/assignments/99_numbers is ignored" in found.notices[0]


def test_nothing_handed_in_is_nothing(root: Path, assignment: Assignment) -> None:
    (root / "ada").mkdir()
    found = read(root, assignment)
    assert found.files is None and found.problem is None
    put(root, "ada/99_numbers/other.py")
    assert read(root, assignment).files is None
    assert "other.py" in read(root, assignment).notices[0]


def test_files_beside_the_module_are_ignored_and_told(root: Path, assignment: Assignment) -> None:
    """But for those that are in everybody's folder: what was handed out, and what nbgrader's exchange adds."""
    odd = ("conftest.py", "pytest.ini", "test_mine.py", "torch.py")
    usual = ("README.md", "test_numbers_.py", "numbers_.ipynb", "timestamp.txt", "submission_secret.txt")
    for name in ("numbers_.py", *odd, *usual):
        put(root, f"ada/99_numbers/{name}")
    found = read(root, assignment)
    assert found.files is not None and list(found.files) == ["numbers_.py"]
    assert found.notices == (f"ignored, not part of the submission: {', '.join(odd)}",)


def test_names_that_a_terminal_would_obey_are_shown_harmless(root: Path, assignment: Assignment) -> None:
    put(root, "ada/99_numbers/numbers_.py")
    put(root, "ada/99_numbers/\x1b[31mred\n.py")
    assert "\x1b" not in read(root, assignment).notices[0]
    assert "\n" not in read(root, assignment).notices[0]


def test_no_link_is_followed_and_no_pipe_waited_for(root: Path, assignment: Assignment, tmp_path: Path) -> None:
    secret = put(tmp_path, "secret.py", b"secret")
    home = root / "ada/99_numbers"
    home.mkdir(parents=True)
    module = home / "numbers_.py"
    for make in (
        lambda: module.symlink_to(secret),
        lambda: os.mkfifo(module),
        module.mkdir,
        lambda: os.mknod(module, stat.S_IFSOCK | 0o600),
    ):
        make()
        found = read(root, assignment)
        assert found.files is None
        assert found.problem is not None
        module.rmdir() if module.is_dir() and not module.is_symlink() else module.unlink()
    home.rmdir()
    home.symlink_to(tmp_path, target_is_directory=True)
    assert "symbolic link" in str(read(root, assignment).problem)
    home.unlink()
    home.write_text("a file")
    assert "should be a folder" in str(read(root, assignment).problem)


def test_a_huge_source_is_refused(root: Path, assignment: Assignment) -> None:
    put(root, "ada/99_numbers/numbers_.py", b"#" * MAX_SOURCE)
    assert read(root, assignment).files is not None
    put(root, "ada/99_numbers/numbers_.py", b"#" * (MAX_SOURCE + 1))
    assert "larger than" in str(read(root, assignment).problem)


@pytest.mark.parametrize("name", ["numbers_.py", "99_numbers/numbers_.py", "assignments/99_numbers/numbers_.py"])
def test_a_zip_is_read(root: Path, assignment: Assignment, name: str) -> None:
    zipped(root, {name: b"x = 2", "99_numbers/conftest.py": b""})
    found = read(root, assignment)
    assert found.files == {"numbers_.py": b"x = 2"}
    assert "conftest.py" in found.notices[0]


@pytest.mark.parametrize(
    "name", ["../numbers_.py", "/99_numbers/numbers_.py", "99_numbers/../../numbers_.py", "deep/er/numbers_.py"]
)
def test_a_zip_that_points_elsewhere_is_not_followed(root: Path, assignment: Assignment, name: str) -> None:
    zipped(root, {name: b"x = 2"})
    assert read(root, assignment).files is None
    assert sorted(os.listdir(root)) == ["ada"]


def test_bombs_links_and_nonsense_in_zips_are_refused(root: Path, assignment: Assignment) -> None:
    zipped(root, {"numbers_.py": b"#" * (50 << 20)})
    assert "larger than" in str(read(root, assignment).problem)
    archive = root / "ada/99_numbers.zip"
    archive.write_bytes(b"PK\x03\x04 nonsense")
    assert "not a zip file" in str(read(root, assignment).problem)
    archive.unlink()
    archive.parent.rmdir()
    zipped(root, {"numbers_.py": b"/etc/passwd"}, mode=stat.S_IFLNK | 0o777)
    assert read(root, assignment).files is None


def test_students_are_folders_with_plain_names(root: Path) -> None:
    for name in ("ada", "b.e-n+1@x_y", "Zoe"):
        (root / name).mkdir()
    for name in ("with space", "zoë", "semi;colon", "<b>"):
        (root / name).mkdir()
    (root / ".hidden").mkdir()
    (root / "file").write_text("")
    (root / "link").symlink_to(root / "ada")
    students, refused = find_students(root)
    assert students == ["Zoe", "ada", "b.e-n+1@x_y"]
    assert len(refused) == 6
    assert not any(".hidden" in reason for reason in refused)


def test_a_students_folder_may_have_another_name(root: Path, assignment: Assignment) -> None:
    put(root, "attention-ada-l/assignments/99_numbers/numbers_.py", b"x = 3")
    put(root, "attention-ada-l/99_numbers.zip")
    found = read_submission(root, "ada@uni.example", assignment, "attention-ada-l")
    assert (found.student, found.files) == ("ada@uni.example", {"numbers_.py": b"x = 3"})
    assert found.notices == (
        "attention-ada-l/99_numbers.zip is ignored: attention-ada-l/assignments/99_numbers comes first",
    )


@pytest.mark.parametrize("name", ["attention-submissions", "cs-attention_submissions_2026_11_21_T_12_00_00"])
def test_the_folder_above_the_clones_is_not_taken_for_a_class_of_one(root: Path, name: str) -> None:
    (root / name / "attention-ada/.git").mkdir(parents=True)
    (root / "scores.csv").write_text("")
    with pytest.raises(CourseError, match=f"only holds {name}, with clones in it: grade that folder"):
        find_students(root)
    (root / "data-submissions/data-ada/.git").mkdir(parents=True)
    with pytest.raises(CourseError, match=f"only holds {name}, data-submissions, .*: grade one of those"):
        find_students(root)
    (root / "ben").mkdir()
    students, refused = find_students(root)
    assert students == ["ben"]
    assert f"{name}: not a student's: it holds the clones of a class: grade it by itself" in refused


def test_a_student_whose_name_looks_like_a_folder_of_clones_is_a_student(root: Path) -> None:
    put(root, "late-submissions/99_numbers/numbers_.py")
    assert find_students(root) == (["late-submissions"], [])


def test_a_folder_that_is_not_there_or_empty_is_told(root: Path) -> None:
    with pytest.raises(CourseError, match="is empty"):
        find_students(root)
    with pytest.raises(CourseError, match="is not a folder"):
        find_students(root / "nowhere")


def test_no_folder_on_the_way_may_be_a_link(root: Path, assignment: Assignment) -> None:
    put(root, "ben/assignments/99_numbers/numbers_.py", b"another's work")
    put(root, "ben/99_numbers.zip", b"another's zip")
    home = root / "ada"
    home.mkdir()
    for name, target in (
        ("assignments", "../ben/assignments"),
        ("99_numbers", "../ben/assignments/99_numbers"),
        ("99_numbers.zip", "../ben/99_numbers.zip"),
    ):
        (home / name).symlink_to(target)
        found = read(root, assignment)
        assert found.files is None
        assert "is a symbolic link" in str(found.problem)
        (home / name).unlink()
    home.rmdir()
    home.symlink_to("ben")
    assert "ada is a symbolic link" in str(read(root, assignment).problem)


def test_a_name_that_is_nearly_right_is_named(root: Path, assignment: Assignment) -> None:
    put(root, "ada/99_numbers/Numbers_.PY")
    assert read(root, assignment).problem == "there is no numbers_.py; there is Numbers_.PY: rename it to numbers_.py"


def test_what_lies_in_the_wrong_place_is_told_with_the_right_one(root: Path, assignment: Assignment) -> None:
    put(root, "ada/numbers_.py")
    found = read(root, assignment)
    assert found.files is None and found.problem is None
    assert "expected 99_numbers/numbers_.py" in found.notices[0] and found.notices[0].endswith("at: numbers_.py")


@pytest.mark.parametrize("content", [b"\xef\xbb\xbfx = 1\r\n", b"x\x00y", b"\xff\xfe", b""])
def test_a_source_arrives_to_the_byte(root: Path, assignment: Assignment, content: bytes) -> None:
    put(root, "ada/99_numbers/numbers_.py", content)
    assert read(root, assignment).files == {"numbers_.py": content}


def test_what_may_not_be_read_is_named(root: Path, assignment: Assignment) -> None:
    module = put(root, "ada/99_numbers/numbers_.py")
    module.chmod(0)
    as_root = os.geteuid() == 0  # who may read everything
    if as_root:
        for folder in (root, *root.parents):
            if any(part.startswith("pytest-of-") for part in folder.parts):  # pytest's own, however deep it puts them
                folder.chmod(0o711)
        os.seteuid(65534)
    try:
        found = read(root, assignment)
    finally:
        if as_root:
            os.seteuid(0)
    assert found.problem == "numbers_.py cannot be opened: Permission denied"


@pytest.mark.parametrize(
    ("method", "flags", "mode", "told"),
    [
        (zipfile.ZIP_LZMA, 0, 0o644, "unusual way"),
        (zipfile.ZIP_BZIP2, 0, 0o644, "unusual way"),
        (99, 0, 0o644, "unusual way"),
        (0, 1, 0o644, "encrypted"),
        (0, 0, stat.S_IFCHR | 0o666, "not an ordinary file"),
        (0, 0, stat.S_IFLNK | 0o777, "not an ordinary file"),
    ],
)
def test_a_member_that_is_no_plain_file_is_refused(
    root: Path, assignment: Assignment, method: int, flags: int, mode: int, told: str
) -> None:
    zipped(root, {"numbers_.py": b"x" * 99}, mode=mode)
    archive = root / "ada/99_numbers.zip"
    data = bytearray(archive.read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 8] |= flags
    data[entry + 10] = method
    archive.write_bytes(data)
    assert told in str(read(root, assignment).problem)


def test_two_modules_in_a_zip_are_refused_and_one_behind_a_nul_is_none(root: Path, assignment: Assignment) -> None:
    zipped(root, {"numbers_.py": b"x = 1", "99_numbers/numbers_.py": b"x = 2"})
    assert "more than once" in str(read(root, assignment).problem)
    archive = root / "ada/99_numbers.zip"
    archive.unlink()
    archive.parent.rmdir()
    zipped(root, {"numbers_.pyXtxt": b"x = 1"})
    archive.write_bytes(archive.read_bytes().replace(b"X", b"\0"))
    assert read(root, assignment).files is None


def test_a_zip_whose_text_is_damaged_is_refused(root: Path, assignment: Assignment) -> None:
    zipped(root, {"numbers_.py": bytes(range(256))})
    archive = root / "ada/99_numbers.zip"
    data = bytearray(archive.read_bytes())
    data[60] ^= 0xFF
    archive.write_bytes(data)
    assert "is not a zip file that can be read" in str(read(root, assignment).problem)


@pytest.mark.parametrize("name", ["INDEX.html", "Grades.csv", "grading.json", "a" * 101])
def test_names_that_the_results_cannot_have_are_refused(root: Path, name: str) -> None:
    (root / name).mkdir()
    (root / "ada").mkdir()
    students, refused = find_students(root)
    assert students == ["ada"]
    assert refused[0].startswith(name[:20]) and "rename the folder" in refused[0]
