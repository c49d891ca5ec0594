"""Raises its own limits and its rank, and lowers those that do it no good.

Expect: 127/127
"""

import resource

for name in ("RLIMIT_AS", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_CPU"):
    number = getattr(resource, name)
    _, hard = resource.getrlimit(number)
    reach(name, resource.setrlimit, number, (hard + 1, hard + 1))
    reach(name, resource.setrlimit, number, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
resource.setrlimit(resource.RLIMIT_STACK, (2**20, 2**20))
for step in (-5, 19):
    reach("another place in the queue", os.nice, step)
