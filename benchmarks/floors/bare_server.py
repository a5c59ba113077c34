"""The least a gRPC server in Python costs: grpc.aio on uvloop, one handler, messages left as bytes.

`--answer HEX` answers every call with the same bytes, whatever is asked; `--forward-to HOST:PORT`
passes every call on, and back what is answered. Prints its port and serves until SIGTERM or the end
of its standard input.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable

import grpc
import uvloop

Context = grpc.aio.ServicerContext[bytes, bytes]
Answer = Callable[[bytes, Context], Awaitable[bytes]]

# What a forwarded call is called upstream, where every method is answered alike.
_METHOD = "/bare.Server/Call"


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


def forwarding(channel: grpc.aio.Channel) -> Answer:
    """Passes calls on with the time that is left of theirs."""
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(_METHOD)

    async def answer(request: bytes, context: Context) -> bytes:
        return await call(request, timeout=context.time_remaining())

    return answer


async def serve(answer: Answer) -> None:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    # Nothing is ever written to it: it is readable when who started us is gone.
    loop.add_reader(sys.stdin.fileno(), over.set)
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((AnyMethod(answer),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await over.wait()
    await server.stop(None)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    does = parser.add_mutually_exclusive_group(required=True)
    does.add_argument("--answer", type=bytes.fromhex)
    does.add_argument("--forward-to")
    arguments = parser.parse_args()
    if arguments.forward_to is None:
        await serve(constant(arguments.answer))
    else:
        async with grpc.aio.insecure_channel(arguments.forward_to) as channel:
            await serve(forwarding(channel))


if __name__ == "__main__":
    uvloop.run(main())
