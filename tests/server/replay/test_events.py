"""What befalls models, as it is written on the command line."""

import pytest

from server.config.models import PriceConfig, PriceTierConfig
from server.config.schema import Config
from server.replay.events import EventInvalid, Stated, event, joining, stated
from server.replay.report import Report, told
from server.replay.run import BEGINS_S
from tests.server.replay.recorded import MODELS, USD, config, recording, replay, traffic

SMALL, MIDDLE, LARGE = MODELS


def report(of: Config, *events: str, requests: int = 2_000) -> Report:
    read = [stated(text, of) for text in events]
    whole, begins_with = joining(of, read)
    run = replay(whole, recording(), begins_with=begins_with)
    return told(run, traffic(requests), [event(one) for one in read])[0]


def test_an_event_is_read_as_it_is_written() -> None:
    assert stated("20 middle price=2.5", config()) == Stated(20.0, MIDDLE, "price", "2.5")
    assert stated("1e2 small gone", config()) == Stated(100.0, SMALL, "gone", "")


@pytest.mark.parametrize(
    "text", ["20 middle gone=now", "20 middle price", "20 middle price=x", "x middle gone", "20"]
)
def test_an_event_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(EventInvalid):
        stated(text, config())


def test_a_model_that_joins_is_asked_from_then_on_only() -> None:
    found = report(config(floor=None), "50 small joins")
    before, after = (found.stretches[n].classes[0] for n in (0, -1))
    assert SMALL not in before.by_model
    assert list(after.by_model) == [SMALL]
    assert before.cheapest_single == MIDDLE
    assert after.cheapest_single_nano_usd == pytest.approx(USD[0] * 1e9)


def test_models_that_all_join_later_leave_nobody_to_begin_with() -> None:
    with pytest.raises(EventInvalid, match="leave one to begin with"):
        report(config(), *(f"5 {name} joins" for name in MODELS))


def test_a_model_that_is_dearer_costs_more_in_hindsight_too() -> None:
    found = report(config(floor=None), "50 small price=2")
    before, after = (found.stretches[n].classes[0] for n in (0, -1))
    assert after.cost_nano_usd == pytest.approx(2 * before.cost_nano_usd)
    assert after.cost_ratio == pytest.approx(1.0)


def test_every_part_of_a_price_is_multiplied_and_no_threshold() -> None:
    of = config()
    tier = PriceTierConfig(above_input_tokens=200, output_usd_per_mtok=3.0)
    price = PriceConfig(input_usd_per_mtok=1.0, busy_second_usd=0.5, tiers=(tier,))
    models = (of.models[0].model_copy(update={"price": price}), *of.models[1:])
    of = of.model_copy(update={"models": models})
    run = replay(of, recording())
    event(stated("5 small price=2", of)).act(run, BEGINS_S)
    found = run.config.models[0].price
    assert (found.input_usd_per_mtok, found.busy_second_usd) == (2.0, 1.0)
    assert found.output_usd_per_mtok is None
    assert found.tiers == (PriceTierConfig(above_input_tokens=200, output_usd_per_mtok=6.0),)


def test_a_model_that_is_back_answers_again() -> None:
    found = report(config(floor=None), "20 small gone", "40 small back", requests=3_000)
    gone, back = found.stretches[2].classes[0], found.stretches[-1].classes[0]
    assert SMALL not in gone.by_model
    assert back.by_model[SMALL] > back.requests / 2


def test_a_model_as_good_as_another_is_expected_to_be_so() -> None:
    found = report(config(floor=None), "50 small as=large")
    before, after = (found.stretches[n].classes[0] for n in (0, -1))
    assert list(before.by_model) == list(after.by_model) == [SMALL]
    assert after.accuracy > before.accuracy + 0.2


def test_stretches_and_slices_hold_every_request_once() -> None:
    found = report(config(floor=None), "30 small price=2", "70 small price=2")
    wholes = [one for one in found.stretches if one.name == "whole"]
    assert sum(one.classes[0].requests for one in wholes) == found.requests == 2_000
    assert sum(one.classes[0].requests for one in found.slices) == 2_000
