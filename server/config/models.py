"""What answers: models, what they cost and take, and how their endpoints are judged."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from server.config.section import Fraction, Name, Seconds, Section, Text

ENDPOINTS_MAX = 256  # of one model
CAPABILITIES_MAX = 64  # of one model
# Amounts are kept as integers of nano-dollars in 64 bits: 9.2 billion dollars.
USD_MAX = 1e9
GRADES_MAX = 1_000_000_000

Usd = Annotated[float, Field(ge=0, le=USD_MAX)]


class PriceConfig(Section):
    """What the plan reckons an attempt costs: the sum of its parts, one of them above 0."""

    input_usd_per_mtok: Usd = 0.0
    """Dollars for a million tokens read."""
    output_usd_per_mtok: Usd = 0.0
    """Dollars for a million tokens written."""
    request_usd: Usd = 0.0
    """Dollars for each request."""
    busy_second_usd: Usd = 0.0
    """Dollars for each second that a request is at the model."""


class CapacityConfig(Section):
    """What a model can take; a limit that is not given is none."""

    requests_per_s: PositiveFloat | None = None
    """Requests a second."""
    concurrent: PositiveFloat | None = None
    """Requests at the model's endpoints at one time."""


class ModelConfig(Section):
    """Something that answers."""

    name: Name
    """How it is called here, unique among the models."""
    version: Text = ""
    """Which one of its kind; told to callers."""
    protocol: Literal["oip", "openai"]
    """What its endpoints speak: oip (Open Inference Protocol v2 over gRPC) or openai (its HTTP)."""
    endpoints: Annotated[tuple[str, ...], Field(max_length=ENDPOINTS_MAX)]
    """Where it is served: host:port, or unix:/PATH. Empty (openai): callers reach it themselves."""
    upstream_name: Text = ""
    """What its endpoints call it; its name here, unless given."""
    enabled: bool = True
    """False drains it: no new request is sent, those in flight end."""
    price: PriceConfig
    """What an attempt costs."""
    capacity: CapacityConfig = CapacityConfig()
    """What it can take."""
    prior_accuracy: Fraction
    """The fraction of its answers that are right, as far as you know before any grade has come."""
    prior_grades: Annotated[int, Field(ge=1, le=GRADES_MAX)] | None = None
    """How many graded answers prior_accuracy was found on; a guess, unless given."""
    capabilities: Annotated[tuple[Text, ...], Field(max_length=CAPABILITIES_MAX)] = ()
    """What it can do that not every model can, such as tools or images."""


class HealthConfig(Section):
    """When an endpoint is taken out and when it comes back."""

    consecutive_failures_max: PositiveInt = 5
    """Failures in a row that take it out."""
    ejection_s: Seconds = 10.0
    """Seconds that the first ejection lasts; each one that follows lasts longer."""
    ejection_s_max: Seconds = 300.0
    """Seconds that no ejection exceeds."""
