"""Each peer's daemon with its least settings, and statusd beside them."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Mapping, Sequence

from benchmarks.broker import Wire, free_port
from benchmarks.contestants import Contestant
from benchmarks.peers.environments import REQUIREMENTS, environment
from benchmarks.processes import wait_until
from benchmarks.rounds import Bench

CHILD = [sys.executable, "-m", "benchmarks.peers.child"]
_CIRCUS = """\
[circus]
endpoint = {address}
pubsub_endpoint = tcp://127.0.0.1:{port}

[watcher:child]
cmd = {child}
copy_env = True
"""
_SUPERVISORD = """\
[unix_http_server]
file = {address}

[supervisord]
nodaemon = true
logfile = {folder}/supervisord.log
pidfile = {folder}/supervisord.pid
childlogdir = {folder}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[program:child]
command = {child}
"""


class Daemon(Contestant):
    """A peer's daemon, not started yet.

    Args:
        peer: its name here.

    Then ``address`` is where its client finds it, ``command`` what starts it in its environment,
    and ``is_up`` tells whether it can be commanded, and has its child.
    """

    def __init__(self, bench: Bench, peer: str) -> None:
        super().__init__(bench.guard, bench.broker)
        self.bin = environment(REQUIREMENTS[peer])
        self.address = bench.broker.url
        self.command: Sequence[str] = ()
        self.is_up: Callable[[], object] = lambda: self.page.count

    def _command(self) -> list[str]:
        program, *arguments = self.command
        return [str(self.bin / program), *arguments]

    def _environment(self) -> Mapping[str, str]:
        return {**super()._environment(), "BENCHMARK_BROKER": self._broker.url}

    def environment(self) -> Mapping[str, str]:
        """Return what its client needs as well: the page, and the broker."""
        return self._environment()

    def wait(self) -> None:
        """Return when it can be commanded, and has its child."""
        wait_until(lambda: self.is_up() or self.has_ended(), "the peer to be up", nap_s=0.001)

    def says(self, text: str) -> bool:
        """Tell whether its log says so."""
        return text in (self.folder / "log").read_text("utf-8", "replace")


def rq(bench: Bench) -> Daemon:
    """RQ's worker: up when it has subscribed to its commands."""
    daemon = Daemon(bench, "rq")
    daemon.command = ("python", "-m", "benchmarks.peers.rq_worker")
    daemon.is_up = lambda: _subscribers(bench, "rq:pubsub:bench")
    return daemon


def _subscribers(bench: Bench, channel: str) -> int:
    with Wire(bench.broker.port) as wire:
        return int(wire.call("PUBSUB", "NUMSUB", channel)[1])


def celery(bench: Bench) -> Daemon:
    """Celery's worker with one process for tasks: up when it says "ready."."""
    daemon = Daemon(bench, "celery")
    options = ("-P", "prefork", "-c", "1", "-n", "bench@host", "-l", "INFO")
    daemon.command = ("celery", "-A", "benchmarks.peers.celery_app", "worker", *options)
    daemon.is_up = lambda: daemon.says(" ready.")
    return daemon


def circus(bench: Bench) -> Daemon:
    """circusd with one child: up when that runs."""
    daemon = Daemon(bench, "circus")
    daemon.address = f"tcp://127.0.0.1:{free_port()}"
    file = daemon.folder / "circus.ini"
    fields = {"address": daemon.address, "port": free_port(), "child": " ".join(CHILD)}
    file.write_text(_CIRCUS.format(**fields), encoding="utf-8")
    daemon.command = ("circusd", str(file))
    return daemon


def supervisord(bench: Bench) -> Daemon:
    """supervisord with one child: up when that runs."""
    daemon = Daemon(bench, "supervisord")
    daemon.address = str(daemon.folder / "socket")
    file = daemon.folder / "supervisord.conf"
    fields = {"address": daemon.address, "folder": daemon.folder, "child": " ".join(CHILD)}
    file.write_text(_SUPERVISORD.format(**fields), encoding="utf-8")
    daemon.command = ("supervisord", "-c", str(file))
    return daemon


def bluesky(bench: Bench) -> Daemon:
    """bluesky-queueserver's manager without an environment: up when its port is open."""
    daemon = Daemon(bench, "bluesky")
    port, info = free_port(), free_port()
    daemon.address = f"tcp://127.0.0.1:{port}"
    daemon.command = (
        *("start-re-manager", "--zmq-control-addr", daemon.address),
        *("--zmq-info-addr", f"tcp://127.0.0.1:{info}"),
        *("--redis-addr", f"127.0.0.1:{bench.broker.port}"),
    )
    daemon.is_up = lambda: _is_open(port)
    return daemon


DAEMONS = {f.__name__: f for f in (rq, celery, circus, supervisord, bluesky)}


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
