"""`turnout infer`: what is sent, and what is shown of the answer."""

import json
from pathlib import Path

import grpc
import pytest

from tests.server.cli.answers import Answers
from tests.server.cli.conftest import Run
from turnout.v1 import routing_pb2 as pb

QUESTION = "What is the capital of France?"
BODY = '{"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}'
TOOK = """\
small for $0.000011, 1,014 tokens read, 8 written in 0.19 s: the plan gives small 25% of this cell
decision AbC123
"""


@pytest.mark.parametrize("stream", [(), ("--stream",)], ids=["whole", "in pieces"])
@pytest.mark.parametrize("asked", [(QUESTION,), ("--chat", BODY)], ids=["text", "body"])
def test_the_words_are_output_and_what_they_took_stands_beside(
    run: Run, address: str, stream: tuple[str, ...], asked: tuple[str, ...]
) -> None:
    result = run("infer", *asked, *stream, "--address", address)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "Paris.\n", TOOK)


@pytest.mark.parametrize(
    ("stream", "kind"), [((), pb.InferRequest), (("--stream",), pb.InferStreamRequest)]
)
def test_what_is_said_of_the_request_reaches_the_service(
    run: Run, address: str, answers: Answers, stream: tuple[str, ...], kind: type[pb.InferRequest]
) -> None:
    run(
        *("infer", QUESTION, *stream, "--address", address, "--class", "strict"),
        *("--tenant", "team", "--label", "app=chat"),
    )
    context = pb.RequestContext(traffic_class="strict", tenant="team", labels={"app": "chat"})
    assert answers.inferred == [kind(context=context, features=pb.Features(), text=QUESTION)]


def test_a_body_is_sent_as_it_is(run: Run, address: str, answers: Answers) -> None:
    run("infer", "--chat", BODY, "--address", address)
    assert answers.inferred == [
        pb.InferRequest(
            context=pb.RequestContext(), features=pb.Features(), openai_chat=BODY.encode()
        )
    ]


def test_standard_input_is_read_where_nothing_else_is_named(
    run: Run, address: str, answers: Answers
) -> None:
    assert run("infer", "--address", address, stdin="caf\u00e9?").stdout == "Paris.\n"
    assert run("infer", "--chat", "--file", "-", "--address", address, stdin=BODY).exit_code == 0
    assert [one.text or one.openai_chat for one in answers.inferred] == ["café?", BODY.encode()]


def test_a_file_is_read(run: Run, address: str, answers: Answers, tmp_path: Path) -> None:
    (tmp_path / "body.json").write_text(BODY)
    run("infer", "--chat", "--file", tmp_path / "body.json", "--address", address)
    assert answers.inferred[0].openai_chat == BODY.encode()


def test_a_file_that_cannot_be_read_is_named(run: Run, tmp_path: Path) -> None:
    result = run("infer", "--file", tmp_path / "none")
    assert result.exit_code == 1
    assert "what is asked cannot be read" in result.stderr
    assert "none" in result.stderr


def test_what_is_not_utf_8_is_no_traceback(run: Run, tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"caf\xe9")
    result = run("infer", "--file", tmp_path / "text")
    assert (result.exit_code, result.exception.__class__) == (1, SystemExit)
    assert "what is asked cannot be read: 'utf-8' codec" in result.stderr


def test_more_than_a_request_may_have_is_not_sent(run: Run, tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"a" * (16 * 2**20 + 1))
    result = run("infer", "--file", tmp_path / "text")
    assert result.exit_code == 1
    assert "more than the 16,777,216 bytes" in result.stderr


@pytest.mark.parametrize("asked", [(QUESTION,), ("--chat", BODY)], ids=["text", "body"])
def test_json_is_the_response_with_the_endpoints_own_json(
    run: Run, address: str, asked: tuple[str, ...]
) -> None:
    result = run("infer", *asked, "--json", "--address", address)
    answer = json.loads(result.stdout)
    assert (answer["target"]["model"], answer["cost_nano_usd"]) == ("small", "11300")
    if asked[0] == "--chat":
        assert answer["openai_chat"] == {
            "choices": [{"index": 0, "message": {"content": "Paris."}}]
        }
    else:
        assert answer["text"] == "Paris."
    assert result.stderr == ""


def test_json_of_a_stream_is_a_line_an_event(run: Run, address: str) -> None:
    result = run("infer", "--stream", "--json", "--chat", BODY, "--address", address)
    *chunks, last = map(json.loads, result.stdout.splitlines())
    assert [one["openai_chunk"]["choices"][0]["delta"]["content"] for one in chunks] == [
        "Par",
        "is",
        ".",
    ]
    assert last["end"]["decision_id"] == "AbC123"


def test_a_refusal_says_what_to_do(run: Run, address: str, answers: Answers) -> None:
    answers.refuse(grpc.StatusCode.FAILED_PRECONDITION, "NO_CANDIDATE", "no model takes this")
    result = run("infer", QUESTION, "--address", address)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "NO_CANDIDATE: no model takes this" in result.stderr


def test_a_stream_that_breaks_off_shows_what_came_and_fails(
    run: Run, address: str, answers: Answers
) -> None:
    answers.breaks = True
    result = run("infer", QUESTION, "--stream", "--address", address)
    assert (result.exit_code, result.stdout) == (1, "Paris.\n")
    assert result.stderr == "turnout: STREAM_BROKEN: it broke off\n"


def test_a_key_is_shown(run: Run, address: str, answers: Answers, tmp_path: Path) -> None:
    (tmp_path / "team.key").write_text("tk_a_b\n")
    run("infer", QUESTION, "--key-file", tmp_path / "team.key", "--address", address)
    assert answers.metadata["authorization"] == "Bearer tk_a_b"
