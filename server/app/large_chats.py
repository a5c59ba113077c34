"""Chats that are too large for the loop are read beside it, one at a time, by a process."""

import asyncio

from server.app.chat_queue import ChatQueue, Waiting
from server.app.chat_reader import CHAT, EMBEDDINGS, chat_of
from server.app.reader_process import Died, ReaderProcess, StartFailed
from server.routing.errors import Overloaded, PayloadTooLarge
from server.rpc.openai_chat import Chat

_FIELD = "openai_chat"
# A process that was killed is no fault of the body, twice in a row it may be.
_TRIES = 2


class LargeChats:
    """Has a process and a queue before it; works only while something waits."""

    def __init__(self, process: ReaderProcess, queue: ChatQueue) -> None:
        self._process = process
        self._queue = queue
        self._work: asyncio.Task[None] | None = None

    async def read(self, body: bytes | memoryview, peer: str) -> Chat:
        """Raises PayloadMalformed, PayloadTooLarge or Overloaded; `peer` is as gRPC names it."""
        return await self._read(CHAT + body, peer)

    async def read_embeddings(self, body: bytes | memoryview, peer: str) -> Chat:
        """What is to be embedded, as if it were said in a chat; raises as read does."""
        return await self._read(EMBEDDINGS + body, peer)

    async def _read(self, body: bytes, peer: str) -> Chat:
        address = peer.rpartition(":")[0]
        waiting = Waiting(body, address, peer, asyncio.get_running_loop().create_future())
        for leaving in self._queue.put(waiting):
            _settle(leaving, Overloaded("too many large chats wait: send features, or try again"))
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._read_all())
        try:
            outcome = await waiting.answer
        finally:
            self._queue.discard(waiting)
        try:
            if isinstance(outcome, Exception):
                raise outcome
            return outcome
        finally:  # an error that is told would keep this frame, and with it the request, in a cycle
            del outcome, waiting, body

    async def close(self) -> None:
        """Ends the process; whoever still waits is refused."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait((self._work,))
        while (waiting := self._queue.take()) is not None:
            _settle(waiting, _stopping())
        await self._process.stop()

    async def _read_all(self) -> None:
        while (waiting := self._queue.take()) is not None:
            outcome: Chat | Exception = _stopping()
            try:
                outcome = await self._outcome(waiting.body)
            finally:  # it is told even if the work is cancelled
                _settle(waiting, outcome)

    async def _outcome(self, body: bytes | memoryview) -> Chat | Exception:
        try:
            return chat_of(await self._answer(body))
        except TimeoutError:
            seconds = self._process.answer_s_max
            return PayloadTooLarge(
                f"reading it took longer than {seconds:g} s: send features instead", field=_FIELD
            )
        except Died:
            return PayloadTooLarge(
                "the process that read it ended twice: send features instead", field=_FIELD
            )
        except StartFailed:
            return Overloaded("large chats cannot be read now: send features, or try again")
        except Exception as error:  # noqa: BLE001 - whoever waits raises it, or none is left to
            return error

    async def _answer(self, body: bytes | memoryview) -> bytes:
        for _ in range(_TRIES - 1):
            try:
                return await self._process.ask(body)
            except Died:
                continue
        return await self._process.ask(body)


def _settle(waiting: Waiting, outcome: Chat | Exception) -> None:
    if not waiting.answer.done():  # its caller is still there
        waiting.answer.set_result(outcome)


def _stopping() -> Overloaded:
    return Overloaded("the worker stops: try again")
