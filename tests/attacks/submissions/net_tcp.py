"""Sends something out by TCP, to this machine and to others.

Expect: 127/127
"""

import socket

for family, address in (
    (socket.AF_INET, ("127.0.0.1", PORT)),
    (socket.AF_INET, ("1.1.1.1", 53)),
    (socket.AF_INET6, ("::1", PORT)),
):
    reach("a TCP connection", lambda: socket.socket(family, socket.SOCK_STREAM).connect(address))
reach("create_connection", socket.create_connection, ("127.0.0.1", PORT), 0.5)
reach("a server", socket.create_server, ("127.0.0.1", 0))
