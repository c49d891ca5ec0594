"""Never comes to the end of its own import.

Expect: 0/127, all timeout
"""

import time

time.sleep(10**6)
