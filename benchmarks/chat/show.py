"""The whole show: sets the stage, lets questions come, performs the acts, tells what came of it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
from openai import AsyncOpenAI
from rich.console import Console

from benchmarks.chat.acts import ChatStage, broken_at_last
from benchmarks.chat.asking import Streamed, ask_of
from benchmarks.chat.configuration import FLOORS, QUIZ, SLO, config_of
from benchmarks.chat.measuring import measured
from benchmarks.chat.models import Study
from benchmarks.chat.questions import Questions
from benchmarks.chat.servers import LanguageServers
from benchmarks.chat.summary import bill, print_models
from benchmarks.demo.fleet import data_address, turnout_started, wait_until_serving
from benchmarks.demo.load import Load, Stream
from benchmarks.demo.performance import run
from benchmarks.demo.screen import Screen
from benchmarks.demo.stage import Act, Plans
from benchmarks.demo.summary import print_results
from server.config.classes import SloConfig
from turnout import AsyncClient
from turnout.v1.admin_pb2_grpc import AdminServiceStub

RATE_PER_S = 2.0
_LOOK_EVERY_S = 0.05
_SERVING_S = 60.0  # for a machine with other things to do
# The wait of a client for words that do not come; a class's deadline is shorter.
_PATIENCE_S = 120.0


async def show(
    console: Console,
    acts: Sequence[Act[ChatStage]],
    seed: int,
    *,
    asked: Questions,
    slo: SloConfig = SLO,
) -> int:
    """Returns the exit status: 1 when a promise was broken. The seed is that of the traffic."""
    started_s = time.monotonic()
    with Screen(console) as screen:

        def say(line: str) -> None:
            screen.say(f"{time.monotonic() - started_s:5.1f} s  {line}")

        async with AsyncExitStack() as stack:
            stage, study = await stack.enter_async_context(_stage(console, say, seed, asked, slo))
            say(f"Traffic by seed {seed}: python -m benchmarks.chat --seed {seed} sends it again")
            results = await run(stage, screen, acts, beside=[_tell_first_answer(stage)])
            at_last = await broken_at_last(stage)
            results[-1] = replace(results[-1], broken=(*results[-1].broken, *at_last))
    print_results(console, results, study.best, bill(stage.load.served, study))
    return 1 if any(result.broken for result in results) else 0


async def _tell_first_answer(stage: ChatStage) -> None:
    await stage.load.answering.wait()
    first = next(one.answer for one in stage.load.served if one.answer is not None)
    if isinstance(first, Streamed):
        stage.say(f'First answer, by {first.model}: "{first.words}". {first.reason}')


@asynccontextmanager
async def _stage(
    console: Console, say: Callable[[str], None], seed: int, asked: Questions, slo: SloConfig
) -> AsyncIterator[tuple[ChatStage, Study]]:
    """Everything started, nothing sent yet; everything ended after."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="turnout-chat-")))
        say("Starting a server for each model ...")
        servers = LanguageServers(folder, stack)
        urls = await servers.start()
        say("Asking each straight what is known already ...")
        known = await measured(urls, asked)
        print_models(console, known)
        config = config_of(known.measured, urls, slo, folder / "state")
        turnout = await stack.enter_async_context(turnout_started(config, folder))
        admin_address = f"unix:{folder}/state/admin.sock"
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(admin_address))
        admin = AdminServiceStub(channel)
        address = await data_address(turnout, admin)
        await wait_until_serving(turnout, address)
        door = f"http://{await _door_address(folder / 'turnout.log')}/v1"
        say(f"Ask it yourself: turnout chat --address {address}")
        say(f"or with any client of OpenAI, at {door}")
        say(f"Look in from elsewhere: turnout plan --watch --admin {admin_address}")
        openai = await stack.enter_async_context(
            AsyncOpenAI(base_url=door, api_key="unused", max_retries=0, timeout=_PATIENCE_S)
        )
        client = await stack.enter_async_context(AsyncClient(address))
        streams = [Stream(QUIZ, RATE_PER_S, seed=seed)]
        ask = ask_of(openai, asked.asked)
        stage = ChatStage(
            admin=admin,
            plans=Plans(admin),
            load=Load(ask, client, streams, items=len(asked.asked)),
            always=known,
            slo=slo,
            floors=dict(FLOORS),
            say=say,
            servers=servers,
        )
        yield stage, known


async def _door_address(log: Path) -> str:
    """As the service tells it in its log, once it serves."""
    async with asyncio.timeout(_SERVING_S):
        while True:
            if address := _told_in(log):
                return address
            await asyncio.sleep(_LOOK_EVERY_S)


def _told_in(log: Path) -> str | None:
    for line in log.read_text().splitlines():
        with suppress(ValueError):
            said = json.loads(line)
            if said.get("event") == "serving":
                return str(said["openai"])
    return None
