"""Leaves System V shared memory, semaphores and queues, and POSIX message queues.

Expect: 127/127
"""

key = int(LEFT.rpartition("-")[2], 16) & 0x7FFFFFFF
reach("shmget", libc.shmget, key, 4096, 0o1600)
reach("semget", libc.semget, key, 1, 0o1600)
reach("msgget", libc.msgget, key, 0o1600)
reach("mq_open", lambda: ctypes.CDLL("librt.so.1").mq_open(f"/{LEFT}".encode(), 0o102, 0o600, None))
