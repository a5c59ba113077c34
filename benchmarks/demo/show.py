"""The whole demo: sets the stage, lets traffic run, performs the acts, tells what came of them."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
from rich.console import Console

from benchmarks.demo.configuration import BULK, FLOORS, STRICT, config_of
from benchmarks.demo.fleet import (
    ModelServers,
    data_address,
    trained,
    turnout_started,
    wait_until_serving,
)
from benchmarks.demo.load import Load, Stream
from benchmarks.demo.models import AT_START
from benchmarks.demo.promises import confidence_of_each
from benchmarks.demo.screen import Screen
from benchmarks.demo.stage import Act, Plans, Result, Stage, perform
from benchmarks.demo.summary import outcome, print_models, print_results
from turnout import AsyncClient, RetryPolicy
from turnout.v1.admin_pb2_grpc import AdminServiceStub

_RATES_PER_S = {BULK: 75, STRICT: 50}
# What is refused is counted, not sent again.
_ONCE = RetryPolicy(attempts_max=1)


async def show(console: Console, acts: Sequence[Act], seed: int) -> int:
    """Returns the exit status: 1 when a promise was broken. The seed is that of the traffic."""
    started_s = time.monotonic()
    with Screen(console) as screen:

        def say(line: str) -> None:
            screen.say(f"{time.monotonic() - started_s:5.1f} s  {line}")

        say("Training the models and starting a server for each ...")
        async with _stage(console, say, seed) as stage:
            say(f"Traffic by seed {seed}: python -m benchmarks.demo --seed {seed} sends it again")
            results = await _run(stage, screen, acts)
    print_results(console, results, stage.load.served, stage.study)
    return 1 if any(result.broken for result in results) else 0


def _streams(seed: int) -> list[Stream]:
    return [
        Stream(traffic_class, rate_per_s, seed=_seed(seed, number))
        for number, (traffic_class, rate_per_s) in enumerate(_RATES_PER_S.items())
    ]


def _seed(seed: int, number: int) -> int:
    """Of one stream: each of a run has another, and so has each run."""
    return seed * (len(_RATES_PER_S) + 1) + number


async def _run(stage: Stage, screen: Screen, acts: Sequence[Act]) -> list[Result]:
    async with asyncio.TaskGroup() as tasks:
        traffic = tasks.create_task(stage.load.run())
        beside = [
            tasks.create_task(stage.plans.follow()),
            tasks.create_task(_tell_first_answer(stage)),
            tasks.create_task(_refresh(stage, screen)),
        ]
        results = await _perform_all(stage, acts)
        stage.load.stop()
        await traffic
        for task in beside:
            task.cancel()
    return results


async def _perform_all(stage: Stage, acts: Sequence[Act]) -> list[Result]:
    """Up to the first whose plan does not come: the acts after it would build on it."""
    # A floor and an SLO for each class in each act, and two of what overload promises.
    confidence = confidence_of_each(len(acts) * len(FLOORS) * 2 + 2)
    results: list[Result] = []
    for act in acts:
        results.append(await perform(act, stage, confidence))
        if not results[-1].tallies:
            break
        stage.say(outcome(results[-1]))
    return results


async def _tell_first_answer(stage: Stage) -> None:
    await stage.load.answering.wait()
    first = stage.load.served[0]
    if first.answer:
        stage.say(f"First decision: {first.answer.model}. {first.answer.reason.text}")


async def _refresh(stage: Stage, screen: Screen) -> None:
    while True:
        await asyncio.sleep(screen.every_s)
        screen.show(stage)


@asynccontextmanager
async def _stage(console: Console, say: Callable[[str], None], seed: int) -> AsyncIterator[Stage]:
    """Everything started, nothing sent yet; everything ended after."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="turnout-demo-")))
        known, held_out = await trained(folder)
        print_models(console, known)
        servers = ModelServers(folder, stack)
        ports = await servers.started(AT_START)
        config = config_of(known.measured, ports, "127.0.0.1:0", folder / "state")
        turnout = await stack.enter_async_context(turnout_started(config, folder))
        admin_address = f"unix:{folder}/state/admin.sock"
        admin = AdminServiceStub(
            await stack.enter_async_context(grpc.aio.insecure_channel(admin_address))
        )
        address = await data_address(turnout, admin)
        await wait_until_serving(turnout, address)
        say(f"Look in from elsewhere: turnout plan --watch --admin {admin_address}")
        client = await stack.enter_async_context(AsyncClient(address, retry=_ONCE))
        yield Stage(
            admin=admin,
            plans=Plans(admin),
            load=Load(client, held_out, _streams(seed)),
            study=known,
            servers=servers,
            say=say,
            seed=_seed(seed, len(_RATES_PER_S)),
        )
