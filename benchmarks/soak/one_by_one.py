"""Attacks one at a time on a service with one worker, and a good client beside each."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.processes import Server, serving
from benchmarks.soak.aftermath import judge_end
from benchmarks.soak.attacker import Toll
from benchmarks.soak.attacks import Attack
from benchmarks.soak.beside import Heard
from benchmarks.soak.memory import MIB
from benchmarks.soak.stage import WORKER_MEMORY_MIB, Stage, stage
from benchmarks.soak.tally import Tally
from benchmarks.soak.verdict import Measured, Resident, back_mib_max, better, faults, latency

_SAMPLE_S = 0.1
# After which memory has to be back.
_BACK_S_MAX = 30.0
# A round that takes memory before it is looked at, and what of it goes back at once.
_FIRST_ROUND_S, _CALM_S = 8.0, 3.0
# In which a worker tells the control plane what it counted.
_COUNTED_S = 1.0


class Lengths(NamedTuple):
    """How long an attack takes."""

    attack_s: float
    alone_s: float  # of the good client by itself, before and after


@dataclass(frozen=True, slots=True)
class Performance:
    """What became of all attacks; without faults they have passed."""

    measured: tuple[Measured, ...]
    faults: tuple[str, ...]


def perform(folder: Path, attacks: Sequence[Attack], lengths: Lengths) -> Performance:
    """Each attack once, with logs in the folder; raises ProcessFailed."""
    folder.mkdir()
    tally = Tally()
    with stage(folder, workers=1) as service:
        measured = tuple(_attacks(service, attacks, lengths, folder))
    for one in measured:
        for fault in faults(one, WORKER_MEMORY_MIB):
            tally.fault(fault)
    judge_end(service, tally)
    return Performance(measured, tuple(tally.faults))


def _attacks(
    service: Stage, attacks: Sequence[Attack], lengths: Lengths, folder: Path
) -> Iterator[Measured]:
    with started("beside", service.data, folder=folder) as good:
        before = _ask(good, lengths.alone_s)
        for planned in attacks:
            with started("attacker", planned.name, service.data, folder=folder) as attacker:
                measured, before = _attack(service, planned, lengths, (attacker, good), before)
            yield measured


def _attack(
    service: Stage,
    planned: Attack,
    lengths: Lengths,
    processes: tuple[Server, Server],
    before: Heard,
) -> tuple[Measured, Heard]:
    """What was measured, and how the good client fared by itself afterwards."""
    seconds = max(lengths.attack_s, planned.seconds_min)
    attacker, good = processes
    (worker,) = service.workers.values()
    # What an interpreter took for small objects it keeps, and uses again: growth is what comes on
    # top of a first round.
    first = Toll(**json.loads(attacker.ask(str(min(seconds, _FIRST_ROUND_S)))))
    time.sleep(_CALM_S)
    limits, before_mib = service.limits_reached(), _mib(worker)
    with ThreadPoolExecutor() as threads:
        attacking = threads.submit(attacker.ask, str(seconds))
        calling = threads.submit(_ask, good, seconds)
        peak_mib = _peak_mib(worker, (attacking, calling))
    after_mib = _settled_mib(worker, before_mib, time.monotonic() + _BACK_S_MAX)
    after = _ask(good, lengths.alone_s)
    time.sleep(max(0.0, _COUNTED_S - lengths.alone_s))
    toll, beside = Toll(**json.loads(attacking.result())), calling.result()
    measured = Measured(
        name=planned.name,
        rounds_per_s=sum(toll.outcomes.values()) / seconds,
        sent_mib_per_s=toll.sent_bytes / MIB / seconds,
        answers=toll.outcomes,
        limits_reached=dict(service.limits_reached() - limits),
        wrong=[*first.faults, *toll.faults],
        calls=len(beside.latencies_s),
        lost=dict(Counter((*beside.lost, *after.lost))),
        alone=better(latency(before.latencies_s), latency(after.latencies_s)),
        attacked=latency(beside.latencies_s),
        resident=Resident(before_mib, peak_mib, after_mib),
    )
    return measured, after


@contextmanager
def started(module: str, *arguments: str, folder: Path) -> Iterator[Server]:
    """A process of ours that is ready."""
    with serving(module, "-m", f"benchmarks.soak.{module}", *arguments, folder=folder) as process:
        process.line()
        yield process


def _ask(good: Server, seconds: float) -> Heard:
    return Heard.model_validate_json(good.ask(str(seconds)))


def _mib(worker: psutil.Process) -> float:
    resident: int = worker.memory_info().rss
    return resident / MIB


def _peak_mib(worker: psutil.Process, until: tuple[Future[str], Future[Heard]]) -> float:
    peak = _mib(worker)
    while not all(one.done() for one in until):
        time.sleep(_SAMPLE_S)
        peak = max(peak, _mib(worker))
    return peak


def _settled_mib(worker: psutil.Process, before_mib: float, until_s: float) -> float:
    """When it is back where it was, or the last that there was when time was over."""
    while (now := _mib(worker)) > back_mib_max(before_mib) and time.monotonic() < until_s:
        time.sleep(_SAMPLE_S)
    return now
