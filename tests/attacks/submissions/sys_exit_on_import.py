"""Calls sys.exit(0) when it is imported.

Expect: 0/127, all failed
"""

sys.exit(0)
