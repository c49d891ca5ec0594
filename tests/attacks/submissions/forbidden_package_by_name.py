"""Imports other people's packages by made-up names: a tokenizer, the wire's own library.

Expect: 127/127
"""

import importlib

for name in ("tik" + "token", "msg" + "spec", "land" + "lock", "nb" + "grader"):
    reach(name, importlib.import_module, name)
    reach(name, __import__, name)
    reach(name, sys.modules.__getitem__, name)
