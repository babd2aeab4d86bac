"""Readers judge record by record, and believe no server: a server that lies."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from statusd import Fleet
from statusd.cli import main
from statusd.core.errors import ConfigError, Unavailable
from statusd.wire.client import Client
from statusd.wire.reach import find
from statusd.wire.url import parse_url
from tests.tools.impostor import HELLO, Impostor

REPLIES = {
    **{"null": b"_\r\n", "null string": b"$-1\r\n", "null list": b"*-1\r\n", "true": b"#t\r\n"},
    **{"false": b"#f\r\n", "zero": b":0\r\n", "negative": b":-5\r\n", "double": b",1.5\r\n"},
    **{"infinity": b",inf\r\n", "nan": b",nan\r\n", "empty": b"$0\r\n\r\n", "text": b"+OK\r\n"},
    **{"bytes": b"$2\r\n\xff\xfe\r\n", "verbatim": b"=7\r\ntxt:abc\r\n", "list": b"*0\r\n"},
    "large number": b"(99999999999999999999999999\r\n",
    "huge number": b"(" + b"9" * 5000 + b"\r\n",
    "too large an integer": b":99999999999999999999999\r\n",
    "list of lists": b"*2\r\n*1\r\n:1\r\n*0\r\n",
    "list of nulls": b"*2\r\n_\r\n_\r\n",
    "list of numbers": b"*2\r\n:1\r\n:2\r\n",
    "list of texts": b"*2\r\n+a\r\n+b\r\n",
    "list of three": b"*3\r\n+a\r\n+b\r\n+c\r\n",
    "list with an error": b"*1\r\n-ERR inside\r\n",
    "entries without fields": b"*1\r\n*2\r\n+1-1\r\n*1\r\n+event\r\n",
    "entries without ids": b"*1\r\n*2\r\n+x\r\n*2\r\n+event\r\n+{}\r\n",
    "deep": b"*1\r\n" * 50 + b":1\r\n",
    "set": b"~1\r\n*0\r\n",
    "map": b"%1\r\n+a\r\n+b\r\n",
    "map of numbers": b"%1\r\n:1\r\n:2\r\n",
    "map of maps": b"%1\r\n+a\r\n%1\r\n+b\r\n:1\r\n",
    "map with a list for a key": b"%1\r\n*0\r\n+a\r\n",
    "map with an error for a key": b"%1\r\n-ERR a\r\n+b\r\n",
    "attribute": b"|1\r\n+a\r\n+b\r\n+c\r\n",
    "blob error": b"!5\r\nERR x\r\n",
    "error": b"-ERR \xff\xfe\r\n",
    "empty error": b"-\r\n",
    "empty push": b">0\r\n+OK\r\n",
    "push of nulls": b">3\r\n_\r\n_\r\n_\r\n+OK\r\n",
    "push of lists": b">2\r\n*0\r\n*0\r\n+OK\r\n",
    "push of numbers": b">3\r\n:1\r\n:1\r\n:1\r\n+OK\r\n",
    "push of a message": b">3\r\n+message\r\n+x\r\n_\r\n+OK\r\n",
    "no RESP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "out of range": b"*9999999999\r\n",
}
"""Well-formed RESP3 that is no answer to anything, and what is none."""

VERBS = [
    ["status"],
    ["status", "x", "--forget"],
    ["send", "pause"],
    ["send", "pause", "--expires", "1m"],
    ["send", "pause", "--durable"],
    ["send", "pause", "--wait", "--timeout", "0.2"],
    ["send", "pause", "--dry-run"],
    ["history", "x"],
    ["graph", "--unit", "x"],
]


@pytest.mark.fault("X20")
@pytest.mark.parametrize("greets", [True, False], ids=["greets", "doesn't greet"])
@pytest.mark.parametrize("reply", REPLIES)
def test_no_reply_is_too_odd(
    reply: str, greets: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every verb says in a line what is wrong, 69, or takes it for what it is; no traceback."""
    monkeypatch.setenv("STATUSD_REDIS__NAMESPACE", "statusd")
    with Impostor(lambda words: answer(words, REPLIES[reply], greets=greets)) as liar:
        for verb in VERBS:
            code = main([*verb, "--url", liar.url])

            said = capsys.readouterr()
            assert code in ((0, 5, 69, 78) if greets else (69,)), (verb, said)
            assert "Traceback" not in said.err
            assert code == 0 or len(said.err.splitlines()) == 1
        code = main(["completion", "--list", "names"])


