"""Makes links, pipes, devices and sockets in its own folder, and renames the folder away.

Expect: 127/127
"""

import stat

reach("a symbolic link", os.symlink, "/", "link")
reach("a hard link to Python", os.link, sys.executable, "python")
reach("a pipe", os.mkfifo, "pipe")
for kind in (stat.S_IFCHR, stat.S_IFBLK):
    reach("a device", os.mknod, "device", 0o666 | kind, os.makedev(1, 1))
reach("its own folder", os.rename, os.getcwd(), f"../{LEFT}")
reach("its own folder", os.rmdir, os.getcwd())
