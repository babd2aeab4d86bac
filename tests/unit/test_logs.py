"""Log lines: one each, whatever stands in them; and writing them hurts nobody."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from statusd.log_output import Output
from tests.tools.hostile import arrived

PROGRAM = """
import sys
from statusd import logs
logs.configure(sys.argv[1], "info")
log = logs.get()
log.debug("never.shown")
log.info("state.changed", old="READY", new="RUNNING")
foreign = "\\x1b[2J\\nforged line\\u202e\\x9b" + "x" * 1000
log.warning("command.answered", reason=foreign)
try:
    1 / 0
except ZeroDivisionError:
    log.exception("bug.caught")
"""


def lines(form: str, **environment: str) -> list[str]:
    """Return what the program above writes to standard error, which is no terminal."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, form],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    return done.stderr.splitlines()


@pytest.mark.fault("M08", "X09")
@pytest.mark.parametrize("form", ["console", "logfmt", "json"])
def test_nothing_foreign_gets_through(form: str) -> None:
    """No escape, no second line, no more than 300 characters of it (faults.md X09)."""
    told = lines(form)

    assert len([line for line in told if "forged line" in line]) == 1
    assert "\x1b" not in "".join(told)
    assert "\u202e" not in "".join(told)
    assert "x" * 301 not in "".join(told)
    assert "never.shown" not in "".join(told)


def test_json_is_a_line_each() -> None:
    """With the event's name, its level and the time; a traceback is a field."""
    told = [json.loads(line) for line in lines("auto")]

    assert [line["event"] for line in told] == ["state.changed", "command.answered", "bug.caught"]
    assert told[0] | {"old": "READY", "new": "RUNNING", "level": "info"} == told[0]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", told[0]["at"])
    assert "ZeroDivisionError" in told[2]["exception"]


def test_logfmt_has_the_journals_priorities() -> None:
    """<6> info, <4> warning, <3> error (sd-daemon(3)); a traceback is one line."""
    told = lines("logfmt")

    assert [line[:3] for line in told] == ["<6>", "<4>", "<3>"]
    assert told[0] == "<6>event=state.changed old=READY new=RUNNING"


def test_a_terminal_gets_a_short_time() -> None:
    """Hours, minutes, seconds; colour only on a real one."""
    assert re.match(
        r"\d\d:\d\d:\d\d \[info +\] state\.changed +old=READY new=RUNNING", lines("console")[0]
    )


FOREIGN = """
import sys
from pathlib import Path
from statusd import logs
from tests.tools.hostile import HOSTILE
logs.configure(sys.argv[1], "info")
log = logs.get()
class Thing:
    def __str__(self):
        return HOSTILE
log.warning(HOSTILE, a=[HOSTILE, {HOSTILE: (HOSTILE,)}], b=Path("x" + HOSTILE[:5]), c=Thing())
try:
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        raise OSError(HOSTILE)
except OSError as error:
    log.exception("bug.caught")
    log.warning("handed.over", exc_info=error, b=b"x\\x1b")
"""


@pytest.mark.fault("X15")
@pytest.mark.parametrize("form", ["console", "logfmt", "json"])
def test_nothing_foreign_gets_through_by_any_way(form: str) -> None:
    """Event names, lists, tables, files, objects; and what errors say, in tracebacks as well."""
    done = subprocess.run(
        [sys.executable, "-c", FOREIGN, form], capture_output=True, text=True, check=True
    )

    assert arrived(done.stderr) == []
    assert "ValueError: A" in done.stderr
    assert "OSError: A" in done.stderr
    assert len(done.stderr.splitlines()) == (3 if form != "console" else 13)


@pytest.mark.fault("G15", "R06")
@pytest.mark.parametrize("broken", ["closed", "full", "pipe"])
def test_a_log_that_cannot_be_written_is_counted(broken: str) -> None:
    """A full disk or a reader that is gone is no reason to stop (faults.md G15)."""
    if broken == "full":
        fd = os.open("/dev/full", os.O_WRONLY)
    else:
        reading, fd = os.pipe()
        os.close(reading)
    output = Output(fd)
    if broken == "closed":
        os.close(fd)

    output.msg("one")
    output.msg("two")

    assert output.dropped == 2
    if broken != "closed":
        os.close(fd)


TRANSITIONS = """
import sys
from statusd import logs
from statusd.core.events import EventHead
logs.configure(sys.argv[1], "info")
change = EventHead("counter", 7, 3, "READY", "RUNNING", "start", "redis:50% \\x1b")
more = {"id": "01JD", "by": "ops", "args": {"n": 1}}
for n in range(60):
    logs.changed(logs.get(), change, {}, n, "2026-11-23T12:00:00.123Z")
logs.changed(logs.get(), change, more, 60, "2026-11-23T12:00:00.123Z")
print("nothing yet", flush=True)
log = logs.get()
fields = {"old": "READY", "new": "RUNNING", "trigger": "start", "source": "redis:50% \\x1b"}
log.info("state.changed", **fields, by="ops", id="01JD", run=3, seq=60)
logs.changed(logs.get(), change, {}, 61, "2026-11-23T12:00:00.123Z")
logs.flush()
"""


@pytest.mark.parametrize("form", ["console", "logfmt", "json"])
def test_a_transition_is_logged_as_any_other_line(form: str) -> None:
    """In its turn and with the same look, also where many are written at once."""
    done = subprocess.run(
        [sys.executable, "-c", TRANSITIONS, form], capture_output=True, text=True, check=True
    )
    told = done.stderr.splitlines()
    by_logger, by_us = (re.sub(r'"at": "[^"]*"|^[0-9:]* ', "", told[n]) for n in (61, 60))

    assert len(told) == 63
    assert by_us == by_logger
    assert [int(found) for line in told for found in re.findall(r'seq"?[=:] ?(\d+)', line)] == [
        *range(61),
        *(60, 61),
    ]


def test_a_pipe_gets_lines_whole() -> None:
    """What is held is written in pieces that a pipe takes whole, or not at all (pipe(7))."""
    reading, fd = os.pipe()
    output = Output(fd)
    for n in range(100):
        output.hold(f"{n} " + "x" * 100)

    output.flush()

    assert [line.split()[0] for line in os.read(reading, 65536).splitlines()] == [
        b"%d" % n for n in range(100)
    ]
    assert output.dropped == 0
    for _ in range(2000):
        output.hold("y" * 100)
    output.flush()
    assert all(len(line) == 100 for line in os.read(reading, 1 << 20).splitlines())
    assert output.dropped > 0
    os.close(reading)
    os.close(fd)
