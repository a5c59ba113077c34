"""Endpoints that fail, hang or are slow, from the request to the ejection, on a virtual clock."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

import pytest

from server.config.classes import ClassConfig, SloConfig
from server.config.models import CapacityConfig, HealthConfig, ModelConfig, PriceConfig
from server.dispatch.dispatcher import Answer, Dispatcher
from server.dispatch.exchange import Bytes, EndpointError, Metadata
from server.routing.catalog import Cell, Model, PayloadKind
from server.routing.counters import Counters, Counts, Leg
from server.routing.decision_id import KEY_BYTES, Sealer
from server.routing.errors import UpstreamFailed
from server.routing.query import Query
from server.routing.retry_budget import ANSWERS_PER_FAILURE, BUDGET_MAX
from server.routing.router import Router
from server.routing.selector import Selector, WeightTable
from server.status_code import Code
from tests.server.routing.configs import config, model
from tests.server.virtual_loop import run

CELL = Cell("chat", "-", "other", "s0", PayloadKind.TENSORS)
SLO = SloConfig(ms=1_000, fraction=0.9)
BURST = BUDGET_MAX // 2
ODD = b"odd"  # what small cannot read
Behaviour = Callable[[], Awaitable[bytes]]
Outcome = Answer | UpstreamFailed | asyncio.CancelledError


def answers(after_s: float = 0.1) -> Behaviour:
    async def behave() -> bytes:
        await asyncio.sleep(after_s)
        return b"answer"

    return behave


def raises(code: Code, after_s: float = 0.01) -> Behaviour:
    async def behave() -> bytes:
        await asyncio.sleep(after_s)
        raise EndpointError(code, "no")

    return behave


async def hangs() -> bytes:
    """Nothing ever comes of the call, as where an endpoint answers PINGs alone."""
    await asyncio.Event().wait()
    return b""


def served(name: str, *endpoints: str) -> ModelConfig:
    return model(
        name, endpoints=endpoints, price=PriceConfig(request_usd=1e-6, busy_second_usd=1e-3)
    )


@dataclass(slots=True)
class Fleet:
    """Endpoints by address, and a worker before them whose plan is all the first model's."""

    behaviours: dict[str, Behaviour]
    router: Router
    counters: Counters
    dispatcher: Dispatcher = field(init=False)
    asked: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.dispatcher = Dispatcher(
            self.router, {"oip": self._send}, self.counters, now_s=loop.time, chance=lambda: 0.9
        )

    async def _send(
        self, address: str, model: Model, request: Bytes, timeout_s: float, metadata: Metadata
    ) -> bytes:
        self.asked[address] += 1
        if request == ODD and address.startswith("s"):
            raise EndpointError(Code.INTERNAL, "shape")
        try:
            async with asyncio.timeout(timeout_s):
                return await self.behaviours[address]()
        except TimeoutError:
            raise EndpointError(Code.DEADLINE_EXCEEDED, "too late") from None

    async def infer(
        self, deadline_s: float = 10, traffic_class: str = "chat", request: bytes = b""
    ) -> Outcome:
        query = Query(payload_kind=PayloadKind.TENSORS, traffic_class=traffic_class)
        try:
            return await self.dispatcher.infer(query, request, timeout_s=deadline_s)
        except (UpstreamFailed, asyncio.CancelledError) as error:
            return error

    async def calls(
        self,
        count: int,
        *,
        every_s: float = 1.0,
        deadline_s: float = 10,
        traffic_class: str = "chat",
    ) -> list[Outcome]:
        """So many requests, evenly in time, each from its arrival to its end."""
        tasks = []
        for _ in range(count):
            tasks.append(asyncio.create_task(self.infer(deadline_s, traffic_class)))
            await asyncio.sleep(every_s)
        return await asyncio.gather(*tasks)

    def counts(self, asked: str, first: str = "small") -> Counts:
        return self.counters.get(Leg(CELL, first, asked))

    def ejected(self) -> set[str]:
        self.router.health.refresh(asyncio.get_running_loop().time())
        return {key[1] for key in self.router.endpoints.loads if self.router.health.is_ejected(key)}


