"""What a unit knows of itself, for Prometheus: read when somebody scrapes, and at no other time.

`METRICS` is the only list of them; docs/metrics.md and the tests are held to it. prometheus-client
(extra "metrics") is imported when there is an endpoint to serve, never by a daemon without one.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

from statusd.core.errors import ConfigError
from statusd.core.messages import Answer
from statusd.core.status import Status
from statusd.supervision.process import Process
from statusd.unit.counts import CAUSES, Counts, Histogram
from statusd.unit.hearing import Hearing
from statusd.unit.outages import Outages
from statusd.unit.state_file import StateFile
from statusd.wire.link import Link, LinkState

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric
    from prometheus_client.registry import CollectorRegistry

Labels = tuple[str, ...]
Samples = Mapping[Any, Any]
"""Values of labels -> a number, a `Histogram`, the name of a state, or the labels of an info."""


class Kind(NamedTuple):
    """One metric.

    Args:
        name: without what its type adds (``_total``, ``_info``).
        type: as Prometheus calls it.
        help: one sentence.
        labels: besides ``name``, the unit's.
        states: of a state set.
    """

    name: str
    type: str
    help: str
    labels: Labels = ()

    @property
    def shown(self) -> str:
        """The name of its samples."""
        return self.name + {"counter": "_total", "info": "_info"}.get(self.type, "")


METRICS = (
    Kind("statusd_build", "info", "Versions of statusd and Python.", ("version", "python")),
    Kind("statusd_unit", "info", "The unit's namespace in Redis.", ("namespace",)),
    Kind("statusd_start_time_seconds", "gauge", "When the daemon started, in Unix time."),
    Kind("statusd_state", "stateset", "The state that the unit is in: 1, and 0 for all others."),
    Kind("statusd_state_start_time_seconds", "gauge", "When that state began, in Unix time."),
    Kind(
        *("statusd_transitions", "counter", "Changes of state."),
        ("trigger", "from", "to"),
    ),
    Kind("statusd_verdicts", "counter", "Answers to commands.", ("verdict",)),
    Kind(
        *("statusd_messages", "counter", "Messages heard on the channels: commands, or junk."),
        ("kind",),
    ),
    Kind(
        *("statusd_command_done_seconds", "histogram"),
        "From a command to the worker seen in the state that it asked for.",
    ),
    Kind(
        *("statusd_link_state", "stateset", "How far each link to the broker is."),
        ("link",),
    ),
    Kind("statusd_link_outages", "counter", "Outages of the hearing link, the present one too."),
    Kind("statusd_link_outage_seconds", "counter", "How long all those outages took."),
    Kind(
        *("statusd_canary_round_trip_seconds", "histogram"),
        "From the unit to the broker and back, by the way that commands take.",
    ),
    Kind("statusd_outbox_lines", "gauge", "Redis commands that wait to be sent or replied to."),
    Kind("statusd_outbox_dropped_lines", "counter", "Redis commands lost: the outbox was full."),
    Kind("statusd_state_file_failures", "counter", "Writes of the state file that have failed."),
    Kind("statusd_worker_up", "gauge", "1 while a worker lives and does the unit's work."),
    Kind(
        *("statusd_worker_restarts", "counter", "Restarts of the worker, by what it died of."),
        ("cause",),
    ),
    Kind("statusd_worker_turns", "counter", "Turns of the present worker's loop: signs of life."),
    Kind("statusd_progress_steps", "gauge", "The step that the worker says it is at."),
    Kind("statusd_progress_expected_steps", "gauge", "How many steps it says there are."),
)


class Sources(NamedTuple):
    """Where the numbers come from; all is read on the loop, in one go.

    Args:
        status, ear, mouth, outages, hearing, counts: of the daemon.
        process: returns the present worker, if there is one.
        since: returns when the state changed last, by the wall clock.
        wall: the wall clock in seconds.
        state_file: what survives the daemon.
    """

    status: Status
    ear: Link
    mouth: Link
    outages: Outages
    hearing: Hearing
    counts: Counts
    process: Callable[[], Process | None]
    since: Callable[[], float]
    wall: Callable[[], float]
    state_file: StateFile


def read(sources: Sources) -> dict[str, Samples]:
    """Return the samples of every metric by its name; those of which nothing is known are empty."""
    status, counts, process = sources.status, sources.counts, sources.process()
    identity, outbox = status.identity, sources.mouth.outbox
    record = process.record() if process is not None else None
    heard = {("command",): sources.hearing.commands, ("junk",): sources.hearing.junk}
    links = {("hears",): sources.ear.state.name, ("sends",): sources.mouth.state.name}
    return {
        "statusd_build": {(version("statusd"), platform.python_version()): 1},
        "statusd_unit": {(identity.namespace,): 1},
        "statusd_start_time_seconds": {(): identity.boot / 1000},
        "statusd_state": {(): status.state.name},
        "statusd_state_start_time_seconds": {(): sources.since()},
        "statusd_transitions": counts.transitions,
        "statusd_verdicts": {(kind.value,): counts.verdicts[kind.value] for kind in Answer},
        "statusd_messages": heard,
        "statusd_command_done_seconds": {(): counts.done},
        "statusd_link_state": links,
        "statusd_link_outages": {(): sources.outages.count},
        "statusd_link_outage_seconds": {(): sources.outages.total_s(sources.wall())},
        "statusd_canary_round_trip_seconds": {(): counts.canary},
        "statusd_outbox_lines": {(): len(outbox)},
        "statusd_outbox_dropped_lines": {(): outbox.dropped},
        "statusd_state_file_failures": {(): sources.state_file.failures},
        "statusd_worker_up": {(): int(status.worker.counts)},
        "statusd_worker_restarts": {(cause,): counts.restarts[cause] for cause in CAUSES},
        "statusd_worker_turns": {} if process is None else {(): process.pulse().beats},
        "statusd_progress_steps": _said(record and record.step),
        "statusd_progress_expected_steps": _said(record and record.total),
    }


def _said(value: float | None) -> Samples:
    return {} if value is None else {(): value}


class Exporter:
    """Puts the numbers into the words of Prometheus.

    Args:
        sources: where they come from.

    Raises:
        ConfigError: prometheus-client isn't installed.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._core = load("metrics_core")
        self._registry: CollectorRegistry = load("registry").CollectorRegistry()
        self._registry.register(self)
        load("process_collector").ProcessCollector(registry=self._registry)
        self._exposition = load("exposition")

    def text(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics as text, and its content type.

        Args:
            accept: what the asker can read, as in HTTP.
        """
        encode, kind = self._exposition.choose_encoder(accept)
        return encode(self._registry), kind

    def describe(self) -> Iterable[Metric]:
        """Return nothing: the registry need not ask for the numbers to learn their names."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every metric with its samples: what a registry asks of a collector."""
        found = read(self._sources)
        states = {
            "statusd_state": [state.name for state in self._sources.status.lifecycle.members()],
            "statusd_link_state": [state.name for state in LinkState],
        }
        name = self._sources.status.identity.name
        for kind in METRICS:
            yield self._family(kind, name, found[kind.name], states.get(kind.name, []))

    def _family(self, kind: Kind, name: str, samples: Samples, states: list[str]) -> Metric:
        core, labels = self._core, ("name", *kind.labels)
        family: Any
        match kind.type:
            case "counter":
                family = core.CounterMetricFamily(kind.name, kind.help, labels=labels)
            case "gauge":
                family = core.GaugeMetricFamily(kind.name, kind.help, labels=labels)
            case "info":
                family = core.InfoMetricFamily(kind.name, kind.help, labels=("name",))
            case "stateset":
                family = core.StateSetMetricFamily(kind.name, kind.help, labels=labels)
            case _:
                family = core.HistogramMetricFamily(kind.name, kind.help, labels=labels)
        for values, value in samples.items():
            if kind.type == "info":
                family.add_metric((name,), dict(zip(kind.labels, values, strict=True)))
            elif kind.type == "stateset":
                family.add_metric((name, *values), {state: state == value for state in states})
            elif kind.type == "histogram":
                family.add_metric((name, *values), _buckets(value), value.sum)
            else:
                family.add_metric((name, *values), value)
        return family  # type: ignore[no-any-return]  # whichever of them it is


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """Return how many values were at most as large as each bound."""
    total, buckets = 0, []
    for bound, count in zip((*histogram.bounds, float("inf")), histogram.counts, strict=True):
        total += count
        buckets.append(("+Inf" if bound == float("inf") else str(bound), float(total)))
    return buckets


def load(module: str) -> Any:
    """Return a module of prometheus-client.

    Raises:
        ConfigError: the library isn't installed.
    """
    try:
        return import_module(f"prometheus_client.{module}")
    except ImportError as error:
        cure = "pip install 'statusd[metrics]', or leave http.listen empty"
        raise ConfigError(f"[http] needs prometheus-client ({error.name}): {cure}") from None
