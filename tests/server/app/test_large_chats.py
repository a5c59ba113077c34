"""Large chats are read by a process of their own: a real one in every test."""

import asyncio
import contextlib
import gc
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from structlog.testing import capture_logs

from server.app.chat_queue import ChatQueue
from server.app.large_chats import LargeChats
from server.app.reader_process import ReaderProcess
from server.routing.errors import Overloaded, PayloadMalformed, PayloadTooLarge
from server.rpc.openai_chat import INLINE_BYTES_MAX, Chat, read_chat

# No test may end because the machine is busy.
NEVER_S = 600.0
PEER, OTHER = "ipv4:10.0.0.1:1000", "ipv4:10.0.0.2:1000"
READY = "import os, time; os.write(0, bytes(4)); "


@asynccontextmanager
async def reading(
    process: ReaderProcess | None = None, queue: ChatQueue | None = None
) -> AsyncIterator[tuple[LargeChats, ReaderProcess]]:
    process = process or ReaderProcess(answer_s_max=NEVER_S)
    chats = LargeChats(process, queue or ChatQueue())
    try:
        yield chats, process
    finally:
        await chats.close()


@pytest.fixture
async def scene() -> AsyncIterator[tuple[LargeChats, ReaderProcess]]:
    """Started, for it has read one."""
    async with reading() as made:
        await made[0].read(body("first"), PEER)
        yield made


def body(text: str, size_bytes: int = 2 * INLINE_BYTES_MAX) -> bytes:
    said = [{"role": "assistant", "content": size_bytes * "é"}, {"role": "user", "content": text}]
    return json.dumps({"messages": said}, ensure_ascii=False).encode()


def pid_of(process: ReaderProcess) -> int:
    assert process.pid is not None
    return process.pid


def send(process: ReaderProcess, number: int) -> int:
    pid = pid_of(process)
    os.kill(pid, number)
    return pid


async def begun(chats: LargeChats, text: str, peer: str) -> "asyncio.Task[Chat]":
    """A read that stands in the queue, or is being read if it is the only one."""
    task = asyncio.create_task(chats.read(body(text), peer))
    for _ in range(3):
        await asyncio.sleep(0)
    return task


@pytest.mark.parametrize(
    "data",
    [
        body("what is the tax?", 100_000),
        body("a\nb 中"),
        b'{"messages": [{"role": "user", "content": "\\ud800 \\ud83d\\ude00"}], "tools": [1]}',
        b'{"messages": [{"role": "tool"}], "response_format": {"type": "json_object"}}',
    ],
)
async def test_a_large_chat_is_read_as_on_the_loop(
    scene: tuple[LargeChats, ReaderProcess], data: bytes
) -> None:
    assert await scene[0].read(data, PEER) == read_chat(data, field="openai_chat")


async def test_a_view_is_read_as_bytes_are(scene: tuple[LargeChats, ReaderProcess]) -> None:
    data = body("a")
    view = memoryview(b"[" + data + b"]")[1:-1]
    assert await scene[0].read(view, PEER) == read_chat(data, field="openai_chat")


async def test_a_process_is_started_for_the_first_and_kept() -> None:
    async with reading() as (chats, process):
        assert process.pid is None
        await chats.read(body("a"), PEER)
        first = process.pid
        await chats.read(body("b"), PEER)
        assert process.pid == first


async def test_nothing_keeps_a_chat_once_its_refusal_was_told(
    scene: tuple[LargeChats, ReaderProcess],
) -> None:
    chats, _ = scene
    refused = b"x" * (INLINE_BYTES_MAX + 1)
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            with contextlib.suppress(PayloadMalformed):
                await chats.read(refused, PEER)
        await chats.read(body("next"), PEER)  # whoever reads has let go of the last
        left = [one for one in gc.get_objects() if isinstance(one, PayloadMalformed)]
    finally:
        gc.enable()
    assert left == []


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b'{"messages": [{"role": 7}]}', PayloadMalformed),
        (b"[" * INLINE_BYTES_MAX, PayloadMalformed),
        (b'{"messages": [' + 5_000 * b"{}," + b"{}]}", PayloadTooLarge),
    ],
)
async def test_a_refusal_comes_back_with_its_field_and_words(
    scene: tuple[LargeChats, ReaderProcess], data: bytes, error: type[PayloadMalformed]
) -> None:
    with pytest.raises(error) as here:
        read_chat(data, field="openai_chat")
    with pytest.raises(error) as beside:
        await scene[0].read(data, PEER)
    assert (str(beside.value), beside.value.field) == (str(here.value), here.value.field)


async def test_one_that_was_killed_is_replaced_and_the_chat_is_read(
    scene: tuple[LargeChats, ReaderProcess],
) -> None:
    chats, process = scene
    killed = send(process, signal.SIGKILL)
    assert (await chats.read(body("a"), PEER)).asked == "a"
    assert process.pid != killed


async def test_one_that_is_killed_over_a_chat_is_replaced_and_the_chat_is_read(
    scene: tuple[LargeChats, ReaderProcess],
) -> None:
    chats, process = scene
    send(process, signal.SIGSTOP)
    task = await begun(chats, "a", PEER)
    killed = send(process, signal.SIGKILL)
    assert (await task).asked == "a"
    assert process.pid != killed


