"""Tests of what the package exports at its top: each name has a home, and is found there."""

from __future__ import annotations

import statusd
from statusd.core import errors


def test_every_public_name_is_found() -> None:
    """Whoever says `from statusd import *` loads them all."""
    found = {name: getattr(statusd, name) for name in statusd.__all__}

    assert sorted(found) == statusd.__all__
    assert {name for name in found if name != "__version__"} == set(statusd._HOMES)


def test_the_errors_to_catch_stand_at_the_top() -> None:
    """They are those that are raised, and have one ancestor."""
    assert statusd.Unavailable is errors.Unavailable
    assert statusd.ConfigError is errors.ConfigError
    assert issubclass(statusd.Unavailable, errors.StatusdError)
