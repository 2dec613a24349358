"""Real processes, killed, frozen and cut off: no accepted job is lost, none is paid for twice.

A short form of every scenario runs with all tests; `make chaos` runs the long form.
"""
