"""The models, classes and payers that requests are routed by, compiled from the configuration.

A model's index is its place in the configuration. While a worker runs it keeps its meaning from one
catalog to the next: `places` sees to that.
"""

import functools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from server.config.budgets import BudgetConfig
from server.config.classes import ClassConfig
from server.config.endpoints import is_url
from server.config.models import (
    HeaderConfig,
    KeySource,
    ModelConfig,
    ModelTlsConfig,
)
from server.config.schema import Config
from server.routing.errors import OptionUnsupported
from server.routing.price import Price, charge, compile_price
from server.token_usage import TokenUsage

NO_PAYER = "-"

# What a request is taken for where nothing is known of it yet: about a page in, half a page out,
# one second of a model's time. Only orders models before the first plan.
NOMINAL_INPUT_TOKENS = 1_000
NOMINAL_OUTPUT_TOKENS = 500
NOMINAL_BUSY_S = 1.0


def payer_text(payer: str) -> str:
    """As people name it: "no budget", "team-a", "team-a and team-b", "a, b and c"."""
    if payer == NO_PAYER:
        return "no budget"
    *others, last = payer.split("+")
    return f"{', '.join(others)} and {last}" if others else last


def is_payer(payer: str, budgets: frozenset[str]) -> bool:
    """Whether all the budgets that it names are among these."""
    return payer == NO_PAYER or budgets.issuperset(payer.split("+"))


class PayloadKind(StrEnum):
    """What a request carries; UNKNOWN where only features are sent that say nothing of it."""

    UNKNOWN = "any"  # of kind: every model may be asked but those of embeddings
    TEXT = "text"
    TENSORS = "tensors"
    EMBEDDINGS = "embeddings"  # text to be embedded


class Cell(NamedTuple):
    """The bucket of traffic that a plan has shares for."""

    traffic_class: str
    payer: str
    domain: str
    size_bucket: str
    kind: str = PayloadKind.UNKNOWN  # of the payload: what may serve the cell follows from it


_TAKES: Mapping[str, frozenset[PayloadKind]] = {
    "oip": frozenset({PayloadKind.UNKNOWN, PayloadKind.TENSORS}),
    "chat": frozenset({PayloadKind.UNKNOWN, PayloadKind.TEXT}),
    "embeddings": frozenset({PayloadKind.EMBEDDINGS}),
}


def payload_kinds(protocol: str, serves: str) -> list[str]:
    """What a model can be asked that speaks this and serves that."""
    return sorted(_takes(protocol, serves) - {PayloadKind.UNKNOWN})


def _takes(protocol: str, serves: str) -> frozenset[PayloadKind]:
    """What is asked of a model of openai decides; of another the protocol does."""
    return _TAKES[serves if protocol == "openai" else protocol]


@dataclass(frozen=True, slots=True)
class Model:
    """Something that answers."""

    name: str
    version: str
    protocol: str
    upstream_name: str
    endpoints: tuple[str, ...]
    enabled: bool
    price: Price
    prior_accuracy: float
    capabilities: frozenset[str]
    options_refused: tuple[str, ...] = ()
    serves: str = "chat"
    api_key: KeySource | None = None
    headers: tuple[HeaderConfig, ...] = ()
    tls: ModelTlsConfig | None = None

    @property
    def is_forwarded(self) -> bool:
        """Whether Infer reaches it; else its callers do so themselves, and ask Route."""
        return bool(self.endpoints) and (self.protocol == "oip" or is_url(self.endpoints[0]))


@dataclass(frozen=True, slots=True)
class TrafficClass:
    """A policy's kind of traffic, as the hot path needs it."""

    name: str
    slo_s: float | None
    audit_rate: float
    deadline_s: float
    request_bytes_max: int | None  # of the content; None: no less than the method takes
    output_tokens_max: int | None  # of an answer to a chat
    greedy: tuple[int, ...]  # models in the order to try them where no plan says better


class _Payers(NamedTuple):
    """Of one class."""

    by_tenant: Mapping[str, str]  # of the tenants that a budget names
    of_others: str


@dataclass(frozen=True, slots=True)
class Catalog:
    """One configuration, compiled. Replaced whole, never edited."""

    models: tuple[Model, ...]
    index: Mapping[str, int]  # of a model's name
    classes: Mapping[str, TrafficClass]
    unfit: Mapping[str, int]  # by kind of payload; bit m: model m is drained or does not take it
    not_forwarded: int  # bit m: Infer cannot reach model m, its callers do so themselves
    refusing: Mapping[str, int]  # by option of a chat; bit m: model m refuses it
    _payers: Mapping[str, _Payers]  # of each class

    def payer(self, traffic_class: str, tenant: str) -> str:
        """The budgets that a request draws on, as one name."""
        payers = self._payers[traffic_class]
        return payers.by_tenant.get(tenant, payers.of_others)

    def groups(self) -> frozenset[tuple[str, str]]:
        """Every class with every payer that a request of it can have."""
        return frozenset(
            (name, payer)
            for name, payers in self._payers.items()
            for payer in (*payers.by_tenant.values(), payers.of_others)
        )

    def groups_after(self, later: "Catalog") -> Mapping[tuple[str, str], tuple[str, str]]:
        """What classes and payers are called by a later catalog, where that is another name.

        Of a payer whose tenants part ways, what the tenants that no budget names are called.
        """
        moved = {}
        for name in self._payers.keys() & later._payers.keys():
            before, after = self._payers[name], later._payers[name]
            for tenant in {**before.by_tenant, **after.by_tenant}:
                moved[name, self.payer(name, tenant)] = name, later.payer(name, tenant)
            moved[name, before.of_others] = name, after.of_others
        return {old: new for old, new in moved.items() if old != new}

    def lacking(self, capabilities: Iterable[str]) -> int:
        """Bit m: model m lacks one of the capabilities."""
        wanted = frozenset(capabilities)
        return bits(i for i, model in enumerate(self.models) if not wanted <= model.capabilities)

    def hold_options(self, options: Iterable[str], unfit: int) -> int:
        """`unfit`, with whom one of the options does not suit.

        Raises OptionUnsupported where it suits nobody who is fit.
        """
        everybody = (1 << len(self.models)) - 1
        for option in options:
            refusing = self.refusing.get(option, 0)
            if unfit != everybody and unfit | refusing == everybody:
                message = "no model that could answer takes this option: leave it out"
                raise OptionUnsupported(message, field=f"openai_chat.{option}")
            unfit |= refusing
        return unfit


