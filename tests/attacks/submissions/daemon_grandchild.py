"""Leaves a sleeping grandchild behind, which has a session of its own.

Expect: 127/127
"""


def daemon():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            libc.prctl(15, LEFT.encode(), 0, 0, 0)
            __import__("time").sleep(3600)
        os._exit(0)


reach("a daemon", daemon)
