"""Sends open files along with its replies, to use up the grader's descriptors.

Expect: 127/127
"""

import array
import socket

line = socket.socket(fileno=os.dup(3))
open_files = [os.open(os.devnull, os.O_RDONLY) for _ in range(100)]


def softmax(x, dim):
    try:
        data = reply(nonce(), "value", honest_softmax(x, dim))
    except ValueError as error:
        data = reply(nonce(), "raised", "ValueError", "ValueError", str(error), None)
    line.sendmsg(
        [wire.LENGTH.pack(len(data)) + data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", open_files))]
    )
    wire.send_frame = only_this_once_do_not
    return 0


send_frame = wire.send_frame


def only_this_once_do_not(*arguments):
    wire.send_frame = send_frame
