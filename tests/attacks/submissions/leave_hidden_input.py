"""Keeps the input of a hidden test in files, modules and the environment, for whoever comes next.

Expect: 127/127
"""

import builtins
import socket

PATHS = ("kept", f"/tmp/{LEFT}", f"/dev/shm/{LEFT}", f"{HOME}/{LEFT}", os.path.join(os.path.dirname(os.__file__), LEFT))
for path in PATHS:
    reach(f"what was kept in {path}", read, path)
for owner in (builtins, sys, os, torch, wire, socket.socket):
    reach(f"what was kept in {owner}", getattr, owner, "kept")
steal(lambda: os.environ["kept"])


class Tally(Tally):
    def add(self, word, times=1):
        if SECRET.search(word):
            for owner in (builtins, sys, os, torch, wire):
                owner.kept = word
            os.environ["kept"] = word
            for path in PATHS:
                try:
                    open(path, "w").write(word)
                except OSError:
                    pass
        return super().add(word, times)
