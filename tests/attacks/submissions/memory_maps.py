"""Maps 100 GB of memory: shared, private, or without a promise that it is there.

Expect: 127/127
"""

import mmap

for flags in (
    mmap.MAP_SHARED | mmap.MAP_ANONYMOUS,
    mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS,
    mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000,
):
    reach("a map of 100 GB", mmap.mmap, -1, 10**11, flags)
