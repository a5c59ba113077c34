"""What each class and payer was promised, and what became of it, beside what is planned."""

from optimizer.estimate.account import margin_for
from optimizer.estimate.accuracy import AccuracyEstimate, Estimate
from server.config.classes import ClassConfig
from server.control.facts import Given, GroupName
from server.control.messages import estimate_message
from turnout.v1 import admin_pb2 as pb

# A per cent with one decimal does not show less.
_MARGIN_MIN = 0.0005


def add_promises(plan: pb.Plan, given: Given, accuracy: AccuracyEstimate) -> None:
    """What each class and payer was promised, and what was realised of it."""
    for message in plan.classes:
        config = given.classes[message.traffic_class]
        name = message.traffic_class, message.payer
        message.floor = config.floor or 0.0
        message.floor_basis = floor_basis(config)
        realised = accuracy.of_group(*name, given.now_s)
        message.realised_accuracy.CopyFrom(estimate_message(realised))
        message.required_text = _required_text(message, realised)
        if config.slo is not None:
            message.slo_fraction = config.slo.fraction
        message.realised_within_slo = realised_within_slo(given, name)
        hour = given.last_hour.of(("group", name), now_s=given.now_s)
        message.realised_requests = max(hour.completed, 0)
        message.realised_shed = _realised_shed(given, name)


def floor_basis(config: ClassConfig) -> str:
    """Whether grades come that could show a floor to be missed."""
    if config.floor is None:
        return "none"
    return "assumed" if config.grades == "none" else "audited"


def _required_text(planned: pb.PlanClass, realised: Estimate) -> str:
    """Why more or less than the floor is asked of the plan, and whether it can be had."""
    if planned.floor_basis == "none" or abs(planned.required - planned.floor) < _MARGIN_MIN:
        return ""
    best = "best possible" if planned.floor_basis == "assumed" else "best that is known"
    side = "above" if planned.required > planned.floor else "below"
    why = f"{_percent(planned.required)}, {side} its floor, for {_why(planned, realised)}"
    if planned.accuracy < planned.required - _MARGIN_MIN:
        return f"to reach {why}: {_percent(planned.accuracy)} is the {best}"
    return f"planned for {why}"


def _why(planned: pb.PlanClass, realised: Estimate) -> str:
    above, grades = planned.required - planned.floor, realised.grades
    if above < 0:
        return "its answers were better than the floor before"
    margin = margin_for(planned.floor, grades) if planned.floor_basis == "audited" else 0.0
    if above <= margin + _MARGIN_MIN:
        return _graded(grades)
    return "its answers fell short of the floor before"


def _graded(grades: float) -> str:
    """Old grades count for less, so a few of them may count for less than one."""
    if not grades:
        return "none of its answers has been graded yet"
    if round(grades) <= 1:
        return "hardly any of its answers has been graded lately"
    return f"only about {grades:,.0f} of its answers have been graded"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}%"


def realised_within_slo(given: Given, name: GroupName) -> float:
    """The fraction of the last hour's requests; 1 where there were none, for none was late."""
    hour = given.last_hour.of(("group", name), now_s=given.now_s)
    return 1 - hour.slo_missed / max(hour.completed, 1)


def _realised_shed(given: Given, name: GroupName) -> float:
    """The fraction of the last hour's requests that was refused."""
    hour = given.last_hour.of(("group", name), now_s=given.now_s)
    return hour.shed / max(hour.decided + hour.shed, 1)
