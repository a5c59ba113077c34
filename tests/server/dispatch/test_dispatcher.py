"""An Infer seen through: who is asked, what is counted, and what the caller hears."""

import asyncio
import gc
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from server.config.classes import ClassConfig, SloConfig
from server.config.models import CapacityConfig, HealthConfig, PriceConfig
from server.dispatch.dispatcher import DETAIL_CHARS_MAX, Answer, Dispatcher
from server.dispatch.exchange import Bytes, EndpointError, Metadata
from server.latency_buckets import latency_bucket
from server.routing.catalog import Cell, Model, PayloadKind
from server.routing.counters import NO_MODEL, Counters, Counts, Leg
from server.routing.decision_id import KEY_BYTES, Kind, Sealer, open_decision
from server.routing.errors import DeadlinePast, NoCandidate, Shed, UpstreamFailed
from server.routing.journey import MARGIN_S
from server.routing.query import Query
from server.routing.router import Router
from server.routing.selector import CellKey, ModelShares, Selector, WeightTable
from server.routing.slices import kept_back
from server.routing.status_meaning import STATUS_MEANINGS, Blame
from server.status_code import Code
from tests.server.routing.configs import config, model

KEY = bytes(KEY_BYTES)
CELL = Cell("chat", "-", "other", "s0", PayloadKind.TENSORS)
START_S = 1_024.0
SMALL, LARGE = (0, "small:8001"), (1, "large:8001")
MODELS = (
    model("small", price=PriceConfig(request_usd=1e-6, busy_second_usd=1e-3)),
    model("large", price=PriceConfig(request_usd=2e-6, busy_second_usd=4e-3)),
    model("third", price=PriceConfig(request_usd=1)),
)
CLASSES = (
    ClassConfig(
        name="chat",
        default=True,
        slo=SloConfig(ms=500, fraction=0.9),
        deadline_s=20,
        audit_rate=0.5,
    ),
)
HEALTH = HealthConfig(consecutive_failures_max=1, ejection_s=5)

Behaviour = bytes | Code


@dataclass(slots=True)
class Upstream:
    """Behaves as told, model by model; each attempt takes so long on the clock."""

    behaviours: dict[str, Behaviour]
    took_s: float = 0.125
    now_s: float = START_S
    asked: list[tuple[str, str, Bytes, float, Metadata]] = field(default_factory=list)
    message: str = "out of memory"
    hold: asyncio.Event | None = None
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    on_ask: Callable[[], None] = lambda: None

    async def send(
        self, address: str, model: Model, request: Bytes, timeout_s: float, metadata: Metadata
    ) -> bytes:
        self.asked.append((address, model.name, request, timeout_s, metadata))
        self.on_ask()
        self.reached.set()
        if self.hold is not None:
            await self.hold.wait()
        self.now_s += self.took_s
        behaviour = self.behaviours[model.name]
        if isinstance(behaviour, Code):
            raise EndpointError(behaviour, self.message)
        return behaviour

    @property
    def models(self) -> list[str]:
        return [name for _, name, *_ in self.asked]


@dataclass(slots=True)
class Scene:
    """A dispatcher whose plan sends every request to small, then to large."""

    upstream: Upstream
    router: Router
    counters: Counters
    dispatcher: Dispatcher

    async def infer(self, *, timeout_s: float | None = 10, **query: Any) -> Answer:
        return await self.dispatcher.infer(
            Query(payload_kind=PayloadKind.TENSORS, **query),
            b"request",
            timeout_s=timeout_s,
            metadata=(("x-request-id", "r1"),),
        )

    async def fail(self, **query: Any) -> UpstreamFailed:
        with pytest.raises(UpstreamFailed) as failed:
            await self.infer(**query)
        return failed.value

    def counts(self, model: str, cell: Cell = CELL, first: str = "small") -> Counts:
        return self.counters.get(Leg(cell, first, model))

    def in_flight(self) -> list[int]:
        return [load.in_flight for load in self.router.endpoints.loads.values()]