def fleet(
    behaviours: dict[str, Behaviour],
    models: Iterable[ModelConfig] = (served("small", "s:1"), served("large", "l:1")),
    slo: SloConfig | None = SLO,
    ejection_s: float = 3_600,
    failures_max: int = 5,
    others: Iterable[str] = (),
) -> Fleet:
    """Of `others`, classes beside chat, none has an SLO."""
    counters = Counters()
    sealer, chance = Sealer(bytes(KEY_BYTES), boot=7), random.Random(7).random
    router = Router(Selector(), sealer, counters, chance=chance)
    health = HealthConfig(
        consecutive_failures_max=failures_max, ejection_s=ejection_s, ejection_s_max=ejection_s
    )
    classes = [
        ClassConfig(name="chat", default=True, slo=slo),
        *[ClassConfig(name=name) for name in others],
    ]
    router.configure(config(*models, classes=classes, health=health))
    all_small = ((0, 1.0, 1_000),)
    router.publish(WeightTable("p1", {CELL: all_small}, dict.fromkeys(others, all_small)))
    return Fleet(behaviours, router, counters)


def answered(outcomes: Iterable[Outcome]) -> list[Answer]:
    return [one for one in outcomes if isinstance(one, Answer)]


@pytest.mark.parametrize("code", [Code.UNKNOWN, Code.INTERNAL, Code.DATA_LOSS])
def test_an_endpoint_that_raises_on_every_call_is_ejected_and_no_caller_hears_of_it(
    code: Code,
) -> None:
    async def scene() -> None:
        given = fleet({"s:1": raises(code), "l:1": answers()})
        assert len(answered(await given.calls(100))) == 100
        assert given.ejected() == {"s:1"}
        assert given.asked["s:1"] == 5

    run(scene())


def test_of_one_model_the_endpoint_that_raises_is_ejected_and_another_answers() -> None:
    async def scene() -> None:
        behaviours = {"s:1": raises(Code.INTERNAL), "s:2": answers(), "s:3": answers()}
        given = fleet(behaviours, [served("small", "s:1", "s:2", "s:3")])
        assert len(answered(await given.calls(100))) == 100
        assert given.ejected() == {"s:1"}

    run(scene())


@pytest.mark.parametrize("slo", [SLO, None])
def test_an_endpoint_that_hangs_is_ejected_and_callers_are_answered_by_another_in_time(
    slo: SloConfig | None,
) -> None:
    async def scene() -> None:
        given = fleet({"s:1": hangs, "l:1": answers()}, slo=slo)
        found = answered(await given.calls(100, deadline_s=10))
        assert len(found) == 100
        assert max(answer.latency_s for answer in found) < 10
        assert given.ejected() == {"s:1"}

    run(scene())


def test_what_waits_at_an_endpoint_that_hangs_goes_elsewhere_once_it_is_ejected() -> None:
    async def scene() -> None:
        given = fleet({"s:1": hangs, "l:1": answers()})
        found = await given.calls(1_000, every_s=0.001)
        assert given.asked["s:1"] > 2 * BURST
        assert len(answered(found)) == 1_000

    run(scene())


def test_of_one_model_callers_are_answered_by_the_endpoints_that_do_not_hang() -> None:
    async def scene() -> None:
        behaviours = {"s:1": hangs, "s:2": answers(), "s:3": answers()}
        given = fleet(behaviours, [served("small", "s:1", "s:2", "s:3")])
        assert len(answered(await given.calls(500, every_s=0.05))) == 500
        assert given.ejected() == {"s:1"}

    run(scene())


def test_whoever_is_given_up_is_asked_elsewhere_even_with_the_last_token() -> None:
    async def scene() -> None:
        models = [served("small", "s:1", "s:2")]
        given = fleet({"s:1": hangs, "s:2": answers()}, models, failures_max=10_000)
        found = await given.calls(300, every_s=0)
        failed = [str(one) for one in found if isinstance(one, UpstreamFailed)]
        assert len(failed) > BURST
        assert set(failed) == {"model small: too late"}  # at the deadline alone

    run(scene())


