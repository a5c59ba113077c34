"""The whole configuration: every section, with its bounds."""

from typing import Annotated

from pydantic import Field, PositiveInt

from server.config.budgets import BudgetConfig
from server.config.callers import CallersConfig
from server.config.classes import ClassConfig, ClassifierConfig, DomainConfig
from server.config.listeners import ListenersConfig
from server.config.models import HealthConfig, ModelConfig
from server.config.section import Section, Text

# Bounds on what one file may ask of a worker: its tables are compiled from them at every change.
MODELS_MAX = 1_000
CLASSES_MAX = 1_000
BUDGETS_MAX = 1_000
DOMAINS_MAX = 64  # a cell is made for each: coarse on purpose
SIZE_BUCKETS_MAX = 8  # as domains

SizeBuckets = Annotated[tuple[PositiveInt, ...], Field(max_length=SIZE_BUCKETS_MAX)]


class Config(Section):
    """What an operator says, whole and consistent."""

    window_s: Annotated[float, Field(gt=0, le=3_600)] = 5.0
    """Seconds between two plans."""
    state_dir: str | None = None
    """The folder of sockets and keys; turnout in $XDG_STATE_HOME or ~/.local/state by default."""
    listeners: ListenersConfig = ListenersConfig()
    """Where to listen."""
    callers: CallersConfig = CallersConfig()
    """Who may ask."""
    access_log: Text | None = None
    """A folder, or stderr: a line for each request, and for each report; none, unless given."""
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
