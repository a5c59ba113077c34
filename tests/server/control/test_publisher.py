import asyncio
from collections.abc import AsyncIterator

from server.control.protocol import PROTOCOL
from server.control.publisher import Publisher
from turnout.v1.control_pb2 import WatchPlanResponse


def parts(plan_id: str, count: int = 1) -> tuple[WatchPlanResponse, ...]:
    return tuple(WatchPlanResponse(plan_id=plan_id, models=[str(n)]) for n in range(count))


def publish(publisher: Publisher, plan: tuple[WatchPlanResponse, ...], plan_s: float = 1.0) -> None:
    publisher.publish_plan(plan, plan_s=plan_s, window_s=5.0)


async def take(watch: AsyncIterator[WatchPlanResponse], count: int) -> list[WatchPlanResponse]:
    return [await anext(watch) for _ in range(count)]


async def test_a_watcher_first_gets_the_configuration_in_force_and_no_plan() -> None:
    watch = Publisher(7, b"{}").watch()
    (first,) = await take(watch, 1)
    assert first == WatchPlanResponse(protocol=PROTOCOL, epoch=7, number=1, config_json=b"{}")


async def test_the_configuration_travels_once_to_each_watcher() -> None:
    publisher = Publisher(7, b"{}")
    early = publisher.watch()
    await take(early, 1)
    publish(publisher, parts("p1"))
    late = publisher.watch()
    ((of_early,), (of_late,)) = await take(early, 1), await take(late, 1)
    assert (of_early.plan_id, of_early.config_json) == ("p1", b"")
    assert (of_late.plan_id, of_late.config_json) == ("p1", b"{}")


async def test_a_new_configuration_comes_at_once_beside_the_plan_in_force() -> None:
    publisher = Publisher(7, b"old")
    publish(publisher, parts("p1"))
    watch = publisher.watch()
    (before,) = await take(watch, 1)
    publisher.publish_config(b"new")
    (after,) = await take(watch, 1)
    assert (after.plan_id, after.config_json) == ("p1", b"new")
    assert after.number > before.number


async def test_a_snapshot_in_parts_says_where_it_ends() -> None:
    publisher = Publisher(7, b"{}")
    publish(publisher, parts("p1", 3))
    got = await take(publisher.watch(), 3)
    assert [part.more for part in got] == [True, True, False]
    assert [bool(part.config_json) for part in got] == [True, False, False]
    assert len({part.number for part in got}) == 1


async def test_a_slow_watcher_skips_to_the_newest() -> None:
    publisher = Publisher(7, b"{}")
    slow = publisher.watch()
    await take(slow, 1)
    for n in range(1_000):
        publish(publisher, parts(f"p{n}"))
    (newest,) = await take(slow, 1)
    assert newest.plan_id == "p999"


async def test_a_configuration_that_was_skipped_comes_with_the_newest_plan() -> None:
    publisher = Publisher(7, b"old")
    slow = publisher.watch()
    await take(slow, 1)
    publisher.publish_config(b"new")
    publish(publisher, parts("p1"))
    (newest,) = await take(slow, 1)
    assert (newest.plan_id, newest.config_json) == ("p1", b"new")


async def test_every_waiting_watcher_hears_of_a_new_plan() -> None:
    publisher = Publisher(7, b"{}")
    watches = [publisher.watch() for _ in range(3)]
    for watch in watches:
        await take(watch, 1)
    waiting = [asyncio.ensure_future(take(watch, 1)) for watch in watches]
    await asyncio.sleep(0)
    publish(publisher, parts("p1"))
    assert [got.plan_id for (got,) in await asyncio.gather(*waiting)] == ["p1"] * 3


async def test_every_part_says_of_which_window_the_plan_is() -> None:
    publisher = Publisher(7, b"{}")
    publish(publisher, parts("p1", 2), plan_s=100.0)
    got = await take(publisher.watch(), 2)
    assert [(part.plan_s, part.window_s) for part in got] == [(100.0, 5.0)] * 2


async def test_a_plan_that_was_found_again_is_confirmed_without_being_sent() -> None:
    publisher = Publisher(7, b"{}")
    publish(publisher, parts("p1"), plan_s=100.0)
    watch = publisher.watch()
    (plan,) = await take(watch, 1)
    publisher.confirm_plan(plan_s=105.0, window_s=5.0)
    (confirmation,) = await take(watch, 1)
    assert confirmation == WatchPlanResponse(
        protocol=PROTOCOL,
        epoch=7,
        number=plan.number,
        plan_id="p1",
        plan_s=105.0,
        window_s=5.0,
        confirms=True,
    )


async def test_who_begins_to_watch_gets_a_confirmed_plan_whole_with_its_newest_time() -> None:
    publisher = Publisher(7, b"{}")
    publish(publisher, parts("p1"), plan_s=100.0)
    publisher.confirm_plan(plan_s=105.0, window_s=5.0)
    (plan,) = await take(publisher.watch(), 1)
    assert (plan.plan_id, plan.plan_s, plan.confirms) == ("p1", 105.0, False)
    assert plan.models


async def test_a_slow_watcher_gets_one_confirmation_of_many() -> None:
    publisher = Publisher(7, b"{}")
    publish(publisher, parts("p1"))
    slow = publisher.watch()
    await take(slow, 1)
    for n in range(1_000):
        publisher.confirm_plan(plan_s=100.0 + n, window_s=5.0)
    (confirmation,) = await take(slow, 1)
    publish(publisher, parts("p2"))
    (plan,) = await take(slow, 1)
    assert (confirmation.plan_s, plan.plan_id) == (1_099.0, "p2")
