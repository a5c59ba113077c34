"""The places that a listener has for connections: so many in all, and so many of one address."""

from collections import Counter


class Places:
    """Who has one; neither limit is ever exceeded."""

    def __init__(self, *, in_all_max: int, of_address_max: int) -> None:
        self.taken = 0
        self._in_all_max = in_all_max
        self._of_address_max = of_address_max
        self._by_address: Counter[str] = Counter()

    def take(self, address: str) -> str:
        """Gives a connection its place, or names the limit that leaves none.

        A peer on a Unix socket has no address, so only the first limit holds for it.
        """
        if self.taken >= self._in_all_max:
            return "connections"
        if address and self._by_address[address] >= self._of_address_max:
            return "connections_per_address"
        self.taken += 1
        self._by_address[address] += 1
        return ""

    def leave(self, address: str) -> None:
        """Frees the place of a connection that had one."""
        self.taken -= 1
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]
