"""Files: the configuration, and those of the state folder, read at a start or by threads."""

import gzip
import hashlib
import json
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import yaml

from benchmarks.fuzz.json_text import change_json, nest_json
from benchmarks.fuzz.loop import TurnLoop
from benchmarks.fuzz.meter import Allowance, Meter
from benchmarks.fuzz.methods import decision_id
from benchmarks.fuzz.mutate import ANY, Mutation, words
from benchmarks.fuzz.peers import plain
from benchmarks.fuzz.planned import CONFIG, DOCUMENT, KEY, NOW_S, folder
from benchmarks.fuzz.targets import Feed, Target
from server.config.as_json import from_json, to_json
from server.config.diagnostics import ConfigError
from server.config.file import load, warnings
from server.control.budgets import Spending
from server.control.cell_messages import cell_stats
from server.control.estimates import Estimates
from server.control.kept_file import FileRefused
from server.control.kept_requests import KeptRequests, kept_ids, read_kept
from server.control.key_file import read_key
from server.control.knowledge import Knowledge
from server.control.outcomes import Outcomes
from server.control.remembered import take_up, taken
from server.control.state_file import StateInvalid, packed, unpacked
from server.control.window import build_window
from server.routing.catalog import Cell
from server.routing.counters import Counts, Leg
from server.routing.decision_id import open_decision
from server.routing.errors import RoutingError
from server.routing.learned_classifier.classifier import LearnedClassifier
from server.routing.learned_classifier.file_format import ClassifierInvalid, Contents, Header, dump
from server.routing.learned_classifier.file_format import load as load_classifier
from turnout.v1.control_pb2 import PushStatsRequest
from turnout.v1.routing_pb2 import Feedback, Outcome

# Read once, at a start or in a thread: what is looked for is what grows faster than its file.
AT_A_START = Allowance(
    stretch_s=0.050, stretch_s_a_kb=0.006, bytes_a_byte=64.0, free_bytes=2 * 2**20
)
# Each mistake takes a KB until all are known, and two bytes can be one.
OF_MISTAKES = replace(AT_A_START, bytes_a_byte=1_024.0)
# An object of a dozen bytes is a dict, and pydantic keeps those that it refuses.
OF_JSON = replace(AT_A_START, bytes_a_byte=192.0)
# An id is opened for each outcome of a report.
EACH_OUTCOME = Allowance(stretch_s=0.002)

_SPEND = 5
_EPOCH = 2
_CELL = Cell("chat", "all", "other", "s0")

Read = Callable[[bytes, Path], str]


def reading(read: Read) -> Callable[[TurnLoop], AbstractAsyncContextManager[Feed]]:
    """Reads an input in one go, with a folder at hand."""

    @asynccontextmanager
    async def open_(_loop: TurnLoop) -> AsyncIterator[Feed]:
        with folder() as made:

            async def feed(data: bytes, meter: Meter) -> str:
                meter.begin(len(data))
                outcome = read(data, made)
                meter.loop.end()
                return outcome

            yield feed

    return open_


def _configuration(data: bytes, made: Path) -> str:
    """As `turnout check` does."""
    file = made / "turnout.yaml"
    file.write_bytes(data)
    try:
        config = load(file)
    except ConfigError as error:
        return f"refused: {plain(error.diagnostics[0].message)[:40]}"
    return "warned" if warnings(file, config) else "sound"


def _live_config(data: bytes, _made: Path) -> str:
    try:
        return f"models {len(from_json(data).models).bit_length()}"
    except ConfigError as error:
        return f"refused: {plain(error.diagnostics[0].message)}"


def _key(data: bytes, made: Path) -> str:
    file = made / "decision.key"
    file.write_bytes(data)
    file.chmod(0o600)
    try:
        return f"{len(read_key(file))} bytes"
    except FileRefused as error:
        return f"refused: {plain(str(error).removeprefix(str(file)))[:20]}"


def _spent(data: bytes, _made: Path) -> str:
    spending = Spending()
    spending.configure(CONFIG.budgets)
    try:
        spending.restore_json(data)
    except ValueError:
        return "refused"
    spending.spend("all", _SPEND, now_s=NOW_S)
    state = spending.states(window_s=5.0, now_s=NOW_S)["all"]
    spending.to_plain()
    return "nothing spent before" if state.spent_nano_usd == _SPEND else "spent"


def _state(data: bytes, _made: Path) -> str:
    """As the control plane does at its start: takes it up, learns something, plans."""
    knowledge, kept = Knowledge(CONFIG, epoch=_EPOCH), _as_file(data)
    try:
        estimates = take_up(unpacked(kept), knowledge, _outcomes(), epoch=_EPOCH, now_s=NOW_S)
    except StateInvalid as error:
        return f"refused: {plain(str(error))[:40]}"
    given = knowledge.take_given(NOW_S, 5.0)
    estimates.learn(given)
    window = build_window(given, estimates)
    return "nothing to plan" if window is None else "planned"


def _outcomes() -> Outcomes:
    return Outcomes(KEY, bool)  # whatever has a name is a model


def _as_file(data: bytes) -> bytes:
    """Of a list of JSON its items are the lines, so that they are changed, not their gzip."""
    try:
        head, *body = [json.dumps(line).encode() + b"\n" for line in json.loads(data)]
    except (ValueError, TypeError, RecursionError):
        return data
    return gzip.compress(head, 1) + gzip.compress(b"".join(body), 1)


