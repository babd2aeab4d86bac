"""The program that we are attached to, told like a service manager."""

from __future__ import annotations

from statusd.daemon.service_manager import ServiceManager
from statusd.supervision.parent import Inherited
from statusd.worker import child


class Announcer(ServiceManager):
    """Tells `attach` when the unit stands and hears, as a service manager would be told."""

    def __init__(self, inherited: Inherited) -> None:
        super().__init__()
        self.listens = True
        self._inherited = inherited

    def ready(self) -> None:
        """Pass it on, once."""
        if self.listens:
            self.listens = False
            self._inherited.send(child.READY)
