"""Tests of `statusd.daemon.service_manager` with a real socket that listens."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from statusd.daemon.notify_queue import WITHIN_S
from statusd.daemon.service_manager import ServiceManager
from tests.tools.notify import NotifySocket

Act = Callable[[ServiceManager], Awaitable[None]]


async def _act(manager: ServiceManager, act: Act) -> None:
    await act(manager)
    await manager.close()


async def _through_all_stages(manager: ServiceManager) -> None:
    manager.status("INIT")
    manager.reloading()  # before READY: that would be one
    manager.reloaded()
    await asyncio.sleep(0)
    for _ in range(3):
        manager.ready()
        manager.alive()
        manager.status("READY")
    manager.extend(2.5)
    await asyncio.sleep(WITHIN_S)
    for _ in range(3):
        manager.stopping()
        manager.reloading()


@pytest.mark.parametrize("is_abstract", [False, True])
def test_stages_are_said_in_order(is_abstract: bool, tmp_path: Path) -> None:
    """On a socket in the file system or in the abstract namespace."""
    name = f"@statusd-test-{os.getpid()}" if is_abstract else str(tmp_path / "notify")
    with NotifySocket(name) as listening:
        asyncio.run(_act(ServiceManager(name, 1.0), _through_all_stages))
        notes = [note.fields for note in listening.notes()]

    ready = {"READY": "1", "STATUS": "READY", "WATCHDOG": "1", "EXTEND_TIMEOUT_USEC": "2500000"}
    assert notes == [{"STATUS": "INIT"}, ready, {"STOPPING": "1"}]


def test_a_reload_has_its_time(tmp_path: Path) -> None:
    """By the clock that sd_notify(3) asks for."""

    async def reload(manager: ServiceManager) -> None:
        manager.ready()
        await asyncio.sleep(WITHIN_S)
        manager.reloading()
        manager.reloaded()

    with NotifySocket(str(tmp_path / "notify")) as listening:
        asyncio.run(_act(ServiceManager(listening.address), reload))
        _, reloading, ready = listening.notes()

    assert 0 <= reloading.at - int(reloading.fields["MONOTONIC_USEC"]) / 1e6 < 5
    assert reloading.fields.keys() == {"RELOADING", "MONOTONIC_USEC"}
    assert ready.fields == {"READY": "1"}


def test_a_busy_manager_is_told_later(tmp_path: Path) -> None:
    """Its queue is full: READY must not be lost."""
    with NotifySocket(str(tmp_path / "notify")) as listening:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as flood:
            flood.connect(listening.address)
            with suppress(BlockingIOError):
                while True:
                    flood.send(b"STATUS=flood")

        async def start(manager: ServiceManager) -> None:
            manager.ready()
            await asyncio.sleep(0)  # it is told, and nobody takes it
            listening.notes()

        asyncio.run(_act(ServiceManager(listening.address), start))

        assert listening.notes()[-1].fields == {"READY": "1"}


def test_nobody_who_listens_is_no_trouble(tmp_path: Path) -> None:
    """Neither without a socket nor with one that is gone."""
    for address in ("", str(tmp_path / "gone")):
        asyncio.run(_act(ServiceManager(address), _through_all_stages))


@pytest.mark.parametrize(
    ("environ", "watchdog_s"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
    ],
)
@pytest.mark.fault("G10")
def test_a_watchdog_for_somebody_else_is_not_fed(
    environ: dict[str, str], watchdog_s: float
) -> None:
    """It may be our parent's: its variables are inherited."""
    manager = ServiceManager.from_environment({"NOTIFY_SOCKET": "@x", **environ})

    assert manager.watchdog_s == watchdog_s
    assert ServiceManager.from_environment(environ).watchdog_s == 0
