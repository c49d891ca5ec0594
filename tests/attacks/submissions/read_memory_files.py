"""Opens memory, maps and descriptors of itself, its parent, process 1 and the grader.

Expect: 127/127
"""

for process in ("self", 1, os.getppid(), GRADER):
    for name in ("mem", "maps", "smaps", "pagemap", "auxv", "stack", "status", "stat"):
        reach(f"{name} of {process}", read, f"/proc/{process}/{name}")
    for folder in ("", "fd", "task", "root", "map_files", "ns"):
        reach(f"{folder} of {process}", os.listdir, f"/proc/{process}/{folder}")
