"""What is wrong with a price."""

from itertools import pairwise

from server.config.diagnostics import Findings, Path
from server.config.list_prices import is_listed, nearest
from server.config.models import ModelConfig, PriceConfig


def price_findings(at: Path, model: ModelConfig) -> Findings:
    """A price of nothing, a list price that there is none of, tiers that do not rise."""
    price = model.price
    listed = price.list_price
    if listed and not is_listed(listed):
        yield (*at, "list_price"), f"{listed[:80]!r} has no list price: {_listed_like(listed)}"
    elif not listed and not _asks_anything(price):
        yield at, _free(model)
    for i, (low, high) in enumerate(pairwise(tier.above_input_tokens for tier in price.tiers)):
        if high <= low:
            message = f"{high} must be above the {low} before it"
            yield (*at, "tiers", i + 1, "above_input_tokens"), message


def _free(model: ModelConfig) -> str:
    message = (
        "is 0, and no model is free: give input_usd_per_mtok and output_usd_per_mtok, "
        "request_usd, or busy_second_usd"
    )
    if model.protocol != "openai":
        return message
    like = _listed_like(model.upstream_name or model.name)
    return f"{message}; for a hosted model list_price is enough: {like}"


def _asks_anything(price: PriceConfig) -> bool:
    parts = price.model_dump(exclude={"list_price", "tiers"})
    return any(parts.values()) or any(
        any(tier.model_dump(exclude={"above_input_tokens"}).values()) for tier in price.tiers
    )


def _listed_like(name: str) -> str:
    near = nearest(name)
    if not near:
        return "none is named like it; openai/gpt-4o is how they are written"
    *others, last = near
    return f"the nearest are {', '.join(others)} and {last}" if others else f"the nearest is {last}"
