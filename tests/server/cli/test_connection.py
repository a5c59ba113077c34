from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
import yaml

from tests.server.cli.answers import Admin, Answers
from tests.server.cli.conftest import Run
from tests.server.configs import plain
from turnout.v1.admin_pb2_grpc import add_AdminServiceServicer_to_server

TOKEN = "0123456789abcdef0123456789abcdef"


def test_where_nothing_listens_it_says_how_to_start_one(run: Run) -> None:
    result = run("route", "--address", "127.0.0.1:9")
    assert result.exit_code == 1
    assert result.stderr == (
        "turnout: no Turnout listens on 127.0.0.1:9: start one with 'turnout serve FILE' "
        "or name another with --address\n"
    )


def test_by_default_operators_ask_the_socket_in_their_state_folder(
    run: Run, tmp_path: Path, answers: Answers
) -> None:
    result = run("plan")
    assert f"no Turnout listens on unix:{tmp_path}/turnout/admin.sock" in result.stderr
    (tmp_path / "turnout").mkdir()
    with _listening(f"unix:{tmp_path}/turnout/admin.sock", answers):
        assert run("plan").exit_code == 0


def test_the_configuration_says_where_the_service_listens_and_its_token(
    run: Run, tmp_path: Path, address: str, answers: Answers
) -> None:
    token_file = _file(tmp_path / "token", f"{TOKEN}\n")
    listeners = {"admin": address, "admin_token_file": str(token_file)}
    file = _file(tmp_path / "turnout.yaml", yaml.safe_dump(plain((("listeners",), listeners))))
    assert run("models", "--config", file).exit_code == 0
    assert answers.metadata["authorization"] == f"Bearer {TOKEN}"


def test_the_state_folder_of_a_configuration_holds_its_socket(
    run: Run, tmp_path: Path, answers: Answers
) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    document = plain((("state_dir",), str(folder)))
    file = _file(tmp_path / "turnout.yaml", yaml.safe_dump(document))
    with _listening(f"unix:{folder}/admin.sock", answers):
        assert run("plan", "--config", file).exit_code == 0


def test_options_win_over_the_configuration(
    run: Run, tmp_path: Path, address: str, answers: Answers
) -> None:
    listeners = {"admin": "127.0.0.1:9", "admin_token_file": "/nowhere"}
    file = _file(tmp_path / "turnout.yaml", yaml.safe_dump(plain((("listeners",), listeners))))
    token_file = _file(tmp_path / "token", TOKEN)
    result = run(
        "plan", "--config", file, "--admin", address, "--admin-token-file", str(token_file)
    )
    assert result.exit_code == 0
    assert answers.metadata["authorization"] == f"Bearer {TOKEN}"


def test_without_a_token_none_is_shown(run: Run, address: str, answers: Answers) -> None:
    run("plan", "--admin", address)
    assert "authorization" not in answers.metadata


def test_a_configuration_with_problems_is_told_as_check_tells_it(run: Run, tmp_path: Path) -> None:
    file = _file(tmp_path / "turnout.yaml", yaml.safe_dump(plain((("window_s",), 0))))
    result = run("plan", "--config", file)
    assert result.exit_code == 1
    assert "window_s: must be above 0, not 0" in result.stderr


def test_a_port_that_was_left_free_has_to_be_named(run: Run, tmp_path: Path) -> None:
    listeners = {"admin": "127.0.0.1:0", "admin_token_file": str(_file(tmp_path / "token", TOKEN))}
    file = _file(tmp_path / "turnout.yaml", yaml.safe_dump(plain((("listeners",), listeners))))
    result = run("plan", "--config", file)
    assert result.exit_code == 1
    assert "name the address with --admin" in result.stderr


@pytest.mark.parametrize("token", ["", "two\nlines", "t\u00f6ken"])
def test_a_file_without_a_token_is_refused_and_not_shown(
    run: Run, tmp_path: Path, address: str, token: str
) -> None:
    file = _file(tmp_path / "token", token)
    result = run("plan", "--admin", address, "--admin-token-file", file)
    assert result.exit_code == 1
    assert f"the token file {file} holds no token" in result.stderr
    assert not token or token not in result.stderr


@pytest.mark.parametrize("option", ["--admin-token-file", "--tls-ca"])
def test_a_file_in_the_home_of_nobody_is_told(run: Run, option: str) -> None:
    result = run("plan", option, "~nobody-has-this-name/file")
    assert result.exit_code == 1
    assert "~nobody-has-this-name/file cannot be read: " in result.stderr


def test_a_token_file_that_is_missing_is_told(run: Run, tmp_path: Path) -> None:
    result = run("plan", "--admin-token-file", tmp_path / "nowhere")
    assert result.exit_code == 1
    assert "cannot be read" in result.stderr


@pytest.mark.parametrize(
    ("code", "reason", "message", "shown"),
    [
        (
            grpc.StatusCode.INVALID_ARGUMENT,
            "UNKNOWN_CLASS",
            "there is no class 'x': name one of the configuration",
            "turnout: UNKNOWN_CLASS: there is no class 'x': name one of the configuration",
        ),
        (
            grpc.StatusCode.UNAUTHENTICATED,
            "",
            "the admin listener wants a token",
            "turnout: the admin listener wants a token: name the file with --admin-token-file",
        ),
        (
            grpc.StatusCode.UNAVAILABLE,
            "NOT_READY",
            "the worker has no configuration yet",
            "turnout: NOT_READY: the worker has no configuration yet",
        ),
        (
            grpc.StatusCode.INTERNAL,
            "",
            "[/]",
            "answered with an error that is not Turnout's: [/]",
        ),
        (
            grpc.StatusCode.UNKNOWN,
            "",
            "Stream removed (Socket closed)",
            "ended before it answered: look whether it is done, or do it again",
        ),
        (
            grpc.StatusCode.UNIMPLEMENTED,
            "",
            "Method not found!",
            "does not offer this: name the listener that does with --admin",
        ),
        (
            grpc.StatusCode.DEADLINE_EXCEEDED,
            "",
            "Deadline Exceeded",
            "did not answer in time: see its log",
        ),
    ],
)
def test_what_a_service_refuses_is_told_with_what_to_do(
    run: Run,
    address: str,
    answers: Answers,
    code: grpc.StatusCode,
    reason: str,
    message: str,
    shown: str,
) -> None:
    answers.refuse(code, reason, message)
    result = run("plan", "--admin", address)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert shown in result.stderr


@contextmanager
def _listening(address: str, answers: Answers) -> Iterator[None]:
    server = grpc.server(ThreadPoolExecutor(2))
    add_AdminServiceServicer_to_server(Admin(answers), server)
    server.add_insecure_port(address)
    server.start()
    yield
    server.stop(1).wait()


def _file(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize("command", [("route", "--dry-run"), ("report", "d1", "--quality", "1")])
def test_a_key_is_shown_to_the_data_listener(
    run: Run, address: str, answers: Answers, tmp_path: Path, command: tuple[str, ...]
) -> None:
    file = tmp_path / "team-a.key"
    file.write_text("tk_a_b\n")
    assert run(*command, "--key-file", file, "--address", address).exit_code == 0
    assert answers.metadata["authorization"] == "Bearer tk_a_b"


def test_where_a_key_is_missing_it_is_said_how_it_is_given(
    run: Run, address: str, answers: Answers
) -> None:
    answers.refuse(grpc.StatusCode.UNAUTHENTICATED, "KEY_MISSING", "a key is needed")
    result = run("route", "--dry-run", "--address", address)
    assert "a key is needed: name the file with --key-file" in " ".join(result.stderr.split())
