"""Log lines: one each, whatever stands in them; and writing them hurts nobody."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from statusd.logs import Output

PROGRAM = """
import sys, structlog
from statusd import logs
logs.configure(sys.argv[1], "info")
log = structlog.get_logger()
log.debug("never.shown")
log.info("state.changed", old="READY", new="RUNNING")
log.warning("command.answered", reason="\\x1b[2J\\nforged line\\u202e" + "x" * 1000)
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