def scene(chance: float = 0.9, **behaviours: Behaviour) -> Scene:
    upstream = Upstream({"small": b"1", "large": b"2", "third": b"3", **behaviours})
    counters = Counters()
    router = Router(Selector(), Sealer(KEY, boot=7), counters, chance=lambda: 0.5)
    router.configure(config(*MODELS, classes=CLASSES, health=HEALTH))
    router.publish(WeightTable("p1", {CELL: ((0, 1.0, 1_000),)}))
    dispatcher = Dispatcher(
        router,
        {"oip": upstream.send},
        counters,
        now_s=lambda: upstream.now_s,
        chance=lambda: chance,
    )
    return Scene(upstream, router, counters, dispatcher)


async def test_an_answer_is_passed_back_with_what_it_took() -> None:
    given = scene()
    answer = await given.infer()
    assert (answer.response, answer.target.model.name, answer.attempts) == (b"1", "small", 1)
    assert answer.latency_s == 0.125
    assert answer.cost_nano_usd == 126_000
    opened = open_decision(KEY, answer.decision_id, now_s=START_S)
    assert (opened.kind, opened.cell, opened.model) == (Kind.INFER, CELL, "small")
    assert opened.audit_probability == 0


async def test_the_request_its_metadata_and_the_time_left_reach_the_endpoint() -> None:
    given = scene()
    await given.infer(timeout_s=10)
    ((address, name, request, timeout_s, metadata),) = given.upstream.asked
    assert (address, name, request) == ("small:8001", "small", b"request")
    assert timeout_s == pytest.approx(10 - MARGIN_S)
    assert metadata == (("x-request-id", "r1"),)


async def test_without_a_deadline_that_of_the_class_is_passed_on() -> None:
    given = scene()
    await given.infer(timeout_s=None)
    assert given.upstream.asked[0][3] == pytest.approx(20 - MARGIN_S)


async def test_a_retry_gets_the_time_that_the_first_attempt_left() -> None:
    given = scene(small=Code.UNAVAILABLE)
    given.upstream.took_s = 4
    await given.infer(timeout_s=10)
    assert [asked[3] for asked in given.upstream.asked] == pytest.approx(
        [10 - MARGIN_S, 6 - MARGIN_S]
    )


async def test_a_failure_that_another_may_not_have_is_retried_on_the_next_model() -> None:
    given = scene(small=Code.UNAVAILABLE)
    answer = await given.infer()
    assert given.upstream.models == ["small", "large"]
    assert (answer.response, answer.target.model.name, answer.attempts) == (b"2", "large", 2)
    assert answer.decision.target.model.name == "small"
    assert open_decision(KEY, answer.decision_id, now_s=START_S).model == "large"


async def test_a_second_failure_is_the_callers_to_hear() -> None:
    given = scene(small=Code.UNAVAILABLE, large=Code.INTERNAL)
    failed = await given.fail()
    assert given.upstream.models == ["small", "large"]
    assert (failed.code, failed.reason) == (Code.INTERNAL, "UPSTREAM_INTERNAL")


@pytest.mark.parametrize("code", STATUS_MEANINGS)
async def test_each_failure_has_its_status_for_the_caller(code: Code) -> None:
    given = scene(small=code, large=code)
    failed = await given.fail()
    assert failed.code == STATUS_MEANINGS[code].caller_sees
    assert failed.reason == f"UPSTREAM_{code.name}"
    name = given.upstream.models[-1]
    assert str(failed) == f"model {name}: out of memory"
    assert len(given.upstream.models) == (2 if STATUS_MEANINGS[code].retry else 1)


@pytest.mark.parametrize("code", STATUS_MEANINGS)
async def test_a_failure_that_speaks_against_its_endpoint_ejects_it(code: Code) -> None:
    given = scene(small=code)
    with suppress(UpstreamFailed):
        await given.infer()
    expected = STATUS_MEANINGS[code].blame is not Blame.CALLER  # for large has answered
    assert given.router.health.is_ejected(SMALL) is expected


