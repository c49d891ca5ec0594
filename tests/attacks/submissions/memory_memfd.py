"""Puts 400 MB into files that live in memory alone.

Expect: 127/127
"""


def hide():
    for number in range(50):
        descriptor = os.memfd_create(f"{LEFT}-{number}")
        os.write(descriptor, bytes(2**23))


reach("memfd", hide)
