"""`turnout classify`: what a text is read as, and why; needs no service that runs."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from server.cli.context import Labels, Tenant, context_of
from server.cli.route import class_rule
from server.cli.terminal import AsJson, console, fail, load_or_fail
from server.config.list_prices import with_list_prices
from server.config.schema import Config
from server.routing.catalog import compile_catalog
from server.routing.errors import RoutingError
from server.routing.query import Query
from server.routing.reading.classifier import Classifier
from server.routing.reading.explain import Explanation, Tried, explain
from server.rpc.convert import route_query
from turnout.v1 import routing_pb2 as pb

if TYPE_CHECKING:  # numpy, which is only needed where there is a learned classifier
    from server.routing.learned_classifier.classifier import LearnedClassifier

_NO_RULES = Config.model_validate({"models": (), "classes": ({"name": "any", "default": True},)})

FILE_BYTES_MAX = 64 * 2**20  # what a request may have
_RULES_SHOWN = 20


def classify(  # noqa: PLR0913 - a parameter is an option
    text: Annotated[str, typer.Argument(help="The content of the request.")] = "",
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Read the content from a file instead.")
    ] = None,
    chat: Annotated[
        bool, typer.Option("--chat", help="The content is the body of a Chat Completions request.")
    ] = False,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The configuration that has the rules.")
    ] = None,
    classifier: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A classifier, instead of the configuration's."),
    ] = None,
    tenant: Tenant = "",
    label: Labels = None,
    as_json: AsJson = False,
) -> None:
    """Say what a request is read as: its class and cell, the rules, and what they saw in it."""
    content = text.encode() if file is None else _content(file)
    request = pb.RouteRequest(context=context_of(tenant, label))
    try:
        _fill(request, content, chat=chat)
        query = route_query(request, request.ByteSize(), {})
        found = _explained(query, config, classifier)
    except RoutingError as error:
        fail(f"{error.field}: {error}" if error.field else str(error))
    if as_json:
        print(json.dumps(_plain(found), indent=2, ensure_ascii=False))
    else:
        _show(found)


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            data = opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}")
    if len(data) > FILE_BYTES_MAX:
        fail(f"{file} is larger than a request may be, which is {FILE_BYTES_MAX:,} bytes")
    return data


def _fill(request: pb.RouteRequest, content: bytes, *, chat: bool) -> None:
    if chat:
        request.openai_chat = content
        return
    try:
        request.text = content.decode()
    except UnicodeDecodeError:
        fail("the text is not UTF-8")


def _explained(query: Query, config: Path | None, classifier: Path | None) -> Explanation:
    rules = _NO_RULES if config is None else load_or_fail(config)
    if classifier is None and rules.classifier is not None:
        classifier = Path(rules.classifier.file)
    learned = None if classifier is None else _learned(classifier)
    return explain(
        Classifier(rules, compile_catalog(with_list_prices(rules)), learned),
        query,
        classes=rules.classes,
        domains=rules.domains,
    )


def _learned(file: Path) -> "LearnedClassifier":
    # Only here, for numpy takes a tenth of a second to import.
    from server.named_files.classifier import read_classifier
    from server.routing.learned_classifier.classifier import LearnedClassifier
    from server.routing.learned_classifier.file_format import ClassifierInvalid

    try:
        return LearnedClassifier.from_bytes(read_classifier(str(file)))
    except ClassifierInvalid as error:
        fail(f"{file}: {error}")


def _plain(found: Explanation) -> dict[str, object]:
    reading, guess = found.reading, found.guess
    return {
        "class": reading.cell.traffic_class,
        "rule": reading.rule,
        "domain": reading.cell.domain,
        "intent": reading.intent,
        "size_bucket": reading.cell.size_bucket,
        "payer": reading.cell.payer,
        "payload_kind": reading.cell.kind,
        "input_tokens": reading.input_tokens,
        "script": found.writing.script,
        "language": found.writing.language,
        "structures": list(found.structure.names),
        "code_language": found.structure.code_language,
        "keywords": list(found.keywords),
        "learned": None if guess is None else guess._asdict(),
        "words": [word._asdict() for word in found.weighed],
        "domain_rules": [_plain_rule(tried) for tried in found.domains],
        "class_rules": [_plain_rule(tried) for tried in found.classes],
    }


def _plain_rule(tried: Tried) -> dict[str, object]:
    return {
        "name": tried.name,
        "block": tried.block,
        "matches": tried.matches,
        "conditions": [condition._asdict() for condition in tried.conditions],
    }


def _show(found: Explanation) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _rows(found):
        table.add_row(name, value)
    console().print(table)


def _rows(found: Explanation) -> Iterator[tuple[str, str | Text]]:
    reading, structure, writing = found.reading, found.structure, found.writing
    by = class_rule(reading.rule)
    yield "class", Text.assemble((reading.cell.traffic_class, "bold green"), f", by {by}")
    yield "domain", reading.cell.domain
    yield "intent", reading.intent or "not known"
    yield "size", f"{reading.cell.size_bucket}: about {reading.input_tokens:,} tokens"
    yield "payload", reading.cell.kind
    yield "language", f"{writing.language or 'not clear'}, script {writing.script or 'none'}"
    yield "structure", ", ".join(structure.names) or "plain"
    if structure.code_language:
        yield "code", structure.code_language
    yield "keywords", ", ".join(found.keywords) or "none"
    if found.guess is not None:
        yield "learned", f"domain {found.guess.domain} {found.guess.domain_probability:.2f}"
        yield "words", ", ".join(f"{word.words} {word.weight:+.2f}" for word in found.weighed)
    yield from _rules("domain rules", found.domains)
    yield from _rules("class rules", found.classes)


def _rules(title: str, tried: Sequence[Tried]) -> Iterator[tuple[str, str | Text]]:
    for number, rule in enumerate(tried[:_RULES_SHOWN]):
        yield title if number == 0 else "", _rule(rule)
    if len(tried) > _RULES_SHOWN:
        yield "", f"and {len(tried) - _RULES_SHOWN:,} more: see --json"


def _rule(rule: Tried) -> Text:
    name = rule.name if rule.block is None else f"{rule.name}[{rule.block}]"
    if rule.matches:
        return Text.assemble(("matches ", "green"), name)
    failed = ", ".join(c.wanted for c in rule.conditions if not c.holds)
    return Text.assemble(("does not ", "dim"), f"{name}: not {failed}")
