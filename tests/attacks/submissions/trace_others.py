"""Traces, compares and advises other processes, and turns the kernel's knobs.

Expect: 127/127
"""

for name, number in {
    "kcmp": 312,
    "process_madvise": 440,
    "pidfd_getfd": 438,
    "perf_event_open": 298,
    "bpf": 321,
    "userfaultfd": 323,
    "io_uring_setup": 425,
    "keyctl": 250,
    "add_key": 248,
}.items():
    if os.uname().machine == "x86_64":
        reach(name, libc.syscall, number, os.getppid(), 0, 0, 0, 0)
reach("prlimit of the parent", lambda: __import__("resource").prlimit(os.getppid(), 7))
reach("affinity of the grader", os.sched_setaffinity, GRADER, {0})
reach("priority of the grader", os.setpriority, os.PRIO_PROCESS, GRADER, 19)
