"""Replaces the encoder of the wire, so that every reply is the same bytes.

Expect: 0/127, all crashed
"""

wire.encode = lambda value: b"\xc0"
