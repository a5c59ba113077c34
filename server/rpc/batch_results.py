"""Results of a batch as bytes: message objects for ten thousand of them would take too long."""

from collections.abc import Callable

from server.routing.batch import Decided
from server.routing.errors import RoutingError
from server.rpc.errors import status_of
from turnout.v1 import routing_pb2 as pb

# Bytes that are kept for later results. A batch has few refusals, often only one, and frames differ
# only by decision and by the lengths of ids.
REFUSALS_MAX = 100
FRAMES_MAX = 1_000


class BatchResults:
    """Serializes the result of each request; joined, the pieces are a response."""

    def __init__(self, chance: Callable[[], float] = lambda: 0.0) -> None:
        """`chance`, uniform in [0, 1), says when to come back after SHED: the same for all."""
        self._chance = chance
        self._routes: dict[bytes, int] = {}  # where the response has each, by its bytes
        self._frames: dict[tuple[int, int, bool, int], tuple[bytes, bytes]] = {}
        self._refusals: dict[tuple[type, tuple[object, ...], str], bytes] = {}  # by what they say

    def route(self, route: pb.BatchRoute) -> tuple[int, bytes]:
        """Where the response has a route, and its bytes where it has it not yet."""
        data = pb.RouteBatchResponse(routes=[route]).SerializeToString()
        if data in self._routes:
            return self._routes[data], b""
        self._routes[data] = len(self._routes)
        return self._routes[data], data

    def decided(self, route: int, answer: Decided, request_id: str) -> tuple[bytes, ...]:
        """The result of a request that was decided, in pieces."""
        own_id, given_id = answer.decision_id.encode(), request_id.encode()
        key = route, len(own_id), answer.audited, len(given_id)
        frame = self._frames.get(key)
        if frame is None:
            if len(self._frames) == FRAMES_MAX:
                self._frames.clear()
            frame = self._frames[key] = _frame(*key)
        return frame[0], own_id, frame[1], given_id

    def refused(self, error: RoutingError) -> bytes:
        """The result of a request that was refused."""
        key = type(error), error.args, error.field
        data = self._refusals.get(key)
        if data is None:
            refusal = pb.Refusal.FromString(
                status_of(error, chance=self._chance).SerializeToString()
            )
            response = pb.RouteBatchResponse(results=[pb.BatchResult(refusal=refusal)])
            data = response.SerializeToString()
            if len(self._refusals) < REFUSALS_MAX:
                self._refusals[key] = data
        return data


def _frame(route: int, own_bytes: int, audited: bool, given_bytes: int) -> tuple[bytes, bytes]:
    """What stands before and behind a decision id; the request's own id comes last."""
    own = "d" * own_bytes
    result = pb.BatchResult(
        route=route, decision_id=own, report_wanted=audited, request_id="r" * given_bytes
    )
    data = pb.RouteBatchResponse(results=[result]).SerializeToString()
    before, _, behind = data[: len(data) - given_bytes].rpartition(own.encode())
    return before, behind
