"""A worker's end of the control plane: what it follows, whole and in order."""

import asyncio
from contextlib import aclosing, suppress
from pathlib import Path

from structlog.testing import capture_logs

from server.config.as_json import to_json
from server.config.classes import ClassConfig
from server.config.schema import Config
from server.control.client import (
    Confirmed,
    ControlClient,
    Snapshot,
    control_channel,
)
from server.control.large_config import BYTES_AT_ONCE
from server.control.parts import PART_CELLS_MAX, Shares, parts_of
from server.control.protocol import PROTOCOL
from server.routing.catalog import Cell
from server.transport.channel.channel import Channel
from server.transport.channel.keepalive import Keepalive
from server.transport.channel.limits import ChannelLimits
from server.transport.http2.limits import Limits
from tests.server.control.scripted import CONFIG, Parts, scripted, snapshot
from tests.server.control.served import Worker
from tests.server.control.told import CHAT, CODE, service
from tests.server.transport.channel.raw_peer import (
    PATIENCE_S,
    PING,
    RST_STREAM,
    Listening,
    Peer,
    listening,
)
from turnout.v1 import control_pb2 as pb


def numbered(parts: Parts, number: int) -> list[pb.WatchPlanResponse]:
    """As a publisher sends them, the configuration first."""
    for part in parts:
        part.epoch, part.number, part.more = 1, number, True
    parts[0].config_json = CONFIG
    parts[-1].more = False
    return list(parts)


async def take(worker: Worker, count: int) -> list[Snapshot]:
    return [await worker.next() for _ in range(count)]


async def test_before_the_first_plan_there_is_a_configuration_and_no_table(
    tmp_path: Path,
) -> None:
    async with scripted(tmp_path, [snapshot(1, 1, plan_id="")]) as (servicer, worker):
        (first,) = await take(worker, 1)
    assert (first.config, first.table) == (service(), None)
    assert servicer.watches == [pb.WatchPlanRequest(protocol=PROTOCOL, worker="w0")]


async def test_a_plan_that_is_confirmed_is_no_snapshot_but_known_to_hold(tmp_path: Path) -> None:
    plan, confirmation = snapshot(1, 1), snapshot(1, 1)
    for message, plan_s in ((plan, 100.0), (confirmation, 105.0)):
        message.plan_s, message.window_s = plan_s, 5.0
    confirmation.confirms = True
    async with scripted(tmp_path, [plan, confirmation]) as (_, worker):
        assert worker.client.confirmed is None
        await worker.next()
        waiting = asyncio.create_task(worker.next())
        async with asyncio.timeout(PATIENCE_S):
            while worker.client.confirmed != Confirmed(105.0, 5.0):  # noqa: ASYNC110 - only asking again tells
                await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()


async def test_a_plan_in_many_parts_arrives_whole(tmp_path: Path) -> None:
    cells = {
        Cell("code", "team", f"d{n}", "s0"): ((0, 0.25, 1_000), (1, 0.75, 10_000))
        for n in range(2 * PART_CELLS_MAX + 1)
    }
    shares = Shares(("small", "large"), cells, {"code": ((1, 1.0, 10_000),)})
    async with scripted(tmp_path, numbered(parts_of("p1", shares), 1)) as (_, worker):
        (got,) = await take(worker, 1)
    assert got.table is not None
    assert got.table.plan_id == "p1"
    assert got.table.cells == cells
    assert got.table.classes == {"code": ((1, 1.0, 10_000),)}


async def test_a_part_that_no_window_holds_arrives(tmp_path: Path) -> None:
    large = snapshot(1, 1)
    large.config_json = CONFIG + b" " * (3 * Limits().connection_window_bytes)
    async with scripted(tmp_path, [large]) as (_, worker):
        (got,) = await take(worker, 1)
    assert got.config == service()


async def test_what_is_shed_arrives_and_what_is_shed_whole_has_no_row(tmp_path: Path) -> None:
    whole, half = Cell("code", "team", "law", "s0"), Cell("code", "team", "art", "s0")
    shares = Shares(
        ("small",),
        {half: ((0, 1.0, 1_000),)},
        {"code": ((0, 1.0, 1_000),)},
        {whole: (1.0, "capacity of small"), half: (0.5, "capacity of small")},
        {
            ("code", "any"): (0.75, "capacity of small"),
            ("chat", "text"): (1.0, "capacity of small"),
        },
    )
    async with scripted(tmp_path, numbered(parts_of("p1", shares), 1)) as (_, worker):
        (got,) = await take(worker, 1)
    assert got.table is not None
    assert (got.table.shed, got.table.kinds_shed) == (shares.shed, shares.kinds_shed)
    assert got.table.cells.keys() == {half}
    assert got.table.classes.keys() == {"code"}


async def test_parts_that_come_at_once_leave_a_turn_to_others_each() -> None:
    turns = 0
    seen = []

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with (
        asyncio.timeout(PATIENCE_S),
        listening() as server,
        control_channel(server.address) as channel,
    ):
        worker = Worker(channel)
        first = asyncio.create_task(worker.next())
        peer = await server.greeted()
        stream_id, _ = await peer.request()
        peer.head(stream_id)
        for number in range(1, 51):
            peer.data(stream_id, snapshot(1, number).SerializeToString())
        await first
        others = asyncio.create_task(turn())
        for _ in range(49):
            await worker.next()
            seen.append(turns)
        others.cancel()
    assert seen == sorted(set(seen))


async def test_a_configuration_that_is_read_beside_the_loop_arrives_as_it_was(
    tmp_path: Path,
) -> None:
    large = service(
        classes=[ClassConfig(name=f"c{number}", default=number == 0) for number in range(200)],
        budgets=(),
    )
    sent = snapshot(1, 1)
    sent.config_json = to_json(large)
    assert len(sent.config_json) > BYTES_AT_ONCE
    async with scripted(tmp_path, [sent]) as (_, worker):
        (first,) = await take(worker, 1)
    assert first.config == large