@pytest.mark.parametrize("code", STATUS_MEANINGS)
async def test_what_is_refused_everywhere_ejects_only_whom_it_speaks_against(code: Code) -> None:
    given = scene(small=code, large=code, third=code)
    await given.fail()
    # An eighth of a second is no silence yet.
    assert given.router.health.is_ejected(SMALL) is (STATUS_MEANINGS[code].blame is Blame.ENDPOINT)


async def test_a_retry_passes_over_a_model_that_is_ejected() -> None:
    given = scene(small=Code.UNAVAILABLE)
    given.router.health.failed((1, "large:8001"), sent_s=START_S, now_s=START_S)
    answer = await given.infer()
    assert given.upstream.models == ["small", "third"]
    assert answer.response == b"3"


async def test_an_endpoints_words_are_cut() -> None:
    given = scene(small=Code.INVALID_ARGUMENT)
    given.upstream.message = "x" * 10_000
    assert str(await given.fail()) == f"model small: {'x' * DETAIL_CHARS_MAX}"


async def test_a_success_is_counted_once_with_its_tokens_time_and_cost() -> None:
    given = scene()
    await given.infer(input_tokens=7)
    counts = given.counts("small")
    assert counts == Counts(
        decided=1,
        ended=1,
        completed=1,
        attempts=1,
        answered=1,
        input_tokens=7,
        busy_s=0.125,
        cost_nano_usd=126_000,
        latency_counts=counts.latency_counts,
    )
    assert counts.latency_counts[latency_bucket(0.125)] == sum(counts.latency_counts) == 1


async def test_a_retry_is_counted_for_the_model_that_ran_it_and_the_request_for_the_first() -> None:
    given = scene(small=Code.UNAVAILABLE)
    given.upstream.took_s = 0.25
    answer = await given.infer(input_tokens=7)
    first, second = given.counts("small"), given.counts("large", first="small")
    assert (first.decided, first.ended, first.completed, first.failed) == (1, 1, 1, 0)
    assert (first.attempts, first.answered) == (1, 0)
    assert (second.decided, second.ended, second.completed, second.failed) == (0, 0, 0, 0)
    assert (second.attempts, second.answered) == (1, 1)
    assert (first.input_tokens, second.input_tokens) == (0, 7)
    # What was not answered costs the time it held the model, and no request.
    assert (first.cost_nano_usd, second.cost_nano_usd) == (250_000, 1_002_000)
    assert answer.cost_nano_usd == 1_252_000
    assert first.latency_counts[latency_bucket(0.5)] == 1
    assert sum(second.latency_counts) == 0


async def test_a_request_that_is_its_callers_fault_says_nothing_of_the_model() -> None:
    given = scene(small=Code.INVALID_ARGUMENT)
    await given.fail()
    counts = given.counts("small")
    assert (counts.decided, counts.ended, counts.attempts, counts.answered) == (1, 1, 1, 0)
    assert (counts.completed, counts.failed, counts.slo_missed) == (0, 0, 0)


async def test_a_failed_request_is_counted_as_failed_and_missed() -> None:
    given = scene(small=Code.INTERNAL, large=Code.INTERNAL)
    await given.fail()
    counts = given.counts("small")
    assert (counts.completed, counts.failed, counts.slo_missed, counts.attempts) == (1, 1, 1, 1)
    assert sum(counts.latency_counts) == 1


@pytest.mark.parametrize(("took_s", "missed"), [(0.5, 0), (0.51, 1)])
async def test_an_answer_later_than_the_slo_is_counted_as_missed(
    took_s: float, missed: int
) -> None:
    given = scene()
    given.upstream.took_s = took_s
    await given.infer()
    assert given.counts("small").slo_missed == missed


