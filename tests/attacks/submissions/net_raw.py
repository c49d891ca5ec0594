"""Makes raw, packet, netlink, vsock and kernel crypto sockets.

Expect: 127/127
"""

import socket

for family, kind, protocol in (
    (2, 3, 1),
    (17, 3, 0x300),
    (16, 3, 0),
    (16, 3, 9),
    (40, 1, 0),
    (38, 5, 0),
    (44, 3, 0),
    (1, 5, 0),
):
    reach(f"a socket of family {family}", socket.socket, family, kind, protocol)
