"""What well-behaved callers call through: our channel, and grpcio's."""

import asyncio
import contextlib
from typing import Protocol

import grpc

from server.status_code import Code
from server.transport.channel.channel import Channel
from server.transport.grpc.answer import CallFailed

# Far more than any call takes, so that one that is late was lost.
DEADLINE_S = 20.0
_NOT_HELD = "the stream ended, or said more than it had to"


class Refused(Exception):
    """A call ended with another status than OK."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{Code(code).name}: {message}")
        self.code = code


class Client(Protocol):
    """Of either kind: ours and grpcio's."""

    async def unary(self, path: str, request: bytes, timeout_s: float) -> bytes:
        """The answer; raises Refused."""

    async def first(self, path: str, request: bytes, held_s: float) -> bytes:
        """The first answer of a stream that has to live for a while; raises Refused."""

    async def close(self) -> None:
        """Ends what is left."""


class Ours:
    """Our channel."""

    def __init__(self, address: str) -> None:
        self._channel = Channel(address)

    async def unary(self, path: str, request: bytes, timeout_s: float) -> bytes:
        try:
            return bytes(await self._channel.unary(path, request, timeout_s=timeout_s))
        except CallFailed as failure:
            raise Refused(failure.code, str(failure)) from None

    async def first(self, path: str, request: bytes, held_s: float) -> bytes:
        try:
            async with self._channel.stream(path, timeout_s=DEADLINE_S + held_s) as call:
                await call.send(request)
                call.half_close()
                answer = await anext(call, b"")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(held_s):
                        await anext(call, b"")
                    raise Refused(Code.OK, _NOT_HELD)
                return answer
        except CallFailed as failure:
            raise Refused(failure.code, str(failure)) from None

    async def close(self) -> None:
        await self._channel.close()


class Grpcio:
    """A channel of grpcio."""

    def __init__(self, address: str) -> None:
        # A connection of its own: channels of one process share them otherwise.
        options = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1))
        self._channel = grpc.aio.insecure_channel(address, options)

    async def unary(self, path: str, request: bytes, timeout_s: float) -> bytes:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(path)
        try:
            return await call(request, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            raise _refused(error) from None

    async def first(self, path: str, request: bytes, held_s: float) -> bytes:
        multi: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = self._channel.unary_stream(path)
        call = multi(request, timeout=DEADLINE_S + held_s)
        try:
            answer = await call.read()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(held_s):
                    await call.read()
                raise Refused(Code.OK, _NOT_HELD)
        except grpc.aio.AioRpcError as error:
            raise _refused(error) from None
        finally:
            call.cancel()
        return answer if isinstance(answer, bytes) else b""

    async def close(self) -> None:
        await self._channel.close()


def _refused(error: grpc.aio.AioRpcError) -> Refused:
    return Refused(error.code().value[0], error.details() or "")
