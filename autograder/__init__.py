"""MiniGPT coursework: the autograder, and the chassis that a student's parts are plugged into."""

__version__ = "0.1.0"
