"""Dollars and nano-dollars: people read dollars, and everything is counted in nano-dollars."""

from math import ceil, floor, log10

NANO_PER_USD = 1_000_000_000
# What 64 bits hold, on the wire and in decision ids.
NANO_USD_MAX = 2**63 - 1
DAY_S = 86_400.0
# But for a float's last bits, 0.0011 is a whole number of nano-dollars.
_LAST_BITS_NANO_USD = 0.0005
_WHOLE_USD = 1_000.0  # from here on cents are noise
_CENTS_USD = 1.0  # from here on two decimals, below it two significant digits


def to_nano_usd(usd: float) -> int:
    """An amount as somebody stated it, to the nearest."""
    return round(usd * NANO_PER_USD)


def charged_nano_usd(usd: float) -> int:
    """What is charged for something, rounded up."""
    return min(ceil(usd * NANO_PER_USD - _LAST_BITS_NANO_USD), NANO_USD_MAX)


def to_usd(nano_usd: float) -> float:
    return nano_usd / NANO_PER_USD


def per_day(nano_usd: float, span_s: float) -> int:
    """What is spent in such a time, in a day that goes on like it."""
    return round(nano_usd * DAY_S / span_s)


def usd(nano_usd: float) -> str:
    """From micro-dollars to thousands: "$0.0000042", "$0.031", "$12.30", "$40,100"."""
    dollars = abs(nano_usd) / NANO_PER_USD
    sign = "-" if nano_usd < 0 else ""
    if dollars >= _WHOLE_USD:
        return f"{sign}${dollars:,.0f}"
    if dollars >= _CENTS_USD or not dollars:
        return f"{sign}${dollars:.2f}"
    return f"{sign}${dollars:.{1 - floor(log10(dollars))}f}"
