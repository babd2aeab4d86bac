"""A fleet that is on paper only: documents, roster and histories as daemons would write them.

For looking at thousands of units where a thousand daemons would measure the machine. Nobody obeys.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Sequence
from typing import Any

import redis

from statusd.core.times import rfc3339
from statusd.wire.names import NAMESPACE, Names

TTL_S = 3600
"""So long a document stands: nobody is there to renew it."""
AT_ONCE = 500
_ALLOWED = {
    "READY": ["start", "end"],
    "RUNNING": ["pause", "stop", "end"],
    "PAUSED": ["resume", "stop", "end"],
    "BACKOFF": ["end"],
    "FAILED": ["reset", "end"],
}
_PARTS = {"RUNNING": "works", **dict.fromkeys(("BACKOFF", "FAILED", "END"), "ends")}
_KINDS = {"RUNNING": "working", "BACKOFF": "acting", "FAILED": "fault", "END": "end"}
_TRIGGERS = {"RUNNING": "resume", "PAUSED": "pause"}


class PaperFleet:
    """So many units, named ``unit-00000`` and so on.

    Args:
        client: to the broker; namespace: of the fleet.
        names: what they are called, if not that.
        seed: the same one gives the same fleet.
    """

    def __init__(
        self,
        client: redis.Redis,
        count: int,
        namespace: str = NAMESPACE,
        seed: int = 1,
        names: Sequence[str] = (),
    ) -> None:
        self.names = [*names] or [f"unit-{number:05d}" for number in range(count)]
        self._client, self._namespace = client, namespace
        self._random = random.Random(seed)
        self._boot = int(time.time() * 1000)
        self._documents = {name: self._document(name) for name in self.names}

    def write(self) -> None:
        """Write all of them."""
        for first in range(0, len(self.names), AT_ONCE):
            part = self.names[first : first + AT_ONCE]
            with self._client.pipeline(transaction=False) as lines:
                for name in part:
                    entry = {"boot": self._boot, "left": False, "seen": self._documents[name]["at"]}
                    lines.hset(Names(self._namespace).roster, name, json.dumps(entry))
                    self._say(lines, name)
                lines.execute()

    def state_of(self, name: str) -> str:
        """Return the state of a unit."""
        return str(self._documents[name]["state"])

    def turn(self, name: str) -> str:
        """Let a unit pause or resume, and return the state that it is in now."""
        document = self._documents[name]
        old, new = document["state"], "PAUSED" if document["state"] == "RUNNING" else "RUNNING"
        now = rfc3339(time.time())
        document |= {**_of(new), "since": now, "at": now}
        document |= {"seq": document["seq"] + 1, "allowed": _ALLOWED[new]}
        event = {
            **{"event": f"{self._boot}-{document['seq']}", "name": name, "boot": self._boot},
            **{"seq": document["seq"], "run": 1, "old": old, "new": new, "at": now},
            **{"trigger": _TRIGGERS[new], "source": "redis:mychannel", "by": "paper"},
        }
        with self._client.pipeline(transaction=False) as lines:
            self._say(lines, name)
            key = Names(self._namespace, name).history
            lines.xadd(key, {"event": json.dumps(event)}, id=event["event"])
            lines.execute()
        return str(new)

    def beat(self, name: str) -> None:
        """Let a unit say that it goes on: a step further, with what its worker uses now."""
        document, now = self._documents[name], rfc3339(time.time())
        progress = document["progress"]
        if document["state"] == "RUNNING" and progress is not None:
            progress["step"] = progress["step"] % progress["total"] + 1
        worker = document["worker"]
        worker["beats"] += 1
        if worker["resources"] is not None:
            worker["resources"]["cpu"] = round(self._random.random(), 3)
        document |= {"at": now, "canary_ms": round(self._random.random(), 2)}
        with self._client.pipeline(transaction=False) as lines:
            self._say(lines, name)
            lines.execute()

    def turns(self, per_second: float, for_s: float) -> Iterator[tuple[str, str, float]]:
        """Let units turn at that pace; yield name, new state and time of each."""
        began = time.monotonic()
        for number in range(int(per_second * for_s)):
            time.sleep(max(0.0, began + number / per_second - time.monotonic()))
            name = self._random.choice(self.names)
            yield name, self.turn(name), time.time()

    def _say(self, lines: Any, name: str) -> None:
        lines.set(Names(self._namespace, name).status, json.dumps(self._documents[name]), ex=TTL_S)

    def _document(self, name: str) -> dict[str, Any]:
        pick = self._random
        kinds = ("RUNNING", "PAUSED", "READY", "BACKOFF", "FAILED")
        state = pick.choices(kinds, (80, 10, 7, 1, 1))[0]
        now = time.time()
        step, total = pick.randrange(1, 5000), 5000
        is_down = state in ("BACKOFF", "FAILED")
        return {
            **{"name": name, "tags": ["gpu" if pick.random() < 0.3 else "cpu", "night"]},
            **{"boot": self._boot, "seq": 1, "run": 1, **_of(state), "goal": "RUNNING"},
            **{"since": rfc3339(now - pick.random() * 1e5)},
            **{"allowed": _ALLOWED[state], "waits_for": "", "observed": True, "unseen_since": None},
            "text": "exit code 1 after 3 s" if is_down else "exposing",
            "progress": None
            if is_down
            else {
                **{"step": step, "total": total, "unit": "images"},
                **{"rate": 12.5, "left_s": (total - step) / 12.5},
            },
            "args": {},
            "worker": {
                **{"pid": pick.randrange(1000, 99999), "beats": 1, "restarts": 0},
                "resources": None
                if is_down
                else {
                    **{
                        "cpu": pick.random(),
                        "cpu_s": 812.0,
                        "memory": pick.randrange(10**8, 10**9),
                    },
                    **{"pss": 10**8, "threads": 4, "processes": 1, "descriptors": 20},
                },
            },
            **{
                "stop": None,
                "last": {"event": f"{self._boot}-1", "source": "worker"},
                "ended": None,
            },
            **{"host": f"lab-{pick.randrange(12):02d}", "pid": 4711, "channels": ["mychannel"]},
            **{"link": "LISTENING", "outages": 0, "canary_ms": 0.4, "beat_s": 5.0},
            **{"ends_within_s": 10.0, "trouble": "", "at": rfc3339(now)},
        }


def _of(state: str) -> dict[str, str]:
    """Return what a document says of its state."""
    part, kind = _PARTS.get(state, "waits"), _KINDS.get(state, "waiting")
    return {"state": state, "part": part, "kind": kind}
