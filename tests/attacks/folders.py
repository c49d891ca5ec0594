"""Attacks that are no modules: odd files, archives and names. One function each, given the student's own folder.

A function's docstring says what it tries and what it gets, as a module's does (see `expectation.py`).
"""

from __future__ import annotations

import io
import os
import socket
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

Make = Callable[[Path, str], None]
ATTACKS: dict[str, Make] = {}
STUDENTS: dict[str, str] = {}  # who hands it in, where the name is the attack
ASSIGNMENT, MODULE = "77_target", "target.py"


def attack(student: str | None = None) -> Callable[[Make], Make]:
    """Registers a function that makes a submission in the folder `home`, given the honest module's text."""

    def register(make: Make) -> Make:
        ATTACKS[make.__name__] = make
        STUDENTS[make.__name__] = student or f"f_{make.__name__}"
        return make

    return register


def folder(home: Path) -> Path:
    made = home / ASSIGNMENT
    made.mkdir(parents=True)
    return made


def module(home: Path) -> Path:
    return folder(home) / MODULE


def archive(home: Path, members: list[tuple[zipfile.ZipInfo | str, str | bytes]]) -> Path:
    home.mkdir(parents=True)
    path = home / f"{ASSIGNMENT}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


# Links and special files


@attack()
def link_to_solution(home: Path, honest: str) -> None:
    """Hands in a symbolic link to the reference solution.

    Expect: missing, symbolic link
    """
    module(home).symlink_to(home.parents[1] / "course/solutions" / ASSIGNMENT / MODULE)


@attack()
def link_to_folder(home: Path, honest: str) -> None:
    """Hands in a symbolic link to another student's folder.

    Expect: missing, symbolic link
    """
    home.mkdir()
    (home / ASSIGNMENT).symlink_to(home.parent / "victim" / ASSIGNMENT)


@attack()
def link_to_assignments(home: Path, honest: str) -> None:
    """Hands in a folder `assignments` that is a symbolic link to one where another student's work is.

    Expect: missing, symbolic link
    """
    real = home.parents[1] / "elsewhere"
    module(real).write_text(honest)
    home.mkdir()
    (home / "assignments").symlink_to(real)


@attack(student="link_of_student")
def link_to_student(home: Path, honest: str) -> None:
    """Is a symbolic link to another student.

    Expect: refused
    """
    home.symlink_to(home.parent / "victim")


@attack()
def link_as_zip(home: Path, honest: str) -> None:
    """Hands in a symbolic link where the zip file should be.

    Expect: missing, symbolic link
    """
    real = archive(home / "elsewhere", [(MODULE, honest)])
    (home / f"{ASSIGNMENT}.zip").symlink_to(real)


@attack()
def link_in_a_circle(home: Path, honest: str) -> None:
    """Hands in a symbolic link to itself.

    Expect: missing, symbolic link
    """
    path = module(home)
    path.symlink_to(path)


@attack()
def pipe(home: Path, honest: str) -> None:
    """Hands in a named pipe, on which a reader would wait for ever.

    Expect: missing, not an ordinary file
    """
    os.mkfifo(module(home))


@attack()
def pipe_as_zip(home: Path, honest: str) -> None:
    """Hands in a named pipe where the zip file should be.

    Expect: missing, not an ordinary file
    """
    home.mkdir()
    os.mkfifo(home / f"{ASSIGNMENT}.zip")


@attack()
def socket_file(home: Path, honest: str) -> None:
    """Hands in a socket.

    Expect: missing
    """
    here = Path.cwd()
    folder(home)
    os.chdir(home / ASSIGNMENT)  # a socket's path must be short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(MODULE)
    finally:
        os.chdir(here)


@attack()
def device(home: Path, honest: str) -> None:
    """Hands in /dev/zero: the device itself where that can be made, else a link to it.

    Expect: missing
    """
    try:
        os.mknod(module(home), 0o666 | stat.S_IFCHR, os.makedev(1, 5))
    except PermissionError:
        (home / ASSIGNMENT / MODULE).symlink_to("/dev/zero")


