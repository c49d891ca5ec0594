"""Reports itself for a forbidden call whose name is a page of HTML.

Expect: 120/127, softmax forbidden
"""

import time


def softmax(x, dim):
    forge(reply(nonce(), "forbidden", f"<script>alert('{LEFT}')</script>", 10**30))
    time.sleep(0.05)
    os._exit(1)
