"""Changes the permissions, owners, times and attributes of files that are not its own.

Expect: 127/127
"""


def changes(path, change):
    """Whether the file is another afterwards: a refusal may be an error, or silence."""
    before = os.stat(path)
    try:
        change(path)
    except OSError:
        pass
    after = os.stat(path)
    return (
        0
        if (before.st_mode, before.st_uid, before.st_mtime_ns) != (after.st_mode, after.st_uid, after.st_mtime_ns)
        else -1
    )


def number(call, *arguments):
    return lambda path: libc.syscall(call, -100, path.encode(), *arguments) if os.uname().machine == "x86_64" else None


for path in (
    COURSE,
    f"{COURSE}/solutions/77_target/test_target_hidden.py",
    SUBMISSIONS,
    f"{SUBMISSIONS}/victim",
    LOOSE,
    OUT,
    f"{OUT}/bin",
):
    for change in (
        lambda path: os.chmod(path, 0o777),
        lambda path: os.utime(path, (1, 1)),
        lambda path: os.chown(path, 1, 1),
        number(268, 0o777),
        number(452, 0o777, 0),
        number(260, 1, 1, 0),
    ):
        reach(f"the permissions of {path}", changes, path, change)
for path in (COURSE, sys.executable, os.path.realpath(sys.executable), os.path.dirname(os.__file__)):
    for name in ("user.left", "security.left", "trusted.left"):
        reach(f"an attribute of {path}", lambda: os.setxattr(path, name, b"x") or os.getxattr(path, name))
    if os.uname().machine == "x86_64":
        value = (ctypes.c_uint64 * 2)(ctypes.addressof(ctypes.create_string_buffer(b"x")), 1)
        libc.syscall(463, -100, path.encode(), 0, b"user.left", value, 16)
        reach(f"an attribute of {path}", os.getxattr, path, "user.left")
