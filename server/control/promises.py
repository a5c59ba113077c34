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
        message.realised_shed = _realised_shed(given, name)


def floor_basis(config: ClassConfig) -> str:
    """Whether grades come that could show a floor to be missed."""
    if config.floor is None:
        return "none"
    return "assumed" if config.grades == "none" else "audited"


def _required_text(planned: pb.PlanClass, realised: Estimate) -> str:
    """Why more or less than the floor is asked of the plan."""
    above = planned.required - planned.floor
    if planned.floor_basis == "none" or abs(above) < _MARGIN_MIN:
        return ""
    aims = (
        f"planned for {100 * planned.required:.1f}%, {'above' if above > 0 else 'below'} its floor"
    )
    if above < 0:
        return f"{aims}, for its answers were better than the floor before"
    grades = realised.grades
    if (
        planned.floor_basis == "audited"
        and above <= margin_for(planned.floor, grades) + _MARGIN_MIN
    ):
        return f"{aims}, for {_graded(grades)}"
    return f"{aims}, for its answers fell short of the floor before"


def _graded(grades: float) -> str:
    if not grades:
        return "none of its answers has been graded yet"
    return f"only about {grades:,.0f} of its answers have been graded"


def realised_within_slo(given: Given, name: GroupName) -> float:
    """The fraction of the last hour's requests; 1 where there were none, for none was late."""
    hour = given.last_hour.of(("group", name), now_s=given.now_s)
    return 1 - hour.slo_missed / max(hour.completed, 1)


def _realised_shed(given: Given, name: GroupName) -> float:
    """The fraction of the last hour's requests that was refused."""
    hour = given.last_hour.of(("group", name), now_s=given.now_s)
    return hour.shed / max(hour.decided + hour.shed, 1)
