"""`turnout chat`: a conversation in the terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Annotated, Any

import grpc
import typer
from rich.text import Text

from server.cli.answer_view import took, write
from server.cli.connection import (
    DATA_ADDRESS,
    DataAddress,
    KeyFile,
    TlsCa,
    TlsCert,
    TlsKey,
    connected,
    explained,
    shown,
    tls_of,
)
from server.cli.context import Labels, Tenant, TrafficClass, context_of
from server.cli.terminal import console, fail
from turnout import chats
from turnout.v1.routing_pb2_grpc import RoutingServiceStub

_PROMPT = "> "
# A line of standard input; more belongs into a file, and to `turnout infer`.
LINE_CHARACTERS_MAX = 2**20

HELP = """\
Example: [bold]turnout chat --class support[/]

The whole conversation is sent with each question, and each answer is
planned by itself: another model may give the next. Ctrl-C ends an answer,
and what came of it stays said; at the prompt Ctrl-C or Ctrl-D ends the
conversation. Where questions are piped, each line is one."""


class Conversation:
    """What was said so far. The service bounds it: what it refuses is not kept."""

    def __init__(self, system: str) -> None:
        self._messages = [_message("system", system)] if system else []

    def asked(self, question: str) -> list[dict[str, str]]:
        """The messages to send; `say` has to follow for it to have been said."""
        return [*self._messages, _message("user", question)]

    def say(self, question: str, answer: str) -> None:
        self._messages += [_message("user", question), _message("assistant", answer)]


def chat(  # noqa: PLR0913 - a parameter is an option
    system: Annotated[
        str, typer.Option(help="How the model is to answer, said before the first question.")
    ] = "",
    traffic_class: TrafficClass = "",
    tenant: Tenant = "",
    label: Labels = None,
    address: DataAddress = DATA_ADDRESS,
    tls_ca: TlsCa = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    key_file: KeyFile = None,
) -> None:
    """Talk to language models: words as they come, then which model it was, for how much and why.

    It ends with Ctrl-D, or with the last line that is piped.
    """
    context = context_of(tenant, label, traffic_class)
    metadata = shown(key_file)
    with connected(address, "--address", tls_of(tls_ca, tls_cert, tls_key)) as channel:
        stub = RoutingServiceStub(channel)

        def ask(messages: list[dict[str, str]]) -> Any:
            request = chats.stream_request(messages, {})
            request.context.CopyFrom(context)
            return stub.InferStream(request, metadata=metadata)

        _converse(Conversation(system), ask, address)


def _converse(
    conversation: Conversation, ask: Callable[[list[dict[str, str]]], Any], address: str
) -> None:
    for question in _questions():
        try:
            answer = _print_answer(ask(conversation.asked(question)))
        except grpc.RpcError as raised:
            _explain(explained(raised, address, "--address"))
            continue
        if answer:
            conversation.say(question, answer)


def _explain(why: str) -> None:
    """A person may ask something else; what is piped was written for the answers."""
    if not sys.stdin.isatty():
        fail(why)
    console(stderr=True).print(Text.assemble(("turnout: ", "bold red"), why), soft_wrap=True)


def _questions() -> Iterator[str]:
    """Lines that say something, until Ctrl-D or Ctrl-C at the prompt."""
    with suppress(EOFError, KeyboardInterrupt):
        while True:
            try:
                question = _line().strip()
                question.encode()
            except UnicodeError:  # what a locale cannot read, or Python keeps as half characters
                _explain("that is not UTF-8: ask in UTF-8")
                continue
            if question:
                yield question


def _line() -> str:
    """The next; raises EOFError after the last."""
    if sys.stdin.isatty():
        import readline  # noqa: F401 - so that lines can be edited; it is for terminals

        return input(_PROMPT)
    line = sys.stdin.readline(LINE_CHARACTERS_MAX + 1)
    if not line:
        raise EOFError
    if len(line) > LINE_CHARACTERS_MAX:
        fail(f"a line has more than {LINE_CHARACTERS_MAX:,} characters: see 'turnout infer --help'")
    return line


def _print_answer(events: Any) -> str:
    """What the model wrote until it was done, or until Ctrl-C; raises RpcError."""
    reading, words = chats.Reading(), []
    try:
        for event in events:
            words.append(reading.chunk(event).text)
            write(words[-1])
            if event.HasField("end"):
                write("\n")
                console().print(took(event.end), soft_wrap=True)
    except KeyboardInterrupt:
        if not sys.stdin.isatty():
            raise
        events.cancel()
        write("\n")
        console().print(Text("ended by you", "dim"))
    except grpc.RpcError:
        write("\n" if words else "")
        raise
    return "".join(words)


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}
