"""Text that isn't ASCII, for streams and from locales that have nothing else (J13)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import settings
from tests.tools import Broker, Program, Terminal, environment, wait_until
from tests.tools.variants import some

pytestmark = pytest.mark.fault("J13")

POOR = {
    **{"PYTHONIOENCODING": "ascii:strict", "LC_ALL": "C", "LANG": "de_DE.ISO-8859-1"},
    **{"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}
"""An environment in which nothing but ASCII can be shown."""
ESCAPED = r"L\xfcftung \u2026 \u8fdb"
TIMEOUT_S = 20.0


def poor(*words: str | bytes, cwd: Path, url: str) -> subprocess.CompletedProcess[bytes]:
    """Run a verb in that environment to its end."""
    return subprocess.run(
        [sys.executable, "-m", "statusd", *words],
        cwd=cwd,
        env=environment(cwd) | POOR | {"STATUSD_REDIS__URL": url},
        capture_output=True,
        check=False,
        timeout=TIMEOUT_S,
    )


@pytest.fixture
def url(broker: Broker, tmp_path: Path) -> Iterator[str]:
    """The broker of a unit that has said something, and whose daemon lives in such a locale."""
    toml = settings("tests.workers:speaking", broker.url, name="unit", goal="RUNNING")
    with Program(toml, directory=tmp_path / "unit", env=POOR) as unit:
        told = partial(broker.client().get, "statusd:status:{unit}")
        wait_until(lambda: b"\\u8fdb" in (told() or b""), 10, "what it says")
        yield broker.url
        assert "Traceback" not in unit.output()


SHOWN = {
    "status": (("status",), ESCAPED),
    "status of one": (("status", "unit"), ESCAPED),
    "status, as JSON": (("status", "--json"), r"L\u00fcftung \u2026 \u8fdb"),
    "history": (("history", "unit"), "unit"),
    "send": (("send", "start", "--wait", "--arg", "note=\u00fc"), "unit"),
    "doctor": (("doctor", "\u00fc.toml"), "unit"),
    "what argparse says": (("watch", "\u00fc"), r"\udcc3\udcbc"),
}


@pytest.mark.parametrize("case", some(SHOWN, 1))
def test_a_verb_writes_out_what_its_stream_lacks(case: str, url: str, tmp_path: Path) -> None:
    """ASCII alone, no traceback, and JSON is JSON (J13)."""
    words, text = SHOWN[case]
    written = f'name = "unit" # \u00fc\n[redis]\nurl = "{url}"\n[worker]\ncommand = ["true"]\n'
    (tmp_path / "\u00fc.toml").write_text(written, encoding="utf-8")

    done = poor(*(word.encode() for word in words), cwd=tmp_path, url=url)

    said = (done.stdout + done.stderr).decode("ascii")
    assert "Traceback" not in said
    assert text in said
    if "--json" in words:
        assert json.loads(done.stdout)[0]["document"]["text"] == "L\u00fcftung \u2026 \u8fdb"


@pytest.mark.parametrize("words", some((("status", "--watch"), ("status",)), 1), ids=str)
def test_a_terminal_is_drawn_in_what_it_has(
    words: tuple[str, ...], url: str, tmp_path: Path
) -> None:
    """What is written out has its own length in a table, so heads stay above it (J13)."""
    env = environment(tmp_path) | POOR | {"STATUSD_REDIS__URL": url}
    with Terminal(
        [sys.executable, "-m", "statusd", *words], env, cwd=tmp_path, columns=150
    ) as here:
        rows = here.wait(ESCAPED).splitlines()
        assert rows[0].index("PID") > rows[0].index("TEXT") + len(ESCAPED)
        assert rows[1][rows[0].index("TEXT") :].startswith(ESCAPED)
        assert here.raw.isascii()
        assert b"Traceback" not in here.raw


def test_columns_stay_below_their_heads_in_a_pipe(url: str, tmp_path: Path) -> None:
    """What is written out is longer than what was to be shown (J13)."""
    done = poor("status", cwd=tmp_path, url=url)

    heads, row, *_ = done.stdout.decode("ascii").splitlines()
    assert row[heads.index("TEXT") :].startswith(ESCAPED)
    assert heads.index("PID") > heads.index("TEXT") + len(ESCAPED)


GARBLED: dict[str, tuple[tuple[bytes, ...], int]] = {
    "a unit": ((b"history", b"\xff"), 64),
    "a word": ((b"send", b"pa\xffuse"), 64),
    "a name": ((b"send", b"pause", b"--name", b"\xff"), 64),
    "a channel": ((b"send", b"pause", b"--channel", b"\xff"), 64),
    "an argument": ((b"send", b"pause", b"--arg", b"a=\xff"), 64),
    "a span of time": ((b"send", b"pause", b"--expires", b"\xff"), 64),
    "a unit of a graph": ((b"graph", b"--unit", b"\xff"), 64),
    "a namespace": ((b"status", b"--namespace", b"\xff"), 64),
    "a verb": ((b"v\xff",), 64),
    "an option": ((b"status", b"--\xff"), 64),
    "a choice": ((b"completion", b"\xff"), 64),
    "a url": ((b"status", b"--url", b"redis://\xff"), 78),
    "a socket": ((b"health", b"--socket", b"\xff"), 1),
    "no such file": ((b"check", b"\xff"), 78),
    "no such file to run": ((b"run", b"\xff"), 78),
    "a drawing": ((b"graph", b"-o", b"\xff"), 64),
    "settings that are there": ((b"check", b"\xff.toml"), 0),
    "a drawing that is made": ((b"graph", b"\xff.toml", b"-o", b"\xff.mmd"), 0),
}


@pytest.mark.parametrize("case", some(GARBLED, 2))
@pytest.mark.parametrize("env", some(({}, POOR), 1), ids=["rich", "poor"])
def test_bytes_that_are_no_text_are_told_in_a_line(
    case: str, env: dict[str, str], broker: Broker, tmp_path: Path
) -> None:
    """A file may have any name, all else is UTF-8; nobody takes it for a broker's fault (J13)."""
    words, code = GARBLED[case]
    file = os.path.join(os.fsencode(tmp_path), b"\xff.toml")
    with open(file, "w", encoding="utf-8") as written:
        written.write('name = "unit"\n[worker]\ncommand = ["true"]\n')

    done = subprocess.run(
        [sys.executable, "-m", "statusd", *words],
        cwd=tmp_path,
        env=environment(tmp_path) | env | {"STATUSD_REDIS__URL": broker.url},
        capture_output=True,
        check=False,
        timeout=TIMEOUT_S,
    )

    assert done.returncode == code, done.stderr
    if code:
        assert len(done.stderr.splitlines()) == 1
        assert done.stderr.startswith(b"statusd: ")
        assert b"xff" in done.stderr or b"udcff" in done.stderr or b"UTF-8" in done.stderr
