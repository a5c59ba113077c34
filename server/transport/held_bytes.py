"""Bytes that are held for peers who write or read slowly: who holds how much, and who gives way."""

from collections.abc import Callable

# Gives way, because of the limit of this name.
GiveWay = Callable[[str], None]


class HeldBytes:
    """Of all connections of a server."""

    def __init__(self, *, bytes_max: int, in_all_max: int) -> None:
        self._bytes_max = bytes_max
        self._in_all_max = in_all_max
        self._held: dict[GiveWay, int] = {}
        self.in_all = 0

    def hold(self, holder: GiveWay, held_bytes: int) -> None:
        """Notes what one holds now. When all hold too much, whoever holds most gives way."""
        self.in_all += held_bytes - self._held.pop(holder, 0)
        if not held_bytes:
            return
        self._held[holder] = held_bytes
        if held_bytes > self._bytes_max:
            holder("held_bytes")
        elif self.in_all > self._in_all_max:
            most = max(self._held, key=self._held.__getitem__)
            most("held_bytes_in_all")
