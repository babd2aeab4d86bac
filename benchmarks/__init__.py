"""The benchmarks: the real daemon beside the program that people write by hand, in the same run.

`python -m benchmarks --help` says how to run them. Absolute figures hold for one machine; what is
worth comparing between machines and versions is the ratio of two that took turns.
"""
