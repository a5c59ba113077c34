"""The least a gRPC server in Python costs: one handler on uvloop, messages left as bytes.

`--answer HEX` and `--answer-file FILE` answer every call with the same bytes, whatever is asked;
`--forward-to HOST:PORT` passes every call on by grpc.aio, and back what is answered. With `--slots`
only so many calls are served at one time, each for `--service-s`; others queue. The server is
grpc.aio's, or ours with `--transport turnout`. Prints its port and serves until SIGTERM or the end
of its standard input.
"""

import argparse
import asyncio
import random
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import uvloop

from server.transport.serving.server import Server
from server.transport.sockets.tls import TlsFiles, server_context

Context = grpc.aio.ServicerContext[bytes, bytes]
Answer = Callable[[bytes, Context], Awaitable[bytes]]

# What a forwarded call is called upstream, where every method is answered alike.
_METHOD = "/bare.Server/Call"
ADDRESS = "127.0.0.1:0"


class AnyMethod(grpc.GenericRpcHandler):
    """Answers every method alike."""

    def __init__(self, answer: Answer) -> None:
        self._handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(
            answer
        )

    def service(
        self, _handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[bytes, bytes]":
        return self._handler


def constant(message: bytes) -> Answer:
    async def answer(_request: bytes, _context: Context) -> bytes:
        return message

    return answer


def queueing(answer: Answer, slots: int, service_s: float) -> Answer:
    """Like a model server: who has given up leaves the queue."""
    free = asyncio.Semaphore(slots)

    async def answer_in_turn(request: bytes, context: Context) -> bytes:
        async with free:
            await asyncio.sleep(service_s)
            return await answer(request, context)

    return answer_in_turn


def forwarding(channel: grpc.aio.Channel) -> Answer:
    """Passes calls on with the time that is left of theirs."""
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(_METHOD)

    async def answer(request: bytes, context: Context) -> bytes:
        return await call(request, timeout=context.time_remaining())

    return answer


async def serve(answer: Answer, transport: str, tls: tuple[Path, Path] | None) -> None:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    # Nothing is ever written to it: it is readable when who started us is gone.
    loop.add_reader(sys.stdin.fileno(), over.set)
    listening = _grpcio if transport == "grpcio" else _turnout
    async with listening(AnyMethod(answer), tls) as port:
        print(port, flush=True)
        await over.wait()


@asynccontextmanager
async def _grpcio(handler: AnyMethod, tls: tuple[Path, Path] | None) -> AsyncIterator[int]:
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((handler,))
    if tls:
        cert, key = (file.read_bytes() for file in tls)
        port = server.add_secure_port(ADDRESS, grpc.ssl_server_credentials([(key, cert)]))
    else:
        port = server.add_insecure_port(ADDRESS)
    await server.start()
    yield port
    await server.stop(None)


@asynccontextmanager
async def _turnout(handler: AnyMethod, tls: tuple[Path, Path] | None) -> AsyncIterator[int]:
    server = Server(chance=random.random)
    server.add_generic_rpc_handlers((handler,))
    address = await server.listen(
        ADDRESS, tls and server_context(TlsFiles(str(tls[0]), str(tls[1]), None))
    )
    yield int(address.rpartition(":")[2])
    await server.stop(0)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    does = parser.add_mutually_exclusive_group(required=True)
    does.add_argument("--answer", type=bytes.fromhex)
    does.add_argument("--answer-file", type=Path)
    does.add_argument("--forward-to")
    parser.add_argument("--transport", choices=("grpcio", "turnout"), default="grpcio")
    parser.add_argument("--slots", type=int)
    parser.add_argument("--service-s", type=float, default=0.0)
    parser.add_argument("--cert-file", type=Path)
    parser.add_argument("--key-file", type=Path)
    arguments = parser.parse_args()
    tls = (arguments.cert_file, arguments.key_file) if arguments.cert_file else None
    if arguments.forward_to is None:
        file = arguments.answer_file
        message = arguments.answer if file is None else file.read_bytes()
        answer = constant(message)
        if arguments.slots:
            answer = queueing(answer, arguments.slots, arguments.service_s)
        await serve(answer, arguments.transport, tls)
    else:
        async with grpc.aio.insecure_channel(arguments.forward_to) as channel:
            await serve(forwarding(channel), arguments.transport, tls)


if __name__ == "__main__":
    uvloop.run(main())
