"""Sentences that a finance person reads."""

from math import floor, log10

from optimizer.solution import Breach
from optimizer.step_price import StepPrice, per_day

_NANO = 1e9  # nano-dollars in a dollar
_WHOLE_USD = 1_000.0  # from here on cents are noise
_CENTS_USD = 1.0  # from here on two decimals, below it two significant digits
# Less than this in a day is nothing to say: a millionth of a cent.
_NOTHING_NANO_USD = 10
_POINT = 0.01


def usd(nano_usd: float) -> str:
    """From micro-dollars to thousands: "$0.0000042", "$0.031", "$12.30", "$40,100"."""
    dollars = abs(nano_usd) / _NANO
    sign = "-" if nano_usd < 0 else ""
    if dollars >= _WHOLE_USD:
        return f"{sign}${dollars:,.0f}"
    if dollars >= _CENTS_USD or not dollars:
        return f"{sign}${dollars:.2f}"
    return f"{sign}${dollars:.{1 - floor(log10(dollars))}f}"


def breach_text(breach: Breach, *, window_s: float) -> str:
    """ "class code: floor 0.95 unreachable, best is 0.93"."""
    bound, best = _apart(breach.bound, breach.best)
    match breach.kind:
        case "capacity":
            part = f"{100 * breach.best:.3g} %"
            return f"class {breach.name}: capacity serves {part} of the requests at most"
        case "floor":
            return f"class {breach.name}: floor {bound} unreachable, best is {best}"
        case "slo":
            return f"class {breach.name}: {bound} within the SLO unreachable, best is {best}"
        case "pin":
            return f"class {breach.name} {bound} unreachable, best is {best}"
        case "pace":
            pace, need = (usd(per_day(n, window_s)) for n in (breach.bound, breach.best))
            least = f"the least that holds every floor is {need}"
            return f"budget {breach.name}: {pace} a day is not enough, {least}"


def step_price_text(price: StepPrice) -> str:
    """ "raising the floor of class code by one point costs $3.10 a day"."""
    match price.kind:
        case "floor":
            verb = "raising" if price.step > 0 else "lowering"
            deed = f"{verb} the floor of class {price.name} by {_points(price.step)}"
        case "slo":
            change = f"{_points(price.step)} {_more(price.step)}"
            deed = f"keeping {change} of class {price.name} within its SLO"
        case "capacity":
            # Less of it is the stricter side.
            deed = f"a tenth {_more(price.step)} capacity of {price.name}"
            return f"{deed} {_effect(price.cost_nano_usd_per_day, stricter=price.step < 0)}"
        case "budget":
            return _budget_text(price)
    return f"{deed} {_effect(price.cost_nano_usd_per_day, stricter=price.step > 0)}"


def _effect(cost_nano_usd: int | None, *, stricter: bool) -> str:
    if cost_nano_usd is None:
        return "cannot be met" if stricter else "changes what can be met, not only the cost"
    verb = "costs" if stricter else "saves"
    if abs(cost_nano_usd) < _NOTHING_NANO_USD:
        return f"{verb} nothing"
    return f"{verb} {usd(abs(cost_nano_usd))} a day"


def _budget_text(price: StepPrice) -> str:
    if price.headroom_nano_usd_per_day is not None:
        return _headroom_text(price.name, price.headroom_nano_usd_per_day)
    deed = f"with {_amount(price.step)} a day"
    if price.accuracy is not None:
        verb = "gains" if price.accuracy > 0 else "loses"
        gain = f"class {price.traffic_class} {verb} {_points(price.accuracy)}"
        return f"{deed} in budget {price.name} {gain}"
    if price.cost_nano_usd_per_day is not None:
        effect = _effect(price.cost_nano_usd_per_day, stricter=price.step < 0)
        return f"{deed} in budget {price.name} the whole mix {effect}"
    return f"{deed} budget {price.name} lacks {_amount(-price.step)}"


def _amount(step_usd: float) -> str:
    """ "one more dollar", "one dollar less", "$0.010 more"."""
    if step_usd == 1.0:
        return "one more dollar"
    amount = "one dollar" if step_usd == -1.0 else usd(abs(step_usd) * _NANO)
    return f"{amount} {_more(step_usd)}"


def _headroom_text(name: str, left_nano_usd: int) -> str:
    if left_nano_usd > 0:
        return f"budget {name} does not bind: {usd(left_nano_usd)} a day of headroom"
    if left_nano_usd < 0:
        return f"budget {name} lacks {usd(-left_nano_usd)} a day of what holds every floor"
    return f"budget {name} binds: the mix keeps to it and leaves nothing"


def _more(step: float) -> str:
    return "more" if step > 0 else "less"


def _points(fraction: float) -> str:
    """Of accuracy or of requests, hundredths either way: "one point", "0.2 points"."""
    points = f"{100 * abs(fraction):.2g}"
    return "one point" if points == "1" else f"{points} points"


def _apart(bound: float, best: float) -> tuple[str, str]:
    """With as many digits, from two on, as it takes to tell them apart."""
    digits = next((n for n in range(2, 8) if f"{bound:.{n}f}" != f"{best:.{n}f}"), 8)
    return f"{bound:.{digits}f}", f"{best:.{digits}f}"
