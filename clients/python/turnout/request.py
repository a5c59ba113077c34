"""What a caller says: of a request, and of what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol, TypedDict


class SerializesToString(Protocol):
    """A protobuf message, whoever generated its class."""

    def SerializeToString(self) -> bytes: ...  # noqa: N802 - protobuf's name


class ContextFields(TypedDict, total=False):
    """Who asks, and what the rules of a class may look at beside the content."""

    traffic_class: str
    tenant: str
    user: str
    labels: Mapping[str, str]
    priority: int
    response_format: str
    request_id: str


class FeatureFields(TypedDict, total=False):
    """What a caller knows of the content; it is believed over what the content shows."""

    input_tokens: int
    domain: str
    capabilities: list[str] | tuple[str, ...]
    payload_kind: Literal["text", "tensors"]


class RequestFields(ContextFields, FeatureFields, total=False):
    """The keywords of `route` and `infer`: `turnout.v1.RequestContext` and `Features` together."""


class BatchFields(RequestFields, total=False):
    """A request of `route_batch`: the keywords of `route`, without `dry_run`."""

    text: str | None
    oip_request: bytes | SerializesToString | None
    openai_chat: bytes | Mapping[str, object] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One model that was asked for a request; `Target.answered` and `Target.failed` make it."""

    model: str
    endpoint: str = ""  # as the decision named it; empty: not known
    latency_s: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    failed: bool = False


class OutcomeFields(TypedDict, total=False):
    """The keywords of `report`: the fields of `Outcome`."""

    quality: float | None
    metrics: Mapping[str, float]
    judged_at: datetime | None
    latency_s: float | None
    input_tokens: int | None
    output_tokens: int | None
    failed: bool | None
    domain: str
    intent: str
    attempts: Sequence[Attempt]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a decision.

    Usage (latency_s, input_tokens, output_tokens, failed) is for decisions by `route` and counts
    once; `infer` has counted its own already. `attempts` are all that were asked, in order, the one
    that answered last; usage that is not stated is then what they add up to.
    """

    decision_id: str
    quality: float | None = None  # from 0 (wrong) to 1 (right); counts for the floor
    metrics: Mapping[str, float] = field(default_factory=dict)  # other grades by name, 0 to 1
    judged_at: datetime | None = None  # with a timezone; None: now
    latency_s: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    failed: bool | None = None
    domain: str = ""  # what it was about in truth, for the next training of the classifier
    intent: str = ""
    attempts: Sequence[Attempt] = ()
