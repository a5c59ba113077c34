"""Exports what the control plane counts for all: by OTLP, and to Prometheus where it scrapes.

Exporters read on threads of their own, so they are given readings: replaced whole, never edited.
"""

import asyncio
import operator
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    Metric,
    MetricReader,
    MetricsData,
    PeriodicExportingMetricReader,
)
from prometheus_client import CollectorRegistry, start_http_server

from server.telemetry.durations import Durations, duration_metric
from server.telemetry.labels import OTHER, Labels
from server.telemetry.resource import resource

ENDPOINT_VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
# Collectors look every 10 s or so; a reading takes a millisecond to make.
READING_S = 1.0
# A collector that does not answer holds up the end of the service no longer than this.
CLOSE_MS_MAX = 2_000

# name: (unit, description). Counters are totals since the control plane's start.
COUNTERS: Mapping[str, tuple[str, str]] = {
    "turnout.decisions": ("{decision}", "Requests for which a model was chosen."),
    "turnout.domains": ("{decision}", "The same by content domain; what none matches is other."),
    "turnout.requests": ("{request}", "Ended requests: ok, slow (later than the SLO) or failed."),
    "turnout.cost": ("USD", "What requests cost, by the configured prices."),
    "turnout.refusals": ("{request}", "Requests that were answered with an error, by its reason."),
    "turnout.shed": ("{request}", "Requests that were refused because they did not fit."),
    "turnout.model.changes": ("{time}", "How often grades showed a model to have changed."),
    "turnout.feedback": ("{grade}", "Grades of answers: only audited ones count for floors."),
    "turnout.key.requests": ("{request}", "Requests that a key was let ask."),
    "turnout.key.tokens": ("{token}", "Tokens of what was forwarded for a key, by type."),
    "turnout.key.cost": ("USD", "What was forwarded for a key cost."),
    "turnout.transport.calls": ("{call}", "Calls that callers began; grpcio's server has none."),
    "turnout.transport.limits_reached": ("{time}", "How often each limit was reached."),
}
GAUGES: Mapping[str, tuple[str, str]] = {
    "turnout.transport.connections": ("{connection}", "Open connections of callers."),
    "turnout.plan.age": ("s", "Time since the plan in force was made."),
    "turnout.worker.plan_age": ("s", "Time since a worker's plan was last found to hold."),
    "turnout.domains.drift": ("1", "How unlike the training mix the traffic is (PSI)."),
    "turnout.plan.breaches": ("{breach}", "Promises and paces that the plan in force cannot keep."),
    "turnout.budget.spent": ("USD", "Spent of a budget since its period began."),
    "turnout.budget.left": ("USD", "Left of a budget in its period; below zero when overspent."),
    "turnout.budget.estimated": ("USD", "Spent for tokens that endpoints did not tell."),
    "turnout.budget.unreported": ("USD", "Expected cost of decisions without reported usage."),
    "turnout.unreported": ("{decision}", "Decisions of the last hour without reported usage."),
    "turnout.unreported.cost": ("USD", "Expected cost of these decisions."),
    "turnout.endpoint.ejected": ("{endpoint}", "1 while an endpoint is out for its failures."),
    "turnout.floor.promised": ("1", "The accuracy that the configuration promises a class."),
    "turnout.floor.required": ("1", "The accuracy that the plan aims at, with its margin."),
    "turnout.floor.realised": ("1", "The accuracy of graded answers, as its audit sample says."),
}

Points = Sequence[tuple[Mapping[str, str], float]]  # attributes, value


@dataclass(frozen=True, slots=True)
class _Reading:
    values: Mapping[str, Points] = field(default_factory=dict)
    durations: Durations = ()


