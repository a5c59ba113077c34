"""`turnout infer`: a language model answers one request."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from google.protobuf.json_format import MessageToDict
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
    shown,
    tls_of,
)
from server.cli.context import Labels, Tenant, TrafficClass, context_of
from server.cli.terminal import AsJson, console, fail
from turnout import chats
from turnout.v1 import routing_pb2 as pb
from turnout.v1.routing_pb2_grpc import RoutingServiceStub

CONTENT_BYTES_MAX = 16 * 2**20  # what the service takes

HELP = """\
Example: [bold]turnout infer 'What is the capital of France?' --stream[/]

Its words are standard output; which model it was, what it took and why
stand on standard error. The body of a Chat Completions request has options,
such as how much may be written:
  echo '{"messages": \\[{"role": "user", "content": "Hi"}], "max_tokens": 9}' |
  turnout infer --chat

Where --json stands beside --stream, each event is a line."""

_Answered = pb.InferResponse | pb.InferStreamResponse


def infer(  # noqa: PLR0913 - a parameter is an option
    text: Annotated[
        str,
        typer.Argument(
            help="What is asked; without it, standard input is read.", show_default=False
        ),
    ] = "",
    *,
    file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Read it from a file; - is standard input."),
    ] = None,
    chat: Annotated[
        bool, typer.Option("--chat", help="It is the body of a Chat Completions request, JSON.")
    ] = False,
    stream: Annotated[
        bool, typer.Option("--stream", help="Print the answer in pieces, as the model writes it.")
    ] = False,
    traffic_class: TrafficClass = "",
    tenant: Tenant = "",
    label: Labels = None,
    address: DataAddress = DATA_ADDRESS,
    tls_ca: TlsCa = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Have a language model answer one request, and see which model it was, for how much and why.

    A text is a chat of this one message. Time is that of its class.
    """
    context = context_of(tenant, label, traffic_class)
    asked = _asked(text or _content(file), is_body=chat)
    metadata = shown(key_file)
    with connected(address, "--address", tls_of(tls_ca, tls_cert, tls_key)) as channel:
        stub = RoutingServiceStub(channel)
        if stream:
            to_stream = chats.stream_request(asked, {})
            to_stream.context.CopyFrom(context)
            show = _print_events if as_json else _print_pieces
            show(stub.InferStream(to_stream, metadata=metadata))
        else:
            request = chats.chat_request(asked, {})
            request.context.CopyFrom(context)
            _print(stub.Infer(request, metadata=metadata), as_json=as_json)


def _asked(content: str, *, is_body: bool) -> chats.Chat:
    """Raises UnicodeEncodeError for an argument that is not UTF-8."""
    encoded = content.encode()
    return encoded if is_body else content


def _content(file: Path | None) -> str:
    """Of the file, or of standard input; ends the command where there is none."""
    if file is None and sys.stdin.isatty():
        raise typer.BadParameter("say it, name a --file, or pipe it here", param_hint="TEXT")
    try:
        if file is None or str(file) == "-":
            content = sys.stdin.buffer.read(CONTENT_BYTES_MAX + 1)
        else:
            with file.expanduser().open("rb") as opened:
                content = opened.read(CONTENT_BYTES_MAX + 1)
        said = content.decode()
    except (OSError, ValueError, RuntimeError) as error:  # a file, its text, ~ of nobody
        fail(f"what is asked cannot be read: {error}")
    if len(content) > CONTENT_BYTES_MAX:
        fail(f"what is asked has more than the {CONTENT_BYTES_MAX:,} bytes that a request may have")
    return said


def _print(answer: pb.InferResponse, *, as_json: bool) -> None:
    if as_json:
        print(_json_of(answer, indent=2))
        return
    write(chats.answer(answer).text + "\n")
    _print_took(answer)


def _print_pieces(events: Iterable[pb.InferStreamResponse]) -> None:
    reading = chats.Reading()
    try:
        for event in events:
            write(reading.chunk(event).text)
            if event.HasField("end"):
                write("\n")
                _print_took(event.end)
    except BaseException:
        write("\n")  # what follows is another line than the half that was written
        raise


def _print_events(events: Iterable[pb.InferStreamResponse]) -> None:
    for event in events:
        print(_json_of(event, indent=None), flush=True)


def _print_took(answer: pb.InferResponse) -> None:
    """Beside the words, for who pipes them somewhere wants them alone."""
    there = console(stderr=True)
    there.print(took(answer), soft_wrap=True)
    there.print(Text.assemble(("decision ", "dim"), answer.decision_id), soft_wrap=True)


def _json_of(message: _Answered, *, indent: int | None) -> str:
    """As protobuf has it, but that JSON of an endpoint stays JSON."""
    found = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    for name in ("openai_chat", "openai_chunk"):
        if name in found:
            found[name] = _parsed(getattr(message, name))
    return json.dumps(found, ensure_ascii=False, indent=indent)


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.decode(errors="replace")
