"""What a model answers, and what that costs, is what was recorded."""

from dataclasses import replace

import numpy as np
import pytest

from server.config.models import PriceConfig, PriceTierConfig
from server.replay.answers import Answers, ModelsMissing, billed, columns_of, is_billed
from server.replay.figures import tables_of
from server.status_code import Code
from tests.server.replay.recorded import MODELS, QUERIES, config, recording, replay, traffic


def test_a_bill_without_tokens_is_what_a_request_costs() -> None:
    random = np.random.default_rng(0)
    shape = QUERIES, len(MODELS)
    bills = replace(
        recording(),
        cost_usd=np.round(random.uniform(1e-6, 1e-2, shape), 9),
        output_tokens=np.full(shape, np.nan),
    )
    assert is_billed(bills)
    assert not is_billed(recording())
    story = replay(billed(config()), bills).tell(traffic(500))
    for one in story.served:
        assert one.cost_nano_usd == pytest.approx(bills.cost_usd[one.query, one.place] * 1e9, abs=1)


def test_tokens_read_are_those_of_the_query_where_no_model_says_its_own() -> None:
    unsaid = replace(recording(), input_tokens=np.full((QUERIES, len(MODELS)), np.nan))
    assert Answers(unsaid, config().models).of(0, 0).input_tokens == 100


def test_a_model_is_found_by_what_its_endpoints_call_it() -> None:
    models = (config().models[0].model_copy(update={"name": "tiny", "upstream_name": "Small"}),)
    assert columns_of(recording(), models) == [0]


def test_a_model_of_which_nothing_was_recorded_is_named() -> None:
    models = (config().models[0].model_copy(update={"name": "tiny"}),)
    with pytest.raises(ModelsMissing, match="nothing was recorded of tiny: there are outcomes of"):
        Answers(recording(), models)


def test_a_model_that_is_gone_refuses_until_it_is_back() -> None:
    answers = Answers(recording(), config().models)
    answers.leave(1)
    assert answers.of(0, 1).code is Code.UNAVAILABLE
    answers.come_back(1)
    assert answers.of(0, 1).code is Code.OK


def test_what_hindsight_reckons_is_what_was_billed_by_tier_and_second() -> None:
    recorded = recording(latency_s=0.5)
    read = np.random.default_rng(0).integers(50, 400, (QUERIES, len(MODELS)))
    recorded = replace(recorded, input_tokens=read.astype(np.float64))
    price = PriceConfig(
        input_usd_per_mtok=1.0,
        output_usd_per_mtok=4.0,
        busy_second_usd=0.001,
        request_usd=0.0001,
        tiers=(
            PriceTierConfig(above_input_tokens=300, input_usd_per_mtok=5.0),
            PriceTierConfig(above_input_tokens=200, input_usd_per_mtok=3.0),
        ),
    )
    of = config(floor=None)
    models = tuple(model.model_copy(update={"price": price}) for model in of.models)
    run = replay(of.model_copy(update={"models": models}), recorded)
    tables = tables_of(run)
    for one in run.tell(traffic(300)).served:
        known = tables.cost_nano_usd[one.query, one.place]
        assert one.cost_nano_usd == pytest.approx(known, abs=1)
