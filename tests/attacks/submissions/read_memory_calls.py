"""Reads the memory of other processes by process_vm_readv and ptrace.

Expect: 127/127
"""

buffer = ctypes.create_string_buffer(64)
vector = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 64)
there = (ctypes.c_void_p * 2)(0x400000, 64)
for process in (1, os.getppid(), GRADER):
    reach("process_vm_readv", libc.process_vm_readv, process, vector, 1, there, 1, 0)
    reach("process_vm_writev", libc.process_vm_writev, process, vector, 1, there, 1, 0)
    for request in (16, 0x4206, 0):  # attach, seize, trace me
        reach("ptrace", libc.ptrace, request, process, 0, 0)
