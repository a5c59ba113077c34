"""What a solver is asked, and what it answers."""

from dataclasses import dataclass
from typing import NamedTuple

from optimizer.problem import Floats, Ints

# The tightest that HiGHS takes. At its default of 1e-7 a group whose traffic is a millionth of the
# largest one's was left with a mix 19 % too dear.
TOLERANCE = 1e-10
# Relative to the cost: what a certificate allows.
GAP_MAX = 1e-9
# The result codes of scipy's linprog.
OPTIMAL, LIMIT, INFEASIBLE = 0, 1, 2


class Cap(NamedTuple):
    """The weighted sum of these columns is at most limit, as of an optimum already reached."""

    columns: Ints
    limit: float
    weights: Floats


@dataclass(frozen=True, slots=True)
class Target:
    """What is minimised, and what is held meanwhile."""

    cost: Floats  # (V,)
    upper: Floats  # (V,)
    caps: tuple[Cap, ...] = ()
    gap_max: float = GAP_MAX  # relative: how far from the least the answer may be
    # (V,) What holds all this: a large programme is solved with few more columns. None: with all.
    start: Floats | None = None


@dataclass(frozen=True, slots=True)
class Vertex:
    """An optimum of the scaled programme and its prices."""

    x: Floats  # (V,)
    row_prices: Floats  # (R,) not negative
    cap_prices: Floats  # (caps,) not negative
    seat_prices: Floats  # (L,) of either sign


class Infeasible:
    """No x satisfies the rows."""
