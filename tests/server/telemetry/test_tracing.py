import os
import subprocess
import sys

import pytest

from server.telemetry.endpoints import spans_are_exported
from server.telemetry.tracing import sampled
from tests.server.telemetry.collector import collecting

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


def test_without_an_endpoint_no_spans_are_exported() -> None:
    assert not spans_are_exported({})
    assert not spans_are_exported({"OTEL_EXPORTER_OTLP_ENDPOINT": ""})
    assert spans_are_exported({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4317"})


@pytest.mark.parametrize(
    ("flags", "expected"), [("01", True), ("00", False), ("03", True), ("02", False)]
)
def test_the_caller_decides_whatever_our_ratio(flags: str, expected: bool) -> None:
    traceparent = f"00-{TRACE}-{SPAN}-{flags}"
    assert sampled(traceparent, ratio=0.0, random=0.5) is expected
    assert sampled(traceparent, ratio=1.0, random=0.5) is expected


def test_a_later_version_may_say_more() -> None:
    assert sampled(f"cc-{TRACE}-{SPAN}-01-what-comes", ratio=0.0, random=0.5)


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        "",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01.what",
    ],
)
def test_without_a_well_formed_word_our_ratio_decides(traceparent: str | None) -> None:
    assert sampled(traceparent, ratio=0.5, random=0.49)
    assert not sampled(traceparent, ratio=0.5, random=0.5)


SCRIPT = """
from server.telemetry.tracing import tracer

tracer().start_span("infer").end()
"""


def test_spans_go_out_by_otlp_when_the_process_ends_at_the_latest() -> None:
    with collecting() as collector:
        environ = os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.address}
        subprocess.run([sys.executable, "-c", SCRIPT], env=environ, check=True, timeout=30)
    ((resource,),) = (request.resource_spans for request in collector.traces)
    assert [span.name for scope in resource.scope_spans for span in scope.spans] == ["infer"]
