"""The configuration: what an operator says, parsed once and frozen.

Its keys are public and explained in docs/configuration.md. Reading a file is server.config.file's
job, what has to hold between the keys server.config.check's.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, ValidationError

from server.config.match import Match
from server.config.match import MatchConfig as MatchConfig  # others build rules of it
from server.config.section import Int32, Name, Text
from server.config.section import Section as _Section

# Bounds on what one file may ask of a worker: its tables are compiled from them at every change.
MODELS_MAX = 1_000
CLASSES_MAX = 1_000
BUDGETS_MAX = 1_000
DOMAINS_MAX = 64  # a cell is made for each: coarse on purpose
SIZE_BUCKETS_MAX = 8  # as domains
ENDPOINTS_MAX = 256  # of one model
CAPABILITIES_MAX = 64  # of one model

# Amounts are kept as integers of nano-dollars in 64 bits: 9.2 billion dollars.
USD_MAX = 1e9
PERIOD_USD_MAX = 1e9
SECONDS_MAX = 86_400.0
REQUEST_BYTES_MAX = 64 * 2**20  # what the largest of the methods takes
GRADES_MAX = 1_000_000_000
KEPT_REQUESTS_MAX = 100_000  # 0.7 KB each in English, twice as many at a time: 140 MB

Fraction = Annotated[float, Field(ge=0, le=1)]
Usd = Annotated[float, Field(ge=0, le=USD_MAX)]
Seconds = Annotated[float, Field(gt=0, le=SECONDS_MAX)]
SizeBuckets = Annotated[tuple[PositiveInt, ...], Field(max_length=SIZE_BUCKETS_MAX)]


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake, for the person who made it."""

    path: str  # "models[2].price.request_usd"; empty for the file as a whole
    line: int | None  # None: it was not read from a file
    message: str  # what is wrong and what would be right
    severity: Literal["error", "warning"] = "error"  # a warning stops nothing

    def __str__(self) -> str:
        where = [self.path] if self.path else []
        if self.line is not None:
            where.append(f"(line {self.line})")
        return f"{' '.join(where)}: {self.message}" if where else self.message


class ConfigError(Exception):
    """A configuration cannot be used; says every reason at once."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class PriceConfig(_Section):
    """What the plan reckons an attempt costs: the sum of its parts, one of them above 0."""

    input_usd_per_mtok: Usd = 0.0
    """Dollars for a million tokens read."""
    output_usd_per_mtok: Usd = 0.0
    """Dollars for a million tokens written."""
    request_usd: Usd = 0.0
    """Dollars for each request."""
    busy_second_usd: Usd = 0.0
    """Dollars for each second that a request is at the model."""


class CapacityConfig(_Section):
    """What a model can take; a limit that is not given is none."""

    requests_per_s: PositiveFloat | None = None
    """Requests a second."""
    concurrent: PositiveFloat | None = None
    """Requests at the model's endpoints at one time."""


class ModelConfig(_Section):
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


class SloConfig(_Section):
    """At least this fraction of requests is answered within ms."""

    metric: Literal["total"] = "total"
    """Of the whole request, from its arrival to the end of the answer."""
    ms: Annotated[float, Field(gt=0, le=SECONDS_MAX * 1_000)]
    """Milliseconds."""
    fraction: Annotated[float, Field(gt=0, lt=1)]
    """Of the requests that are served; a failure counts as too late."""


class ClassConfig(_Section):
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
    grades: Literal["caller", "none"] = "none"
    """Who says whether an answer was right: caller reports it; with none the floor is assumed."""
    audit_rate: Fraction = 0.0
    """The fraction of requests whose grade is asked for; only those count for the floor."""
    priority: Int32 = 0
    """Larger is met first when not all can be."""
    if_short: Literal["degrade", "refuse"] = "degrade"
    """What yields first where not both can hold: the floor (degrade), or the SLO (refuse)."""
    deadline_s: Seconds = 60.0
    """Of a call that brings no deadline."""
    request_bytes_max: Annotated[int, Field(ge=1, le=REQUEST_BYTES_MAX)] | None = None
    """Bytes of a request's text, chat or tensors; as many as its method takes, unless given."""


class DomainConfig(_Section):
    """A content domain: stated by the caller, or found by its rule."""

    name: Name
    """How it is called, unique among the domains."""
    match: Match | None = None
    """Which requests belong to it, as for classes; without, only those that name it."""


class ClassifierConfig(_Section):
    """What reads the domain and the intent of a text where no rule says the domain."""

    file: Annotated[str, Field(min_length=1)]
    """Where it is, as turnout train wrote it; read again when this changes."""
    keep_requests: Annotated[int, Field(ge=0, le=KEPT_REQUESTS_MAX)] = 0
    """How many texts of requests are kept in the state folder, to train and compare by."""


