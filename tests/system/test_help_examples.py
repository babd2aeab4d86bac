"""What the help shows to be typed fits what comes out: `... --json | jq '...'`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from statusd.cli import VERBS
from tests.system.commands import statusd
from tests.tools import Broker

EXAMPLE = re.compile(r"^ *statusd (\S+) .*--json.*\| jq (?:-c )?'([^']*)'$", re.MULTILINE)


def examples() -> list[tuple[str, str]]:
    """Return verb and filter of each example in a verb's help."""
    helps = [statusd(verb, "--help", env={"COLUMNS": "200"}).stdout for verb in VERBS]
    return [found for text in helps for found in EXAMPLE.findall(text)]


def followed(path: str, value: Any) -> list[Any]:
    """Return what the first path of a filter finds (``.units[].link``), a missing key as None.

    Raises:
        AssertionError: it asks for something that such a value can't have.
    """
    found = [value]
    for key, each in re.findall(r"\.(\w+)|(\[\])", path):
        if each:
            assert all(isinstance(one, list) for one in found), path
            found = [inner for one in found for inner in one]
        else:
            assert all(isinstance(one, dict) for one in found), path
            found = [one.get(key) for one in found]
    return found


def test_what_is_shown_to_jq_has_that_shape(broker: Broker, tmp_path: Path) -> None:
    """A list is gone through as one, and a key is looked for in an object."""
    entry = {"boot": 5, "left": False, "seen": ""}
    broker.client().hset("statusd:roster", "a", json.dumps(entry))
    env = {
        "STATUSD_REDIS__URL": broker.url,
        "XDG_RUNTIME_DIR": str(tmp_path),
        "STATUSD_STATE_DIRECTORY": str(tmp_path),
    }
    shown = [(verb, path) for verb, path in examples() if not path.startswith("[")]

    for verb, path in shown:
        told = json.loads(statusd(verb, "--json", cwd=tmp_path, env=env).stdout)
        followed(path.partition("|")[0], told)

    assert {verb for verb, _ in shown} >= {"doctor", "health", "status"}


@pytest.mark.parametrize("path", [".findings[]", "[]", ".[].level"])
def test_the_shape_is_looked_at(path: str) -> None:
    """A test that lets everything pass would hold for everything."""
    with pytest.raises(AssertionError):
        followed(path, {"level": 1} if path == "[]" else [["x"]])
