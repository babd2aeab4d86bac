"""What `statusd init` writes, as README.md and docs/attach.md show it: a test compares them."""

from __future__ import annotations

import json
from collections.abc import Sequence

NAME = "camera"
"""What the unit is called in the pages."""

JOB = """\
import time

from statusd import Worker


def main(worker: Worker) -> None:
    for step in worker.track(range(120), "exposing"):  # waits in READY and PAUSED, stops on END
        time.sleep(0.5)  # one step of your work
        print(f"step {step + 1} of 120")
"""
ATTACHED = f"""\
import time

import statusd

with statusd.attach("mychannel", name="{NAME}", goal="RUNNING", log="info") as worker:
    for step in worker.track(range(120), "exposing"):  # waits in READY and PAUSED, stops on END
        time.sleep(0.5)  # one step of your work
        print(f"step {{step + 1}} of 120")
"""
_NAME = f'# name = "{NAME}"                         # without, as this folder, @ the host\n'
_URL = '# redis.url = "redis://127.0.0.1:6379/0"  # the broker, if it is elsewhere\n'
_CONTROL = """
[control]
channels = ["mychannel"]                  # where commands come in; patterns, too: "lab.*"

[worker]
"""
OF_FUNCTION = f"""\
{_NAME}\
goal = "RUNNING"                          # it begins at once; without, it waits for `start`
{_URL}{_CONTROL}\
function = "job:main"                     # looked for here, then beside this file
# hang_timeout_s = 60                     # no turn of its loop for so long is a crash
"""
_COMMAND = "COMMAND"
_OF_PROGRAM = f"""\
{_NAME}\
{_URL}{_CONTROL}\
command = {_COMMAND}

[worker.signals]                          # or, above, input = "states": it reads each as a line
PAUSED = "SIGSTOP"                        # END is SIGTERM
RUNNING = "SIGCONT"
"""


def of_program(command: Sequence[str]) -> str:
    """Return the settings of a program with its arguments."""
    return _OF_PROGRAM.replace(_COMMAND, f"[{', '.join(map(_text, command))}]")


def named(text: str, name: str) -> str:
    """Return the same for a unit that is called otherwise."""
    return text.replace(f'"{NAME}"', f'"{name}"', 1)


def _text(value: str) -> str:
    """Return a text as TOML has it: as JSON has it, but for one sign."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
