"""An Infer seen through: who is asked, and what the caller hears."""

import asyncio
import gc
import sys
from contextlib import suppress

import pytest

from server.config.classes import ClassConfig
from server.dispatch.exchange import TENSORS, Asked
from server.dispatch.failures import DETAIL_CHARS_MAX
from server.routing.catalog import PayloadKind
from server.routing.decision_id import Kind, open_decision
from server.routing.errors import DeadlinePast, NoCandidate, UpstreamFailed
from server.routing.journey import MARGIN_S
from server.routing.query import Query
from server.routing.status_meaning import STATUS_MEANINGS, Blame
from server.status_code import Code
from tests.server.dispatch.scene import CELL, CLASSES, KEY, MODELS, SMALL, START_S, scene
from tests.server.routing.configs import config, model


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
    given.router.health.record_failure((1, "large:8001"), sent_s=START_S, now_s=START_S)
    answer = await given.infer()
    assert given.upstream.models == ["small", "third"]
    assert answer.response == b"3"


async def test_an_endpoints_words_are_cut() -> None:
    given = scene(small=Code.INVALID_ARGUMENT)
    given.upstream.message = "x" * 10_000
    assert str(await given.fail()) == f"model small: {'x' * DETAIL_CHARS_MAX}"


async def test_nothing_keeps_a_request_once_its_failure_was_told() -> None:
    given, request = scene(small=Code.UNAVAILABLE, large=Code.UNAVAILABLE), bytes(100)
    gc.disable()
    try:
        before = sys.getrefcount(request)
        with suppress(UpstreamFailed):
            query = Query(payload_kind=PayloadKind.TENSORS)
            await given.dispatcher.infer(query, Asked(request, TENSORS), timeout_s=10)
        given.upstream.asked.clear()
        assert sys.getrefcount(request) == before
    finally:
        gc.enable()


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