@attack()
def folder_as_module(home: Path, honest: str) -> None:
    """Hands in a folder that is called like the module.

    Expect: missing
    """
    (folder(home) / MODULE / MODULE).mkdir(parents=True)


@attack()
def file_as_folder(home: Path, honest: str) -> None:
    """Hands in a file that is called like the assignment.

    Expect: missing, is a file
    """
    home.mkdir()
    (home / ASSIGNMENT).write_text(honest)


@attack(student="file_as_student")
def file_instead_of_student(home: Path, honest: str) -> None:
    """Is a file and no folder.

    Expect: refused
    """
    home.write_text(honest)


# Archives


@attack()
def zip_with_parents(home: Path, honest: str) -> None:
    """Hands in a zip whose members lead out of the folder with `..`.

    Expect: missing
    """
    archive(home, [(f"../{ASSIGNMENT}/{MODULE}", honest), (f"../../0_honest/{ASSIGNMENT}/{MODULE}", "")])


@attack()
def zip_with_absolute_paths(home: Path, honest: str) -> None:
    """Hands in a zip whose members have absolute paths.

    Expect: missing
    """
    archive(home, [(f"/{MODULE}", honest), (f"/tmp/{ASSIGNMENT}/{MODULE}", honest), ("C:\\target.py", honest)])


@attack()
def zip_bomb(home: Path, honest: str) -> None:
    """Hands in a zip of 1 MB whose module is 1 GB when unpacked.

    Expect: missing, larger than
    """
    home.mkdir()
    path = home / f"{ASSIGNMENT}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file, file.open(MODULE, "w", force_zip64=True) as member:
        for _ in range(64):
            member.write(b"#" * 2**24)


@attack()
def zip_of_many_files(home: Path, honest: str) -> None:
    """Hands in a zip with 20,000 members beside the module.

    Expect: missing, more than
    """
    archive(home, [(MODULE, honest), *((f"other/{number}.py", "") for number in range(20_000))])


@attack()
def zip_in_zip(home: Path, honest: str) -> None:
    """Hands in a zip in a zip.

    Expect: missing
    """
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as file:
        file.writestr(MODULE, honest)
    archive(home, [(f"{ASSIGNMENT}.zip", inner.getvalue())])


@attack()
def zip_with_link(home: Path, honest: str) -> None:
    """Hands in a zip whose module is a symbolic link to the reference solution.

    Expect: missing
    """
    member = zipfile.ZipInfo(MODULE)
    member.create_system = 3
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive(home, [(member, f"../../course/solutions/{ASSIGNMENT}/{MODULE}")])


@attack()
def zip_with_two_modules(home: Path, honest: str) -> None:
    """Hands in a zip with the module twice, so that a checker and a grader may see different ones.

    Expect: missing, more than once
    """
    path = archive(home, [(f"{ASSIGNMENT}/{MODULE}", "raise RuntimeError('the first')")])
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(f"assignments/{ASSIGNMENT}/{MODULE}", honest)


@attack()
def zip_that_lies_about_sizes(home: Path, honest: str) -> None:
    """Hands in a zip that gives the module's size as 10 bytes, and its check sum as 0.

    Expect: missing, not a zip file that can be read
    """
    path = archive(home, [(MODULE, honest)])
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 14), (b"PK\x01\x02", 16)):
        place = data.index(signature) + offset
        data[place : place + 4] = bytes(4)
        data[place + 8 : place + 12] = struct.pack("<I", 10)
    path.write_bytes(data)


@attack()
def zip_with_password(home: Path, honest: str) -> None:
    """Hands in a zip that says it is encrypted.

    Expect: missing, encrypted
    """
    path = archive(home, [(MODULE, honest)])
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    path.write_bytes(data)


