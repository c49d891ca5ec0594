"""Hangs up on the grader's line, in one direction or both, and goes on.

Expect: 0/127, softmax crashed, tally crashed or timeout, words crashed
"""

import socket
import time

line = socket.socket(fileno=os.dup(3))


def softmax(x, dim):
    line.shutdown(socket.SHUT_WR)
    time.sleep(10**6)


class Tally:
    def __init__(self):
        line.shutdown(socket.SHUT_RDWR)
        time.sleep(10**6)


def count_words(text):
    line.shutdown(socket.SHUT_RD)
    return {}
