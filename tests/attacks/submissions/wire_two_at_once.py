"""Writes the right reply and a second one in a single write.

Expect: 120/127, softmax crashed
"""

import time


def softmax(x, dim):
    data = reply(nonce(), "value", honest_softmax(x, dim))
    os.write(3, 2 * (wire.LENGTH.pack(len(data)) + data))
    time.sleep(0.9)
