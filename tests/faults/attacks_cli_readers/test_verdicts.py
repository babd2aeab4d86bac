"""Readers judge record by record, and believe no server: verdicts."""

from __future__ import annotations

import pytest

from statusd import Fleet
from tests.faults.attacks_cli_readers.readers import BAD_DOCUMENTS, DEEP, run
from tests.faults.test_attacks_cli import BOOT, answering
from tests.tools import Broker


@pytest.mark.fault("X21")
@pytest.mark.parametrize("what", ["no JSON", "deep", "tags that are numbers"])
def test_send_waits_for_the_good_and_misses_the_bad(
    what: str, broker: Broker, fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who can't be read may have been meant: it is silent by name, whatever was asked for."""
    broker.client().set("statusd:status:{bad}", BAD_DOCUMENTS[what])
    verdict = {"verdict": "done", "name": "good", "boot": BOOT, "state": "PAUSED"}

    with answering(broker, verdict):
        code, said, _ = run(
            capsys, broker, "send", "pause", "--wait", "--timeout", "1", "--tag", "a"
        )

    rows = [row.split() for row in said.splitlines()]
    assert code == 4
    assert rows[0][:2] == ["good", "done"]
    assert rows[1][:2] == ["bad", "silent"]
    assert "its status document" in said


VERDICTS = {
    **{"no JSON": b"{", "nothing": b"", "deep": DEEP.encode(), "a list": b"[]", "bytes": b"\xff"},
    "a boot that is a text": b'{"id": "$id", "name": "good", "verdict": "done", "boot": "x"}',
    "a verdict that is a list": b'{"id": "$id", "name": "good", "verdict": ["done"]}',
    "a name that is a list": b'{"id": "$id", "name": ["good"], "verdict": "done"}',
    "an id that is a list": b'{"id": ["$id"], "name": "good", "verdict": "done"}',
    "allowed that is a number": b'{"id":"$id","name":"good","verdict":"refused","allowed":[1]}',
    "a huge count": b'{"id":"$id","name":"good","verdict":"done","count":1e999}',
    "not a number": b'{"id":"$id","name":"good","verdict":"done","ms":NaN}',
}


@pytest.mark.fault("X21")
@pytest.mark.parametrize("what", VERDICTS)
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_one_bad_verdict_is_nobodys(
    what: str,
    options: list[str],
    broker: Broker,
    fleet: Fleet,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The good one that follows counts; without one, the unit is silent."""
    words = ("send", "pause", "--wait", "--timeout", "1", "--name", "good", *options)
    verdict = {"verdict": "done", "name": "good", "boot": BOOT, "state": "PAUSED"}

    with answering(broker, VERDICTS[what], verdict):
        answered = run(capsys, broker, *words)
    with answering(broker, VERDICTS[what]):
        unanswered = run(capsys, broker, *words)

    assert (answered[0], unanswered[0]) == (0, 4)
    assert "silent" in unanswered[1]
