"""Looks for the grader's arguments, in its own and in those of every process it knows of.

Expect: 127/127
"""

steal(lambda: (sys.argv, sys.orig_argv))
for process in ("self", 1, os.getppid(), GRADER, *range(2, 400)):
    steal(read, f"/proc/{process}/cmdline")
