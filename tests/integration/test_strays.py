"""Who has left a worker's group; in a process of its own, for orphans are to fall to it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from functools import partial

import pytest

from statusd import logs
from statusd.supervision import proc, reaper, strays
from statusd.supervision.guard import Guard
from statusd.supervision.strays import MOST_NAMED, TOKEN, Strays
from tests.tools import wait_until
from tests.tools.processes import dying_with_us

OURS, OTHERS, NOBODYS = "/state/unit.worker:7", "/state/other.worker:1", ""
MANY = MOST_NAMED + 2


def start(token: str, count: int = 1) -> None:
    """Start processes in sessions of their own, that have lost their parent when we return."""
    env = {key: value for key, value in os.environ.items() if key != TOKEN}
    env |= {TOKEN: token} if token else {}
    script = " ".join("(setsid sleep 1000 &)" for _ in range(count))
    subprocess.run(["sh", "-c", script.replace(") (", "); (")], env=env, check=True)


async def story() -> dict[str, object]:
    """Look for strays, end them, and return what was seen."""
    guard = Guard()
    ours = Strays(7, "/state/unit.worker", os.getpgrp(), guard, logs.get())
    start(OURS, MANY)
    start(NOBODYS)

    def found() -> bool:
        ours.look()
        return len(ours.members()) == MANY

    wait_until(found, 15, "all strays")
    ours.look()
    watched, farewell = sorted(guard._groups), ours.farewell()
    members = sorted(one.pid for one in ours.members())
    ours.send(signal.SIGKILL)
    wait_until(lambda: not ours.members(), 15, "them to be gone")
    gone = ours.farewell()
    ours.forget()
    forgotten, buried = list(guard._groups), reaper.reap_orphans()
    shared = share(guard)
    guard.close()
    return {
        "shared": shared,
        **{"watched": watched, "members": members, "farewell": farewell},
        **{"gone": gone, "forgotten": forgotten, "buried": buried},
    }


def share(guard: Guard) -> bool:
    """Tell whether one run finds what another has looked for, and no more until it looks itself."""
    before = len(proc.children(os.getpid()))
    ours, others = (
        Strays(1, token.rpartition(":")[0], 0, guard, logs.get()) for token in (OURS, OTHERS)
    )
    start(OTHERS)

    def seen_by_us() -> bool:
        ours.look()
        others.look(now=False)
        return bool(others.members())

    wait_until(seen_by_us, 15, "the other's stray")
    start(OURS)
    wait_until(lambda: len(proc.children(os.getpid())) >= before + 2, 15, "our stray")
    ours.look(now=False)
    found = len(ours.members())
    wait_until(partial(_sees, ours), 15, "our stray to be seen")
    return found == 0


def _sees(strays: Strays) -> bool:
    strays.look()
    return bool(strays.members())


def main() -> None:
    """Be that process; what nobody owns is ended at last."""
    logs.configure("json", "info")
    reaper.become_nearest()
    strays.SEEN_S = 1e9  # however slow this machine is
    told = asyncio.run(story())
    logs.flush()
    print(json.dumps(told), flush=True)
    for left in proc.children(os.getpid()):
        os.kill(left, signal.SIGKILL)
        os.waitpid(left, 0)


@pytest.mark.fault("J15")
def test_strays_are_watched_named_ended_and_forgotten() -> None:
    """The guard knows their groups as long as they live; who is nobody's is named, once."""
    done = subprocess.run(
        dying_with_us([sys.executable, "-m", "tests.integration.test_strays"]),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])

    assert told["shared"]
    assert len(told["members"]) == MANY
    assert told["watched"] == told["members"]  # each leads its group
    assert told["farewell"].startswith("killed with it, for it had gone into the background: pid ")
    assert told["farewell"].endswith(f" and {MANY - MOST_NAMED} more")
    assert (told["gone"], told["forgotten"], told["buried"]) == ("", [], MANY)
    said = done.stdout + done.stderr
    assert said.count("worker.left_group") == MANY + 2
    assert said.count("orphan.unknown") == 1


if __name__ == "__main__":
    main()
