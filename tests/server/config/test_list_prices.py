"""List prices of hosted models, as the installed package has them."""

import pytest

from server.config.diagnostics import ConfigError
from server.config.list_prices import filled_in, is_listed, nearest, with_list_prices
from server.config.models import PriceConfig
from server.config.parse import parse
from tests.server.configs import plain
from tests.server.routing.configs import config, model


def test_list_prices_hold_where_the_file_gives_none() -> None:
    price = filled_in(PriceConfig(list_price="openai/gpt-4o"))
    assert price.input_usd_per_mtok is not None
    assert price.output_usd_per_mtok is not None
    assert price.cached_input_usd_per_mtok is not None
    assert 0 < price.cached_input_usd_per_mtok < price.input_usd_per_mtok
    assert price.input_usd_per_mtok < price.output_usd_per_mtok
    assert price.list_price == ""


def test_the_file_overrides_the_list_even_with_nothing() -> None:
    price = filled_in(PriceConfig(list_price="openai/gpt-4o", input_usd_per_mtok=0.0))
    assert price.input_usd_per_mtok == 0.0
    assert price.output_usd_per_mtok


def test_tiers_of_the_list_are_taken_with_all_that_they_price() -> None:
    price = filled_in(PriceConfig(list_price="google/gemini-2.5-pro"))
    (tier,) = price.tiers
    assert tier.above_input_tokens == 200_000
    assert tier.input_usd_per_mtok is not None
    assert price.input_usd_per_mtok is not None
    assert tier.input_usd_per_mtok > price.input_usd_per_mtok
    assert tier.output_usd_per_mtok


def test_only_models_that_name_a_list_price_are_filled_in() -> None:
    given = config(model("own"), model("hosted", price=PriceConfig(list_price="openai/gpt-4o")))
    own, hosted = with_list_prices(given).models
    assert own == given.models[0]
    assert hosted.price == filled_in(given.models[1].price)


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("gpt-4o", "openai/gpt-4o"),
        ("gpt4o", "openai/gpt-4o"),
        ("openai/gpt4o", "openai/gpt-4o"),
        ("claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
    ],
)
def test_the_nearest_names_begin_with_who_makes_the_model(name: str, first: str) -> None:
    assert nearest(name)[0] == first


def test_a_model_that_the_list_names_without_a_price_is_not_listed() -> None:
    assert not is_listed("github-copilot/gpt-4o")


def problems(*changes: tuple[tuple[str | int, ...], object]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(plain(*changes))
    return [str(one) for one in caught.value.diagnostics]


def test_a_name_that_the_list_lacks_is_a_problem_with_the_nearest() -> None:
    at = ("models", 0, "price")
    (problem,) = problems((at, {"list_price": "openai/gpt-4-o"}))
    assert problem.startswith("models[0].price.list_price: 'openai/gpt-4-o' has no list price: ")
    assert "openai/gpt-4o" in problem


def test_an_openai_model_without_a_price_is_told_of_list_prices_like_its_name() -> None:
    hosted = {"protocol": "openai", "upstream_name": "gpt-4o", "price": {}}
    changes = [(("models", 0, key), value) for key, value in hosted.items()]
    (problem,) = problems(*changes)
    assert problem.startswith("models[0].price: is 0, and no model is free")
    assert "openai/gpt-4o" in problem


def test_tiers_rise() -> None:
    tiers = [{"above_input_tokens": 200_000}, {"above_input_tokens": 1_000}]
    (problem,) = problems((("models", 0, "price", "tiers"), tiers))
    assert problem.startswith("models[0].price.tiers[1].above_input_tokens: 1000 must be above")
