"""Makes a file of 100 GB without writing it: by truncate and by fallocate.

Expect: 127/127
"""


def make(how):
    with open("sparse", "wb") as file:
        how(file)


reach("truncate", make, lambda file: file.truncate(10**11))
reach("posix_fallocate", make, lambda file: os.posix_fallocate(file.fileno(), 0, 10**11))
reach("seek and write", make, lambda file: (file.seek(10**11), file.write(b"x"), file.flush()))
