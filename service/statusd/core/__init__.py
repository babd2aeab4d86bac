"""The pure core: what a status is and what follows from what happened.

Nothing here may do I/O, read a clock, draw a random number by itself, log, or import anything but
the standard library's pure parts and ``transitions``. A test walks the imports.
"""
