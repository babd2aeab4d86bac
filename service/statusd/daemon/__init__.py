"""The daemon: the pure core's shell."""
