"""Replaces the worker's own answer by one that says True to everything.

Expect: 0/127, all crashed
"""

worker = sys._getframe(1).f_locals["self"]
worker._answer = lambda request: {"status": "value", "value": True}
