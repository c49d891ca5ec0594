"""The value boundary and the jail: student code runs in a process of its own, and only values cross.

`wire.py` is the format, `client.py` the trusted side, `zygote.py` and `worker.py` the other side, `isolation.py` and
`confine.py` the walls.
"""
