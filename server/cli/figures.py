"""Numbers as people read them."""

from turnout.v1 import admin_pb2 as pb

_ROUNDS_TO_NONE, _ROUNDS_TO_ALL = 0.0005, 0.9995  # with one decimal of a per cent
_MINUTES_S, _HOURS_S = 120, 7_200  # from here on an age is told in minutes, in hours
_THREE_DIGITS = 100


def percent(fraction: float) -> str:
    """One decimal, and never 0% or 100% for what is not."""
    if 0 < fraction < _ROUNDS_TO_NONE:
        return "<0.1%"
    if _ROUNDS_TO_ALL <= fraction < 1:
        return ">99.9%"
    return f"{100 * fraction:.1f}%"


def rate(requests_per_s: float) -> str:
    """Three digits that say something."""
    spec = ",.0f" if requests_per_s >= _THREE_DIGITS else ".3g"
    return f"{requests_per_s:{spec}}"


def counted(number: str, what: str) -> str:
    """ "1 request", "2 requests"."""
    return f"{number} {what}" if number == "1" else f"{number} {what}s"


def a(period: str) -> str:
    """ "a day", "an hour"."""
    return f"an {period}" if period == "hour" else f"a {period}"


def estimate(found: pb.Estimate) -> str:
    """The mean and its 95 % interval, in per cent."""
    return f"{percent(found.mean)} ({100 * found.low:.1f}-{100 * found.high:.1f})"


def age(age_s: float) -> str:
    """Of something that is a moment to days old."""
    if age_s < _MINUTES_S:
        return f"{max(age_s, 0.0):.0f} s"
    return f"{age_s / 60:.0f} min" if age_s < _HOURS_S else f"{age_s / 3_600:.0f} h"
