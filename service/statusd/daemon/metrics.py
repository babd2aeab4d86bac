"""What a unit knows of itself, for Prometheus: read when somebody scrapes, and at no other time.

`METRICS` is the only list of them; docs/metrics.md and the tests are held to it. prometheus-client
(extra "metrics") is imported when there is an endpoint to serve, never by a daemon without one.

Length: one family of metrics after the other, as docs/metrics.md lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from statusd.core.answers import Answer
from statusd.core.errors import ConfigError
from statusd.daemon.session import Session
from statusd.unit.counts import CAUSES, Histogram
from statusd.unit.unit import Unit
from statusd.wire.link import LinkState

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric
    from prometheus_client.registry import CollectorRegistry

Labels = tuple[str, ...]
Samples = Mapping[Any, Any]
"""Values of labels -> a number, a `Histogram`, the name of a state, or the labels of an info."""


class MetricSpec(NamedTuple):
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
    MetricSpec("statusd_build", "info", "Versions of statusd and Python.", ("version", "python")),
    MetricSpec("statusd_unit", "info", "The unit's namespace in Redis.", ("namespace",)),
    MetricSpec("statusd_start_time_seconds", "gauge", "When the daemon started, in Unix time."),
    MetricSpec(
        "statusd_state", "stateset", "The state that the unit is in: 1, and 0 for all others."
    ),
    MetricSpec("statusd_state_start_time_seconds", "gauge", "When that state began, in Unix time."),
    MetricSpec(
        *("statusd_state_unseen_seconds", "gauge"),
        "How long the worker has not seen that state, in a step, say; 0 when it has.",
    ),
    MetricSpec(
        *("statusd_transitions", "counter", "Changes of state."),
        ("trigger", "from", "to"),
    ),
    MetricSpec("statusd_verdicts", "counter", "Answers to commands.", ("verdict",)),
    MetricSpec(
        *("statusd_messages", "counter", "Messages heard on the channels: commands, or junk."),
        ("kind",),
    ),
    MetricSpec(
        *("statusd_command_done_seconds", "histogram"),
        "From a command to the worker seen in the state that it asked for.",
    ),
    MetricSpec(
        *("statusd_link_state", "stateset", "How far each link to the broker is."),
        ("link",),
    ),
    MetricSpec(
        "statusd_link_outages", "counter", "Outages of the hearing link, the present one too."
    ),
    MetricSpec("statusd_link_outage_seconds", "counter", "How long all those outages took."),
    MetricSpec(
        *("statusd_canary_round_trip_seconds", "histogram"),
        "From the unit to the broker and back, by the way that commands take.",
    ),
    MetricSpec(
        "statusd_outbox_lines", "gauge", "Redis commands that wait to be sent or replied to."
    ),
    MetricSpec(
        "statusd_outbox_dropped_lines", "counter", "Redis commands lost: the outbox was full."
    ),
    MetricSpec(
        "statusd_state_file_failures", "counter", "Writes of the state file that have failed."
    ),
    MetricSpec("statusd_worker_up", "gauge", "1 while a worker lives and does the unit's work."),
    MetricSpec(
        *("statusd_worker_restarts", "counter", "Restarts of the worker, by what it died of."),
        ("cause",),
    ),
    MetricSpec(
        "statusd_worker_turns", "counter", "Turns of the present worker's loop: signs of life."
    ),
    MetricSpec(
        *("statusd_worker_cpu_seconds", "counter"), "CPU time of the present worker's processes."
    ),
    MetricSpec(
        "statusd_worker_memory_bytes", "gauge", "Memory of its processes: their resident sets."
    ),
    MetricSpec(
        "statusd_worker_memory_limit_bytes",
        "gauge",
        "The most it may have (memory_max), if that is set.",
    ),
    MetricSpec("statusd_worker_processes", "gauge", "How many processes the worker is."),
    MetricSpec("statusd_worker_threads", "gauge", "Threads of all of them."),
    MetricSpec("statusd_worker_descriptors", "gauge", "Their open files, sockets and the like."),
    MetricSpec("statusd_progress_steps", "gauge", "The step that the worker says it is at."),
    MetricSpec("statusd_progress_expected_steps", "gauge", "How many steps it says there are."),
    MetricSpec(
        *("statusd_progress_steps_per_second", "gauge"),
        "How fast it goes, of the time with work to do; 0 when it stands still.",
    ),
    MetricSpec("statusd_progress_left_seconds", "gauge", "How much time of work is left."),
)


@cache
def _versions() -> Labels:
    """Return those of statusd and Python; what finds them is two MiB, which few daemons need."""
    import platform
    from importlib.metadata import version

    return version("statusd"), platform.python_version()


def read(unit: Unit, session: Session, now: float) -> dict[str, Samples]:
    """Return the samples of every metric by its name; those of which nothing is known are empty.

    Args:
        now: by the wall clock, in seconds.
    """
    unit.note()
    status, counts, process = unit.status, unit.reporter.counts, unit.supervisor.process
    identity, outbox, intake = status.identity, unit.publisher.outbox, unit.intake
    record = unit.document.work.look()
    rate, left_s = unit.document.work.estimate(record)
    links = {
        ("hears",): session.subscriber_link.state.name,
        ("sends",): session.publisher_link.state.name,
    }
    return {
        "statusd_build": {_versions(): 1},
        "statusd_unit": {(identity.namespace,): 1},
        "statusd_start_time_seconds": {(): identity.boot / 1000},
        "statusd_state": {(): status.state.name},
        "statusd_state_start_time_seconds": {(): unit.document.since},
        "statusd_state_unseen_seconds": {
            (): max(0.0, now - unit.document.since) if status.is_unseen else 0.0
        },
        "statusd_transitions": counts.transitions,
        "statusd_verdicts": {(kind.value,): counts.verdicts[kind.value] for kind in Answer},
        "statusd_messages": {("command",): intake.commands, ("junk",): intake.invalid},
        "statusd_command_done_seconds": {(): counts.done},
        "statusd_link_state": links,
        "statusd_link_outages": {(): unit.outages.count},
        "statusd_link_outage_seconds": {(): unit.outages.total_s(now)},
        "statusd_canary_round_trip_seconds": {(): counts.canary},
        "statusd_outbox_lines": {(): len(outbox)},
        "statusd_outbox_dropped_lines": {(): outbox.dropped},
        "statusd_state_file_failures": {(): unit.store.file.failures},
        "statusd_worker_up": {(): int(status.worker.counts)},
        "statusd_worker_restarts": {(cause,): counts.restarts[cause] for cause in CAUSES},
        "statusd_worker_turns": {} if process is None else {(): process.pulse().beats},
        **_used(unit),
        "statusd_progress_steps": _said(record and record.step),
        "statusd_progress_expected_steps": _said(record and record.total),
        "statusd_progress_steps_per_second": _said(rate),
        "statusd_progress_left_seconds": _said(left_s),
    }


def _used(unit: Unit) -> dict[str, Samples]:
    """Return what the worker's processes used when they were looked at last."""
    status, process = unit.status, unit.supervisor.process
    usage = process.sampler.usage if process is not None and status.worker.counts else None
    return {
        "statusd_worker_cpu_seconds": _said(usage and usage.cpu_s),
        "statusd_worker_memory_bytes": _said(usage and usage.memory),
        "statusd_worker_memory_limit_bytes": _said(status.policy.memory_max or None),
        "statusd_worker_processes": _said(usage and usage.processes),
        "statusd_worker_threads": _said(usage and usage.threads),
        "statusd_worker_descriptors": _said(usage and usage.descriptors),
    }


