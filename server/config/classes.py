"""What is asked: traffic classes, content domains, and the classifier that finds the domain."""

from typing import Annotated, Literal

from pydantic import Field

from server.config.budgets import Aim
from server.config.match import Match
from server.config.section import SECONDS_MAX, Fraction, Int32, Name, Seconds, Section

REQUEST_BYTES_MAX = 64 * 2**20  # what the largest of the methods takes
OUTPUT_TOKENS_MAX = 10_000_000  # a hundred times what models write
KEPT_REQUESTS_MAX = 100_000  # 0.7 KB each in English, twice as many at a time: 140 MB


class SloConfig(Section):
    """At least this fraction of requests is answered within ms."""

    metric: Literal["total"] = "total"
    """Of the whole request, from its arrival to the end of the answer."""
    ms: Annotated[float, Field(gt=0, le=SECONDS_MAX * 1_000)]
    """Milliseconds."""
    fraction: Annotated[float, Field(gt=0, lt=1)]
    """Of the requests that are served; a failure counts as too late."""


class ClassConfig(Section):
    """A traffic class. Classes are tried in the order of the file; without match, by name only."""

    name: Name
    """How it is called, unique among the classes."""
    match: Match | None = None
    """Which requests are of this class: one block, or a list of which one has to match."""
    default: bool = False
    """It takes the requests that no rule matches; one class does."""
    slo: SloConfig | None = None
    """How fast answers have to come."""
    floor: Fraction | None = None
    """The least fraction of answers that are right."""
    floor_when_short: Fraction | None = None
    """Down to this the floor falls while a budget that pays is short; it holds, unless given."""
    domain_floor: Fraction | None = None
    """The least fraction of answers that are right in each domain by itself."""
    aim: Aim | None = None
    """What is sought within the promises; unless given, what the budgets' own aim says."""
    grades: Literal["caller", "none"] = "none"
    """Who says whether an answer was right: caller reports it; with none the floor is assumed."""
    audit_rate: Fraction = 0.0
    """The fraction of requests whose grade is asked for; only those count for the floor."""
    explore: bool = True
    """Whether a part of these requests may try other models than the plan's, to learn from."""
    priority: Int32 = 0
    """Larger is met first when not all can be."""
    if_short: Literal["degrade", "refuse"] = "degrade"
    """What yields first where not both can hold: the floor (degrade), or the SLO (refuse)."""
    deadline_s: Seconds = 60.0
    """Of a call that brings no deadline."""
    request_bytes_max: Annotated[int, Field(ge=1, le=REQUEST_BYTES_MAX)] | None = None
    """Bytes of a request's text, chat or tensors; as many as its method takes, unless given."""
    output_tokens_max: Annotated[int, Field(ge=1, le=OUTPUT_TOKENS_MAX)] | None = None
    """Tokens that a model may write in answer to a chat; as many as it likes, unless given."""


class DomainConfig(Section):
    """A content domain: stated by the caller, or found by its rule."""

    name: Name
    """How it is called, unique among the domains."""
    match: Match | None = None
    """Which requests belong to it, as for classes; without, only those that name it."""


class ClassifierConfig(Section):
    """What reads the domain and the intent of a text where no rule says the domain."""

    file: Annotated[str, Field(min_length=1)]
    """Where it is, as turnout train wrote it; read again when this changes."""
    keep_requests: Annotated[int, Field(ge=0, le=KEPT_REQUESTS_MAX)] = 0
    """How many texts of requests are kept in the state folder, to train and compare by."""
