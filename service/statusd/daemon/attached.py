"""The daemon of a program that has called `statusd.attach`, which starts this file by its path.

``python -P attached.py BOARD DOWN UP SETTINGS PARENT NAME``: inherited descriptors, our parent, and
a name for whoever looks at the list of processes. Settings come through memory, never by argument.
"""

from __future__ import annotations

import ast
import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from statusd.daemon.judging import Judging
    from statusd.daemon.plan import Plan
    from statusd.settings.models import Settings
    from statusd.supervision.parent import Inherited

EXIT_CONFIG = 78


def main(argv: list[str]) -> None:
    """Live until the program leaves or dies; return never."""
    board, down, up, told, pid = map(int, argv[:5])
    root = str(Path(__file__).parents[2])
    if root not in sys.path:
        sys.path.append(root)
    from statusd.daemon import signals

    signals.open_missing()
    signals.catch_early()
    from statusd.daemon.judging import Judging

    judging = Judging()  # it has imports of its own, which it does meanwhile
    from statusd.core.errors import StatusdError, Unavailable
    from statusd.supervision.parent import Inherited
    from statusd.worker import child

    try:
        inherited = Inherited(board, down, up, pid)
    except ProcessLookupError:
        os._exit(0)
    try:
        if not inherited.is_sound:
            raise Unavailable("the program's page isn't sealed: is it another version of statusd?")
        code = _run(inherited, judging, ast.literal_eval(_content(told)))
    except StatusdError as error:
        inherited.send(child.ERROR, *map(_as_argument, str(error).splitlines()))
        code = EXIT_CONFIG
    os._exit(code)


def _content(fd: int) -> str:
    with open(fd, "rb") as file:
        file.seek(0)
        return file.read().decode()


def _run(inherited: Inherited, judging: Judging, told: dict[str, Any]) -> int:
    import asyncio
    import json

    from statusd import logs
    from statusd.daemon import wiring  # noqa: F401  # all of a daemon, while the judge imports its own
    from statusd.daemon.judging import elsewhere
    from statusd.settings.load import load
    from statusd.worker import child

    # In this process alone: what it was executed with, /proc and ps show, and this not.
    for key, value in told["settings"].items():
        os.environ[f"STATUSD_{key}"] = value if isinstance(value, str) else json.dumps(value)
    file = Path(told["config"]) if told["config"] else None
    with judging:
        settings = load(file, attached=True, judge=judging)
        if not settings.says("log", "level"):
            os.environ["STATUSD_LOG__LEVEL"] = "warning"  # the terminal is the program's
            settings = load(file, attached=True, judge=judging)
    form = settings.log.format
    if form == "auto" and told["first"].get("is_notebook"):  # no terminal, and yet it is a human
        form = "console"
    logs.configure(form, settings.log.level)
    lifecycle = settings.states()
    members = lifecycle.members()
    parts = "".join(lifecycle.parts[state].value for state in members)
    names = ",".join(state.name for state in members)
    inherited.send(child.HELLO, lifecycle.worker_states, parts, names, settings.name)

    def load_again() -> Settings:
        return elsewhere(lambda judge: load(file, attached=True, judge=judge))

    return asyncio.run(_live(inherited, settings, file, load_again, told["first"]))


async def _live(
    inherited: Inherited,
    settings: Settings,
    file: Path | None,
    load_again: Callable[[], Settings],
    first: dict[str, Any],
) -> int:
    import asyncio

    from statusd.daemon import signals, wiring
    from statusd.daemon.announcer import Announcer
    from statusd.supervision.parent import Parent
    from statusd.supervision.supervisor import Means

    def adapt(plan: Plan) -> Plan:
        (unit,) = plan.units
        kept = unit.kept
        if first.get("goal"):  # what the program says now is newer than what anybody said before
            kept = kept._replace(memory=replace(kept.memory, goal=first["goal"]))
        # Nobody starts it a second time: it needs no output of ours, and leaves nobody behind.
        means = Means(unit.means.spec, make_process=partial(Parent, inherited))
        own = replace(unit, means=means, kept=kept)
        return replace(plan, units=(own,), service_manager=Announcer(inherited))

    daemon = wiring.build(settings, file, load_again, fresh=bool(first.get("fresh")), adapt=adapt)
    loop, words = asyncio.get_running_loop(), settings.daemon.signals
    code = await daemon.live(lambda signalled: signals.hand_over(loop, signalled, words))
    signals.block()
    return code


def _as_argument(problem: str) -> str:
    """Return a mistake in the words of whoever has called `attach`."""
    said = "environment: STATUSD_"
    if not problem.startswith(said):
        return problem
    key, _, text = problem.removeprefix(said).partition(":")
    return f"{key.rpartition('__')[2].lower()}:{text}"


if __name__ == "__main__":
    main(sys.argv[1:])
