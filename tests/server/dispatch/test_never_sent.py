"""A call that never left cannot have been paid: from the socket to the words of the client."""

import asyncio
import socket
from typing import Any

import grpc
import pytest

from server.dispatch.dispatcher import Dispatcher
from server.dispatch.exchange import TENSORS, Asked
from server.routing.catalog import PayloadKind
from server.routing.counters import Counters
from server.routing.decision_id import Sealer
from server.routing.errors import UpstreamFailed
from server.routing.query import Query
from server.routing.router import Router
from server.routing.selector import Selector
from server.rpc.errors import status_of
from server.upstream.upstreams import Upstreams
from tests.server.routing.configs import config, model
from tests.server.upstream.endpoint import FakeEndpoint, refusing, serving
from turnout import UpstreamError, UpstreamUnreachable
from turnout.errors import TurnoutError
from turnout.status import error_of


class Raised(grpc.RpcError):
    """What a client of gRPC raises where a servicer raised this."""

    def __init__(self, error: Exception) -> None:
        self._status = status_of(error)

    def code(self) -> grpc.StatusCode:
        return next(one for one in grpc.StatusCode if one.value[0] == self._status.code)

    def details(self) -> str:
        return str(self._status.message)

    def trailing_metadata(self) -> Any:
        return (("grpc-status-details-bin", self._status.SerializeToString()),)


@pytest.fixture
def nowhere() -> str:
    """An address where connections are refused."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{one.getsockname()[1]}"


async def told(first: str, second: str) -> TurnoutError:
    """What a caller of Infer is told where neither of two models answers."""
    router = Router(Selector(), Sealer(bytes(32), boot=7), Counters(), chance=lambda: 0.5)
    models = (
        model("small", endpoints=(first,), price={"request_usd": 0.0001}),
        model("large", endpoints=(second,)),
    )
    router.configure(config(*models))
    upstreams = Upstreams({}, now_s=asyncio.get_running_loop().time)
    await upstreams.track(router.models())
    dispatcher = Dispatcher(
        router, upstreams.exchanges, Counters(), now_s=lambda: 100.0, chance=lambda: 0.5
    )
    query = Query(payload_kind=PayloadKind.TENSORS)
    with pytest.raises(UpstreamFailed) as failed:
        await dispatcher.infer(query, Asked(b"", TENSORS), timeout_s=20)
    await upstreams.close()
    return error_of(Raised(failed.value))


async def test_a_request_that_reached_no_endpoint_is_never_said_to_be_paid_for_twice(
    nowhere: str,
) -> None:
    error = await told(nowhere, nowhere)
    assert isinstance(error, UpstreamUnreachable)
    assert error.reason == "UPSTREAM_UNAVAILABLE"
    assert "cannot be reached" in str(error)
    assert "paid" not in str(error)


@pytest.mark.parametrize("refused_first", [True, False])
async def test_a_request_that_an_endpoint_saw_is_told_of_by_that_endpoint(
    nowhere: str, refused_first: bool
) -> None:
    """So what cannot be reached is never what may be paid for, whoever was asked last."""
    endpoint = FakeEndpoint(refusing(grpc.StatusCode.INTERNAL, "out of memory"))
    async with serving(endpoint):
        both = (nowhere, endpoint.address)
        error = await told(*(both if refused_first else reversed(both)))
    assert len(endpoint.requests) == 1
    assert type(error) is UpstreamError
    assert error.reason == "UPSTREAM_INTERNAL"
    assert "out of memory" in str(error)
    assert "paid for twice" in str(error)
    assert "cannot be reached" not in str(error)