def _said(value: float | None) -> Samples:
    return {} if value is None else {(): value}


class Exporter:
    """Puts the numbers into the words of Prometheus.

    Args:
        units: of the daemon, by name; session: what they share.
        wall: the wall clock in seconds.

    Raises:
        ConfigError: prometheus-client isn't installed.
    """

    def __init__(
        self, units: Mapping[str, Unit], session: Session, wall: Callable[[], float]
    ) -> None:
        self._units = units
        self._session = session
        self._wall = wall
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
        now = self._wall()
        found = [(unit, read(unit, self._session, now)) for unit in self._units.values()]
        for spec in METRICS:
            family = self._family(spec)
            for unit, samples in found:
                _add(family, spec, unit, samples[spec.name])
            yield family

    def _family(self, spec: MetricSpec) -> Any:
        core, labels = self._core, ("name", *spec.labels)
        match spec.type:
            case "counter":
                return core.CounterMetricFamily(spec.name, spec.help, labels=labels)
            case "gauge":
                return core.GaugeMetricFamily(spec.name, spec.help, labels=labels)
            case "info":
                return core.InfoMetricFamily(spec.name, spec.help, labels=("name",))
            case "stateset":
                return core.StateSetMetricFamily(spec.name, spec.help, labels=labels)
            case _:
                return core.HistogramMetricFamily(spec.name, spec.help, labels=labels)


def _add(family: Any, spec: MetricSpec, unit: Unit, samples: Samples) -> None:
    """Add the samples of one unit."""
    for values, value in samples.items():
        labels = (unit.name, *values)
        if spec.type == "info":
            family.add_metric((unit.name,), dict(zip(spec.labels, values, strict=True)))
        elif spec.type == "stateset":
            family.add_metric(labels, {state: state == value for state in _states(spec, unit)})
        elif spec.type == "histogram":
            family.add_metric(labels, _buckets(value), value.sum)
        else:
            family.add_metric(labels, value)


def _states(spec: MetricSpec, unit: Unit) -> list[str]:
    """Return all states of a state set."""
    if spec.name == "statusd_link_state":
        return [state.name for state in LinkState]
    return [state.name for state in unit.status.lifecycle.members()]


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
