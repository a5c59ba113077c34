"""What a model charges: exact, by class of token, by tier, by request, by busy second."""

from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.config.models import PriceConfig, PriceTierConfig
from server.money import NANO_USD_MAX
from server.routing.price import charge, charge_unanswered, compile_price
from server.token_usage import NO_TOKENS, TokenUsage

KEYS = (
    "input_usd_per_mtok",
    "cached_input_usd_per_mtok",
    "cache_write_usd_per_mtok",
    "output_usd_per_mtok",
    "reasoning_usd_per_mtok",
)
# As people write prices: up to nine decimals.
usd = st.decimals(0, 1_000, places=9).map(float)
given_or_not = st.none() | usd
tokens = st.integers(0, 10_000_000)
usages = st.builds(TokenUsage, *[tokens] * 5)
busy_ns = st.integers(0, 10**13)
prices = st.builds(
    PriceConfig,
    request_usd=usd,
    busy_second_usd=usd,
    **dict.fromkeys(KEYS, given_or_not),
)
token_prices = st.builds(PriceConfig, **dict.fromkeys(KEYS, given_or_not))


def of(usage: TokenUsage) -> tuple[int, ...]:
    return (
        usage.input,
        usage.cached_input,
        usage.cache_write_input,
        usage.output,
        usage.reasoning,
    )


def plus(one: TokenUsage, other: TokenUsage) -> TokenUsage:
    return TokenUsage(*(a + b for a, b in zip(of(one), of(other), strict=True)))


def exact_usd(price: PriceConfig, usage: TokenUsage, busy: int) -> Fraction:
    """In the words of the documentation, without tiers."""

    def first(*usd: float | None) -> Fraction:
        return Fraction(repr(next((one for one in usd if one is not None), 0.0)))

    read, written = price.input_usd_per_mtok, price.output_usd_per_mtok
    rates = (
        first(read),
        first(price.cached_input_usd_per_mtok, read),
        first(price.cache_write_usd_per_mtok, read),
        first(written),
        first(price.reasoning_usd_per_mtok, written),
    )
    of_tokens = (rate * n for rate, n in zip(rates, of(usage), strict=True))
    by_tokens = sum(of_tokens, Fraction()) / 10**6
    by_time = first(price.busy_second_usd) * Fraction(busy, 10**9)
    return by_tokens + by_time + first(price.request_usd)


@given(price=prices, usage=usages, busy=busy_ns)
def test_what_is_charged_is_the_exact_sum_rounded_up_once(
    price: PriceConfig, usage: TokenUsage, busy: int
) -> None:
    exact = ceil(exact_usd(price, usage, busy) * 10**9)
    assert charge(compile_price(price), usage, busy / 10**9) == min(exact, NANO_USD_MAX)


@given(price=token_prices, one=usages, other=usages)
def test_two_attempts_together_are_charged_what_each_is_but_for_rounding(
    price: PriceConfig, one: TokenUsage, other: TokenUsage
) -> None:
    compiled = compile_price(price)
    each = charge(compiled, one, 0.0) + charge(compiled, other, 0.0)
    assert 0 <= each - charge(compiled, plus(one, other), 0.0) <= 1


@given(
    price=token_prices,
    one=usages,
    other=usages,
    whole=st.lists(st.integers(0, 1_000), min_size=5, max_size=5),
)
def test_of_prices_in_whole_nano_dollars_a_token_charges_add_up(
    price: PriceConfig, one: TokenUsage, other: TokenUsage, whole: list[int]
) -> None:
    dollars = {key: nano_usd / 1_000 for key, nano_usd in zip(KEYS, whole, strict=True)}
    compiled = compile_price(price.model_copy(update=dollars))
    each = charge(compiled, one, 0.0) + charge(compiled, other, 0.0)
    assert each == charge(compiled, plus(one, other), 0.0)


@given(price=prices, usage=usages, more=usages, busy=busy_ns, longer=busy_ns)
def test_more_is_never_cheaper(
    price: PriceConfig, usage: TokenUsage, more: TokenUsage, busy: int, longer: int
) -> None:
    compiled = compile_price(price)
    less = charge(compiled, usage, busy / 10**9)
    assert less <= charge(compiled, plus(usage, more), (busy + longer) / 10**9)


LONG = PriceConfig(
    input_usd_per_mtok=1.25,
    cached_input_usd_per_mtok=0.125,
    output_usd_per_mtok=10,
    tiers=(
        PriceTierConfig(above_input_tokens=200_000, input_usd_per_mtok=2.5, output_usd_per_mtok=15),
        PriceTierConfig(above_input_tokens=1_000_000, input_usd_per_mtok=5),
    ),
)


@pytest.mark.parametrize(
    ("usage", "nano_usd"),
    [
        (TokenUsage(input=200_000), 200_000 * 1_250),
        (TokenUsage(input=200_001), 200_001 * 2_500),
        # Cached tokens are read too, and cost what they do below the tier: it says nothing of them.
        (TokenUsage(input=1, cached_input=200_000, output=10), 2_500 + 200_000 * 125 + 150_000),
        (TokenUsage(input=1_000_001, output=10), 1_000_001 * 5_000 + 100_000),
        (TokenUsage(output=500_000), 500_000 * 10_000),
    ],
)
def test_a_tier_holds_for_all_tokens_of_a_request_that_reads_more(
    usage: TokenUsage, nano_usd: int
) -> None:
    assert charge(compile_price(LONG), usage, 0.0) == nano_usd


def test_what_is_not_given_costs_what_its_parent_does() -> None:
    price = compile_price(PriceConfig(input_usd_per_mtok=3, output_usd_per_mtok=15))
    assert charge(price, TokenUsage(cached_input=1), 0.0) == 3_000
    assert charge(price, TokenUsage(cache_write_input=1), 0.0) == 3_000
    assert charge(price, TokenUsage(reasoning=1), 0.0) == 15_000


def test_what_costs_nothing_by_word_of_the_file_is_not_charged_as_its_parent() -> None:
    price = compile_price(PriceConfig(input_usd_per_mtok=3, cached_input_usd_per_mtok=0))
    assert charge(price, TokenUsage(cached_input=1_000), 0.0) == 0


def test_an_attempt_that_nobody_answered_costs_its_time_alone() -> None:
    price = compile_price(PriceConfig(request_usd=1, input_usd_per_mtok=1, busy_second_usd=0.004))
    assert charge_unanswered(price, 0.25) == 1_000_000


def test_time_is_charged_to_the_nanosecond_whatever_a_clock_adds_to_it() -> None:
    price = compile_price(PriceConfig(busy_second_usd=1))
    assert charge(price, NO_TOKENS, 0.1 + 0.2) == 300_000_000


def test_list_prices_that_were_not_filled_in_are_no_price_of_nothing() -> None:
    with pytest.raises(ValueError, match="were not filled in"):
        compile_price(PriceConfig(list_price="openai/gpt-4o"))
