"""Makes Unix sockets: a path in its own folder, an abstract name, a pair.

Expect: 127/127
"""

import socket

reach("a path socket", lambda: socket.socket(socket.AF_UNIX).bind("here"))
reach("an abstract socket", lambda: socket.socket(socket.AF_UNIX).bind("\0" + LEFT))
reach("a datagram socket", lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).bind("\0" + LEFT))
reach("a pair", socket.socketpair)
for path in ("/run/dbus/system_bus_socket", "/var/run/docker.sock", "/run/systemd/notify"):
    reach(path, lambda: socket.socket(socket.AF_UNIX).connect(path))
