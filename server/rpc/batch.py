"""RouteBatch: what its requests have in common is read, decided and answered once."""

from collections.abc import AsyncIterator, Callable, Hashable, Mapping

from server.routing.asked import Asked
from server.routing.batch import Alike, Decided, alike_key, decide_batch
from server.routing.callers import Caller
from server.routing.catalog import Catalog
from server.routing.endpoints import ALIKE_MIN
from server.routing.errors import (
    InvalidRequest,
    NotReady,
    PayloadTooLarge,
    RoutingError,
)
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

# Other calls wait while a slice works. The clock measures what reading takes. What deciding and
# answering will take is reckoned from these costs, measured with a plan of two models: of a
# decision, of each request that shares one, and of each request that no plan decides. Where
# requests are spread over endpoints, one in eight has a decision of its own.
SLICE_S = 0.002
ROW_S, PLANNED_S, UNPLANNED_S = 30e-6, 3e-6, 20e-6
SPREAD_S = PLANNED_S + ROW_S / ALIKE_MIN
# Requests that are kept as they were read, for later slices: about a KB each.
KNOWN_MAX = 200


class BatchCall:
    """One call, answered slice by slice.

    A slice is read and decided in one go, under one configuration and one plan.
    """

    def __init__(  # noqa: PLR0913 - what it needs of the call and the worker, and time and chance
        self,
        router: Router,
        metadata: Mapping[str, str],
        on_refused: Callable[[str], None],
        turn: Turn,
        caller: Caller | None = None,
        *,
        now_s: Callable[[], float],
        clock: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        """`on_refused` is told the reason of each request that is refused.

        `turn` is waited for between slices, which `clock` measures.
        """
        self._router = router
        self._on_refused = on_refused
        self._turn = turn
        self._now_s = now_s
        self._clock = clock
        self._chance = chance
        self._caller = caller
        self._known = _Known(router, metadata, caller)
        self._results = BatchResults(chance)

    async def answer(self, data: Bytes) -> AsyncIterator[bytes]:
        """A response, in parts that make one when they are joined.

        Decides or refuses each request; raises only what holds for all of them.
        """
        requests = await cut(data, "turnout.v1.RouteBatchRequest.requests", self._turn)
        if self._caller is not None:
            self._caller.spend(len(requests), now_s=self._now_s())
        clock, slice_ = self._clock, self._slice()
        for each in requests:
            if clock() >= slice_.until_s and slice_.request_ids:
                yield self._answer(slice_)
                await self._turn()
                slice_ = self._slice()
            slice_.read(each)
        yield self._answer(slice_)

    def _slice(self) -> "_Slice":
        self._known.renew()
        return _Slice(self._router, self._known, self._refusal, self._clock() + SLICE_S)

    def _refusal(self, error: RoutingError) -> bytes:
        self._on_refused(error.reason)
        return self._results.refused(error)

    def _answer(self, slice_: "_Slice") -> bytes:
        batch = decide_batch(
            self._router, slice_.read_alike.values(), now_s=self._now_s(), chance=self._chance
        )
        results, routes, pieces = self._results, list[int](), list[bytes]()
        for decision in batch.decisions:
            route, data = results.route(batch_route(decision, self._router))
            routes.append(route)
            pieces.append(data)
        answers: dict[int, bytes | Decided | RoutingError] = {**slice_.refused, **batch.answers}
        for place, request_id in enumerate(slice_.request_ids):
            answer = answers[place]
            if isinstance(answer, Decided):
                pieces += results.decided(routes[answer.decision], answer, request_id)
            else:
                pieces.append(answer if isinstance(answer, bytes) else self._refusal(answer))
        return b"".join(pieces)


class _Slice:
    """Requests that are read under one configuration; equal ones are read once."""

    def __init__(
        self,
        router: Router,
        known: "_Known",
        refusal: Callable[[RoutingError], bytes],
        until_s: float,
    ) -> None:
        """Each request that is taken in brings `until_s` nearer, for it has to be decided too."""
        self._router = router
        self._known = known
        self._refusal = refusal
        self._token_range = router.token_range
        self._each_s: dict[Hashable, float] = {}  # what each of those decided alike takes
        # The request that was read last, and what it was read as.
        self._last: tuple[Bytes, str, int | None, Alike | None] = b"", "", None, None
        self.until_s = until_s
        self.request_ids: list[str] = []  # one for each request
        self.read_alike: dict[Hashable, Alike] = {}  # by query and range of tokens
        self.refused: dict[int, bytes] = {}  # results by place

    def read(self, data: Bytes) -> None:
        """Reads or refuses a request; its id and tokens are set apart, so that more are equal."""
        place = len(self.request_ids)
        last, request_id, tokens, alike = self._last
        if data == last and alike is not None:
            self.request_ids.append(request_id)
        else:
            self.request_ids.append("")
            try:
                tokens, alike = self._read(place, data)
            except NotReady:
                raise
            except RoutingError as error:
                self.refused[place] = self._refusal(error)
                return
        alike.tokens[place] = tokens
        self.until_s -= alike.each_s

    def _read(self, place: int, data: Bytes) -> tuple[int | None, Alike]:
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
            _hold_chat(content)
            asked = self._known.read(request, request.ByteSize(), tokens, content)
            alike = self._asked(len(self.read_alike), asked)
        return tokens, alike

    def _alike(self, request: pb.RouteRequest, tokens: int | None) -> Alike:
        data = request.SerializeToString()
        key = data, None if tokens is None else self._token_range(tokens)
        alike = self.read_alike.get(key)
        return alike or self._asked(key, self._known.of(key, request, tokens))

    def _asked(self, key: Hashable, asked: Asked) -> Alike:
        alike_as = alike_key(asked)
        each_s = self._each_s.get(alike_as)
        if each_s is None:
            each_s = self._each_s[alike_as] = _each_s(self._router, asked)
            self.until_s -= ROW_S
        alike = self.read_alike[key] = Alike(asked, each_s)
        return alike


class _Known:
    """What requests of a batch were read as under the configuration in force."""

    def __init__(self, router: Router, metadata: Mapping[str, str], caller: Caller | None) -> None:
        self._router = router
        self._metadata = metadata
        self._caller = caller
        self._catalog: Catalog | None = None
        self._asked: dict[tuple[bytes, int | None], Asked] = {}  # by query and range of tokens

    def renew(self) -> None:
        """Forgets what was read under another configuration; raises NotReady without one."""
        if self._catalog is not self._router.catalog:
            self._catalog = self._router.catalog
            self._asked.clear()

    def of(
        self, key: tuple[bytes, int | None], request: pb.RouteRequest, tokens: int | None
    ) -> Asked:
        """What the request asks; equal ones are read once."""
        asked = self._asked.get(key)
        if asked is None:
            asked = self.read(request, len(key[0]), tokens)
            if len(self._asked) < KNOWN_MAX:
                self._asked[key] = asked
        return asked

    def read(
        self,
        request: pb.RouteRequest,
        size_bytes: int,
        tokens: int | None,
        content: Content | None = None,
    ) -> Asked:
        """What the request asks; raises RoutingError."""
        if request.dry_run:
            raise InvalidRequest("a batch has no dry runs: use Route for it", field="dry_run")
        query = convert.route_query(request, size_bytes, self._metadata, content)
        query.input_tokens = tokens
        if self._caller is not None:
            query.sign(self._caller, tenant_at=convert.TENANT_AT)
        return self._router.read(query)


def _each_s(router: Router, asked: Asked) -> float:
    """How long deciding and answering one of them will take."""
    if not router.is_planned(asked):
        return UNPLANNED_S
    return SPREAD_S if router.spreads(asked) else PLANNED_S


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
