"""What each budget has spent in its period, and the pace that what is left allows.

Periods are in UTC. Budgets here are soft: a pace shapes the mix and refuses nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, Field, TypeAdapter

from server.config.budgets import BudgetConfig
from server.config.schema import BUDGETS_MAX
from server.money import to_nano_usd
from server.routing.catalog import NO_PAYER
from server.routing.counters import Counts

# A pace never falls below this part of the even one: a budget that is spent asks for the cheapest
# mix that holds the floors, and a pace of zero would ask for nothing more.
PACE_MIN = 0.01
# The most that a file may say was spent: far above all that can be, and no pace overflows with it.
SPENT_NANO_USD_MAX = 10**30


def period(kind: str, now_s: float) -> tuple[float, float]:
    """Start and end of the hour, day, week (from Monday) or month that holds this instant."""
    now = datetime.fromtimestamp(now_s, UTC)
    hour = now.replace(minute=0, second=0, microsecond=0)
    day = hour.replace(hour=0)
    if kind == "hour":
        start, end = hour, hour + timedelta(hours=1)
    elif kind == "day":
        start, end = day, day + timedelta(days=1)
    elif kind == "week":
        start = day - timedelta(days=day.weekday())
        end = start + timedelta(weeks=1)
    else:
        start = day.replace(day=1)
        end = (start + timedelta(days=31)).replace(day=1)
    return start.timestamp(), end.timestamp()


class _Spent(BaseModel):
    """What one budget spent since the start of a period."""

    start_s: Annotated[float, Field(allow_inf_nan=False)]
    nano_usd: Annotated[int, Field(ge=0, le=SPENT_NANO_USD_MAX)]
    # Below 0 while a report overtakes the worker's count of its decision.
    unreported: Annotated[int, Field(ge=-SPENT_NANO_USD_MAX, le=SPENT_NANO_USD_MAX)] = 0
    unreported_nano_usd: Annotated[int, Field(ge=-SPENT_NANO_USD_MAX, le=SPENT_NANO_USD_MAX)] = 0
    estimated_nano_usd: Annotated[int, Field(ge=0, le=SPENT_NANO_USD_MAX)] = 0


_SPENT = TypeAdapter(dict[str, _Spent])


@dataclass(frozen=True, slots=True)
class BudgetState:
    """One budget at one instant."""

    name: str
    period: str
    amount_nano_usd: int
    spent_nano_usd: int
    pace_nano_usd_per_s: float  # what is left of the amount, spread over the rest of the period
    unreported: int = 0  # decisions of this period whose usage was not reported
    unreported_nano_usd: int = 0  # what these are expected to cost
    estimated_nano_usd: int = 0  # of what is spent, for tokens that endpoints did not tell


class Spending:
    """Counts what budgets spent in the period that runs. No I/O, no clock."""

    def __init__(self) -> None:
        self._budgets: dict[str, BudgetConfig] = {}
        self._spent: dict[str, _Spent] = {}

    def configure(self, budgets: tuple[BudgetConfig, ...]) -> None:
        """Sets the budgets; what one has spent stays, whatever its new amount."""
        self._budgets = {budget.name: budget for budget in budgets}
        # A budget that left may come back, and has spent what it had; the oldest are forgotten.
        left = [name for name in self._spent if name not in self._budgets]
        for name in left[: max(len(left) - BUDGETS_MAX, 0)]:
            del self._spent[name]

    def spend(
        self, payer: str, nano_usd: int, *, now_s: float, estimated_nano_usd: int = 0
    ) -> None:
        """Charges every budget that the payer names; unknown names are charged to nobody."""
        for spent in self._paying(payer, now_s):
            spent.nano_usd += nano_usd
            spent.estimated_nano_usd += estimated_nano_usd

    def expect(self, payer: str, counts: Counts, *, made_s: float, now_s: float) -> None:
        """Adds decisions whose usage is to come; leaves out those made before this period."""
        for spent in self._paying(payer, now_s) if counts.unreported else ():
            if made_s >= spent.start_s:
                spent.unreported += counts.unreported
                spent.unreported_nano_usd += counts.unreported_nano_usd

    def states(self, *, window_s: float, now_s: float) -> Mapping[str, BudgetState]:
        """Every budget, by name."""
        return {
            name: self._state(budget, window_s, now_s) for name, budget in self._budgets.items()
        }

    def to_plain(self) -> dict[str, Any]:
        """What outlives the process, so that a restart does not give the money again."""
        plain: dict[str, Any] = _SPENT.dump_python(self._spent)
        return plain

    def restore(self, plain: Any) -> None:
        """Takes up what `to_plain` wrote; raises ValueError where it is something else."""
        self._spent = _SPENT.validate_python(plain)

    def restore_json(self, text: bytes) -> None:
        """As restore, of the file that earlier versions wrote."""
        self._spent = _SPENT.validate_json(text)

    def _state(self, budget: BudgetConfig, window_s: float, now_s: float) -> BudgetState:
        start_s, end_s = period(budget.period, now_s)
        amount = to_nano_usd(budget.amount_usd)
        current = self._current(budget, now_s)
        spent = current.nano_usd
        # Near the end of a period not all that is left may be spent at once.
        rest_s = max(end_s - now_s, window_s)
        even = amount / (end_s - start_s)
        return BudgetState(
            name=budget.name,
            period=budget.period,
            amount_nano_usd=amount,
            spent_nano_usd=spent,
            estimated_nano_usd=current.estimated_nano_usd,
            unreported=max(current.unreported, 0),
            unreported_nano_usd=max(current.unreported_nano_usd, 0),
            pace_nano_usd_per_s=max((amount - spent) / rest_s, PACE_MIN * even),
        )

    def _paying(self, payer: str, now_s: float) -> Iterator[_Spent]:
        if payer != NO_PAYER:
            for name in payer.split("+"):
                if name in self._budgets:
                    yield self._current(self._budgets[name], now_s)
                elif name in self._spent:  # it left the configuration: this comes in late
                    yield self._spent[name]

    def _current(self, budget: BudgetConfig, now_s: float) -> _Spent:
        start_s, _ = period(budget.period, now_s)
        spent = self._spent.get(budget.name)
        if spent is None or spent.start_s < start_s:
            spent = self._spent[budget.name] = _Spent(start_s=start_s, nano_usd=0)
        # The budget has a longer period by now, of which that was a part.
        spent.start_s = start_s
        return spent