async def test_the_time_of_all_attempts_counts_for_the_slo() -> None:
    given = scene(small=Code.UNAVAILABLE)
    given.upstream.took_s = 0.3
    await given.infer()
    assert given.counts("small").slo_missed == 1


async def test_every_endpoint_that_was_asked_counts_it() -> None:
    given = scene(small=Code.UNAVAILABLE)
    await given.infer()
    loads = given.router.endpoints.loads
    assert (loads[SMALL].attempts, loads[LARGE].attempts) == (1, 1)


async def test_nothing_is_in_flight_after_an_answer_or_a_failure() -> None:
    given = scene(small=Code.UNAVAILABLE)
    during: list[list[int]] = []
    given.upstream.on_ask = lambda: during.append(given.in_flight())
    await given.infer()
    assert during == [[1, 0, 0], [0, 1, 0]]
    assert given.in_flight() == [0, 0, 0]


async def test_nothing_keeps_a_request_once_its_failure_was_told() -> None:
    given, request = scene(small=Code.UNAVAILABLE, large=Code.UNAVAILABLE), bytes(100)
    gc.disable()
    try:
        before = sys.getrefcount(request)
        with suppress(UpstreamFailed):
            query = Query(payload_kind=PayloadKind.TENSORS)
            await given.dispatcher.infer(query, request, timeout_s=10)
        given.upstream.asked.clear()
        assert sys.getrefcount(request) == before
    finally:
        gc.enable()


async def test_a_cancelled_call_is_cancelled_upstream_and_counted_as_an_attempt() -> None:
    given = scene()
    given.upstream.hold = asyncio.Event()
    call = asyncio.create_task(given.infer())
    await given.upstream.reached.wait()
    assert given.in_flight() == [1, 0, 0]
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert given.in_flight() == [0, 0, 0]
    counts = given.counts("small")
    assert (counts.decided, counts.ended, counts.attempts, counts.completed) == (1, 1, 1, 0)
    assert not given.router.health.is_ejected(SMALL)


async def test_a_caller_that_gives_up_only_after_the_slo_was_made_to_wait_too_long() -> None:
    given = scene()
    given.upstream.hold = asyncio.Event()
    call = asyncio.create_task(given.infer())
    await given.upstream.reached.wait()
    given.upstream.now_s += 0.51
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    counts = given.counts("small")
    assert (counts.completed, counts.failed, counts.slo_missed) == (1, 0, 1)


async def test_a_bug_below_passes_through_and_leaves_nothing_in_flight() -> None:
    given = scene()

    def break_down() -> None:
        raise ZeroDivisionError

    given.upstream.on_ask = break_down
    with pytest.raises(ZeroDivisionError):
        await given.infer()
    assert given.in_flight() == [0, 0, 0]


@pytest.mark.parametrize("timeout_s", [-1.0, 0.0, MARGIN_S])
async def test_a_deadline_that_leaves_no_time_is_refused_and_changes_nothing(
    timeout_s: float,
) -> None:
    given = scene()
    with pytest.raises(DeadlinePast):
        await given.infer(timeout_s=timeout_s)
    assert given.upstream.asked == []
    assert given.counters.take_touched() == []


async def test_a_class_whose_deadline_leaves_no_time_is_told_so() -> None:
    given = scene()
    hasty = ClassConfig(name="chat", default=True, deadline_s=MARGIN_S)
    given.router.configure(config(*MODELS, classes=(hasty,)))
    with pytest.raises(DeadlinePast):
        await given.infer(timeout_s=None)
    assert given.upstream.asked == []


async def test_there_is_no_retry_once_the_time_is_over() -> None:
    given = scene(small=Code.UNAVAILABLE)
    given.upstream.took_s = 9.999
    failed = await given.fail(timeout_s=10)
    assert given.upstream.models == ["small"]
    assert failed.reason == "UPSTREAM_UNAVAILABLE"


