"""`python -m benchmarks.soak.endpoint turnout|grpcio`: a model that gives back what it is sent.

A request whose id is "slow" is answered after SLOW_S, if its caller still waits. Prints where it
listens, and serves until SIGTERM or the end of its standard input.
"""

import asyncio
import random
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import grpc
import uvloop

from server.transport.server import Server
from server.transport.server_limits import ServerLimits
from server.wire import oip_pb2

SLOW = "slow"
SLOW_S = 5.0
_MESSAGE_BYTES_MAX = 64 * 2**20
_ADDRESS = "127.0.0.1:0"


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


TRANSPORTS: Mapping[str, Callable[[], AbstractAsyncContextManager[str]]] = {
    "turnout": _turnout,
    "grpcio": _grpcio,
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
