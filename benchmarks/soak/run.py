"""One soak: a warm-up, the load, and what is left of it afterwards."""

import asyncio
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import uvloop

from benchmarks.soak.aftermath import LONG_MINUTES, judge_end, judge_memory, settle
from benchmarks.soak.callers import CALLERS, Caller
from benchmarks.soak.clients import DEADLINE_S
from benchmarks.soak.filling import report_many
from benchmarks.soak.memory import Sample, Slope, slope
from benchmarks.soak.misdeeds import MISDEEDS, Misdeed
from benchmarks.soak.rotation import rotate, rotations
from benchmarks.soak.stage import Stage, stage
from benchmarks.soak.tally import Fault, Tally

_WARM_UP_S_MAX, _WARM_UP_PART = 120.0, 0.2
# Of a run of an hour: each attack came twice, for the second finds another place where it is large.
_LONG_WARM_UP_S = 900.0
_WORKERS = 2
_COPIES = 2  # of each kind of well-behaved caller
_SAMPLE_S = 1.0


@dataclass(frozen=True, slots=True)
class Findings:
    """What a soak has shown; without faults it has passed."""

    minutes: float
    seed: int
    faults: tuple[str, ...]
    faults_count: int
    done: Mapping[str, int]
    slowest_s: Mapping[str, float]
    decided: int
    limits_reached: Mapping[str, int]
    memory: Mapping[str, Slope | None]


def soak(folder: Path, minutes: float, seed: int) -> Findings:
    """Runs it, with logs in the folder."""
    folder.mkdir()
    tally, memory = Tally(), dict[str, list[Sample]]()
    with stage(folder, workers=_WORKERS) as service:
        uvloop.run(_load(service, tally, minutes * 60, seed, memory, folder))
        slopes = {name: slope(samples) for name, samples in memory.items()}
    judge_memory(slopes, minutes, tally)
    return Findings(
        minutes=minutes,
        seed=seed,
        limits_reached=judge_end(service, tally),
        faults=tuple(tally.faults),
        faults_count=tally.faults_count,
        done=dict(tally.done),
        slowest_s=tally.slowest_s,
        decided=tally.decided,
        memory=slopes,
    )


async def _load(
    service: Stage,
    tally: Tally,
    seconds: float,
    seed: int,
    memory: dict[str, list[Sample]],
    folder: Path,
) -> None:
    """Everybody at once, then nobody."""
    if seconds >= 60 * LONG_MINUTES:
        await report_many(service.data, tally)
    stop = asyncio.Event()
    descriptors = service.supervisor.num_fds()
    dice = random.Random(seed)
    good = [
        asyncio.create_task(_call_again(service.data, caller, tally, stop, _die(dice)))
        for caller in CALLERS
        for _ in range(_COPIES)
    ]
    bad = [
        asyncio.create_task(_misbehave_again(service.data, misdeed, tally, _die(dice)))
        for misdeed in MISDEEDS
    ]
    until_s = time.monotonic() + seconds
    attacks = [
        asyncio.create_task(rotate(attacks, service.data, folder, until_s, tally))
        for attacks in rotations(seconds)
    ]
    await _watch_memory(service, seconds, memory)
    await asyncio.gather(*attacks)
    stop.set()
    await _end(good, bad, tally)
    await settle(service, tally, descriptors)


def _die(dice: random.Random) -> random.Random:
    """One of its own for each, so that what one does moves no other."""
    return random.Random(dice.getrandbits(64))


async def _call_again(
    address: str, caller: Caller, tally: Tally, stop: asyncio.Event, dice: random.Random
) -> None:
    client = caller.client(address)
    while not stop.is_set():
        with tally.counting(caller.name):
            await caller.call(client, tally, dice)
        await asyncio.sleep(dice.expovariate(1 / caller.rest_s))
    await client.close()


async def _misbehave_again(
    address: str, misdeed: Misdeed, tally: Tally, dice: random.Random
) -> None:
    """Until it is cancelled."""
    while True:
        with tally.counting(misdeed.name):
            await commit(misdeed, address, dice)
        await asyncio.sleep(dice.expovariate(1 / misdeed.rest_s))


async def commit(misdeed: Misdeed, address: str, dice: random.Random) -> None:
    """Once; raises Fault."""
    try:
        await misdeed.deed(address, dice)
    except OSError as error:
        raise Fault(f"the connection broke: {error}") from None


async def _watch_memory(service: Stage, seconds: float, memory: dict[str, list[Sample]]) -> None:
    """Lets so much time pass; samples from the end of the warm-up on."""
    began_s = time.monotonic()
    warm_s = began_s + _warm_up_s(seconds)
    while (now_s := time.monotonic()) < began_s + seconds:
        if now_s >= warm_s:
            for name, process in service.processes.items():
                sample = Sample(now_s, process.memory_info().rss)
                memory.setdefault(name, []).append(sample)
        await asyncio.sleep(min(_SAMPLE_S, seconds / 100))


def _warm_up_s(seconds: float) -> float:
    if seconds >= 60 * LONG_MINUTES:
        return _LONG_WARM_UP_S
    return min(_WARM_UP_S_MAX, _WARM_UP_PART * seconds)


async def _end(good: list[asyncio.Task[None]], bad: list[asyncio.Task[None]], tally: Tally) -> None:
    """Calls that are out have until their deadline; those that do not end were lost."""
    for task in bad:
        task.cancel()
    ended, lost = await asyncio.wait(good, timeout=2 * DEADLINE_S)
    for task in lost:
        task.cancel()
        tally.fault("a well-behaved call never ended")
    outcomes = await asyncio.gather(*ended, *lost, *bad, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):  # a mistake of ours
            raise outcome
