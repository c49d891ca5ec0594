"""Probes: what tests ask of objects that stay on the student's side of the boundary.

A test sees plain values only. Whether a result is a memory map, what a model was called with, how much of a stream was
read: a probe, which runs beside the student's code, finds it out and tells it as a plain value. Each module here is
about one kind of thing; what its `__all__` names is there for tests as `student.library.NAME`.

Nothing in here may be trusted, and nothing in here knows an expected value. No function may import anything: in the
jail the grader's own modules cannot be found any more by the time it is called.
"""