class Metrics:
    """All exporters of one process."""

    def __init__(self, environ: Mapping[str, str], *, prometheus: tuple[str, int] | None) -> None:
        """OTLP where its standard variables are set; Prometheus on a host and port where given."""
        self._reading = _Reading()
        self._labels = Labels()
        self._started_ns = time.time_ns()
        readers: list[MetricReader] = []
        if any(environ.get(name) for name in ENDPOINT_VARIABLES):
            readers.append(_OtlpReader(self._duration_metric))
        self._scraped = None if prometheus is None else _Scraped(prometheus, self._duration_metric)
        if self._scraped is not None:
            readers.append(self._scraped.reader)
        self._provider = MeterProvider(readers, resource())
        self._declare(self._provider.get_meter("turnout"))

    @property
    def prometheus_port(self) -> int | None:
        """Where Prometheus may scrape."""
        return None if self._scraped is None else self._scraped.port

    def publish(self, values: Mapping[str, Points], durations: Durations) -> None:
        """Makes a reading the one that is exported; names are those of COUNTERS and GAUGES."""
        labels = self._labels
        bounded = {
            name: _summed(points, labels) if name in COUNTERS else _kept(points, labels)
            for name, points in values.items()
        }
        self._reading = _Reading(bounded, _added(durations, labels))

    async def follow(
        self, values: Callable[[], Mapping[str, Points]], durations: Callable[[], Durations]
    ) -> None:
        """Publishes reading after reading until cancelled."""
        while True:
            self.publish(values(), durations())
            await asyncio.sleep(READING_S)

    def close(self) -> None:
        """Exports once more, then stops."""
        self._provider.shutdown(timeout_millis=CLOSE_MS_MAX)
        if self._scraped is not None:
            self._scraped.close()

    def _declare(self, meter: Meter) -> None:
        for name, (unit, description) in COUNTERS.items():
            meter.create_observable_counter(name, [self._observer(name)], unit, description)
        for name, (unit, description) in GAUGES.items():
            meter.create_observable_gauge(name, [self._observer(name)], unit, description)

    def _observer(self, name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_options: CallbackOptions) -> Iterable[Observation]:
            points = self._reading.values.get(name, ())
            return [Observation(value, attributes) for attributes, value in points]

        return observe

    def _duration_metric(self) -> Metric:
        return duration_metric(
            self._reading.durations, start_ns=self._started_ns, now_ns=time.time_ns()
        )


class _OtlpReader(PeriodicExportingMetricReader):
    """Sends what the SDK collects, and the durations with it."""

    def __init__(self, durations: Callable[[], Metric]) -> None:
        self._durations = durations
        super().__init__(OTLPMetricExporter())

    def _receive_metrics(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object
    ) -> None:
        joined = _joined(metrics_data, self._durations())
        super()._receive_metrics(joined, timeout_millis, **kwargs)


class _ScrapedReader(PrometheusMetricReader):
    """Shows what the SDK collects, and the durations with it."""

    def __init__(self, durations: Callable[[], Metric], registry: CollectorRegistry) -> None:
        self._durations = durations
        super().__init__(registry=registry, scope_info_enabled=False)

    def _receive_metrics(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object
    ) -> None:
        joined = _joined(metrics_data, self._durations())
        super()._receive_metrics(joined, timeout_millis, **kwargs)


class _Scraped:
    """An HTTP server for Prometheus, with a registry of its own."""

    def __init__(self, address: tuple[str, int], durations: Callable[[], Metric]) -> None:
        host, port = address
        registry = CollectorRegistry()
        self.reader = _ScrapedReader(durations, registry)
        self._server, self._thread = start_http_server(port, host, registry)
        self.port = self._server.server_port

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _joined(data: MetricsData, metric: Metric) -> MetricsData:
    resource_metrics = data.resource_metrics[0]
    scope = resource_metrics.scope_metrics[0]
    with_metric = replace(scope, metrics=[*scope.metrics, metric])
    return MetricsData([replace(resource_metrics, scope_metrics=[with_metric])])


def _summed(points: Points, labels: Labels) -> Points:
    """Those that lost their names to a bound are told as one sum."""
    sums: dict[frozenset[tuple[str, str]], float] = {}
    for attributes, value in points:
        key = frozenset(labels.bounded(attributes).items())
        sums[key] = sums.get(key, 0) + value
    return [(dict(key), value) for key, value in sums.items()]


def _kept(points: Points, labels: Labels) -> Points:
    """Those that lost their names to a bound are left out: a sum of floors would say nothing."""
    bounded = ((labels.bounded(attributes), value) for attributes, value in points)
    return [
        (attributes, value) for attributes, value in bounded if OTHER not in attributes.values()
    ]


def _added(durations: Durations, labels: Labels) -> Durations:
    sums: dict[frozenset[tuple[str, str]], Sequence[int]] = {}
    for attributes, counts in durations:
        key = frozenset(labels.bounded(attributes).items())
        sums[key] = list(map(operator.add, sums[key], counts)) if key in sums else counts
    return [(dict(key), counts) for key, counts in sums.items()]
