import json

import grpc
import pytest

from server.wire import oip_pb2
from tests.server.cli.answers import Answers
from tests.server.cli.conftest import Run
from turnout.v1 import routing_pb2 as pb

SHOWN = """\
model        small 2024-11 at 10.0.0.11:8001
because      the plan gives small 25% of this cell, and it is owed the most
class        strict, by the rule of strict
cell         payer insurance, domain law, size s0, payload text
costs about  $0.00021
if it fails  large at 10.0.0.21:8001
             reader (no endpoint: you reach it yourself)
plan         1-204
audit        in the sample: please report how good the answer was
decision     AbC123
"""


def test_the_decision_is_shown_with_its_reason(run: Run, address: str) -> None:
    result = run("route", "--text", "hello", "--address", address)
    assert result.exit_code == 0
    assert "\n".join(line.rstrip() for line in result.stdout.splitlines()) + "\n" == SHOWN


def test_what_is_said_of_the_request_reaches_the_service(
    run: Run, address: str, answers: Answers
) -> None:
    run(
        *("route", "--address", address, "--dry-run", "--text", "hi", "--class", "strict"),
        *("--tenant", "team", "--label", "app=chat", "--label", "x=1=2", "--domain", "law"),
    )
    assert answers.routed == pb.RouteRequest(
        context=pb.RequestContext(
            traffic_class="strict", tenant="team", labels={"app": "chat", "x": "1=2"}
        ),
        text="hi",
        features=pb.Features(domain="law"),
        dry_run=True,
    )


def test_without_text_no_content_is_sent(run: Run, address: str, answers: Answers) -> None:
    run("route", "--address", address)
    assert answers.routed.WhichOneof("content") is None


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("context", "by the request's own word"),
        ("default", "by default: no rule matched"),
        ("forms", "by the rule of forms"),
    ],
)
def test_what_made_the_class_is_told(
    run: Run, address: str, answers: Answers, rule: str, words: str
) -> None:
    answers.decision.reason.rule = rule
    assert words in run("route", "--address", address).stdout


@pytest.mark.parametrize(
    ("basis", "words"),
    [
        (pb.BASIS_PLAN, "the plan's shares for this cell"),
        (pb.BASIS_CLASS, "the plan's shares for this class"),
        (pb.BASIS_GREEDY, "no plan yet"),
    ],
)
def test_a_reason_without_a_sentence_is_told_by_its_basis(
    run: Run, address: str, answers: Answers, basis: pb.Basis.ValueType, words: str
) -> None:
    answers.decision.reason.text = ""
    answers.decision.reason.basis = basis
    assert words in run("route", "--address", address).stdout


def test_a_dry_run_has_no_decision_to_report(run: Run, address: str, answers: Answers) -> None:
    answers.decision.decision_id = ""
    assert "none: a dry run counts nothing" in run("route", "--address", address).stdout


def test_json_is_the_response(run: Run, address: str) -> None:
    response = json.loads(run("route", "--json", "--address", address).stdout)
    assert response["target"]["model"] == "small"
    assert response["expected_cost_nano_usd"] == "210000"
    assert response["request_id"] == ""


@pytest.mark.parametrize("label", ["app", "=chat"])
def test_a_label_without_key_or_value_is_mistyped(run: Run, label: str) -> None:
    result = run("route", "--label", label)
    assert result.exit_code == 2
    assert "is no KEY=VALUE" in result.stderr


def test_markup_in_what_a_service_says_is_only_text(
    run: Run, address: str, answers: Answers
) -> None:
    answers.decision.reason.text = "[bold]law[/bold] [/] matched"
    assert "[bold]law[/bold] [/] matched" in run("route", "--address", address).stdout


def test_where_no_model_takes_text_it_is_asked_about_as_a_tensor(
    run: Run, address: str, answers: Answers
) -> None:
    answers.takes_text = False
    result = run("route", "--text", "hello", "--dry-run", "--address", address)
    assert result.exit_code == 0
    (tensor,) = oip_pb2.ModelInferRequest.FromString(answers.routed.oip_request).inputs
    assert (tensor.datatype, list(tensor.contents.bytes_contents)) == ("BYTES", [b"hello"])
    assert answers.routed.dry_run


def test_features_that_no_model_takes_are_not_asked_about_again(
    run: Run, address: str, answers: Answers
) -> None:
    answers.refuse(grpc.StatusCode.FAILED_PRECONDITION, "NO_CANDIDATE", "no model takes this")
    result = run("route", "--class", "strict", "--address", address)
    assert result.exit_code == 1
    assert "NO_CANDIDATE: no model takes this" in result.stderr
