"""Leaves a few files in a folder without permissions, under names that a clean-up might use itself.

Expect: 127/127
"""

disk = os.statvfs(".")
if disk.f_blocks * disk.f_frsize <= 2**28 and (disk.f_blocks - disk.f_bfree) * disk.f_frsize > 2**22:
    spoils.append("reached: a disk that somebody else has filled")
for first in range(4):
    for second in range(4):
        os.makedirs(f"-{first}-{second}/locked/-{first}-{second}")
        with open(f"-{first}-{second}/locked/file", "wb") as file:
            file.write(bytes(2**19))
        for path in (f"-{first}-{second}/locked", f"-{first}-{second}"):
            try:
                os.chmod(path, 0)
            except OSError:
                pass
