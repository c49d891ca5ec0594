"""Makes a process in every way that Python has.

Expect: 127/127
"""

import multiprocessing
import pty
import subprocess


def child_of(make):
    if make() == 0:
        os._exit(0)


reach("fork", child_of, os.fork)
reach("forkpty", lambda: child_of(lambda: pty.fork()[0]))
reach("posix_spawn", os.posix_spawn, "/bin/true", ["true"], {})
reach("exec", os.execv, sys.executable, [sys.executable, "-c", "pass"])
reach("system", lambda: -1 if os.system("true") else 0)
reach("subprocess", subprocess.run, ["/bin/true"])
for method in ("fork", "spawn", "forkserver"):
    reach(method, multiprocessing.get_context(method).Process(target=print).start)
