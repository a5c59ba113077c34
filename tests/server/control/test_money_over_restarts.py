"""Money is counted once, however pushes, workers and the control plane come and go."""

import json
from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from server.app.stats import Pushes
from server.control.boot import WORKER_SILENT_S
from server.control.cell_messages import cell_stats
from server.control.counters import Workers
from server.routing.counters import Counters
from tests.server.control.told import CHAT, CODE
from turnout.v1.control_pb2 import PushStatsRequest

CELLS = (CODE, CODE._replace(domain="law"), CODE._replace(size_bucket="s1"), CHAT)
PUSHED_AT_ONCE = 2
WORKERS = 2


@dataclass(slots=True)
class Life:
    """One start of a worker."""

    worker: str
    name: str
    pushes: Pushes
    counters: Counters = field(default_factory=Counters)
    spent: int = 0

    def follow(self, epoch: int) -> None:
        if self.pushes.follow(epoch):
            self.counters.touch_all()

    def spend(self, cell: int, nano_usd: int) -> None:
        self.counters.of(CELLS[cell], "small", "small").cost_nano_usd += nano_usd
        self.spent += nano_usd

    def push(self, *, is_answered: bool) -> PushStatsRequest:
        legs = self.counters.take_touched(PUSHED_AT_ONCE)
        if not is_answered:
            self.counters.touch_again(legs)
        return PushStatsRequest(
            worker=self.worker,
            cells=[cell_stats(leg, self.counters.get(leg)) for leg in legs],
            **self.pushes.next(more=len(legs) == PUSHED_AT_ONCE),
        )


class Story:
    """Workers, and accounts that are kept now and then and taken up again as they were kept."""

    def __init__(self) -> None:
        self.epoch, self.now_s = 1, 0.0
        self.accounts, self.money = Workers(epoch=1), 0
        self.merged_of: Counter[str] = Counter()  # money by boot
        self.on_the_way: list[PushStatsRequest] = []
        self.lives = [self._begin(worker, 0) for worker in range(WORKERS)]
        self.keep()

    def deliver(self, push: PushStatsRequest) -> None:
        for increment in self.accounts.merge(push, now_s=self.now_s):
            if increment.new:
                self.money += increment.counts.cost_nano_usd
                self.merged_of[push.boot] += increment.counts.cost_nano_usd

    def push(self, worker: int, fate: str) -> None:
        push = self.lives[worker].push(is_answered=fate == "answered")
        if fate == "late":
            self.on_the_way.append(push)
        elif fate != "lost":
            self.deliver(push)

    def late(self) -> None:
        if self.on_the_way:
            self.deliver(self.on_the_way.pop(0))

    def wait(self) -> None:
        """Nobody hears of anybody for longer than what is told then would be of now."""
        self.now_s += 2 * WORKER_SILENT_S

    def kill(self, worker: int) -> None:
        life = self.lives[worker]
        # Whatever is still on the way then is lost, or it is merged before the next start's.
        for push in [push for push in self.on_the_way if push.boot == life.name]:
            self.on_the_way.remove(push)
            self.deliver(push)
        self.lives[worker] = self._begin(worker, int(life.name.split("-")[1]) + 1)

    def keep(self) -> None:
        self.kept = (
            json.dumps(self.accounts.to_plain(), default=list),
            self.money,
            Counter(self.merged_of),
        )

    def crash(self) -> None:
        self.epoch += 1
        plain, self.money, merged_of = self.kept
        self.merged_of = Counter(merged_of)
        self.accounts = Workers.from_plain(json.loads(plain), epoch=self.epoch, now_s=self.now_s)

    def tell_all(self) -> None:
        for life in self.lives:
            life.follow(self.epoch)
            more = True
            while more:
                push = life.push(is_answered=True)
                self.deliver(push)
                more = push.more

    def _begin(self, worker: int, start: int) -> Life:
        name = f"w{worker}-{start}"
        life = Life(f"w{worker}", name, Pushes(name))
        life.follow(self.epoch)
        return life


workers = st.integers(0, WORKERS - 1)
spends = st.tuples(st.just("spend"), workers, st.integers(0, 3), st.integers(1, 10**12))
fates = st.sampled_from(["answered", "answered", "unanswered", "lost", "late"])
pushes = st.tuples(st.just("push"), workers, fates)
events = st.one_of(
    st.sampled_from([("late",), ("keep",), ("crash",), ("wait",)]),
    st.tuples(st.sampled_from(["follow", "follow", "kill"]), workers),
)
# Mostly workers go on, and now and then something happens to them.
steps = st.lists(st.one_of(spends, pushes, spends, pushes, events), min_size=10, max_size=60)


@given(steps)
def test_money_is_what_attempts_cost_to_the_nano_dollar(taken: list[tuple[object, ...]]) -> None:
    story = Story()
    for step, *arguments in taken:
        match step, arguments:
            case "spend", [int(worker), int(cell), int(nano_usd)]:
                story.lives[worker].spend(cell, nano_usd)
            case "push", [int(worker), str(fate)]:
                story.push(worker, fate)
            case "follow", [int(worker)]:
                story.lives[worker].follow(story.epoch)
            case "kill", [int(worker)]:
                story.kill(worker)
            case "late" | "keep" | "crash" | "wait", []:
                getattr(story, str(step))()
    for last in (story.keep, story.crash, story.tell_all):
        last()
    living = {life.name: life.spent for life in story.lives}
    assert {name: story.merged_of[name] for name in living} == living
    assert story.money == story.merged_of.total()
