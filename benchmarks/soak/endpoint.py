"""`python -m benchmarks.soak.endpoint turnout|grpcio|overrunning`: a model that gives back what it
is sent, but for the last, which sends more than it may.

A request whose id is "slow" is answered after SLOW_S, if its caller still waits. Prints where it
listens, and serves until SIGTERM or the end of its standard input.
"""

import asyncio
import contextlib
import random
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import grpc
import uvloop

from benchmarks.soak import raw
from benchmarks.soak.raw import frame
from server.transport.serving.limits import ServerLimits
from server.transport.serving.server import Server
from server.wire import oip_pb2

SLOW = "slow"
SLOW_S = 5.0
_MESSAGE_BYTES_MAX = 64 * 2**20
_ADDRESS = "127.0.0.1:0"
# A frame with its prefix.
_MESSAGE_BYTES = 16_384 - 5
_ANSWERED = b"\x88" + raw.literal("content-type", "application/grpc")  # :status 200


async def infer(request: oip_pb2.ModelInferRequest, _context: Any) -> oip_pb2.ModelInferResponse:
    if request.id == SLOW:
        await asyncio.sleep(SLOW_S)
    return oip_pb2.ModelInferResponse(
        model_name=request.model_name,
        id=request.id,
        raw_output_contents=request.raw_input_contents,
    )


def _handler() -> grpc.GenericRpcHandler:
    method = grpc.unary_unary_rpc_method_handler(
        infer,
        request_deserializer=oip_pb2.ModelInferRequest.FromString,
        response_serializer=oip_pb2.ModelInferResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(
        "inference.GRPCInferenceService", {"ModelInfer": method}
    )


@asynccontextmanager
async def _turnout() -> AsyncIterator[str]:
    server = Server(ServerLimits(message_bytes_max=_MESSAGE_BYTES_MAX), chance=random.random)
    server.add_generic_rpc_handlers((_handler(),))
    yield await server.listen(_ADDRESS)
    await server.stop(0)


@asynccontextmanager
async def _grpcio() -> AsyncIterator[str]:
    size = ("grpc.max_receive_message_length", _MESSAGE_BYTES_MAX)
    server = grpc.aio.server(options=[size, ("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((_handler(),))
    port = server.add_insecure_port(_ADDRESS)
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


@asynccontextmanager
async def _overrunning() -> AsyncIterator[str]:
    async with await asyncio.start_server(_overrun, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"127.0.0.1:{port}"


async def _overrun(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers each call at once with a whole message, and withholds the end: as many calls as fill
    the connection's window are within their right, one more is not.
    """
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        await reader.readexactly(len(raw.PREFACE))
        writer.write(frame(raw.SETTINGS, 0, 0))
        while True:
            start = await reader.readexactly(raw.HEAD_BYTES)
            payload = await reader.readexactly(int.from_bytes(start[:3]))
            kind, flags, stream_id = start[3], start[4], int.from_bytes(start[5:])
            if kind == raw.DATA and flags & raw.END_STREAM:
                writer.write(frame(raw.HEADERS, raw.END_HEADERS, stream_id, _ANSWERED))
                writer.write(raw.body(stream_id, bytes(_MESSAGE_BYTES), flags=0))
            elif kind == raw.PING and not flags & raw.ACK:
                writer.write(frame(raw.PING, raw.ACK, 0, payload))
            await writer.drain()
    writer.close()


TRANSPORTS: Mapping[str, Callable[[], AbstractAsyncContextManager[str]]] = {
    "turnout": _turnout,
    "grpcio": _grpcio,
    "overrunning": _overrunning,
}


async def main(transport: str) -> None:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    # Nothing is ever written to it: it is readable when who started us is gone.
    loop.add_reader(sys.stdin.fileno(), over.set)
    async with TRANSPORTS[transport]() as address:
        print(address, flush=True)
        await over.wait()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
