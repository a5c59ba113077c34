"""Calls that wait for a connection, or for a stream of one."""

from collections import OrderedDict
from collections.abc import Callable

from server.transport.channel.call import ClientCall


class WaitingCalls(OrderedDict[ClientCall, None]):
    """First come, first served; to leave costs the same for all."""

    def __init__(self, on_left: Callable[[], None]) -> None:
        """`on_left` is told when a call has ended while it waited."""
        super().__init__()
        self._on_left = on_left

    @property
    def first(self) -> ClientCall:
        return next(iter(self))

    def enter(self, call: ClientCall) -> None:
        """The call waits until it is put elsewhere, or ends."""
        self[call] = None
        call.place = self

    def leave(self, call: ClientCall) -> None:
        """The call has ended."""
        del self[call]
        self._on_left()

    def take_all(self) -> list[ClientCall]:
        """All calls, which have no place now."""
        calls = list(self)
        self.clear()
        for call in calls:
            call.place = None
        return calls
