"""What `attach` makes of its arguments, before anything is started."""

from __future__ import annotations

import enum
import sys
from typing import Any

import pytest

from statusd.worker.attach import AttachError, _lifecycle, _own_name, attach


class Listener(enum.Enum):
    """The states of most hand-written listeners."""

    INIT = 0
    READY = 1
    RUNNING = 2
    PAUSED = 3
    END = 4


class Scan(enum.Enum):
    """Somebody's own."""

    INIT = "i"
    IDLE = "d"
    END = "e"


def test_an_enum_of_the_built_in_names_needs_no_more() -> None:
    """The lifecycle stays the built-in one, and the state is a member of the Enum."""
    assert _lifecycle(Listener, None) == (Listener, {})


@pytest.mark.parametrize("states", [Scan, list(Scan), [Scan.INIT, {"name": Scan.IDLE}, "END"]])
def test_states_go_by_their_names(states: Any) -> None:
    """In lists and tables, as sources and targets; the Enum is found wherever it is."""
    own, chosen = _lifecycle(states, [{"trigger": "ready", "source": Scan.INIT, "dest": Scan.IDLE}])

    assert own is Scan
    names = [state["name"] if isinstance(state, dict) else state for state in chosen["states"]]
    assert names == ["INIT", "IDLE", "END"]
    assert chosen["transitions"] == [{"trigger": "ready", "source": "INIT", "dest": "IDLE"}]


def test_no_states_are_the_built_in_ones() -> None:
    """Nor is an Enum needed."""
    assert _lifecycle(None, None) == (None, {})


def test_code_is_not_told() -> None:
    """A condition is run by the daemon, which has to find it by its name."""
    way = {"trigger": "ready", "source": "INIT", "dest": "IDLE", "conditions": [print]}

    with pytest.raises(AttachError, match='write "module:name"'):
        _lifecycle(Scan, [way])


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["/home/me/my scan.py", "x"], "my-scan@"),
        (["-c"], "python@"),
        ([""], "python@"),
        (["/usr/bin/tool"], "tool@"),
        ([], "python@"),
    ],
)
def test_a_program_goes_by_its_own_name(
    argv: list[str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the host's, so that two machines don't quarrel."""
    monkeypatch.setattr(sys, "argv", argv)

    assert _own_name().startswith(name)


@pytest.mark.fault("J26")
def test_a_program_without_an_interpreter_is_told_to_name_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in programs that have Python inside: `sys.executable` says nothing there."""
    monkeypatch.setattr(sys, "executable", "")

    with pytest.raises(AttachError, match="python="):
        attach("mychannel")
