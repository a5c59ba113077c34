import asyncio

from benchmarks.follower import Following, longest_stall_us


class SlowLoop:
    """A loop each of whose turns takes a second by its clock, and one with a plan ten."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.plans = 0
        self._asked = asyncio.Event()
        self._asked.set()  # the first plan comes unasked

    def clock(self) -> float:
        self.now_s += 1
        return self.now_s

    async def ask(self) -> None:
        self._asked.set()

    async def follow(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            self.now_s += 100 if self.plans == 0 else 9
            self.plans += 1


async def test_the_longest_turn_is_the_stall_and_the_first_plan_warms_up() -> None:
    loop = SlowLoop()
    following = Following(loop.follow(), lambda: loop.plans)
    assert await longest_stall_us(following, loop.ask, 3, loop.clock) == 10e6
    assert loop.plans == 4
