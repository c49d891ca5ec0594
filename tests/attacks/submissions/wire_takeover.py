"""Takes the line over: reads the grader's questions itself and answers each with a guess.

Expect: 0/127, all failed
"""

import socket


def softmax(x, dim):
    line = socket.socket(fileno=os.dup(3))
    answer = (nonce(), "value", torch.full_like(x, 0.25))
    while True:
        wire.send(line, answer)
        answer = (wire.receive(line)[0], "value", False)
