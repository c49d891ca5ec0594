"""Makes a second socket of its line to the grader: reconnects, rebinds, accepts on it.

Expect: 127/127
"""

import socket

line = socket.socket(fileno=os.dup(3))
reach("connect", line.connect, "\0" + LEFT)
reach("bind", line.bind, "\0" + LEFT)
reach("listen", line.listen, 1)
reach("accept", lambda: (line.setblocking(False), line.accept()))
line.setblocking(True)