@pytest.mark.parametrize("early_s", [0.0, 0.002, 0.008])
def test_every_call_that_its_caller_left_at_its_deadline_is_counted_as_failed(
    early_s: float,
) -> None:
    async def scene() -> None:
        given = fleet({"s:1": hangs}, [served("small", "s:1")])
        tasks = [asyncio.create_task(given.infer(2)) for _ in range(2_000)]
        await asyncio.sleep(2 - early_s)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        counts = given.counts("small")
        assert (counts.completed, counts.failed, counts.slo_missed) == (2_000, 2_000, 2_000)
        assert given.ejected() == {"s:1"}

    run(scene())


def test_a_caller_that_leaves_early_says_nothing_of_the_endpoint() -> None:
    async def scene() -> None:
        given = fleet({"s:1": hangs}, [served("small", "s:1")], slo=None)
        for _ in range(20):
            task = asyncio.create_task(given.infer(10))
            await asyncio.sleep(8.5)
            task.cancel()
            await asyncio.wait([task])
        counts = given.counts("small")
        assert (counts.ended, counts.completed, counts.attempts) == (20, 0, 20)
        assert given.ejected() == set()

    run(scene())


def test_deadlines_that_are_short_for_a_model_say_nothing_of_it() -> None:
    async def scene() -> None:
        given = fleet({"s:1": answers(2)}, [served("small", "s:1")], slo=None)
        await given.calls(50)
        await asyncio.sleep(100)
        hasty = await given.calls(50, deadline_s=0.5)
        assert answered(hasty) == []
        assert given.ejected() == set()

    run(scene())


@pytest.mark.parametrize("slo", [SLO, None])
def test_before_a_model_is_known_short_deadlines_say_nothing_of_it(slo: SloConfig | None) -> None:
    async def scene() -> None:
        given = fleet({"s:1": answers(2)}, [served("small", "s:1")], slo=slo)
        await given.calls(20, deadline_s=0.08)
        assert given.ejected() == set()

    run(scene())


def test_a_class_of_short_deadlines_takes_no_endpoint_from_another() -> None:
    async def scene() -> None:
        given = fleet({"s:1": answers(2), "l:1": answers(2)}, slo=None, others=["hasty"])
        patient, hasty = await asyncio.gather(
            given.calls(100, deadline_s=30),
            given.calls(500, every_s=0.2, deadline_s=0.08, traffic_class="hasty"),
        )
        assert {one.target.endpoint for one in answered(patient)} == {"s:1"}
        assert (len(answered(patient)), answered(hasty)) == (100, [])
        assert given.ejected() == set()

    run(scene())


@pytest.mark.parametrize("deadline_s", [0.01, 0.03, 0.05])
def test_a_quick_models_endpoint_that_hangs_is_ejected_however_short_deadlines_are(
    deadline_s: float,
) -> None:
    async def scene() -> None:
        behaviours = {"s:1": answers(0.002), "s:2": answers(0.002)}
        given = fleet(
            behaviours, [served("small", "s:1", "s:2")], slo=SloConfig(ms=20, fraction=0.9)
        )
        await given.calls(200, every_s=0.01, deadline_s=deadline_s)
        behaviours["s:1"] = hangs
        found = await given.calls(1_000, every_s=0.01, deadline_s=deadline_s)
        assert len(answered(found)) >= 980
        assert given.ejected() == {"s:1"}

    run(scene())


def test_a_quick_models_endpoint_that_pauses_is_not_ejected() -> None:
    async def scene() -> None:
        behaviours = {"s:1": answers(0.002)}
        given = fleet(behaviours, [served("small", "s:1")])
        await given.calls(100, every_s=0.01, deadline_s=0.01)
        behaviours["s:1"] = answers(0.04)
        late = await given.calls(40, every_s=0.001, deadline_s=0.01)
        assert answered(late) == []
        assert given.ejected() == set()

    run(scene())


def test_a_model_that_is_slow_for_one_classs_slo_still_answers_a_class_that_is_content() -> None:
    async def scene() -> None:
        given = fleet({"s:1": answers(2), "l:1": answers(0.3)}, others=["batch"], ejection_s=10)
        content, _ = await asyncio.gather(
            given.calls(200, deadline_s=30, traffic_class="batch"), given.calls(1_000, every_s=0.2)
        )
        by = Counter(one.target.endpoint for one in answered(content))
        assert by["s:1"] >= 190
        assert given.ejected() == set()

    run(scene())


