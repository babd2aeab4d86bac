"""Who has left a worker's group; in a process of its own, for orphans are to fall to it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from statusd import logs
from statusd.supervision import proc, reaper
from statusd.supervision.guard import Guard
from statusd.supervision.strays import MOST_NAMED, TOKEN, Orphans, Strays
from tests.tools import wait_until
from tests.tools.processes import dying_with_us

OURS, NOBODYS = "/state/unit.worker:7", ""
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
    strays = Strays(7, "/state/unit.worker", os.getpgrp(), guard)
    others = Strays(8, "/state/other.worker", os.getpgrp(), guard)
    starter = threading.Thread(target=start, args=(OURS, MANY))
    starter.start()  # whichever thread has started its parent: an orphan falls to the first one
    over = threading.Event()
    threading.Thread(target=over.wait, daemon=True).start()  # and not to the last one
    start(NOBODYS)
    starter.join()

    def found() -> bool:
        strays.look()
        return len(strays.members()) == MANY

    wait_until(found, 15, "all strays")
    orphans = Orphans()
    for of_run in (strays, others):
        of_run.look(orphans)
    assert (len(orphans.members), others.members()) == (MANY + 1, [])
    watched, farewell = sorted(guard._groups), strays.farewell()
    members = sorted(one.pid for one in strays.members())
    strays.send(signal.SIGKILL)
    wait_until(lambda: not strays.members(), 15, "them to be gone")
    gone = strays.farewell()
    strays.forget()
    forgotten, buried = list(guard._groups), reaper.reap_orphans()
    guard.close()
    over.set()
    return {
        **{"watched": watched, "members": members, "farewell": farewell},
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

    assert len(told["members"]) == MANY
    assert told["watched"] == told["members"]  # each leads its group
    assert told["farewell"].startswith("killed with it, for it had gone into the background: pid ")
    assert told["farewell"].endswith(f" and {MANY - MOST_NAMED} more")
    assert (told["gone"], told["forgotten"], told["buried"]) == ("", [], MANY)
    said = done.stdout + done.stderr
    assert said.count("worker.left_group") == MANY
    assert said.count("orphan.unknown") == 1


if __name__ == "__main__":
    main()
