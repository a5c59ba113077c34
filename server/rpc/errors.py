"""What a servicer raises becomes a status: one table, applied where servicers are registered."""

import functools
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from random import random
from typing import Any, TypeAlias, cast

import grpc
import structlog
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from server.config.diagnostics import ConfigError
from server.routing import errors
from server.routing.errors import RoutingError, UpstreamFailed
from server.rpc import method_limits
from server.rpc.malformed import parsed
from server.rpc.raw import is_raw, whole
from server.rpc.retry_info import retry_info
from server.rpc.wire import Bytes
from server.telemetry.faults import trace_of
from server.transport.grpc.methods import takes_views

_Read: TypeAlias = Callable[[Bytes], Any]

_DETAILS = "grpc-status-details-bin"
# SHED is spread over so many steps, that each status is made once.
SHED_STEPS = 16
# Different refusals, of 5 KB each: one plan has a few for each of some hundred classes.
SHED_KEPT_MAX = 200
# gRPC clients take 8 KiB of metadata, in which a message stands up to three times, once
# percent-encoded: what is longer reaches the caller as another error.
MESSAGE_BYTES_MAX = 1_024
VIOLATIONS_MAX = 6
VIOLATION_BYTES_MAX = 192

STATUS: Mapping[type[RoutingError], grpc.StatusCode] = {
    errors.InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    errors.UnknownClass: grpc.StatusCode.INVALID_ARGUMENT,
    errors.UnknownDomain: grpc.StatusCode.INVALID_ARGUMENT,
    errors.ClassAmbiguous: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NoClass: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NoCandidate: grpc.StatusCode.FAILED_PRECONDITION,
    errors.OptionUnsupported: grpc.StatusCode.INVALID_ARGUMENT,
    errors.PayloadMalformed: grpc.StatusCode.INVALID_ARGUMENT,
    errors.PayloadTooLarge: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.DeadlinePast: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.DecisionInvalid: grpc.StatusCode.INVALID_ARGUMENT,
    errors.DecisionTenant: grpc.StatusCode.PERMISSION_DENIED,
    errors.DecisionExpired: grpc.StatusCode.INVALID_ARGUMENT,
    errors.QualityInvalid: grpc.StatusCode.INVALID_ARGUMENT,
    errors.UsageDuplicate: grpc.StatusCode.ALREADY_EXISTS,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.NotReady: grpc.StatusCode.UNAVAILABLE,
    errors.Overloaded: grpc.StatusCode.UNAVAILABLE,
    errors.Shed: grpc.StatusCode.UNAVAILABLE,
    errors.ModelsBusy: grpc.StatusCode.UNAVAILABLE,
    errors.ControlPlaneDown: grpc.StatusCode.UNAVAILABLE,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.ReaderStalled: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.KeyMissing: grpc.StatusCode.UNAUTHENTICATED,
    errors.KeyUnknown: grpc.StatusCode.UNAUTHENTICATED,
    errors.KeyExpired: grpc.StatusCode.UNAUTHENTICATED,
    errors.KeyAmbiguous: grpc.StatusCode.INVALID_ARGUMENT,
    errors.KeyTenant: grpc.StatusCode.PERMISSION_DENIED,
    errors.KeyClass: grpc.StatusCode.PERMISSION_DENIED,
    errors.KeyRate: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.KeyBusy: grpc.StatusCode.RESOURCE_EXHAUSTED,
}
_CODES = {code.value[0]: code for code in grpc.StatusCode}

# Generic in the stubs alone.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Context = grpc.aio.ServicerContext[Any, Any]
Metadata: TypeAlias = tuple[tuple[str, bytes], ...]
_log = structlog.get_logger()


