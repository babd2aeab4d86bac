"""Who has left a worker's group; in a process of its own, for orphans are to fall to it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys

import pytest

from statusd import logs
from statusd.supervision import proc, reaper
from statusd.supervision import strays as strays_module
from statusd.supervision.guard import Guard
from statusd.supervision.strays import MOST_NAMED, TOKEN, Strays
from tests.tools import wait_until
from tests.tools.processes import dying_with_us

OURS, OTHERS, NOBODYS = "/state/unit.worker:7", "/state/other.worker:3", ""
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
    strays = Strays(7, "/state/unit.worker", guard, logs.get())
    others = Strays(3, "/state/other.worker", guard, logs.get())
    start(OURS, MANY)
    start(NOBODYS)
    start(OTHERS)

    wait_until(lambda: len(reaper.orphans()) == MANY + 2, 15, "all orphans")
    for pid in reaper.orphans():  # one was looked at before it became a program without a token
        if not strays_module._token(pid):
            reaper.whose[pid] = "/state/unit.worker"
    few, strays_module.AT_ONCE = strays_module.AT_ONCE, 2
    are_more = strays.look(lately_s=60), len(strays.members()) <= 2
    strays_module.AT_ONCE = few

    def found() -> bool:
        strays.look()
        others.look(lately_s=60)  # what one has seen will do for all
        return len(strays.members()) == MANY and len(others.members()) == 1

    wait_until(found, 15, "all strays")
    strays.look()
    others.send(signal.SIGKILL)
    others.forget()
    watched, farewell = sorted(guard._groups), strays.farewell()
    members = sorted(one.pid for one in strays.members())
    strays.send(signal.SIGKILL)
    wait_until(lambda: not strays.members(), 15, "them to be gone")
    gone, buried = strays.farewell(), 0
    while buried < MANY + 1:
        buried += reaper.reap_orphans()
    strays.look()  # their numbers may be somebody else's from now on
    forgotten = [*guard._groups, *strays.groups]
    strays.forget()
    guard.close()
    return {
        **{"watched": watched, "members": members, "farewell": farewell},
        "few at once": are_more == (True, True),
        **{"gone": gone, "forgotten": forgotten, "buried": buried},
    }


def main() -> None:
    """Be that process; what nobody owns is ended at last."""
    logs.configure("json", "info")
    reaper.become_nearest()
    told = asyncio.run(story())
    logs.flush()
    print(json.dumps(told), flush=True)
    for left in proc.children(os.getpid()):
        os.kill(left, signal.SIGKILL)
        os.waitpid(left, 0)


@pytest.mark.fault("J15", "K07")
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

    assert len(told["members"]) == MANY
    assert told["watched"] == told["members"]  # each leads its group
    assert told["farewell"].startswith("killed with it, for it had gone into the background: pid ")
    assert told["farewell"].endswith(f" and {MANY - MOST_NAMED} more")
    assert told["few at once"]
    assert (told["gone"], told["forgotten"], told["buried"]) == ("", [], MANY + 1)
    said = done.stdout + done.stderr
    assert 1 <= said.count("worker.left_group") <= MANY  # together who was seen together
    assert said.count("orphan.unknown") == 1


if __name__ == "__main__":
    main()