@attack()
def zip_cut_short(home: Path, honest: str) -> None:
    """Hands in the first half of a zip.

    Expect: missing, not a zip file that can be read
    """
    path = archive(home, [(MODULE, honest)])
    path.write_bytes(path.read_bytes()[:300])


@attack()
def zip_of_nothing(home: Path, honest: str) -> None:
    """Hands in an empty file called like the zip.

    Expect: missing, not a zip file that can be read
    """
    home.mkdir()
    (home / f"{ASSIGNMENT}.zip").touch()


# Sources


@attack()
def source_with_bom_and_crlf(home: Path, honest: str) -> None:
    """Hands in a module with a byte order mark and Windows' line ends: broken nowhere, and worth all its points.

    Expect: 127/127
    """
    module(home).write_bytes(b"\xef\xbb\xbf" + honest.replace("\n", "\r\n").encode())


@attack()
def source_with_nul(home: Path, honest: str) -> None:
    """Hands in a module with NUL bytes.

    Expect: 0/127, all failed
    """
    module(home).write_bytes(honest.encode() + b"\0\0\0")


@attack()
def source_in_utf_16(home: Path, honest: str) -> None:
    """Hands in a module in UTF-16.

    Expect: 0/127, all failed
    """
    module(home).write_bytes(honest.encode("utf-16"))


@attack()
def source_in_latin_1(home: Path, honest: str) -> None:
    """Hands in a module in Latin-1 that does not say so.

    Expect: 0/127, all failed
    """
    module(home).write_bytes(honest.encode() + "name = 'é'\n".encode("latin-1"))


@attack()
def source_in_odd_coding(home: Path, honest: str) -> None:
    """Hands in a module with a coding that is no text's: a codec that unpacks.

    Expect: 0/127, all failed
    """
    module(home).write_bytes(b"# coding: zlib_codec\n" + honest.encode())


@attack()
def source_in_other_scripts(home: Path, honest: str) -> None:
    """Hands in a module whose names look like others: a softmax with a Cyrillic letter beside the honest one.

    Expect: 120/127, softmax failed
    """
    source = honest.replace("def softmax", "def ѕoftmax") + "\n\nимя = '学生'\n"
    module(home).write_text(source, encoding="utf-8")


@attack()
def source_of_50_mb(home: Path, honest: str) -> None:
    """Hands in a module of 50 MB.

    Expect: missing, larger than
    """
    with module(home).open("w") as file:
        file.write(honest)
        for _ in range(50):
            file.write("#" * 2**20)


@attack()
def source_nested_deep(home: Path, honest: str) -> None:
    """Hands in a module whose syntax tree is deeper than any stack.

    Expect: 0/127, all memory or failed or crashed
    """
    module(home).write_text(honest + "\nx = " + "-" * 100_000 + "1\ny = " + "x." * 100_000 + "x\n")


@attack()
def source_of_one_line(home: Path, honest: str) -> None:
    """Hands in a module with one expression of 300 KB, to keep the check of its source busy.

    Expect: 0/127, all failed or crashed or timeout
    """
    module(home).write_text(honest + "\nx = [" + "torch.nn," * 33_000 + "]; raise RuntimeError\n")


@attack()
def source_empty(home: Path, honest: str) -> None:
    """Hands in an empty module.

    Expect: 0/127, all failed
    """
    module(home).touch()


# Files beside the module


@attack()
def beside_conftest(home: Path, honest: str) -> None:
    """Puts a conftest.py and a pytest.ini beside the module, which would make every test pass.

    Expect: 127/127
    """
    module(home).write_text(honest)
    (home / ASSIGNMENT / "conftest.py").write_text("import os\nos._exit(0)\n")
    (home / ASSIGNMENT / "pytest.ini").write_text("[pytest]\naddopts = --collect-only\n")
    (home / ASSIGNMENT / "test_target.py").write_text("def test_it(): pass\n")
    (home / ASSIGNMENT / "assignment.toml").write_text("title = 'none'\nmodule = 'none.py'\n")


