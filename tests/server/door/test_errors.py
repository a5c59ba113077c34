"""Errors in OpenAI's form; the table of docs/openai.md is this one."""

import json
import re
from http import HTTPStatus
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog

from server.door.errors import BY_CODE, Refusal, bytes_of, refusal_of, status_of
from server.door.framing import FramingError
from server.routing import errors
from server.routing.errors import RoutingError, Shed, UpstreamFailed
from server.rpc.errors import STATUS

PAGE = (Path(__file__).parents[3] / "docs" / "openai.md").read_text()


# Those of reports, which the door does not take; and whoever takes nothing cannot be told.
NEVER_ANSWERED = {
    errors.UsageDuplicate,
    errors.DecisionExpired,
    errors.DecisionTenant,
    errors.QualityInvalid,
    errors.ReaderStalled,
}


def made(kind: type[RoutingError]) -> RoutingError:
    return Shed("chat", 0.5, "budget all") if kind is Shed else kind("no")


def error_of(refusal: Refusal) -> Any:
    return json.loads(refusal.body)["error"]


@pytest.mark.parametrize("kind", [one for one in STATUS if one not in NEVER_ANSWERED])
def test_the_page_says_the_status_of_each_reason(kind: type[RoutingError]) -> None:
    status = status_of(made(kind))
    rows = re.findall(r"^\| (\d+) \| (.*?) \|", PAGE, re.MULTILINE)
    assert [int(code) for code, reasons in rows if f"`{kind.reason}`" in reasons] == [status.value]


def test_an_error_says_what_is_wrong_where_and_why() -> None:
    refusal = refusal_of(errors.PayloadMalformed("must be text", field="openai_chat.messages[0]"))
    assert refusal.status is HTTPStatus.BAD_REQUEST
    assert error_of(refusal) == {
        "message": "must be text",
        "type": "invalid_request_error",
        "param": "messages[0]",
        "code": "PAYLOAD_MALFORMED",
    }


@pytest.mark.parametrize(
    ("field", "param"),
    [
        ("", None),
        ("openai_chat", None),
        ("context.tenant", "x-turnout-tenant"),
        ("context.labels", "x-turnout-labels"),
        ("model", "model"),
    ],
)
def test_the_field_is_named_as_its_sender_knows_it(field: str, param: str | None) -> None:
    assert error_of(refusal_of(errors.InvalidRequest("no", field=field)))["param"] == param


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.Unauthenticated("no"), "authentication_error"),
        (errors.UnknownClass("no"), "not_found_error"),
        (errors.Overloaded("no"), "rate_limit_error"),
        (errors.NotReady("no"), "server_error"),
        (errors.NoCandidate("no"), "invalid_request_error"),
    ],
)
def test_the_type_is_one_that_clients_know(error: RoutingError, kind: str) -> None:
    assert error_of(refusal_of(error))["type"] == kind


def test_overload_says_when_to_come_back_and_shed_at_another_time_for_each() -> None:
    shed = Shed("chat", 0.5, "budget all")
    chances = iter((0.0, 0.25, 0.75))
    waits = [refusal_of(shed, chance=lambda: next(chances)).headers for _ in range(3)]
    assert waits == [
        {"retry-after": "1", "retry-after-ms": "1000"},
        {"retry-after": "2", "retry-after-ms": "1500"},
        {"retry-after": "3", "retry-after-ms": "2500"},
    ]
    assert refusal_of(shed).status is HTTPStatus.TOO_MANY_REQUESTS
    assert refusal_of(errors.NotReady("no")).headers["retry-after"] == "1"


def test_where_a_model_may_have_been_paid_stock_clients_are_told_not_to_ask_again() -> None:
    code = grpc.StatusCode.UNAVAILABLE.value[0]
    failed = UpstreamFailed("no", reason="UPSTREAM_UNAVAILABLE", code=code)
    assert refusal_of(failed).headers == {"x-should-retry": "false"}
    assert refusal_of(failed).status is HTTPStatus.SERVICE_UNAVAILABLE
    unsent = UpstreamFailed("no", reason="UPSTREAM_UNAVAILABLE", code=code, is_sent=False)
    assert "retry-after" in refusal_of(unsent).headers


def test_every_status_that_an_endpoint_can_mean_has_one_of_http() -> None:
    unsaid = {
        grpc.StatusCode.OK,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.DATA_LOSS,
    }
    assert set(BY_CODE) == set(grpc.StatusCode) - unsaid  # those are 500


def test_an_unexpected_error_tells_nothing_and_the_log_no_content() -> None:
    with structlog.testing.capture_logs() as logs:
        refusal = refusal_of(ValueError("my prompt"))
    assert refusal.status is HTTPStatus.INTERNAL_SERVER_ERROR
    assert error_of(refusal)["message"] == "internal error"
    assert logs[0]["error"] == "ValueError"
    assert "my prompt" not in str(logs)


def test_a_whole_answer_is_one_of_http() -> None:
    head, _, body = bytes_of(refusal_of(FramingError("host is missing"))).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 400 Bad Request"
    assert "connection: close" in lines
    assert f"content-length: {len(body)}" in lines
    assert json.loads(body)["error"]["code"] == "REQUEST_INVALID"
