"""RouteBatch: what its requests have in common is read once, decided once and told once."""

from collections.abc import AsyncIterator, Callable, Hashable, Mapping

from server.routing.batch import Alike, Decided, decide_batch
from server.routing.errors import InvalidRequest, NotReady, PayloadTooLarge, RoutingError
from server.routing.query import Query
from server.routing.router import Router
from server.rpc import convert
from server.rpc.batch_results import BatchResults
from server.rpc.carve import ROUTE, Content
from server.rpc.openai_chat import INLINE_BYTES_MAX
from server.rpc.parts import cut
from server.rpc.responses import batch_route
from server.rpc.turns import Turn
from server.rpc.wire import Bytes
from turnout.v1 import routing_pb2 as pb

# Other calls wait for a slice: about 2 ms, and 5 of the worst. A request that is like one before
# takes as much as one of these, and others as many more, to be read or to be refused.
SLICE_WORK_MAX = 600
UNLIKE_WORK = 4
# Texts are read at 150 ns a byte, what is nothing but small fields at 250: 5 ms. Shorter
# requests take no longer than work counts for them.
SLICE_BYTES_MAX = 16 * 1_024
SHORT_BYTES_MAX = 128
# Requests that are kept converted, for later slices: about a KB each.
CONVERTED_MAX = 1_000


class BatchCall:
    """One call, answered slice by slice.

    A slice is read and decided in one go, under one configuration and one plan.
    """

    def __init__(
        self,
        router: Router,
        metadata: Mapping[str, str],
        on_refused: Callable[[str], None],
        turn: Turn,
        *,
        now_s: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        """`on_refused` is told the reason of each request that is refused.

        `turn` is waited for between slices.
        """
        self._router = router
        self._metadata = metadata
        self._on_refused = on_refused
        self._turn = turn
        self._now_s = now_s
        self._chance = chance
        self._results = BatchResults()

    async def answer(self, data: Bytes) -> AsyncIterator[bytes]:
        """A response, in parts that make one when they are joined.

        Decides or refuses each request; raises only what holds for all of them.
        """
        requests = await cut(data, "turnout.v1.RouteBatchRequest.requests", self._turn)
        queries = _Queries(self._metadata)
        slice_ = _Slice(self._router, queries)
        for each in requests:
            if slice_.is_full:
                yield self._answer(slice_)
                slice_ = _Slice(self._router, queries)
                await self._turn()
            slice_.read(each)
        yield self._answer(slice_)

    def _answer(self, slice_: "_Slice") -> bytes:
        batch = decide_batch(
            self._router, slice_.read_alike.values(), now_s=self._now_s(), chance=self._chance
        )
        routes, pieces = [], []
        for decision in batch.decisions:
            route, data = self._results.route(batch_route(decision, self._router))
            routes.append(route)
            pieces.append(data)
        answers = slice_.refused | batch.answers
        for place, request_id in enumerate(slice_.request_ids):
            answer = answers[place]
            if isinstance(answer, Decided):
                pieces += self._results.decided(routes[answer.decision], answer, request_id)
            else:
                self._on_refused(answer.reason)
                pieces.append(self._results.refused(answer))
        return b"".join(pieces)


class _Slice:
    """Requests that are read under one configuration; those that are alike once."""

    def __init__(self, router: Router, queries: "_Queries") -> None:
        self._router = router
        self._queries = queries
        self._token_range = router.token_range
        self._bytes = self._work = 0
        # Before the first plan nothing is decided alike: each is priced by its own tokens.
        self._each_work = 1 if router.table.plan_id else 1 + UNLIKE_WORK
        self._unlike_work = UNLIKE_WORK if router.table.plan_id else 0
        # The request that was read last, and what it was read as.
        self._last: tuple[Bytes, str, int | None, Alike | None] = b"", "", None, None
        self.request_ids: list[str] = []  # one for each request
        self.read_alike: dict[Hashable, Alike] = {}  # by query and range of tokens
        self.refused: dict[int, RoutingError] = {}  # by place

    @property
    def is_full(self) -> bool:
        return self._work >= SLICE_WORK_MAX or self._bytes >= SLICE_BYTES_MAX

    def read(self, data: Bytes) -> None:
        """Takes a request in, read or refused; takes out of it what makes it differ."""
        place = len(self.request_ids)
        self._work += self._each_work
        last, request_id, tokens, alike = self._last
        if data == last and alike is not None:
            self.request_ids.append(request_id)
            alike.tokens[place] = tokens
            return
        self.request_ids.append("")
        if len(data) > SHORT_BYTES_MAX:
            self._bytes += len(data)
        try:
            self._read(place, data)
        except NotReady:
            raise
        except RoutingError as error:
            self._work += self._unlike_work
            self.refused[place] = error

    def _read(self, place: int, data: Bytes) -> None:
        request, content = ROUTE.read(data)
        if request_id := request.context.request_id:
            self.request_ids[place] = request_id
            convert.short(request_id, "context.request_id")
            request.context.ClearField("request_id")
        tokens = _taken_tokens(request.features)
        if content is None:
            alike = self._alike(request, tokens)
            self._last = data, request_id, tokens, alike
        else:  # it is large: to compare it would cost more than it saves
            alike = self._unlike(request, content, tokens)
        alike.tokens[place] = tokens

    def _alike(self, request: pb.RouteRequest, tokens: int | None) -> Alike:
        data = request.SerializeToString()
        key = data, None if tokens is None else self._token_range(tokens)
        alike = self.read_alike.get(key)
        if alike is None:
            alike = self._asked(key, self._queries.of(request, data), tokens)
        return alike

    def _unlike(self, request: pb.RouteRequest, content: Content, tokens: int | None) -> Alike:
        _hold_chat(content)
        query = self._queries.made(request, request.ByteSize(), content)
        return self._asked(len(self.read_alike), query, tokens)

    def _asked(self, key: Hashable, query: Query, tokens: int | None) -> Alike:
        query.input_tokens = tokens
        alike = self.read_alike[key] = Alike(self._router.read(query))
        self._work += self._unlike_work
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
            query = self.made(request, len(data))
            if len(self._known) < CONVERTED_MAX:
                self._known[data] = query
        return query

    def made(
        self, request: pb.RouteRequest, size_bytes: int, content: Content | None = None
    ) -> Query:
        """Raises InvalidRequest, PayloadMalformed or PayloadTooLarge."""
        if request.dry_run:
            raise InvalidRequest("a batch has no dry runs: use Route for it", field="dry_run")
        return convert.route_query(request, size_bytes, self._metadata, content)


def _hold_chat(content: Content) -> None:
    if content.field == "openai_chat" and len(content.data) > INLINE_BYTES_MAX:
        raise PayloadTooLarge(
            f"in a batch at most {INLINE_BYTES_MAX:,} bytes: use Route for it, or send features",
            field="openai_chat",
        )


def _taken_tokens(features: pb.Features) -> int | None:
    tokens = features.input_tokens
    if not tokens and not features.HasField("input_tokens"):
        return None
    features.ClearField("input_tokens")
    return tokens
