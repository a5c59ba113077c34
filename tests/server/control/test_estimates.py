"""What steps believe outlives the process."""

import json

from server.control.estimates import Estimates
from server.control.facts import Graded
from server.control.knowledge import Knowledge
from tests.server.control.learning import learned, window_of
from tests.server.control.told import CODE, NOW_S, answered, push, service


def test_estimates_that_come_back_plan_the_same_window() -> None:
    knowledge = Knowledge(service())
    knowledge.pushed(push(answered(CODE, "small", 50), answered(CODE, "large", 9)), now_s=NOW_S)
    estimates = learned(knowledge)
    window_of(knowledge, estimates)  # which opens the account of the class
    for quality in (1.0, 0.0):
        knowledge.facts.grade(Graded(CODE, "small", quality, 2.0, NOW_S, NOW_S))
    learned(knowledge, estimates)
    plain = json.dumps(estimates.to_plain(), allow_nan=False)
    again = Estimates.from_plain(json.loads(plain))
    for beliefs in (estimates, again):
        learned(knowledge, beliefs)
    one, other = window_of(knowledge, estimates), window_of(knowledge, again)
    assert one is not None
    assert other is not None
    assert other.cells == one.cells
    assert other.problem.groups == one.problem.groups
    for name in ("cost_nano_usd", "accuracy", "miss"):
        assert getattr(other.problem, name).tolist() == getattr(one.problem, name).tolist()
