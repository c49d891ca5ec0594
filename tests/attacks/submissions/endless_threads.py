"""Leaves threads behind that never end, daemons and others.

Expect: 127/127
"""

import threading
import time


def busy():
    while True:
        time.sleep(0)


for daemon in (True, False):
    threading.Thread(target=busy, daemon=daemon).start()
