"""Walks a large JSON object a stretch at a time, so that the loop has its turns in between.

What it finds is what `members` finds at once, but that it may let more levels through.
"""

import asyncio
import re
from collections.abc import Generator, Sequence
from typing import NoReturn

from server.upstream.openai.top_level import (
    DEPTH_MAX,
    INSIDE,
    MEMBERS_MAX,
    Malformed,
    Member,
    key_of,
    members,
)

# Looked at in one turn, which takes a millisecond or two. Most bodies are smaller.
STRETCH_BYTES = 128 * 2**10
# No number, and no word of JSON, is longer.
_SCALAR_BYTES_MAX = 1_024

_SPACE = re.compile(rb"[ \t\n\r]*+")
_SCALAR = re.compile(rb'[^ \t\n\r,"\[\]{}]++')
_IN_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
# Whole elements, one after another.
_RUN = re.compile(INSIDE, re.DOTALL)


async def found_members(body: bytes) -> Sequence[Member]:
    """The keys of the object and where their values lie; raises Malformed."""
    if len(body) <= STRETCH_BYTES:
        return tuple(members(body))
    walk = Walk(body)
    for _ in walk.stretches():
        await asyncio.sleep(0)
    return walk.found


class Walk:
    """Of one body."""

    def __init__(self, body: bytes, *, stretch_bytes: int = STRETCH_BYTES) -> None:
        self.found: list[Member] = []  # whole once it has come to the end
        self._body = body
        self._stretch_bytes = stretch_bytes
        self._at = 0
        self._looked_at_bytes = 0  # since the last turn

    def stretches(self) -> Generator[int, None, None]:
        """Gives how many bytes were looked at since the last turn; raises Malformed."""
        yield from self._space()
        self._take(b"{")
        yield from self._space()
        if self._next() == b"}":
            self._at += 1
        else:
            yield from self._members()
        yield from self._space()
        if self._at != len(self._body):
            raise Malformed("more follows its JSON object")

    def _members(self) -> Generator[int, None, None]:
        while len(self.found) < MEMBERS_MAX:
            begin = self._at
            yield from self._string()
            key = key_of(self._body[begin : self._at])
            yield from self._space()
            self._take(b":")
            yield from self._space()
            begin = self._at
            yield from self._value()
            self.found.append(Member(key, begin, self._at))
            yield from self._space()
            if self._next() == b"}":
                self._at += 1
                return
            self._take(b",")
            yield from self._space()
        raise Malformed(f"its JSON object has more than {MEMBERS_MAX:,} keys")

    def _value(self) -> Generator[int, None, None]:
        first = self._next()
        if first == b'"':
            yield from self._string()
        elif first in (b"[", b"{"):
            yield from self._bracketed()
        else:
            found = _SCALAR.match(self._body, self._at, self._at + _SCALAR_BYTES_MAX)
            if found is None:
                self._fail()
            self._at = found.end()

    def _bracketed(self) -> Generator[int, None, None]:
        """Runs of what fits into a stretch; what does not is gone into."""
        self._at, depth = self._at + 1, 1
        while depth:
            yield from self._run(_RUN)
            found = self._next()
            if found == b'"':
                yield from self._string()
            elif found in (b"[", b"{"):
                # It was looked at in vain, up to the end of the stretch.
                yield from self._count(self._stretch_bytes)
                self._at, depth = self._at + 1, depth + 1
                if depth > DEPTH_MAX:
                    self._fail()
            elif found in (b"]", b"}"):
                self._at, depth = self._at + 1, depth - 1
            elif not found:
                self._fail()

    def _string(self) -> Generator[int, None, None]:
        self._take(b'"')
        while True:
            yield from self._run(_IN_STRING)
            found = self._next()
            if found == b'"':
                self._at += 1
                return
            if not found:
                self._fail()
            if found == b"\\":  # what it escapes lies in the next stretch
                self._at += 2

    def _space(self) -> Generator[int, None, None]:
        while self._next() in (b" ", b"\t", b"\n", b"\r"):
            yield from self._run(_SPACE)

    def _run(self, pattern: re.Pattern[bytes]) -> Generator[int, None, None]:
        found = pattern.match(self._body, self._at, self._at + self._stretch_bytes)
        begin, self._at = self._at, self._at if found is None else found.end()
        yield from self._count(self._at - begin)

    def _count(self, looked_at_bytes: int) -> Generator[int, None, None]:
        self._looked_at_bytes += looked_at_bytes
        if self._looked_at_bytes >= self._stretch_bytes:
            looked_at, self._looked_at_bytes = self._looked_at_bytes, 0
            yield looked_at

    def _next(self) -> bytes:
        return self._body[self._at : self._at + 1]

    def _take(self, wanted: bytes) -> None:
        if self._next() != wanted:
            self._fail()
        self._at += 1

    def _fail(self) -> NoReturn:
        raise Malformed(f"it is no JSON object, or nested deeper than {DEPTH_MAX} levels")
