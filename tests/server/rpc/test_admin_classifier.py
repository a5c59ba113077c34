"""The learned classifier of a service that runs: compared, replaced, watched, told of labels."""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

from server.config.as_json import from_json
from server.config.classes import ClassifierConfig
from server.config.live import updated, with_classifier
from server.config.schema import Config
from server.control.kept_requests import KeptRequest, read_kept
from server.routing.catalog import Cell
from server.routing.decision_id import Sealer
from server.routing.learned_classifier.file_format import dump
from tests.server.control.served import PATIENCE_S, Served, control_plane, files_in, serving
from tests.server.control.told import AUTHOR, CODE, KEY, answered, decision_id, push, service
from tests.server.routing.learned_classifier.made import contents
from tests.server.rpc.refusal import refusal
from turnout.v1 import admin_pb2 as pb
from turnout.v1 import control_pb2, routing_pb2

LAW, MATH = (3.0, -3.0), (-3.0, 3.0)
SHARES = {"law": 0.5, "math": 0.4, "other": 0.1}
KEPT = 40
TURNS = 20  # of the loop, in which whoever waits for nothing goes on
TRAFFIC = answered(CODE, "small", 20)


def made(**words: Sequence[float]) -> bytes:
    return dump(contents(words=words, threshold=0.6, shares=SHARES))


GOOD, WRONG = made(court=LAW, prime=MATH), made(court=LAW, prime=LAW)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    file = tmp_path / "given.bin"
    file.write_bytes(GOOD)
    named = ClassifierConfig(file=str(file), keep_requests=1_000)
    return service(window_s=0.05, classifier=named)


@pytest.fixture
async def served(tmp_path: Path, config: Config) -> AsyncIterator[Served]:
    async with serving(control_plane(tmp_path, config), tmp_path) as found:
        await until(lambda: found.plane.classifier() is not None)
        yield found


