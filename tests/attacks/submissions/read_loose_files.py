"""Reads files in /tmp, in the grader's home folder and elsewhere, and lists what there is.

Expect: 127/127
"""

for path in (LOOSE, f"{HOME}/diary.txt", "/root/.bashrc", "/etc/passwd", "/etc/shadow", "/etc/hostname"):
    steal(read, path)
    reach(path, read, path)
for folder in ("/", "/tmp", "/home", "/root", "/etc", "/var/tmp", "/dev/shm", HOME, os.path.dirname(os.getcwd())):
    reach(f"the list of {folder}", os.listdir, folder)
