"""Each error says, by its class, what the caller can do, and carries what the server told."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, Help, QuotaFailure, RetryInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode

from tests.client.both_clients import QUICK, AnyClient, AnyClientClass, settled
from tests.client.contract_server import ContractServicer, Refusal, overloaded, silent
from turnout import (
    DeadlineExceeded,
    InternalError,
    InvalidRequest,
    NotPermitted,
    TurnoutError,
    Unavailable,
    Unreachable,
    UpstreamError,
    UpstreamUnreachable,
    Violation,
)


def said(reason: str, domain: str = "turnout") -> Sequence[Message]:
    return [ErrorInfo(reason=reason, domain=domain)]


SOON = RetryInfo(retry_delay=Duration(seconds=1))
LATER = RetryInfo(retry_delay=Duration(seconds=600))  # beyond any time that a test gives
BUDGET = [*said("BUDGET_EXHAUSTED"), QuotaFailure()]

MEANINGS = [
    (StatusCode.INVALID_ARGUMENT, said("UNKNOWN_CLASS"), InvalidRequest),
    (StatusCode.NOT_FOUND, said("UNKNOWN_CLASS"), InvalidRequest),
    (StatusCode.INVALID_ARGUMENT, said("PAYLOAD_MALFORMED"), InvalidRequest),
    (StatusCode.RESOURCE_EXHAUSTED, said("PAYLOAD_TOO_LARGE"), InvalidRequest),
    (StatusCode.ALREADY_EXISTS, said("USAGE_DUPLICATE"), InvalidRequest),
    (StatusCode.OUT_OF_RANGE, (), InvalidRequest),
    (StatusCode.FAILED_PRECONDITION, said("NO_CANDIDATE"), NotPermitted),
    (StatusCode.RESOURCE_EXHAUSTED, BUDGET, NotPermitted),
    (StatusCode.PERMISSION_DENIED, (), NotPermitted),
    (StatusCode.UNAUTHENTICATED, said("UNAUTHENTICATED"), NotPermitted),
    (StatusCode.UNAUTHENTICATED, said("KEY_UNKNOWN"), NotPermitted),
    (StatusCode.PERMISSION_DENIED, said("KEY_CLASS"), NotPermitted),
    (StatusCode.RESOURCE_EXHAUSTED, said("KEY_RATE"), InvalidRequest),
    (StatusCode.RESOURCE_EXHAUSTED, [*said("KEY_RATE"), LATER], Unavailable),
    (StatusCode.UNAVAILABLE, said("NO_ENDPOINT"), Unavailable),
    (StatusCode.CANCELLED, (), Unavailable),
    (StatusCode.DEADLINE_EXCEEDED, said("DEADLINE_PAST"), DeadlineExceeded),
    (StatusCode.DEADLINE_EXCEEDED, said("UPSTREAM_DEADLINE", "upstream"), DeadlineExceeded),
    (StatusCode.UNAVAILABLE, said("UPSTREAM_UNAVAILABLE", "upstream"), UpstreamError),
    (
        StatusCode.UNAVAILABLE,
        [*said("UPSTREAM_UNAVAILABLE", "upstream"), SOON],
        UpstreamUnreachable,
    ),
    (StatusCode.INVALID_ARGUMENT, said("UPSTREAM_INVALID_ARGUMENT", "upstream"), UpstreamError),
    (StatusCode.INTERNAL, said("INTERNAL"), InternalError),
    (StatusCode.UNKNOWN, (), InternalError),
    (StatusCode.UNIMPLEMENTED, (), InternalError),
]


@pytest.mark.parametrize(("code", "details", "meaning"), MEANINGS)
async def test_the_class_of_an_error_says_what_can_be_done(
    client: AnyClient,
    servicer: ContractServicer,
    code: StatusCode,
    details: Sequence[Message],
    meaning: type[TurnoutError],
) -> None:
    servicer.refusals.append(Refusal(code, details))
    with pytest.raises(TurnoutError) as raised:
        await settled(client.infer(b""))
    assert type(raised.value) is meaning


async def test_an_error_carries_its_reason_and_the_fields_to_blame(
    client: AnyClient, servicer: ContractServicer
) -> None:
    blamed = BadRequest.FieldViolation(
        field="context.traffic_class", description="one of chat, code"
    )
    details = [
        ErrorInfo(reason="UNKNOWN_CLASS", domain="turnout"),
        BadRequest(field_violations=[blamed]),
    ]
    refusal = Refusal(StatusCode.INVALID_ARGUMENT, details, message="there is no class 'chatt'")
    servicer.refusals.append(refusal)
    with pytest.raises(InvalidRequest) as raised:
        await settled(client.route(traffic_class="chatt"))
    error = raised.value
    assert (error.reason, error.domain) == ("UNKNOWN_CLASS", "turnout")
    assert error.message == "there is no class 'chatt'"
    assert error.violations == (Violation("context.traffic_class", "one of chat, code"),)
    assert str(error) == (
        "UNKNOWN_CLASS: there is no class 'chatt'; context.traffic_class: one of chat, code. "
        "Correct the request: as it is, it will be refused again."
    )


async def test_an_error_says_when_to_come_back(
    client: AnyClient, servicer: ContractServicer
) -> None:
    servicer.refusals.append(overloaded(retry_after_s=12.5))
    with pytest.raises(Unavailable) as raised:
        await settled(client.route(timeout_s=5))
    assert raised.value.retry_after_s == pytest.approx(12.5)


async def test_a_server_without_details_is_taken_by_its_status_alone(
    client: AnyClient, servicer: ContractServicer
) -> None:
    servicer.refusals.append(silent())
    with pytest.raises(Unavailable, match="not now") as raised:
        await settled(client.infer(b""))
    error = raised.value
    assert (error.reason, error.domain, error.violations) == ("", "", ())
    assert error.retry_after_s is None


@pytest.mark.parametrize("error", [Unreachable, UpstreamUnreachable])
def test_what_was_never_sent_is_never_said_to_be_paid_for_twice(error: type[TurnoutError]) -> None:
    assert "paid" not in str(error("the endpoint cannot be reached: Connection refused"))


# A status that is none, and one whose details are none: an ErrorInfo cut short.
CUT = Status()
CUT.details.add(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\x0a\x7f")


@pytest.mark.parametrize("trailer", [b"\xff\xff", CUT.SerializeToString()])
async def test_details_that_cannot_be_read_are_left_out(
    client: AnyClient, servicer: ContractServicer, trailer: bytes
) -> None:
    servicer.refusals.append(Refusal(StatusCode.FAILED_PRECONDITION, trailer=trailer))
    with pytest.raises(NotPermitted, match="not now") as raised:
        await settled(client.route())
    assert raised.value.reason == ""


async def test_details_of_unknown_kinds_are_left_out(
    client: AnyClient, servicer: ContractServicer
) -> None:
    details = [Help(), ErrorInfo(reason="NO_CANDIDATE", domain="turnout")]
    servicer.refusals.append(Refusal(StatusCode.FAILED_PRECONDITION, details))
    with pytest.raises(NotPermitted) as raised:
        await settled(client.route())
    assert raised.value.reason == "NO_CANDIDATE"


async def test_a_negative_pause_is_none(client: AnyClient, servicer: ContractServicer) -> None:
    pause = RetryInfo()
    pause.retry_delay.seconds = -5
    details = [ErrorInfo(reason="NO_CANDIDATE", domain="turnout"), pause]
    servicer.refusals.append(Refusal(StatusCode.FAILED_PRECONDITION, details))
    with pytest.raises(NotPermitted) as raised:
        await settled(client.route())
    assert raised.value.retry_after_s == 0.0


# gRPC's own words for a call that found no connection, said of another connection than ours.
@pytest.mark.parametrize(
    ("refusal", "meaning"),
    [
        (Refusal(StatusCode.UNAVAILABLE, said("UPSTREAM_UNAVAILABLE", "upstream")), UpstreamError),
        (Refusal(StatusCode.UNAVAILABLE, said("CONTROL_PLANE_DOWN")), Unavailable),
        (Refusal(StatusCode.INTERNAL), InternalError),
    ],
)
async def test_what_turnout_could_not_reach_does_not_make_turnout_unreachable(
    client: AnyClient, servicer: ContractServicer, refusal: Refusal, meaning: type[TurnoutError]
) -> None:
    servicer.refusals.append(replace(refusal, message="failed to connect to all addresses"))
    with pytest.raises(TurnoutError) as raised:
        await settled(client.infer(b""))
    assert type(raised.value) is meaning
    assert len(servicer.requests) == 1


@pytest.mark.parametrize("address", ["127.0.0.1:1", "unix:/nowhere/turnout.sock", "no host:80"])
async def test_an_address_where_nothing_listens_is_unreachable(
    client_class: AnyClientClass, address: str
) -> None:
    client = client_class(address, retry=QUICK)
    with pytest.raises(Unreachable, match="Check that Turnout runs"):
        await settled(client.route())
    await settled(client.close())


def test_a_message_that_is_its_one_violation_is_said_once() -> None:
    error = InvalidRequest(
        "too long", reason="REQUEST_INVALID", violations=(Violation("context.user", "too long"),)
    )
    assert str(error).startswith("REQUEST_INVALID: context.user: too long. ")
