import json

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console

from server.cli.keys import table
from tests.server.cli.answers import Answers
from tests.server.cli.conftest import Run
from turnout.v1 import admin_pb2 as pb

NOW_S = 1_700_000_000
SHOWN = """\
id          tenant  classes          a minute  at once  state                   used          note
────────────────────────────────────────────────────────────────────────────────────────────────────
cccccccccc  team-c  all                   any      any  revoked                 3 h ago
                                                                                7 asked
bbbbbbbbbb  team-b  all                   any        5  expired                 never         a test
aaaaaaaaaa  team-a  support, search     1,200      any  until 2023-11-15 22:13  5 s ago
                                                                                1,204 asked
                                                                                5,600 tokens
                                                                                $0.31\
"""


def moment(at_s: int) -> Timestamp:
    return Timestamp(seconds=at_s)


def keys() -> list[pb.Key]:
    return [
        pb.Key(
            id="cccccccccc",
            tenant="team-c",
            revoked=moment(NOW_S),
            last_used=moment(NOW_S - 3 * 3_600),
            requests=7,
        ),
        pb.Key(id="bbbbbbbbbb", tenant="team-b", concurrent=5, expires=moment(1), note="a test"),
        pb.Key(
            id="aaaaaaaaaa",
            tenant="team-a",
            classes=["support", "search"],
            requests_per_minute=1_200,
            expires=moment(NOW_S + 86_400),
            last_used=moment(NOW_S - 5),
            requests=1_204,
            input_tokens=5_000,
            output_tokens=600,
            cost_nano_usd=310_000_000,
        ),
    ]


def test_keys_are_a_line_each() -> None:
    console = Console(width=100, _environ={})
    with console.capture() as capture:
        console.print(table(pb.ListKeysResponse(keys=keys()), now_s=NOW_S))
    assert "\n".join(line.rstrip() for line in capture.get().splitlines()).rstrip() == SHOWN


def test_a_key_is_made_as_the_options_say_and_stdout_has_it_alone(
    run: Run, address: str, answers: Answers
) -> None:
    options = (
        *("--tenant", "team-a", "--class", "support", "--class", "search"),
        *("--requests-per-minute", "600", "--concurrent", "20", "--note", "the shop"),
    )
    result = run("keys", "create", *options, "--admin", address)
    assert result.exit_code == 0
    assert result.stdout == "tk_new\n"
    assert "shown this once" in " ".join(result.stderr.split())
    assert answers.created.key == pb.Key(
        tenant="team-a",
        classes=["support", "search"],
        requests_per_minute=600,
        concurrent=20,
        note="the shop",
    )


@pytest.mark.parametrize(("said", "seconds"), [("45s", 45), ("30m", 1_800), ("90d", 7_776_000)])
def test_a_time_is_a_number_and_a_unit(
    run: Run, address: str, answers: Answers, said: str, seconds: int
) -> None:
    run("keys", "rotate", "aaaaaaaaaa", "--overlap", said, "--admin", address)
    assert answers.rotated.overlap == Duration(seconds=seconds)


@pytest.mark.parametrize("said", ["", "5", "d", "1.5h", "-1s", "5 s", "1w"])
def test_another_time_is_mistyped(run: Run, address: str, said: str) -> None:
    result = run("keys", "rotate", "aaaaaaaaaa", "--overlap", said, "--admin", address)
    assert result.exit_code == 2
    assert "such as 12h or 90d" in " ".join(result.stderr.split())


def test_a_key_that_ends_says_when(run: Run, address: str, answers: Answers) -> None:
    run("keys", "create", "--tenant", "a", "--expires-in", "90d", "--admin", address)
    assert answers.created.key.expires.seconds > 90 * 86_400


def test_an_old_secret_holds_a_day_unless_another_time_is_given(
    run: Run, address: str, answers: Answers
) -> None:
    result = run("keys", "rotate", "aaaaaaaaaa", "--admin", address)
    assert result.stdout == "tk_newer\n"
    assert answers.rotated.overlap == Duration(seconds=86_400)


def test_a_key_is_revoked(run: Run, address: str, answers: Answers) -> None:
    result = run("keys", "revoke", "aaaaaaaaaa", "--admin", address)
    assert result.exit_code == 0
    assert answers.revoked.id == "aaaaaaaaaa"
    assert "is revoked" in result.stdout


def test_workers_that_are_behind_are_named_and_the_command_fails(
    run: Run, address: str, answers: Answers
) -> None:
    answers.behind = ["worker-1"]
    for command in (("create", "--tenant", "a"), ("rotate", "a"), ("revoke", "a")):
        result = run("keys", *command, "--admin", address)
        assert result.exit_code == 1
        assert "not in force at worker-1 yet" in " ".join(result.stderr.split())


def test_keys_are_listed_with_and_without_the_verb(
    run: Run, address: str, answers: Answers
) -> None:
    answers.keys = pb.ListKeysResponse(keys=keys())
    shown = run("keys", "--admin", address, columns=120).stdout
    assert "team-b" in shown
    assert run("keys", "list", "--admin", address, columns=120).stdout == shown


def test_where_there_is_none_it_says_how_to_make_one(run: Run, address: str) -> None:
    assert "turnout keys create --tenant NAME" in run("keys", "--admin", address).stdout


def test_that_the_keys_are_lost_is_said(run: Run, address: str, answers: Answers) -> None:
    answers.keys = pb.ListKeysResponse(lost=True)
    result = run("keys", "--admin", address)
    assert "earlier keys hold no more" in " ".join(result.stderr.split())


def test_json_is_the_answer_of_the_service(run: Run, address: str, answers: Answers) -> None:
    answers.keys = pb.ListKeysResponse(keys=keys())
    found = json.loads(run("keys", "list", "--json", "--admin", address).stdout)
    assert [key["id"] for key in found["keys"]] == [key.id for key in keys()]
    made = json.loads(run("keys", "create", "--tenant", "a", "--json", "--admin", address).stdout)
    assert made["secret"] == "tk_new"
