"""The paths that a daemon answers by HTTP: /livez, /readyz and /metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus

from statusd.core.status import Status
from statusd.core.text import shown
from statusd.daemon.http import Answer, HttpServer, Reply, say
from statusd.daemon.living import Living
from statusd.daemon.metrics import Exporter
from statusd.daemon.session import Session
from statusd.unit.unit import Unit
from statusd.wire.link import Link, LinkState
from statusd.wire.listen import Listen


def server(
    listen: Listen | None,
    units: Mapping[str, Unit],
    living: Living,
    session: Session,
    wall: Callable[[], float],
) -> HttpServer | None:
    """Return what answers at ``listen``; None for nowhere. The others: see `answers`.

    Raises:
        ConfigError: prometheus-client isn't installed.
    """
    return None if listen is None else HttpServer(listen, answers(units, living, session, wall))


def answers(
    units: Mapping[str, Unit], living: Living, session: Session, wall: Callable[[], float]
) -> Mapping[str, Answer]:
    """Return path -> who answers it.

    Args:
        units: of which there are numbers; living: those that are to be ready.

    Raises:
        ConfigError: prometheus-client isn't installed.
    """
    exporter = Exporter(units, session, wall)

    def live(_: str) -> Reply:
        """The loop itself answers: if it is stuck, nobody does."""
        return say(HTTPStatus.OK, "ok")

    def ready(_: str) -> Reply:
        link = session.subscriber_link
        whose = "{name}: {why}" if len(units) > 1 else "{why}"
        found = ((unit.name, _why_not(unit, link)) for unit in living.units)
        lacking = [whose.format(name=name, why=why) for name, why in found if why]
        why = unheard(link) or "; ".join(lacking)
        return say(HTTPStatus.SERVICE_UNAVAILABLE, why) if why else say(HTTPStatus.OK, "ok")

    def metrics(accept: str) -> Reply:
        return Reply(HTTPStatus.OK, *exporter.text(accept))

    return {"/livez": live, "/readyz": ready, "/metrics": metrics}


def _why_not(unit: Unit, link: Link) -> str:
    trouble = unit.store.file.trouble
    return unready(unit.status, link) or (trouble and f"nothing is kept: {trouble}")


def unheard(link: Link) -> str:
    """Return why nobody can be commanded now, in one line; nothing if the link hears."""
    if link.state is LinkState.LISTENING:
        return ""
    trouble = f": {link.trouble}" if link.trouble else ""
    return shown(f"the link to the broker is {link.state.value}{trouble}")


def unready(status: Status, link: Link) -> str:
    """Return why the unit can't be commanded to work now, in one line; nothing if it can."""
    lifecycle = status.lifecycle
    if why := unheard(link):
        return why
    no_work = {lifecycle.start, lifecycle.backoff, lifecycle.failed, lifecycle.ending}
    if status.state in no_work or not status.worker.counts:
        return f"the worker isn't up: the unit is in {status.state.name}"
    return ""