def _states() -> list[bytes]:
    """A file, and what it has in its lines."""
    knowledge, outcomes = Knowledge(CONFIG, epoch=_EPOCH), _outcomes()
    counts = Counts(decided=3, ended=2, completed=2, attempts=2, answered=2, cost_nano_usd=1_000)
    counts.latency_counts[20] = 2
    told = [cell_stats(Leg(_CELL, "small", model), counts) for model in ("small", "large")]
    knowledge.count_push(
        PushStatsRequest(worker="w0", boot="b0", sequence=1, cells=told), now_s=NOW_S
    )
    outcome = Outcome(decision_id=decision_id(), feedback=[Feedback(metric="quality", value=1.0)])
    knowledge.count_settlement(outcomes.settle(outcome, now_s=NOW_S), now_s=NOW_S)
    given, estimates = knowledge.take_given(NOW_S, 5.0), Estimates()
    estimates.learn(given)
    build_window(given, estimates)  # which opens accounts
    plain_form = taken(knowledge, estimates, outcomes)
    file = b"".join(packed(plain_form, written_s=NOW_S, version="0.1.0"))
    return [b"[%s]" % b",".join(gzip.decompress(file).splitlines()), file]


def _kept(data: bytes, made: Path) -> str:
    """As the control plane does at its start, and `turnout train`."""
    file = made / "requests.jsonl"
    file.write_bytes(data)
    file.chmod(0o600)  # or it is set aside
    ids, read = kept_ids(made), read_kept(made)
    KeptRequests(made, 100).writing()()
    return f"{'' if ids else 'no '}ids, {'' if read else 'no '}texts"


def _classifier(data: bytes, _made: Path) -> str:
    try:
        model = LearnedClassifier(load_classifier(data))
    except ClassifierInvalid as error:
        return f"refused: {plain(str(error))}"
    return f"domain {model.classify('the court heard the appeal of a judge').domain}"[:20]


def _open_decision(data: bytes, _made: Path) -> str:
    try:
        opened = open_decision(KEY, data.decode(errors="replace"), now_s=NOW_S)
    except RoutingError as error:
        return f"refused: {error.reason}"
    return opened.kind.name


def classifier() -> bytes:
    """A small one."""
    header = Header(
        intents=("law.appeal", "law.claim", "data.query"),
        domains=("law", "law", "data"),
        outside=1,
        threshold=0.5,
        shares={"law": 0.5, "data": 0.3, "other": 0.2},
        words=2,
        pairs=1,
        parts=1,
        vocabulary_bytes=0,
    )
    rows, labels = 4, 4
    return dump(
        Contents(
            header,
            ["court", "appeal", "appeal of", "jud"],
            np.zeros(labels, np.float32),
            np.ones(rows, np.float32),
            np.full(rows, 0.1, np.float32),
            np.ones((rows, labels), np.int8),
        )
    )


def _with_checksum(data: bytes, _dice: random.Random, _others: Sequence[bytes]) -> bytes:
    """The classifier's, over whatever became of the rest."""
    body = data[:-32]
    return body + hashlib.sha256(body).digest()


_YAML_WORDS = words(
    b"- ", b": ", b"\n", b"  ", b"[", b"]", b"{", b"}", b"&a ", b"*a ", b"[*a,*a]", b"<<: *a\n",
    b"!!str ", b"? ", b"|\n", b">\n", b"'", b'"', b"#", b"---\n", b"...\n", b"%YAML 1.2\n",
    b"1e400", b"0x10", b".nan", b"name: x\n", b"match: {any_of: [a]}\n", b"keywords: ",
    b"\xef\xbb\xbf", b"\0", b"a,", b"[[", b"\t",
)  # fmt: skip
_JSON_WORDS = words(
    b"[", b"]", b"{", b"}", b",", b'"', b"[[", b'{"a":', b"null", b"1e400", b"NaN", b"-1",
    b"9" * 400, b"\\ud800", b"\n", b'{"id":"a","text": "b","domain":"c","intent":"d"}\n',
    b'{"id":"a","true_domain":"x"}\n', b"\\",
)  # fmt: skip
_JSON = (*(change_json,) * 10, nest_json, *(_JSON_WORDS,) * 3)
_LINES = (
    b'{"id": "d1", "text": "who heard the appeal?", "domain": "law", "intent": "law.appeal"}\n'
    b'{"id": "d1", "true_domain": "data"}\n'
    b'{"id": "d2", "text": "select 1", "domain": "", "intent": ""}\n'
)
_SPENT = b'{"all": {"start_s": 1719878400, "nano_usd": 5}}'


def _example() -> Sequence[bytes]:
    example = Path(__file__).parents[2] / "deploy" / "example.yaml"
    return [example.read_bytes(), yaml.safe_dump(DOCUMENT).encode()]


def _target(
    name: str,
    read: Read,
    seeds: Callable[[], Sequence[bytes]],
    *more: Mutation,
    allowance: Allowance = AT_A_START,
) -> Target:
    return Target(name, reading(read), seeds, (*ANY, *more), allowance)


FILES = (
    _target(
        "configuration",
        _configuration,
        _example,
        *(_YAML_WORDS,) * 5,
        allowance=OF_MISTAKES,
    ),
    _target("live.json", _live_config, lambda: [to_json(CONFIG)], *_JSON, allowance=OF_JSON),
    _target("spent.json", _spent, lambda: [_SPENT], *_JSON, allowance=OF_JSON),
    _target("decision key", _key, lambda: [KEY]),
    _target("state", _state, _states, *_JSON, allowance=OF_JSON),
    _target("kept requests", _kept, lambda: [_LINES], *(_JSON_WORDS,) * 5),
    _target("classifier", _classifier, lambda: [classifier()], *(_with_checksum,) * 10),
    _target(
        "decision id", _open_decision, lambda: [decision_id().encode()], allowance=EACH_OUTCOME
    ),
)