class ErrorAnswering:
    """Stands for a server where servicers are added, so that what they raise is answered well."""

    def __init__(
        self,
        server: grpc.aio.Server,
        on_refused: Callable[[str], None],
        chance: Callable[[], float] = random,
    ) -> None:
        """`on_refused` is called with the reason of each error that is answered."""
        self._server = server
        self._on_refused = on_refused
        self._shed = ShedStatuses(chance)

    def add(self, register: Callable[[Any, grpc.aio.Server], None], servicer: object) -> None:
        """Adds a servicer by the generated add_XServicer_to_server."""
        # It calls the two methods below and nothing else of a server.
        register(servicer, cast("grpc.aio.Server", self))

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Handler]) -> None:
        """Adds the methods of a servicer, each wrapped."""
        wrapped = {name: self._wrap(f"/{service}/{name}", h) for name, h in handlers.items()}
        handler = grpc.method_handlers_generic_handler(service, wrapped)
        self._server.add_generic_rpc_handlers((handler,))

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """The same handlers again, as older servers take them; nothing is left to do."""

    def _wrap(self, path: str, handler: Handler) -> Handler:
        if is_raw(handler.unary_unary):
            answer = takes_views(self._unary(handler.unary_unary, _reader(path, None)))
            return grpc.unary_unary_rpc_method_handler(answer, response_serializer=whole)
        if is_raw(handler.unary_stream):
            write = takes_views(self._writing(handler.unary_stream, _reader(path, None)))
            return grpc.unary_stream_rpc_method_handler(write)
        read = _reader(path, handler.request_deserializer)
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._streaming(handler.unary_stream, read),
                response_serializer=handler.response_serializer,
            )
        return grpc.unary_unary_rpc_method_handler(
            self._unary(handler.unary_unary, read),
            response_serializer=handler.response_serializer,
        )

    def _unary(self, method: Any, read: _Read) -> Callable[[Bytes, Context], Awaitable[Any]]:
        @functools.wraps(method)  # its marks are kept
        async def answer(data: Bytes, context: Context) -> Any:
            try:
                return await method(read(data), context)
            except grpc.aio.AbortError:
                raise
            except errors.Shed as error:
                self._on_refused(error.reason)
                # They come by the thousand: to abort would raise once more.
                message, metadata = self._shed.of(error)
                context.set_code(grpc.StatusCode.UNAVAILABLE)
                context.set_details(message)
                context.set_trailing_metadata(metadata)
                return b""  # which is not sent
            except Exception as error:  # noqa: BLE001 - this is where every error ends
                await self._refuse(context, error)

        return answer

    def _streaming(self, method: Any, read: _Read) -> Callable[[Bytes, Context], Any]:
        @functools.wraps(method)
        async def answer(data: Bytes, context: Context) -> Any:
            async with self._refusing(context):
                async for response in method(read(data), context):
                    yield response

        return answer

    def _writing(self, method: Any, read: _Read) -> Callable[[Bytes, Context], Any]:
        @functools.wraps(method)
        async def answer(data: Bytes, context: Context) -> None:
            async with self._refusing(context):
                await method(read(data), context)

        return answer

    @asynccontextmanager
    async def _refusing(self, context: Context) -> AsyncIterator[None]:
        try:
            yield
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # noqa: BLE001 - this is where every error ends
            await self._refuse(context, error)

    async def _refuse(self, context: Context, error: Exception) -> None:
        status = status_of(error)
        if status.code == grpc.StatusCode.INTERNAL.value[0] and not isinstance(error, RoutingError):
            _log.error("unexpected error", error=type(error).__name__, trace=trace_of(error))
        self._on_refused(reason_of(error))
        await abort(context, status, error.trailers if isinstance(error, RoutingError) else ())


class ShedStatuses:
    """The statuses of shed requests. Each is made once, for refusing has to be cheap."""

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self._made: dict[tuple[object, ...], tuple[str, Metadata]] = {}  # by words and step

    def __len__(self) -> int:
        return len(self._made)

    def of(self, error: errors.Shed) -> tuple[str, Metadata]:
        """The message, and the metadata with the whole status."""
        step = int(self._chance() * SHED_STEPS)
        made = self._made.get((*error.args, step))
        if made is None:
            if len(self._made) == SHED_KEPT_MAX * SHED_STEPS:
                self._made.clear()
            status = status_of(error, chance=lambda: step / SHED_STEPS)
            made = status.message, ((_DETAILS, status.SerializeToString()),)
            self._made[*error.args, step] = made
        return made


