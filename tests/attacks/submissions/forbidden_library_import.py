"""Imports a library part.

Expect: 0/127, all forbidden
"""

from autograder.minigpt.library.attention import CausalSelfAttention  # noqa: F401
