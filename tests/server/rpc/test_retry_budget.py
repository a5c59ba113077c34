"""Our own client before a real server that sheds: what is refused adds little to the load."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from server.routing.catalog import PayloadKind
from server.routing.selector import WeightTable
from tests.contract.serving import TRANSPORTS
from tests.server.rpc.service import Service, running, shares_of
from turnout import AsyncClient, Decision, RetryPolicy, Unavailable

CALLS, BUDGET = 20, 3
HALF = (0.5, "capacity of small")
CHAT_SHED = {("chat", kind.value): (1.0, "capacity of small") for kind in PayloadKind}


@pytest.fixture(params=TRANSPORTS)
async def service(request: pytest.FixtureRequest) -> AsyncIterator[Service]:
    async with running(transport=request.param) as made:
        yield made


async def test_what_a_server_sheds_is_asked_again_within_the_budget(
    service: Service,
) -> None:
    service.router.publish(WeightTable("p2", kinds_shed=CHAT_SHED))
    retry = RetryPolicy(attempts_max=2, refused_max=BUDGET, backoff_first_s=0.001)
    async with AsyncClient(service.address, timeout_s=20, retry=retry) as client:
        results = await asyncio.gather(
            *(client.route(traffic_class="chat") for _ in range(CALLS)), return_exceptions=True
        )
    assert service.refusals() == {"SHED": CALLS + BUDGET}
    for result in results:
        assert isinstance(result, Unavailable)
        assert result.reason == "SHED"
        assert "capacity of small" in str(result)
        assert 1.0 <= (result.retry_after_s or 0) <= 3.0


async def test_a_call_that_was_refused_is_answered_where_the_plan_serves_the_next(
    service: Service,
) -> None:
    service.router.publish(
        WeightTable("p2", {}, {"chat": shares_of(1.0)}, kinds_shed={("chat", "any"): HALF})
    )
    async with AsyncClient(service.address, timeout_s=20) as client:
        first, second = await asyncio.gather(*(client.route(traffic_class="chat") for _ in "ab"))
    assert isinstance(first, Decision)
    assert isinstance(second, Decision)
    assert service.refusals()["SHED"] == 2
