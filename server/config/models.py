"""What answers: models, what they cost and take, and how their endpoints are judged."""

from typing import Annotated, Literal, NamedTuple

from pydantic import Field, PositiveFloat, PositiveInt

from server.config.section import Fraction, Name, Seconds, Section, Text

ENDPOINTS_MAX = 256  # of one model
HEADERS_MAX = 16  # of one model
CAPABILITIES_MAX = 64  # of one model
OPTIONS_MAX = 64  # of one model
# Amounts are kept as integers of nano-dollars in 64 bits: 9.2 billion dollars.
USD_MAX = 1e9
GRADES_MAX = 1_000_000_000
PATH_CHARS_MAX = 4_096  # as Linux has it
TIERS_MAX = 8  # of one price; hosted models have one or two

Usd = Annotated[float, Field(ge=0, le=USD_MAX)]
FilePath = Annotated[str, Field(max_length=PATH_CHARS_MAX)]


class KeySource(NamedTuple):
    """Where a secret is: in an environment variable, or in a file."""

    env: str | None
    file: str | None


class TokenPrices(Section):
    """Dollars for a million tokens of each kind."""

    input_usd_per_mtok: Usd | None = None
    """Dollars for a million tokens read; 0, unless given."""
    cached_input_usd_per_mtok: Usd | None = None
    """The same of those that the provider has in its cache; as input, unless given."""
    cache_write_usd_per_mtok: Usd | None = None
    """The same of those that it puts there; as input, unless given."""
    output_usd_per_mtok: Usd | None = None
    """Dollars for a million tokens written; 0, unless given."""
    reasoning_usd_per_mtok: Usd | None = None
    """The same of those that the model writes for itself; as output, unless given."""


class PriceTierConfig(TokenPrices):
    """Prices of a request that reads many tokens; one that is not given is as below it."""

    above_input_tokens: PositiveInt
    """It holds for all tokens of a request that reads more than so many."""


class PriceConfig(TokenPrices):
    """What a model charges for an attempt: the sum of its parts, one of them above 0."""

    list_price: Text = ""
    """A hosted model whose list prices hold where none is given here, such as openai/gpt-4o."""
    tiers: Annotated[tuple[PriceTierConfig, ...], Field(max_length=TIERS_MAX)] = ()
    """Other prices of tokens for long contexts."""
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


class HeaderConfig(Section):
    """A header that every request to the model carries: its value, or where that is a secret."""

    name: Text
    """What it is called, such as OpenAI-Organization."""
    value: Text | None = None
    """What it says, where that is no secret."""
    env: Text | None = None
    """The environment variable that holds it."""
    file: FilePath | None = None
    """The file that holds it; read again when it changes."""

    @property
    def source(self) -> KeySource | None:
        """Where its value is, unless it is given here."""
        return None if self.value is not None else KeySource(self.env, self.file)


class ModelTlsConfig(Section):
    """TLS towards the model's endpoints. The files are PEM, and read again when they change."""

    ca_file: FilePath | None = None
    """The authorities that endpoints' certificates have to be of; the system's, unless given."""
    cert_file: FilePath | None = None
    """The certificate that endpoints are shown, then those between it and its authority's."""
    key_file: FilePath | None = None
    """Its private key, without a passphrase."""


class ModelConfig(Section):
    """Something that answers."""

    name: Name
    """How it is called here, unique among the models."""
    version: Text = ""
    """Which one of its kind; told to callers."""
    protocol: Literal["oip", "openai"]
    """What its endpoints speak: oip (Open Inference Protocol v2 over gRPC) or openai (its HTTP)."""
    endpoints: Annotated[tuple[str, ...], Field(max_length=ENDPOINTS_MAX)]
    """Of oip: host:port or unix:/PATH. Of openai: base URLs; else callers ask there themselves."""
    upstream_name: Text = ""
    """What its endpoints call it; its name here, unless given."""
    serves: Literal["chat", "embeddings"] = "chat"
    """What a model of openai is asked for: chat completions, or embeddings."""
    api_key_env: Text | None = None
    """The environment variable that holds the key endpoints of openai are asked with."""
    api_key_file: FilePath | None = None
    """The file that holds that key; read again when it changes."""
    headers: Annotated[tuple[HeaderConfig, ...], Field(max_length=HEADERS_MAX)] = ()
    """What else requests to endpoints of openai carry."""
    tls: ModelTlsConfig | None = None
    """Of oip: calls are encrypted. Of openai, https says so. Whom to trust, and what to show."""
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
    options_refused: Annotated[tuple[Text, ...], Field(max_length=OPTIONS_MAX)] = ()
    """Fields of a chat's body that its endpoints refuse, such as logprobs: others answer those."""

    @property
    def api_key(self) -> KeySource | None:
        """Where its key is; None: it has none."""
        if self.api_key_env is None and self.api_key_file is None:
            return None
        return KeySource(self.api_key_env, self.api_key_file)


class HealthConfig(Section):
    """When an endpoint is taken out and when it comes back."""

    consecutive_failures_max: PositiveInt = 5
    """Failures in a row that take it out."""
    ejection_s: Seconds = 10.0
    """Seconds that the first ejection lasts; each one that follows lasts longer."""
    ejection_s_max: Seconds = 300.0
    """Seconds that no ejection exceeds."""
