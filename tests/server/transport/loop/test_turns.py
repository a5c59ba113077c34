"""Turns of the loop, fair over addresses and their connections."""

import asyncio

from server.transport.loop.turns import AT_ONCE_S, TURN_S, Flow, Stretches, Turns


class Clock:
    """Stands still unless work takes its time."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class World:
    """Connections that always want more, each of whose turns takes `TURN_S`."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.turns = Turns(self.clock)
        self.order: list[str] = []

    def ask(self, flow: Flow, name: str, *, times: int = 1) -> None:
        def work() -> None:
            self.clock.now_s += TURN_S
            self.order.append(name)
            if self.order.count(name) < times:
                self.turns.ask(flow, work)

        self.turns.ask(flow, work)

    async def run(self, turns: int) -> list[str]:
        for _ in range(turns):
            await asyncio.sleep(0)
        return self.order


async def test_one_turn_is_given_in_each_pass_of_the_loop() -> None:
    world = World()
    world.ask(world.turns.join("a"), "a", times=5)
    assert await world.run(3) == ["a"] * 3


async def test_connections_of_an_address_take_turns() -> None:
    world = World()
    for name in ("a", "b"):
        world.ask(world.turns.join("host"), name, times=3)
    assert await world.run(6) == ["a", "b"] * 3


async def test_who_has_asked_for_little_goes_before_those_who_always_want_more() -> None:
    world = World()
    greedy = [world.turns.join("host") for _ in range(20)]
    modest = world.turns.join("host")
    for i, flow in enumerate(greedy):
        world.ask(flow, f"greedy {i}", times=100)
    await world.run(200)
    world.ask(modest, "modest")
    await world.run(3)
    assert "modest" in world.order[200:203]


async def test_many_connections_of_one_address_get_no_more_than_one_of_another() -> None:
    world = World()
    for i in range(50):
        world.ask(world.turns.join("many"), f"many {i}", times=100)
    world.ask(world.turns.join("one"), "one", times=100)
    order = await world.run(100)
    assert 49 <= order.count("one") <= 51


async def test_what_was_done_at_once_while_another_was_away_is_not_held_against_anyone() -> None:
    world = World()
    honest = world.turns.join("honest")
    for _ in range(1_000):
        world.turns.charge_at_once(honest, TURN_S)
    world.ask(world.turns.join("greedy"), "greedy", times=100)
    await world.run(10)
    world.ask(honest, "honest")
    await world.run(2)
    assert "honest" in world.order[10:12]


async def test_what_was_done_in_a_turn_that_was_waited_for_counts() -> None:
    world = World()
    first, second = world.turns.join("host"), world.turns.join("host")
    world.turns.charge(first, 3 * TURN_S)
    world.ask(first, "first", times=3)
    world.ask(second, "second", times=3)
    assert await world.run(5) == ["second"] * 3 + ["first"] * 2


async def test_work_may_be_done_at_once_until_enough_is_done_in_one_pass_of_the_loop() -> None:
    turns = Turns(Clock())
    flow = turns.join("host")
    assert turns.is_free
    turns.charge_at_once(flow, AT_ONCE_S / 2)
    assert turns.is_free
    turns.charge_at_once(flow, AT_ONCE_S / 2)
    assert not turns.is_free
    await asyncio.sleep(0)
    assert turns.is_free


async def test_nobody_works_at_once_while_somebody_waits() -> None:
    world = World()
    world.ask(world.turns.join("host"), "waiting")
    assert not world.turns.is_free
    await world.run(1)
    assert world.turns.is_free


async def test_a_servicer_waits_for_the_turn_of_its_connection() -> None:
    world = World()
    waits, other = world.turns.join("host"), world.turns.join("host")
    world.ask(other, "other", times=2)

    async def servicer() -> None:
        await world.turns.wait(waits)
        world.order.append("servicer")

    task = asyncio.create_task(servicer())
    await world.run(5)
    await task
    assert world.order == ["other", "servicer", "other"]


async def test_a_servicer_that_leaves_costs_the_others_nothing_but_its_turn() -> None:
    world = World()
    flow = world.turns.join("host")
    task = asyncio.create_task(world.turns.wait(flow))
    await asyncio.sleep(0)
    task.cancel()
    world.ask(flow, "next")
    assert await world.run(3) == ["next"]


async def test_work_that_raises_ends_nobody_elses_turns() -> None:
    world = World()
    raised: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: raised.append(str(context["exception"])))

    def work() -> None:
        raise ValueError("broken")

    world.turns.ask(world.turns.join("host"), work)
    world.ask(world.turns.join("host"), "next")
    assert await world.run(3) == ["next"]
    assert raised == ["broken"]


async def test_an_address_is_forgotten_with_its_last_connection() -> None:
    turns = Turns(Clock())
    flows = [turns.join("host"), turns.join("host")]
    turns.leave(flows[0])
    assert turns.addresses == 1
    turns.leave(flows[1])
    assert turns.addresses == 0


async def test_a_stretch_counts_until_what_awaited_it_waits_for_something_else() -> None:
    world = World()
    flow = world.turns.join("host")
    stretches = Stretches(world.turns, flow)
    await stretches.wait()
    world.clock.now_s += 2.0
    await asyncio.sleep(0)
    world.clock.now_s += 5.0  # waits for a model, say
    stretches.end()
    assert flow.mark_s == flow.address.mark_s == 2.0


async def test_each_stretch_is_counted_when_the_next_is_asked_for() -> None:
    world = World()
    flow = world.turns.join("host")
    stretches = Stretches(world.turns, flow)
    for _ in range(3):
        await stretches.wait()
        world.clock.now_s += 1.0
    stretches.end()
    assert flow.mark_s == 3.0


async def test_what_is_to_be_done_is_done_at_once_while_nobody_waits() -> None:
    world = World()
    flow = world.turns.join("host")
    world.turns.do(flow, lambda: world.order.append("at once"))
    assert world.order == ["at once"]


async def test_what_is_to_be_done_has_its_turn_while_others_wait() -> None:
    world = World()
    world.ask(world.turns.join("a"), "first")
    world.turns.do(world.turns.join("b"), lambda: world.order.append("in turn"))
    assert world.order == []
    assert await world.run(3) == ["first", "in turn"]