class ByHand(ThreadPoolExecutor):
    """Does what is given to a thread when the test says so, a piece a step."""

    def __init__(self) -> None:
        super().__init__(1)
        self._pieces: deque[tuple[Future[Any], Callable[[], Any]]] = deque()

    def submit(self, work: Callable[..., Any], /, *given: Any, **named: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        self._pieces.append((future, partial(work, *given, **named)))
        return future

    async def finish(self) -> None:
        """All that is left."""
        while self._pieces:
            await self.step()

    async def step(self) -> None:
        """The oldest piece, and what follows from it on the loop."""
        if self._pieces:
            future, work = self._pieces.popleft()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(work())
                except Exception as error:  # noqa: BLE001 - whoever waits for it hears
                    future.set_exception(error)
        for _ in range(TURNS):
            await asyncio.sleep(0)


async def until(told: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not told():  # noqa: ASYNC110 - nobody else tells
            await asyncio.sleep(0.01)


async def status(served: Served) -> pb.ClassifierStatus:
    return (
        await served.admin.GetServerInfo(pb.GetServerInfoRequest(), timeout=PATIENCE_S)
    ).classifier


async def update(
    served: Served, data: bytes, *, force: bool = False, dry_run: bool = False
) -> pb.UpdateClassifierResponse:
    request = pb.UpdateClassifierRequest(classifier=data, force=force, dry_run=dry_run)
    return await served.admin.UpdateClassifier(request, timeout=PATIENCE_S)


async def keep_labelled(served: Served, folder: Path) -> None:
    """Requests that a worker tells of, and callers who say what they were about."""
    sealer = Sealer(KEY, 1)
    ids = [decision_id(sealer=sealer, now_s=served.plane.started_s) for _ in range(KEPT)]
    told = push()
    told.kept.extend(
        control_pb2.KeptRequest(decision_id=one, text="a prime", domain="math") for one in ids
    )
    served.plane.push(told)
    outcomes = [routing_pb2.Outcome(decision_id=one, domain="math") for one in ids]
    assert {result.reason for result in served.plane.settle(outcomes)} == {""}
    labelled = KeptRequest("a prime", "math", "", true_domain="math")
    await until(lambda: read_kept(folder) == [labelled] * KEPT)


async def test_one_that_is_no_worse_takes_its_place(served: Served, tmp_path: Path) -> None:
    await keep_labelled(served, tmp_path)
    better = made(court=LAW, prime=MATH, number=MATH)
    response = await update(served, better)
    assert (response.in_force, response.worse) == (True, "")
    assert (response.comparison.requests, response.comparison.labelled) == (KEPT, KEPT)
    assert response.comparison.right_after == 1.0
    named = served.plane.config.classifier
    assert named is not None
    assert Path(named.file).read_bytes() == better  # noqa: ASYNC240 - a small file
    assert named.keep_requests == 1_000


async def test_one_that_is_clearly_worse_does_not(served: Served, tmp_path: Path) -> None:
    await keep_labelled(served, tmp_path)
    before = served.plane.config
    response = await update(served, WRONG)
    assert not response.in_force
    assert response.worse.startswith(f"of {KEPT} labelled requests it gets {KEPT} wrong")
    assert served.plane.config == before


async def test_one_that_is_clearly_worse_does_by_force(served: Served, tmp_path: Path) -> None:
    await keep_labelled(served, tmp_path)
    response = await update(served, WRONG, force=True)
    assert response.in_force
    assert response.worse


async def test_who_put_it_in_its_place_is_kept(served: Served) -> None:
    await update(served, made(court=LAW), dry_run=True)
    await update(served, made(court=LAW), force=True)
    (found,) = (await served.admin.ListUpdates(pb.ListUpdatesRequest())).updates
    assert [change.path for change in found.changes] == ["classifier.file"]
    assert found.who == f"uid {os.geteuid()}"


async def test_a_dry_run_compares_only(served: Served) -> None:
    before = served.plane.config
    response = await update(served, made(court=LAW), dry_run=True)
    assert not response.in_force
    assert response.HasField("comparison")
    assert served.plane.config == before


async def test_what_is_no_classifier_is_refused(served: Served) -> None:
    found = await refusal(update(served, GOOD[:-1]))
    assert (found.code, found.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["classifier"])
    assert "checksum" in found.message


async def test_the_first_has_none_to_be_compared_with(tmp_path: Path) -> None:
    async with serving(control_plane(tmp_path, service()), tmp_path) as served:
        response = await update(served, GOOD)
    assert response.in_force
    assert not response.HasField("comparison")
    live = from_json(files_in(tmp_path).live_config.read_bytes())
    assert live.classifier is not None


async def test_of_classifiers_that_were_replaced_one_stays(served: Served, tmp_path: Path) -> None:
    for number in range(4):
        await update(served, made(court=LAW, prime=(-3.0 - number, 3.0)))
    assert len(list(tmp_path.glob("classifier-*.bin"))) == 2  # noqa: ASYNC240 - a small folder


async def test_of_two_at_once_the_second_is_compared_with_the_first(
    served: Served, tmp_path: Path
) -> None:
    """The second is worse than the one in force now, and as good as the first."""
    await keep_labelled(served, tmp_path)
    as_wrong = made(court=LAW, prime=LAW, number=LAW)
    replaced = await asyncio.gather(
        served.plane.update_classifier(WRONG, force=True, dry_run=False, by=AUTHOR),
        served.plane.update_classifier(as_wrong, force=False, dry_run=False, by=AUTHOR),
    )
    assert [in_force for _, in_force in replaced] == [True, True]
    named = served.plane.config.classifier
    assert named is not None
    assert Path(named.file).read_bytes() == as_wrong  # noqa: ASYNC240 - a small file


async def test_one_whose_caller_gives_up_takes_its_place_all_the_same(served: Served) -> None:
    better = made(court=LAW, prime=MATH, number=MATH)
    first = asyncio.create_task(
        served.plane.update_classifier(better, force=False, dry_run=False, by=AUTHOR)
    )
    await asyncio.sleep(0)
    first.cancel()
    comparison, _ = await served.plane.update_classifier(GOOD, force=False, dry_run=True, by=AUTHOR)
    assert comparison is not None
    named = served.plane.config.classifier
    assert named is not None
    assert Path(named.file).read_bytes() == better  # noqa: ASYNC240 - a small file


async def test_other_files_of_the_folder_stay(served: Served, tmp_path: Path) -> None:
    names = ["classifier-mine.bin", "classifier-0123456789abcdef.bin.old", "given.bin"]
    for name in names:
        (tmp_path / name).write_bytes(GOOD)
    for number in range(2):
        await update(served, made(court=LAW, prime=(-3.0 - number, 3.0)))
    assert all((tmp_path / name).exists() for name in names)


async def test_the_one_in_force_stays_however_it_is_named(tmp_path: Path) -> None:
    file = tmp_path / "classifier-0123456789abcdef.bin"
    file.write_bytes(GOOD)
    named = ClassifierConfig(file=f"{tmp_path}/../{tmp_path.name}/{file.name}")
    plane = control_plane(tmp_path, service(window_s=0.05, classifier=named))
    async with serving(plane, tmp_path) as served:
        await update(served, made(court=LAW))
    assert file.exists()


async def test_one_that_does_not_know_what_a_rule_names_is_refused(tmp_path: Path) -> None:
    rule = {"name": "chat", "match": {"domains": ("math",)}, "default": True}
    file = tmp_path / "given.bin"
    file.write_bytes(GOOD)
    config = service(classifier=ClassifierConfig(file=str(file)), classes=(rule,), budgets=())
    async with serving(control_plane(tmp_path, config), tmp_path) as served:
        found = await refusal(update(served, dump(contents(domains=("art", "law"))), force=True))
    assert (found.code, found.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["classifier"])
    assert "no domain is named 'math'" in found.message


async def test_what_was_written_over_the_file_is_not_in_force(
    served: Served, tmp_path: Path
) -> None:
    other = dump(contents(words={"court": LAW}, shares={"law": 1.0}))
    (tmp_path / "given.bin").write_bytes(other)
    await served.plane.update(
        lambda config: updated(config, "classes", "code", {"floor": 0.8}), by=AUTHOR
    )
    trained = {one.domain: one.trained for one in (await status(served)).domains}
    assert trained == SHARES


async def test_a_configuration_is_planned_with_only_once_its_classifier_was_read(
    served: Served, tmp_path: Path
) -> None:
    """Or workers would get a plan of a configuration that they do not know."""
    before, given = served.plane.config, tmp_path / "later.bin"
    given.write_bytes(GOOD)
    naming = with_classifier(before, str(given))
    by_hand = ByHand()
    asyncio.get_running_loop().set_default_executor(by_hand)
    updating = asyncio.create_task(served.plane.update(lambda _: naming, by=AUTHOR))
    kept = files_in(tmp_path).live_config
    while not (kept.exists() and given.name in kept.read_text()):  # the classifier is read next
        await by_hand.step()
    meanwhile = served.plane.config
    while not updating.done():
        await by_hand.step()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
    await by_hand.finish()
    assert (meanwhile, served.plane.config) == (before, naming)


async def test_traffic_unlike_the_training_mix_is_told(served: Served) -> None:
    assert not (await status(served)).HasField("drift")
    served.plane.push(push(answered(Cell("code", "team", "law", "s0"), "small", 100)))
    law = answered(Cell("code", "team", "law", "s0"), "small", 1_100)
    served.plane.push(push(law, sequence=2))
    told = await status(served)
    assert told.drifted
    assert told.drift > 0.25
    (of_law,) = [one for one in told.domains if one.domain == "law"]
    assert (of_law.trained, of_law.seen) == (0.5, 1.0)
    assert served.plane.values()["turnout.domains.drift"] == [({}, told.drift)]
    assert served.plane.values()["turnout.domains"][0][0] == {"domain": "law"}


async def test_a_label_that_is_too_long_is_refused(served: Served) -> None:
    outcome = routing_pb2.Outcome(decision_id=decision_id(), domain="x" * 129)
    (result,) = served.plane.settle([outcome])
    assert (result.reason, "at most 128" in result.message) == ("REQUEST_INVALID", True)


async def test_nothing_is_kept_unless_it_is_asked_for(tmp_path: Path) -> None:
    async with serving(control_plane(tmp_path, service(window_s=0.05)), tmp_path) as served:
        told = push(TRAFFIC)
        told.kept.add(decision_id="id", text="a prime", domain="math")
        served.plane.push(told)
        await served.planned(lambda plan: bool(plan.id))
    assert read_kept(tmp_path) == []


async def test_a_classifier_that_cannot_be_read_stops_no_plan(tmp_path: Path) -> None:
    config = service(window_s=0.05, classifier=ClassifierConfig(file="/nowhere"))
    async with serving(control_plane(tmp_path, config), tmp_path) as served:
        served.plane.push(push(TRAFFIC))
        await served.planned(lambda plan: bool(plan.id))
        assert served.plane.classifier() is None