@pytest.mark.parametrize("code", [Code.UNKNOWN, Code.INTERNAL, Code.INVALID_ARGUMENT])
def test_a_callers_garbage_that_is_refused_everywhere_convicts_nobody(code: Code) -> None:
    async def scene() -> None:
        given = fleet({"s:1": raises(code), "l:1": raises(code)})
        assert answered(await given.calls(100)) == []
        assert given.ejected() == set()

    run(scene())


def test_what_one_model_cannot_read_and_another_can_takes_no_endpoint_from_others() -> None:
    async def scene() -> None:
        given = fleet({"s:1": answers(), "l:1": answers()})
        for _ in range(50):
            good = await given.infer()
            assert isinstance(good, Answer)
            assert good.target.endpoint == "s:1"
            odd = [await given.infer(request=ODD) for _ in range(7)]
            assert [one.target.endpoint for one in answered(odd)] == ["l:1"] * 7
        assert given.ejected() == set()

    run(scene())


def test_an_endpoint_that_was_well_and_now_raises_at_everything_is_ejected() -> None:
    async def scene() -> None:
        behaviours = {"s:1": answers(), "l:1": answers()}
        given = fleet(behaviours)
        await given.calls(30)
        behaviours["s:1"] = raises(Code.INTERNAL)
        assert len(answered(await given.calls(30))) == 30
        assert given.ejected() == {"s:1"}

    run(scene())


def test_an_attempt_that_was_given_up_is_booked_with_its_time_and_the_failure() -> None:
    async def scene() -> None:
        given = fleet({"s:1": hangs, "l:1": answers(0.1)})
        (answer,) = answered([await given.infer(10)])
        assert (answer.attempts, answer.target.model.name) == (2, "large")
        small, large = given.counts("small"), given.counts("large")
        assert (small.attempts, small.answered) == (1, 0)
        assert small.busy_s == pytest.approx(1.02, abs=0.03)  # the SLO, looked at in time
        assert small.cost_nano_usd == pytest.approx(1e6, rel=0.05)
        assert (small.completed, small.failed, small.slo_missed) == (1, 0, 1)
        assert (large.attempts, large.answered) == (1, 1)
        assert answer.cost_nano_usd == small.cost_nano_usd + large.cost_nano_usd

    run(scene())


def test_slowness_of_everything_does_not_become_a_storm_and_ejects_nobody() -> None:
    async def scene() -> None:
        behaviours = {"s:1": answers(0.1), "l:1": answers(0.1)}
        given = fleet(behaviours)
        await given.calls(100, every_s=0.1)
        given.asked.clear()
        behaviours.update({"s:1": answers(5), "l:1": answers(5)})
        found = await given.calls(2_000, every_s=0.1, deadline_s=30)
        assert len(answered(found)) == 2_000
        assert given.asked.total() <= 2_000 * (1 + 1 / ANSWERS_PER_FAILURE) + BURST
        assert given.asked["l:1"] > BURST / 2  # some were asked again
        assert given.ejected() == set()

    run(scene())


def test_without_a_token_an_attempt_may_take_all_the_time_that_is_left() -> None:
    async def scene() -> None:
        given = fleet({"s:1": raises(Code.UNAVAILABLE), "l:1": answers()}, ejection_s=0.001)
        await given.calls(BURST + 10)
        given.behaviours["s:1"] = answers(8)
        (answer,) = answered([await given.infer(10)])
        assert answer.attempts == 1
        assert answer.latency_s == pytest.approx(8)

    run(scene())


def test_a_model_is_asked_again_elsewhere_only_within_its_budget() -> None:
    async def scene() -> None:
        busy = raises(Code.RESOURCE_EXHAUSTED)
        given = fleet({"s:1": busy, "s:2": busy}, [served("small", "s:1", "s:2")])
        await given.calls(1_000)
        assert given.asked.total() <= 1_000 + BURST

    run(scene())


