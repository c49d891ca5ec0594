"""Turns off the garbage collector, thread switches and tracing, and hooks every event.

Expect: 127/127
"""

import gc

gc.disable()
gc.callbacks.append(lambda *arguments: None)
sys.setswitchinterval(100)
sys.settrace(lambda *arguments: None)
sys.addaudithook(lambda *arguments: None)
sys.excepthook = sys.unraisablehook = lambda *arguments: None
sys.stdout = sys.stderr = None
sys.path[:] = []
sys.meta_path.clear()
