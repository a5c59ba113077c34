"""Header blocks written octet by octet, and what a decoder's table holds."""

from server.transport.http2.hpack.decoder import Decoder
from server.transport.http2.hpack.primitives import HpackError
from server.transport.http2.hpack.table import Header


def integer(kind: int, prefix: int, value: int) -> bytes:
    """RFC 7541, section 5.1; `prefix` is its largest value."""
    if value < prefix:
        return bytes((kind | value,))
    octets, rest = [kind | prefix], value - prefix
    while rest > 0x7F:
        octets.append(0x80 | rest % 0x80)
        rest //= 0x80
    return bytes((*octets, rest))


def string(octets: bytes) -> bytes:
    return integer(0, 0x7F, len(octets)) + octets


def literal(kind: int, name: bytes, value: bytes) -> bytes:
    return bytes((kind,)) + string(name) + string(value)


def size_update(table_bytes: int) -> bytes:
    return integer(0x20, 0x1F, table_bytes)


def dynamic_table(decoder: Decoder) -> list[Header]:
    """The newest first, as a peer sees it: by asking for each index until one is refused."""
    fields: list[Header] = []
    try:
        while True:
            fields += decoder.decode(integer(0x80, 0x7F, 62 + len(fields)))
    except HpackError:
        return fields
