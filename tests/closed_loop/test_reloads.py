"""A file that has models in another order, or some no more: what was promised of them holds."""

import pytest

from tests.closed_loop.length import TIMEOUT_S
from tests.closed_loop.scenario import ClassLaw, Kill, ModelLaw, Reload, Scenario
from tests.closed_loop.test_closed_loop import all_money_is_counted, promises_are_kept, told

pytestmark = pytest.mark.timeout(TIMEOUT_S)

CHEAP = ModelLaw("cheap", request_nano_usd=1_000, latency_s=(0.5,), concurrent=3)
SURE = ModelLaw("sure", request_nano_usd=100_000)


def test_a_worker_that_starts_after_a_reload_takes_its_own_part_of_a_capacity() -> None:
    """It knows the model by another place than the worker that has been there all along."""
    story = told(
        Scenario(
            models=(CHEAP, SURE),
            classes=(ClassLaw("c0", 60.0),),
            reloads=(Reload(4.0, without="nobody"),),
            kills=(Kill(6.0, "w1", down_s=0.5),),
            workers=2,
            lasts_s=16.0,
        )
    )
    assert story.peak(CHEAP) == CHEAP.concurrent


def test_what_is_out_at_a_model_that_leaves_is_paid_for() -> None:
    story = told(
        Scenario(
            models=(CHEAP, SURE),
            classes=(ClassLaw("c0", 20.0),),
            reloads=(Reload(6.0, without="cheap"),),
            lasts_s=12.0,
        )
    )
    assert any(one.model is CHEAP for one in story.attempts)
    all_money_is_counted(story)
    promises_are_kept(story)
