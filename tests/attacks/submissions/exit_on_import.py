"""Ends the process with exit code 0 when it is imported.

Expect: 0/127, all crashed
"""

os._exit(0)
