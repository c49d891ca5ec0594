"""Sends signals to its parent, its group, process 1, the grader and everybody.

Expect: 127/127
"""

import signal

for process in (0, -1, 1, os.getppid(), GRADER, -os.getppid(), -GRADER):
    reach(f"signal {process}", os.kill, process, signal.SIGTERM)
    reach(f"signal {process}", os.kill, process, 0)
reach("killpg", os.killpg, 0, signal.SIGTERM)
reach("pidfd_open", os.pidfd_open, os.getppid())
reach("sigqueue", libc.sigqueue, os.getppid(), 15, None)
reach("owner of a signal", lambda: __import__("fcntl").fcntl(3, 8, GRADER) or -1)
