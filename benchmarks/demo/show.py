"""The whole demo: sets the stage, lets traffic run, performs the acts, tells what came of them."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
from rich.console import Console

from benchmarks.demo.asking import load_of
from benchmarks.demo.configuration import BULK, FLOORS, SLO, STRICT, config_of
from benchmarks.demo.digit_stage import DigitStage
from benchmarks.demo.fleet import (
    ModelServers,
    data_address,
    trained,
    turnout_started,
    wait_until_serving,
)
from benchmarks.demo.load import Stream
from benchmarks.demo.models import AT_START
from benchmarks.demo.overload import PROMISES as OVERLOAD_PROMISES
from benchmarks.demo.performance import run
from benchmarks.demo.screen import Screen
from benchmarks.demo.stage import Act, Plans
from benchmarks.demo.summary import print_models, print_results, total
from turnout import Answer, AsyncClient, RetryPolicy
from turnout.v1.admin_pb2_grpc import AdminServiceStub

_RATES_PER_S = {BULK: 75, STRICT: 50}
# What is refused is counted, not sent again.
_ONCE = RetryPolicy(attempts_max=1)


async def show(console: Console, acts: Sequence[Act[DigitStage]], seed: int) -> int:
    """Returns the exit status: 1 when a promise was broken. The seed is that of the traffic."""
    started_s = time.monotonic()
    with Screen(console) as screen:

        def say(line: str) -> None:
            screen.say(f"{time.monotonic() - started_s:5.1f} s  {line}")

        say("Training the models and starting a server for each ...")
        async with _stage(console, say, seed) as stage:
            say(f"Traffic by seed {seed}: python -m benchmarks.demo --seed {seed} sends it again")
            first = _tell_first_answer(stage)
            results = await run(stage, screen, acts, promises=OVERLOAD_PROMISES, beside=[first])
    print_results(console, results, stage.study.best, total(stage.load.served, stage.study))
    return 1 if any(result.broken for result in results) else 0


def _streams(seed: int) -> list[Stream]:
    return [
        Stream(traffic_class, rate_per_s, seed=_seed(seed, number))
        for number, (traffic_class, rate_per_s) in enumerate(_RATES_PER_S.items())
    ]


def _seed(seed: int, number: int) -> int:
    """Of one stream: each of a run has another, and so has each run."""
    return seed * (len(_RATES_PER_S) + 1) + number


async def _tell_first_answer(stage: DigitStage) -> None:
    await stage.load.answering.wait()
    first = stage.load.served[0].answer
    if isinstance(first, Answer):
        stage.say(f"First decision: {first.model}. {first.reason.text}")


@asynccontextmanager
async def _stage(
    console: Console, say: Callable[[str], None], seed: int
) -> AsyncIterator[DigitStage]:
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
        yield DigitStage(
            admin=admin,
            plans=Plans(admin),
            load=load_of(client, held_out, _streams(seed)),
            always=known,
            slo=SLO,
            floors=dict(FLOORS),
            study=known,
            servers=servers,
            say=say,
            seed=_seed(seed, len(_RATES_PER_S)),
        )
