"""One answer on its way through: piece by piece, as long as its endpoint goes on with it."""

from collections.abc import AsyncIterator, Callable

from server.dispatch.exchange import Bytes, EndpointError
from server.dispatch.late_timeout import LateTimeout
from server.dispatch.relay import Relay
from server.routing.errors import ReaderStalled
from server.routing.journey import Attempt
from server.status_code import Code

# Of most streams an event is a token: so many were written where the endpoint does not say.
_EVENT_ENDS = b"\n\n"


class Passage:
    """Carries one answer from its attempt to a relay."""

    def __init__(
        self,
        relay: Relay,
        attempt: Attempt,
        now_s: Callable[[], float],
        *,
        deadline_s: float,
        silence_s: float,
    ) -> None:
        """It is ended at the deadline, and where nothing comes for so long."""
        self._relay = relay
        self._attempt = attempt
        self._now_s = now_s
        self._deadline_s = deadline_s
        self._silence_s = silence_s
        self._waits_since_s = now_s()  # for the endpoint

    async def carry(self, first: Bytes, others: AsyncIterator[Bytes]) -> None:
        """Returns at its end; raises EndpointError where it breaks off.

        Or ReaderStalled where its caller kept it from its end until the deadline.
        """
        try:
            async with LateTimeout(self._due_s, self._now_s) as timeout:
                await self._hand_over(first)
                async for piece in others:
                    await self._hand_over(piece)
        except TimeoutError:
            if not timeout.expired:
                raise
            raise self._error() from None
        finally:
            self._attempt.blocked_s = self._relay.blocked_s

    async def _hand_over(self, piece: Bytes) -> None:
        self._attempt.output_tokens += max(bytes(piece).count(_EVENT_ENDS), 1)
        await self._relay.put(piece)
        self._waits_since_s = self._now_s()

    def _due_s(self, now_s: float) -> float:
        """Time in which the endpoint waits for the caller is no silence."""
        since_s = now_s if self._relay.is_blocked else self._waits_since_s
        return min(self._deadline_s, since_s + self._silence_s)

    def _error(self) -> EndpointError | ReaderStalled:
        if self._now_s() < self._deadline_s:
            return EndpointError(Code.UNAVAILABLE, f"nothing came for {self._silence_s:.3g} s")
        if self._relay.is_blocked:
            return ReaderStalled("the deadline passed while the answer waited to be read")
        return EndpointError(Code.DEADLINE_EXCEEDED, "the deadline passed before its end")
