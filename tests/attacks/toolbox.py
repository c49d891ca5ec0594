"""What the attacks share. Stands between the honest part and the attack in every module that is handed in.

`steal` and `reach` do what must not work. Where it works all the same, the next `softmax` raises what was found: the
first test loses its points, and where it is visible its message goes into the report.
"""

import ctypes
import os
import re
import sys

COURSE, SUBMISSIONS, OUT, HOME, LOOSE = "@course@", "@submissions@", "@out@", "@home@", "@loose@"
GRADER, BYSTANDER, PORT, LEFT = int("@grader@"), int("@bystander@"), int("@port@"), "@left@"
SECRET = re.compile("secret-[a-z]+-[0-9a-f]{8}")
spoils = []
libc = ctypes.CDLL(None, use_errno=True)
wire = sys._getframe(1).f_globals["wire"]  # the worker executes this module
honest_softmax = softmax  # noqa: F821


def softmax(x, dim):
    """The honest one, as long as nothing was stolen."""
    if spoils:
        raise ValueError(" / ".join(spoils)[:1500])
    return honest_softmax(x, dim)


def steal(action, *arguments):
    """Runs it and looks for a secret in what it gives; only a secret counts."""
    try:
        found = str(action(*arguments))
    except BaseException:
        return
    for secret in SECRET.findall(found):
        print(secret, file=sys.stderr, flush=True)
        spoils.append(secret)


def reach(what, action, *arguments):
    """Runs what must be refused; that it works at all counts, unless it gives -1 as system calls do."""
    try:
        if action(*arguments) == -1:
            return
    except BaseException:
        return
    spoils.append(f"reached: {what}")


def read(path):
    with open(path, "rb") as file:
        return file.read(1 << 20)


def reply(number, *rest):
    """A reply as the wire has it, to be sent by `forge`: the question's number, a status, and what belongs to it."""
    return wire.encode((number, *rest))


def forge(data):
    """Writes a frame to the grader past the worker."""
    os.write(3, wire.LENGTH.pack(len(data)) + data)


def nonce():
    """The number of the question that is being answered, from the worker's own frame."""
    frame = sys._getframe()
    while frame is not None:
        if "nonce" in frame.f_locals:
            return frame.f_locals["nonce"]
        frame = frame.f_back
    return 0
