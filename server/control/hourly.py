"""The requests that all amounts shown to people are for: those of an hour like the last one.

A plan is made for the requests of this moment. Ten busy seconds say nothing of what a day costs, so
money is told for what came on average over an hour, or since the service began to count.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from optimizer.mix import nominal_demand
from optimizer.problem import Floats, Problem
from server.control.facts import GroupName
from server.control.last_hour import LastHour

HOUR_S = 3_600.0


class Hourly(NamedTuple):
    """What came on average."""

    requests: Floats  # (G,) an hour, refused ones among them
    averaged_s: float  # over this time


def hourly(last_hour: LastHour, groups: Sequence[GroupName], *, now_s: float) -> Hourly:
    """The requests of each class and payer."""
    averaged_s = last_hour.averaged_s(now_s=now_s)
    sums = [last_hour.of(("group", group), now_s=now_s) for group in groups]
    requests = np.array([one.decided + one.shed for one in sums], dtype=float)
    return Hourly(requests * HOUR_S / averaged_s, averaged_s)


def like_an_hour(problem: Problem, hour: Hourly, *, window_s: float) -> Problem:
    """The same window, but for its demand: a group's is spread over its cells as it is now."""
    weights = nominal_demand(problem)
    of_group = np.bincount(problem.group_of, weights, len(problem.groups))
    per_weight = hour.requests * (window_s / HOUR_S) / np.where(of_group, of_group, 1.0)
    return replace(problem, demand=weights * per_weight[problem.group_of])
