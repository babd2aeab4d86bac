"""A command as a browser or a script gives it, and what is told of it while it goes on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from statusd.core import bounds
from statusd.core.bounds import Unreadable
from statusd.core.errors import ConfigError, StatusdError
from statusd.core.messages import Scalar, Target
from statusd.fleet.async_fleet import AsyncFleet
from statusd.fleet.operations import LAUNCH
from statusd.fleet.response_collector import Outcome, Report, UnitInfo
from statusd.fleet.targets import message_to
from statusd.web.http import MOST_BODY, Refused

MOST_TIMEOUT_S = 3600.0
"""So long the answer to a request may go on."""
MOST_EXPIRES_S = 366 * 86400.0
MOST_DEPTH = 4
"""So deep is a body nested: target, lists, globs, and one for what is told better."""
MOST_GLOBS = 2000
"""So many names a target may have: a selection is names, one by one."""
_KINDS: Mapping[str, tuple[type, ...]] = {
    "command": (str,),
    "target": (dict,),
    "args": (dict,),
    "dry_run": (bool,),
    "durable": (bool,),
    "expires_s": (int, float),
    "timeout_s": (int, float),
}
_SOME_CHANNEL = "x" * 128
"""As long as the name of the channel for answers is, or longer."""
_TARGETS = ("name", "tag", "state")


@dataclass(frozen=True, slots=True)
class WebOrder:
    """What somebody wants done, see `AsyncFleet.send`; ``is_dry``: to know who would be asked."""

    word: str
    target: Mapping[str, tuple[str, ...]]
    args: Mapping[str, Scalar]
    is_dry: bool = False
    is_durable: bool = False
    expires_s: float | None = None
    timeout_s: float | None = None

    @property
    def is_launch(self) -> bool:
        """Whether it is for those that have ended."""
        return self.word.lower() == LAUNCH


def read(body: bytes) -> WebOrder:
    """Return the order in the body of a request.

    Raises:
        Refused: it is none; nothing was sent.
    """
    try:
        said = bounds.decode(body, MOST_DEPTH, MOST_BODY)
    except Unreadable as error:
        raise Refused(400, f"the body: {error}") from None
    if not isinstance(said, dict):
        raise Refused(400, "the body: no JSON object")
    for key, value in said.items():
        kinds = _KINDS.get(key)
        if kinds is None:
            raise Refused(400, f"{key!a:.80}: there is no such key; there are: {', '.join(_KINDS)}")
        if type(value) not in kinds:
            raise Refused(400, f"{key}: it is no {_spelt(kinds)}")
    if not said.get("command"):
        raise Refused(400, "command: it is missing")
    order = WebOrder(
        said["command"],
        _target(said.get("target", {})),
        said.get("args", {}),
        said.get("dry_run", False),
        said.get("durable", False),
        _seconds("expires_s", said.get("expires_s"), MOST_EXPIRES_S),
        _seconds("timeout_s", said.get("timeout_s"), MOST_TIMEOUT_S),
    )
    if order.is_launch and not {"args", "expires_s"}.isdisjoint(said):
        raise Refused(400, "launch: it takes no args and doesn't expire")
    if order.is_launch and "state" in order.target:
        raise Refused(400, "launch: it is for those that have ended: target them by name or tag")
    return order


def _spelt(kinds: tuple[type, ...]) -> str:
    names = {str: "text", dict: "object", bool: "true or false", int: "number"}
    return names[kinds[0]]


def _target(said: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the target; an empty list is a selection of nobody, and never means everybody."""
    target = {}
    for key, globs in said.items():
        if key not in _TARGETS:
            raise Refused(400, f"target: {key!a:.80}: there are: {', '.join(_TARGETS)}")
        is_list = isinstance(globs, list) and all(isinstance(glob, str) for glob in globs)
        if not is_list or not 0 < len(globs) <= MOST_GLOBS:
            raise Refused(400, f"target: {key}: it is no list of 1 to {MOST_GLOBS} texts")
        target[key] = tuple(globs)
    return target


def _seconds(key: str, said: float | None, most: float) -> float | None:
    if said is not None and not 0 <= said <= most:
        raise Refused(400, f"{key}: it is 0 to {most:g}")
    return said


def check(order: WebOrder, by: str) -> None:
    """See that it is a command, before anything is asked or sent.

    Raises:
        Refused: it is none.
    """
    try:
        message_to(_SOME_CHANNEL, order.word, args=order.args, by=by, expires="", **order.target)
    except ConfigError as error:
        raise Refused(400, str(error)) from None


# ---- what becomes of it --------------------------------------------------------------------------


async def asked(fleet: AsyncFleet, order: WebOrder) -> dict[str, Any]:
    """Return who would be asked, and who can't be.

    Raises:
        ConfigError, Unavailable: as `AsyncFleet.expected`.
    """
    alive, lost = await fleet.expected(Target(**order.target), launch=order.is_launch)
    return {"asked": [_brief(unit) for unit in alive], "lost": [_brief(unit) for unit in lost]}


def _brief(unit: UnitInfo) -> dict[str, str]:
    return {"name": unit.name, "state": unit.state}


async def carried_out(
    fleet: AsyncFleet, order: WebOrder, by: str
) -> AsyncGenerator[dict[str, Any], None]:
    """Send it; yield each outcome as it comes, and at last the report or what went wrong.

    Whoever stops to listen doesn't take it back: it was sent.
    """
    told: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    def heard(outcome: Outcome) -> None:
        told.put_nowait({"outcome": outcome.record()})

    async def send() -> None:
        try:
            report = await _sent(fleet, order, by, heard)
            told.put_nowait({"report": report_of(report)})
        except StatusdError as error:
            told.put_nowait({"error": str(error)})
        finally:
            told.put_nowait(None)

    sending = asyncio.create_task(send())
    try:
        while (record := await told.get()) is not None:
            yield record
        await sending
    finally:
        sending.cancel()
        await asyncio.wait((sending,))


async def _sent(
    fleet: AsyncFleet, order: WebOrder, by: str, heard: Callable[[Outcome], None]
) -> Report:
    names, tags = order.target.get("name"), order.target.get("tag")
    if order.is_launch:
        return await fleet.launch(
            names,
            tag=tags,
            by=by,
            durable=order.is_durable,
            timeout_s=order.timeout_s,
            heard=heard,
        )
    return await fleet.send(
        order.word,
        name=names,
        tag=tags,
        state=order.target.get("state"),
        args=order.args or None,
        by=by,
        durable=order.is_durable,
        expires_s=order.expires_s,
        timeout_s=order.timeout_s,
        heard=heard,
    )


def report_of(report: Report) -> dict[str, Any]:
    """Return a report as the API has it: each unit's name in one list."""
    found: dict[str, Any] = {"id": report.id, "exit_code": report.exit_code}
    for key in ("done", "refused", "pending", "silent", "lost"):
        found[key] = [outcome.name for outcome in getattr(report, key)]
    found["outcomes"] = [outcome.record() for outcome in report.outcomes]
    return found | ({"entry": report.entry} if report.entry else {})


def line(record: Mapping[str, Any]) -> bytes:
    """Return a record as a line of JSON."""
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"