async def abort(
    context: Context, status: status_pb2.Status, beside: tuple[tuple[str, str], ...] = ()
) -> None:
    """Ends the call with the whole status, details and all, and what is told beside it."""
    details = (*beside, (_DETAILS, status.SerializeToString()))
    await context.abort(_CODES[status.code], status.message, details)


def _reader(path: str, parse: Callable[[bytes], Any] | None) -> _Read:
    """Makes of a message what its method takes; raises PayloadTooLarge or PayloadMalformed."""
    bytes_max = method_limits.MESSAGE_BYTES_MAX.get(path, sys.maxsize)

    def read(data: Bytes) -> Any:
        if len(data) > bytes_max:
            raise errors.PayloadTooLarge(
                f"{len(data):,} bytes: at most {bytes_max:,} for {path.rpartition('/')[2]}"
            )
        return data if parse is None else parsed(data, parse)

    return read


def too_large_metadata(message: str) -> Metadata:
    """What the transport answers to a message that is too large, before any servicer sees it."""
    return ((_DETAILS, status_of(errors.PayloadTooLarge(message)).SerializeToString()),)


def reason_of(error: Exception) -> str:
    """The stable reason that a caller may switch on."""
    if isinstance(error, RoutingError):
        return error.reason
    return "CONFIG_INVALID" if isinstance(error, ConfigError) else "INTERNAL"


def status_of(error: Exception, *, chance: Callable[[], float] = lambda: 0.0) -> status_pb2.Status:
    """The whole status of an error, details and all; an unexpected one shows nothing of itself.

    `chance`, uniform in [0, 1), is asked when to come back after SHED.
    """
    known = isinstance(error, RoutingError | ConfigError)
    code, message = code_of(error), str(error) if known else "internal error"
    details: list[Message] = [
        error_details_pb2.ErrorInfo(
            reason=reason_of(error),
            domain="upstream" if isinstance(error, UpstreamFailed) else "turnout",
            metadata=error.metadata if isinstance(error, errors.Shed) else None,
        )
    ]
    if violations := _violations(error):
        details.append(error_details_pb2.BadRequest(field_violations=violations))
    if (retry := retry_info(error, code, chance)) is not None:
        details.append(retry)
    return status_pb2.Status(
        code=code.value[0],
        message=cut(message, MESSAGE_BYTES_MAX),
        details=[_packed(detail) for detail in details],
    )


def code_of(error: Exception) -> grpc.StatusCode:
    """By the table; of an endpoint that failed, what it means for the caller."""
    if isinstance(error, UpstreamFailed):
        return _CODES[error.code]
    if isinstance(error, RoutingError):
        return STATUS[type(error)]
    if isinstance(error, ConfigError):
        return grpc.StatusCode.INVALID_ARGUMENT
    return grpc.StatusCode.INTERNAL


def _violations(error: Exception) -> list[error_details_pb2.BadRequest.FieldViolation]:
    """What is wrong with which field; the first few of many."""
    told: list[tuple[str, str]] = []
    if isinstance(error, RoutingError) and error.field:
        told = [(error.field, str(error))]
    elif isinstance(error, ConfigError):
        told = [(one.path, one.message) for one in error.diagnostics]
    return [
        error_details_pb2.BadRequest.FieldViolation(
            field=cut(field, VIOLATION_BYTES_MAX),
            description=cut(description, VIOLATION_BYTES_MAX),
        )
        for field, description in told[:VIOLATIONS_MAX]
    ]


def cut(text: str, bytes_max: int) -> str:
    """So many bytes of it at most."""
    return text.encode(errors="replace")[:bytes_max].decode(errors="ignore")


def _packed(detail: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed
