"""Turns of the loop: work that is more than a moment is done in stretches, fair over peers.

First over addresses, so that a thousand connections of one peer get no more than another's one;
then over the connections of an address.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter

from server.transport.loop.fair_queue import FairQueue, Share

# What a connection may do in one go while others wait. An honest caller waits for about two of
# these beside any number of peers that always have more; shorter ones cost more writes.
TURN_S = 0.001
# The same while nobody is known to wait: what a client of many calls says in one read is answered
# in one write.
AT_ONCE_S = 0.003
# What was done at once up to this may be counted for the next pass as well: to see each pass end
# would cost more. Less than this, done in one go, puts nobody behind another.
UNNOTICED_S = AT_ONCE_S / 8

Work = Callable[[], None]


class _Address(Share):
    """The peers of one address, which share what it gets."""

    __slots__ = ("flows", "waiting")

    def __init__(self) -> None:
        super().__init__()
        self.waiting: FairQueue[Flow] = FairQueue()
        self.flows = 0


class Flow(Share):
    """One connection, among those that take turns."""

    __slots__ = ("address", "name", "work")

    def __init__(self, name: str, address: _Address) -> None:
        super().__init__()
        self.name = name
        self.address = address
        # Of a connection itself one or two, and as many of each of its calls: their turns and ends.
        self.work: deque[Work] = deque()


class Stretches:
    """Work that a flow does in stretches, a turn for each, whoever it is that awaits them."""

    __slots__ = ("_began_s", "_flow", "_turns")

    def __init__(self, turns: "Turns", flow: Flow) -> None:
        self._turns = turns
        self._flow = flow
        self._began_s: float | None = None  # the turn that it is in

    async def wait(self) -> None:
        """Returns when it is the flow's turn again; what is done until the next wait counts."""
        self.end()
        await self._turns.wait(self._flow)
        self._began_s = self._turns.clock()
        # Behind this step of the work: what it then waits for is no work of the flow's.
        asyncio.get_running_loop().call_soon(self.end)

    def end(self) -> None:
        """Counts the stretch, if one has begun."""
        if self._began_s is not None:
            self._turns.charge(self._flow, self._turns.clock() - self._began_s)
            self._began_s = None


class Turns:
    """Of one server."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        """`clock` steps finely enough to measure a turn, unlike a loop's."""
        self.clock = clock
        self._addresses: dict[str, _Address] = {}
        self._waiting: FairQueue[_Address] = FairQueue()
        # Whether work may be done at once, outside of turns: nobody waits, and little enough was
        # done so in this pass of the loop. However much comes at once, of one peer or of many, who
        # is next is soon chosen fairly.
        self.is_free = True
        self._served: Flow | None = None  # whose turn it is
        self._is_due = False  # the next turn is scheduled, for somebody waits
        self._is_given = False  # the turn is somebody's who goes on in the next pass
        self._spent_s = 0.0  # at once, in this pass of the loop
        self._pass_ends = False  # when the loop gets to what is due soon

    @property
    def addresses(self) -> int:
        """Of connections that are open."""
        return len(self._addresses)

    def join(self, address: str) -> Flow:
        """A new connection of this address."""
        found = self._addresses.setdefault(address, _Address())
        found.flows += 1
        return Flow(address, found)

    def leave(self, flow: Flow) -> None:
        """The connection is gone; work of it that waits is still called."""
        flow.address.flows -= 1
        if not flow.address.flows:
            del self._addresses[flow.name]

    def do(self, flow: Flow, work: Work) -> None:
        """Does it at once while that is free, or else when the flow's turn comes."""
        if not self.is_free:
            self.ask(flow, work)
            return
        began_s = self.clock()
        work()
        self.charge_at_once(flow, self.clock() - began_s)

    def charge_at_once(self, flow: Flow, took_s: float) -> None:
        """Counts work that was done at once, when that was free."""
        self._spent_s += took_s
        if self._spent_s > UNNOTICED_S:
            if not self._pass_ends:
                self._pass_ends = True
                asyncio.get_running_loop().call_soon(self._end_pass)
            if self._spent_s >= AT_ONCE_S:
                self.is_free = False
            if took_s > UNNOTICED_S:
                self._waiting.pass_by(flow.address, took_s)
                flow.address.waiting.pass_by(flow, took_s)

    def charge(self, flow: Flow, took_s: float) -> None:
        """Counts work that was done in a turn which was waited for."""
        flow.mark_s += took_s
        flow.address.mark_s += took_s

    def ask(self, flow: Flow, work: Work) -> None:
        """Has `work` called when the flow's turn comes; it counts how long that takes."""
        flow.work.append(work)
        if len(flow.work) == 1 and flow is not self._served:
            self._enter(flow)
        if not self._is_due:
            self._is_due = True
            self.is_free = False
            asyncio.get_running_loop().call_soon(self._give)

    async def wait(self, flow: Flow) -> None:
        """Returns when the flow's turn has come; whoever waited charges what it then does."""
        turn = asyncio.Event()

        def give() -> None:
            turn.set()
            self._is_given = True

        self.ask(flow, give)
        await turn.wait()

    def _end_pass(self) -> None:
        self._spent_s, self._pass_ends = 0.0, False
        self.is_free = not self._is_due

    def _enter(self, flow: Flow) -> None:
        address = flow.address
        is_served = self._served is not None and self._served.address is address
        if not address.waiting and not is_served:
            self._waiting.enter(address, address)
        address.waiting.enter(flow, flow)

    def _give(self) -> None:
        """Turns for one turn's time, however short each is; then the loop looks at its sockets."""
        until_s, self._is_given = self.clock() + TURN_S, False
        try:
            while self._waiting and not self._is_given:
                if self._give_one() >= until_s:
                    break
        finally:
            self._is_due = bool(self._waiting)
            self.is_free = not self._is_due and self._spent_s < AT_ONCE_S
            if self._is_due:
                asyncio.get_running_loop().call_soon(self._give)

    def _give_one(self) -> float:
        """Returns when it was over."""
        address = self._waiting.take()
        flow = self._served = address.waiting.take()
        work = flow.work.popleft()
        began_s = ended_s = self.clock()
        try:
            work()
            ended_s = self.clock()
        finally:
            self._served = None
            self.charge(flow, ended_s - began_s)
            if flow.work:
                address.waiting.enter(flow, flow)
            if address.waiting:
                self._waiting.enter(address, address)
        return ended_s
