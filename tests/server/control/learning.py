"""Steps of a control plane in parts, for tests of one of them."""

from server.control.estimates import Estimates
from server.control.knowledge import Knowledge
from server.control.window import Window, build_window
from tests.server.control.told import NOW_S


def learned(
    knowledge: Knowledge,
    estimates: Estimates | None = None,
    *,
    window_s: float = 5.0,
    now_s: float = NOW_S,
) -> Estimates:
    """What is believed once a window of what was told is over."""
    estimates = estimates or Estimates()
    estimates.learn(knowledge.take_given(now_s, window_s))
    return estimates


def window_of(knowledge: Knowledge, estimates: Estimates, *, now_s: float = NOW_S) -> Window | None:
    """The window that is planned with what is believed."""
    return build_window(knowledge.take_given(now_s, 5.0), estimates)
