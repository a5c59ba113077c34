"""RouteBatch: what its requests have in common is read once, decided once and told once."""

import asyncio
from collections.abc import Callable, Mapping

from server.routing.batch import Alike, Decided, decide_batch
from server.routing.errors import InvalidRequest, NotReady, PayloadTooLarge, RoutingError
from server.routing.query import Query
from server.routing.router import Router
from server.rpc import convert
from server.rpc.errors import status_of
from server.rpc.openai_chat import INLINE_BYTES_MAX
from server.rpc.responses import batch_route
from turnout.v1 import routing_pb2 as pb

# Decided within 50 ms; the answer, of 2 MB, is encoded and sent in one piece.
REQUESTS_MAX = 10_000
# Other calls wait for a slice: about 5 ms. A request that is like one before it takes as much as
# one of these, and others as many more, to be read or to be refused.
SLICE_WORK_MAX = 1_000
UNLIKE_WORK = 4
# Short texts are read at 150 ns a byte: 5 ms too.
SLICE_BYTES_MAX = 32 * 1_024


class BatchCall:
    """One call, answered slice by slice.

    A slice is read and decided in one go, under one configuration and one plan.
    """

    def __init__(
        self,
        router: Router,
        metadata: Mapping[str, str],
        on_refused: Callable[[str], None],
        *,
        now_s: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        """`on_refused` is told the reason of each request that is refused."""
        self._router = router
        self._metadata = metadata
        self._on_refused = on_refused
        self._now_s = now_s
        self._chance = chance
        self._response = pb.RouteBatchResponse()
        self._routes: dict[bytes, int] = {}  # where the response has each, by its bytes

    async def answer(self, request: pb.RouteBatchRequest) -> pb.RouteBatchResponse:
        """Decides or refuses each request; raises only what holds for all of them."""
        convert.hold_size(request.ByteSize())
        if len(request.requests) > REQUESTS_MAX:
            raise InvalidRequest(
                f"more than {REQUESTS_MAX:,} requests: send them in several calls", field="requests"
            )
        queries = _Queries(self._metadata)
        slice_ = _Slice(self._router, queries)
        for each in request.requests:
            if slice_.is_full:
                self._answer(slice_)
                slice_ = _Slice(self._router, queries)
                await asyncio.sleep(0)
            slice_.read(each)
        self._answer(slice_)
        return self._response

    def _answer(self, slice_: "_Slice") -> None:
        batch = decide_batch(
            self._router, slice_.read_alike.values(), now_s=self._now_s(), chance=self._chance
        )
        routes = [self._route(batch_route(d, self._router)) for d in batch.decisions]
        answers = slice_.refused | batch.answers
        for place, request_id in enumerate(slice_.request_ids):
            result, answer = self._response.results.add(), answers[place]
            if isinstance(answer, Decided):
                # Set one by one: in half the time that keywords take.
                result.route = routes[answer.decision]
                result.decision_id = answer.decision_id
                if answer.audited:
                    result.report_wanted = True
                if request_id:
                    result.request_id = request_id
            else:
                self._refuse(result, answer)

    def _route(self, route: pb.BatchRoute) -> int:
        """Where the response has a route; equal ones stand in it once."""
        data = route.SerializeToString()
        if data not in self._routes:
            self._routes[data] = len(self._routes)
            self._response.routes.append(route)
        return self._routes[data]

    def _refuse(self, result: pb.BatchResult, error: RoutingError) -> None:
        self._on_refused(error.reason)
        result.refusal.MergeFromString(status_of(error).SerializeToString())


class _Slice:
    """Requests that are read under one configuration; those that are alike once."""

    def __init__(self, router: Router, queries: "_Queries") -> None:
        self._router = router
        self._queries = queries
        self._bytes = 0
        self.request_ids: list[str] = []  # one for each request
        self.read_alike: dict[tuple[bytes, int | None], Alike] = {}  # by query and range of tokens
        self.refused: dict[int, RoutingError] = {}  # by place

    @property
    def is_full(self) -> bool:
        requests = len(self.request_ids)
        # Before the first plan nothing is decided alike: each is priced by its own tokens.
        planned = bool(self._router.table.plan_id)
        unlike = len(self.read_alike) + len(self.refused) if planned else requests
        work = requests + UNLIKE_WORK * unlike
        return work >= SLICE_WORK_MAX or self._bytes >= SLICE_BYTES_MAX

    def read(self, request: pb.RouteRequest) -> None:
        """Takes a request in, read or refused; takes out of it what makes it differ."""
        place, request_id = len(self.request_ids), request.context.request_id
        self.request_ids.append(request_id)
        try:
            if request_id:
                convert.short(request_id, "context.request_id")
                request.context.ClearField("request_id")
            tokens = _taken_tokens(request.features)
            self._alike(request, tokens).tokens[place] = tokens
        except NotReady:
            raise
        except RoutingError as error:
            self.refused[place] = error

    def _alike(self, request: pb.RouteRequest, tokens: int | None) -> Alike:
        data = request.SerializeToString()
        self._bytes += len(data)
        key = data, None if tokens is None else self._router.token_range(tokens)
        alike = self.read_alike.get(key)
        if alike is None:
            query = self._queries.of(request, data)
            query.input_tokens = tokens
            alike = self.read_alike[key] = Alike(self._router.read(query))
        return alike


class _Queries:
    """The requests of a batch as routing speaks of them, but for their tokens."""

    def __init__(self, metadata: Mapping[str, str]) -> None:
        self._metadata = metadata
        self._known: dict[bytes, Query] = {}

    def of(self, request: pb.RouteRequest, data: bytes) -> Query:
        """`data` is the request's; equal ones are converted once."""
        query = self._known.get(data)
        if query is None:
            if request.dry_run:
                raise InvalidRequest("a batch has no dry runs: use Route for it", field="dry_run")
            _hold_chat(request)
            query = self._known[data] = convert.route_query(request, len(data), self._metadata)
        return query


def _hold_chat(request: pb.RouteRequest) -> None:
    if len(request.openai_chat) > INLINE_BYTES_MAX:
        raise PayloadTooLarge(
            f"in a batch at most {INLINE_BYTES_MAX:,} bytes: use Route for it, or send features",
            field="openai_chat",
        )


def _taken_tokens(features: pb.Features) -> int | None:
    if not features.HasField("input_tokens"):
        return None
    tokens = features.input_tokens
    features.ClearField("input_tokens")
    return tokens
