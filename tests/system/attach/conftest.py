"""Fixtures of the tests of `statusd.attach`."""

from tests.system.attach.programs import start

__all__ = ["start"]
