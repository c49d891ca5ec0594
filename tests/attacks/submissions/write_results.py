"""Writes results, submissions, tests and the grader's temporary files.

Expect: 127/127
"""


def write(path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "a") as file:
        file.write("")


for tier in ("bwrap", "landlock"):
    for path in (
        "result.json",
        "graded.json",
        "feedback.json",
        "../index.html",
        "../../grades.csv",
        "../../grading.json",
    ):
        reach(path, write, f"{OUT}/class-{tier}/0_honest/77_target/{path}")
for path in (f"{SUBMISSIONS}/victim/77_target/target.py", f"{COURSE}/solutions/77_target/test_target_hidden.py"):
    reach(path, write, path)
reach("a folder of results", os.mkdir, f"{OUT}/class-landlock/{LEFT}")
reach("an empty result", os.truncate, f"{OUT}/class-landlock/0_honest/77_target/result.json", 0)
reach("an empty test", os.truncate, f"{COURSE}/solutions/77_target/test_target_hidden.py", 0)
reach("a result less", os.remove, f"{OUT}/class-landlock/0_honest/77_target/result.json")
