"""Writes 10 GB to the standard output, the standard error and below Python.

Expect: 127/127
"""

megabyte = bytes(2**20)
for _ in range(3500):
    for number in (1, 2):
        os.write(number, megabyte)
sys.stdout.write("x" * 10**7)
sys.stderr.write("x" * 10**7)
libc.puts(b"x" * 10**7)