async def test_shares_are_of_the_models_as_this_configuration_counts_them(tmp_path: Path) -> None:
    cells = {Cell("code", "team", "other", "s0"): ((0, 1.0, 10_000),)}
    parts = parts_of("p1", Shares(("large",), cells, {}))
    async with scripted(tmp_path, numbered(parts, 1)) as (_, worker):
        (got,) = await take(worker, 1)
    assert got.table is not None
    assert [row[0][0] for row in got.table.cells.values()] == [1]


async def test_a_snapshot_that_is_not_newer_is_passed_over(tmp_path: Path) -> None:
    """The connection broke, and what was sent before comes again."""
    scripts = ([snapshot(2, 5)], [snapshot(2, 5), snapshot(2, 4), snapshot(2, 6)])
    async with scripted(tmp_path, *scripts) as (_, worker):
        got = await take(worker, 2)
    assert [(s.epoch, s.number) for s in got] == [(2, 5), (2, 6)]


async def test_a_new_start_of_the_control_plane_is_followed_even_if_its_clock_was_set_back(
    tmp_path: Path,
) -> None:
    async with scripted(tmp_path, [snapshot(2, 5)], [snapshot(1, 1)]) as (_, worker):
        got = await take(worker, 2)
    assert [(s.epoch, s.number) for s in got] == [(2, 5), (1, 1)]


async def test_a_snapshot_broken_off_in_the_middle_is_none(tmp_path: Path) -> None:
    half = snapshot(1, 1, "half")
    half.more = True
    async with scripted(tmp_path, [half], [snapshot(1, 2, "whole")]) as (_, worker):
        (got,) = await take(worker, 1)
    assert got.table is not None
    assert got.table.plan_id == "whole"


async def test_a_control_plane_that_stands_still_is_lost_and_watched_again() -> None:
    short = Keepalive(silence_s=0.05, answer_s=0.05)
    limits = ChannelLimits(connect_s=PATIENCE_S, goodbye_s=0.05, keepalive=short)
    async with asyncio.timeout(PATIENCE_S), listening() as server:
        channel = Channel(server.address, limits=limits)
        with capture_logs() as logs:
            following = asyncio.create_task(Worker(channel).next())
            still = await server.greeted()
            await still.frame(PING)
            answering = asyncio.create_task(answer_all(server))
            assert (await following).number == 1
        answering.cancel()
        await channel.close()
    assert [log["status"] for log in logs if log["event"] == "control plane lost"] == [
        "UNAVAILABLE"
    ]


async def test_whoever_stops_following_ends_the_watch() -> None:
    async with (
        asyncio.timeout(PATIENCE_S),
        listening() as server,
        control_channel(server.address) as channel,
    ):
        answering = asyncio.create_task(first_watch(server))
        async with aclosing(ControlClient(channel, "w0").snapshots()) as snapshots:
            assert (await anext(snapshots)).number == 1
        peer, stream_id = await answering
        assert (await peer.frame(RST_STREAM)).stream_id == stream_id


async def answer_all(server: Listening) -> None:
    """Answers whoever watches; on a busy machine one may have given up before."""
    while True:
        with suppress(EOFError, ConnectionError):
            await first_watch(server)


async def first_watch(server: Listening) -> tuple[Peer, int]:
    """A new connection's, once it has a snapshot."""
    peer = await server.greeted()
    stream_id, _ = await peer.request()
    peer.head(stream_id)
    peer.data(stream_id, snapshot(1, 1).SerializeToString())
    return peer, stream_id


def configured(number: int, config: Config, *parts: pb.WatchPlanResponse) -> pb.WatchPlanResponse:
    """The snapshot that brings a configuration, with the one part of a plan if there is any."""
    part = parts[0] if parts else pb.WatchPlanResponse()
    part.epoch, part.number, part.config_json = 1, number, to_json(config)
    return part


async def test_models_keep_their_places_whatever_configurations_follow(tmp_path: Path) -> None:
    """Calls that are out, credits and ejections know a model by its place alone."""
    first = service()
    small, large = first.models
    new = small.model_copy(update={"name": "new"})
    turned = first.model_copy(update={"models": (new, large)})
    shares = Shares(("new", "large"), {CODE: ((0, 0.25, 1), (1, 0.75, 2))}, {})
    script = [configured(1, first), configured(2, turned, *parts_of("p", shares))]
    async with scripted(tmp_path, script) as (_, worker):
        snapshots = await take(worker, 2)
    configs = [snapshot.config for snapshot in snapshots if snapshot.config is not None]
    assert [[m.name for m in config.models] for config in configs] == [
        ["small", "large"],
        ["small", "large", "new"],
    ]
    assert not configs[1].models[0].enabled
    table = snapshots[1].table
    assert table is not None
    assert table.cells[CODE] == ((2, 0.25, 1), (1, 0.75, 2))


async def test_of_a_plan_older_than_its_configuration_what_left_is_passed_over(
    tmp_path: Path,
) -> None:
    """As a worker gets it that starts between a reload and the plan that follows it."""
    _, large = service().models
    shares = Shares(
        ("small", "large"), {CODE: ((0, 0.5, 1), (1, 0.5, 2)), CHAT: ((0, 1.0, 1),)}, {}
    )
    script = [configured(1, service(models=(large,)), *parts_of("p", shares))]
    async with scripted(tmp_path, script) as (_, worker):
        (snapshot,) = await take(worker, 1)
    assert snapshot.table is not None
    assert snapshot.table.cells == {CODE: ((0, 0.5, 2),)}