@pytest.mark.parametrize("code", [Code.RESOURCE_EXHAUSTED, Code.ABORTED])
def test_where_all_models_are_busy_a_request_does_not_become_two(code: Code) -> None:
    async def scene() -> None:
        given = fleet({"s:1": raises(code), "l:1": raises(code)})
        await given.calls(1_000)
        assert given.asked.total() <= 1_000 + BURST

    run(scene())


def test_what_a_busy_model_refuses_goes_to_one_that_is_not() -> None:
    async def scene() -> None:
        given = fleet({"s:1": raises(Code.RESOURCE_EXHAUSTED), "l:1": answers()})
        assert len(answered(await given.calls(1_000))) == 1_000

    run(scene())


def test_where_every_endpoint_was_ejected_one_is_asked_all_the_same() -> None:
    async def scene() -> None:
        behaviours = {"s:1": hangs, "l:1": raises(Code.UNAVAILABLE)}
        given = fleet(behaviours)
        await given.calls(20)
        assert given.ejected() == {"s:1", "l:1"}
        behaviours.update({"s:1": answers(), "l:1": answers()})
        assert len(answered(await given.calls(20))) == 20
        assert given.ejected() == {"l:1"}

    run(scene())


def scarce(name: str, *endpoints: str, concurrent: int = 1) -> ModelConfig:
    """Has so many calls in flight at most."""
    return served(name, *endpoints).model_copy(
        update={"capacity": CapacityConfig(concurrent=concurrent)}
    )


def test_of_many_that_are_late_together_as_many_are_given_up_as_another_can_take() -> None:
    async def scene() -> None:
        models = [served("small", "s:1"), scarce("large", "l:1")]
        given = fleet({"s:1": answers(1.5), "l:1": answers(0.3)}, models)
        found = answered(await given.calls(20, every_s=0))
        assert Counter(one.target.endpoint for one in found) == {"s:1": 19, "l:1": 1}
        assert (given.counts("small").completed, given.counts("small").failed) == (20, 0)

    run(scene())


async def hangs_until_its_caller_leaves_as_it_is_given_up() -> bytes:
    try:
        return await hangs()
    finally:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()


def test_what_was_reserved_for_a_caller_that_leaves_is_free_again() -> None:
    async def scene() -> None:
        models = [served("small", "s:1"), scarce("large", "l:1")]
        behaviours = {"s:1": hangs_until_its_caller_leaves_as_it_is_given_up, "l:1": answers()}
        given = fleet(behaviours, models)
        await asyncio.wait([asyncio.create_task(given.infer(10))])
        assert given.counts("small").busy_s == pytest.approx(1.02, abs=0.03)
        assert (given.asked["l:1"], given.router.slices.full) == (0, 0)
        assert [load.in_flight for load in given.router.endpoints.loads.values()] == [0, 0]

    run(scene())


@pytest.mark.parametrize("behaviour", [raises(Code.UNAVAILABLE, after_s=1.0), hangs])
@pytest.mark.parametrize("changes", [{"endpoints": ()}, {"enabled": False}])
def test_a_model_that_is_drained_or_emptied_while_a_call_is_out_is_not_asked_next(
    behaviour: Behaviour, changes: dict[str, object]
) -> None:
    async def scene() -> None:
        small, large = served("small", "s:1"), served("large", "l:1")
        given = fleet({"s:1": behaviour, "l:1": answers()}, [small, large])
        task = asyncio.create_task(given.infer(10))
        await asyncio.sleep(0.5)
        classes = (ClassConfig(name="chat", default=True, slo=SLO),)
        given.router.configure(config(small, large.model_copy(update=changes), classes=classes))
        assert isinstance(await task, UpstreamFailed)
        assert given.asked == {"s:1": 1}

    run(scene())


def test_whoever_answers_when_its_endpoint_has_left_the_catalog_is_answered() -> None:
    async def scene() -> None:
        given = fleet({"s:1": hangs, "l:1": answers(0.5)})
        task = asyncio.create_task(given.infer(10))
        await asyncio.sleep(1.2)  # large is asked by now
        given.router.configure(config(served("small", "s:1")))
        assert isinstance(await task, Answer)
        assert given.asked == {"s:1": 1, "l:1": 1}

    run(scene())
