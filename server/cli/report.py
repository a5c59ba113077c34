"""`turnout report`: what became of decisions, one of them or a file of many."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Annotated, NamedTuple

import typer
from google.protobuf import json_format
from rich.text import Text

from server.cli.connection import (
    DATA_ADDRESS,
    TIMEOUT_S,
    DataAddress,
    KeyFile,
    TlsCa,
    TlsCert,
    TlsKey,
    connected,
    shown,
    tls_of,
)
from server.cli.terminal import FAILED, AsJson, console, fail
from server.routing.outcomes import LATENCY_S_MAX, TOKENS_MAX
from turnout.v1 import routing_pb2 as pb
from turnout.v1.routing_pb2_grpc import RoutingServiceStub

# A call takes 1,000 outcomes and 4 MiB: these are sure to fit.
OUTCOMES_A_CALL = 250
LINE_BYTES_MAX = 16_000

HELP = """\
Example: [bold]turnout report M3JkX0l2 --quality 1 --input-tokens 812 --latency-ms 640[/]

A line of a file is an Outcome of turnout.v1 as JSON:
  {"decision_id": "M3JkX0l2", "usage": {"input_tokens": 812, "latency": "0.64s"},
   "feedback": \\[{"metric": "quality", "value": 1}]}

An outcome that is refused is named with its line, and the exit status is 1. Nothing is counted
twice, so a file can be reported again."""


class _Line(NamedTuple):
    """An outcome and where it stands; one that is none has a reason against it already."""

    number: int  # 0: it comes from options
    outcome: pb.Outcome
    refusal: pb.OutcomeResult | None


def report(  # noqa: PLR0913 - a parameter is an option
    decision_id: Annotated[
        str,
        typer.Argument(metavar="ID", help="The decision, as it was answered.", show_default=False),
    ] = "",
    *,
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="FILE", help="Many, one a line; - reads standard input."),
    ] = None,
    quality: Annotated[
        float | None, typer.Option(help="How good the answer was, from 0 (wrong) to 1 (right).")
    ] = None,
    input_tokens: Annotated[
        int | None, typer.Option(min=0, max=TOKENS_MAX, help="Tokens that were read.")
    ] = None,
    output_tokens: Annotated[
        int | None, typer.Option(min=0, max=TOKENS_MAX, help="Tokens that were written.")
    ] = None,
    latency_ms: Annotated[
        float | None,
        typer.Option(min=0, max=1_000 * LATENCY_S_MAX, help="Milliseconds from sent to answered."),
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="It was not answered.")] = False,
    domain: Annotated[str, typer.Option(help="What the request was about in truth.")] = "",
    intent: Annotated[str, typer.Option(help="What was wanted in truth.")] = "",
    address: DataAddress = DATA_ADDRESS,
    tls_ca: TlsCa = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Report what became of decisions: what they took, and how good the answers were."""
    outcome = pb.Outcome(decision_id=decision_id, domain=domain, intent=intent)
    if quality is not None:
        outcome.feedback.add(metric="quality", value=quality)
    _fill(outcome, input_tokens, output_tokens, latency_ms, failed=failed)
    _refuse_unclear(file, outcome)
    credentials = tls_of(tls_ca, tls_cert, tls_key)
    metadata = shown(key_file)
    with _lines(file, outcome) as lines, connected(address, "--address", credentials) as channel:
        counts = _report(RoutingServiceStub(channel), lines, metadata, as_json=as_json)
    if not as_json:
        console().print(f"{counts.counted:,} counted, {counts.refused:,} refused")
    if counts.refused:
        raise typer.Exit(FAILED)


def _fill(
    outcome: pb.Outcome,
    input_tokens: int | None,
    output_tokens: int | None,
    latency_ms: float | None,
    *,
    failed: bool,
) -> None:
    """The usage, if anything was said of it."""
    if not failed and (input_tokens, output_tokens, latency_ms) == (None, None, None):
        return
    outcome.usage.input_tokens = input_tokens or 0
    outcome.usage.output_tokens = output_tokens or 0
    outcome.usage.failed = failed
    if latency_ms is not None:
        outcome.usage.latency.FromNanoseconds(round(latency_ms * 1e6))


