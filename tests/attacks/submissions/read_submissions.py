"""Reads what other students handed in, and the results that are there already.

Expect: 127/127
"""

steal(read, f"{SUBMISSIONS}/victim/77_target/target.py")
reach("another student's file", read, f"{SUBMISSIONS}/0_honest/77_target/target.py")
reach("the class's list", os.listdir, SUBMISSIONS)
for tier in ("bwrap", "landlock"):
    reach("a result", read, f"{OUT}/class-{tier}/0_honest/77_target/result.json")
