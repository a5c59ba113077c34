"""The configuration file: parsed once, every problem listed with its path, frozen."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Fraction = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PriceConfig(_Section):
    """What the plan reckons an attempt costs: the sum of its parts."""

    input_usd_per_mtok: NonNegativeFloat = 0.0
    output_usd_per_mtok: NonNegativeFloat = 0.0
    request_usd: NonNegativeFloat = 0.0
    busy_second_usd: NonNegativeFloat = 0.0


class CapacityConfig(_Section):
    """What a model can take; None is no limit."""

    requests_per_s: PositiveFloat | None = None
    concurrent: PositiveFloat | None = None


class ModelConfig(_Section):
    """Something that answers."""

    name: Name
    version: str = ""
    protocol: Literal["oip", "openai"]
    endpoints: tuple[str, ...]
    upstream_name: str = ""
    enabled: bool = True
    price: PriceConfig
    capacity: CapacityConfig = CapacityConfig()
    prior_accuracy: Fraction
    capabilities: tuple[str, ...] = ()


class KeywordsConfig(_Section):
    """Words and phrases, found at word boundaries whatever their case."""

    any_of: tuple[str, ...] = ()
    all_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()


class RangeConfig(_Section):
    """From min to max, both included; None is open."""

    min: int | None = None
    max: int | None = None


class MatchConfig(_Section):
    """Every key that is given has to match; a list means any of its values."""

    labels: dict[str, tuple[str, ...]] = {}
    metadata: dict[str, tuple[str, ...]] = {}
    tenant: tuple[str, ...] = ()
    user: tuple[str, ...] = ()
    response_format: tuple[str, ...] = ()
    priority: RangeConfig | None = None
    input_tokens: RangeConfig | None = None
    keywords: KeywordsConfig | None = None


class SloConfig(_Section):
    """At least this fraction of requests is answered within ms."""

    metric: Literal["total"] = "total"
    ms: PositiveFloat
    fraction: Annotated[float, Field(gt=0, lt=1)]


class ClassConfig(_Section):
    """A traffic class. Classes are tried in the order of the file; without a match rule, by name only."""

    name: Name
    match: MatchConfig | None = None
    default: bool = False
    slo: SloConfig | None = None
    floor: Fraction | None = None
    grades: Literal["caller", "none"] = "none"
    audit_rate: Fraction = 0.0
    priority: int = 0
    if_short: Literal["degrade", "refuse"] = "degrade"
    deadline_s: PositiveFloat = 60.0


class DomainConfig(_Section):
    """A content domain: stated by the caller, or found by its rule."""

    name: Name
    match: MatchConfig | None = None


class ScopeConfig(_Section):
    """Whose requests draw on a budget; every key that is given has to match, none means all."""

    tenant: str | None = None
    traffic_class: str | None = None


class BudgetConfig(_Section):
    """Money for a period, in UTC."""

    name: Name
    scope: ScopeConfig = ScopeConfig()
    amount_usd: PositiveFloat
    period: Literal["hour", "day", "week", "month"]
    kind: Literal["soft", "hard"] = "soft"


class ListenersConfig(_Section):
    """Where to listen. host:port, or unix:PATH; port 0 takes a free one."""

    data: str = "127.0.0.1:7080"
    admin: str | None = None  # None: a Unix socket in the state folder
    admin_token_file: str | None = None  # needed where admin is TCP
    prometheus: str | None = None


class HealthConfig(_Section):
    """When an endpoint is taken out and when it comes back."""

    consecutive_failures_max: PositiveInt = 5
    ejection_s: PositiveFloat = 10.0
    ejection_s_max: PositiveFloat = 300.0


class Config(_Section):
    """What an operator says, whole and consistent."""

    window_s: PositiveFloat = 5.0
    state_dir: str | None = None
    listeners: ListenersConfig = ListenersConfig()
    size_buckets_tokens: tuple[PositiveInt, ...] = (1_000, 8_000)
    domains: tuple[DomainConfig, ...] = ()
    models: tuple[ModelConfig, ...]
    classes: tuple[ClassConfig, ...]
    budgets: tuple[BudgetConfig, ...] = ()
    health: HealthConfig = HealthConfig()
