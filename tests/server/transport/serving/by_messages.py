"""Calls of one servicer, and the messages of their answers."""

from server.transport.grpc.messages import MessageBuffer
from tests.server.transport.serving.raw_caller import (
    Answer,
    Servicer,
    calling,
    serving,
)


def messages(data: bytes) -> list[bytes | memoryview]:
    buffer, found = MessageBuffer(2**24, gzip=True), []
    buffer.append(data)
    while (message := buffer.next()) is not None or buffer.is_behind:
        if message is not None:
            found.append(message)
    assert buffer.is_between
    return found


async def called(servicer: Servicer, *fields: tuple[bytes, bytes], **changed: str) -> Answer:
    async with serving(unary_Call=servicer) as (_, address), calling(address) as caller:
        return await caller.call("Call", b"hello", *fields, **changed)
