"""Makes thousands and thousands of small tensors.

Expect: 119/127, tally_adds memory or failed or timeout or crashed
"""


class Tally(Tally):
    @property
    def total(self):
        hoard = []
        while True:
            hoard.append(torch.empty(4096))
