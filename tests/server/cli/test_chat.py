"""`turnout chat`: a conversation, piped and in a terminal."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import grpc
import pytest

from server.cli.chat import LINE_CHARACTERS_MAX
from tests.server.cli.answers import Answers
from tests.server.cli.conftest import Run
from turnout.v1 import routing_pb2 as pb

TOOK = "small for $0.000011, 1,014 tokens read, 8 written in 0.19 s: the plan gives small 25%"
FIRST, SECOND = "What is the capital of France?", "And of Italy?"


def messages(request: pb.InferRequest | pb.InferStreamRequest) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(request.openai_chat)["messages"]
    return found


def user(content: str) -> dict[str, str]:
    return {"role": "user", "content": content}


SAID = {"role": "assistant", "content": "Paris."}


def test_each_piped_line_is_a_question_and_the_conversation_goes_with_it(
    run: Run, address: str, answers: Answers
) -> None:
    result = run("chat", "--address", address, stdin=f"{FIRST}\n\n{SECOND}\n")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == lines[2] == "Paris."
    assert lines[1].startswith(TOOK)
    assert [messages(one) for one in answers.inferred] == [
        [user(FIRST)],
        [user(FIRST), SAID, user(SECOND)],
    ]


def test_what_is_said_of_the_requests_reaches_the_service(
    run: Run, address: str, answers: Answers
) -> None:
    run(
        *("chat", "--address", address, "--class", "strict", "--tenant", "team"),
        *("--label", "app=chat", "--system", "Be brief."),
        stdin=FIRST,
    )
    (request,) = answers.inferred
    assert request.context == pb.RequestContext(
        traffic_class="strict", tenant="team", labels={"app": "chat"}
    )
    assert messages(request) == [{"role": "system", "content": "Be brief."}, user(FIRST)]


def test_a_piped_question_that_is_not_answered_ends_it(
    run: Run, address: str, answers: Answers
) -> None:
    answers.refuse(grpc.StatusCode.FAILED_PRECONDITION, "NO_CANDIDATE", "no model takes this")
    result = run("chat", "--address", address, stdin=f"{FIRST}\n{SECOND}\n")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "turnout: NO_CANDIDATE: no model takes this\n"


def test_a_line_of_any_length_is_not_kept(run: Run, address: str) -> None:
    result = run("chat", "--address", address, stdin="a" * (LINE_CHARACTERS_MAX + 1))
    assert result.exit_code == 1
    assert "a line has more than 1,048,576 characters" in result.stderr


class Terminal:
    """`turnout chat` with somebody at a terminal."""

    def __init__(self, process: subprocess.Popen[bytes], screen: int) -> None:
        self.process, self._screen, self._shown = process, screen, ""

    def type(self, keys: str) -> None:
        os.write(self._screen, keys.encode())

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def interrupt_at_the_prompt(self) -> int:
        """The exit status. readline misses a Ctrl-C between its prompt and its wait for keys."""
        while True:
            self.interrupt()
            with suppress(subprocess.TimeoutExpired):
                return self.process.wait(5)

    def shows(self, words: str) -> None:
        """Waits for them, and forgets what was shown up to them."""
        while words not in self._shown:
            self._shown += self._more()
        self._shown = self._shown.partition(words)[2]

    def rest(self) -> str:
        """What is shown until it ends."""
        while more := self._more():
            self._shown += more
        return self._shown

    def _more(self) -> str:
        try:
            return os.read(self._screen, 4_096).decode()
        except OSError:  # how a terminal ends that nobody writes to
            return ""


@contextmanager
def terminal(address: str) -> Iterator[Terminal]:
    screen, other = pty.openpty()
    environ = os.environ | {"TERM": "dumb", "NO_COLOR": "1", "COLUMNS": "100"}
    command = (sys.executable, "-m", "server.cli", "chat", "--address", address)
    with subprocess.Popen(command, stdin=other, stdout=other, stderr=other, env=environ) as process:
        os.close(other)
        try:
            yield Terminal(process, screen)
        finally:
            process.kill()
            os.close(screen)


def test_words_come_as_they_are_written_and_ctrl_d_ends_it(address: str) -> None:
    with terminal(address) as there:
        there.shows("> ")
        there.type(f"{FIRST}\n")
        there.shows("Paris.")
        there.shows(TOOK)
        there.shows("> ")
        there.type("\x04")
        there.rest()
        assert there.process.wait() == 0


def test_ctrl_c_ends_an_answer_and_at_the_prompt_the_conversation(
    address: str, answers: Answers
) -> None:
    answers.hangs = True
    with terminal(address) as there:
        there.shows("> ")
        there.type(f"{FIRST}\n")
        there.shows("Par")
        there.interrupt()
        there.shows("ended by you")
        assert answers.left.wait(20)
        answers.hangs = False
        there.shows("> ")
        there.type(f"{SECOND}\n")
        there.shows(TOOK)
        there.shows("> ")
        assert there.interrupt_at_the_prompt() == 0
    # What came of the answer that was ended stays said.
    assert messages(answers.inferred[1]) == [
        user(FIRST),
        {"role": "assistant", "content": "Par"},
        user(SECOND),
    ]


def test_a_refusal_at_a_terminal_leaves_the_conversation_as_it_was(
    address: str, answers: Answers
) -> None:
    with terminal(address) as there:
        there.shows("> ")
        answers.refuse(grpc.StatusCode.UNAVAILABLE, "SHED", "too much is asked")
        there.type(f"{FIRST}\n")
        there.shows("turnout: SHED: too much is asked")
        answers.refusal = None
        there.shows("> ")
        there.type(f"{SECOND}\n")
        there.shows("Paris.")
    assert messages(answers.inferred[-1]) == [user(SECOND)]


def test_what_would_command_a_terminal_is_left_out_of_what_models_say(
    address: str, answers: Answers
) -> None:
    answers.words = ("\x1b[2J", "Paris\x9b31m", "\r.")
    with terminal(address) as there:
        there.shows("> ")
        there.type(f"{FIRST}\n")
        there.shows("[2JParis31m.")


def test_what_models_say_is_piped_as_it_is(run: Run, address: str, answers: Answers) -> None:
    answers.words = ("\x1b[2J", "Paris", ".")
    assert run("chat", "--address", address, stdin=FIRST).stdout.startswith("\x1b[2JParis.\n")


@pytest.mark.parametrize("mode", ["utf8=1", "utf8=0"])
def test_a_piped_line_that_is_not_utf_8_is_no_traceback(address: str, mode: str) -> None:
    command = (sys.executable, "-X", mode, "-m", "server.cli", "chat", "--address", address)
    done = subprocess.run(command, input=b"caf\xe9\n", capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (1, b"turnout: that is not UTF-8: ask in UTF-8\n")
