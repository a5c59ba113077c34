"""Routers of a few models, and what tests do with them."""

import random
from collections.abc import Sequence
from typing import Any

from server.config.models import HealthConfig, ModelConfig, PriceConfig
from server.routing.catalog import Cell, PayloadKind
from server.routing.counters import Counters
from server.routing.decision import Decision
from server.routing.decision_id import KEY_BYTES, Sealer
from server.routing.query import Query
from server.routing.router import Router
from server.routing.selector import CellKey, ModelShares, Selector, WeightTable
from tests.server.routing.configs import config, model

KEY = bytes(KEY_BYTES)
CELL = Cell("chat", "-", "other", "s0")
SMALL, LARGE, TEXT = 0, 1, 2
THIRD, TENSORS = TEXT, PayloadKind.TENSORS
HEALTH = HealthConfig(consecutive_failures_max=1, ejection_s=10, ejection_s_max=10)
MODELS = (
    model("small", price=PriceConfig(request_usd=0.001), prior_accuracy=0.7),
    model("large", price=PriceConfig(request_usd=0.01), prior_accuracy=0.95),
    model("text", protocol="openai", price=PriceConfig(request_usd=0.1), capabilities=("tools",)),
)
WHY = "capacity of small"


def routed(models: Sequence[ModelConfig] = MODELS, **changes: Any) -> tuple[Router, Counters]:
    counters, chance = Counters(), random.Random(7).random
    router = Router(Selector(), Sealer(KEY, boot=7), counters, chance=chance)
    router.configure(config(*models, **({"health": HEALTH} | changes)))
    return router, counters


def of_three(**changes: Any) -> Router:
    """Whose one model has three endpoints."""
    router, _ = routed([model("small", endpoints=("a:1", "b:1", "c:1"))], **changes)
    plan(router, 1.0)
    return router


def shares_of(*shares: float) -> ModelShares:
    return tuple((model, share, 1_000) for model, share in enumerate(shares) if share)


def plan(router: Router, *shares: float, cell: Cell = CELL) -> None:
    """For the cell and its whole class."""
    router.publish(WeightTable("p1", {cell: shares_of(*shares)}, {"chat": shares_of(*shares)}))


def decide(router: Router, chance: float = 0.5, now_s: float = 0.0, **query: Any) -> Decision:
    return router.decide(Query(**query), now_s=now_s, chance=chance)


def eject(router: Router, index: int, now_s: float = 0.0) -> None:
    name = router.catalog.models[index].name
    assert router.health.record_failure((index, f"{name}:8001"), sent_s=now_s, now_s=now_s)


def shed(router: Router, part: float, *shares: float, cell: Cell = CELL) -> None:
    """Of the cell; its class serves all."""
    cells: dict[CellKey, ModelShares] = {cell: shares_of(*shares)} if any(shares) else {}
    router.publish(WeightTable("p1", cells, {"chat": shares_of(1.0)}, {cell: (part, WHY)}))
