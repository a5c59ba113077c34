"""What a model charges, exactly: in integers, rounded up once, to the nano-dollar."""

from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from server.config.models import PriceConfig, TokenPrices
from server.money import NANO_USD_MAX
from server.token_usage import TokenUsage

# Prices are kept in yocto-dollars (1e-24), so that $0.0375 for a million tokens is a whole number a
# token, and any price a whole number a nanosecond.
_YOCTO_PER_USD = 10**24
YOCTO_PER_NANO_USD = 10**15
_TOKENS_PER_MTOK = 10**6
NS_PER_S = 10**9


class Rates(NamedTuple):
    """Yocto-dollars a token, by the classes of TokenUsage."""

    input: int
    cached_input: int
    cache_write_input: int
    output: int
    reasoning: int


@dataclass(frozen=True, slots=True)
class Price:
    """A price as it was configured, compiled."""

    base: Rates
    tiers: tuple[tuple[int, Rates], ...]  # above so many tokens read, the most first
    request: int  # yocto-dollars
    busy_ns: int  # yocto-dollars

    def rates(self, input_tokens: float) -> Rates:
        """What holds for all tokens of a request that reads so many."""
        for above, rates in self.tiers:
            if input_tokens > above:
                return rates
        return self.base


def charge(price: Price, usage: TokenUsage, busy_s: float) -> int:
    """Nano-dollars of an answered attempt."""
    rates = price.rates(usage.all_input) if price.tiers else price.base
    tokens = (
        usage.input * rates.input
        + usage.cached_input * rates.cached_input
        + usage.cache_write_input * rates.cache_write_input
        + usage.output * rates.output
        + usage.reasoning * rates.reasoning
    )
    return _nano_usd(tokens + price.request + round(busy_s * NS_PER_S) * price.busy_ns)


def charge_unanswered(price: Price, busy_s: float) -> int:
    """Nano-dollars of an attempt that nobody answered: the time that it held the model."""
    return _nano_usd(round(busy_s * NS_PER_S) * price.busy_ns)


def compile_price(config: PriceConfig) -> Price:
    """Raises ValueError where list prices have not been filled in."""
    if config.list_price:
        raise ValueError(f"the list prices of {config.list_price!r} were not filled in")
    tiers = sorted(config.tiers, key=lambda tier: -tier.above_input_tokens)
    return Price(
        base=_rates(config, config),
        tiers=tuple((tier.above_input_tokens, _rates(tier, config)) for tier in tiers),
        request=_yocto(config.request_usd),
        busy_ns=_yocto(config.busy_second_usd) // NS_PER_S,
    )


def _nano_usd(yocto: int) -> int:
    return min(-(-yocto // YOCTO_PER_NANO_USD), NANO_USD_MAX)


def _rates(given: TokenPrices, below: TokenPrices) -> Rates:
    """Of what a tier does not give, that below it; of what neither does, that of its parent."""

    def usd(key: str) -> float | None:
        price: float | None = getattr(given, key)
        return getattr(below, key) if price is None else price

    read, written = usd("input_usd_per_mtok") or 0.0, usd("output_usd_per_mtok") or 0.0
    cached, put = usd("cached_input_usd_per_mtok"), usd("cache_write_usd_per_mtok")
    reasoning = usd("reasoning_usd_per_mtok")
    return Rates(
        input=_per_token(read),
        cached_input=_per_token(read if cached is None else cached),
        cache_write_input=_per_token(read if put is None else put),
        output=_per_token(written),
        reasoning=_per_token(written if reasoning is None else reasoning),
    )


def _per_token(usd_per_mtok: float) -> int:
    return _yocto(usd_per_mtok) // _TOKENS_PER_MTOK


def _yocto(usd: float) -> int:
    """As it was written: 0.1 is a tenth, and not the float nearest to it."""
    return int(Decimal(repr(usd)) * _YOCTO_PER_USD)
