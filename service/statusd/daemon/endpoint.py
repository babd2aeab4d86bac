"""The paths that a daemon answers by HTTP: /livez, /readyz and /metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus

from statusd.core.status import Status
from statusd.core.text import shown
from statusd.daemon.http import Answer, Reply, say
from statusd.daemon.metrics import Exporter
from statusd.daemon.session import Session
from statusd.unit.unit import Unit
from statusd.wire.link import Link, LinkState


def answers(
    units: Mapping[str, Unit], session: Session, wall: Callable[[], float]
) -> Mapping[str, Answer]:
    """Return path -> who answers it.

    Raises:
        ConfigError: prometheus-client isn't installed.
    """
    exporter = Exporter(units, session, wall)

    def live(_: str) -> Reply:
        """The loop itself answers: if it is stuck, nobody does."""
        return say(HTTPStatus.OK, "ok")

    def ready(_: str) -> Reply:
        why = "; ".join(
            filter(None, (_why_not(unit, session.subscriber_link) for unit in units.values()))
        )
        return say(HTTPStatus.SERVICE_UNAVAILABLE, why) if why else say(HTTPStatus.OK, "ok")

    def metrics(accept: str) -> Reply:
        return Reply(HTTPStatus.OK, *exporter.text(accept))

    return {"/livez": live, "/readyz": ready, "/metrics": metrics}


def _why_not(unit: Unit, link: Link) -> str:
    trouble = unit.store.file.trouble
    return unready(unit.status, link) or (trouble and f"nothing is kept: {trouble}")


def unready(status: Status, link: Link) -> str:
    """Return why the unit can't be commanded to work now, in one line; nothing if it can."""
    lifecycle = status.lifecycle
    if link.state is not LinkState.LISTENING:
        trouble = f": {link.trouble}" if link.trouble else ""
        return shown(f"the link to the broker is {link.state.value}{trouble}")
    no_work = {lifecycle.start, lifecycle.backoff, lifecycle.failed, lifecycle.ending}
    if status.state in no_work or not status.worker.counts:
        return f"the worker isn't up: the unit is in {status.state.name}"
    return ""
