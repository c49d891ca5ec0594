"""Sets LD_PRELOAD, PYTHONPATH and PYTHONSTARTUP for whoever is started next.

Expect: 127/127
"""

open("evil.so", "w").close()
for name in (
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONHOME",
    "PYTEST_ADDOPTS",
    "PYTEST_PLUGINS",
):
    os.environ[name] = os.path.abspath("evil.so")
    libc.setenv(name.encode(), os.path.abspath("evil.so").encode(), 1)
