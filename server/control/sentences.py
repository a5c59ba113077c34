"""Sentences that a finance person reads."""

from collections.abc import Sequence

from optimizer.problem import Group
from optimizer.solution import Breach
from optimizer.step_price import StepPrice
from server.money import NANO_PER_USD, per_day, usd
from server.routing.catalog import payer_text

# Less than this in a day is nothing to say: a millionth of a cent.
_NOTHING_NANO_USD = 10
_HOURS_A_DAY = 24
# Digits of a per cent that are written of a bound, or that tell two bounds apart.
_DIGITS_MAX = 6
_ROUNDING = 1e-9


def group_texts(groups: Sequence[Group]) -> tuple[str, ...]:
    """What sentences call each group: its class, with who pays where the class has several."""
    names = [group.traffic_class for group in groups]
    return tuple(
        f"class {group.traffic_class}"
        if names.count(group.traffic_class) == 1
        else f"class {group.traffic_class} (paid by {payer_text(group.payer)})"
        for group in groups
    )


def breach_text(breach: Breach, whose: str, *, window_s: float) -> str:
    """ "class code: 95% of the answers are to be right, 93% is the best possible"."""
    bound, best = _apart(breach.bound, breach.best)
    match breach.kind:
        case "capacity":
            refused = f"{100 * (1 - breach.best):.3g}%"
            return f"{whose}: {refused} of the requests do not fit and are refused"
        case "floor":
            return f"{whose}: {bound} of the answers are to be right, {best} is the best possible"
        case "domain":
            return f"{whose}: {bound} of the answers are to be right, {best} is the best known"
        case "short":
            return f"{whose}: {best} are planned to be right instead of {bound}: its money is short"
        case "slo":
            return f"{whose}: {bound} are to be answered in time, {best} is the best possible"
        case "pin":
            return f"{whose} {bound} is not possible, {best} is the best possible"
        case "pace":
            pace, need = (usd(per_day(n, window_s)) for n in (breach.bound, breach.best))
            least = f"the cheapest mix that keeps every promise costs {need} a day"
            allowed = f"what is left of it allows {pace} a day"
            return f"{whose}: with the requests of this moment {least}, and {allowed}"


def step_price_text(price: StepPrice, promised: float | None = None) -> str:
    """ "raising the accuracy promised to class code from 95% to 96% would cost $0.13 an hour".

    promised: the floor or the part in time that the class is promised now. Empty where the step
    changes nothing that is worth a sentence.
    """
    is_stricter = price.step < 0 if price.kind == "capacity" else price.step > 0
    if price.kind == "budget":
        return _budget_text(price)
    if price.cost_nano_usd_per_day is None and price.kind == "capacity" and is_stricter:
        return f"{_deed(price, promised)} would not be enough"
    effect = _effect(price.cost_nano_usd_per_day, is_stricter=is_stricter)
    return f"{_deed(price, promised)} {effect}" if effect else ""


def _deed(price: StepPrice, promised: float | None) -> str:
    verb = "raising" if price.step > 0 else "lowering"
    by = _from_to(promised, price.step)
    match price.kind:
        case "floor":
            return f"{verb} the accuracy promised to class {price.name} {by}"
        case "slo":
            return f"{verb} the part of class {price.name} that is promised in time {by}"
    model, is_concurrent, _ = price.name.partition(" (concurrent)")
    unit = "requests at one time" if is_concurrent else "requests a second"
    return f"10% {'more' if price.step > 0 else 'less'} capacity of model {model} ({unit})"


def _effect(cost_nano_usd: int | None, *, is_stricter: bool) -> str:
    """What is stricter may cost nothing; that what is laxer saves nothing need not be said."""
    if cost_nano_usd is None:
        return "is not possible" if is_stricter else ""
    if abs(cost_nano_usd) < _NOTHING_NANO_USD:
        return "would cost nothing" if is_stricter else ""
    verb = "cost" if cost_nano_usd > 0 else "save"
    return f"would {verb} {_an_hour(cost_nano_usd)}"


def _budget_text(price: StepPrice) -> str:
    """None of accuracy: a budget never lowers it, and what a floor costs is said of the floor."""
    deed = f"{usd(abs(price.step) * NANO_PER_USD)} a day {'more' if price.step > 0 else 'less'}"
    cost = price.cost_nano_usd_per_day
    if cost is None or abs(cost) < _NOTHING_NANO_USD:
        return ""
    verb = "cost" if cost > 0 else "save"
    return f"{deed} in budget {price.name} would {verb} {_an_hour(cost)} over all budgets"


def _an_hour(nano_usd_per_day: float) -> str:
    return f"{usd(abs(nano_usd_per_day) / _HOURS_A_DAY)} an hour"


def _from_to(promised: float | None, step: float) -> str:
    if promised is None:
        return f"by {_points(step)}"
    return f"from {_percent(promised)} to {_percent(promised + step)}"


def _percent(fraction: float) -> str:
    """With the digits that it has: "95%", "99.9%"."""
    return f"{round(100 * fraction, _DIGITS_MAX):.{_DIGITS_MAX + 3}g}%"


def _points(fraction: float) -> str:
    """Of accuracy, hundredths either way: "1 percentage point", "0.2 percentage points"."""
    points = f"{100 * abs(fraction):.2g}"
    return f"{points} percentage point{'' if points == '1' else 's'}"


def _apart(bound: float, best: float) -> tuple[str, str]:
    """The bound with its digits, and both with as many as it takes to tell them apart."""
    left, right = 100 * bound, 100 * best
    digits = next(
        (n for n in range(_DIGITS_MAX) if abs(round(left, n) - left) < _ROUNDING),
        _DIGITS_MAX,
    )
    while digits < _DIGITS_MAX and f"{left:.{digits}f}" == f"{right:.{digits}f}":
        digits += 1
    return f"{left:.{digits}f}%", f"{right:.{digits}f}%"
