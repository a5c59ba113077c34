"""What the worst requests that may arrive cost in memory; run as a process of its own."""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

from server.dispatch.dispatcher import Dispatcher
from server.routing.counters import Counters
from server.routing.decision_id import KEY_BYTES, Sealer
from server.routing.errors import DeadlinePast, RoutingError
from server.routing.router import Router
from server.routing.selector import Selector, WeightTable
from server.rpc.errors import Context
from server.rpc.method_limits import MESSAGE_BYTES_MAX
from server.rpc.openai_chat import Chat
from server.rpc.routing import RoutingServicer
from tests.server.routing.configs import config
from tests.server.rpc.service import CELL, NOW_S, shares_of
from turnout.v1 import routing_pb2 as pb

_SERVICE = "/turnout.v1.RoutingService/"


def filled(part: bytes, method: str) -> bytes:
    """The part again and again, up to what the method takes."""
    return part * (MESSAGE_BYTES_MAX[_SERVICE + method] // len(part))


def field(number: int, content: bytes) -> bytes:
    octets, size = bytearray([number << 3 | 2]), len(content)
    while size > 127:
        octets.append(size & 127 | 128)
        size >>= 7
    return bytes(octets) + bytes([size]) + content


def _users(count: int) -> bytes:
    requests = [
        pb.RouteRequest(context=pb.RequestContext(user=f"u{n}", request_id=f"r{n}"))
        for n in range(count)
    ]
    return pb.RouteBatchRequest(requests=requests).SerializeToString()


# Each is made where it is measured: together they would be large.
CASES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "contexts": ("Route", lambda: filled(b"\x0a\x00", "Route")),
    "capabilities": ("Route", lambda: filled(b"\x7a\x02\x22\x00", "Route")),
    "capabilities-at-once": ("Route", lambda: field(15, b"\x22\x00" * (2**23 - 9))),
    "text": ("Route", lambda: field(2, "\U0001f600".encode() * (2**22 - 9))),
    "tensors": ("Route", lambda: field(3, b"\x2a\x00" * (2**23 - 9))),
    "chat": ("Route", lambda: field(4, b"[" * (2**24 - 9))),
    "payload": ("Infer", lambda: field(3, field(7, bytes(2**25)))),
    "infer-contexts": ("Infer", lambda: filled(b"\x0a\x00", "Infer")),
    "too-many-requests": ("RouteBatch", lambda: filled(b"\x0a\x00", "RouteBatch")),
    "requests": ("RouteBatch", lambda: b"\x0a\x00" * 10_000),
    "users": ("RouteBatch", lambda: _users(10_000)),
    "large-requests": (
        "RouteBatch",
        lambda: filled(field(1, field(2, b"x" * 60_000)), "RouteBatch"),
    ),
    "requests-of-capabilities": (
        "RouteBatch",
        lambda: filled(field(1, field(15, b"\x22\x00" * 2_000)), "RouteBatch"),
    ),
    "too-many-outcomes": ("Report", lambda: filled(b"\x0a\x00", "Report")),
    "outcomes": ("Report", lambda: b"\x0a\x00" * 1_000),
    "outcomes-of-feedback": ("Report", lambda: field(1, b"\x1a\x00" * 2_040) * 1_000),
    "outcomes-of-usage": ("Report", lambda: field(1, b"\x12\x00" * 2_040) * 1_000),
}


class _Called:
    """A call without metadata."""

    def invocation_metadata(self) -> tuple[()]:
        return ()

    def time_remaining(self) -> float:
        return 1.0


class _Forwarding:
    """Stands for the dispatcher: what a payload costs behind it is not measured here."""

    async def infer(self, *_: object, **__: object) -> None:
        raise DeadlinePast("no time")


async def _settle(outcomes: Sequence[pb.Outcome]) -> Sequence[pb.OutcomeResult]:
    return [pb.OutcomeResult() for _ in outcomes]


async def _read_chat(body: bytes, peer: str) -> Chat:
    raise DeadlinePast("not measured here")


def _servicer() -> RoutingServicer:
    router = Router(Selector(), Sealer(bytes(KEY_BYTES), boot=7), Counters(), chance=lambda: 0.5)
    router.configure(config())
    router.publish(WeightTable("p1", {CELL: shares_of(1.0)}))
    return RoutingServicer(
        router,
        cast("Dispatcher", _Forwarding()),
        _settle,
        _read_chat,
        lambda _: None,
        now_s=lambda: NOW_S,
        chance=lambda: 0.5,
    )


def _resident(line: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{line}:")[1].split()[0]) * 1_024


async def _answered(servicer: RoutingServicer, method: str, data: memoryview) -> None:
    with suppress(RoutingError):
        await getattr(servicer, method)(data, cast("Context", _Called()))


def _measured(method: str, data: bytes) -> int:
    """How many bytes the process grew by at most while it answered or refused."""
    servicer, given = _servicer(), memoryview(data)
    Path("/proc/self/clear_refs").write_text("5")  # the highest so far is forgotten
    before = _resident("VmRSS")
    asyncio.run(_answered(servicer, method, given))
    return _resident("VmHWM") - before


def _in_a_child(method: str, make: Callable[[], bytes]) -> tuple[int, int]:
    """The size of a request and what it cost; nothing that was freed before is used again."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        data = make()
        cost = _measured(method, data)
        os.write(writing, json.dumps((len(data), cost)).encode())
        os._exit(0)
    os.wait()
    size, cost = json.loads(os.read(reading, 100))
    return size, cost


if __name__ == "__main__":
    costs = {name: _in_a_child(*case) for name, case in CASES.items()}
    sys.stdout.write(json.dumps(costs))
