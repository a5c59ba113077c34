"""The client side of gRPC: calls to one endpoint."""

import asyncio
import random
import ssl
from collections import Counter
from collections.abc import Callable, Mapping

from server.status_code import Code
from server.transport.channel.call import Bytes, Message
from server.transport.channel.limits import ChannelLimits
from server.transport.channel.pool import ConnectionPool
from server.transport.channel.stream_call import StreamCall
from server.transport.channel.unary_call import UnaryCall
from server.transport.grpc.answer import CallFailed
from server.transport.grpc.metadata import CONTENT_TYPE, Metadata, metadata_headers
from server.transport.held_bytes import HeldBytes
from server.transport.http2.events import Headers
from server.transport.limit_log import LimitLog
from server.transport.limit_names import CHANNEL_PREFIX
from server.transport.sockets.address import parse_address

# Methods whose head is kept: a channel is for one service or a few.
METHODS_MAX = 64


class Channel:
    """Connects when the first call is made, and again when it has to."""

    def __init__(
        self,
        address: str,
        *,
        tls: Callable[[], ssl.SSLContext] | None = None,
        limits: ChannelLimits = ChannelLimits(),  # noqa: B008 - frozen
        chance: Callable[[], float] = random.random,
        held: HeldBytes | None = None,
    ) -> None:
        """`address` is host:port, [::1]:port or unix:PATH; raises AddressError.

        `tls` is asked for each connection; it raises OSError where there can be none now.
        `chance` is uniform in [0, 1): it spreads attempts to connect. In `held` large answers to
        unary calls are counted.
        """
        where = parse_address(address)
        self._loop = asyncio.get_running_loop()
        self._address = address
        self._limits_reached: Counter[str] = Counter()
        self._log = LimitLog(self._loop.call_later)
        self._pool = ConnectionPool(where, tls, limits, chance, self._reached)
        self._scheme = b"http" if tls is None else b"https"
        self._authority = where.authority.encode()
        self._held = held
        self._methods: dict[str, Headers] = {}
        self._is_closed = False

    async def unary(
        self, path: str, request: Message, *, timeout_s: float | None, metadata: Metadata = ()
    ) -> Bytes:
        """The answer to one request; raises CallFailed. Cancelling this cancels the call.

        A large answer is a view of where it was gathered.
        """
        method, fields = self._method(path), metadata_headers(metadata) if metadata else ()
        call = UnaryCall(self._loop, method, fields, timeout_s, request, self._held)
        self._pool.begin(call)
        try:
            return await call.answer
        except asyncio.CancelledError:
            call.forget_failure()
            raise
        finally:
            call.leave()
            if call.gave_way:
                self._reached(call.gave_way)
            del call  # or with a failure, whose traceback has this frame, it would be a cycle

    def stream(self, path: str, *, timeout_s: float | None, metadata: Metadata = ()) -> StreamCall:
        """A call with a stream of requests, of answers or of both."""
        call = StreamCall(self._loop, self._method(path), metadata_headers(metadata), timeout_s)
        self._pool.begin(call)
        return call

    @property
    def limits_reached(self) -> Mapping[str, int]:
        """How often each of CHANNEL_LIMITS was reached."""
        return self._limits_reached

    @property
    def methods_remembered(self) -> int:
        return len(self._methods)

    async def close(self, grace_s: float = 0.0) -> None:
        """Gives calls that are out so long to end; those that do not are cancelled."""
        self._is_closed = True
        await self._pool.close(grace_s)

    def _reached(self, limit: str) -> None:
        self._limits_reached[limit] += 1
        self._log.log_limit(CHANNEL_PREFIX + limit, endpoint=self._address)

    def _method(self, path: str) -> Headers:
        """The fields that all calls of a method begin with; raises CallFailed once it is closed."""
        if self._is_closed:
            raise CallFailed(Code.UNAVAILABLE, "the channel was closed")
        method = self._methods.get(path)
        if method is None:
            if len(self._methods) >= METHODS_MAX:
                self._methods.clear()
            method = self._methods[path] = (
                (b":method", b"POST"),
                (b":scheme", self._scheme),
                (b":path", path.encode("ascii")),
                (b":authority", self._authority),
                (b"te", b"trailers"),
                (b"content-type", CONTENT_TYPE),
                (b"user-agent", b"turnout"),
                (b"grpc-accept-encoding", b"identity,gzip"),
            )
        return method
