"""Leaves by unshare, setns, chroot, mount and pivot_root, or becomes another user.

Expect: 127/127
"""

for flags in (0x10000000, 0x20000, 0x40000000, 0x20000000, 0x8000000):
    reach("unshare", libc.unshare, flags)
reach("setns", libc.setns, 0, 0)
reach("chroot", os.chroot, ".")
reach("mount", libc.mount, b"none", b".", b"tmpfs", 0, None)
reach("umount", libc.umount2, b"/tmp", 2)
reach("sethostname", libc.sethostname, b"x", 1)
for user in (1000, 65533):
    reach("setuid", os.setuid, user)
    reach("setresgid", os.setresgid, user, user, user)