@attack()
def beside_sitecustomize(home: Path, honest: str) -> None:
    """Puts sitecustomize.py, usercustomize.py and a .pth file beside the module, which Python would run at its start.

    Expect: 127/127
    """
    module(home).write_text(honest)
    for name in ("sitecustomize.py", "usercustomize.py", "evil.pth", "__init__.py"):
        (home / ASSIGNMENT / name).write_text("import os; os._exit(0)\n")


@attack()
def beside_torch(home: Path, honest: str) -> None:
    """Puts a torch.py, a numpy folder and a builtins.py of its own beside the module.

    Expect: 127/127
    """
    module(home).write_text("import statistics\n" + honest)
    for name in (
        "torch.py",
        "numpy/__init__.py",
        "builtins.py",
        "statistics.py",
        "msgspec.py",
        "__pycache__/target.pyc",
    ):
        path = home / ASSIGNMENT / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("raise SystemExit(0)\n")


@attack()
def beside_hostile_names(home: Path, honest: str) -> None:
    """Puts files beside the module whose names are HTML, formulas, escapes, and bytes that are no text.

    Expect: 127/127
    """
    module(home).write_text(honest)
    names = (b"=1+1", b"<script>alert(1)", b"\x1b[2J", b"\xff\xfe", "‮gpj.py".encode(), b"a\nb", b"x" * 255)
    for name in names:
        Path(os.fsdecode(os.fsencode(home / ASSIGNMENT) + b"/" + name)).touch()


@attack()
def beside_old_result(home: Path, honest: str) -> None:
    """Puts results with full marks beside a module that does nothing.

    Expect: 0/127, all failed
    """
    module(home).write_text("")
    for name in ("result.json", "graded.json", "feedback.json", "grades.csv", "index.html"):
        (home / ASSIGNMENT / name).write_text('{"score": 127, "status": "graded"}')
        (home / name).write_text('{"score": 127, "status": "graded"}')


@attack()
def both_layouts(home: Path, honest: str) -> None:
    """Hands in two modules, one in each layout, so that a checker and a grader may see different ones.

    Expect: 0/127, all failed
    """
    module(home).write_text("raise RuntimeError('this one counts')")
    module(home / "assignments").write_text(honest)


# Names of students


def _named(name: str, student: str, tries: str, expect: str) -> None:
    def make(home: Path, honest: str) -> None:
        module(home).write_text(honest)

    make.__name__ = name
    make.__doc__ = f"{tries}\n\nExpect: {expect}\n"
    attack(student)(make)


_named("name_formula", "=HYPERLINK(1)", "Is called like a spreadsheet's formula.", "refused")
_named("name_plus", "+1", "Is called `+1`, which a spreadsheet takes for a formula.", "127/127")
_named("name_minus", "-x", "Is called `-x`, which a command takes for an option.", "127/127")
_named("name_at", "@SUM", "Is called `@SUM`, which a spreadsheet takes for a formula.", "127/127")
_named("name_markup", "<b onclick=alert()>", "Is called like a piece of HTML.", "refused")
_named(
    "name_line_break",
    "a\nb,77_target,graded,127",
    "Has a line break and commas in the name, to add a row to the table.",
    "refused",
)
_named("name_escape", "\x1b[2Jx", "Has a terminal escape in the name.", "refused")
_named("name_other_script", "学生", "Has a name in another script.", "refused")
_named("name_right_to_left", "ada‮gnp", "Has a name that turns the line around.", "refused")
_named("name_no_text", os.fsdecode(b"ada\xff"), "Has a name of bytes that are no text.", "refused")
_named("name_of_report", "index.html", "Is called like the class's page.", "refused")
_named("name_of_table", "Grades.CSV", "Is called like the class's table, but for capital letters.", "refused")
_named("name_of_settings", "grading.json", "Is called like the file where the grading keeps its settings.", "refused")
_named("name_very_long", "x" * 255, "Has a name as long as names can be.", "refused")
