"""Replaces the worker's calls, so that each gives a value of its choice.

Expect: 0/127, all failed
"""

worker = sys._getframe(1).f_locals["self"]
worker.op_call = worker.op_call_named = lambda *arguments: torch.full((3, 4), 0.25)