async def test_a_request_without_a_candidate_asks_nobody() -> None:
    given = scene()
    with pytest.raises(NoCandidate):
        await given.infer(capabilities=("magic",))
    assert given.upstream.asked == []
    assert given.counters.take_touched() == []


@pytest.mark.parametrize(("chance", "probability"), [(0.4, 0.5), (0.6, 0.0)])
async def test_the_audit_sample_is_drawn_by_chance(chance: float, probability: float) -> None:
    answer = await scene(chance).infer()
    assert answer.decision.audit_probability == probability
    opened = open_decision(KEY, answer.decision_id, now_s=START_S)
    assert opened.audit_probability == probability


async def test_a_call_that_is_out_ends_well_when_its_model_is_drained() -> None:
    given = scene()
    given.upstream.hold = asyncio.Event()
    call = asyncio.create_task(given.infer())
    await given.upstream.reached.wait()
    given.router.configure(
        config(model("small", enabled=False, endpoints=("else:1",)), *MODELS[1:], classes=CLASSES)
    )
    given.upstream.hold.set()
    assert (await call).response == b"1"
    assert given.in_flight() == [0, 0, 0]
    assert (await given.infer()).response == b"2"


def limited(*limits: float | None, **classes: Any) -> Scene:
    """Like `scene`, with so many at one time at each model; answers wait."""
    given = scene()
    models = [
        one.model_copy(update={"capacity": CapacityConfig(concurrent=limit)})
        for one, limit in zip(MODELS, limits, strict=True)
    ]
    given.router.configure(config(*models, classes=CLASSES, health=HEALTH, **classes))
    given.upstream.hold = asyncio.Event()
    return given


