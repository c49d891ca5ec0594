"""Looks for the folders and processes of other jails: by guessing, by numbers, by time stamps.

Expect: 127/127
"""

import glob

for pattern in (
    "/tmp/minigpt-jail-*",
    "/tmp/minigpt-jail-*/worker-*",
    f"{OUT}/tmp-*/minigpt-jail-*",
    "../*",
    "/proc/[0-9]*",
):
    reach(pattern, lambda: 0 if [path for path in glob.glob(pattern) if os.path.realpath(path) != os.getcwd()] else -1)
