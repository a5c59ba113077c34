"""Performs the acts of a show while its traffic runs and its screen is told."""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence

from benchmarks.demo.promises import confidence_of_each
from benchmarks.demo.screen import Screen
from benchmarks.demo.stage import Act, AnyStage, Result, perform
from benchmarks.demo.summary import outcome


async def run(
    stage: AnyStage,
    screen: Screen,
    acts: Sequence[Act[AnyStage]],
    *,
    promises: int = 0,
    beside: Iterable[Coroutine[None, None, None]] = (),
) -> list[Result]:
    """Up to the first act whose plan does not come: those after it would build on it.

    `promises` are those beside the floor and the SLO of each class in each act. What runs `beside`
    ends with the last act.
    """
    # So that all intervals hold together.
    confidence = confidence_of_each(len(acts) * len(stage.floors) * 2 + promises)
    async with asyncio.TaskGroup() as tasks:
        traffic = tasks.create_task(stage.load.run())
        followers = (stage.plans.follow(), _refresh(stage, screen), *beside)
        following = [tasks.create_task(one) for one in followers]
        results = await _perform_all(stage, acts, confidence)
        stage.load.stop()
        await traffic
        for task in following:
            task.cancel()
    return results


async def _perform_all(
    stage: AnyStage, acts: Sequence[Act[AnyStage]], confidence: float
) -> list[Result]:
    results: list[Result] = []
    for act in acts:
        results.append(await perform(act, stage, confidence))
        if not results[-1].tallies:
            break
        stage.say(outcome(results[-1]))
    return results


async def _refresh(stage: AnyStage, screen: Screen) -> None:
    while True:
        await asyncio.sleep(screen.every_s)
        screen.show(stage)
