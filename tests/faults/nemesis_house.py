"""The victims of the nemesis as units of one daemon, and what befalls a daemon of many besides.

Two more units live there that nobody judges: one is ended and launched, one is more and fewer, and
another one after each reload.
"""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import redis

from statusd.wire.local import RELOAD
from tests.faults.nemesis import AGAIN, Victim
from tests.tools import Broker, Program, Proxy, wait_until
from tests.tools.toml import to_toml
from tests.tools.unix import connect

SPARE = "spare"
PART = "part"
LATEST_S = 40.0
"""So long a broker that was killed, and a unit that ends, may take together."""


class House:
    """One daemon with all victims, behind one network.

    Args:
        names: of the victims; chance: decides how a unit is launched.
    """

    def __init__(
        self, broker: Broker, directory: Path, names: Sequence[str], chance: random.Random
    ) -> None:
        self._broker, self._chance = broker, chance
        self._directory = directory / "house"
        self._count = 0
        self._instances = 1
        self._proxy = Proxy(broker.port)
        self._proxy.start()
        url = f"redis://127.0.0.1:{self._proxy.port}/0"
        self._shared = {
            "redis": {"url": url},
            "daemon": {"name": "hall"},
            "log": {"level": "debug", "format": "json"},
        }
        self._units = {name: unit(name) for name in (*names, SPARE, PART)}
        program = self._run()
        self.victims = [Victim(name, self._directory, self._proxy, program) for name in names]
        for one in self.victims:
            one.mates = self.victims

    def close(self) -> None:
        """End the daemon and its network."""
        self.victims[0].close()

    def start(self, _: Victim) -> Program:
        """Start the daemon anew, with the settings that it had last."""
        return self._run()

    def _run(self) -> Program:
        return Program(self._shared, directory=self._directory, units=self._units)

    # ---- what befalls it -------------------------------------------------------------------------

    def launch(self, _: Victim) -> None:
        """End a unit by command, and launch it: durably, by a word, or by the daemon's socket."""
        client = self._broker.client()
        self._durable({"command": "end", "target": {"name": SPARE}})
        wait_until(lambda: self._spare().get("state") == "END", LATEST_S, "the spare unit's end")
        boot = self._spare()["boot"]
        message = {"control": "launch", "target": {"name": SPARE}}
        way = self._chance.choice(["durable", "word", "socket"])
        if way == "durable":
            self._durable(message)
        else:
            wait_until(self._victims_hear, LATEST_S, "all to hear")
        if way == "word":
            client.publish("statusd:control", json.dumps({**message, "id": self._id()}))
        elif way == "socket":
            self._ask(json.dumps(message).encode())
        wait_until(lambda: self._spare().get("boot", 0) > boot, LATEST_S, f"a launch by {way}")
        # A daemon that is killed before the disk has it knows nothing of a bare launch.
        wait_until(lambda: not self._is_ended(), LATEST_S, f"a launch by {way} to be kept")

    def reload(self, _: Victim) -> None:
        """Raise or lower the instances of a unit, change another, and have the folder read."""
        self._count += 1
        self._instances = 3 - self._instances
        self._units[PART] = {"instances": self._instances, **unit(PART)}
        self._units[SPARE] = unit(SPARE, environment={"COUNT": str(self._count)})
        for name in (PART, SPARE):
            file = self._directory / "units" / f"{name}.toml"
            file.write_text(to_toml(self._units[name]), encoding="utf-8")
        boot = self._spare().get("boot", 0)
        told = self._ask(RELOAD)
        what = {one["name"]: one["what"] for one in told["units"]}
        assert {what[one.name] for one in self.victims} == {"stays"}, what
        assert what[SPARE] in ("begins anew", "rests"), what
        if what[SPARE] == "begins anew":  # until it has, it hears nothing but a launch
            wait_until(lambda: self._spare().get("boot", 0) > boot, LATEST_S, "the next spare unit")

    # ---- how it is talked to ---------------------------------------------------------------------

    def _victims_hear(self) -> bool:
        return self.victims[0].hears()

    def _id(self) -> str:
        self._count += 1
        return f"house-{self._count}"

    def _durable(self, message: dict[str, Any]) -> None:
        text = json.dumps({**message, "id": self._id()})
        self._broker.client().xadd("statusd:commands", {"command": text})

    def _spare(self) -> dict[str, Any]:
        with suppress(redis.RedisError):
            found: Any = self._broker.client().get(f"statusd:status:{{{SPARE}}}")
            return dict(json.loads(found)) if found else {}
        return {}

    def _is_ended(self) -> bool:
        file = self._directory / "state" / f"{SPARE}.json"
        return json.loads(file.read_bytes())["ended"] is not None

    def _ask(self, line: bytes) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(LATEST_S)
            connect(connection, self._directory / "statusd" / "statusd:hall.daemon")
            connection.sendall(line + b"\n")
            told: dict[str, Any] = json.loads(connection.makefile().readline())
            return told


def unit(name: str, **worker: Any) -> dict[str, Any]:
    """Return the settings of a unit of the house."""
    function = {"function": "tests.workers:obedient"}
    return {"name": name, "worker": {**AGAIN, **function, **worker}}
