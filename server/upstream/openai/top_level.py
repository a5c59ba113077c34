"""Walks the top level of a JSON object where it lies, and makes no objects of what is in it.

For JSON only: of bytes that are none it says so, or takes them for some that they resemble.
"""

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

# A tool's schema takes two levels for each of its own; the expression below has a part for each.
DEPTH_MAX = 64
# No parameter has a name of more than some 30 letters.
KEY_BYTES_MAX = 16 * 2**10
# Chat Completions has some 40 parameters.
MEMBERS_MAX = 1_000

_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_SPACE = rb"[ \t\n\r]*+"


def _inside(depth: int) -> bytes:
    """What brackets hold that have no more than so many others within each other."""
    held = rb'[^"\[\]{}]++|' + _STRING
    return rb"(?:" + held + (rb"|" + _bracketed(depth) if depth else b"") + rb")*+"


def _bracketed(depth: int) -> bytes:
    return rb"[\[{]" + _inside(depth - 1) + rb"[\]}]"


# What brackets hold, as far as it is whole.
INSIDE = _inside(DEPTH_MAX)
_VALUE = _STRING + rb"|" + _bracketed(DEPTH_MAX) + rb'|[^ \t\n\r,"\[\]{}]++'
_BEGIN = re.compile(_SPACE + rb"\{" + _SPACE)
_MEMBER = re.compile(
    rb"(%b)%b:%b(%b)%b([,}])%b" % (_STRING, _SPACE, _SPACE, _VALUE, _SPACE, _SPACE), re.DOTALL
)
_END = re.compile(rb"\}" + _SPACE)


class Malformed(Exception):
    """It is no JSON object, or one beyond the limits; says which, and nothing of what is in it."""


class Member(NamedTuple):
    """One key of the object, and where its value lies."""

    key: bytes
    begin: int
    end: int


def members(body: bytes) -> Iterator[Member]:
    """The keys in their order, each as often as it occurs; raises Malformed."""
    begin = _BEGIN.match(body)
    if begin is None:
        raise Malformed("it is no JSON object")
    at = begin.end()
    if _END.fullmatch(body, at):
        return
    for _ in range(MEMBERS_MAX):
        found = _MEMBER.match(body, at)
        if found is None:
            raise Malformed(f"it is no JSON object, or nested deeper than {DEPTH_MAX} levels")
        yield Member(key_of(found[1]), *found.span(2))
        at = found.end()
        if found[3] == b"}":
            if at != len(body):
                raise Malformed("more follows its JSON object")
            return
    raise Malformed(f"its JSON object has more than {MEMBERS_MAX:,} keys")


def object_begin(body: bytes) -> int:
    """Where the first key would stand, of a body that `members` has walked."""
    return body.index(b"{") + 1


def key_of(quoted: bytes) -> bytes:
    """What a key says that stands there in its quotation marks; raises Malformed."""
    if len(quoted) > KEY_BYTES_MAX:
        raise Malformed(f"a key of its JSON object exceeds {KEY_BYTES_MAX:,} bytes")
    if b"\\" not in quoted:
        return quoted[1:-1]
    try:
        return str(json.loads(quoted)).encode("utf-8", "replace")
    except ValueError:
        raise Malformed("a key of its JSON object is malformed") from None
