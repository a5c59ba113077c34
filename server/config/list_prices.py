"""List prices of hosted models, from the package genai-prices as it is installed: nothing is
fetched.
"""

import difflib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING

from server.config.models import TIERS_MAX, PriceConfig, PriceTierConfig
from server.config.schema import Config

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Tier, TieredPrices

# What the list calls our kinds of token.
_NAMES = {
    "input_usd_per_mtok": "input_mtok",
    "cached_input_usd_per_mtok": "cache_read_mtok",
    "cache_write_usd_per_mtok": "cache_write_mtok",
    "output_usd_per_mtok": "output_mtok",
    "reasoning_usd_per_mtok": "output_reasoning_mtok",
}
_NEAR_MAX = 3
# Of a name without a provider they are meant before those who host the models of others.
_MAKERS = ("openai/", "anthropic/", "google/", "mistral/", "deepseek/", "x-ai/", "cohere/", "meta/")


def with_list_prices(config: Config) -> Config:
    """The configuration with the list prices that its models name filled in."""
    if not any(model.price.list_price for model in config.models):
        return config
    models = [model.model_copy(update={"price": filled_in(model.price)}) for model in config.models]
    return config.model_copy(update={"models": tuple(models)})


def filled_in(price: PriceConfig) -> PriceConfig:
    """The price with what it does not give as the list has it; raises LookupError."""
    if not price.list_price:
        return price
    listed = _listed(price.list_price)
    kept = {key: value for key in listed if (value := getattr(price, key)) in (None, ())}
    return price.model_copy(update={"list_price": "", **{key: listed[key] for key in kept}})


def is_listed(name: str) -> bool:
    """Whether the list has prices of tokens for it."""
    return name in _models()


def nearest(name: str) -> list[str]:
    """Names of the list that are like this one, which may be without its provider."""
    full: dict[str, str] = {}
    for one in sorted(_models(), key=lambda one: not one.startswith(_MAKERS)):
        full.setdefault(one if "/" in name else one.partition("/")[2], one)
    near = difflib.get_close_matches(name.lower(), full, n=_NEAR_MAX)
    return [full[one] for one in near]


def _listed(name: str) -> dict[str, object]:
    """By our keys; raises LookupError."""
    prices = _models()[name].get_prices(datetime.now(UTC))
    starts = sorted({tier.start for key in _NAMES for tier in _of(prices, key)[1]})[:TIERS_MAX]
    return {
        **{key: _usd(_of(prices, key)[0]) for key in _NAMES},
        "tiers": tuple(_tier(prices, start) for start in starts),
    }


def _tier(prices: "ModelPrice", above: int) -> PriceTierConfig:
    usd = {}
    for key in _NAMES:
        base, tiers = _of(prices, key)
        usd[key] = _usd(next((t.price for t in reversed(tiers) if t.start <= above), base))
    return PriceTierConfig(above_input_tokens=above, **usd)


def _of(prices: "ModelPrice", key: str) -> tuple[Decimal | None, Sequence["Tier"]]:
    """Below all tiers, and the tiers in their order."""
    found: Decimal | TieredPrices | None = getattr(prices, _NAMES[key])
    if found is None or isinstance(found, Decimal):
        return found, ()
    return found.base, found.tiers


def _usd(price: Decimal | None) -> float | None:
    return None if price is None else float(price)


@cache
def _models() -> "Mapping[str, ModelInfo]":
    """Those with a price of tokens, by provider and name.

    The package is read when it is first asked for: its 30 MB are for the control plane alone.
    """
    from genai_prices.data_snapshot import get_snapshot

    return {
        f"{provider.id}/{model.id}": model
        for provider in get_snapshot().providers
        for model in provider.models
        if _has_tokens(model.get_prices(datetime.now(UTC)))
    }


def _has_tokens(prices: "ModelPrice") -> bool:
    return any(_of(prices, key)[0] for key in _NAMES)
