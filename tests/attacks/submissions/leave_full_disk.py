"""Fills its disk with many files, each below the limit of one, and locks the folder.

Expect: 120/127, softmax crashed
"""

import time

disk = os.statvfs(".")
if disk.f_blocks * disk.f_frsize <= 2**28 and (disk.f_blocks - disk.f_bfree) * disk.f_frsize > 2**22:
    spoils.append("reached: a disk that somebody else has filled")


def softmax(x, dim):
    os.makedirs("locked/-1-0")
    for number in range(8):
        with open(f"locked/-1-0/{number}", "wb") as file:
            file.write(bytes(2**23))
    for path in ("locked/-1-0", "locked"):
        try:
            os.chmod(path, 0)
        except OSError:
            pass
    time.sleep(0.9)
