"""Sends something out by UDP, which Landlock does not know.

Expect: 127/127
"""

import socket

reach("UDP", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", PORT)))
reach("UDP of IPv6", lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b"x", ("::1", PORT)))
reach("names", socket.getaddrinfo, "example.com", 80)
