"""A call is sent again where that is safe, and only there."""

import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from grpc import StatusCode

from tests.client.both_clients import QUICK, AnyClient, AnyClientClass, settled
from tests.client.contract_server import ContractServicer, Refusal, overloaded, silent
from tests.client.front import fronting
from turnout import (
    InvalidRequest,
    Outcome,
    RetryPolicy,
    TurnoutError,
    Unavailable,
    UpstreamError,
    UpstreamUnreachable,
)

# gRPC itself pauses for 100 ms between two connections.
PATIENT = RetryPolicy(attempts_max=200, backoff_first_s=0.01, backoff_s_max=0.02)
SOON = RetryInfo(retry_delay=Duration(nanos=1))
UPSTREAM_DOWN = Refusal(
    StatusCode.UNAVAILABLE, [ErrorInfo(reason="UPSTREAM_UNAVAILABLE", domain="upstream")]
)
UPSTREAM_UNREACHABLE = Refusal(UPSTREAM_DOWN.code, [*UPSTREAM_DOWN.details, SOON])
PROXY_BUSY = Refusal(
    StatusCode.UNAVAILABLE, [ErrorInfo(reason="BUSY", domain="proxy.example"), SOON]
)


@pytest.mark.parametrize("refusal", [overloaded(), silent()])
async def test_a_route_is_sent_again(
    client: AnyClient, servicer: ContractServicer, refusal: Refusal
) -> None:
    servicer.refusals.extend([refusal, refusal])
    assert (await settled(client.route())).decision_id == "decision-3"


async def test_a_report_is_sent_again(client: AnyClient, servicer: ContractServicer) -> None:
    servicer.refusals.append(silent())
    await settled(client.report("d-1", quality=1.0))
    assert len(servicer.requests) == 2


async def test_a_report_whose_answer_was_lost_counts_once_and_is_no_duplicate(
    client: AnyClient, servicer: ContractServicer
) -> None:
    servicer.refusals.append(Refusal(StatusCode.UNAVAILABLE, after_work=True))
    results = await settled(client.report_many([Outcome(decision_id="d-1", latency_s=0.1)]))
    assert [result.counted for result in results] == [True]


async def test_a_report_that_is_sent_again_is_still_refused_for_other_reasons(
    client: AnyClient, servicer: ContractServicer
) -> None:
    servicer.refusals.append(silent())
    with pytest.raises(InvalidRequest, match="QUALITY_INVALID"):
        await settled(client.report("d-1", quality=2.0))


async def test_an_infer_is_sent_again_where_turnout_asked_no_model(
    client: AnyClient, servicer: ContractServicer
) -> None:
    servicer.refusals.append(overloaded())
    assert (await settled(client.infer(b""))).decision_id == "decision-2"


@pytest.mark.parametrize("refusal", [silent(), UPSTREAM_DOWN, PROXY_BUSY])
async def test_an_infer_is_not_sent_again_where_a_model_may_have_been_asked(
    client: AnyClient, servicer: ContractServicer, refusal: Refusal
) -> None:
    servicer.refusals.append(refusal)
    with pytest.raises((Unavailable, UpstreamError)):
        await settled(client.infer(b""))
    assert len(servicer.requests) == 1


async def test_an_infer_that_reached_no_endpoint_is_its_callers_to_repeat(
    client: AnyClient, servicer: ContractServicer
) -> None:
    """Turnout has tried another endpoint already."""
    servicer.refusals.append(UPSTREAM_UNREACHABLE)
    with pytest.raises(UpstreamUnreachable, match="nothing was sent, so you may ask again"):
        await settled(client.infer(b""))
    assert len(servicer.requests) == 1


async def test_an_infer_is_sent_again_where_no_connection_was_made(
    client_class: AnyClientClass, address: str, servicer: ContractServicer
) -> None:
    with fronting(address, refusals=1) as front:
        client = client_class(front, timeout_s=20, retry=PATIENT)
        assert (await settled(client.infer(b""))).model == "small"
        await settled(client.close())
    assert len(servicer.requests) == 1


async def test_an_infer_is_not_sent_again_where_its_connection_broke(
    client_class: AnyClientClass, address: str, servicer: ContractServicer
) -> None:
    with fronting(address, cut_on=b"precious", cuts=1) as front:
        client = client_class(front, timeout_s=20, retry=PATIENT)
        with pytest.raises(Unavailable):
            await settled(client.infer(b"", request_id="precious"))
        await settled(client.close())
    assert servicer.requests == []


async def test_a_route_is_sent_again_where_its_connection_broke(
    client_class: AnyClientClass, address: str
) -> None:
    with fronting(address, cut_on=b"precious", cuts=1) as front:
        client = client_class(front, timeout_s=20, retry=PATIENT)
        assert (await settled(client.route(request_id="precious"))).model == "small"
        await settled(client.close())


async def test_a_call_is_given_up_after_so_many_attempts(
    client: AnyClient, servicer: ContractServicer
) -> None:
    servicer.refusals.extend([silent()] * 9)
    with pytest.raises(Unavailable):
        await settled(client.route())
    assert len(servicer.requests) == QUICK.attempts_max


@pytest.mark.parametrize(
    "code", [StatusCode.INVALID_ARGUMENT, StatusCode.INTERNAL, StatusCode.DEADLINE_EXCEEDED]
)
async def test_what_another_attempt_cannot_change_is_not_sent_again(
    client: AnyClient, servicer: ContractServicer, code: StatusCode
) -> None:
    servicer.refusals.append(Refusal(code))
    with pytest.raises(TurnoutError):
        await settled(client.route())
    assert len(servicer.requests) == 1


async def test_every_attempt_has_what_is_left_of_the_calls_time(
    client: AnyClient, servicer: ContractServicer
) -> None:
    servicer.refusals.append(overloaded(retry_after_s=0.3))
    await settled(client.route(timeout_s=3))
    _, second_s = servicer.times_remaining_s
    assert 0 < (second_s or 0) < 2.75  # 2.7, which gRPC rounds up


async def test_a_call_is_not_held_for_a_pause_that_outlasts_its_time(
    client: AnyClient, servicer: ContractServicer
) -> None:
    servicer.refusals.append(overloaded(retry_after_s=3_600))
    with pytest.raises(Unavailable):
        await settled(client.route(timeout_s=5))
    assert len(servicer.requests) == 1
