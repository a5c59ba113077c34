"""Requests over HTTP, and their answers: no redirect, no cookie, no proxy, and all capped."""

import io
from collections.abc import Mapping
from ssl import SSLContext
from typing import TypeAlias

import aiohttp

from server.dispatch.exchange import EndpointError
from server.status_code import Code
from server.transport.held_bytes import HeldBytes
from server.upstream.openai.addresses import socket_to
from server.upstream.openai.failures import told_as_failures

OK = 200
# A host that takes longer to take a connection has another to stand in for it.
CONNECT_S_MAX = 5.0
# The next request takes the same connection if it comes by then.
KEEPALIVE_S = 15.0
# More wait for one to be free. 2,000 streams are to fit, twice.
CONNECTIONS_MAX = 4_096
# A line of a head, and a field of it.
LINE_BYTES_MAX = FIELD_BYTES_MAX = 8_190
# The vectors of 2,048 texts, which is what one request may ask for, in digits.
ANSWER_BYTES_MAX = 128 * 2**20
# What is read of an answer before whoever wants it has taken what was read; the library stops at
# twice this.
_READ_BYTES = 128 * 2**10
# Beyond it the library would rather have a file than bytes.
_BYTES_AT_ONCE = 2**20
# An answer that is counted as held: smaller ones are gone before they matter.
_HELD_BYTES_MIN = 64 * 2**10

Headers: TypeAlias = Mapping[str, str]
Tls: TypeAlias = SSLContext | bool


class Client:
    """Of one worker: its connections to all endpoints."""

    def __init__(self, *, held: HeldBytes | None = None) -> None:
        """In `held` large answers are counted. Has to be made where a loop runs."""
        self._held = held
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=CONNECTIONS_MAX,
                keepalive_timeout=KEEPALIVE_S,
                socket_factory=socket_to,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            read_bufsize=_READ_BYTES,
            max_line_size=LINE_BYTES_MAX,
            max_field_size=FIELD_BYTES_MAX,
            skip_auto_headers=("Accept", "User-Agent"),
        )

    async def post(
        self, url: str, body: bytes, headers: Headers, tls: Tls, timeout_s: float
    ) -> aiohttp.ClientResponse:
        """The head of an answer, whatever its status; raises EndpointError."""
        with told_as_failures():
            return await self._session.post(
                url,
                ssl=tls,
                data=body if len(body) <= _BYTES_AT_ONCE else io.BytesIO(body),
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    total=timeout_s, sock_connect=min(CONNECT_S_MAX, timeout_s)
                ),
            )

    async def get_status(self, url: str, headers: Headers, tls: Tls, timeout_s: float) -> int:
        """The status of an answer that nobody reads; raises EndpointError."""
        with told_as_failures():
            response = await self._session.get(
                url,
                ssl=tls,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout_s),
            )
            response.close()
            return response.status

    async def whole(self, response: aiohttp.ClientResponse) -> bytes:
        """The answer; raises EndpointError. Closes the response if it is not read to its end."""
        parts, size = [], 0

        def give_way(_: str) -> None:
            response.close()

        try:
            with told_as_failures():
                while data := await response.content.readany():
                    parts.append(data)
                    size += len(data)
                    if size > ANSWER_BYTES_MAX:
                        raise EndpointError(
                            Code.INTERNAL, f"its answer exceeds {ANSWER_BYTES_MAX:,} bytes"
                        )
                    if self._held is not None and size >= _HELD_BYTES_MIN:
                        self._held.hold(give_way, size)
        finally:
            if self._held is not None and size >= _HELD_BYTES_MIN:
                self._held.hold(give_way, 0)
            leave(response)
        return b"".join(parts)

    async def close(self) -> None:
        """Ends all exchanges."""
        await self._session.close()


def leave(response: aiohttp.ClientResponse) -> None:
    """Gives the connection back where the answer was read to its end; else closes it, at once."""
    if response.content.at_eof():
        response.release()
    else:
        response.close()
