"""``statusd demo``: a broker, three units and a screen with keys, and nothing of it left behind."""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Iterator

from statusd.cli import EXIT_USAGE, complain, demo_web, out, web
from statusd.cli.demo_screen import draw
from statusd.cli.demo_stage import LOOK_S, Stage, running, staged

STEP_S = 2.5
"""How long each step of the plain story is given."""
STORY = "1prapr2c3x1es"
"""The keys of the plain story."""
_ARROWS = {b"\x1b[A": "up", b"\x1b[B": "down", b"\x1bOA": "up", b"\x1bOB": "down"}


class _Signalled(Exception):
    """SIGTERM or SIGHUP; ``code`` is what a shell would say of it."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.code = 128 + number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments the verb takes."""
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument(
        "--plain", action="store_true", help="no screen and no keys: a story of half a minute"
    )
    ways.add_argument(
        "--web", action="store_true", help="in a browser: it prints the address of the page"
    )
    parser.epilog = """\
examples:
  statusd demo               keys instead of typing; q leaves
  statusd demo --plain       the same as lines, without a terminal
  statusd demo --web         the same in a browser; Ctrl-C ends it

While it runs, a second terminal in this folder finds its broker by itself: statusd status, \
statusd send pause; redis-cli wants the password, which --plain says how to get. \
It needs statusd[embedded], --web also statusd[web]; nothing is left behind.

exit codes: 0 left by q, and --web by Ctrl-C or SIGTERM; 64 no terminal, 78 no broker, or the \
extra web is missing; 129, 130, 143 by a signal"""


def main(arguments: argparse.Namespace) -> int:
    """Show it until somebody has seen enough."""
    has_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if arguments.web:
        web.demand()
    elif not has_terminal and not arguments.plain:
        complain("the demo draws on a terminal, and this is none; statusd demo --plain tells it")
        return EXIT_USAGE
    try:
        _heed_signals()
        if arguments.web:
            with running() as (broker, _):
                demo_web.show(broker.url)
        else:
            with staged() as stage:
                (_print_story if arguments.plain else _play)(stage)
        out.say("It is all gone again. Yours comes next: statusd run --embedded job.toml")
    except _Signalled as error:
        return error.code
    except OSError:
        if has_terminal and not os.isatty(0):  # it was closed, and there is nobody to be told
            return 128 + signal.SIGHUP
        raise
    return 0


def _heed_signals() -> None:
    """Turn SIGTERM and SIGHUP into an exception, so that everything is put away; Ctrl-C is one."""

    def leave(number: int, _: object) -> None:
        raise _Signalled(number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)  # it would leave the terminal in our colours


# ---- the screen ----------------------------------------------------------------------------------


def _play(stage: Stage) -> None:
    """Draw and obey keys until q."""
    with _keys(), out.live(screen=True) as live:
        while True:
            stage.look()
            out.redraw(live, draw(stage.view, *out.size()))
            for key in _pressed(LOOK_S / 2):
                if key == "q":
                    return
                stage.press(key)


@contextlib.contextmanager
def _keys() -> Iterator[None]:
    """Get keys at once and unseen; give the terminal back as it was."""
    before = termios.tcgetattr(0)
    tty.setcbreak(0)
    try:
        yield
    finally:
        with contextlib.suppress(termios.error):  # it was closed
            termios.tcsetattr(0, termios.TCSANOW, before)


def _pressed(timeout_s: float) -> list[str]:
    """Return the keys that were pressed, at the latest after ``timeout_s``."""
    if not select.select([0], [], [], timeout_s)[0]:
        return []
    data = os.read(0, 64)
    if not data:  # its other end was closed
        raise _Signalled(signal.SIGHUP)
    arrow = _ARROWS.get(data)
    return [arrow] if arrow else list(data.decode("ascii", "replace").lower())


# ---- the story -----------------------------------------------------------------------------------


def _print_story(stage: Stage) -> None:
    """Tell the same without a terminal: a line each for what is done, answered and happens."""
    out.say(stage.view.broker, flush=True)
    out.say(f"redis-cli wants: export REDISCLI_AUTH=$(cat {stage.password_file})", flush=True)
    _listen(stage, STEP_S)
    for key in STORY:
        before = stage.view.typed
        stage.press(key)
        if stage.view.typed != before:
            out.say(f"$ {stage.view.typed}", flush=True)
            _listen(stage, STEP_S)


def _listen(stage: Stage, for_s: float) -> None:
    """Print what is heard for so long."""
    view, deadline = stage.view, time.monotonic() + for_s
    while time.monotonic() < deadline:
        before = dict(view.answers)
        stage.look()
        for name, answer in view.answers.items():
            if before.get(name) != answer:
                out.say(f"  {name:<6} {answer}", flush=True)
        while view.events:
            out.say(f"  {view.events.popleft()}", flush=True)
        time.sleep(LOOK_S / 4)
