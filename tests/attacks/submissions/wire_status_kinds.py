"""Says that builtins were raised that are no exceptions: exec, object, BaseException, ExceptionGroup.

Expect: 0/127, softmax failed, tally failed, words failed or crashed
"""

import time


def send(kind):
    forge(reply(nonce(), "raised", kind, "N", "__import__('os').abort()", 1))
    time.sleep(0.05)
    os._exit(1)


def softmax(x, dim):
    send("exec" if x.dim() == 2 else "BaseException")


class Tally:
    def __init__(self):
        send("ExceptionGroup")


def count_words(text):
    send("\ud800")
