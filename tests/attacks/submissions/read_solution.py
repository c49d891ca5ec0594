"""Reads the reference solution, the hidden tests and every other file of the course.

Expect: 127/127
"""

for folder in ("assignments", "solutions"):
    for name in ("assignment.toml", "target.py", "test_target.py", "test_target_hidden.py"):
        steal(read, f"{COURSE}/{folder}/77_target/{name}")
        reach("a file of the course", read, f"{COURSE}/{folder}/77_target/{name}")
reach("the list of the course", os.listdir, COURSE)