def answer(words: list[str], reply: bytes, *, greets: bool) -> bytes:
    """Greet as a broker does, if asked for; anything else gets ``reply``."""
    if words[0] == "HELLO" and greets:
        return HELLO
    return b"+OK\r\n" if words[0] in ("CLIENT", "SELECT") and greets else reply


@pytest.mark.fault("X20")
@pytest.mark.parametrize("reply", REPLIES)
def test_a_fleet_raises_what_it_says(reply: str) -> None:
    """`Unavailable`, and nothing else; a watcher goes on."""
    with Impostor(lambda words: answer(words, REPLIES[reply], greets=True)) as liar:
        fleet = Fleet(liar.url, timeout_s=0.5)
        watchers = [fleet.watch(), fleet.watch(since={"x": "1-1"})]
        said = []
        calls: list[Callable[[], object]] = [
            fleet.status,
            lambda: fleet.history("x"),
            lambda: fleet.forget("x"),
            lambda: fleet.send("pause", timeout_s=0.1),
            lambda: fleet.send("pause", durable=True, expires_s=5, timeout_s=0.1),
            watchers[0].poll,
            watchers[1].poll,
        ]
        for call in calls:
            try:
                call()
            except (Unavailable, ConfigError) as error:
                said.append(str(error))
        fleet.close()
        for watcher in watchers:
            watcher.close()
    assert [text for text in said if not text.isprintable()] == []


@pytest.mark.fault("X20")
@pytest.mark.parametrize("reply", REPLIES)
def test_the_doctor_survives_any_reply(
    reply: str, capsys: pytest.CaptureFixture[str], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is what is called when something is wrong."""
    monkeypatch.setenv("STATUSD_STATE_DIRECTORY", str(tmp_path))
    with Impostor(lambda words: answer(words, REPLIES[reply], greets=True)) as liar:
        file = tmp_path / "job.toml"
        file.write_text(
            f'name = "x"\ncontrol.channels = ["a"]\nworker.command = ["true"]\n'
            f'redis.url = "{liar.url}"\n'
        )

        code = main(["doctor", str(file)])

    said = capsys.readouterr()
    assert code in (0, 1)
    assert "Traceback" not in said.err
    assert said.out.replace("\n", "").isprintable()


@pytest.mark.fault("X20")
@pytest.mark.parametrize("reply", REPLIES)
def test_a_sentinel_is_not_believed_everything(reply: str) -> None:
    """The daemon's links ask it as well."""
    with Impostor(lambda words: answer(words, REPLIES[reply], greets=True)) as liar:
        url = f"redis+sentinel://{liar.url.partition('//')[2].rpartition('/')[0]}/mymaster"

        with pytest.raises(Unavailable):
            asyncio.run(find(parse_url(url)))


@pytest.mark.fault("X20")
def test_a_server_that_never_comes_to_an_end_is_left() -> None:
    """A flood of what nobody asked for is no answer."""
    flood = b">1\r\n+x\r\n" * 5000
    with Impostor(lambda words: HELLO if words[0] == "HELLO" else flood) as liar:
        began = time.monotonic()
        with Client(parse_url(liar.url), "test", 0.3) as client, pytest.raises(Unavailable):
            client.replies([("GET", "x")])
        assert time.monotonic() - began < 5
