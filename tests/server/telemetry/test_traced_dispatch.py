from collections.abc import AsyncGenerator

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from server.config.classes import ClassConfig
from server.config.models import ModelConfig, PriceConfig
from server.config.schema import Config
from server.dispatch.exchange import TENSORS, Asked, Bytes, EventStream, Exchanges, Metadata, Reply
from server.routing.catalog import Model, PayloadKind
from server.routing.counters import Counters
from server.routing.decision_id import Sealer
from server.routing.query import Query
from server.routing.router import Router
from server.routing.selector import Selector
from server.telemetry.traced_dispatch import TracedDispatcher, Tracing

TRACE = "0af7651916cd43dd8448eb211c80319c"
CONFIG = Config(
    models=(
        ModelConfig(
            name="small",
            protocol="oip",
            endpoints=("127.0.0.1:1",),
            price=PriceConfig(request_usd=0.001),
            prior_accuracy=0.9,
        ),
    ),
    classes=(ClassConfig(name="all", default=True),),
)


async def _pieces() -> AsyncGenerator[Bytes, None]:
    yield b"data: {}\n\n"


class Traced:
    """A dispatcher, what it sent upstream and the spans that it made."""

    def __init__(self, ratio: float) -> None:
        self.sent: list[dict[str, str]] = []
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        counters = Counters()
        router = Router(Selector(), Sealer(bytes(32), boot=1), counters, chance=lambda: 0.5)
        router.configure(CONFIG)
        tracing = Tracing(provider.get_tracer("test"), ratio)
        self.dispatcher = TracedDispatcher(
            router,
            Exchanges({"oip": self._send}, {"oip": self._open}),
            counters,
            tracing,
            now_s=lambda: 0.0,
            chance=lambda: 0.5,
        )

    async def infer(self, metadata: Metadata) -> None:
        query = Query(payload_kind=PayloadKind.TENSORS)
        await self.dispatcher.infer(query, Asked(b"", TENSORS), timeout_s=1.0, metadata=metadata)

    async def _open(
        self, address: str, model: Model, asked: Asked, timeout_s: float, metadata: Metadata
    ) -> EventStream:
        self.sent.append(dict(metadata))
        return EventStream(_pieces())

    async def _send(
        self, address: str, model: Model, asked: Asked, timeout_s: float, metadata: Metadata
    ) -> Reply:
        self.sent.append(dict(metadata))
        return Reply(b"")


async def test_a_stream_is_a_span_that_ends_with_it_and_knows_what_it_cost() -> None:
    traced = Traced(ratio=1.0)
    query, asked = Query(payload_kind=PayloadKind.TENSORS), Asked(b"", TENSORS, streams=True)
    async with traced.dispatcher.stream(query, asked, timeout_s=1.0) as answer:
        assert [bytes(piece) async for piece in answer.pieces] == [b"data: {}\n\n"]
        assert not traced.exporter.get_finished_spans()
    (span,) = traced.exporter.get_finished_spans()
    assert span.attributes is not None
    assert span.attributes["turnout.model"] == "small"
    assert span.attributes["turnout.cost_nano_usd"] == answer.cost_nano_usd == 1_000_000
    assert format(span.context.span_id, "016x") in traced.sent[0]["traceparent"]


async def test_a_stream_that_is_not_sampled_makes_no_span() -> None:
    traced = Traced(ratio=0.0)
    query, asked = Query(payload_kind=PayloadKind.TENSORS), Asked(b"", TENSORS, streams=True)
    async with traced.dispatcher.stream(query, asked, timeout_s=1.0) as answer:
        assert [bytes(piece) async for piece in answer.pieces] == [b"data: {}\n\n"]
    assert not traced.exporter.get_finished_spans()


async def test_a_sampled_call_is_a_span_of_its_callers_trace() -> None:
    traced = Traced(ratio=0.0)
    await traced.infer((("traceparent", f"00-{TRACE}-b7ad6b7169203331-01"),))
    (span,) = traced.exporter.get_finished_spans()
    assert format(span.context.trace_id, "032x") == TRACE
    assert span.attributes is not None
    assert span.attributes["turnout.model"] == "small"
    assert format(span.context.span_id, "016x") in traced.sent[0]["traceparent"]


async def test_a_call_that_is_not_sampled_makes_no_span_and_passes_its_context_on() -> None:
    traced = Traced(ratio=1.0)
    traceparent = f"00-{TRACE}-b7ad6b7169203331-00"
    await traced.infer((("traceparent", traceparent),))
    assert not traced.exporter.get_finished_spans()
    assert traced.sent == [{"traceparent": traceparent}]


async def test_the_ratio_decides_for_a_caller_that_says_nothing() -> None:
    traced = Traced(ratio=0.6)  # the dice of the test show 0.5
    await traced.infer(())
    assert len(traced.exporter.get_finished_spans()) == 1
