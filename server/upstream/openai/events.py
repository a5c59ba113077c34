"""Cuts a stream of server-sent events into runs of whole ones, which go on byte for byte.

Most runs are looked at with a few searches and no more; only one that may hold the end, usage, an
error or a comment is taken apart. Lines end with LF or CRLF.
"""

import json
import re

from server.token_usage import TokenUsage
from server.upstream.openai.usage import Json, usage_of

# What a stream may hold in all, so one event may be no longer.
EVENT_BYTES_MAX = 256 * 2**10

_EVENT = re.compile(rb"(?:(?!\r?\n)[^\n]*+\n)*+\r?\n")
_DATA = re.compile(rb"^data:[ ]?([^\r\n]*+)", re.MULTILINE)
# How some servers mark an error beside what is in it.
_ERROR_LINE = re.compile(rb"^(?:event: ?error|error:)", re.MULTILINE)
_USAGE = re.compile(rb'"usage"[ \t]*:[ \t]*\{')
_FINISHED = re.compile(rb'"finish_reason"[ \t]*:[ \t]*"')


class EventTooLong(Exception):
    """An event exceeds what a stream may hold."""


class EventCutter:
    """Of one stream: is given bytes as they come, and says when it is over."""

    def __init__(self, *, wants_usage: bool) -> None:
        """Without `wants_usage` the chunk that has nothing but usage is withheld."""
        self._wants_usage = wants_usage
        self._rest = bytearray()  # of the event that is not whole yet
        self._last = b""
        self.is_over = False
        self.usage: TokenUsage | None = None
        self.error: Json = None  # what an event told that ended the stream before its time

    def feed(self, data: bytes) -> bytes:
        """The events that are whole now, if any; raises EventTooLong."""
        run = data if not self._rest and data.endswith(b"\n\n") else self._cut(data)
        if run and _may_tell(run):
            run = self._sifted(run)
        if run:
            self._last = run
        return run

    def ends_well(self) -> bool:
        """Whether it may end here: with its mark or, of servers that send none, with a reason."""
        if self.is_over:
            return self.error is None
        is_marked = self._rest.strip() == b"data: [DONE]"
        return is_marked or self.usage is not None or bool(_FINISHED.search(self._last_event()))

    def _cut(self, data: bytes) -> bytes:
        rest = self._rest
        seen = max(len(rest) - 2, 0)  # what ends an event has at most 3 bytes, the last of them new
        rest += data
        end = _end(rest, seen)
        if len(rest) - end > EVENT_BYTES_MAX:
            raise EventTooLong
        run = bytes(rest[:end])
        del rest[:end]
        return run

    def _sifted(self, run: bytes) -> bytes:
        kept = []
        for event in _EVENT.findall(run):
            if self._goes_on(event):
                kept.append(event)
            if self.is_over:
                break
        return b"".join(kept)

    def _goes_on(self, event: bytes) -> bool:
        """Whether the caller gets it."""
        data = b"\n".join(_DATA.findall(event))
        if data == b"[DONE]":
            self.is_over = True
            return False
        if not data and event.startswith(b":"):
            return False  # a sign of life is no part of the answer
        chunk = _chunk(data)
        if self._is_error(event, chunk):
            return False
        usage = usage_of(chunk.get("usage"))
        if usage is None:
            return True
        self.usage = usage
        return self._wants_usage or chunk.get("choices") != []

    def _is_error(self, event: bytes, chunk: dict[str, Json]) -> bool:
        error = chunk.get("error") or bool(_ERROR_LINE.search(event))
        if error:
            self.error = error
            self.is_over = True
        return bool(error)

    def _last_event(self) -> bytes:
        last = self._last.rstrip()
        return last[last.rfind(b"\n\n") + 1 :]


def _end(rest: bytearray, seen: int) -> int:
    """Where the last whole event ends; 0: there is none."""
    return max(_after(rest, b"\n\n", seen), _after(rest, b"\n\r\n", seen))


def _after(rest: bytearray, ending: bytes, seen: int) -> int:
    found = rest.rfind(ending, seen)
    return 0 if found < 0 else found + len(ending)


def _may_tell(run: bytes) -> bool:
    return (
        b"[DONE]" in run
        or b"error" in run
        or (b'"usage"' in run and _USAGE.search(run) is not None)
        or b"\n:" in run
        or run.startswith(b":")
    )


def _chunk(data: bytes) -> dict[str, Json]:
    try:
        chunk: Json = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return chunk if isinstance(chunk, dict) else {}