async def test_what_stops_a_group_of_processes_does_not_stop_it(
    scene: tuple[LargeChats, ReaderProcess],
) -> None:
    chats, process = scene
    send(process, signal.SIGINT)
    pid = send(process, signal.SIGTERM)
    assert (await chats.read(body("a"), PEER)).asked == "a"
    assert process.pid == pid


async def test_a_chat_over_which_it_dies_twice_is_refused() -> None:
    dies = ReaderProcess((sys.executable, "-c", READY + "os.read(0, 1)"))
    async with reading(dies) as (chats, process):
        with pytest.raises(PayloadTooLarge, match="ended twice: send features") as refused:
            await chats.read(body("a"), PEER)
        assert refused.value.field == "openai_chat"
        assert process.pid is None


async def test_a_chat_that_takes_too_long_is_refused_and_its_process_killed() -> None:
    silent = ReaderProcess((sys.executable, "-c", READY + "time.sleep(600)"), answer_s_max=0.05)
    async with reading(silent) as (chats, process):
        with capture_logs() as logs, pytest.raises(PayloadTooLarge, match=r"longer than 0\.05 s"):
            await chats.read(body("a"), PEER)
        assert process.pid is None
        assert [(entry["event"], entry["status"]) for entry in logs] == [
            ("chat reader ended", -signal.SIGKILL)
        ]


async def test_without_a_process_chats_are_refused_and_starts_are_not_tried_at_once(
    tmp_path: Path,
) -> None:
    starts = tmp_path / "starts"
    broken = ReaderProcess(("sh", "-c", f"echo >> {starts}"), start_again_s=NEVER_S)
    async with reading(broken) as (chats, _):
        for _ in range(2):
            with pytest.raises(Overloaded, match="cannot be read now"):
                await chats.read(body("a"), PEER)
    assert starts.read_text() == "\n"


async def test_a_start_that_failed_is_tried_again() -> None:
    missing = ReaderProcess(("/no/such/program",), start_again_s=0)
    async with reading(missing) as (chats, _):
        for _ in range(2):
            with capture_logs() as logs, pytest.raises(Overloaded):
                await chats.read(body("a"), PEER)
            assert [entry["event"] for entry in logs] == ["chat reader did not start"]


async def test_who_sends_many_does_not_keep_another_waiting(
    scene: tuple[LargeChats, ReaderProcess],
) -> None:
    chats, process = scene
    send(process, signal.SIGSTOP)
    order: list[str] = []
    tasks = []
    for text, peer in (("a1", PEER), ("a2", PEER), ("a3", PEER), ("b1", OTHER)):
        tasks.append(await begun(chats, text, peer))
        tasks[-1].add_done_callback(lambda task: order.append(task.result().asked))
    send(process, signal.SIGCONT)
    await asyncio.wait(tasks)
    assert order == ["a1", "a2", "b1", "a3"]  # a2 was next when b1 came


async def test_when_the_queue_is_full_who_has_most_is_refused() -> None:
    async with reading(queue=ChatQueue(bodies_max=2)) as (chats, process):
        await chats.read(body("first"), PEER)
        send(process, signal.SIGSTOP)
        held, waits, leaves = [await begun(chats, text, PEER) for text in ("a", "b", "c")]
        other = await begun(chats, "d", OTHER)
        with pytest.raises(Overloaded, match="send features, or try again"):
            await leaves
        with pytest.raises(Overloaded):
            await chats.read(body("e"), PEER)
        send(process, signal.SIGCONT)
        assert [(await task).asked for task in (held, waits, other)] == ["a", "b", "d"]


async def test_who_leaves_is_not_read_and_what_was_read_for_it_is_dropped(
    scene: tuple[LargeChats, ReaderProcess],
) -> None:
    chats, process = scene
    send(process, signal.SIGSTOP)
    held, waits, last = [await begun(chats, text, PEER) for text in ("a", "b", "c")]
    held.cancel()
    waits.cancel()
    await asyncio.wait((held, waits))
    send(process, signal.SIGCONT)
    assert (await last).asked == "c"
    assert held.cancelled()
    assert waits.cancelled()


async def test_its_end_refuses_those_that_wait_and_leaves_no_process(
    scene: tuple[LargeChats, ReaderProcess],
) -> None:
    chats, process = scene
    pid = send(process, signal.SIGSTOP)
    tasks = [await begun(chats, text, PEER) for text in ("a", "b")]
    await chats.close()
    for task in tasks:
        with pytest.raises(Overloaded, match="the worker stops"):
            await task
    assert not psutil.pid_exists(pid)


async def test_it_takes_little_memory_whatever_it_reads(
    scene: tuple[LargeChats, ReaderProcess],
) -> None:
    chats, process = scene
    dearest: tuple[Callable[[int], bytes], ...] = (
        lambda n: b'{"x":[' + n // 3 * b"{}," + b"0]}",
        lambda n: b'{"x":[' + n // 7 * b'{"":0},' + b"0]}",
        lambda n: b'{"x":[' + n // 5 * b"[[]]," + b"0]}",
    )
    for make in 3 * dearest:
        with pytest.raises(PayloadMalformed):
            await chats.read(make(255 * 2**10), PEER)
    assert psutil.Process(pid_of(process)).memory_info().rss < 64 * 2**20
