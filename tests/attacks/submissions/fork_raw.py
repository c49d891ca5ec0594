"""Makes a process by system call number: fork, vfork, clone, clone3, execveat.

Expect: 127/127
"""


def call(*arguments):
    found = libc.syscall(*arguments)
    if found == 0:
        os._exit(0)  # we are the child
    return found


if os.uname().machine == "x86_64":
    reach("fork", call, 57)
    reach("vfork", call, 58)
    for flags in (17, 0x4000 | 0x100 | 17, 0x10000000 | 17, 0x20000000 | 17):
        reach("clone", call, 56, flags, 0, 0, 0, 0)
    reach("clone3", call, 435, (ctypes.c_uint64 * 11)(0, 0, 0, 0, 17), 88)
    reach("execve", call, 59, b"/bin/true", 0, 0)
    reach("execveat", call, 322, -100, b"/bin/true", 0, 0, 0)
