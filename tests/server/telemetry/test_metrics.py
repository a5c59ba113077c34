import urllib.request
from collections.abc import Iterator

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from server.latency_buckets import LATENCY_BUCKETS
from server.telemetry.labels import VALUES_MAX
from server.telemetry.metrics import Metrics, Points
from tests.server.telemetry.collector import Collector, collecting

CODE = {"traffic_class": "code", "model": "small"}


@pytest.fixture
def scraped() -> Iterator[Metrics]:
    metrics = Metrics({}, prometheus=("127.0.0.1", 0))
    yield metrics
    metrics.close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


def scrape(metrics: Metrics) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics.prometheus_port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    samples = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in samples}


def latency(**counts: int) -> list[int]:
    """Counts by bucket: b4=3 is three requests in bucket 4."""
    return [counts.get(f"b{i}", 0) for i in range(LATENCY_BUCKETS)]


def test_prometheus_scrapes_what_was_published_last(scraped: Metrics) -> None:
    scraped.publish({"turnout.decisions": [(CODE, 3)]}, [])
    scraped.publish({"turnout.decisions": [(CODE, 5)], "turnout.plan.age": [({}, 2.5)]}, [])
    samples = scrape(scraped)
    assert samples['turnout_decisions_total{model="small",traffic_class="code"}'] == 5
    assert samples["turnout_plan_age_seconds"] == 2.5


def test_prometheus_scrapes_cumulative_buckets_of_seconds(scraped: Metrics) -> None:
    durations = [(CODE, latency(b0=1, b3=2, b63=4))]
    scraped.publish({"turnout.plan.age": [({}, 0.0)]}, durations)
    samples = scrape(scraped)
    name = 'turnout_request_duration_seconds_bucket{le="%s",model="small",traffic_class="code"}'
    assert [samples[name % le] for le in ("0.0001", "0.0002", "104.8576", "+Inf")] == [1, 3, 3, 7]


@pytest.mark.parametrize("values", [{}, {"turnout.decisions": []}])
def test_a_scrape_before_anything_happened_is_answered(
    scraped: Metrics, values: dict[str, Points]
) -> None:
    scraped.publish(values, [])
    assert not any(name.startswith("turnout_decisions") for name in scrape(scraped))


def test_counters_beyond_the_most_label_values_are_told_as_one_sum(scraped: Metrics) -> None:
    points = [({"reason": f"r{n}"}, 1.0) for n in range(VALUES_MAX + 7)]
    scraped.publish({"turnout.refusals": points}, [])
    samples = scrape(scraped)
    refusals = {name for name in samples if name.startswith("turnout_refusals_total")}
    assert len(refusals) == VALUES_MAX + 1
    assert samples['turnout_refusals_total{reason="other"}'] == 7


def test_gauges_beyond_the_most_label_values_are_left_out(scraped: Metrics) -> None:
    points = [({"budget": f"b{n}"}, 1.0) for n in range(VALUES_MAX + 7)]
    scraped.publish({"turnout.budget.left": points}, [])
    left = {name for name in scrape(scraped) if name.startswith("turnout_budget_left")}
    assert len(left) == VALUES_MAX


def test_durations_beyond_the_most_label_values_are_told_as_one_sum(scraped: Metrics) -> None:
    durations = [({"model": f"m{n}"}, latency(b0=1)) for n in range(VALUES_MAX + 7)]
    scraped.publish({"turnout.plan.age": [({}, 0.0)]}, durations)
    assert scrape(scraped)['turnout_request_duration_seconds_count{model="other"}'] == 7


def exported(collector: Collector) -> dict[str, Metric]:
    """The metrics of the last export, by name."""
    (resource,) = collector.metrics[-1].resource_metrics
    return {metric.name: metric for scope in resource.scope_metrics for metric in scope.metrics}


def test_the_last_reading_goes_out_by_otlp_when_it_closes(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address)
    metrics = Metrics({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.address}, prometheus=None)
    metrics.publish({"turnout.decisions": [(CODE, 5)]}, [(CODE, latency(b0=1, b63=4))])
    metrics.close()
    found = exported(collector)
    assert [p.as_int for p in found["turnout.decisions"].sum.data_points] == [5]
    (durations,) = found["turnout.request.duration"].histogram.data_points
    assert (durations.count, durations.bucket_counts[-1]) == (5, 4)
    assert {a.key: a.value.string_value for a in durations.attributes} == CODE


def test_the_service_is_called_turnout_unless_the_environment_says_otherwise(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address)
    names = []
    for name in ("", "router-eu"):
        monkeypatch.setenv("OTEL_SERVICE_NAME", name)
        metrics = Metrics({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.address}, prometheus=None)
        metrics.publish({"turnout.plan.age": [({}, 0.0)]}, [])
        metrics.close()
        (resource,) = collector.metrics[-1].resource_metrics
        attributes = {a.key: a.value.string_value for a in resource.resource.attributes}
        names.append(attributes["service.name"])
    assert names == ["turnout", "router-eu"]
