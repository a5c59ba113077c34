"""Half of a surrogate pair, which no UTF-8 can hold, is refused by the name of its field."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.both_clients import AnyClient, settled
from tests.client.contract_server import ContractServicer
from turnout import Attempt, Outcome
from turnout.batch import batch_request
from turnout.convert import infer_request, route_request
from turnout.reporting import report_request
from turnout.request import BatchFields, ContextFields, FeatureFields

halves = st.characters(min_codepoint=0xD800, max_codepoint=0xDFFF, categories=["Cs"])
# What stands before the half may be any character, of one byte to four.
broken = st.tuples(st.text(max_size=5), halves, st.text(max_size=5))

ROUTED: dict[str, Callable[[str], Any]] = {
    "text": lambda text: text,
    "openai_chat.messages[0].content": lambda text: {
        "messages": [{"role": "user", "content": text}]
    },
    "traffic_class": lambda text: text,
    "tenant": lambda text: text,
    "user": lambda text: text,
    "labels": lambda text: {text: "shop"},
    "labels.app": lambda text: {"app": text},
    "response_format": lambda text: text,
    "request_id": lambda text: text,
    "domain": lambda text: text,
    "capabilities[1]": lambda text: ["tools", text],
}
REPORTED: dict[str, Callable[[str], Outcome]] = {
    "decision_id": lambda text: Outcome(decision_id=text),
    "domain": lambda text: Outcome(decision_id="d", domain=text),
    "intent": lambda text: Outcome(decision_id="d", intent=text),
    "metrics: metric": lambda text: Outcome(decision_id="d", metrics={text: 1.0}),
    "attempts[0]: model": lambda text: Outcome(decision_id="d", attempts=[Attempt(model=text)]),
    "attempts[0]: endpoint": lambda text: Outcome(
        decision_id="d", attempts=[Attempt(model="m", endpoint=text)]
    ),
}
NO_TEXT = {"priority", "input_tokens", "payload_kind"}


def keyword(path: str) -> str:
    return path.partition(".")[0].partition("[")[0]


def test_every_keyword_that_takes_text_is_tried() -> None:
    assert {keyword(path) for path in ROUTED} == {"text", "openai_chat"} | {
        *ContextFields.__annotations__,
        *FeatureFields.__annotations__,
    } - NO_TEXT


@pytest.mark.parametrize("path", ROUTED)
@given(parts=broken)
def test_a_request_with_half_a_character_is_refused_by_its_keyword(
    path: str, parts: tuple[str, str, str]
) -> None:
    fields: BatchFields = {keyword(path): ROUTED[path]("".join(parts))}  # type: ignore[misc]
    with pytest.raises(ValueError, match="half of a surrogate pair") as raised:
        route_request(fields)
    assert str(raised.value).startswith(f"{path}: character {len(parts[0])} is half")
    with pytest.raises(ValueError, match="half of a surrogate pair") as raised:
        batch_request([{"text": "whole"}, fields])
    assert str(raised.value).startswith(f"requests[1]: {path}: character {len(parts[0])} ")


@pytest.mark.parametrize("path", REPORTED)
@given(parts=broken)
def test_an_outcome_with_half_a_character_is_refused_by_its_field(
    path: str, parts: tuple[str, str, str]
) -> None:
    outcome = REPORTED[path]("".join(parts))
    with pytest.raises(ValueError, match="half of a surrogate pair") as raised:
        report_request([outcome])
    assert str(raised.value).startswith(f"{path}: character {len(parts[0])} is half")
    with pytest.raises(ValueError, match="half of a surrogate pair") as raised:
        report_request([Outcome(decision_id="whole"), outcome])
    assert str(raised.value).startswith(f"outcomes[1]: {path}: ")


@given(text=st.text())
def test_whole_characters_of_every_kind_are_sent(text: str) -> None:
    request = route_request({"text": text, "tenant": text, "labels": {text: text}})
    assert (request.text, request.context.tenant) == (text, text)
    assert infer_request(b"", fields={"user": text}).context.user == text


async def test_both_clients_refuse_it_before_anything_is_sent(
    client: AnyClient, servicer: ContractServicer
) -> None:
    with pytest.raises(ValueError, match=r"^text: character 3 is half"):
        await settled(client.route(text="so \ud83d"))
    with pytest.raises(ValueError, match=r"^tenant: character 0 is half"):
        await settled(client.infer(b"", tenant="\udc80"))
    with pytest.raises(ValueError, match=r"^requests\[0\]: text: character 0 is half"):
        await settled(client.route_batch([{"text": "\udc80"}]))
    with pytest.raises(ValueError, match=r"^intent: character 0 is half"):
        await settled(client.report("d-1", intent="\udc80"))
    assert servicer.requests == []
