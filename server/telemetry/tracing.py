"""Spans, by OTLP where its standard variables are set, and only for sampled calls."""

import re
from collections.abc import Mapping

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Tracer

from server.telemetry.resource import resource

# W3C Trace Context: version-trace-parent-flags in lower case; other versions may add to the end.
_TRACEPARENT = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?"
)
_SAMPLED_FLAG = 0x01


def tracer() -> Tracer:
    """What makes spans and exports them where the variables say, the last ones at exit."""
    # Whoever starts a span has asked `sampled` first.
    provider = TracerProvider(sampler=ALWAYS_ON, resource=resource())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider.get_tracer("turnout")


def sampling_ratio(environ: Mapping[str, str]) -> float:
    """Of calls whose caller says nothing, by OTEL_TRACES_SAMPLER_ARG; 0 where it is no ratio."""
    try:
        ratio = float(environ.get("OTEL_TRACES_SAMPLER_ARG", "0"))
    except ValueError:
        return 0.0
    return ratio if 0 <= ratio <= 1 else 0.0


def sampled(traceparent: str | None, ratio: float, random: float) -> bool:
    """Whether to make a span: the caller's word where it is well formed, else our own ratio."""
    match = None if traceparent is None else _TRACEPARENT.fullmatch(traceparent)
    if match is None or (match[1] == "00" and match[3] is not None):
        return random < ratio
    return bool(int(match[2], 16) & _SAMPLED_FLAG)
