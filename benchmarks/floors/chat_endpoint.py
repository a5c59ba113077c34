"""An endpoint that speaks OpenAI's HTTP, as cheaply as may be: what it says is made beforehand.

A chat that says "events=200 gap_us=10000" gets so many events so far apart, and any other 1 KB at
once. Prints its port, and serves until SIGTERM or the end of its standard input.
"""

import asyncio
import json
import re
import signal
import sys
from typing import cast

import uvloop

_ADDRESS = ("127.0.0.1", 0)
_BLANK = b"\r\n\r\n"
_LENGTH = re.compile(rb"\ncontent-length:[ ]*([0-9]+)", re.IGNORECASE)
_PACE = re.compile(rb"events=([0-9]+) gap_us=([0-9]+)")
_ASKS_USAGE = re.compile(rb'"include_usage":[ ]?true')
_CREATED = 1_700_000_000
_USAGE = {"prompt_tokens": 200, "completion_tokens": 200, "total_tokens": 400}
_CONTENT = "x" * 690  # which makes the answer 1 KB, head and all
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
)


def _chunk(choices: list[object], usage: object = None) -> bytes:
    said = {
        "id": "chatcmpl-7",
        "object": "chat.completion.chunk",
        "created": _CREATED,
        "model": "small",
        "choices": choices,
    } | ({"usage": usage} if usage else {})
    return _framed(f"data: {json.dumps(said)}\n\n".encode())


def _framed(event: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(event), event)


# Not all alike: LiteLLM ends a stream that says the same a hundred times.
_EVENTS = tuple(
    _chunk([{"index": 0, "delta": {"content": f" word{number:02}"}, "finish_reason": None}])
    for number in range(16)
)
_LAST = _chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}])
_TOLD_USAGE = _chunk([], _USAGE)
_END = _framed(b"data: [DONE]\n\n") + b"0\r\n\r\n"


def _whole() -> bytes:
    message = {"role": "assistant", "content": _CONTENT}
    body = json.dumps(
        {
            "id": "chatcmpl-7",
            "object": "chat.completion",
            "created": _CREATED,
            "model": "small",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": _USAGE,
        }
    ).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


_WHOLE = _whole()


class ChatEndpoint(asyncio.Protocol):
    """One connection, on which one request follows the other."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._received = bytearray()
        self._due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class

    def connection_lost(self, _exc: Exception | None) -> None:
        if self._due is not None:
            self._due.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head = self._received.find(_BLANK)
        if head < 0:
            return
        asked = bytes(self._received)
        length = _LENGTH.search(asked, 0, head)
        if len(asked) >= head + len(_BLANK) + int(length[1] if length else 0):
            self._received.clear()
            self._answer(asked)

    def _answer(self, asked: bytes) -> None:
        pace = _PACE.search(asked)
        if pace is None:
            self._transport.write(_WHOLE)
            return
        told = _TOLD_USAGE if _ASKS_USAGE.search(asked) else b""
        self._transport.write(_STREAM_HEAD + _EVENTS[0])
        self._go_on(int(pace[1]) - 1, int(pace[2]) / 1e6, told + _END, self._loop.time())

    def _go_on(self, left: int, gap_s: float, end: bytes, sent_s: float) -> None:
        """The next is due so long after the last was, however late that came."""
        due_s = sent_s + gap_s
        self._due = self._loop.call_at(due_s, self._send, left, gap_s, end, due_s)

    def _send(self, left: int, gap_s: float, end: bytes, due_s: float) -> None:
        if left > 1:
            self._transport.write(_EVENTS[left % len(_EVENTS)])
            self._go_on(left - 1, gap_s, end, due_s)
        else:
            self._transport.write(_LAST + end)


async def main() -> None:
    over, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    # Nothing is ever written to it: it is readable when who started us is gone.
    loop.add_reader(sys.stdin.fileno(), over.set)
    server = await loop.create_server(ChatEndpoint, *_ADDRESS, backlog=4_096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await over.wait()
    server.close()


if __name__ == "__main__":
    uvloop.run(main())
