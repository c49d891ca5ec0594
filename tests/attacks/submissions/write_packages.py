"""Writes into the grader's package, site-packages and caches of compiled code.

Expect: 127/127
"""

import site


def write(path):
    with open(path, "ab") as file:
        file.write(b"")


here = os.path.dirname(os.path.dirname(wire.__file__))
for path in (
    f"{here}/grade.py",
    f"{here}/{LEFT}.py",
    f"{here}/__pycache__/{LEFT}.pyc",
    f"{here}/__pycache__/grade.cpython-311.pyc",
    *(
        f"{folder}/{name}"
        for folder in site.getsitepackages()
        for name in ("sitecustomize.py", f"{LEFT}.pth", "torch/__init__.py")
    ),
    f"{os.path.dirname(os.__file__)}/os.py",
    torch.__file__,
    sys.executable,
):
    reach(path, write, path)