def bits(indexes: Iterable[int]) -> int:
    """A set of models as an integer: bit m stands for model m."""
    mask = 0
    for index in indexes:
        mask |= 1 << index
    return mask


def compile_catalog(config: Config) -> Catalog:
    """The configuration as the hot path reads it."""
    models = tuple(_model(model) for model in config.models)
    return Catalog(
        models=models,
        index={model.name: i for i, model in enumerate(models)},
        classes=_traffic_classes(config, models),
        unfit={
            kind: bits(
                i
                for i, m in enumerate(models)
                if not m.enabled or kind not in _takes(m.protocol, m.serves)
            )
            for kind in PayloadKind
        },
        not_forwarded=bits(i for i, model in enumerate(models) if not model.is_forwarded),
        refusing=_refusing(models),
        _payers=_payers(config),
    )


def _refusing(models: Sequence[Model]) -> Mapping[str, int]:
    refusing: defaultdict[str, int] = defaultdict(int)
    for index, model in enumerate(models):
        for option in model.options_refused:
            refusing[option] |= 1 << index
    return dict(refusing)


def _model(config: ModelConfig) -> Model:
    return Model(
        name=config.name,
        version=config.version,
        protocol=config.protocol,
        upstream_name=config.upstream_name or config.name,
        endpoints=config.endpoints,
        enabled=config.enabled,
        price=compile_price(config.price),
        prior_accuracy=config.prior_accuracy,
        capabilities=frozenset(config.capabilities),
        options_refused=config.options_refused,
        serves=config.serves,
        api_key=config.api_key,
        headers=config.headers,
        tls=config.tls,
    )


def _traffic_classes(config: Config, models: tuple[Model, ...]) -> dict[str, TrafficClass]:
    costs = [nominal_cost_nano_usd(model) for model in models]
    # Most classes share a few floors: to sort a thousand models for each would take a second.
    order = functools.cache(lambda floor: _greedy(models, costs, floor))
    return {c.name: _traffic_class(c, order(c.floor or 0.0)) for c in config.classes}


def _traffic_class(config: ClassConfig, greedy: tuple[int, ...]) -> TrafficClass:
    return TrafficClass(
        name=config.name,
        slo_s=None if config.slo is None else config.slo.ms / 1_000,
        audit_rate=config.audit_rate,
        deadline_s=config.deadline_s,
        request_bytes_max=config.request_bytes_max,
        output_tokens_max=config.output_tokens_max,
        greedy=greedy,
    )


def _greedy(models: Sequence[Model], costs: Sequence[int], floor: float) -> tuple[int, ...]:
    """Those believed to hold the floor, cheapest first; then the others, most accurate first."""

    def rank(index: int) -> tuple[bool, float]:
        accuracy = models[index].prior_accuracy
        short = accuracy < floor
        return short, -accuracy if short else costs[index]

    return tuple(sorted(range(len(models)), key=rank))


def nominal_cost_nano_usd(model: Model, input_tokens: int | None = None) -> int:
    """What an attempt is taken to cost where no more is known of the request."""
    read = NOMINAL_INPUT_TOKENS if input_tokens is None else input_tokens
    usage = TokenUsage(input=read, output=NOMINAL_OUTPUT_TOKENS)
    return charge(model.price, usage, NOMINAL_BUSY_S)


def _payers(config: Config) -> Mapping[str, _Payers]:
    return {c.name: _payers_of(c.name, config.budgets) for c in config.classes}


def _payers_of(traffic_class: str, budgets: tuple[BudgetConfig, ...]) -> _Payers:
    ours = [b for b in budgets if b.scope.traffic_class in (None, traffic_class)]
    shared = [b.name for b in ours if b.scope.tenant is None]
    by_tenant: defaultdict[str, list[str]] = defaultdict(list)
    for budget in ours:
        if budget.scope.tenant is not None:
            by_tenant[budget.scope.tenant].append(budget.name)
    return _Payers(
        {tenant: "+".join(sorted(own + shared)) for tenant, own in by_tenant.items()},
        "+".join(sorted(shared)) or NO_PAYER,
    )
