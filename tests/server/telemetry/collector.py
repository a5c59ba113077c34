"""An OTLP collector in this process, which keeps what it is sent."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

METRICS = "opentelemetry.proto.collector.metrics.v1.MetricsService"
TRACES = "opentelemetry.proto.collector.trace.v1.TraceService"


class Collector:
    """What came, whole."""

    def __init__(self) -> None:
        self.metrics: list[ExportMetricsServiceRequest] = []
        self.traces: list[ExportTraceServiceRequest] = []
        self.address = ""

    def take_metrics(
        self, request: ExportMetricsServiceRequest, context: grpc.ServicerContext
    ) -> ExportMetricsServiceResponse:
        self.metrics.append(request)
        return ExportMetricsServiceResponse()

    def take_traces(
        self, request: ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> ExportTraceServiceResponse:
        self.traces.append(request)
        return ExportTraceServiceResponse()


@contextmanager
def collecting() -> Iterator[Collector]:
    """Runs a collector on a free port."""
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(1))
    handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]] = {
        METRICS: grpc.unary_unary_rpc_method_handler(
            collector.take_metrics,
            ExportMetricsServiceRequest.FromString,
            ExportMetricsServiceResponse.SerializeToString,
        ),
        TRACES: grpc.unary_unary_rpc_method_handler(
            collector.take_traces,
            ExportTraceServiceRequest.FromString,
            ExportTraceServiceResponse.SerializeToString,
        ),
    }
    for service, handler in handlers.items():
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, {"Export": handler}),)
        )
    collector.address = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield collector
    finally:
        server.stop(None).wait()