class ScopeConfig(_Section):
    """Whose requests draw on a budget; every key that is given has to match, none means all."""

    tenant: Text | None = None
    """Those of this tenant."""
    traffic_class: str | None = None
    """Those of this class."""


class BudgetConfig(_Section):
    """Money for a period, in UTC."""

    name: Name
    """How it is called, unique among the budgets."""
    scope: ScopeConfig = ScopeConfig()
    """Whose requests draw on it."""
    amount_usd: Annotated[float, Field(gt=0, le=PERIOD_USD_MAX)]
    """Dollars for each period."""
    period: Literal["hour", "day", "week", "month"]
    """hour, day, week or month, each from its start in UTC; a week starts on Monday."""
    kind: Literal["soft", "hard"] = "soft"
    """A soft budget moves the mix to cheaper models and refuses nothing; hard is not built yet."""


class TlsConfig(_Section):
    """TLS of the listeners on TCP. The files are PEM, and read again when they change."""

    cert_file: str
    """The certificate, then those between it and its authority's."""
    key_file: str
    """Its private key, without a passphrase."""
    client_ca_file: str | None = None
    """Whoever sends requests has to show a certificate of this authority; none, unless given."""


class ListenersConfig(_Section):
    """Where to listen. host:port, or unix:/PATH; port 0 takes a free one."""

    data: str = "127.0.0.1:7080"
    """For requests. Whoever reaches it may ask: an address beyond this machine is your word."""
    admin: str | None = None
    """For operators; a Unix socket in the state folder, unless given."""
    admin_token_file: str | None = None
    """The file that holds the token operators have to show; needed where admin is TCP."""
    prometheus: str | None = None
    """For scrapes of the metrics, host:port; none, unless given."""
    tls: TlsConfig | None = None
    """Encrypts the data listener, and the admin listener, where they are on TCP."""


class HealthConfig(_Section):
    """When an endpoint is taken out and when it comes back."""

    consecutive_failures_max: PositiveInt = 5
    """Failures in a row that take it out."""
    ejection_s: Seconds = 10.0
    """Seconds that the first ejection lasts; each one that follows lasts longer."""
    ejection_s_max: Seconds = 300.0
    """Seconds that no ejection exceeds."""


class Config(_Section):
    """What an operator says, whole and consistent."""

    window_s: Annotated[float, Field(gt=0, le=3_600)] = 5.0
    """Seconds between two plans."""
    state_dir: str | None = None
    """The folder of sockets and keys; turnout in $XDG_STATE_HOME or ~/.local/state by default."""
    listeners: ListenersConfig = ListenersConfig()
    """Where to listen."""
    worker_memory_mib: Annotated[int, Field(ge=512, le=1_048_576)] = 1_536
    """MiB that a worker stays within: two thirds of it may hold requests, answers, connections."""
    size_buckets_tokens: SizeBuckets = (1_000, 8_000)
    """Requests are planned by size: up to each of these numbers of input tokens, and above."""
    classifier: ClassifierConfig | None = None
    """The learned classifier; none, unless given."""
    domains: Annotated[tuple[DomainConfig, ...], Field(max_length=DOMAINS_MAX)] = ()
    """Content domains, tried in this order; what none matches is of the domain other."""
    models: Annotated[tuple[ModelConfig, ...], Field(max_length=MODELS_MAX)]
    """What answers."""
    classes: Annotated[tuple[ClassConfig, ...], Field(max_length=CLASSES_MAX)]
    """What is asked, and what has to hold for it."""
    budgets: Annotated[tuple[BudgetConfig, ...], Field(max_length=BUDGETS_MAX)] = ()
    """What may be spent."""
    health: HealthConfig = HealthConfig()
    """How endpoints are judged."""


def to_json(config: Config) -> bytes:
    """The configuration as it travels to workers and outlasts a restart of the control plane."""
    return config.model_dump_json().encode()


def from_json(data: bytes) -> Config:
    """What to_json wrote; raises ConfigError where it is something else."""
    try:
        return Config.model_validate_json(data, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = ".".join(map(str, first["loc"]))
        message = f"this is no configuration that Turnout wrote: {first['msg']}"
        raise ConfigError((Problem(path, None, message),)) from None


def json_schema() -> dict[str, object]:
    """For editors that check the file while it is written."""
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Turnout configuration",
    }
    return head | {k: v for k, v in Config.model_json_schema().items() if k not in head}
