"""From what is asked for to who is refused: the real plan, on a real socket, at a real router."""

from collections import Counter
from pathlib import Path

import pytest

from server.control.client import Snapshot
from server.routing.counters import Counters
from server.routing.decision_id import Sealer
from server.routing.errors import Shed
from server.routing.query import Query
from server.routing.router import Router
from server.routing.selector import Selector
from tests.server.control.served import Worker, control_plane, serving
from tests.server.control.told import CHAT, CODE, KEY, LARGE, SMALL, service, stats

# Of the two classes together, in a second.
SMALL_PER_S, LARGE_PER_S = 100.0, 20.0
SCARCE = service(
    window_s=0.2,
    models=(
        SMALL | {"capacity": {"requests_per_s": SMALL_PER_S}},
        LARGE | {"capacity": {"requests_per_s": LARGE_PER_S}},
    ),
    classes=(
        {"name": "code", "priority": 1},
        {"name": "chat", "default": True},
    ),
)


def router_of(snapshot: Snapshot, counters: Counters) -> Router:
    assert snapshot.table is not None
    router = Router(Selector(), Sealer(KEY, boot=1), counters, chance=lambda: 0.5)
    router.configure(SCARCE)
    router.publish(snapshot.table)
    return router


def asked(router: Router, traffic_class: str, count: int) -> tuple[Counter[str], list[Shed]]:
    """Who answers, and the refusals."""
    answers, refusals = Counter[str](), list[Shed]()
    for _ in range(count):
        try:
            decision = router.decide(
                Query(traffic_class=traffic_class, tenant="acme"), now_s=0, chance=0.5
            )
        except Shed as refusal:
            refusals.append(refusal)
        else:
            answers[decision.target.model.name] += 1
    return answers, refusals


async def test_what_does_not_fit_is_refused_from_the_lowest_priority_up(tmp_path: Path) -> None:
    plane = control_plane(tmp_path, SCARCE)
    async with serving(plane, tmp_path) as served:
        worker = Worker(served.channel)
        # So many, in whatever a window is: far more than fits, of both.
        await worker.push(
            stats(CODE, "small", decided=100_000), stats(CHAT, "small", decided=100_000)
        )
        snapshot = await worker.until(lambda seen: seen.table is not None)
        plan = await served.planned(lambda seen: bool(seen.classes))
    promised = {entry.traffic_class: entry.shed for entry in plan.classes}
    router = router_of(snapshot, Counters())
    assert promised["chat"] == 1.0
    assert 0.9 < promised["code"] < 1
    answers, refusals = asked(router, "code", 100_000)
    assert len(refusals) == pytest.approx(100_000 * promised["code"], abs=1)
    total = answers.total()
    assert answers["small"] / total == pytest.approx(SMALL_PER_S / 120, abs=0.02)
    assert refusals[0].metadata["binds"] == "capacity of small and large"
    answers, refusals = asked(router, "chat", 100)
    assert (answers.total(), len(refusals)) == (0, 100)
