"""Reads the body of a request, within its size and its time."""

import asyncio
from http import HTTPStatus

from aiohttp import StreamReader, web

from server.door.connection import DoorConnection
from server.door.errors import HttpError
from server.routing.errors import PayloadTooLarge

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


async def read_body(request: web.BaseRequest, connection: DoorConnection) -> bytes:
    """All of it, counted as held while it comes; raises PayloadTooLarge or HttpError."""
    limits, content = connection.limits, request.content
    _hold_encoding(request)
    _hold_size(request.content_length or 0, limits.body_bytes_max)
    if content.is_eof():  # it came with its head
        body = content.read_nowait()
        _hold_size(len(body), limits.body_bytes_max)
        connection.hold(len(body))
        return body
    if request.headers.get("expect", "").lower() == "100-continue":
        await request.writer.write(_CONTINUE)
        request.writer.output_size = 0  # that was no answer
    try:
        async with asyncio.timeout(limits.body_s_max):
            return await _read_all(content, connection, limits.body_bytes_max)
    except TimeoutError:
        connection.count_limit("body")
        message = f"the body took longer than {limits.body_s_max:g} s"
        raise HttpError(HTTPStatus.REQUEST_TIMEOUT, "BODY_LATE", message) from None


async def _read_all(content: StreamReader, connection: DoorConnection, bytes_max: int) -> bytes:
    body = bytearray()
    while piece := await _next(content):
        body += piece
        _hold_size(len(body), bytes_max)
        connection.hold(len(body))
    return bytes(body)


async def _next(content: StreamReader) -> bytes:
    try:
        return await content.readany()
    except RuntimeError as error:  # how the library says that its caller has gone meanwhile
        raise ConnectionResetError(str(error)) from None


def _hold_encoding(request: web.BaseRequest) -> None:
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise HttpError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "ENCODING_UNSUPPORTED",
            "bodies are taken as they are: send it without content-encoding",
        )


def _hold_size(size_bytes: int, bytes_max: int) -> None:
    """Raises PayloadTooLarge."""
    if size_bytes > bytes_max:
        raise PayloadTooLarge(f"{size_bytes:,} bytes: at most {bytes_max:,}")
