"""What Turnout answers, as plain frozen values."""

from dataclasses import dataclass
from typing import Protocol, TypeVar

from turnout.request import Attempt

_NANO = 1_000_000_000


class _ParsesFromString(Protocol):
    def ParseFromString(self, serialized: bytes, /) -> object: ...  # noqa: N802 - protobuf's name


_Message = TypeVar("_Message", bound=_ParsesFromString)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A model and the endpoint to call it at: empty where callers reach the model themselves."""

    model: str
    version: str
    endpoint: str
    upstream_name: str = ""  # what the endpoint calls the model, where that is not its name

    def answered(
        self,
        *,
        latency_s: float | None = None,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
    ) -> Attempt:
        """For the `attempts` of a report: it was asked and answered."""
        return Attempt(
            model=self.model,
            endpoint=self.endpoint,
            latency_s=latency_s,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
        )

    def failed(self, *, latency_s: float | None = None) -> Attempt:
        """For the `attempts` of a report: it was asked and did not answer."""
        return Attempt(model=self.model, endpoint=self.endpoint, latency_s=latency_s, failed=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The bucket of traffic that a plan has shares for."""

    traffic_class: str
    payer: str
    domain: str
    size_bucket: str
    payload_kind: str = ""  # "text", "tensors" or "any"; an open set, empty of an older server


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why this model."""

    rule: str  # what made the class: "context", "default" or the name of a class
    basis: str  # what the shares are: "plan", "class" or "greedy"; an open set
    text: str  # one sentence for people; its wording is no contract


@dataclass(frozen=True, slots=True, kw_only=True)
class _Routed:
    """What is known of every routed request."""

    decision_id: str  # for `report`; empty for a dry run
    plan_id: str  # empty before the first plan
    cell: Cell
    target: Target
    reason: Reason
    report_wanted: bool  # in the audit sample: please report its quality
    request_id: str

    @property
    def traffic_class(self) -> str:
        return self.cell.traffic_class

    @property
    def model(self) -> str:
        return self.target.model

    @property
    def version(self) -> str:
        return self.target.version

    @property
    def endpoint(self) -> str:
        return self.target.endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision(_Routed):
    """Which model should answer."""

    fallbacks: tuple[Target, ...]  # in the order to try them
    expected_cost_nano_usd: int
    reuse_for_s: float  # how long requests of the same cell may use it; 0: ask again

    @property
    def targets(self) -> tuple[Target, ...]:
        """All that may be asked, in the order to try them."""
        return (self.target, *self.fallbacks)

    @property
    def expected_cost_usd(self) -> float:
        return self.expected_cost_nano_usd / _NANO


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a request used, over the whole of it."""

    input_tokens: int
    output_tokens: int
    latency_s: float
    # Of the input, what the provider read from its cache and put into it; of the output, what the
    # model wrote for itself.
    cached_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False  # the endpoint told no tokens: these are what was seen


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answered(_Routed):
    """What is known of every request that a model answered."""

    usage: Usage
    cost_nano_usd: int  # by the decision price, of all attempts together
    attempts: int  # 1 when the first model answered

    @property
    def cost_usd(self) -> float:
        return self.cost_nano_usd / _NANO


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(_Answered):
    """What the model's endpoint answered, and what it took."""

    oip_response: bytes  # a serialised inference.ModelInferResponse

    def parse(self, message_class: type[_Message]) -> _Message:
        """Reads the response as a message of the caller's own stubs."""
        message = message_class()
        message.ParseFromString(self.oip_response)
        return message


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatAnswer(_Answered):
    """What a language model wrote, and what it took."""

    text: str  # of the first choice; empty where it calls tools instead: see `body`
    finish_reason: str  # why it stopped, in its endpoint's word: "stop", "length" and others
    # A Chat Completions response as the endpoint sent it, JSON; empty where a text was sent.
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEnd(_Answered):
    """What is told once an answer in pieces is whole."""

    finish_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of an answer, as the model writes it."""

    text: str = ""  # of the first choice; some pieces have none
    body: bytes = (
        b""  # a chat.completion.chunk, as the endpoint sent it; empty where a text was sent
    )
    end: StreamEnd | None = None  # beside nothing else: this is the last


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeResult:
    """Whether an outcome was counted, or the stable reason why it was refused."""

    reason: str  # empty: counted
    message: str

    @property
    def counted(self) -> bool:
        return not self.reason
