"""Leaves files in /tmp, /var/tmp, /dev, the home folder and beside its own folder.

Expect: 127/127
"""

for folder in ("/tmp", "/var/tmp", "/dev", "/dev/mqueue", "/run", HOME, "/", os.path.dirname(os.getcwd())):
    reach(folder, lambda: open(f"{folder}/{LEFT}", "x"))
    reach(folder, os.mkdir, f"{folder}/{LEFT}.d")
