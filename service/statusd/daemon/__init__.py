"""The daemon: the pure core's hands and ears."""
