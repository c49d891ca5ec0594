"""Leaves shared memory: in /dev/shm, by multiprocessing, shm_open and sem_open.

Expect: 127/127
"""

from multiprocessing import shared_memory

reach("/dev/shm", lambda: open(f"/dev/shm/{LEFT}", "w"))
reach("shared_memory", lambda: shared_memory.SharedMemory(LEFT, create=True, size=4096))
reach("shm_open", lambda: libc.shm_open(LEFT.encode(), 0o102, 0o600))
libc.sem_open.restype = ctypes.c_void_p
reach("sem_open", lambda: -1 if libc.sem_open(LEFT.encode(), 0o100, 0o600, 1) is None else 0)
