"""Endpoints that are ejected are asked whether they can answer again."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from server.config.models import HealthConfig
from server.routing.catalog import Model
from server.routing.counters import Counters
from server.routing.decision_id import KEY_BYTES, Sealer
from server.routing.router import Router
from server.routing.selector import Selector
from server.upstream.probes import PROBE_EVERY_S, PROBE_S_MAX, PROBES_MAX, Prober
from tests.server.routing.configs import config, model
from tests.server.virtual_loop import run

EJECTION_S = 1_000.0


@dataclass(slots=True)
class Fleet:
    """Endpoints of one model, of which some say that they are ready."""

    router: Router
    ready: set[str] = field(default_factory=set)
    silent: bool = False  # none of them answers at all
    asked: list[str] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def is_ready(self, address: str, model: Model, timeout_s: float) -> bool:
        self.asked.append(address)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(timeout_s if self.silent else 0.01)
        finally:
            self.at_once -= 1
        return address in self.ready

    def prober(self) -> Prober:
        now_s, chance = asyncio.get_running_loop().time, random.Random(7).random
        return Prober(self.router, self.is_ready, now_s=now_s, chance=chance)

    def fail(self, *addresses: str) -> None:
        now_s = asyncio.get_running_loop().time()
        for address in addresses:
            self.router.health.record_failure((0, address), sent_s=now_s, now_s=now_s)

    def answer(self, address: str) -> None:
        now_s = asyncio.get_running_loop().time()
        self.router.health.record_success((0, address), sent_s=now_s, now_s=now_s)

    def ejected(self) -> set[str]:
        health = self.router.health
        return {key[1] for key in self.router.endpoints.loads if health.is_ejected(key)}


def fleet(*addresses: str, protocol: str = "oip") -> Fleet:
    sealer = Sealer(bytes(KEY_BYTES), boot=7)
    router = Router(Selector(), sealer, Counters(), chance=lambda: 0.5)
    health = HealthConfig(
        consecutive_failures_max=1, ejection_s=EJECTION_S, ejection_s_max=EJECTION_S
    )
    router.configure(config(model("small", endpoints=addresses, protocol=protocol), health=health))
    return Fleet(router)


def addresses(count: int) -> Iterator[str]:
    return (f"e{number}:1" for number in range(count))


def test_an_ejected_endpoint_that_says_it_is_ready_is_back_without_traffic() -> None:
    async def scene() -> None:
        given = fleet("a:1", "b:1")
        given.fail("a:1")
        running = asyncio.create_task(given.prober().run())
        await asyncio.sleep(10 * PROBE_EVERY_S)
        assert given.ejected() == {"a:1"}
        given.ready.add("a:1")
        await asyncio.sleep(2 * PROBE_EVERY_S)
        assert given.ejected() == set()
        running.cancel()

    run(scene())


def test_only_those_that_are_ejected_are_asked() -> None:
    async def scene() -> None:
        given = fleet("a:1", "b:1", "c:1")
        await given.prober().probe()
        assert given.asked == []
        given.fail("b:1")
        await given.prober().probe()
        assert given.asked == ["b:1"]

    run(scene())


def test_what_only_callers_reach_is_not_asked() -> None:
    async def scene() -> None:
        given = fleet("a:1", "b:1", protocol="openai")
        given.fail("a:1")
        await given.prober().probe()
        assert given.asked == []

    run(scene())


def test_who_says_it_is_ready_and_fails_again_is_not_believed_until_it_answers_a_call() -> None:
    async def scene() -> None:
        given = fleet("a:1", "b:1")
        given.ready.add("a:1")
        prober = given.prober()
        given.fail("a:1")
        await prober.probe()
        assert given.ejected() == set()
        given.fail("a:1")
        await prober.probe()
        assert (given.ejected(), given.asked) == ({"a:1"}, ["a:1"])
        await asyncio.sleep(EJECTION_S)
        await prober.probe()
        assert given.ejected() == set()  # its time is over
        given.answer("a:1")
        given.fail("a:1")
        await prober.probe()
        assert (given.ejected(), given.asked) == (set(), ["a:1", "a:1"])

    run(scene())


def test_who_comes_back_in_its_time_needs_no_traffic_to_be_known_to_be_back() -> None:
    async def scene() -> None:
        given = fleet("a:1", "b:1")
        given.fail("a:1")
        await asyncio.sleep(EJECTION_S)
        assert given.ejected() == {"a:1"}
        await given.prober().probe()
        assert given.ejected() == set()

    run(scene())


def test_so_many_are_asked_at_one_time_and_all_have_their_turn() -> None:
    async def scene() -> None:
        given = fleet(*addresses(5 * PROBES_MAX))
        given.fail(*addresses(5 * PROBES_MAX))
        prober = given.prober()
        for _ in range(5):
            await prober.probe()
        assert given.most_at_once == PROBES_MAX
        assert sorted(given.asked) == sorted(addresses(5 * PROBES_MAX))

    run(scene())


def test_silence_takes_no_longer_than_its_limit() -> None:
    async def scene() -> None:
        given = fleet("a:1", "b:1")
        given.silent = True
        given.fail("a:1")
        begun_s = asyncio.get_running_loop().time()
        await given.prober().probe()
        assert asyncio.get_running_loop().time() - begun_s == pytest.approx(PROBE_S_MAX)

    run(scene())


def test_a_prober_that_is_cancelled_leaves_nothing_asked() -> None:
    async def scene() -> None:
        given = fleet("a:1", "b:1")
        given.silent = True
        given.fail("a:1")
        running = asyncio.create_task(given.prober().run())
        await asyncio.sleep(1.5 * PROBE_EVERY_S)
        running.cancel()
        await asyncio.wait([running])
        assert (given.most_at_once, given.at_once) == (1, 0)
        assert len(asyncio.all_tasks()) == 1

    run(scene())