def _refuse_unclear(file: Path | None, outcome: pb.Outcome) -> None:
    if file is not None and outcome.ByteSize():
        raise typer.BadParameter("a file says all of its outcomes: give nothing beside --file")
    if file is None and not outcome.decision_id:
        raise typer.BadParameter("give the id of the decision, or --file", param_hint="ID")
    if file is None and outcome == pb.Outcome(decision_id=outcome.decision_id):
        raise typer.BadParameter("say what became of it: --quality, --failed, what it took")


@contextmanager
def _lines(file: Path | None, outcome: pb.Outcome) -> Iterator[Iterable[_Line]]:
    if file is None:
        yield [_Line(0, outcome, None)]
    elif str(file) == "-":
        yield _read(sys.stdin.buffer)
    else:
        try:
            with file.open("rb") as opened:
                yield _read(opened)
        except OSError as error:
            fail(f"{file} cannot be read: {error.strerror}")


def _read(lines: IO[bytes]) -> Iterator[_Line]:
    """Each outcome; of what is none, why."""
    number = 0
    while line := lines.readline(LINE_BYTES_MAX + 1):
        number += 1
        if len(line) > LINE_BYTES_MAX:
            _skip_rest(lines, line)
            yield _refused(number, f"it has more than {LINE_BYTES_MAX:,} bytes: one outcome a line")
        elif line.strip():
            yield _parsed(number, line)


def _skip_rest(lines: IO[bytes], line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = lines.readline(LINE_BYTES_MAX)


def _parsed(number: int, line: bytes) -> _Line:
    outcome = pb.Outcome()
    try:
        json_format.ParseDict(_object(line), outcome)
    except (json_format.ParseError, ValueError, RecursionError) as error:
        return _refused(number, f"it is no Outcome as JSON: {error}")
    return _Line(number, outcome, None)


def _refused(number: int, why: str) -> _Line:
    return _Line(number, pb.Outcome(), pb.OutcomeResult(reason="REQUEST_INVALID", message=why))


def _object(line: bytes) -> dict[str, object]:
    found = json.loads(line)
    if not isinstance(found, dict):
        raise ValueError('give an object, such as {"decision_id": "M3JkX0l2"}')
    return found


class _Counts(NamedTuple):
    counted: int
    refused: int


def _report(
    stub: RoutingServiceStub,
    lines: Iterable[_Line],
    metadata: tuple[tuple[str, str], ...],
    *,
    as_json: bool,
) -> _Counts:
    """Reports them in order, and tells each result as it comes."""
    counted = refused = 0
    rest = iter(lines)
    while batch := list(islice(rest, OUTCOMES_A_CALL)):
        sent = [line.outcome for line in batch if line.refusal is None]
        request = pb.ReportRequest(outcomes=sent)
        response = stub.Report(request, timeout=TIMEOUT_S, metadata=metadata)
        results = iter(response.results)
        for line in batch:
            result = line.refusal or next(results)
            refused += bool(result.reason)
            counted += not result.reason
            _tell(line, result, as_json=as_json)
    return _Counts(counted, refused)


def _tell(line: _Line, result: pb.OutcomeResult, *, as_json: bool) -> None:
    if as_json:
        told = {
            "line": line.number,
            "decision_id": line.outcome.decision_id,
            "reason": result.reason,
            "message": result.message,
        }
        print(json.dumps(told, ensure_ascii=False))
    elif result.reason:
        where = f"line {line.number:,}" if line.number else "turnout"
        text = Text.assemble(f"{where}: ", (result.reason, "bold red"))
        console(stderr=True).print(text.append(f": {result.message}"), soft_wrap=True)
