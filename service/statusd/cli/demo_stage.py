"""The stage of the demonstration: broker and units, how they are, and what a key does to them."""

from __future__ import annotations

import contextlib
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from statusd.cli.demo_screen import WORDS, View
from statusd.cli.demo_units import COMMON, UNITS, DemoDaemon
from statusd.core.bounds import Unreadable
from statusd.fleet import records
from statusd.wire import shapes
from statusd.wire.talk import ask

if TYPE_CHECKING:
    from statusd.daemon.embedded import Embedded

LOOK_S = 0.2
"""How often the status documents are read."""


class Stage:
    """The units, how they are, and what is done to them."""

    def __init__(self, url: str, password_file: Path, daemon: DemoDaemon) -> None:
        from statusd.fleet.fleet import Fleet
        from statusd.wire.client import Client, Subscription
        from statusd.wire.names import Names
        from statusd.wire.url import parse_url

        address = parse_url(url)
        self._daemon = daemon
        self.password_file = password_file
        self.port = address.port
        where = f"a broker on 127.0.0.1:{self.port}"
        self.view = View(tuple(UNITS), f"1 daemon, 3 units with their workers, {where}")
        self._fleet = Fleet(url)
        self._client = Client(address, "statusd-demo")
        self._subscription = Subscription(self._client)
        for channel in (Names("statusd").verdicts, Names("statusd").events):
            self._subscription.subscribe(channel)
        self._looked = 0.0

    def look(self) -> None:
        """Take in how the units are, and what they have said meanwhile."""
        while (message := self._subscription.listen(0)) is not None:
            self._take(message)
        if time.monotonic() - self._looked >= LOOK_S:
            self.view.units = {unit.name: unit for unit in self._fleet.status()}
            self._looked = time.monotonic()

    def press(self, key: str) -> None:
        """Do what a key says, and note the line that does the same."""
        view = self.view
        if key in ("up", "down"):
            view.chosen = (max(view.chosen, 0) + (1 if key == "down" else -1)) % len(view.names)
        elif key.isdigit() and 1 <= int(key) <= len(view.names):
            view.chosen = int(key) - 1
        elif key == "a":
            view.chosen = -1
        elif key == "c":
            self._crash()
        elif key == "s" and self._gone():
            self._publish("launch")
        elif key in WORDS:
            self._publish(WORDS[key])

    def _gone(self) -> list[str]:
        """Return who has ended, and begins again when it is launched."""
        units = {name: unit for name, unit in self.view.units.items() if name in self.view.wanted()}
        return [n for n, unit in units.items() if not unit.is_alive or unit.state == "END"]

    def _publish(self, word: str) -> None:
        channel = COMMON if self.view.chosen < 0 else self.view.wanted()[0]
        option = "" if self.port == 6379 else f"-p {self.port} "
        self.view.typed = f"redis-cli {option}PUBLISH {channel} {word}"
        self._client.run(ask(shapes.number, "PUBLISH", channel, word))

    def _crash(self) -> None:
        units = self.view.units
        killed = [
            self._daemon.crash(units[name].document) for name in self.view.wanted() if name in units
        ]
        pids = " ".join(str(pid) for pid in killed if pid)
        self.view.typed = f"kill -KILL {pids}" if pids else "there is no worker to be killed"

    def _take(self, text: bytes | str) -> None:
        """Hear what somebody has said on the channels of verdicts and events: anybody may."""
        try:
            said = records.decode(text)
            self._hear(records.verdict(text) if "verdict" in said else records.event(text))
        except Unreadable as error:
            self.view.events.append(f"somebody said what can't be read: {error}")

    def _hear(self, said: dict[str, Any]) -> None:
        name = said.get("name", "")
        if name not in UNITS:
            return
        if "verdict" in said:
            what = said.get("reason") or f"{said.get('ms', 0):.1f} ms"
            self.view.answers[name] = f"{said.get('command')}: {said['verdict']}, {what}"
            return
        change = f"{said.get('old')} -> {said.get('new')}"
        reason = f": {said['reason']}" if said.get("reason") else ""
        at = str(said.get("at", ""))[11:19]
        self.view.events.append(f"{at} {name:<6} {change}  {said.get('trigger')}{reason}")

    def close(self) -> None:
        """Hang up."""
        for one in (self._subscription, self._client, self._fleet):
            one.close()


@contextlib.contextmanager
def staged() -> Iterator[Stage]:
    """Start broker and units, and hear them; at the end, see `running`."""
    with (
        running() as (broker, daemon),
        contextlib.closing(Stage(broker.url, broker.password_file, daemon)) as stage,
    ):
        yield stage


@contextlib.contextmanager
def running() -> Iterator[tuple[Embedded, DemoDaemon]]:
    """Start broker and units; at the end, end them all and remove what they had."""
    from statusd.daemon.embedded import Embedded
    from statusd.private import temporary_directory
    from statusd.wire.local import runtime_directory

    runtime = runtime_directory()
    was_there = runtime.exists()
    folder = temporary_directory("statusd-demo-")
    try:
        with Embedded() as broker:
            daemon = DemoDaemon(folder, broker.url)
            try:
                yield broker, daemon
            finally:
                _ignore_signals()  # what is left to do takes a moment, and nobody is to be left
                daemon.close()
    finally:
        _ignore_signals()
        shutil.rmtree(folder, ignore_errors=True)
        if not was_there:
            with contextlib.suppress(OSError):  # somebody else has come to use it
                runtime.rmdir()


def _ignore_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
