"""One connection of the door: aiohttp's protocol, with limits on what its peer may take.

aiohttp reads heads and bodies and writes answers. What is ours stands before and around it: it sees
one request at a time, of which `framing` has found the end, and whoever sends or reads too slowly,
or holds too much, is ended.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from logging import Logger
from typing import Any, cast

import structlog
from aiohttp import web

from server.door.errors import answer_of, bytes_of, refusal_of
from server.door.framing import Framing, FramingError, HeadTooLarge, TooFarAhead
from server.door.limits import CONNECTION_BYTES, STALL_BYTES, WRITE_BUFFER_BYTES, DoorLimits
from server.door.tally import DoorTally
from server.routing.errors import InvalidRequest, Overloaded
from server.transport.serving.holding import HELD_STEP_BYTES, TLS_BYTES
from server.transport.sockets.peer_name import counted_address, written_address
from server.transport.sockets.tls import peer_names

_INTERNAL = 500
_log = structlog.get_logger()


class DoorConnection(web.RequestHandler):
    """Serves from the accepted socket to its end, whatever the peer does."""

    def __init__(
        self,
        server: web.Server,
        tally: DoorTally,
        live: "set[DoorConnection]",
        *,
        chance: float,
        on_ended: Callable[[], None],
    ) -> None:
        """Is in `live` while it serves; `chance` in [0, 1) says at which age it retires."""
        loop, limits = asyncio.get_running_loop(), tally.limits
        super().__init__(
            server,
            loop=loop,
            access_log=cast("Logger", None),  # none, which its type does not say
            auto_decompress=False,  # a small body would become a large one
            keepalive_timeout=2 * limits.idle_s_max,  # ours is shorter
            max_line_size=limits.head_bytes_max,
            max_field_size=limits.head_bytes_max,
            lingering_time=limits.head_s_max,
        )
        self.peer = "unknown"
        self.certificate: Mapping[str, Sequence[bytes]] = {}  # the peer's names in it
        self._tally = tally
        self._live = live
        self._on_ended = on_ended
        self._framing = Framing(
            head_bytes_max=limits.head_bytes_max, ahead_bytes_max=limits.ahead_bytes_max
        )
        self._retires_s = loop.time() + limits.age_s_max * (0.9 + 0.2 * chance)
        self._socket: asyncio.Transport | None = None
        self._address: str | None = None  # that it is counted by, once it is admitted
        self._is_asked = False  # a request has begun that is not answered
        self._due: asyncio.TimerHandle | None = None
        self._waits_for = ""  # the limit that is reached then
        self._stall: asyncio.TimerHandle | None = None
        self.last_words = b""  # of a stream that is under way, as they go out
        self._body_bytes = 0
        self._own_bytes = CONNECTION_BYTES  # beside what it holds for its peer
        self._counted_bytes = 0

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = transport = cast("asyncio.Transport", transport)
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        name = transport.get_extra_info("peername")
        self.peer = written_address(name)
        if (tls := transport.get_extra_info("ssl_object")) is not None:
            self.certificate = peer_names(tls.getpeercert())
            self._own_bytes += TLS_BYTES
        limit = self.admit(counted_address(name))
        if limit:
            self._tally.count_limit(limit, self.peer)
            transport.write(bytes_of(refusal_of(Overloaded(f"too many {limit}: try again"))))
            transport.close()
            return
        self._live.add(self)
        super().connection_made(transport)
        self._count()
        self._wait_for("idle", self._tally.limits.idle_s_max)

    def data_received(self, data: bytes) -> None:
        if not data or self._force_close or self._manager is None:
            super().data_received(data)  # aiohttp goes on with what it has
            return
        try:
            self._give(self._framing.receive(data))
        except FramingError as error:
            self._refuse(error)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._count()
        self._look_again()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._end_stall()
        self._count()

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._wait_for_nothing()
        self._end_stall()
        self._tally.held.hold(self.give_way, 0)
        self._live.discard(self)
        self._socket = None
        self.dismiss()
        self._on_ended()

    # What the door calls.

    def admit(self, address: str) -> str:
        """Counts it in, once; names the limit that turns it away, if one does."""
        if self._address is None:
            if limit := self._tally.places.take(address):
                return limit
            self._address = address
        return ""

    def dismiss(self) -> None:
        """Counts it out, if it was counted in."""
        if self._address is not None:
            self._tally.places.leave(self._address)
            self._address = None

    def retire(self) -> None:
        """Ends it once what was asked is answered: at once, if nothing was."""
        self._retires_s = 0.0
        if not self._is_asked:
            self.force_close()

    def break_off(self) -> None:
        """Ends it now, and a stream with the words that tell that it is not whole."""
        if self.last_words and self._socket is not None and not self._socket.is_closing():
            self._socket.write(self.last_words)
            self._socket.close()
        else:
            self.abort()

    def abort(self) -> None:
        """Ends it now; what is not sent is lost."""
        if self._socket is not None:
            self._socket.abort()

    def give_way(self, limit: str) -> None:
        """Ends it, because of the limit of this name."""
        self._tally.count_limit(limit, self.peer)
        self.abort()

    # What the handler of a request calls.

    @property
    def limits(self) -> DoorLimits:
        """What its peer may take."""
        return self._tally.limits

    def count_limit(self, limit: str) -> None:
        """Its peer has reached it."""
        self._tally.count_limit(limit, self.peer)

    @property
    def is_retiring(self) -> bool:
        """Its next answer is its last."""
        return self._tally.is_stopping or self._loop.time() >= self._retires_s

    def hold(self, body_bytes: int) -> None:
        """So much of a request's body is here."""
        self._body_bytes = body_bytes
        self._count()

    # What aiohttp calls.

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            self._is_asked = False
            self.hold(0)
            self._wait_for("idle", self._tally.limits.idle_s_max)
            self._turn_to_next()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = _INTERNAL,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - aiohttp's signature
    ) -> web.StreamResponse:
        """What its parser has refused and `framing` has not, or a fault of ours."""
        has_left = self.transport is None or isinstance(exc, ConnectionError)
        if request.writer.output_size > 0 or has_left:
            raise ConnectionResetError("an answer that has begun is broken by its end")
        fault: Exception = InvalidRequest("the head is no request of HTTP/1.1")
        if status >= _INTERNAL:
            fault = exc if isinstance(exc, Exception) else RuntimeError()
        answer = answer_of(refusal_of(fault))
        answer.force_close()
        return answer

    def log_exception(self, *_: Any, **kw: Any) -> None:
        """Not with a traceback, whose frames hold what was asked; of a peer's faults nothing."""
        is_ours = not isinstance(kw.get("exc_info"), FramingError) and self.transport is not None
        if is_ours:
            _log.error("unexpected error", error=type(kw.get("exc_info")).__name__)

    # How requests follow each other.

    def _give(self, fit: bytes) -> None:
        """To the parser, and sees what has to come within which time."""
        if not self._is_asked and fit and self._framing.begins:
            self._is_asked, self._framing.begins = True, False
            self._tally.requests += 1
            self._wait_for_nothing()
        elif self._framing.is_begun:
            self._wait_for("head", self._tally.limits.head_s_max)
        if fit:
            super().data_received(fit)
        self._turn_to_next()

    def _turn_to_next(self) -> None:
        """Once this one is here to its end, and answered."""
        if self._is_asked or not self._framing.is_complete or self._force_close:
            return
        try:
            self._give(self._framing.next())
        except FramingError as error:
            self._refuse(error)

    def _refuse(self, error: FramingError) -> None:
        """Says so, if the answer to another request is not on its way, and ends it."""
        if isinstance(error, TooFarAhead | HeadTooLarge):
            self._tally.count_limit(error.limit, self.peer)
        if self._is_asked and self._current_request is not None:
            self._current_request.content.set_exception(error)  # whoever reads the body raises it
            self.close()
            return
        if not self._is_asked and self.transport is not None:
            self.transport.write(bytes_of(refusal_of(error)))
        self.force_close()

    # What is due.

    def _wait_for(self, limit: str, seconds: float) -> None:
        """The limit is reached then; one that is waited for already is not put off."""
        if self._waits_for == limit or self._socket is None:
            return
        self._wait_for_nothing()
        self._waits_for = limit
        self._due = self._loop.call_later(seconds, self.give_way, limit)

    def _wait_for_nothing(self) -> None:
        self._waits_for = ""
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _look_again(self) -> None:
        self._stall = self._loop.call_later(
            self._tally.limits.stall_s_max, self._look_at_reader, self._unsent_bytes
        )

    def _look_at_reader(self, unsent_bytes: int) -> None:
        if self._unsent_bytes > unsent_bytes - STALL_BYTES:
            self.give_way("stall")
        else:
            self._look_again()

    def _end_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    @property
    def _unsent_bytes(self) -> int:
        return 0 if self._socket is None else self._socket.get_write_buffer_size()

    def _count(self) -> None:
        """What it holds, in steps, so that most reads change nothing."""
        held = self._body_bytes + (self._unsent_bytes if self._paused else 0)
        in_steps = held - held % HELD_STEP_BYTES + self._own_bytes
        if in_steps != self._counted_bytes and self._socket is not None:
            self._counted_bytes = in_steps
            self._tally.held.hold(self.give_way, in_steps)