async def out(given: Scene, count: int, **query: Any) -> list[asyncio.Task[Answer]]:
    """So many that are on their way to models."""
    tasks = [asyncio.create_task(given.infer(**query)) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def answers(given: Scene, tasks: list[asyncio.Task[Answer]]) -> list[str]:
    assert given.upstream.hold is not None
    given.upstream.hold.set()
    return [(await task).target.model.name for task in tasks]


async def test_a_model_that_has_all_it_may_have_is_not_asked_for_the_moment() -> None:
    given = limited(2, None, None)
    tasks = await out(given, 3)
    assert given.upstream.models == ["small", "small", "large"]
    await answers(given, tasks)
    answer = await given.infer()
    assert answer.target.model.name == "small"


async def test_where_every_model_is_full_a_request_is_refused_and_counted_as_asked_for() -> None:
    given = limited(2, 1, 1)
    tasks = await out(given, 4)
    with pytest.raises(Shed) as refused:
        await given.infer()
    assert refused.value.metadata["binds"] == "capacity of small, large and third"
    assert "is refused for the moment" in str(refused.value)
    assert given.counters.get(Leg(CELL, NO_MODEL, NO_MODEL)).shed == 1
    await answers(given, tasks)
    assert (await given.infer()).target.model.name == "small"


async def test_a_full_model_does_not_have_an_ejected_one_asked() -> None:
    given = limited(1, 1, 1)
    for index, name in ((1, "large"), (2, "third")):
        given.router.health.failed((index, f"{name}:8001"), sent_s=START_S, now_s=START_S)
    tasks = await out(given, 1)
    with pytest.raises(Shed) as refused:
        await given.infer()
    assert refused.value.metadata["binds"] == "capacity of small"
    await answers(given, tasks)


async def test_a_retry_goes_to_no_model_that_is_full() -> None:
    given = limited(None, 1, None)
    given.router.publish(WeightTable("p1", {CELL: ((1, 1.0, 1_000),)}))
    tasks = await out(given, 1)
    given.router.publish(WeightTable("p2", {CELL: ((0, 1.0, 1_000),)}))
    given.upstream.behaviours["small"] = Code.UNAVAILABLE
    retried = await out(given, 1)
    assert await answers(given, tasks + retried) == ["large", "third"]


async def test_a_route_asks_no_model_so_a_full_one_is_named() -> None:
    given = limited(1, 1, 1)
    tasks = await out(given, 3)
    query = Query(payload_kind=PayloadKind.TENSORS)
    decision = given.router.decide(query, now_s=START_S, chance=0.9)
    assert decision.target.model.name == "small"
    await answers(given, tasks)


async def test_a_call_that_is_cancelled_gives_its_place_back() -> None:
    given = limited(1, 1, 1)
    (task,) = await out(given, 1)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert given.router.slices.full == 0


async def test_what_is_refused_for_the_moment_is_part_of_what_the_plan_sheds() -> None:
    given = limited(1, 1, 1)
    given.router.publish(
        WeightTable("p1", {CELL: ((0, 1.0, 1_000),)}, {}, {CELL: (0.5, "capacity of small")})
    )
    tasks, refused = list[asyncio.Task[Answer]](), 0
    for _ in range(100):
        tasks += await out(given, 1)
    done = [task for task in tasks if task.done()]
    refused = sum(isinstance(task.exception(), Shed) for task in done)
    assert (refused, given.upstream.models) == (99, ["small"])
    assert given.counters.get(Leg(CELL, NO_MODEL, NO_MODEL)).shed == 99
    await answers(given, [task for task in tasks if task not in done])


async def test_the_last_of_a_slice_are_for_cells_that_the_plan_does_not_shed() -> None:
    given = limited(4, 4, 4)
    high = CELL._replace(domain="other", size_bucket="s1")
    given.router.publish(
        WeightTable(
            "p1",
            {CELL: ((0, 1.0, 1_000),), high: ((0, 1.0, 1_000),)},
            {},
            {CELL: (0.01, "capacity of small")},
        )
    )
    tasks = await out(given, 20)
    assert given.upstream.models == ["small"] * (4 - kept_back(4))
    tasks += await out(given, 20, input_tokens=5_000)
    assert len(given.upstream.models) == 3 * 4
    assert all(isinstance(task.exception(), Shed) for task in tasks if task.done())
    await answers(given, [task for task in tasks if not task.done()])


async def test_nothing_is_kept_back_at_a_model_that_only_cells_use_that_the_plan_sheds() -> None:
    given = limited(4, 4, 4)
    high = CELL._replace(domain="other", size_bucket="s1")
    cells: dict[CellKey, ModelShares] = {CELL: ((0, 1.0, 1_000),), high: ((1, 1.0, 1_000),)}
    given.router.publish(WeightTable("p1", cells, {}, {CELL: (0.01, "capacity of small")}))
    tasks = await out(given, 20)
    assert given.upstream.models == ["small"] * 4
    await answers(given, [task for task in tasks if not task.done()])


async def test_what_the_plan_sheds_of_is_refused_where_its_row_is_full_and_asks_no_other() -> None:
    given = limited(2, 2, None)
    shares = ((0, 0.5, 1_000), (1, 0.5, 1_000))
    given.router.publish(WeightTable("p1", {CELL: shares}, {}, {CELL: (0.01, "capacity of both")}))
    tasks = await out(given, 20)
    assert Counter(given.upstream.models) == {"small": 2, "large": 2}
    refusals = [str(task.exception()) for task in tasks if task.done()]
    assert len(refusals) == 16
    assert all("capacity of small and large is used up" in refusal for refusal in refusals)
    await answers(given, [task for task in tasks if not task.done()])


async def test_what_the_plan_sheds_of_asks_others_where_nothing_of_its_row_is_up() -> None:
    given = limited(1, 1, None)
    given.router.publish(
        WeightTable("p1", {CELL: ((0, 1.0, 1_000),)}, {}, {CELL: (0.01, "capacity of small")})
    )
    while not given.router.health.down:
        given.router.health.failed((0, "small:8001"), sent_s=START_S, now_s=START_S)
    tasks = await out(given, 1)
    assert given.upstream.models == ["large"]
    await answers(given, tasks)
