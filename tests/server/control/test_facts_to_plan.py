"""From a request to the problem of a window: what the plan is told is what happened."""

import pytest

from server.config.classes import ClassConfig, SloConfig
from server.config.models import CapacityConfig, HealthConfig, PriceConfig
from server.status_code import Code
from tests.server.control.told import NOW_S
from tests.server.control.world import Behaviour, World
from tests.server.routing.configs import config, model

# An answer of cheap costs 109,000 nano-dollars for 109 tokens, one of dear a million.
CHEAP = model(
    "cheap",
    price=PriceConfig(input_usd_per_mtok=1.0),
    prior_accuracy=0.8,
    prior_grades=1_000_000,
    capacity=CapacityConfig(requests_per_s=10, concurrent=10),
)
DEAR = model(
    "dear",
    price=PriceConfig(request_usd=0.001),
    prior_accuracy=0.95,
    prior_grades=1_000_000,
    capacity=CapacityConfig(requests_per_s=10, concurrent=10),
)
CHAT = ClassConfig(name="chat", default=True, slo=SloConfig(ms=500, fraction=0.9))
ONLY_CHEAP, ONLY_DEAR = ((0, 1.0, 0),), ((1, 1.0, 0),)


def answers(took_s: float) -> Behaviour:
    return lambda _: (took_s, None)


def refuses_nine_of_ten(attempt: int) -> tuple[float, Code | None]:
    # Busy is not ill, so the model stays in.
    return 0.3, None if attempt % 10 == 0 else Code.RESOURCE_EXHAUSTED


def world(cheap: Behaviour, dear: Behaviour, chat: ClassConfig = CHAT) -> World:
    return World(config(CHEAP, DEAR, classes=(chat,)), {"cheap": cheap, "dear": dear}, NOW_S)


async def refusing() -> World:
    """Two thousand requests that began with a model that refuses 90 %, and a few that did not."""
    found = world(refuses_nine_of_ten, answers(0.3))
    found.send_to(ONLY_DEAR)
    await found.infer(100, input_tokens=109)
    found.send_to(ONLY_CHEAP)
    found.window()
    return found


async def test_a_model_that_refuses_costs_what_its_requests_cost_wherever_they_were_answered() -> (
    None
):
    found = await refusing()
    cost = await found.infer(2_000, input_tokens=109)
    assert cost / 2_000 == 910_900
    told = found.window().problem.cost_nano_usd[0]
    assert told == pytest.approx([910_900, 1_000_000], rel=0.01)


async def test_a_model_that_refuses_has_the_misses_of_its_whole_chain() -> None:
    found = await refusing()
    await found.infer(2_000, input_tokens=109)
    # Two attempts of 0.3 s each are later than 0.5 s.
    assert found.window().problem.miss[0] == pytest.approx([0.9, 0.0], abs=0.01)


async def test_a_model_that_refuses_is_as_accurate_as_those_who_answer_for_it() -> None:
    found = await refusing()
    await found.infer(2_000, input_tokens=109)
    told = found.window().problem.accuracy[0]
    assert told == pytest.approx([0.1 * 0.8 + 0.9 * 0.95, 0.95], abs=0.002)


async def test_a_model_that_refuses_uses_up_those_who_answer_for_it() -> None:
    found = await refusing()
    await found.infer(2_000, input_tokens=109)
    use = {one.name: one.use[0].tolist() for one in found.window().problem.resources}
    assert use["cheap"] == pytest.approx([1.0, 0.0], abs=0.01)
    assert use["dear"] == pytest.approx([0.9, 1.0], abs=0.01)
    assert use["cheap (concurrent)"] == pytest.approx([0.3, 0.0], abs=0.01)
    assert use["dear (concurrent)"] == pytest.approx([0.27, 0.3], abs=0.01)


async def test_a_model_that_refuses_in_one_class_is_suspected_in_another() -> None:
    found = await refusing()
    await found.infer(2_000, input_tokens=109)
    found.knowledge.configure(config(CHEAP, DEAR, classes=(CHAT, ClassConfig(name="code"))))
    found.window()
    chains = found.corridor.estimates.chains.of(["code"], ["cheap", "dear"], found.now_s)
    assert chains["code"].reach.toarray()[0] == pytest.approx([1.0, 0.9], abs=0.01)


async def test_requests_that_were_their_callers_fault_cost_what_they_cost() -> None:
    def garbage_every_second(attempt: int) -> tuple[float, Code | None]:
        return 0.1, None if attempt % 2 else Code.INVALID_ARGUMENT

    found = world(answers(0.1), garbage_every_second)
    found.send_to(ONLY_DEAR)
    cost = await found.infer(2_000)
    problem = found.window().problem
    assert problem.cost_nano_usd[0, 1] == pytest.approx(cost / 2_000, rel=0.01)
    assert problem.miss[0, 1] == pytest.approx(0.0, abs=0.001)


@pytest.mark.parametrize("part", [0.05, 0.2])
@pytest.mark.parametrize(
    ("took_s", "code"),
    [(0.9, None), (0.1, Code.INTERNAL), (0.9, Code.DEADLINE_EXCEEDED)],
    ids=["late", "failed", "late and failed"],
)
async def test_each_miss_is_told_once(part: float, took_s: float, code: Code | None) -> None:
    def now_and_then(attempt: int) -> tuple[float, Code | None]:
        return (took_s, code) if attempt % round(1 / part) == 0 else (0.1, None)

    found = World(
        config(DEAR, classes=(CHAT,), health=HealthConfig(consecutive_failures_max=100)),
        {"dear": now_and_then},
        NOW_S,
    )
    found.send_to(ONLY_CHEAP)
    await found.infer(2_000)
    assert found.window().problem.miss[0, 0] == pytest.approx(part, abs=0.002)


async def test_a_new_model_is_taken_at_its_word() -> None:
    found = world(answers(0.1), answers(0.1))
    found.send_to(ONLY_DEAR)
    await found.infer(10)
    problem = found.window().problem
    assert problem.miss[0, 0] == 0
    assert problem.accuracy[0, 0] == pytest.approx(0.8, abs=0.001)


async def test_another_slo_is_not_held_against_what_was_late_before() -> None:
    found = world(answers(0.6), answers(0.1))
    found.send_to(ONLY_CHEAP)
    await found.infer(1_000)
    assert found.window().problem.miss[0, 0] > 0.97
    looser = CHAT.model_copy(update={"slo": SloConfig(ms=2_000, fraction=0.9)})
    found.knowledge.configure(config(CHEAP, DEAR, classes=(looser,)))
    assert found.window().problem.miss[0, 0] < 0.01
