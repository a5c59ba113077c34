"""The methods that a server answers, found by path."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast

import grpc

from server.status_code import Code
from server.transport.grpc.metadata import Metadata, read_metadata
from server.transport.grpc.status import CallRefused
from server.transport.http2.hpack.table import Header

# Generic in the stubs alone; what servicers take and return is their own affair.
RpcHandler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Servicer = Callable[[Any, Any], Any]
_Marked = TypeVar("_Marked", bound=Callable[..., Any])
_TAKES_VIEWS = "takes_views"
_IN_TASK = "runs_in_task"
_LASTS = "outlasts_its_connection"

# Of paths that generic handlers were asked about and took: ours take a few dozen, but one that
# takes every path must not make us keep what callers think up.
FOUND_MAX = 1_024


class Method(NamedTuple):
    """What a servicer registered for one path."""

    path: str
    servicer: Servicer
    takes_stream: bool
    gives_stream: bool
    parse: Callable[[bytes | memoryview], Any]  # raises CallRefused
    # None where it gives bytes: if it takes views, parts or a view too.
    serialize: Callable[[Any], Any] | None
    message_bytes_max: int
    in_task: bool  # of a unary servicer: a task runs it from the start
    lasts: bool  # its calls are seen through when their connection has retired


class _Asked(NamedTuple):
    """What a generic handler may look at."""

    method: str
    invocation_metadata: Metadata


def takes_views(servicer: _Marked) -> _Marked:
    """Marks a servicer of bytes: it takes large requests as views, and may answer in parts."""
    setattr(servicer, _TAKES_VIEWS, True)
    return servicer


def in_task(servicer: _Marked) -> _Marked:
    """Marks a unary servicer that needs to be run by a task: for its timeouts and task groups."""
    setattr(servicer, _IN_TASK, True)
    return servicer


def lasts(servicer: _Marked) -> _Marked:
    """Marks a servicer whose calls have an end of their own: no retirement cuts them off."""
    setattr(servicer, _LASTS, True)
    return servicer


def is_in_task(servicer: object) -> bool:
    """Whether a servicer is so marked."""
    return bool(getattr(servicer, _IN_TASK, False))


class Methods:
    """Takes handlers as add_XServicer_to_server gives them."""

    def __init__(
        self, bytes_max: int, bytes_max_by_path: Mapping[str, int] = MappingProxyType({})
    ) -> None:
        """What a message of a request may take, of the methods by path and of all others."""
        self._bytes_max = bytes_max
        self._bytes_max_by_path = bytes_max_by_path
        self._registered: dict[bytes, Method] = {}
        self._generic: list[grpc.GenericRpcHandler] = []
        self._found: dict[bytes, Method] = {}

    def register(self, service: str, handlers: Mapping[str, RpcHandler]) -> None:
        for name, handler in handlers.items():
            path = f"/{service}/{name}"
            self._registered[path.encode()] = self._method(path, handler)

    def add_generic(self, handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        self._generic.extend(handlers)

    def find(self, path: bytes, headers: tuple[Header, ...]) -> Method | None:
        """The method of a path. A generic handler is asked once: it decides by the path alone."""
        method = self._registered.get(path) or self._found.get(path)
        if method is None and (method := self._ask(path, headers)) is not None:
            if len(self._found) >= FOUND_MAX:
                self._found.clear()
            self._found[path] = method
        return method

    def _ask(self, path: bytes, headers: tuple[Header, ...]) -> Method | None:
        text = path.decode("latin-1")
        asked = cast("grpc.HandlerCallDetails", _Asked(text, read_metadata(headers)))
        for generic in self._generic:
            if (handler := generic.service(asked)) is not None:
                return self._method(text, handler)
        return None

    def _method(self, path: str, handler: RpcHandler) -> Method:
        servicers = {
            (False, False): handler.unary_unary,
            (False, True): handler.unary_stream,
            (True, False): handler.stream_unary,
            (True, True): handler.stream_stream,
        }
        kind = (bool(handler.request_streaming), bool(handler.response_streaming))
        servicer = cast("Servicer", servicers[kind])
        takes_views = getattr(servicer, _TAKES_VIEWS, False)
        return Method(
            path,
            servicer,
            *kind,
            parse=_as_it_is if takes_views else _parser(handler),
            serialize=None if takes_views else handler.response_serializer,
            message_bytes_max=self._bytes_max_by_path.get(path, self._bytes_max),
            in_task=is_in_task(servicer),
            lasts=getattr(servicer, _LASTS, False),
        )


def _parser(handler: RpcHandler) -> Callable[[bytes | memoryview], Any]:
    """What makes a request of bytes, or of the view that a large message is."""
    deserialize = handler.request_deserializer

    def parse(data: bytes | memoryview) -> Any:
        whole = data if type(data) is bytes else bytes(data)
        try:
            return whole if deserialize is None else deserialize(whole)
        except Exception:  # noqa: BLE001 - whatever a parser raises, the caller's bytes are bad
            message = "the request is not a message of this method"
            raise CallRefused(Code.INTERNAL, message) from None

    return parse


def _as_it_is(data: bytes | memoryview) -> bytes | memoryview:
    return data
