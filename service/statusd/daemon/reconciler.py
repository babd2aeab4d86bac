"""``statusd reload``: what runs is made what the folder says, unit by unit, all or nothing.

Rule of this file: all files are read and judged before anything is done; a unit whose settings are
as they were notices nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from statusd import threads
from statusd.core.errors import StatusdError
from statusd.daemon.launcher import Launcher, Then
from statusd.daemon.plan import FolderPlan
from statusd.daemon.reloader import NewSettings, Reloader
from statusd.supervision import reaper

GONE = "its settings are gone: statusd reload"
OTHERS = "its settings are others: statusd reload"


class Reconciler:
    """Begins, changes and ends units.

    Args:
        folder: of the daemon; launcher: lets units come and go; reloader: changes those that live.
        log: where it is told.
    """

    def __init__(
        self, folder: FolderPlan, launcher: Launcher, reloader: Reloader, log: Any
    ) -> None:
        self._settings = folder.settings
        self._launcher, self._reloader = launcher, reloader
        self._log = log

    @classmethod
    def of(
        cls, folder: FolderPlan | None, launcher: Launcher, reloader: Reloader, log: Any
    ) -> Reconciler | None:
        """Return the one of a folder; None without one."""
        return None if folder is None else cls(folder, launcher, reloader, log)

    async def reconcile(self, *, dry_run: bool) -> dict[str, Any]:
        """Return what is done, unit by unit, or would be; it goes on after this.

        With a mistake in any file nothing is, and the answer has ``mistakes``. Who is about to come
        has come before, so that it is as it says; who is launched meanwhile comes after.
        """
        async with self._launcher.comings.none():
            return await self._reconcile(dry_run=dry_run)

    async def _reconcile(self, *, dry_run: bool) -> dict[str, Any]:
        try:
            folder, new = await threads.apart(self._settings.look, "reload")
        except (StatusdError, OSError) as error:
            mistakes = list(getattr(error, "problems", None) or [str(error)])
            self._log.error("reload.refused", reason="; ".join(mistakes))
            return {"mistakes": mistakes}
        finally:
            reaper.reap_orphans()  # who fell to us meanwhile may stand behind the judge that died
        assert new.folder is not None
        units = list(self._units(new))
        if not dry_run:
            self._settings.accept(folder)
            self._settings.add(folder, new.folder.added)
            told = new.folder._replace(added=[], removed=[])
            self._reloader.take_over(new._replace(folder=told))
            self._obey(units)
            self._settings.remove(new.folder.removed)
        shared = {"changed": new.folder.changed, "needs_restart": new.folder.needs_restart}
        return {"units": units, "daemon": shared, "dry_run": dry_run}

    def _units(self, new: NewSettings) -> Iterator[dict[str, Any]]:
        """Yield what is to be done with each unit, in the order of their names."""
        assert new.folder is not None
        rests = self._launcher.rests
        none: list[str] = []
        todo = {name: ("begins", none) for name in new.folder.added}
        todo |= {name: ("ends", none) for name in new.folder.removed}
        for unit in new.units:
            keys = [*unit.changed, *unit.needs_restart]
            if unit.name in rests:
                what = "rests"
            elif unit.needs_restart:
                what = "begins anew"
            else:
                what = "changes" if unit.changed else "stays"
            todo[unit.name] = (what, keys)
        for name, (what, keys) in sorted(todo.items()):
            yield {"name": name, "what": what, "keys": keys}

    def _obey(self, units: list[dict[str, Any]]) -> None:
        for unit in units:
            name = unit["name"]
            if unit["what"] not in ("stays", "rests"):
                self._log.info("reload.obeyed", unit=name, what=unit["what"], keys=unit["keys"])
            match unit["what"]:
                case "begins":
                    self._launcher.add(name)
                case "ends":
                    self._launcher.dismiss(name, GONE, Then.GO)
                case "begins anew":
                    self._launcher.dismiss(name, OTHERS, Then.BEGIN_ANEW)
